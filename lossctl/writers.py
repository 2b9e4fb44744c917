"""Arrays written while they are computed: per-sample losses and gradients, chunk by chunk, in NPY, CSV, TSV or Parquet.

    with open_array_writer("grad.npy", (10,), "float64") as writer:
        for chunk in chunks:
            writer.write(chunk)

The file appears, whole, when the block ends; when it raises, nothing is left. Memory is bounded by the chunk.
"""

from __future__ import annotations

import csv
import io
import os
from abc import abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lossctl.errors import UsageError, visible
from lossctl.files import OutputFile, PathText, WholeOrNothing, is_direct

if TYPE_CHECKING:
    import pyarrow as pa

# What a row group of Parquet holds: small chunks do not become small row groups.
ROW_GROUP_BYTES = 16 << 20


class ArrayWriter(WholeOrNothing):
    """One array on its way to a file; the first axis grows with every chunk.

    `shape_tail` is the shape of one row, () for one number a row; `dtype` is float32 or float64; `rows` counts the rows
    written. `in_order` tells whether a format is written from its first byte to its last, as a pipe needs it.
    """

    in_order: ClassVar[bool] = False

    def __init__(self, path: PathText, shape_tail: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path = os.fspath(path)
        self.shape_tail = shape_tail
        self.dtype = np.dtype(dtype)
        self.rows = 0
        # Before it is opened: opening a pipe waits for its reader.
        if not self.in_order and is_direct(self.path):
            raise UsageError(
                f"cannot write '{visible(self.path)}': this format needs a regular file, not a pipe or a device",
                hint="use .csv or .tsv",
            )
        self._output = OutputFile(path)
        try:
            with self._output.faults():
                self._begin()
        except BaseException:
            self._output.abort()
            raise

    def write(self, chunk: NDArray[Any]) -> None:
        """Appends `chunk`, shape (rows, *shape_tail), converted to the dtype of the file.

        The chunk may be reused afterwards. Raises EnvironmentFault when the disk is full or fails.
        """
        if chunk.shape[1:] != self.shape_tail:
            raise ValueError(f"a chunk of shape {chunk.shape} does not continue rows of shape {self.shape_tail}")
        with self._output.faults():
            self._append(np.ascontiguousarray(chunk, dtype=self.dtype))
        self.rows += len(chunk)

    def commit(self) -> None:
        """Completes the file and gives it its name. Raises EnvironmentFault, and leaves nothing, when that fails."""
        try:
            with self._output.faults():
                self._end()
        except BaseException:
            self.abort()
            raise
        self._output.commit()

    def abort(self) -> None:
        """Gives up: no file is left, and one that was there before is as it was."""
        self._output.abort()

    @abstractmethod
    def _begin(self) -> None:
        """Writes what comes before the first row."""

    @abstractmethod
    def _append(self, chunk: NDArray[Any]) -> None:
        """Writes rows: C-contiguous, in the dtype of the file."""

    @abstractmethod
    def _end(self) -> None:
        """Writes what comes after the last row."""


class NpyWriter(ArrayWriter):
    """NPY: the header is written for no rows, and again, over itself, for as many as there were."""

    def _begin(self) -> None:
        self._write_header()

    def _append(self, chunk: NDArray[Any]) -> None:
        self._output.handle.write(chunk.data)

    def _end(self) -> None:
        self._output.handle.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        # NumPy pads the header so that its length does not depend on the length of the first axis.
        header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, *self.shape_tail)}
        np.lib.format.write_array_header_1_0(self._output.handle, header)


class TableWriter(ArrayWriter):
    """A format of named columns: one for () rows, one an entry for (columns,) rows."""

    def __init__(
        self, path: PathText, shape_tail: tuple[int, ...], dtype: DTypeLike, column_names: tuple[str, ...]
    ) -> None:
        if len(shape_tail) > 1:
            sizes = ", ".join(str(size) for size in ("rows", *shape_tail))
            raise UsageError(
                f"cannot write '{visible(path)}': an array of shape ({sizes}) is not a table", hint="write it to .npy"
            )
        width = shape_tail[0] if shape_tail else 1
        default = ("grad",) if width == 1 else tuple(f"grad_{column}" for column in range(width))
        self.column_names = column_names or default
        if len(self.column_names) != width:
            raise ValueError(f"{len(self.column_names)} names for {width} columns")
        super().__init__(path, shape_tail, dtype)

    def _batch(self, rows: NDArray[Any]) -> pa.RecordBatch:
        """`rows`, shape (rows, columns), as columns of Arrow."""
        import pyarrow as pa

        # From the bytes: pa.array would import pandas, for 0.35 s.
        buffers = [pa.py_buffer(np.ascontiguousarray(column)) for column in rows.T]  # type: ignore[arg-type]
        kind = self._schema.field(0).type
        return pa.record_batch(
            [pa.Array.from_buffers(kind, len(rows), [None, buffer]) for buffer in buffers], schema=self._schema
        )

    @cached_property
    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([pa.field(name, pa.from_numpy_dtype(self.dtype)) for name in self.column_names])


class DelimitedWriter(TableWriter):
    """CSV and TSV with a header; numbers are the shortest text that reads back as the same number of the dtype."""

    in_order = True

    def __init__(
        self,
        path: PathText,
        shape_tail: tuple[int, ...],
        dtype: DTypeLike,
        column_names: tuple[str, ...],
        delimiter: str,
    ) -> None:
        self._delimiter = delimiter
        super().__init__(path, shape_tail, dtype, column_names)

    def _begin(self) -> None:
        header = io.StringIO(newline="")
        csv.writer(header, delimiter=self._delimiter, lineterminator="\n").writerow(self.column_names)
        self._output.handle.write(header.getvalue().encode("utf-8", "surrogateescape"))

    def _append(self, chunk: NDArray[Any]) -> None:
        import pyarrow as pa
        from pyarrow.csv import WriteOptions, write_csv

        if not len(chunk):
            return
        # Into memory first: a failed write is then ours to see, not Arrow's to wrap.
        text = pa.BufferOutputStream()
        options = WriteOptions(include_header=False, delimiter=self._delimiter, quoting_style="none")
        write_csv(self._batch(chunk.reshape(len(chunk), -1)), text, options)
        self._output.handle.write(text.getvalue())

    def _end(self) -> None:
        """Nothing: the last line ends like the others."""


class ParquetWriter(TableWriter):
    """Parquet, with a checksum on every page, in row groups of `ROW_GROUP_BYTES` whatever the chunks."""

    def _begin(self) -> None:
        from pyarrow import parquet

        columns = len(self.column_names)
        group_rows = max(1, ROW_GROUP_BYTES // (columns * self.dtype.itemsize))
        self._group = np.empty((group_rows, columns), self.dtype, order="F")
        self._group_rows = 0
        # Losses hardly repeat: a dictionary of them would be built in vain.
        self._writer = parquet.ParquetWriter(
            self._output.handle, self._schema, use_dictionary=False, write_page_checksum=True
        )

    def _append(self, chunk: NDArray[Any]) -> None:
        rows = chunk.reshape(len(chunk), len(self.column_names))
        while len(rows):
            taken = rows[: len(self._group) - self._group_rows]
            self._group[self._group_rows : self._group_rows + len(taken)] = taken
            self._group_rows += len(taken)
            rows = rows[len(taken) :]
            if self._group_rows == len(self._group):
                self._write_group()

    def _end(self) -> None:
        if self._group_rows:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        batch = self._batch(self._group[: self._group_rows])
        self._writer.write_batch(batch, row_group_size=self._group_rows)
        self._group_rows = 0

    def abort(self) -> None:
        """As for every writer."""
        # Arrow's writer would try to finish the file when it is collected: it does so now, while there is one.
        with suppress(OSError):
            self._writer.close()
        self._writer.is_open = False
        super().abort()


EXTENSIONS = (".npy", ".csv", ".tsv", ".parquet")


def open_array_writer(
    path: PathText, shape_tail: tuple[int, ...], dtype: DTypeLike, column_names: tuple[str, ...] = ()
) -> ArrayWriter:
    """A writer for rows of shape `shape_tail`, in the format that the extension of `path` names.

    `column_names` name the columns of a table, by default "grad" or "grad_0", "grad_1", …; NPY has no names. Raises
    UsageError for an unknown extension, a path that cannot be a file, or rows that do not fit the format;
    EnvironmentFault where the machine refuses.
    """
    match os.path.splitext(os.fspath(path))[1].lower():
        case ".npy":
            return NpyWriter(path, shape_tail, dtype)
        case ".csv":
            return DelimitedWriter(path, shape_tail, dtype, column_names, ",")
        case ".tsv":
            return DelimitedWriter(path, shape_tail, dtype, column_names, "\t")
        case ".parquet":
            return ParquetWriter(path, shape_tail, dtype, column_names)
    raise UsageError(
        f"cannot write an array to '{visible(path)}': its extension names no format",
        hint=f"the extensions are {', '.join(EXTENSIONS)}",
    )
