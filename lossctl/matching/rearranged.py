"""Readers that deliver some rows of another, or its rows in another order."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from lossctl.sources import ArrayInfo, Reader
from lossctl.sources.arrays import delivered_dtype, rechunk
from lossctl.sources.base import KEY_ROLE, Array
from lossctl.sources.input_file import InputFile
from lossctl.sources.raw_array import RawArrayReader
from lossctl.sources.spool import reserved
from lossctl.values.conversion import exact
from lossctl_kernels.records import replace

CHUNK_BYTES = 4 << 20
TOUCHED_BYTES = 128 << 20
"""What may be in memory of the pages of a temporary file that rows were written to."""


class _Derived(Reader):
    """The roles of another reader that are no keys, each of `rows` rows."""

    def __init__(self, reader: Reader, rows: int) -> None:
        roles = [role for role in reader.arrays if not role.startswith(KEY_ROLE)]
        self._reader, self._rows = reader.only(roles), rows
        self.arrays = self._described()

    def _described(self) -> dict[str, ArrayInfo]:
        return {
            role: replace(info, shape=(self._rows, *info.shape[1:]))
            for role, info in self._reader.arrays.items()
            if not role.startswith(KEY_ROLE)
        }

    def close(self) -> None:
        self._reader.close()


class FilteredReader(_Derived):
    """The rows of a reader where `mask`, of all its rows, is true."""

    def __init__(self, reader: Reader, mask: NDArray[np.bool_]) -> None:
        self._mask = None if mask.all() else mask
        super().__init__(reader, int(np.count_nonzero(mask)))

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        yield from rechunk(self._kept(rows), rows)
        self.arrays = self._described()

    def _kept(self, rows: int) -> Iterator[dict[str, Array]]:
        first = 0
        for chunk in self._reader.chunks(rows):
            part = {role: chunk[role] for role in self.arrays}
            count = len(next(iter(part.values())))
            mask = None if self._mask is None else self._mask[first : first + count]
            first += count
            yield part if mask is None else {role: array[mask] for role, array in part.items()}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        own = row if self._mask is None else int(np.flatnonzero(self._mask)[row])
        return self._reader.place(role, own, column)


class RearrangedReader(_Derived):
    """Row `partners[i]` of a reader of `rows` rows as row i: its values are copied once, to temporary files."""

    def __init__(self, reader: Reader, partners: NDArray[np.int64], rows: int) -> None:
        super().__init__(reader, len(partners))
        self._partners = partners
        self._copies: dict[str, RawArrayReader] = {}
        self._copy(rows)

    def _copy(self, rows: int) -> None:
        places = np.full(rows, -1, np.int64)
        places[self._partners] = np.arange(len(self._partners))
        targets = {role: _Target(role, info) for role, info in self.arrays.items()}
        try:
            values = sum(math.prod(size or 1 for size in info.shape[1:]) for info in self.arrays.values())
            first = 0
            for chunk in self._reader.chunks(max(1, CHUNK_BYTES // (8 * values))):
                count = len(next(iter(chunk.values())))
                at = places[first : first + count]
                for role, target in targets.items():
                    target.put(at, chunk[role])
                first += count
            self._copies = {role: target.reader(role) for role, target in targets.items()}
        except BaseException:
            for target in targets.values():
                target.discard()
            raise

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        streams = [copy.chunks(rows) for copy in self._copies.values()]
        for parts in zip(*streams, strict=True):
            yield {role: array for part in parts for role, array in part.items()}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._reader.place(role, int(self._partners[row]), column)

    def close(self) -> None:
        super().close()
        for copy in self._copies.values():
            copy.close()


class _OwnFile(InputFile):
    """A file that nobody else can write to."""

    def check_unchanged(self) -> None:
        """It is not: when a system notes the time of what was written by a map is its own affair."""


class _Target:
    """A temporary file of an array that is written row by row, in any order."""

    def __init__(self, role: str, info: ArrayInfo) -> None:
        self._role, self._info = role, info
        self._dtype = delivered_dtype(np.dtype(info.dtype))
        self._shape = tuple(int(size or 0) for size in info.shape)
        self._row_bytes = self._dtype.itemsize * math.prod(self._shape[1:])
        size = self._row_bytes * self._shape[0]
        self._handle = reserved(info.path, size)
        self._map = mmap.mmap(self._handle.fileno(), size)
        self._rows: Array | None = np.frombuffer(self._map, self._dtype).reshape(self._shape)
        self._touched, self._may_stay = 0, size <= TOUCHED_BYTES

    def put(self, places: NDArray[np.int64], values: Array) -> None:
        """Writes each row at its place; one of -1 is left out."""
        if self._rows is None:
            raise ValueError("the file is complete")
        if values.dtype != self._dtype:  # whole numbers of a text table that goes over into decimals
            values = exact(values, self._dtype.name, self._info.path, self._role)
        step = max(1, TOUCHED_BYTES // (self._row_bytes + mmap.PAGESIZE))
        for start in range(0, len(places), step):
            at = places[start : start + step]
            chosen = at >= 0
            self._rows[at[chosen]] = values[start : start + step][chosen]
            self._touched += len(at)
            if not self._may_stay and self._touched >= step:
                self._map.madvise(mmap.MADV_DONTNEED)  # they are in the file
                self._touched = 0

    def reader(self, role: str) -> RawArrayReader:
        """What was written."""
        self._unmap()
        file = _OwnFile(self._info.path, self._handle)
        return RawArrayReader(file, role, self._info.format, self._shape, self._dtype, 0)

    def discard(self) -> None:
        self._unmap()
        self._handle.close()

    def _unmap(self) -> None:
        self._rows = None
        self._map.close()
