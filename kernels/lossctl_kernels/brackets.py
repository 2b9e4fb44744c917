"""Exact order statistics of a stream that is read once, as a rule: see `Brackets`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PIECE = 1 << 16
"""Numbers that are looked at together: they stay in the processor's cache meanwhile."""
_LARGEST_SAMPLE = 1 << 18
_DEVIATIONS = 8
"""The place of a quantile in a random sample of n is off by the root of n / 4, or less: so many times that is held."""


class Brackets:
    """The numbers next to quantiles of a stream of float64 numbers, infinities among them and NaN not.

    All numbers are kept while they fit. Then each quantile gets a bracket around the place where it is so far: of what
    lies outside, only the count is known, and a bracket that is full closes in further. A quantile that leaves its
    bracket, as it may where the stream is sorted, is not found; what is found is exact.
    Memory: `most_kept` numbers, twice those of a bracket while it closes in, and a few times 65536.
    """

    def __init__(self, quantiles: Sequence[float], most_kept: int) -> None:
        self.quantiles, self._most_kept = tuple(quantiles), most_kept
        self.count = 0
        """Of the numbers of the stream."""
        self._everything: list[Floats] = []
        self._brackets: list[_Bracket] = []

    def add(self, values: Floats) -> None:
        """Adds numbers, shape (count,)."""
        self.count += values.size
        if self._brackets:
            self._count(values)
        elif self.count <= self._most_kept:
            self._everything.append(values.copy())
        else:
            parts, self._everything = [*self._everything, values], []
            sample = _sample(parts)
            for quantile in self.quantiles:
                bracket = _Bracket(quantile, self._most_kept // len(self.quantiles))
                bracket.close_in(sample, self.count, self.count)
                self._brackets.append(bracket)
            for part in parts:
                self._count(part)

    def _count(self, values: Floats) -> None:
        for start in range(0, values.size, _PIECE):
            for bracket in self._brackets:
                bracket.add(values[start : start + _PIECE])

    def neighbours(self) -> list[tuple[float, float]] | None:
        """Of each quantile q, the numbers at the ranks floor and floor + 1 of q (count - 1), the last at most.

        None if one of them was not found, or of no numbers.
        """
        if not self.count:
            return None
        ranks = [self._ranks(quantile) for quantile in self.quantiles]
        if not self._brackets:
            ordered = np.sort(np.concatenate(self._everything))
            return [(float(ordered[low]), float(ordered[high])) for low, high in ranks]
        found = [bracket.numbers(pair) for bracket, pair in zip(self._brackets, ranks, strict=True)]
        known = [pair for pair in found if pair is not None]
        return known if len(known) == len(found) else None

    def _ranks(self, quantile: float) -> tuple[int, int]:
        below = math.floor(quantile * (self.count - 1))
        return below, min(below + 1, self.count - 1)


class _Bracket:
    """The numbers strictly between `low` and `high`, and how many others are below, and at each of the two."""

    def __init__(self, quantile: float, most_kept: int) -> None:
        self._quantile, self._most_kept = quantile, most_kept
        self._low, self._high = -math.inf, math.inf
        self._count = self._below = self._at_low = self._at_high = self._kept_count = 0
        self._kept: list[Floats] = []
        self._is_lost = False

    def add(self, values: Floats) -> None:
        self._count += values.size
        if self._is_lost:
            return
        self._put(values)
        if self._kept_count > self._most_kept:
            kept, self._kept, self._kept_count = self._kept, [], 0
            self.close_in(_sample(kept), sum(part.size for part in kept), self._count)
            for part in kept:
                self._put(part)
            self._is_lost = 2 * self._kept_count > self._most_kept

    def _put(self, values: Floats) -> None:
        below = values < self._low
        self._below += int(np.count_nonzero(below))
        near = values[~(below | (values > self._high))]  # as a rule few: what follows costs nothing
        at_low, at_high = near == self._low, near == self._high
        self._at_low += int(np.count_nonzero(at_low))
        self._at_high += int(np.count_nonzero(at_high))
        kept = near[~(at_low | at_high)]
        self._kept.append(kept)
        self._kept_count += kept.size

    def close_in(self, sample: Floats, of: int, count: int) -> None:
        """Takes new ends around the quantile of `count` numbers, by a sorted sample `of` those between the old ends."""
        share = sample.size / of
        middle = share * (self._quantile * (count - 1) - self._below - self._at_low)
        slack = 0.5 * _DEVIATIONS * (math.sqrt(sample.size) + share * math.sqrt(count))
        low, high = math.floor(middle - slack), math.ceil(middle + slack)
        if 0 <= low < sample.size and sample[low] > self._low:
            self._below, self._at_low, self._low = self._below + self._at_low, 0, float(sample[low])
        if 0 <= high < sample.size and (end := max(sample[high], math.nextafter(self._low, math.inf))) < self._high:
            self._at_high, self._high = 0, float(end)

    def numbers(self, ranks: Iterable[int]) -> tuple[float, float] | None:
        """The numbers of two ranks among all, from 0; None where one is not in the bracket."""
        inside = [rank - self._below for rank in ranks]
        if self._is_lost or min(inside) < 0 or max(inside) >= self._at_low + self._kept_count + self._at_high:
            return None
        ordered = np.sort(np.concatenate(self._kept))
        low, high = (self._number(ordered, rank - self._at_low) for rank in inside)
        return low, high

    def _number(self, ordered: Floats, rank: int) -> float:
        if rank < 0:
            return self._low
        return float(ordered[rank]) if rank < ordered.size else self._high


def _sample(parts: Sequence[Floats]) -> Floats:
    """Numbers evenly from all parts, sorted."""
    step = 1 + sum(part.size for part in parts) // _LARGEST_SAMPLE
    return np.sort(np.concatenate([part[::step] for part in parts]))
