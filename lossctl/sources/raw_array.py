"""An array that stands in a file as it does in memory: mapped a window at a time, read, or turned around."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np

from lossctl.errors import DataError
from lossctl.sources.ahead import WorkedAhead
from lossctl.sources.arrays import array_place, deliver, dtype_name
from lossctl.sources.base import Array, ArrayInfo, Reader, Selection
from lossctl.sources.bus_errors import may_map, watch
from lossctl.sources.input_file import InputFile
from lossctl_kernels.records import replace

# Mapped at once, for one chunk after the other: to map and to unmap stops all threads for a moment.
_WINDOW_BYTES = 32 << 20

# In Fortran order, to ask for a piece of such a column takes longer than to read all of it, and others with it.
_SHORT_COLUMN_BYTES = 16 << 10
_SLAB_BYTES = 1 << 20

_CHUNKS_AHEAD = 2
"""Of those that are read: one is being read while the one before it waits for its turn."""

_LAST_CHARACTER = 0x10FFFF
_SURROGATES = 0xD800, 0xDFFF


class RawArrayReader(Reader):
    """An array of `shape` and `dtype` whose values begin at byte `start` of a file.

    `array` is its name, where the file has several. `bfloat16` says that its two-byte integers are the upper halves of
    float32 numbers, as which they are delivered.
    """

    def __init__(
        self,
        file: InputFile,
        role: str,
        format: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        start: int,
        *,
        column_major: bool = False,
        array: str | None = None,
        bfloat16: bool = False,
        text: Selection | None = None,
    ) -> None:
        self._file, self._role, self._shape, self._dtype, self._start = file, role, shape, dtype, start
        self._bfloat16 = bfloat16
        self._reading: list[WorkedAhead[int, Array]] = []
        self._text = text if text is not None and text.is_text else None
        self._file_shape, self._row_shape = shape, shape[1:]
        self._row_items = math.prod(self._row_shape)
        # Along a single axis the two orders are the same bytes.
        self._column_major = column_major and sum(size > 1 for size in shape) > 1
        named = () if array is None else (array,)
        self.arrays = {role: ArrayInfo(file.path, format, named, shape, self._delivered_name())}

    def _delivered_name(self) -> str:
        if self._text is not None:
            if self._text.encoder is not None:
                return self._text.encoder.dtype
            return "int64" if self._text.classes is not None or self._dtype.kind != "U" else "object"
        return "float32" if self._bfloat16 else dtype_name(self._dtype)

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        for first, window in self._windows(rows):
            for start in range(0, len(window), rows):
                # What has been overwritten since the file was opened would be used without a word.
                self._file.check_unchanged()
                chunk = window[start : start + rows]
                if chunk.dtype == np.bool_:
                    self._check_bools(chunk, first + start)
                yield {self._role: self._delivered(chunk, first + start)}
            # No view of this window is held here while the next is read: it goes when the consumer lets go of it.
            del window, chunk
        self._file.check_unchanged()

    def _windows(self, rows: int) -> Iterator[tuple[int, Array]]:
        """Consecutive rows, and the first of them: mapped several chunks at a time, or each read ahead by a thread."""
        if not self._column_major and may_map() and self._can_be_mapped():
            watch(self._file)
            step = rows * max(1, _WINDOW_BYTES // (rows * self._row_items * self._dtype.itemsize))
            for first in range(0, self._shape[0], step):
                yield first, self._mapped(first, min(step, self._shape[0] - first))
            return
        read = self._transposed if self._column_major else self._copied

        def chunk_at(first: int) -> Array:
            return read(first, min(rows, self._shape[0] - first))

        if self._shape[0] <= rows:
            if self._shape[0]:
                yield 0, chunk_at(0)  # without a thread, which something small does not repay
            return
        ahead = WorkedAhead(chunk_at, iter(range(0, self._shape[0], rows)), 1, _CHUNKS_AHEAD)
        self._reading.append(ahead)
        try:
            yield from ahead
        finally:
            self._reading.remove(ahead)

    def _delivered(self, chunk: Array, start: int) -> Array:
        if self._text is None:
            return _widened(chunk) if self._bfloat16 else deliver(chunk)
        from lossctl.sources.text import text_array

        if chunk.dtype.kind == "U":
            self._check_characters(chunk, start)
        return text_array(chunk, self._text, lambda row: self.place(self._role, start + row))

    def _can_be_mapped(self) -> bool:
        """Some file systems let their files be read alone."""
        try:
            mmap.mmap(self._file.fileno(), 1, access=mmap.ACCESS_READ).close()
        except (OSError, ValueError):  # or it has just been emptied, which reading it will find
            return False
        return True

    def _mapped(self, start: int, rows: int) -> Array:
        """`rows` rows as a view of their own memory map, which is unmapped with the last view of it."""
        offset = self._file.offset + self._start + start * self._row_items * self._dtype.itemsize
        length = rows * self._row_items * self._dtype.itemsize
        # A map begins at a multiple of the page size.
        before = offset % mmap.ALLOCATIONGRANULARITY
        with self._file.faults():
            window = mmap.mmap(self._file.fileno(), before + length, access=mmap.ACCESS_READ, offset=offset - before)
        flat = np.frombuffer(window, self._dtype, rows * self._row_items, before)
        return flat.reshape(rows, *self._row_shape)

    def _copied(self, start: int, rows: int) -> Array:
        """`rows` rows, read."""
        return self._fill(np.empty((rows, *self._row_shape), self._dtype), start * self._row_items)

    def _transposed(self, start: int, rows: int) -> Array:
        """`rows` rows of an array in Fortran order, turned around: a piece of every column, or short ones whole."""
        total = self._shape[0]
        columns = np.empty((self._row_items, rows), self._dtype)
        if total * self._dtype.itemsize > _SHORT_COLUMN_BYTES:
            for position, column in enumerate(columns):
                self._fill(column, position * total + start)
        else:
            step = _SLAB_BYTES // (total * self._dtype.itemsize or 1)
            for first in range(0, self._row_items, step):
                whole = np.empty((min(step, self._row_items - first), total), self._dtype)
                columns[first : first + step] = self._fill(whole, first * total)[:, start : start + rows]
        return columns.reshape(*reversed(self._row_shape), rows).T

    def _fill(self, values: Array, first: int) -> Array:
        """`values` with what stands in the file from number `first` on."""
        buffer = memoryview(values.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        self._file.read_into(self._start + first * self._dtype.itemsize, buffer)
        return values

    def _check_characters(self, chunk: Array, start: int) -> None:
        """NumPy takes any number for a character, and Python some of them for none."""
        codes = np.ascontiguousarray(chunk).view(np.dtype(np.uint32).newbyteorder(chunk.dtype.byteorder))
        wrong = (codes > _LAST_CHARACTER) | ((codes >= _SURROGATES[0]) & (codes <= _SURROGATES[1]))
        if wrong.any():
            row = start + int(np.argwhere(wrong)[0][0])
            raise DataError(f"{self.place(self._role, row)}: the text is not Unicode", hint="write the file again")

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

    def merged(self, axes: int) -> Reader | None:
        if self._column_major or self._text is not None:
            return None
        other = copy(self)
        other._shape = (math.prod(self._shape[:axes]), *self._shape[axes:])
        other._row_shape = other._shape[1:]
        other._row_items = math.prod(other._row_shape)
        info = self.arrays[self._role]
        other.arrays = {self._role: replace(info, shape=other._shape)}
        return other

    def place(self, role: str, row: int, column: int | None = None) -> str:
        if len(self._shape) < len(self._file_shape):
            index = row * self._row_items + (column or 0)
            row, column = divmod(index, math.prod(self._file_shape[1:]))
        return array_place(self._file.name, row, column, self._file_shape)

    def close(self) -> None:
        for ahead in self._reading:  # no thread reads a descriptor that has become another file's
            ahead.close()
        self._file.close()


def _widened(halves: Array) -> Array:
    """bfloat16 numbers, held as integers, as float32: exactly."""
    return (halves.astype(np.uint32) << 16).view(np.float32)
