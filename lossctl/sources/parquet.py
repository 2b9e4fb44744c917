"""Parquet: the columns needed, row groups together or in parts, decoded by threads."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate, chain, islice, repeat
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from lossctl.errors import DataError
from lossctl.sources.ahead import WorkedAhead, reading_threads
from lossctl.sources.arrays import rechunk
from lossctl.sources.arrow_table import FIRST_ROWS, ArrowTable, arrow_faults
from lossctl.sources.base import Array, KeyEncoder, Reader, Selection
from lossctl.sources.column_shares import in_step, shares_of
from lossctl.sources.input_file import InputFile
from lossctl.sources.parquet_tables import Tables

# Row groups up to the second size, decoded, are held by threads that work ahead, a few at a time, and small ones
# together. Larger ones a thread decodes in parts of the first size. To hold more costs more than it gains: memory that
# nothing before has used has to be cleared.
_PART_BYTES = 8 << 20
_GROUP_BYTES = 32 << 20
_AHEAD_BYTES = 128 << 20
_NUMBER_BYTES = 8

_MAGIC = b"PAR1"
_JUNCTION = 2 * _MAGIC
"""What a file ends with and what one begins with: where files were joined."""

_PIECE_BYTES = 1 << 20

_Part: TypeAlias = dict[str, Array]
_Decoded: TypeAlias = WorkedAhead[Sequence[int], list[_Part]]


def open_parquet(
    file: InputFile, roles: dict[str, Selection], constants: Mapping[str, int | str] | None = None
) -> Reader:
    """A reader of a column of numbers (N,), of several (N, M), or of a column of lists of equal length (N, M).

    `constants` are further columns that have one value in all of the file: what its folders say.
    """
    try:
        return _ParquetReader(file, roles, constants or {})
    except BaseException:
        file.close()
        raise


def parquet_contents(file: InputFile) -> list[str]:
    """The names of the columns."""
    with arrow_faults(file):
        return list(Tables(file).here().schema.names)


class _Division(NamedTuple):
    """How a table is decoded: `bundles` of row groups, each at once, or part after part where they are None.

    `rows` are those of every part but the last, None where they differ; `largest` is a part's size in bytes.
    """

    bundles: list[list[int]] | None
    rows: int | None
    largest: int


class _ParquetReader(Reader):
    def __init__(self, file: InputFile, roles: dict[str, Selection], constants: Mapping[str, int | str]) -> None:
        self._file = file
        with arrow_faults(file):
            self._tables = Tables(file)
            schema = self._tables.here().schema
            self._check_single()
        self._group_rows = self._check_rows()
        self._first_rows = list(accumulate(self._group_rows, initial=0))
        # Arrow 18 fails at groups without rows that stand before or after others.
        self._groups = [group for group, rows in enumerate(self._group_rows) if rows]
        self._rows = self._first_rows[-1]
        self._table = ArrowTable(file, "parquet", schema, roles, self._first_of, constants=constants)
        self.arrays = self._table.describe(self._rows)
        self._begun: _Decoded | None = None
        self._division: _Division | None = None

    def begin(self) -> None:
        if self._begun is None:
            self._begun = self._work_ahead()

    def only(self, roles: Collection[str], encoders: Mapping[str, KeyEncoder] | None = None) -> Reader:
        table = self._table.only(roles, encoders or {})
        if not table.stored:  # Arrow's batches would not say how many rows there are
            return self
        part = copy(self)
        part._table, part._begun, part._division = table, None, None
        part.arrays = table.describe(self._rows)
        return part

    def _first_of(self, name: str) -> pa.RecordBatch | None:
        return next(self._batches([name], FIRST_ROWS, self._groups), None)

    def _chunks(self, rows: int) -> Iterator[_Part]:
        return rechunk(self._parts(), rows)

    def _parts(self) -> Iterator[_Part]:
        rows = 0
        for part in self._decoded():
            yield part
            rows += len(next(iter(part.values())))
        if rows != self._rows:
            raise DataError(f"{self._file.name} is damaged: its footer says {self._rows} rows, its pages hold {rows}")
        self._file.check_unchanged()

    def _decoded(self) -> Iterator[_Part]:
        begun, self._begun = self._begun or self._work_ahead(), None
        if begun is None:
            yield from self._decode(self._groups, max(1, self._rows))
            return
        for _, parts in begun:
            if not parts:  # the end: where a thread has no more, and where pages hold less than their description says
                return
            yield from parts

    def _work_ahead(self) -> _Decoded | None:
        """The table decoded by threads: bundles of row groups, each whole, or part after part; None of one part."""
        bundles, rows, largest = self._divided()
        if bundles is None:
            parts = self._decode(self._groups, rows or 1)
            return WorkedAhead(lambda _: list(islice(parts, 1)), repeat(()), threads=1, ahead=2)
        if len(bundles) < 2:
            return None
        threads = reading_threads()
        return WorkedAhead(self._decode_bundle, iter(bundles), threads, min(threads + 2, _AHEAD_BYTES // largest))

    @property
    def part_rows(self) -> int | None:
        return self._divided().rows

    def _divided(self) -> _Division:
        if self._division is None:
            row_bytes = _NUMBER_BYTES * self._table.row_values + sum(map(self._text_bytes, self._table.texts))
            # A power of two, as the rows of a chunk are where nobody says otherwise.
            most = 1 << max(1, _PART_BYTES // row_bytes).bit_length() - 1
            bundles = self._bundles(most)
            sizes = [self._rows_of(bundle) for bundle in bundles]
            largest = row_bytes * max(sizes, default=0)
            if self._rows <= most or (len(bundles) > 1 and largest <= _GROUP_BYTES):
                self._division = _Division(bundles, sizes[0] if len(set(sizes[:-1])) == 1 else None, largest)
            else:  # one part is used while the next is decoded
                rows = max(1, most // 2)
                self._division = _Division(None, rows, row_bytes * rows)
        return self._division

    def _text_bytes(self, name: str) -> int:
        """Of a row of a column that may hold any length of text, by its first rows."""
        first = self._first_of(name)
        return 0 if first is None else int(first.get_total_buffer_size() // first.num_rows)

    def _bundles(self, most: int) -> list[list[int]]:
        """The row groups in their order, small ones together, up to so many rows."""
        bundles: list[list[int]] = []
        free = 0
        for group in self._groups:
            rows = self._group_rows[group]
            if rows > free:
                bundles.append([])
                free = most
            bundles[-1].append(group)
            free -= rows
        return bundles

    def _rows_of(self, groups: Sequence[int]) -> int:
        return sum(self._group_rows[group] for group in groups)

    def _decode_bundle(self, groups: Sequence[int]) -> list[_Part]:
        """Row groups as one part, so that chunks are views of it."""
        return list(self._decode(groups, self._rows_of(groups)))

    def _decode(self, groups: Sequence[int], rows: int) -> Iterator[_Part]:
        """Consecutive row groups, in parts of so many rows."""
        row = self._first_rows[groups[0]] if groups else 0
        for batch in self._batches(self._table.stored, rows, groups):
            yield self._table.arrays(batch, row)
            row += batch.num_rows

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._table.place(role, row, column)

    def close(self) -> None:
        if self._begun is not None:
            self._begun.close()
        self._tables.close()
        self._file.close()

    def _check_single(self) -> None:
        """Raises DataError where other files stand before the footer: of joined files Arrow reads the last one's.

        After the columns come indices of their pages, if any, and then the footer.
        """
        metadata, end = self._tables.metadata, len(_MAGIC)
        if metadata.num_row_groups and metadata.num_columns:
            # Asked where a column ends of which the description is damaged or encrypted, Arrow ends the process.
            if not self._can_read_last_column():
                return
            end = _end_of(metadata.row_group(metadata.num_row_groups - 1).column(metadata.num_columns - 1))
        footer = self._file.size - len(_MAGIC) - 4 - metadata.serialized_size
        for start in range(end, footer - len(_JUNCTION) + 1, _PIECE_BYTES):
            if _JUNCTION in self._file.read_at(start, min(_PIECE_BYTES, footer - start) + len(_JUNCTION) - 1):
                raise DataError(
                    f"{self._file.name} is several Parquet files joined, of which the footer tells of one alone",
                    hint="name them all, or write the data as one file",
                )

    def _can_read_last_column(self) -> bool:
        """Whether Arrow can make something of the beginning of the last column of the last row group."""
        import pyarrow as pa

        table = self._tables.by_pages()
        try:
            next(table.batches(1, [self._tables.metadata.num_row_groups - 1], table.schema.names[-1:], False), None)
        except MemoryError:
            raise
        except (pa.ArrowException, OSError):
            return False
        return True

    def _check_rows(self) -> list[int]:
        """The rows of each row group."""
        with arrow_faults(self._file):
            metadata = self._tables.metadata
            groups = [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)]
        if min(groups, default=0) < 0 or sum(groups) != metadata.num_rows:
            raise DataError(
                f"{self._file.name} is damaged: its footer says {metadata.num_rows} rows, its row groups {sum(groups)}",
                hint="write the file again",
            )
        return groups

    def _batches(self, names: list[str], rows: int, groups: Sequence[int]) -> Iterator[pa.RecordBatch]:
        if not groups:
            return
        with arrow_faults(self._file):
            # A thread for each column, where it is not a thread for each row group.
            threads = len(groups) == len(self._groups)
            table = self._tables.here()
            shares = shares_of(table.schema, names, table.column_bytes(groups))
            if len(shares) == 1:
                batches = table.batches(rows, list(groups), names, threads)
            else:
                batches = chain.from_iterable(self._in_shares(group, shares, rows) for group in groups)
            while (batch := next(batches, None)) is not None:
                # What Arrow decodes of a damaged file need not be valid.
                batch.validate(full=True)
                if batch.num_rows:
                    yield batch

    def _in_shares(self, group: int, shares: Sequence[list[str]], rows: int) -> Iterator[pa.RecordBatch]:
        table = self._tables.here()
        return in_step(lambda share: table.batches(rows, [group], share, True), shares, self._file.name)


def _end_of(column: Any) -> int:
    """Where the pages of a column of a row group end."""
    start = column.data_page_offset
    if column.dictionary_page_offset:
        start = min(start, column.dictionary_page_offset)
    return int(start + column.total_compressed_size)
