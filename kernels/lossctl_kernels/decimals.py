"""Rows of decimal numbers in text at the speed of compiled code, where they are plain and the code is at hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bare_functions import BareFunction

SKIPPED, FLOAT, INTEGER = 0, 1, 2
SMALLEST_POWER, LARGEST_POWER = -342, 308


def _definition() -> Callable[..., int]:
    from .decimal_rows import parse

    return parse


_PARSE = BareFunction("decimal rows", 7, _definition)


class RowParser:
    """Compiled code that reads rows of cells, each a number or to be skipped. Any thread may call it."""

    def __init__(self, function: Callable[..., int]) -> None:
        self._function = function
        self._powers = _powers_of_ten()
        self._scratch = threading.local()

    def parse(self, data: bytes | bytearray, delimiter: str, kinds: Sequence[int]) -> list[NDArray[Any]] | None:
        """The columns that are not `SKIPPED`, as float64 or int64 of shape (rows,). None where a row is not plain.

        `data` is whole rows, each ended by LF or CRLF, of as many cells as there are `kinds`. Plain is a number of the
        form -0.12e-3 with at most 19 digits, an integer one with at most 18, and any cell that is skipped; a cell may
        be quoted.
        """
        if data and not data.endswith(b"\n"):
            return None
        wanted = [kind for kind in kinds if kind != SKIPPED]
        # A row has a delimiter or a line end a cell, and a digit for each number; the last one may be too short.
        room = len(data) // (len(kinds) + len(wanted)) + 1
        columns = self._room(len(wanted), room)
        numbers = np.array(kinds, np.int64)
        places = np.zeros(len(kinds), np.int64)
        places[numbers != SKIPPED] = columns.ctypes.data + 8 * room * np.arange(len(wanted))
        text = np.frombuffer(data, np.uint8)
        start = text.ctypes.data
        rows = self._function(
            start, start + len(data), len(kinds), numbers.ctypes.data, places.ctypes.data, self._powers.ctypes.data,
            ord(delimiter),
        )  # fmt: skip
        if rows < 0:
            return None
        dtypes = {FLOAT: np.float64, INTEGER: np.int64}
        found = zip(columns, (dtypes[kind] for kind in wanted), strict=True)
        return [column[:rows].view(dtype).copy() for column, dtype in found]

    def _room(self, columns: int, rows: int) -> NDArray[np.int64]:
        """Memory of this thread for so many numbers, used again and again: new memory costs more than what goes in."""
        size = columns * rows
        held: NDArray[np.int64] | None = getattr(self._scratch, "held", None)
        if held is None or held.size < size:
            held = self._scratch.held = np.empty(size, np.int64)
        return held[:size].reshape(columns, rows)


_making = threading.Lock()
_made: list[RowParser] = []


def row_parser(compiling: bool = False) -> RowParser | None:
    """The parser that this process has, or an earlier one left; where there is none it is compiled if asked for.

    None where there is none, or LLVM does not take the code. Raises ImportError where Numba has to be loaded and is not
    there.
    """
    with _making:
        if not _made:
            function = _PARSE.load(compiling)
            if function is not None:
                _made.append(RowParser(function))
        return _made[0] if _made else None


def compile_ahead() -> None:
    """Leaves the compiled parser for later processes. Raises ImportError where Numba is not there."""
    _PARSE.compile_ahead()


def is_kept() -> bool:
    """Whether an earlier process has left the compiled parser."""
    return _PARSE.is_kept()


def _powers_of_ten() -> NDArray[np.uint64]:
    """The leading 128 bits of 10**n for each power, rounded up below 10**0, down from there on; upper half first."""
    halves = []
    for power in range(SMALLEST_POWER, LARGEST_POWER + 1):
        five = 5 ** abs(power)
        if power >= 0:
            shift = 128 - five.bit_length()
            bits = five << shift if shift >= 0 else five >> -shift
        else:
            size = (five - 1).bit_length()
            bits = (1 << (size + 127 if power >= -27 else 2 * size + 128)) // five + 1
            bits >>= max(0, bits.bit_length() - 128)
        halves.append((bits >> 64, bits & 0xFFFFFFFFFFFFFFFF))
    return np.array(halves, np.uint64)
