"""Many files as one data set, read one after the other."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice, repeat
from typing import Any, TypeAlias

from lossctl.errors import DataError, visible
from lossctl.sources.ahead import WorkedAhead, reading_threads, worked
from lossctl.sources.base import Array, ArrayInfo, KeyEncoder, Reader, is_remote
from lossctl.sources.input_file import changed, faults_of, state_of
from lossctl_kernels.records import replace

_TEXT_FORMATS = ("csv", "tsv", "jsonl")

_PART_BYTES = 8 << 20
"""Of a shard that is read ahead of its turn, about; one that is known to be larger has its turn first."""

_FAR_THREADS = 6
"""That wait for servers: more would hold memory."""

_LEAST_TEXT_BYTES = 128 << 10
"""Of files of text, on average, that are worth threads: smaller ones wait for one another."""

_Chunks: TypeAlias = Iterator[dict[str, Array]]
_Told: TypeAlias = dict[int, tuple[int, Mapping[str, ArrayInfo]]]
"""How many rows each shard turned out to have, and what its arrays are."""


class ShardedReader(Reader):
    """Readers of one file after the other. `open_shard` opens one; each is open only while it is read."""

    def __init__(self, path: str, shards: Sequence[str], open_shard: Callable[[str], Reader]) -> None:
        self._path, self._shards, self._open = path, list(shards), open_shard
        self._is_far = is_remote(self._shards[0])
        # Before anything is read of them: what comes between is told at the end of a pass.
        self._states = [_state(shard) for shard in self._shards]
        described = [self._arrays_of(self._shards[0])]
        self._threads = self._threads_for(next(iter(described[0].values())).format)
        rest = worked(self._arrays_of, islice(self._shards, 1, None), self._threads)
        described += [arrays for _, arrays in rest]
        self._rows = [next(iter(arrays.values())).shape[0] for arrays in described]
        # What rows are like is told by the first shard that has any.
        model = next((index for index, count in enumerate(self._rows) if count != 0), 0)
        for index, arrays in enumerate(described):
            self._check_alike(index, arrays, model, described[model])
        told = [arrays for arrays, count in zip(described, self._rows, strict=True) if count != 0] or described
        self._dtypes = {role: _common_dtype(path, role, [arrays[role] for arrays in told]) for role in described[0]}
        self.arrays = self._describe(described[model])
        self._begun: tuple[_Told, WorkedAhead[int, _Chunks | None] | None] | None = None

    def only(self, roles: Collection[str], encoders: Mapping[str, KeyEncoder] | None = None) -> Reader:
        part = copy(self)
        part._open = lambda shard: self._open(shard).only(roles, encoders)
        part._begun = None
        part.arrays = {role: info for role, info in self.arrays.items() if role in roles}
        return part

    def _arrays_of(self, shard: str) -> dict[str, ArrayInfo]:
        with self._open(shard) as reader:
            return dict(reader.arrays)

    def _threads_for(self, format: str) -> int:
        """How many threads open and read shards ahead of their turn: far ones are waited for, and text takes work.

        None for the others, which are mapped, or decoded by threads of their own.
        """
        if self._is_far:
            return _FAR_THREADS
        sizes = [size for size, *_ in self._states]
        gains = format in _TEXT_FORMATS and sum(sizes) >= len(sizes) * _LEAST_TEXT_BYTES
        return reading_threads() if gains else 0

    def _describe(self, first: Mapping[str, ArrayInfo]) -> dict[str, ArrayInfo]:
        rows = None if None in self._rows else sum(count for count in self._rows if count is not None)
        return {
            role: replace(info, path=self._path, shape=(rows, *info.shape[1:]), dtype=self._dtypes[role])
            for role, info in first.items()
        }

    def _check_alike(
        self, index: int, found: Mapping[str, ArrayInfo], model: int, alike: Mapping[str, ArrayInfo]
    ) -> None:
        shard, other = visible(self._shards[index]), visible(self._shards[model])
        for role, info in found.items():
            wanted = alike[role]
            if info.shape[1:] != wanted.shape[1:] and self._rows[index] != 0:
                raise DataError(
                    f"{shard} has rows of shape {info.shape[1:]}, {other} of {wanted.shape[1:]}",
                    hint="shards of one data set have rows alike",
                )
            if info.columns != wanted.columns:
                raise DataError(
                    f"{shard} has the {role} columns {', '.join(map(visible, info.columns[:20]))}, "
                    f"{other} {', '.join(map(visible, wanted.columns[:20]))}",
                    hint="shards of one data set have the same columns in the same order",
                )

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        from lossctl.sources.arrays import rechunk

        return rechunk(self._parts(rows), rows)

    def begin(self) -> None:
        if self._begun is None:
            self._begun = self._start()

    def _start(self) -> tuple[_Told, WorkedAhead[int, _Chunks | None] | None]:
        """A pass, and shards that threads read ahead; None in their place where that does not pay."""
        told: _Told = {}
        if not self._threads:
            return told, None
        row_bytes = sum(_row_bytes(info) for info in self.arrays.values())
        part_rows = max(1, _PART_BYTES // row_bytes)
        large = [(count or 0) > part_rows for count in self._rows]

        def ahead(index: int) -> _Chunks | None:
            if large[index] and not self._is_far:
                return None
            chunks = self._read(told, index, part_rows)
            return chain(list(islice(chunks, 2)), chunks)  # of what is text, there may be more than these

        # A large one is decoded by threads of its own.
        threads = 2 if any(large) else self._threads
        return told, WorkedAhead(ahead, iter(range(len(self._shards))), threads, threads + 1)

    def _parts(self, rows: int) -> _Chunks:
        (told, begun), self._begun = self._begun or self._start(), None
        for index, chunks in begun or zip(range(len(self._shards)), repeat(None)):
            yield from self._read(told, index, rows) if chunks is None else chunks
            # What is mapped may have been written to since it was read ahead.
            _check_unchanged(self._shards[index], self._states[index])
        counts, described = zip(*(told[index] for index in range(len(self._shards))), strict=True)
        self._rows = list(counts)
        last = next(
            (arrays for count, arrays in zip(reversed(counts), reversed(described), strict=True) if count), None
        )
        self.arrays = self._describe(last or self.arrays)

    def _read(self, told: _Told, index: int, rows: int) -> _Chunks:
        """One shard."""
        shard, count = self._shards[index], 0
        _check_unchanged(shard, self._states[index])
        try:
            with self._open(shard) as reader:
                for chunk in reader.chunks(rows):
                    count += len(next(iter(chunk.values())))
                    yield {role: self._converted(role, array) for role, array in chunk.items()}
                told[index] = count, reader.arrays
        except DataError:
            _check_unchanged(shard, self._states[index])  # what has just been written anew is not damaged
            raise

    def _converted(self, role: str, array: Array) -> Array:
        """Float32 shards beside float64 ones become float64; whole numbers of text keep what they are."""
        return array.astype("float64") if self._dtypes[role] == "float64" and array.dtype.name == "float32" else array

    def place(self, role: str, row: int, column: int | None = None) -> str:
        for shard, count in zip(self._shards, self._counted(), strict=True):
            if row < count:
                with self._open(shard) as reader:
                    return reader.place(role, row, column)
            row -= count
        raise IndexError(f"row {row} beyond the last shard")

    def _counted(self) -> Iterator[int]:
        """The rows of each shard; those of text are counted by reading it."""
        for shard, count in zip(self._shards, self._rows, strict=True):
            if count is not None:
                yield count
                continue
            with self._open(shard) as reader:
                yield sum(len(next(iter(chunk.values()))) for chunk in reader.chunks(1 << 16))

    def close(self) -> None:
        """Each shard is open only while it is read."""
        if self._begun is not None and self._begun[1] is not None:
            self._begun[1].close()


def _row_bytes(info: ArrayInfo) -> int:
    import numpy as np

    return int(np.dtype(info.dtype).itemsize * math.prod(size or 1 for size in info.shape[1:]))


def _check_unchanged(shard: str, state: tuple[int, int, int, int]) -> None:
    if _state(shard) != state:
        raise changed(visible(shard))


def _state(shard: str) -> tuple[int, int, int, int]:
    if is_remote(shard):
        return 0, 0, 0, 0  # held to its version by whoever reads it
    with faults_of(visible(shard)):
        return state_of(os.stat(shard))


def _common_dtype(path: str, role: str, infos: list[ArrayInfo]) -> str:
    """The dtype of all shards of a role. Raises DataError where they hold different kinds of numbers."""
    import numpy as np

    dtypes: dict[Any, ArrayInfo] = {np.dtype(info.dtype).newbyteorder("="): info for info in infos}
    kinds = {dtype.kind for dtype in dtypes}
    text = infos[0].format in _TEXT_FORMATS
    if len(kinds) > 1 and not (text and "b" not in kinds):
        found = ", ".join(str(dtype) for dtype in dtypes)
        raise DataError(f"{visible(path)}: the shards hold {role}s of several types: {found}", hint="write them alike")
    return np.result_type(*dtypes).name
