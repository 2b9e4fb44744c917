"""Exact medians of streams of any length in bounded memory.

Without weights a stream is read once, as a rule: see `brackets.py`. Otherwise it is read again until few candidates are
left. The bits of a float64 from 0 up, read as an integer, are in the order of the numbers. A pass counts how many
numbers share their leading bits; the median is among those of one count, of which the next pass looks at the following
bits. As soon as the candidates fit into memory they are kept and sorted.
"""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from .brackets import Brackets

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_Candidates = tuple[Integers, Integers, Floats | None]
"""(places in the range that is looked at, columns, weights), each of shape (candidates,)."""

MOST_KEPT = 1 << 20
"""Candidates that are kept, of all columns together, and about as many counts at a time."""
_MOST_BRACKETS = 16
"""Columns that are worth a bracket each."""

_BITS = 63  # of a number without its sign
_MOST_BITS_A_PASS, _FEWEST_BITS_A_PASS = 16, 4
_BEYOND = np.iinfo(np.int64).max
# Sums are rounded, and so are weights that were written in decimals: this much of the total is no difference.
_TOLERANCE = 2.0**-50


class Medians:
    """The weighted median of each column of a stream of float64 numbers from 0 up, infinity among them.

    The median is the smallest number at which the weight up to it exceeds half of all; where it is just a half, the
    mean of that number and the next. With equal weights that is the usual median, the mean of the two middle ones of an
    even count. Numbers of weight 0 are absent.

    Feed every pass with `add`; while `end_pass` says so, the same numbers have to come again. Memory: at most 2**20
    candidates or counts with their weights, 24 or 16 bytes each, and a few times a chunk; beyond 65536 columns 16
    counts a column. Passes: one for up to 2**20 numbers, and up to 16 columns without weights, as long as the order of
    the rows says little about the numbers; otherwise up to 16 columns hardly more than two, and at most six.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        fitting = _MOST_BITS_A_PASS - max(0, (columns - 1).bit_length() - 4)
        self._bits = max(fitting, _FEWEST_BITS_A_PASS)
        self._span = _BITS
        self._low = np.zeros(columns, np.int64)
        self._below: list[list[float]] = [[] for _ in range(columns)]
        self._totals: list[float] | None = None
        self.values = np.full(columns, np.nan)
        """The medians, once no other pass is needed; NaN for a column without any weight."""
        self._brackets: list[Brackets] | None = None
        if columns <= _MOST_BRACKETS:
            self._brackets = [Brackets((0.5,), MOST_KEPT // columns) for _ in range(columns)]
        self._start()

    def _start(self) -> None:
        self._kept: list[_Candidates] = []
        self._kept_numbers = 0
        self._counts: _Counts | None = None
        self._above = np.full(self.columns, _BEYOND)

    @property
    def _shift(self) -> int:
        """How many bits are left when those of this pass are known."""
        return max(self._span - self._bits, 0)

    def add(self, values: Floats, weights: Floats | None) -> None:
        """Adds rows of numbers, shape (rows, columns), and the weight of each row, shape (rows,) or None for 1."""
        if weights is not None:
            self._brackets = None
        if self._brackets is not None:
            for column, brackets in enumerate(self._brackets):
                brackets.add(values[:, column])
            return
        if weights is not None and not weights.all():
            present = weights > 0.0
            values, weights = values[present], weights[present]
        found = self._candidates((values + 0.0).view(np.int64), weights)  # + 0.0: a negative zero is zero
        if self._counts is not None:
            self._counts.add(*found)
            return
        self._kept.append(found)
        self._kept_numbers += found[0].size
        if self._kept_numbers > MOST_KEPT:
            self._counts = _Counts(self.columns, self._span - self._shift, self._shift)
            for kept in self._kept:
                self._counts.add(*kept)
            self._kept.clear()

    def _candidates(self, keys: Integers, weights: Floats | None) -> _Candidates:
        """Those of the numbers among which the median is; the least of those above them is kept in mind."""
        if self._span == _BITS:
            columns = np.broadcast_to(np.arange(self.columns), keys.shape).reshape(-1)
            repeated = weights if weights is None or self.columns == 1 else np.repeat(weights, self.columns)
            return keys.reshape(-1), columns, repeated
        place = keys - self._low
        beyond = place >= np.int64(1) << self._span
        least = np.where(beyond, keys, _BEYOND).min(axis=0, initial=_BEYOND)
        self._above = np.minimum(self._above, least)
        inside = np.flatnonzero((place >= 0) & ~beyond)
        rows, columns = np.divmod(inside, self.columns)
        return place.reshape(-1)[inside], columns, None if weights is None else weights[rows]

    def end_pass(self) -> bool:
        """Ends a pass: whether the numbers must come again."""
        if self._brackets is not None:
            return self._leaves_brackets(self._brackets)
        if self._counts is None:
            self._select_from_kept()
            return False
        counts = self._counts
        if self._totals is None:
            self._totals = [counts.weight(column) for column in range(self.columns)]
        for column, total in enumerate(self._totals):
            weights = counts.of(column)
            position = self._middle(column, total, *weights)
            if self._shift == 0:
                following = np.flatnonzero(weights[0][position + 1 :])
                after = self._low[column] + position + 1 + following[0] if following.size else self._above[column]
                self._settle(column, total, self._low[column] + position, after, [w[: position + 1] for w in weights])
            self._low[column] += position << self._shift
            self._below[column] = _exact_pair(self._below[column], *(w[:position] for w in weights))
        self._span = self._shift
        self._start()
        return self._span > 0

    def _leaves_brackets(self, brackets: list[Brackets]) -> bool:
        """Settles what the brackets have found; whether that is not all of it, so that counts have to."""
        self._brackets = None
        for column, of_column in enumerate(brackets):
            found = of_column.neighbours()
            if found is None:
                return of_column.count > 0
            ((low, high),) = found
            self.values[column] = _halfway(low, high) if of_column.count % 2 == 0 else low + 0.0
        return False

    def _select_from_kept(self) -> None:
        places, columns = (np.concatenate([kept[part] for kept in self._kept]) for part in (0, 1))
        parts = [kept[2] for kept in self._kept if kept[2] is not None]
        weights = np.concatenate(parts) if parts else np.ones(len(places))
        order = np.lexsort((places, columns))
        places, weights = places[order], weights[order]
        starts = np.searchsorted(columns[order], np.arange(self.columns + 1))
        for column in range(self.columns):
            part = slice(starts[column], starts[column + 1])
            of_column, keys = weights[part], self._low[column] + places[part]
            total = self._totals[column] if self._totals else math.fsum(of_column)
            if not keys.size:
                continue
            position = self._middle(column, total, of_column)
            after = keys[position + 1] if position + 1 < keys.size else self._above[column]
            self._settle(column, total, keys[position], after, [of_column[: position + 1]])

    def _middle(self, column: int, total: float, *weights: Floats) -> int:
        """The first place at which the weight up to it, that below all places included, is half of the total."""
        below, total = self._below[column], (1.0 - _TOLERANCE) * total
        about = np.cumsum(sum(weights[1:], weights[0])) + math.fsum(below)
        position = min(int(np.searchsorted(2.0 * about, total)), about.size - 1)
        while position > 0 and 2.0 * _sum(below, *(w[:position] for w in weights)) >= total:
            position -= 1
        while position + 1 < about.size and 2.0 * _sum(below, *(w[: position + 1] for w in weights)) < total:
            position += 1
        return position

    def _settle(self, column: int, total: float, key: int, after: int, up_to: list[Floats]) -> None:
        """The median is the number of this key; the mean with that `after` it where half of the weight is up to it."""
        low, high = np.array([key, after], np.int64).view(np.float64).tolist()
        is_half = 2.0 * _sum(self._below[column], *up_to) <= (1.0 + _TOLERANCE) * total and after != _BEYOND
        self.values[column] = _halfway(low, high) if is_half else low


class _Counts:
    """The weight of the numbers that share their bits above the lowest `shift`, as an exact and a small part."""

    def __init__(self, columns: int, bits: int, shift: int) -> None:
        self.bins, self.shift = 1 << bits, shift
        self.sums, self.errors = np.zeros((2, columns, self.bins))

    def add(self, places: Integers, columns: Integers, weights: Floats | None) -> None:
        at = places >> self.shift
        if len(self.sums) > 1:
            at += columns * self.bins
        if weights is None:
            self.sums.reshape(-1)[:] += np.bincount(at, minlength=self.sums.size)
            return
        if not weights.size:
            return
        # Parts of 26 bits, relative to the largest: whole numbers, of which 2**27 add up without rounding.
        exponent = int(np.frexp(weights.max())[1])
        rest = np.ldexp(weights, -exponent)
        for bits in (26, 52):
            part = np.floor(np.ldexp(rest, bits))
            self._accumulate(np.ldexp(np.bincount(at, part, self.sums.size), exponent - bits))
            rest = rest - np.ldexp(part, -bits)
        self._accumulate(np.ldexp(np.bincount(at, rest, self.sums.size), exponent))

    def _accumulate(self, terms: Floats) -> None:
        """Adds to the sums and what they were rounded by to the errors (Knuth's two-sum)."""
        sums, terms = self.sums, terms.reshape(self.sums.shape)
        self.sums = sums + terms
        rounded = self.sums - sums
        self.errors += (sums - (self.sums - rounded)) + (terms - rounded)

    def of(self, column: int) -> tuple[Floats, Floats]:
        return self.sums[column], self.errors[column]

    def weight(self, column: int) -> float:
        return _sum([], *self.of(column))


def _halfway(low: float, high: float) -> float:
    return low + 0.5 * (high - low) if high != low else low + 0.0


def _sum(numbers: list[float], *arrays: Floats) -> float:
    """Correctly rounded."""
    return math.fsum(chain(numbers, *(array.tolist() for array in arrays)))


def _exact_pair(numbers: list[float], *arrays: Floats) -> list[float]:
    """The sum of all, and what is left of it when that is rounded."""
    total = _sum(numbers, *arrays)
    return [total, _sum([*numbers, -total], *arrays)]
