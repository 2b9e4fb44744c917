"""Where each of many keys stands, by a hash table, and hashes of texts: the way to compiled code for it.

A key is one or two words of 64 bits. The table has one and a half slots of 64 bits a key, each with the number of a row
and half a hash of its key; the keys themselves are compared as well, and stay where they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .addresses import address_of
from .bare_functions import BareFunction

ARGUMENTS = {"entered": 8, "looked_up": 9, "paired": 5, "hashed": 6}
"""How many numbers each of the compiled functions takes: see `key_table_code.py`."""

MOST_ROWS = 2**32 - 2
"""That a table has room for."""

ABSENT, REPEATED = 1, 2
"""The statuses of rows that `paired` finds no place for."""

TABLE_ROWS = 1 << 16
"""From here on a hash table is faster, where its code is kept."""

COMPILING_ROWS = 1 << 22
"""From here on what it saves is more than it takes to compile."""

_SPAN = 1 << 19
"""Keys between two looks at whether there is an interrupt: some 20 milliseconds."""

Keys = NDArray[np.uint64]
Rows = NDArray[np.int64]

_making = threading.Lock()
_functions: dict[str, Callable[..., int]] = {}


def load(compiling: bool) -> bool:
    """Whether the functions below can be called: kept code is linked, and what is not kept is compiled if asked for.

    Raises ImportError where Numba has to be loaded and is not there.
    """
    with _making:
        for name in ARGUMENTS:
            if name in _functions:
                continue
            function = _bare(name).load(compiling)
            if function is None:
                return False
            _functions[name] = function
        return True


def can_compile(rows: int) -> bool:
    """Whether compiled code is there for so many keys: it is kept, or they repay compiling it."""
    if rows < TABLE_ROWS:
        return False
    try:
        return load(compiling=rows >= COMPILING_ROWS)
    except (ImportError, OSError):  # which of them it is where llvmlite is broken is up to the system
        return False


def is_kept(name: str) -> bool:
    """Whether an earlier process has left the compiled function."""
    return _bare(name).is_kept()


def compile_ahead(name: str) -> None:
    """Leaves the compiled function for later processes. Raises ImportError where Numba is not there."""
    _bare(name).compile_ahead()


def _bare(name: str) -> BareFunction:
    return BareFunction(f"key table: {name}", ARGUMENTS[name], partial(_definition, name))


def _definition(name: str) -> Callable[..., int]:
    from .key_table_code import FUNCTIONS

    return FUNCTIONS[name]


class KeyTable:
    """The first row of each key of `keys`, C-contiguous and of shape (rows, 1 or 2), at most `MOST_ROWS`.

    `repeats`, of shape (rows,), is true where a key stands above as well. `seed`, of 64 bits, decides where keys are in
    the table: where nobody knows it, nobody can make them meet. `load` must have been successful.
    """

    def __init__(self, keys: Keys, seed: int) -> None:
        self._keys, self._seed = keys, _signed(seed)
        self._table = np.zeros(len(keys) + len(keys) // 2 + 1, np.uint64)
        self.repeats = np.zeros(len(keys), np.bool_)
        self._places = address_of(self._table), len(self._table), self._seed
        self._size = keys.itemsize * keys.shape[1]
        base, repeats = address_of(keys), address_of(self.repeats)
        self.repeated = 0
        for first in range(0, len(keys), _SPAN):
            last = min(len(keys), first + _SPAN)
            self.repeated += _functions["entered"](base, first, last, *self._places, repeats, self._size)

    def find(self, others: Keys, near: int) -> Rows:
        """The row of each key of `others`, as wide as those of the table, -1 for one that is not there; (n,).

        `near` is the row where the first of them may be: it is looked at first.
        """
        found = np.full(len(others), near, np.int64)
        rows = 0 if self.repeated else len(self._keys)
        if len(others):
            others = np.ascontiguousarray(others)
            base, place = address_of(self._keys), address_of(others)
            _functions["looked_up"](base, rows, *self._places, place, len(others), address_of(found), self._size)
        return found


def paired(rows: Rows, first: int, partners: Rows) -> NDArray[np.uint8] | None:
    """Notes the rows of a file from `first` on as the partners of `rows`, where these have none and are not -1.

    The status of each: `ABSENT` where it is -1, `REPEATED` where it had a partner; None where all are 0. `load` must
    have been successful.
    """
    statuses = np.empty(len(rows), np.uint8)
    places = address_of(rows), len(rows), first, address_of(partners), address_of(statuses)
    return statuses if _functions["paired"](*places) else None


def hashed_texts(offsets: Rows, texts: NDArray[np.uint8], seed: int) -> Keys:
    """SipHash-2-4 of 128 bits (Aumasson, Bernstein, 2012) of n texts, of shape (n, 2).

    Text i is bytes `offsets[i]` to `offsets[i + 1]` of `texts`; the key is the 128 bits of `seed`, low half first.
    `load` must have been successful.
    """
    found = np.empty((len(offsets) - 1, 2), np.uint64)
    halves = _signed(seed & 0xFFFFFFFFFFFFFFFF), _signed(seed >> 64)
    places = address_of(offsets), address_of(texts), len(found)
    _functions["hashed"](*places, *halves, address_of(found))
    return found


def _signed(number: int) -> int:
    """The int64 of the same bits."""
    return number - 2**64 if number >= 2**63 else number
