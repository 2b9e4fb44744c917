"""Sums that do not depend on threads, chunks or files: blocks in a fixed order, added exactly.

A *block* is a fixed number of rows counted from row 0 of the data set. Inside a block the sum is a balanced tree, the
same on every backend; the sums of blocks are added without rounding, and rounded once at the end.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 4096
BLOCK_VALUES = 1 << 19
_CACHED_VALUES = 1 << 16  # what is made of so many stays in the cache of a core
_MANTISSA_BITS = 53
_HIGH_BITS = 27
_EXACT_COUNT = 1 << (_MANTISSA_BITS - _HIGH_BITS)  # so many halves add up exactly in float64
_MOST_WAITING = 256
_UNIT = 2 * 1074 + _MANTISSA_BITS  # every product of two finite float64, rounded as one, is a multiple of 2**-_UNIT

# Where few values of each wide row are needed, others are read only to see whether the rows are what they should be:
# all of the first values of a data set, at least so many rows, and later one row in so many.
LOOKED_AT_VALUES = 1 << 14
LOOKED_AT_ROWS = 16
LOOKED_AT_ONE_IN = 512

Floats = NDArray[np.float64]


def block_rows(width: int) -> int:
    """Rows of a block for rows of `width` values: 4096, fewer where a block would exceed half a million values.

    It depends on the shape of the data alone, so that the sums do not depend on how the data is read.
    """
    rows = BLOCK_ROWS
    while rows > 1 and rows * width > BLOCK_VALUES:
        rows //= 2
    return rows


def rows_looked_at_first(width: int) -> int:
    """How many of the first rows of a data set are looked at whole, where each has `width` values."""
    return max(LOOKED_AT_ROWS, -(-LOOKED_AT_VALUES // width))


def tree_sum(values: Floats) -> Floats:
    """Sum over the last axis by halves: the length is padded with zeros to a power of two, then x[i] + x[i + n/2] …

    Works on (…, n), returns (…). The rounding error is at most log2(n) units in the last place of the sum of |x|.
    """
    length = values.shape[-1]
    size = 1 << max(length - 1, 0).bit_length()
    if size != length:
        padded = np.zeros((*values.shape[:-1], size), values.dtype)  # np.pad takes longer
        padded[..., :length] = values
        values = padded
    while size > 1:
        size //= 2
        values = values[..., :size] + values[..., size:]
    return values[..., 0]


def block_sums(values: Floats, rows: int) -> Floats:
    """Tree sum of each block of `rows` values, the last one as long as it is."""
    step = max(1, _CACHED_VALUES // rows) * rows
    sums = []
    for start in range(0, values.size, step):
        part = values[start : start + step]
        whole = part.size // rows * rows
        if whole:
            sums.append(tree_sum(part[:whole].reshape(-1, rows)))
        if part.size > whole:
            sums.append(tree_sum(part[None, whole:]))
    return np.concatenate(sums) if sums else np.empty(0)


class ExactSum:
    """A sum of float64 numbers without any rounding until `value` is asked for: in whatever order they are added.

    Held as one integer in units of the smallest subnormal, so it never overflows; infinities and NaN are kept apart.
    Few numbers wait for others, since adding a thousand takes hardly longer than adding one.
    """

    __slots__ = ("_exact", "_special", "_waiting")

    def __init__(self) -> None:
        self._exact = 0
        self._special = 0.0
        self._waiting: list[Floats] = []

    def add(self, values: Floats | float) -> None:
        """Adds an array of numbers (any shape)."""
        array = np.array(values, np.float64).reshape(-1)
        self._waiting.append(array)
        if array.size > _MOST_WAITING or len(self._waiting) > _MOST_WAITING:
            self._settle()

    def _settle(self) -> None:
        """Adds what waits."""
        if not self._waiting:
            return
        array = np.concatenate(self._waiting)
        self._waiting.clear()
        finite = np.isfinite(array)
        if not finite.all():
            with np.errstate(invalid="ignore"):
                self._special = float(self._special + array[~finite].sum())
            array = array[finite]
        for start in range(0, array.size, _EXACT_COUNT):
            self._add_finite(*np.frexp(array[start : start + _EXACT_COUNT]))

    def add_products(self, a: Floats, b: Floats) -> None:
        """Adds the products of finite numbers, each rounded to 53 bits however large or small it is."""
        for start in range(0, a.size, _EXACT_COUNT):
            mantissas, exponents = np.frexp(a[start : start + _EXACT_COUNT])
            factors, more = np.frexp(b[start : start + _EXACT_COUNT])
            mantissas, least = np.frexp(mantissas * factors)
            self._add_finite(mantissas, exponents + more + least)

    def _add_finite(self, mantissas: Floats, exponents: NDArray[np.int32]) -> None:
        lowest = int(exponents.min())
        exponents = exponents - lowest
        # Two halves of the mantissa, each a whole number that fewer bits than a float64 hold: so are their sums.
        scaled = np.ldexp(mantissas, _HIGH_BITS)
        high = np.trunc(scaled)
        low = np.ldexp(scaled - high, _MANTISSA_BITS - _HIGH_BITS)
        highs, lows = np.bincount(exponents, high), np.bincount(exponents, low)
        for place in np.flatnonzero((highs != 0.0) | (lows != 0.0)).tolist():
            whole = (int(highs[place]) << (_MANTISSA_BITS - _HIGH_BITS)) + int(lows[place])
            self._exact += whole << (place + lowest - _MANTISSA_BITS + _UNIT)

    def over(self, other: ExactSum | int) -> float:
        """The quotient, correctly rounded: neither sum need be a float64. NaN where `other` is 0."""
        self._settle()
        if isinstance(other, ExactSum):
            other._settle()
        count = other << _UNIT if isinstance(other, int) else other._exact
        special = 0.0 if isinstance(other, int) else other._special
        if count == 0 and special == 0.0:
            return math.nan
        if self._special != 0.0 or special != 0.0:
            return self.value / (other if isinstance(other, int) else other.value)
        return _quotient(self._exact, count)

    @property
    def value(self) -> float:
        """The sum, correctly rounded; infinite where it exceeds float64."""
        self._settle()
        if self._special != 0.0:
            return self._special
        return _quotient(self._exact, 1 << _UNIT)


def _quotient(dividend: int, divisor: int) -> float:
    """Of whole numbers of any size, correctly rounded; infinite where it exceeds float64."""
    try:
        return dividend / divisor
    except OverflowError:
        return math.inf if (dividend > 0) == (divisor > 0) else -math.inf
