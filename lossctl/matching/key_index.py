"""Where the keys of a file stand: by sorting where there are few, by a compiled hash table where there are many."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from lossctl.matching.key_hashes import Lanes
from lossctl_kernels.key_tables import ABSENT, MOST_ROWS, REPEATED, KeyTable, can_compile, paired

Rows = NDArray[np.int64]


class KeyIndex(ABC):
    """The rows of a file by their keys. `repeated` are the rows with a key that stands above them, ascending."""

    rows: int
    repeated: Rows

    @abstractmethod
    def find(self, lanes: Lanes, near: int) -> Rows:
        """The row of each key, -1 for one that is not there. `near` is where the first of them may be."""

    @abstractmethod
    def note(self, found: Rows, first: int, partners: Rows) -> NDArray[np.uint8] | None:
        """Makes the rows of another file from `first` on the partners of the rows `found` that have none.

        The status of each: `ABSENT` where nothing was found, `REPEATED` where there is a partner; None where all is
        well.
        """


def index_of(parts: Iterable[Lanes], words: int, rows: int | None) -> KeyIndex:
    """The index of the keys of a file, of so many words, in parts; `rows` is how many there are, where it is known."""
    room = np.empty((rows or 0, words), np.uint64)
    count = 0
    for part in parts:
        if count + len(part) > len(room):
            # In place where the system can: to put parts together would take all of it twice.
            room.resize((count + max(len(part), count // 8), words), refcheck=False)
        room[count : count + len(part)] = part
        count += len(part)
    lanes = room[:count]
    return _Table(lanes) if count <= MOST_ROWS and can_compile(count) else _Sorted(lanes)


class _Table(KeyIndex):
    """A hash table."""

    def __init__(self, lanes: Lanes) -> None:
        self.rows = len(lanes)
        self._table = KeyTable(lanes, secrets.randbits(64))
        self.repeated = np.flatnonzero(self._table.repeats) if self._table.repeated else np.empty(0, np.int64)

    def find(self, lanes: Lanes, near: int) -> Rows:
        return self._table.find(lanes, near)

    def note(self, found: Rows, first: int, partners: Rows) -> NDArray[np.uint8] | None:
        return paired(found, first, partners)


class _Sorted(KeyIndex):
    """Keys in ascending order."""

    def __init__(self, lanes: Lanes) -> None:
        self.rows = len(lanes)
        self._high, self._low = _halves(lanes)
        self._order: Rows = np.argsort(self._high)
        self._sorted = self._high[self._order]
        if (self._sorted[1:] == self._sorted[:-1]).any():
            # Rarely, and three times as slow: the low halves matter, and equal keys stay in the order of the file.
            self._order = np.lexsort((self._low, self._high))
        self.repeated = self._rows_that_repeat()

    def _rows_that_repeat(self) -> Rows:
        alike = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
        before, after = self._order[alike], self._order[alike + 1]
        return np.sort(after[self._low[before] == self._low[after]])

    def find(self, lanes: Lanes, near: int) -> Rows:
        high, low = _halves(lanes)
        here = slice(near, near + len(lanes))
        if not self.repeated.size and _alike(self._high[here], high) and _alike(self._low[here], low):
            return np.arange(near, near + len(lanes))
        found = np.full(len(lanes), -1, np.int64)
        # In ascending order, so that what is looked at is in a core's cache from the search before.
        left = np.argsort(high)
        at = np.searchsorted(self._sorted, high[left])
        while left.size:  # once more for keys that share a half with another
            inside = at < self.rows
            left, at = left[inside], at[inside]
            rows = self._order[at]
            alike = self._sorted[at] == high[left]
            hit = alike & (self._low[rows] == low[left])
            found[left[hit]] = rows[hit]
            again = alike & ~hit
            left, at = left[again], at[again] + 1
        return found

    def note(self, found: Rows, first: int, partners: Rows) -> NDArray[np.uint8] | None:
        statuses = np.where(found < 0, ABSENT, 0).astype(np.uint8)
        known = np.flatnonzero(found >= 0)
        places, rows = found[known], first + known
        again = partners[places] >= 0
        before = partners[places[again]]
        partners[places[::-1]] = rows[::-1]  # of several with one key, the first is the last to be noted
        partners[places[again]] = before
        statuses[known[partners[places] != rows]] = REPEATED
        return statuses if statuses.any() else None


def _halves(lanes: Lanes) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Those of each key, side by side; of a key of one word, both are that word."""
    first = lanes[:, 0].copy()
    return first, first if lanes.shape[1] == 1 else lanes[:, 1].copy()


def _alike(some: NDArray[np.uint64], others: NDArray[np.uint64]) -> bool:
    return bool(some.shape == others.shape and (some == others).all())
