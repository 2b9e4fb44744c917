"""The slice of each row of a chunk, as a code of each slicing: that of its column, or of its columns together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError, visible
from lossctl.slices.levels import MOST_SLICES
from lossctl.slices.sums import GroupCounts
from lossctl.sources.base import SLICE_ROLE, Array

if TYPE_CHECKING:
    from lossctl.slices.levels import Bins, Levels
    from lossctl.slices.slicing import Slicing

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

TABLE_CELLS = 1 << 20
"""Of pairs of codes that are looked up by their place; of more, those that are there are sorted out first."""


class ChunkCodes:
    """The codes of the chunk that was looked at last, and what was counted of all of them."""

    def __init__(self, slicing: Slicing, encoders: Mapping[str, Levels | Bins]) -> None:
        self.slicings = slicing.slicings
        self._encoders = encoders
        self._crossed = [_Crossed(names) for names in self.slicings]
        self._rows = [GroupCounts() for _ in self.slicings]
        self._poisoned = [GroupCounts() for _ in self.slicings]
        self._codes: list[Codes] = []

    def look(self, chunk: Mapping[str, Array]) -> None:
        """Takes the next chunk."""
        found = {name: chunk[f"{SLICE_ROLE}{name}"].reshape(-1) for names in self.slicings for name in names}
        self._codes = [
            crossed.codes([found[name] for name in names])
            for names, crossed in zip(self.slicings, self._crossed, strict=True)
        ]

    def count(self) -> None:
        """Counts the rows of the chunk."""
        for place, rows in enumerate(self._rows):
            rows.add(*self.of(place))

    def of(self, place: int) -> tuple[Codes, int]:
        """(the codes of a slicing, shape (rows,); a number above all of them)."""
        return self._codes[place], self._crossed[place].count or len(self._labels(self.slicings[place][0]))

    def keys(self, place: int) -> list[tuple[str | None, ...]]:
        """What each code of a slicing stands for: the value of each of its columns."""
        labels = [self._labels(name) for name in self.slicings[place]]
        if len(labels) == 1:
            return [(label,) for label in labels[0]]
        return [
            tuple(of_column[code] for of_column, code in zip(labels, codes, strict=True))
            for codes in self._crossed[place].parts()
        ]

    def rows(self, place: int) -> GroupCounts:
        """The rows of each code of a slicing."""
        return self._rows[place]

    def poison(self, rows: Mask) -> None:
        """Says that some rows of the chunk make a value of no meaning."""
        for place, poisoned in enumerate(self._poisoned):
            poisoned.add(*self.of(place), rows)

    def poisoned(self, place: int, code: int) -> bool:
        """Whether such a row is in a slice."""
        return self._poisoned[place].of(code) > 0

    def _labels(self, name: str) -> list[str | None]:
        return self._encoders[name].labels


class _Crossed:
    """Codes of several columns together, two after two; of a single column they are its own."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._pairs = [_Pairs(names) for _ in names[1:]]

    @property
    def count(self) -> int:
        """How many codes there are; 0 of a single column."""
        return len(self._pairs[-1].found) if self._pairs else 0

    def codes(self, columns: Sequence[Codes]) -> Codes:
        found = columns[0]
        for pairs, column in zip(self._pairs, columns[1:], strict=True):
            found = pairs.codes(found, column)
        return found

    def parts(self) -> list[tuple[int, ...]]:
        """The codes of the columns that each code is made of."""
        found: list[tuple[int, ...]] = []
        for pairs in self._pairs:
            before = found
            found = [(*(before[a] if before else (a,)), b) for a, b in pairs.found]
        return found


class _Pairs:
    """A code for each pair of codes that turns up."""

    def __init__(self, names: Sequence[str]) -> None:
        self.found: dict[tuple[int, int], int] = {}
        self._names = names

    def codes(self, first: Codes, second: Codes) -> Codes:
        if not first.size:
            return first
        width = int(second.max()) + 1
        cells = first * width + second
        size = (int(first.max()) + 1) * width
        if size <= TABLE_CELLS:
            there = np.flatnonzero(np.bincount(cells, minlength=size))
            table = np.zeros(size, np.int64)
            table[there] = self._known(there, width)
            return np.asarray(table[cells])
        there, places = np.unique(cells, return_inverse=True)
        found: Codes = self._known(there, width)[places]
        return found

    def _known(self, cells: Codes, width: int) -> Codes:
        pairs = zip((cells // width).tolist(), (cells % width).tolist(), strict=True)
        found = [self.found.setdefault(pair, len(self.found)) for pair in pairs]
        if len(self.found) > MOST_SLICES:
            raise DataError(
                f"the columns {visible(', '.join(self._names))} make more than {MOST_SLICES} slices together",
                hint="cross fewer columns, or cut numbers in intervals with --by NAME:bins=0,10,100",
            )
        return np.array(found, np.int64)
