"""Many files as one data set: a folder, a glob or a list of shards, in natural order."""

from __future__ import annotations

import glob
import math
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain, islice, repeat
from typing import Any, TypeAlias

from lossctl.errors import DataError, UsageError, reason_of, visible
from lossctl.sources.ahead import WorkedAhead, reading_threads, worked
from lossctl.sources.base import Array, ArrayInfo, KeyEncoder, Reader, is_remote
from lossctl.sources.input_file import changed, faults_of, state_of
from lossctl.sources.opening import is_glob
from lossctl_kernels.records import replace

_INTEGER = re.compile(r"-?[0-9]{1,18}")
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


def shard_paths(path: str) -> list[str]:
    """The files in natural order: part-2 before part-10; those of a list in its order. Raises DataError for none."""
    if is_remote(path):
        from lossctl.sources.remote import remote_paths

        return sorted(remote_paths(path) or [path], key=natural_key)
    if os.path.isdir(path):
        return _files_below(path)
    if "," in path and not is_glob(path):
        names = path.split(",")
        if "" in names:
            raise UsageError(f"the list of files '{visible(path)}' has an empty name", hint="write a.npy,b.npy")
        return names
    matches = glob.glob(path, recursive=True)
    found = [_regular(each) for each in matches if not os.path.isdir(each)]
    if "**" in path:
        found = _each_once(found)
    if matches and not found:
        raise DataError(
            f"'{visible(path)}' matches {len(matches)} folder{'s' if len(matches) > 1 else ''} and no file",
            hint=f"name the files in them, such as '{visible(os.path.join(path, '*'))}', or list the folders: a,b",
        )
    if not found:
        raise DataError(f"no file matches '{visible(path)}'", hint="check the folder, and quote the pattern")
    return sorted(found, key=natural_key)


def _each_once(paths: Sequence[str]) -> list[str]:
    """The files that `**` finds, without those that it finds again: through a link to a folder, or by a second one."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(paths, key=lambda each: (len(each), each)):
        folder, name = os.path.split(path)
        found.setdefault((os.path.realpath(folder), name), path)
    return list(found.values())


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Numbers in a name count as numbers."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((1, int(part)) if part.isdigit() and part.isascii() else (0, part) for part in parts)


def hive_constants(shards: Sequence[str], root: str) -> dict[str, dict[str, int | str]]:
    """For each shard in folders named key=value below `root`, its keys; nothing where there are no such folders.

    A key whose values are whole numbers in all shards is a number. Raises DataError where shards have different keys.
    """
    found: dict[str, dict[str, str]] = {}
    for shard in shards:
        folders = os.path.relpath(os.path.dirname(shard), root).split(os.sep)
        pairs = [_key_and_value(folder) for folder in folders if "=" in folder]
        found[shard] = dict(pairs)
        if len(found[shard]) < len(pairs):
            raise DataError(
                f"{visible(shard)} stands in two folders of one key: {', '.join(visible(key) for key, _ in pairs)}",
                hint="each key has one value: move the file",
            )
    first = found[shards[0]]
    for shard, keys in found.items():
        if list(keys) != list(first):
            raise DataError(
                f"{visible(shard)} stands in other folders of key=value than {visible(shards[0])}",
                hint="all files of a partitioned data set have the same keys",
            )
    if not first:
        return {}
    whole = {key for key in first if all(_INTEGER.fullmatch(keys[key]) for keys in found.values())}
    return {
        shard: {key: int(text) if key in whole else text for key, text in keys.items()} for shard, keys in found.items()
    }


def _key_and_value(folder: str) -> tuple[str, str]:
    """Of the name of a folder, in which what writes it puts %3D for what has a meaning in names of files."""
    from urllib.parse import unquote_to_bytes

    key, value = folder.split("=", 1)
    try:
        return os.fsencode(key).decode(), unquote_to_bytes(os.fsencode(value)).decode()
    except UnicodeDecodeError:
        raise DataError(f"the name of the folder '{visible(folder)}' is not UTF-8", hint="rename it") from None


def _files_below(folder: str) -> list[str]:
    found = []
    try:
        for place, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [each for each in folders if not is_hidden(each)]
            found += [_regular(os.path.join(place, name)) for name in names if not name.startswith((".", "_"))]
    except OSError as error:
        raise DataError(f"cannot read the folder {visible(folder)}: {reason_of(error)}") from error
    if not found:
        raise DataError(f"the folder {visible(folder)} holds no files", hint="name a folder of shards")
    return sorted(found, key=lambda each: natural_key(os.path.relpath(each, folder)))


def is_hidden(folder: str) -> bool:
    """Whether what writes tables keeps its notes in a folder: one of a key may begin with _ as well."""
    return folder.startswith(".") or (folder.startswith("_") and "=" not in folder)


def _regular(path: str) -> str:
    """A file found in a folder. Raises DataError for a pipe: nobody said that something is written to it."""
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            return path
    except OSError:  # said when it is opened
        return path
    raise DataError(f"{visible(path)} is a pipe, not a file", hint="name it alone, or in a list a,b")


def _raise(error: OSError) -> None:
    raise error


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
