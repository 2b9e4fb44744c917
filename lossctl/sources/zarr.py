"""Zarr: arrays of a store in a folder, read a slice at a time with zarr (the extra `zarr`)."""

from __future__ import annotations

import math
import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import zarr

from lossctl.errors import DataError, LossctlError, visible
from lossctl.sources.arrays import array_place, check_dtype, deliver, dtype_name, names_or_numbers, pieces, rechunk
from lossctl.sources.base import Array, ArrayInfo, OtherKind, Reader, Selection
from lossctl.sources.containers import check_no_marks, marks_of_gaps, open_container
from lossctl.sources.input_file import changed, check_machine, hold
from lossctl.sources.text import delivered_text, text_array
from lossctl.sources.zarr_codecs import Decoded, guarded, most_bytes

_MOST_CHUNK_BYTES = 1 << 30
_ANY = 7
"""Stands for any index where the name of a chunk's file is asked for."""

_METADATA = frozenset({"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"})


def open_zarr(path: str, roles: dict[str, Selection]) -> Reader:
    """A reader of arrays of a Zarr store; those of groups by their path. A store that is one array has no names."""
    name = visible(path)
    _check_metadata(path)
    with zarr_faults(name):
        store = zarr.open(path, mode="r")
    if isinstance(store, zarr.Array):
        role, *others = roles
        if others:
            raise DataError(f"{name} is one array, not both {role} and {' and '.join(others)}")
        with zarr_faults(name):
            return _ArrayReader(path, name, store, role, "", roles[role])
    with zarr_faults(name):
        return open_container(name, _Arrays(path, name, store), roles)


def zarr_contents(path: str) -> list[str] | None:
    """The paths of the arrays; None of a store that is one array."""
    _check_metadata(path)
    with zarr_faults(visible(path)):
        store = zarr.open(path, mode="r")
        return None if isinstance(store, zarr.Array) else list(_Arrays(path, visible(path), store).names())


def _check_metadata(path: str) -> None:
    """Raises DataError where what describes an array is no file: the library would wait for a pipe's other end."""
    for folder, _, names in os.walk(path):
        for name in _METADATA.intersection(names):
            if not os.path.isfile(place := os.path.join(folder, name)):
                raise DataError(f"{visible(place)} is no file", hint="write the store again")


class _Arrays:
    def __init__(self, path: str, name: str, group: Any) -> None:
        self._path, self._name = path, name
        with warnings.catch_warnings():  # the library says on stderr which files are none of its own
            warnings.simplefilter("ignore")
            members = list(group.members(max_depth=None))
        # The library finds them in another order each time.
        self._arrays = {each: array for each, array in sorted(members) if isinstance(array, zarr.Array)}

    def names(self) -> Sequence[str]:
        return list(self._arrays)

    def reader(self, role: str, name: str, selection: Selection) -> Reader:
        with zarr_faults(f"{self._name}, array '{visible(name)}'"):
            return _ArrayReader(self._path, self._name, self._arrays[name], role, name, selection)

    def close(self) -> None:
        """Nothing is open between reads."""


class _ArrayReader(Reader):
    def __init__(self, path: str, store: str, array: Any, role: str, name: str, selection: Selection) -> None:
        self._store, self._role = store, role
        self._label = f"{store}, array '{visible(name)}'" if name else store
        selection = names_or_numbers(selection, array.dtype, array.shape)
        self._text = selection if selection.is_text else None
        self._folder = os.path.join(path, array.path)
        self._check(array)
        self._decoded = Decoded()
        self._array = guarded(array, self._decoded)
        columns = (name,) if name else ()
        dtype = dtype_name(array.dtype) if self._text is None else delivered_text(self._text, array.dtype)
        self.arrays = {role: ArrayInfo(path, "zarr", columns, array.shape, dtype)}

    def _check(self, array: Any) -> None:
        if any(getattr(codec, "codec_id", None) == "pickle" for codec in _codecs(array)):
            raise DataError(
                f"{self._label} holds pickles, which are never loaded", hint="save it without an object codec"
            )
        if self._text is None or array.dtype.kind != "T":  # texts of any length
            check_dtype(array.dtype, self._label, self._text)
        if not array.shape:
            raise OtherKind(
                f"{self._label} is a single number (shape ())", "a single number", hint="save an array of one element"
            )
        if 0 in array.shape[1:]:
            raise DataError(f"{self._label} has no values: shape {array.shape}", hint="was the right array saved?")
        chunk = float(np.prod(array.chunks, dtype=np.float64)) * array.dtype.itemsize
        if chunk > _MOST_CHUNK_BYTES:
            raise DataError(
                f"{self._label} has chunks of {chunk:.0f} bytes; allowed are {_MOST_CHUNK_BYTES}",
                hint="write it again with smaller chunks",
            )
        self._marks = marks_of_gaps(array.attrs, self._label)
        self._state = _state(self._folder)
        hold(self._folder, self._label, self._state)
        self._check_written(array)

    def _check_written(self, array: Any) -> None:
        """Of chunks without a file the library makes its filler: there must be a file for each chunk, or shard."""
        pieces = zip(array.shape, array.shards or array.chunks, strict=True)
        grid = [-(-size // step) for size, step in pieces]
        # The library would look for each chunk of the shape, which may say anything.
        key = array.metadata.encode_chunk_key((_ANY,) * len(grid))
        found = dict(_files_of_chunks(self._folder, key, grid))
        if missing := math.prod(grid) - len(found):
            raise _unwritten(self._label, missing, math.prod(grid))
        # The library reads all of a file, however large it is.
        chunks = math.prod(array.shards) // math.prod(array.chunks) if array.shards else 1
        most = chunks * most_bytes(array.chunks, array.dtype)
        if (size := max(found.values(), default=0)) > most:
            raise DataError(
                f"{self._label} has a chunk of {size} bytes, and at most {most} fit its shape",
                hint="write the store again",
            )

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(rows), rows)

    def _parts(self, rows: int) -> Iterator[dict[str, Array]]:
        row_bytes = self._array.dtype.itemsize * math.prod(self._array.shape[1:])
        for start, stop in pieces(self._array.shape[0], self._array.chunks[0], row_bytes, rows):
            with zarr_faults(f"{self._label}, from row {start} on,"):
                chunk = self._read(start, stop)
            if self._text is not None:
                yield {self._role: text_array(chunk, self._text, self._where(start))}
                continue
            check_no_marks(chunk, self._marks, self._where(start))
            yield {self._role: deliver(chunk)}
        if _state(self._folder) != self._state:  # a chunk that is gone has been read as the filler
            raise changed(self._label)

    def _read(self, start: int, stop: int) -> Array:
        before = self._decoded.chunks
        values: Array = np.asarray(self._array[start:stop])
        if self._decoded.shape is not None:  # chunks of shards have no files of their own
            first, *others = self._decoded.shape
            columns = (-(-size // step) for size, step in zip(self._array.shape[1:], others, strict=True))
            wanted = (-(-stop // first) - start // first) * math.prod(columns)
            if missing := wanted - (self._decoded.chunks - before):
                raise _unwritten(f"{self._label}, from row {start} on", missing, wanted)
        return values

    def _where(self, start: int) -> Callable[[int], str]:
        """Where the rows of a chunk stand that begins at row `start`."""
        return lambda row: self.place(self._role, start + row)

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return array_place(self._label, row, column, self._array.shape)

    def close(self) -> None:
        """Nothing is open between reads."""


def _codecs(array: Any) -> tuple[Any, ...]:
    """What makes the file of a chunk, one after the other."""
    return (*array.filters, array.serializer, *array.compressors)


def _unwritten(name: str, missing: int, chunks: int) -> DataError:
    return DataError(
        f"{name}: {missing} of {chunks} chunks were never written",
        hint="write all of them, with write_empty_chunks=True: what is missing would be read as its fill value",
    )


def _files_of_chunks(folder: str, key: str, grid: list[int]) -> Iterator[tuple[tuple[int, ...], int]]:
    """The chunks of a grid that have a file, with its size; `key` names that of the chunk at `_ANY` on each axis."""
    pattern = re.compile(re.escape(key).replace(str(_ANY), "(0|[1-9][0-9]*)"))
    for path, status in _files_below(folder):
        found = pattern.fullmatch(os.path.relpath(path, folder))
        index = tuple(map(int, found.groups())) if found else ()
        if index and all(each < size for each, size in zip(index, grid, strict=True)):
            yield index, status.st_size


def _state(folder: str) -> int:
    """Another number, but for a chance in 2**64, where any of the files of an array has changed, come or gone."""
    states = ((path, status.st_ino, status.st_size, status.st_mtime_ns) for path, status in _files_below(folder))
    return sum(map(hash, states))  # of many chunks, without a list of them


def _files_below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with suppress(OSError):  # it is gone meanwhile
                status = os.stat(path)
                if stat.S_ISREG(status.st_mode):
                    yield path, status


@contextmanager
def zarr_faults(name: str) -> Iterator[None]:
    """Turns what zarr and its codecs raise for a damaged store into ours: they have no common class."""
    try:
        yield
    except LossctlError:
        raise
    except Exception as error:
        check_machine(error, name)
        raise DataError(
            f"{name} is damaged or uses what is not supported: {visible(error) or type(error).__name__}",
            hint="write the store again",
        ) from error
