"""Decimals of Arrow, as databases write them, as numbers: each the nearest float64, which Arrow's own cast is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lossctl.sources.base import Array
from lossctl.sources.column_shares import is_number
from lossctl_kernels.conversions import LARGEST_EXACT

_LARGEST_EXACT_SCALE = 22
"""Up to this, a power of ten is a float64."""

_LARGEST_LONG_SCALE, _LONG_DIGITS = 27, (63, 112)
"""The same of longer floats that hold an int64: x87's, and those of 128 bits in IEEE 754."""

_MOST_DIGITS = 38
"""Of what is 128 bits wide."""


class BeyondInt64(Exception):
    """The whole number at this place of an array does not fit in 64 bits."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


def number_type(kind: Any) -> Any | None:
    """What a column of this Arrow type is read as; None where it holds no numbers.

    A decimal without a fraction is a whole number, which is used exactly or refused.
    """
    if is_number(kind):
        return kind
    if pa.types.is_decimal128(kind) and 0 < kind.scale <= _MOST_DIGITS:
        return pa.float64()
    return pa.int64() if is_whole(kind) else None


def is_whole(kind: Any) -> bool:
    """Whether a type is that of decimals without a fraction."""
    return bool(pa.types.is_decimal128(kind) and kind.scale == 0)


def as_numbers(array: Any) -> Any:
    """An Arrow array of a type that `number_type` knows, valid in full, as one of what it says; nulls stay.

    Raises BeyondInt64 where it says int64 of a number that is none.
    """
    if not pa.types.is_decimal128(array.type):
        return array
    begin, shift = divmod(array.offset, 8)  # the bits of what is null begin within a byte
    numbers: Any = np.empty(shift + len(array), np.float64 if array.type.scale else np.int64)
    if len(array):
        words = np.frombuffer(array.buffers()[1], np.int64, 2 * len(array), 16 * array.offset).reshape(-1, 2)
        numbers[shift:] = _floats(array, words) if array.type.scale else _integers(array, words)
    valid = array.buffers()[0].slice(begin) if array.null_count else None
    buffers = [valid, pa.py_buffer(numbers)]
    return pa.Array.from_buffers(number_type(array.type), len(array), buffers, array.null_count, shift)


def _integers(array: Any, words: Array) -> Array:
    for place in np.flatnonzero(words[:, 1] != words[:, 0] >> 63).tolist():
        if array[place].is_valid:
            raise BeyondInt64(place)
    return words[:, 0]


def _floats(array: Any, words: Array) -> Array:
    """The nearest float64 of each decimal, by its two words, the lower one first; any number for a null."""
    low, fits = words[:, 0], words[:, 1] == words[:, 0] >> 63
    scale = array.type.scale
    # The quotient of two numbers that are exact is rounded once.
    floats: Array = low / 10.0**scale
    known = fits & (low >= -LARGEST_EXACT) & (low <= LARGEST_EXACT)
    if scale > _LARGEST_EXACT_SCALE:
        known[:] = False
    if not known.all() and scale <= _LARGEST_LONG_SCALE and np.finfo(np.longdouble).nmant in _LONG_DIGITS:
        # Rounded again, one is the nearest but where it seems to stand in the middle of two: half the space between
        # them, or a quarter of that above a power of two.
        quotients = low / np.longdouble(10) ** scale
        rounded = quotients.astype(np.float64)
        beside, space = np.abs(quotients - rounded), np.spacing(np.abs(rounded))
        floats = np.where(known, floats, rounded)
        known |= fits & (beside != space / 2) & (beside != space / 4)
    for place in np.flatnonzero(~known).tolist():
        floats[place] = float(array[place].as_py() or 0)
    return floats
