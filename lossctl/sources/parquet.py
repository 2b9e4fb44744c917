"""Parquet: the columns needed, by threads that each decode a row group, every page with a checksum held to it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources.ahead import reading_threads, worked_ahead
from lossctl.sources.arrays import deliver, rechunk, stack_columns
from lossctl.sources.arrow import from_arrow
from lossctl.sources.base import Array, ArrayInfo, Reader, Selection, option
from lossctl.sources.input_file import InputFile
from lossctl.sources.selection import check_names, select_columns

# Decoded at once: enough to repay a call, however many columns share it.
_BATCH_VALUES = 1 << 20
_BATCH_ROWS = 1 << 16

# A column of a row group is read whole, or through a buffer where the row group is larger than this. The buffer takes
# the word of a page's header for its size, so that a damaged one can claim 2 GB: it is for those that need it.
_WHOLE_BYTES = 256 << 20
_BUFFER_BYTES = 1 << 20

# Row groups up to this size, decoded, are held by threads that work ahead, a few at a time; larger ones pass batch by
# batch.
_GROUP_BYTES = 32 << 20
_AHEAD_BYTES = 128 << 20


class _Column(NamedTuple):
    """A column of numbers: the dtype of the file, and how many a row where it holds lists, else 0."""

    dtype: np.dtype[Any]
    width: int


def open_parquet(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of a column of numbers (N,), of several (N, M), or of a column of lists of equal length (N, M)."""
    return _ParquetReader(file, roles)


class _Tables:
    """A table of its own for each thread that asks, over one open file: Arrow's readers are not to be shared."""

    def __init__(self, path: str) -> None:
        # A name that is not UTF-8 goes as bytes, of which the stubs do not know.
        self._source = pa.OSFile(os.fsencode(path), "r")  # type: ignore[arg-type]
        self.metadata = parquet.ParquetFile(self._source, pre_buffer=False).metadata
        groups = (self.metadata.row_group(each).total_byte_size for each in range(self.metadata.num_row_groups))
        self._buffer_bytes = _BUFFER_BYTES if max(groups, default=0) > _WHOLE_BYTES else 0
        self._of_thread = threading.local()

    def here(self) -> parquet.ParquetFile:
        """The table of this thread."""
        if not hasattr(self._of_thread, "table"):
            self._of_thread.table = parquet.ParquetFile(
                self._source,
                metadata=self.metadata,
                # Arrow holds what it has pre-buffered of all row groups until the end.
                pre_buffer=False,
                buffer_size=self._buffer_bytes,
                page_checksum_verification=True,
            )
        table: parquet.ParquetFile = self._of_thread.table
        return table

    def close(self) -> None:
        self._source.close()


class _ParquetReader(Reader):
    def __init__(self, file: InputFile, roles: dict[str, Selection]) -> None:
        self._file = file
        with self._faults():
            self._tables = _Tables(file.path)
            self._schema = self._tables.here().schema_arrow
            names = list(self._schema.names)
        self._group_rows = self._check_rows()
        self._first_rows = list(accumulate(self._group_rows, initial=0))
        self._rows = self._first_rows[-1]
        check_names(file.name, names)
        self._selected = select_columns(file.name, names, roles)
        # Every name once, in the order of the file.
        wanted = {name for columns in self._selected.values() for name in columns}
        self._columns = {name: self._inspect(name) for name in names if name in wanted}
        self.arrays = {role: self._describe(role) for role in roles}

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(), rows)

    def _parts(self) -> Iterator[dict[str, Array]]:
        rows = 0
        for part in self._decoded():
            yield part
            rows += len(next(iter(part.values())))
        if rows != self._rows:
            raise DataError(f"{self._file.name} is damaged: its footer says {self._rows} rows, its pages hold {rows}")
        self._file.check_unchanged()

    def _decoded(self) -> Iterator[dict[str, Array]]:
        groups = range(len(self._group_rows))
        row_bytes = sum((column.width or 1) * column.dtype.itemsize for column in self._columns.values())
        largest = max(1, row_bytes * max(self._group_rows, default=0))
        if len(groups) < 2 or largest > _GROUP_BYTES:
            values_a_row = sum(column.width or 1 for column in self._columns.values())
            yield from self._decode(groups, max(1, min(_BATCH_ROWS, _BATCH_VALUES // values_a_row)))
            return
        threads = reading_threads()
        ahead = min(threads + 1, max(2, _AHEAD_BYTES // largest))
        for _, parts in worked_ahead(self._decode_group, iter(groups), threads, ahead):
            yield from parts

    def _decode_group(self, group: int) -> list[dict[str, Array]]:
        """A row group as one part, so that chunks are views of it."""
        return list(self._decode([group], max(1, self._group_rows[group])))

    def _decode(self, groups: Sequence[int], rows: int) -> Iterator[dict[str, Array]]:
        """Consecutive row groups, in parts of so many rows."""
        row = self._first_rows[groups[0]] if groups else 0
        for batch in self._batches(list(self._columns), rows, groups):
            values = {name: self._numbers(name, batch.column(name), row) for name in self._columns}
            yield {role: self._assemble(values, columns) for role, columns in self._selected.items()}
            row += batch.num_rows

    def _assemble(self, values: dict[str, Array], columns: tuple[str, ...]) -> Array:
        dtypes = [values[name].dtype for name in columns]
        return stack_columns([values[name] for name in columns], np.result_type(*dtypes))

    def place(self, role: str, row: int, column: int | None = None) -> str:
        columns = self._selected[role]
        place = f"{self._file.name}, row {row}"
        if len(columns) == 1:
            place = f"{place}, column '{visible(columns[0])}'"
            return place if column is None or not self._columns[columns[0]].width else f"{place}, element {column}"
        return place if column is None else f"{place}, column '{visible(columns[column])}'"

    def close(self) -> None:
        self._tables.close()
        self._file.close()

    def _check_rows(self) -> list[int]:
        """The rows of each row group."""
        with self._faults():
            metadata = self._tables.metadata
            groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
            raise DataError(
                f"{self._file.name} is damaged: its footer says {metadata.num_rows} rows, its row groups {sum(groups)}",
                hint="write the file again",
            )
        return groups

    def _inspect(self, name: str) -> _Column:
        """The numbers of a column, by its type and, for lists of no fixed size, by its first row."""
        kind = self._schema.field(name).type
        element, width = kind, 0
        if pa.types.is_fixed_size_list(kind):
            element, width = kind.value_type, kind.list_size
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            element = kind.value_type
            first = next(self._batches([name], 1, range(len(self._group_rows))), None)
            # A table without rows has lists of no length: what a row holds does not matter then.
            width = 1 if first is None else self._length_of(name, first.column(name)[0])
        if not (pa.types.is_integer(element) or pa.types.is_floating(element) or pa.types.is_boolean(element)):
            raise DataError(
                f"{self._file.name}, column '{visible(name)}' holds {visible(kind)}; allowed are bool, integers and "
                "floats",
                hint="convert the column to numbers, and classes to their index counted from 0",
            )
        if width == 0 and element != kind:
            raise DataError(f"{self._file.name}, column '{visible(name)}' holds empty lists", hint="was it filled?")
        return _Column(np.dtype(element.to_pandas_dtype()), width)

    def _length_of(self, name: str, row: Any) -> int:
        if not row.is_valid:
            self._refuse_null(name, 0)
        return len(row.values)

    def _describe(self, role: str) -> ArrayInfo:
        columns = self._selected[role]
        widths = [self._columns[name].width for name in columns]
        if len(columns) > 1 and any(widths):
            name = next(name for name in columns if self._columns[name].width)
            raise UsageError(
                f"{self._file.name}, column '{visible(name)}' holds lists, which do not go together with other columns",
                hint=f"name it alone with {option(role, 'col')}",
            )
        dtypes = [self._columns[name].dtype for name in columns]
        dtype = np.result_type(*dtypes)
        if dtype.kind == "f" and not any(each.kind == "f" for each in dtypes):
            raise DataError(
                f"{self._file.name}: no integer type holds both the int64 and the uint64 columns of the {role}",
                hint="write them as one type",
            )
        width = widths[0] or len(columns)
        shape = (self._rows,) if len(columns) == 1 and not widths[0] else (self._rows, width)
        return ArrayInfo(self._file.path, "parquet", columns, shape, dtype.name)

    def _batches(self, names: list[str], rows: int, groups: Sequence[int]) -> Iterator[pa.RecordBatch]:
        with self._faults():
            # A thread for each column, where it is not a thread for each row group.
            threads = len(groups) == len(self._group_rows)
            batches = self._tables.here().iter_batches(rows, list(groups), names, use_threads=threads)
            while (batch := next(batches, None)) is not None:
                # What Arrow decodes of a damaged file need not be valid.
                batch.validate(full=True)
                if batch.num_rows:
                    yield batch

    def _numbers(self, name: str, array: Any, start: int) -> Array:
        """The values of one batch, (rows,) or (rows, width); `start` is its first row."""
        if array.null_count:
            self._refuse_null(name, start + array.is_null().to_pylist().index(True))
        width = self._columns[name].width
        if width:
            lengths = from_arrow(array.value_lengths())
            if (uneven := np.flatnonzero(lengths != width)).size:
                raise DataError(
                    f"{self._file.name}, row {start + uneven[0]}, column '{visible(name)}': a list of "
                    f"{lengths[uneven[0]]} values; the lists before it have {width}",
                    hint="all lists of a column must be of one length",
                )
            array = array.flatten()
            if array.null_count:
                self._refuse_null(name, start + array.is_null().to_pylist().index(True) // width)
        values = deliver(from_arrow(array))
        return values.reshape(-1, width) if width else values

    def _refuse_null(self, name: str, row: int) -> NoReturn:
        raise DataError(
            f"{self._file.name}, row {row}, column '{visible(name)}': null is not a number",
            hint="fill the null or drop its row",
        )

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Turns Arrow's errors into ours. Its I/O errors, a failed checksum among them, are OSErrors."""
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            raise DataError(
                f"{self._file.name} is damaged or uses what is not supported: {visible(str(error).strip())}",
                hint="write the file again",
            ) from error
