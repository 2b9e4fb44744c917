"""Numbers as a file has them in the float dtype that a loss takes: every value as it is, or an error."""

from __future__ import annotations

import numpy as np

from lossctl.errors import DataError
from lossctl.sources.base import Array
from lossctl_kernels.conversions import FLOATS, LARGEST_EXACT, compiled_conversion, recipe_of

_CACHED_VALUES = 1 << 15

_COMPILED_VALUES = 1 << 16
"""What repays looking for compiled code."""


class TooLarge(DataError):
    """An integer of the array of a role that no float holds."""

    def __init__(self, path: str, value: int, role: str) -> None:
        super().__init__(
            f"{path}: integers beyond 2**53 are not exact in float64, found {value}",
            hint="rescale them, or save floating-point numbers",
        )
        self.role = role


def exact(array: Array, dtype: str, path: str, role: str, threads: int = 0) -> Array:
    """The array in a float dtype, C-contiguous, with every value unchanged; `threads` run compiled code if it is there.

    Raises TooLarge.
    """
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8:
        return np.ascontiguousarray(array, dtype=dtype)
    given = array.reshape(-1)
    converted = _compiled(given, dtype, threads)
    if converted is None:
        converted = _in_pieces(given, dtype, path, role)
    return converted.reshape(array.shape)


def _compiled(given: Array, dtype: str, threads: int) -> Array | None:
    """None where there is no code for it at hand, and where an integer is too large."""
    fits = given.dtype == np.int64 and dtype in FLOATS and given.flags.c_contiguous and given.flags.aligned
    if not threads or not fits or given.size < _COMPILED_VALUES:
        return None
    from lossctl_kernels.roads import is_at_hand

    if not is_at_hand(recipe_of(dtype)):
        return None
    converted, is_exact = compiled_conversion(given, dtype, threads)
    return converted if is_exact else None


def _in_pieces(given: Array, dtype: str, path: str, role: str) -> Array:
    """In pieces that stay in a core's cache between the look and the conversion."""
    converted = np.empty(given.size, dtype)
    for start in range(0, given.size, _CACHED_VALUES):
        piece = given[start : start + _CACHED_VALUES]
        low, high = int(piece.min()), int(piece.max())  # Python's integers: neither sign nor width can wrap
        if low < -LARGEST_EXACT or high > LARGEST_EXACT:
            raise TooLarge(path, high if high > LARGEST_EXACT else low, role)
        converted[start : start + _CACHED_VALUES] = piece
    return converted
