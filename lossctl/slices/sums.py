"""Sums of rows by a code, in one pass over them and without a loop: as good as sums of each code's rows alone.

A chunk is split, value by value, at a power of two that leaves to the upper parts of a code's rows so few bits that
they add up exactly (Rump, Ogita, Oishi, "Accurate floating-point summation", 2008); what is left is split once more. So
the sum of a piece is good to 2**-70 of its largest value, and pieces are added in pairs of numbers that hold twice as
much.
"""

from __future__ import annotations

import math
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ratio: TypeAlias = tuple[int, int]
"""A number as a fraction of whole ones."""

Number = TypeVar("Number", np.float64, np.int64)

PIECE_ROWS = 1 << 17
"""Looked at together, so that what is made of them stays in the cache."""

LARGE_EXPONENT = 900
SHIFT = 256
"""Numbers beyond 2**LARGE_EXPONENT are halved so often, and their sums with them: nothing overflows on the way."""


def _grown(array: NDArray[Number], size: int) -> NDArray[Number]:
    """The array with zeros up to `size` entries along its last axis."""
    missing = size - array.shape[-1]
    return array if missing <= 0 else np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


class GroupCounts:
    """How many rows each code has."""

    def __init__(self) -> None:
        self.counts = np.zeros(0, np.int64)

    def add(self, codes: Codes, groups: int, chosen: Mask | None = None) -> None:
        """Counts rows, or those `chosen`; codes are below `groups`."""
        self.counts = _grown(self.counts, groups)
        self.counts += np.bincount(codes if chosen is None else codes[chosen], minlength=groups)

    def of(self, code: int) -> int:
        """Of a code, 0 for one that has not come."""
        return int(self.counts[code]) if code < self.counts.size else 0


class GroupSums:
    """The sum of the values of each code; infinities and NaN make of it what arithmetic says."""

    def __init__(self) -> None:
        self._high, self._low, self._special = np.zeros(0), np.zeros(0), np.zeros(0)
        self._shift = 0

    def add(self, codes: Codes, values: Floats, groups: int) -> None:
        """Adds rows, both arrays of shape (rows,); codes are below `groups`."""
        self._high, self._low, self._special = (_grown(each, groups) for each in (self._high, self._low, self._special))
        finite = np.isfinite(values)
        if not finite.all():
            with np.errstate(invalid="ignore"):
                self._special += np.bincount(codes[~finite], values[~finite], groups)
            codes, values = codes[finite], values[finite]
        for start in range(0, values.size, PIECE_ROWS):
            self._add(codes[start : start + PIECE_ROWS], values[start : start + PIECE_ROWS], groups)

    def _add(self, codes: Codes, values: Floats, groups: int) -> None:
        sizes = np.abs(values)
        top = float(sizes.max())
        if top == 0.0:
            return
        if top >= 2.0**LARGE_EXPONENT and not self._shift:
            self._shift = SHIFT
            self._high, self._low = np.ldexp(self._high, -SHIFT), np.ldexp(self._low, -SHIFT)
        if self._shift:
            values, sizes = np.ldexp(values, -SHIFT), np.ldexp(sizes, -SHIFT)
        largest = np.zeros(groups)
        np.maximum.at(largest, codes, sizes)
        bits = values.size.bit_length() + 1
        exponents = np.frexp(largest)[1] + bits
        for _ in range(2):
            anchors = np.ldexp(1.0, exponents)[codes]
            upper = (values + anchors) - anchors
            self._merge(_summed(codes, upper, groups))
            values = values - upper
            exponents = exponents - (52 - bits)
        self._merge(_summed(codes, values, groups))

    def _merge(self, sums: Floats) -> None:
        """Adds without loss: what the sum of two numbers rounds away is a number (Knuth)."""
        total = self._high + sums
        part = total - self._high
        self._low += (self._high - (total - part)) + (sums - part)
        self._high = total

    def of(self, code: int) -> float:
        """The sum of a code, correctly rounded; infinite beyond float64."""
        return self.over(code, (1, 1))

    def over(self, code: int, divisor: Ratio) -> float:
        """The sum of a code divided by a number that is not 0, rounded once; the sum itself need not be a float64."""
        if code >= self._high.size:
            return 0.0
        special = float(self._special[code])
        if special != 0.0:
            return special / (divisor[0] / divisor[1])
        upper, lower = self.ratio(code)
        try:
            return (upper * divisor[1]) / (lower * divisor[0])
        except OverflowError:
            return math.inf if (upper > 0) == (divisor[0] > 0) else -math.inf

    def ratio(self, code: int) -> Ratio:
        """The sum of a code as a fraction; of what is finite."""
        if code >= self._high.size:
            return 0, 1
        high, unit = float(self._high[code]).as_integer_ratio()
        low, fine = float(self._low[code]).as_integer_ratio()
        return (high * fine + low * unit) << self._shift, unit * fine


def _summed(codes: Codes, values: Floats, groups: int) -> Floats:
    return np.bincount(codes, values, groups).astype(np.float64, copy=False)


class GroupMoments:
    """Of pairs (a, b), by code: how many there are, their means, and sums of products of what they differ from these.

    Chunks are merged as in `sample_statistics`: nothing large cancels.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(0)
        self._means = np.zeros((2, 0))
        self._products = np.zeros((3, 0))

    def add(self, codes: Codes, a: Floats, b: Floats, groups: int) -> None:
        """Adds rows, all arrays of shape (rows,); codes are below `groups`."""
        self._counts, self._means, self._products = (
            _grown(each, groups) for each in (self._counts, self._means, self._products)
        )
        for start in range(0, codes.size, PIECE_ROWS):
            piece = slice(start, start + PIECE_ROWS)
            self._add(codes[piece], a[piece], b[piece], groups)

    def _add(self, codes: Codes, a: Floats, b: Floats, groups: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            counts = np.bincount(codes, minlength=groups).astype(np.float64)
            divisors = np.maximum(counts, 1.0)
            means = np.stack([np.bincount(codes, each, groups) / divisors for each in (a, b)])
            from_a, from_b = a - means[0][codes], b - means[1][codes]
            pairs = ((from_a, from_a), (from_a, from_b), (from_b, from_b))
            products = np.stack([np.bincount(codes, x * y, groups) for x, y in pairs])
            steps = means - self._means
            totals = np.maximum(self._counts + counts, 1.0)
            shares = self._counts * (counts / totals)
            crossed = np.stack([steps[0] * steps[0], steps[0] * steps[1], steps[1] * steps[1]])
            self._products = self._products + products + crossed * shares
            self._means = self._means + steps * (counts / totals)
            self._counts = self._counts + counts

    def of(self, code: int, ratio: float) -> tuple[int, float]:
        """(how many pairs a code has, the sum of the squares of a - ratio * b about its mean)."""
        if code >= self._counts.size:
            return 0, 0.0
        aa, ab, bb = self._products[:, code].tolist()
        return int(self._counts[code]), aa - 2.0 * ratio * ab + ratio * ratio * bb
