"""Sums of rows in groups: what resampling needs of a stream of any length, in memory that does not grow with it.

Up to `GROUPS` rows every row is a group of its own, and resampling groups is resampling rows. Of more rows, each is in
a group that is drawn for it by its number and the seed. Groups drawn so are exchangeable whatever the order of the
rows, which consecutive blocks are not: flipping the signs of whole groups is as exact a test as flipping those of rows,
and resampling them has the variance and the skewness that resampling rows has, up to noise of the drawing, which
changes a standard error by about 1 / sqrt(2 GROUPS), a third of a percent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lossctl_kernels.value_hashes import spread

GROUPS = 1 << 16

Floats = NDArray[np.float64]


def group_of(rows: NDArray[np.uint64], seed: int, groups: int) -> NDArray[np.int64]:
    """The group of each row: a hash of its number (SplitMix64), of `groups`, which is a power of two."""
    start = np.uint64((seed * 0xD1342543DE82EF95 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF)
    mixed = spread((rows + start) * np.uint64(0x9E3779B97F4A7C15))
    return (mixed & np.uint64(groups - 1)).astype(np.int64)


class ResamplingSums:
    """Sums of several columns by group. The bits depend on the rows and the seed, not on how they are cut in chunks."""

    def __init__(self, columns: int, seed: int, groups: int = GROUPS) -> None:
        self.rows = 0
        self._seed, self._groups = seed, groups
        self._sums = np.zeros((columns, groups))

    def add(self, values: Floats) -> None:
        """Takes the next rows, shape (columns, rows)."""
        room = max(self._groups - self.rows, 0)
        self._add(values[:, :room])
        self._add(values[:, room:])

    def _add(self, values: Floats) -> None:
        first, count = self.rows, values.shape[1]
        if not count:
            return
        self.rows += count
        if self.rows <= self._groups:
            self._sums[:, first : self.rows] = values
            return
        if first <= self._groups:  # from here on groups are shared, by the rows before too
            own, self._sums = self._sums, np.zeros_like(self._sums)
            self._spread(own[:, :first], 0)
        self._spread(values, first)

    def _spread(self, values: Floats, first: int) -> None:
        groups = group_of(np.arange(first, first + values.shape[1], dtype=np.uint64), self._seed, self._groups)
        for sums, column in zip(self._sums, values, strict=True):
            np.add.at(sums, groups, column)  # one row after the other: chunks make no difference

    @property
    def sums(self) -> Floats:
        """Shape (columns, groups): the groups that may hold rows."""
        return self._sums[:, : min(self.rows, self._groups)]
