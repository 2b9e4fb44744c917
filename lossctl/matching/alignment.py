"""Rows of several files matched by key: each row of the predictions with the row of every other file of its key.

Keys are compared by 128 bits at most: whole numbers as they are, in 64, texts and keys of several columns by hashes
with seeds of their own for every run, of which two of a billion keys are alike once in 10**20 runs. Memory: about 35
bytes a row of the predictions while whole numbers are matched, 45 for other keys, then 8 a row of a file whose order
differs. Its values wait in a temporary file in the order of the predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError, UsageError, visible
from lossctl.matching.key_hashes import BothSigns, KeyHasher, Lanes
from lossctl.matching.key_index import KeyIndex, Rows, index_of
from lossctl.matching.rearranged import FilteredReader, RearrangedReader
from lossctl.sources import Reader, Selection
from lossctl.sources.base import KEY_ROLE
from lossctl_kernels.key_tables import ABSENT, REPEATED

if TYPE_CHECKING:
    from lossctl.sources.base import Array

MISSING = ("error", "drop")
SHOWN = 10
CHUNK_ROWS = 1 << 16

_STRANGERS = "are they of the same data, is the key the right one, and written alike (1.0 is not 1)?"


def check_missing(missing: str) -> None:
    """Raises UsageError unless it is a word for what to do about keys without a partner."""
    if missing not in MISSING:
        raise UsageError(f"--missing is {visible(missing)}; it is one of {', '.join(MISSING)}", hint="leave it out")


def key_selections(names: Sequence[str]) -> dict[str, Selection]:
    """The roles of the columns of a key, as a reader takes them. Raises UsageError for a column that is named twice."""
    for name, count in Counter(names).items():
        if count > 1:
            raise UsageError(f"--on names '{visible(name)}' {count} times", hint="name each column of the key once")
    return {f"{KEY_ROLE}{name}": Selection((name,), is_key=True) for name in names}


def aligned(readers: Sequence[Reader], names: Sequence[str], missing: str) -> tuple[list[Reader], list[str]]:
    """(the readers without their keys and in the order of the first, warnings about what was left out).

    Every reader delivers the roles of `key_selections`. `missing` is "error", or "drop" to leave out rows without a
    partner. Raises DataError for a key that stands twice in a file, and for one without a partner.
    """
    roles = list(key_selections(names))
    if len(readers) < 2:
        raise UsageError(f"--on {visible(','.join(names))}: all is in one file, row by row", hint="leave out --on")
    base = readers[0]
    try:
        index, matches = _matched(KeyHasher(readers, roles), readers)
    except BothSigns:
        index, matches = _matched(KeyHasher(readers, roles, both_signs=True), readers)
    faults = [_Faults(base, roles, index.repeated[:SHOWN], len(index.repeated))]
    for match in matches:
        faults.append(_Faults(match.reader, roles, match.repeated, match.repeated_count))
    if missing == "error":
        for match in matches:
            lacking = match.partners < 0
            lacking[index.repeated] = False  # what stands above has the partner
            absent = np.flatnonzero(lacking)
            faults.append(_Faults(base, roles, absent[:SHOWN], len(absent), _path(match.reader)))
            faults.append(_Faults(match.reader, roles, match.extra, match.extra_count, _path(base)))
    _refuse(faults, strangers=any(bool((match.partners < 0).all()) for match in matches))
    del index
    return _in_step(base, matches)


def _in_step(base: Reader, matches: list[_Match]) -> tuple[list[Reader], list[str]]:
    """The readers of the rows that have a partner in every file."""
    kept = np.logical_and.reduce([match.partners >= 0 for match in matches])
    count = int(np.count_nonzero(kept))
    if not count:
        paths = ", ".join([_path(base), *(_path(match.reader) for match in matches)])
        raise DataError(f"no key is in all of {paths}", hint=_STRANGERS)
    readers: list[Reader] = [FilteredReader(base, kept)]
    left_out = {_path(base): (len(kept) - count, len(kept))}
    for match in matches:
        partners = match.partners[kept]
        match.partners = partners
        left_out[_path(match.reader)] = (match.rows - count, match.rows)
        if (np.diff(partners) > 0).all():
            mask = np.zeros(match.rows, np.bool_)
            mask[partners] = True
            readers.append(FilteredReader(match.reader, mask))
        else:
            readers.append(RearrangedReader(match.reader, partners, match.rows))
    warnings = [
        f"{dropped} of {rows} rows of {path} are left out: their keys have no partner"
        for path, (dropped, rows) in left_out.items()
        if dropped
    ]
    return readers, warnings


def _matched(hasher: KeyHasher, readers: Sequence[Reader]) -> tuple[KeyIndex, list[_Match]]:
    """The keys of the first file, and the rows of each of the others that have them."""
    base, *others = readers
    index = index_of(_lanes(hasher, base), hasher.words, next(iter(base.arrays.values())).shape[0])
    return index, [_Match(hasher, index, other) for other in others]


def _lanes(hasher: KeyHasher, reader: Reader) -> Iterator[Lanes]:
    """The keys of a file, a chunk at a time."""
    first = 0
    for chunk in reader.only(hasher.roles, hasher.encoders).chunks(CHUNK_ROWS):
        yield (lanes := hasher.lanes(reader, chunk, first))
        first += len(lanes)


class _Match:
    """For each row of the index the row of a file with its key, -1 where there is none, and what goes wrong."""

    def __init__(self, hasher: KeyHasher, index: KeyIndex, reader: Reader) -> None:
        self.reader = reader
        self.partners: Rows = np.full(index.rows, -1, np.int64)
        self.extra: Rows = np.empty(0, np.int64)
        self.repeated: Rows = np.empty(0, np.int64)
        self.extra_count = self.repeated_count = self.rows = 0
        near = 0
        for lanes in _lanes(hasher, reader):
            found = index.find(lanes, near)
            near = int(found[-1]) + 1
            statuses = index.note(found, self.rows, self.partners)
            if statuses is not None:
                self._add(statuses)
            self.rows += len(lanes)

    def _add(self, statuses: NDArray[np.uint8]) -> None:
        """What is wrong with the next rows of the file."""
        absent, again = (self.rows + np.flatnonzero(statuses == status) for status in (ABSENT, REPEATED))
        self.extra = np.concatenate([self.extra, absent])[:SHOWN]
        self.extra_count += len(absent)
        self.repeated = np.concatenate([self.repeated, again])[:SHOWN]
        self.repeated_count += len(again)


@dataclass(frozen=True)
class _Faults:
    """Rows of a file with keys that are not as they should be: the first of them, and how many there are.

    `absent_from` is the file that does not have the keys; where it is None, they stand in rows above.
    """

    reader: Reader
    roles: Sequence[str]
    rows: Rows
    count: int
    absent_from: str | None = None

    def __str__(self) -> str:
        keys = _keys_at(self.reader, self.roles, self.rows)
        places = [f"'{visible(key, 40)}' ({self.reader.place(self.roles[0], row)})" for row, key in keys.items()]
        more = self.count - len(keys)
        shown = ", ".join(places) + (f" and {more} more" if more else "")
        few = self.count == 1
        if self.absent_from is None:
            said = f"{'row' if few else 'rows'} of {_path(self.reader)} {'repeats' if few else 'repeat'} a key"
        else:
            said = (
                f"{'key' if few else 'keys'} of {_path(self.reader)} {'is' if few else 'are'} not in {self.absent_from}"
            )
        return f"{self.count} {said}: {shown}"


def _refuse(faults: Sequence[_Faults], strangers: bool) -> None:
    """Raises DataError where there are any; with `strangers`, two files have no key in common."""
    found = [each for each in faults if each.count]
    if not found:
        return
    twice = any(each.absent_from is None for each in found)
    hint = _STRANGERS if strangers else "--missing drop leaves out rows without a partner"
    if twice:
        hint = "each key stands once in each file"
    raise DataError("; ".join(str(each) for each in found), hint=hint)


def _keys_at(reader: Reader, roles: Sequence[str], rows: Rows) -> dict[int, str]:
    """The keys of some rows, in ascending order, as text: the file is read again."""
    found: dict[int, str] = {}
    first = 0
    for chunk in reader.only(roles).chunks(CHUNK_ROWS):
        columns: list[Array] = [chunk[role] for role in roles]
        for row in rows[(rows >= first) & (rows < first + len(columns[0]))].tolist():
            found[row] = ", ".join(str(column[row - first]) for column in columns)
        first += len(columns[0])
        if len(found) == len(rows):
            break
    return found


def _path(reader: Reader) -> str:
    return visible(next(iter(reader.arrays.values())).path)
