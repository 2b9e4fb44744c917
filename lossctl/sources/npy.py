"""NPY: the header is checked against the file before anything is allocated, the data are mapped a window at a time."""

from __future__ import annotations

import io
import math
import mmap
import tokenize
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources.arrays import array_place, check_dtype, deliver, dtype_name
from lossctl.sources.base import Array, ArrayInfo, Reader, Selection, option
from lossctl.sources.input_file import InputFile

# NumPy's own limit for headers that it parses from files of others.
_MAX_HEADER_BYTES = 10_000

# Mapped at once, for one chunk after the other: to map and to unmap stops all threads for a moment.
_WINDOW_BYTES = 32 << 20

# What NumPy's parser lets through for a malformed header, which goes to ast.literal_eval and tokenize.
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    tokenize.TokenError,
)


def open_npy(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of one NPY array, of shape (N, …), which is one role's. Versions 1 to 3; pickles are never loaded."""
    role, *others = roles
    if others:
        raise UsageError(
            f"{file.name} holds one array, not both {role} and {' and '.join(others)}", hint="name a file for each"
        )
    if roles[role].columns is not None:
        raise UsageError(f"{file.name} is an array without column names", hint=f"leave out {option(role, 'col')}")
    return _NpyReader(file, role)


class _NpyReader(Reader):
    def __init__(self, file: InputFile, role: str) -> None:
        self._file = file
        self._role = role
        self._shape, fortran, self._dtype, self._start = _read_header(file)
        check_dtype(self._dtype, file.name)
        _check_shape(file, self._shape, self._dtype, self._start)
        self._row_shape = self._shape[1:]
        self._row_items = math.prod(self._row_shape)
        # Along a single axis the two orders are the same bytes.
        self._column_major = fortran and sum(size > 1 for size in self._shape) > 1
        self.arrays = {role: ArrayInfo(file.path, "npy", (), self._shape, dtype_name(self._dtype))}

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        row_bytes = self._row_items * self._dtype.itemsize
        read, window_rows = self._transposed, rows
        if not self._column_major:
            read, window_rows = self._mapped, rows * max(1, _WINDOW_BYTES // (rows * row_bytes))
        for first in range(0, self._shape[0], window_rows):
            window = read(first, min(window_rows, self._shape[0] - first))
            for start in range(0, len(window), rows):
                # Touching a page beyond the end of a file that shrank kills the process: its size is checked before.
                self._file.check_unchanged()
                chunk = window[start : start + rows]
                if chunk.dtype == np.bool_:
                    self._check_bools(chunk, first + start)
                yield {self._role: deliver(chunk)}
            # No view of this window is held here while the next is read: it goes when the consumer lets go of it.
            del window, chunk
        self._file.check_unchanged()

    def _mapped(self, start: int, rows: int) -> Array:
        """`rows` rows as a view of their own memory map, which is unmapped with the last view of it."""
        offset = self._start + start * self._row_items * self._dtype.itemsize
        length = rows * self._row_items * self._dtype.itemsize
        # A map begins at a multiple of the page size.
        before = offset % mmap.ALLOCATIONGRANULARITY
        with self._file.faults():
            window = mmap.mmap(self._file.fileno(), before + length, access=mmap.ACCESS_READ, offset=offset - before)
        flat = np.frombuffer(window, self._dtype, rows * self._row_items, before)
        return flat.reshape(rows, *self._row_shape)

    def _transposed(self, start: int, rows: int) -> Array:
        """`rows` rows of an array in Fortran order: a piece of every column, read and turned around."""
        columns = np.empty((self._row_items, rows), self._dtype)
        for position, column in enumerate(columns):
            offset = self._start + (position * self._shape[0] + start) * self._dtype.itemsize
            self._file.read_into(offset, memoryview(column.view(np.uint8)))
        return columns.reshape(*reversed(self._row_shape), rows).T

    def _check_bools(self, chunk: Array, start: int) -> None:
        """NumPy takes any byte for a bool, and arithmetic then takes it for what it is."""
        found = chunk.view(np.uint8) > 1
        if found.any():
            index = np.argwhere(found)[0]
            column = int(np.ravel_multi_index(tuple(index[1:]), self._row_shape)) if len(index) > 1 else None
            raise DataError(
                f"{self.place(self._role, start + int(index[0]), column)}: a bool is the byte 0 or 1, not "
                f"{chunk.view(np.uint8)[tuple(index)]}",
                hint="the file is damaged: write it again",
            )

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return array_place(self._file.name, row, column, self._shape)

    def close(self) -> None:
        self._file.close()


def _read_header(file: InputFile) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran order, dtype, and where the data begin."""
    head = file.read_at(0, _MAX_HEADER_BYTES + 12)
    version = tuple(head[6:8])
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise _malformed(file, f"format version {'.'.join(map(str, version))}; known are 1.0, 2.0 and 3.0")
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width + length
    if start > file.size:
        raise DataError(
            f"{file.name} is truncated: its header ends at byte {start}, the file has {file.size}",
            hint="write the file again",
        )
    if length > _MAX_HEADER_BYTES:
        raise _malformed(file, f"a header of {length} bytes; allowed are {_MAX_HEADER_BYTES}")
    # Version 3.0 differs from 2.0 in the encoding of field names, and arrays with fields are refused.
    parse = npy_format.read_array_header_1_0 if width == 2 else npy_format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            # A header written by Python 2 is read all the same.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = parse(io.BytesIO(head[8:start]))
    except _HEADER_ERRORS as error:
        raise _malformed(file, visible(error)) from error
    return shape, fortran, dtype, start


def _check_shape(file: InputFile, shape: tuple[int, ...], dtype: np.dtype[Any], start: int) -> None:
    """Refuses a shape that is none, and one whose data are not exactly the rest of the file."""
    # Not shown: an integer of thousands of digits cannot be printed.
    if any(type(size) is not int or not 0 <= size < 2**63 for size in shape):
        raise _malformed(file, "a shape that no array has")
    if not shape:
        raise DataError(f"{file.name} is a single number (shape ())", hint="save an array of one element")
    if len(shape) > 32:
        raise _malformed(file, f"{len(shape)} dimensions; allowed are 32")
    if 0 in shape[1:]:
        raise DataError(f"{file.name} has no values: shape {shape}", hint="was the right array saved?")
    expected = start + math.prod(shape) * dtype.itemsize
    if file.size < expected:
        raise DataError(
            f"{file.name} is truncated: header says {expected} bytes, file has {file.size}", hint="write the file again"
        )
    if file.size > expected:
        raise DataError(
            f"{file.name} is too long: header says {expected} bytes, file has {file.size}",
            hint="it may be several files joined, or cut from a larger one: write it again",
        )


def _malformed(file: InputFile, found: str) -> DataError:
    return DataError(f"{file.name} has a malformed NPY header: {found}", hint="write the file again with np.save")
