"""Arrow IPC: files (Feather V2) and streams, batch by batch, each validated: Arrow trusts what a file says."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from copy import copy
from typing import Any

import pyarrow as pa

from lossctl.errors import DataError
from lossctl.sources.arrays import rechunk
from lossctl.sources.arrow_blocks import (
    BATCHES,
    BEFORE_MESSAGE,
    DICTIONARIES,
    END_OF_STREAM,
    FILE_MAGIC,
    Block,
    blocks_of,
    check_block,
    footer_bytes,
    is_packed,
)
from lossctl.sources.arrow_table import FIRST_ROWS, ArrowTable, arrow_faults
from lossctl.sources.arrow_unpacking import PackedBatch, Wanted, wanted_buffers
from lossctl.sources.base import Array, KeyEncoder, Reader, Selection
from lossctl.sources.bus_errors import may_map, watch
from lossctl.sources.column_shares import is_number
from lossctl.sources.input_file import InputFile

_HELD_BYTES = 192 << 20
"""Of a packed batch, packed and not: of a larger one all is unpacked to a file."""

# Of what was written at once, the system may map as much, up to 2 MiB, for each value that is touched.
_MAPPED_COLUMNS = 64

_MOST_PADDING = 64 + len(END_OF_STREAM)
"""Between the last block of a file and its footer there is no more than this."""

_JOINED = "it may be several files joined: name them all, or write the data as one file"


def open_arrow(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of columns of an Arrow IPC file or stream."""
    return _ArrowReader(file, roles)


def arrow_contents(file: InputFile) -> list[str]:
    """The names of the columns."""
    with arrow_faults(file), file.arrow_file() as source:
        return list(_opened(source, _is_file(file), None).schema.names)


def _is_file(file: InputFile) -> bool:
    return file.read_at(0, len(FILE_MAGIC)) == FILE_MAGIC


def _check_end(file: InputFile) -> None:
    """A stream may end without a mark, as the format has it: but so does one that was cut between two batches."""
    if file.read_at(max(0, file.size - len(END_OF_STREAM)), len(END_OF_STREAM)) != END_OF_STREAM:
        raise DataError(
            f"{file.name} is truncated: an Arrow stream ends with the mark of its end", hint="write the file again"
        )


def _check_footer(file: InputFile, blocks: list[Block]) -> None:
    """Raises DataError where much stands between the last block and the footer: of joined files Arrow reads one."""
    start = file.size - footer_bytes(file)
    # Polars writes dictionaries behind the batches.
    every = blocks + blocks_of(file, DICTIONARIES)
    last = max((place + head + body for place, head, body in every), default=0)
    if last and start - last > _MOST_PADDING:
        raise DataError(
            f"{file.name} is no single Arrow file: its batches end at byte {last}, its footer begins at byte {start}",
            hint=_JOINED,
        )


def _opened(source: Any, is_file: bool, columns: list[int] | None) -> Any:
    """Arrow's reader of these columns, from the start; with None, of all."""
    options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
    source.seek(0)
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source, options=options)


def _mapped(file: InputFile) -> mmap.mmap | None:
    """The file in memory, of which what is not packed is used where it lies; None where it has to be read."""
    if not may_map() or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    try:
        found = mmap.mmap(file.fileno(), file.size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # of some file systems; no room; or it has just been cut
        return None
    watch(file)
    return found


def _copied(batch: pa.RecordBatch, mapped: mmap.mmap) -> pa.RecordBatch:
    """A batch of which the numbers no longer lie in the map: some columns are copied at a time."""
    columns: list[Any] = []
    for start in range(0, batch.num_columns, _MAPPED_COLUMNS):
        part = batch.select(list(range(start, min(start + _MAPPED_COLUMNS, batch.num_columns))))
        part.validate(full=True)
        if all(map(is_number, part.schema.types)):
            part = pa.ipc.read_record_batch(part.serialize(), part.schema)
        columns += part.columns
        mapped.madvise(mmap.MADV_DONTNEED)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


class _ArrowReader(Reader):
    """A file knows where its batches are; a stream is read from its start for each pass."""

    def __init__(self, file: InputFile, roles: dict[str, Selection]) -> None:
        self._file = file
        self._is_file = _is_file(file)
        self._blocks = blocks_of(file, BATCHES) if self._is_file else []
        if self._is_file:
            _check_footer(file, self._blocks)
        else:
            _check_end(file)
        with arrow_faults(file):
            # A batch that is packed has to be read whole, and not of columns that nobody asks for.
            packed = bool(self._blocks) and is_packed(file, self._blocks[0])
            self._map = None if packed else _mapped(file)
            self._source = file.arrow_file() if self._map is None else pa.BufferReader(pa.py_buffer(self._map))
            schema = self._open(None).schema
        self._table = ArrowTable(file, "arrow", schema, roles, self._first_of)
        self.arrays = self._table.describe(None)

    def only(self, roles: Collection[str], encoders: Mapping[str, KeyEncoder] | None = None) -> Reader:
        part = copy(self)
        part._table = self._table.only(roles, encoders or {})
        part.arrays = part._table.describe(None)
        return part

    def _open(self, columns: list[int] | None) -> Any:
        return _opened(self._source, self._is_file, columns)

    def _batches(self, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Columns of the file, in parts of batches of at most so many rows: one may be as large as the file."""
        with arrow_faults(self._file):
            for batch, mapped in self._large_batches(names):
                for start in range(0, batch.num_rows, rows):
                    self._file.check_unchanged()  # of what is mapped, all may be something else by now
                    part = batch.slice(start, rows)
                    if mapped is not None and part.num_columns > _MAPPED_COLUMNS:
                        yield _copied(part, mapped)
                        continue
                    part.validate(full=True)
                    yield part
                    if mapped is not None:  # what is asked for again is mapped again
                        mapped.madvise(mmap.MADV_DONTNEED)

    def _large_batches(self, names: list[str]) -> Iterator[tuple[pa.RecordBatch, mmap.mmap | None]]:
        """Columns of each batch, and the map that they lie in."""
        reader = self._open(None)
        schema = reader.schema
        columns = [schema.get_field_index(name) for name in names]
        if not self._is_file:
            yield from ((batch, self._map) for batch in self._open(columns))
            self._check_whole(self._source.tell())
            return
        # Of what is mapped Arrow would copy what is asked for, column by column.
        pruned = self._open(columns) if self._map is None else reader
        wanted = wanted_buffers(schema, names)
        for index in range(reader.num_record_batches):
            batch = None if self._map is not None else self._packed(index, wanted)
            if batch is None or batch.held_bytes <= _HELD_BYTES:
                yield pruned.get_batch(index).select(names), self._map
            else:
                yield from self._unpacked(batch, schema, columns)

    def _packed(self, index: int, wanted: Wanted | None) -> PackedBatch | None:
        """A batch by its number, where it is packed and the footer says where it is."""
        for block in self._blocks[index : index + 1]:
            if is_packed(self._file, block):
                return PackedBatch(self._file, block, wanted)
        return None

    def _unpacked(
        self, batch: PackedBatch, schema: pa.Schema, columns: list[int]
    ) -> Iterator[tuple[pa.RecordBatch, mmap.mmap | None]]:
        """A batch that is too large to be held."""
        with closing(batch.unpacked(self._before_batches())) as copy:
            mapped = _mapped(copy)
            with copy.arrow_file() if mapped is None else pa.BufferReader(pa.py_buffer(mapped)) as source:
                found = next(iter(_opened(source, False, columns)), None)
                if found is None or found.schema != pa.schema([schema.field(column) for column in columns]):
                    raise DataError(
                        f"{self._file.name} is damaged: it does not begin with the schema that its footer has",
                        hint="write the file again",
                    )
                yield found, mapped

    def _before_batches(self) -> bytes:
        """The schema, with which a file begins as a stream does, and the dictionaries."""
        start = len(FILE_MAGIC) + 2
        schema = BEFORE_MESSAGE + int.from_bytes(self._file.read_at(start + 4, 4), "little")
        blocks = [(start, schema, 0), *blocks_of(self._file, DICTIONARIES)]
        for block in blocks:
            check_block(self._file, block)
        return b"".join(self._file.read_at(place, head + body) for place, head, body in blocks)

    def _check_whole(self, end: int) -> None:
        """Raises DataError unless a stream ends where the file does: Arrow stops at the first mark of an end."""
        if end != self._file.size:
            raise DataError(
                f"{self._file.name} is no single Arrow stream: that ends at byte {end}, the file has {self._file.size}",
                hint=_JOINED,
            )

    def _first_of(self, name: str) -> pa.RecordBatch | None:
        return next(self._batches([name], FIRST_ROWS), None)

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(rows), rows)

    def _parts(self, rows: int) -> Iterator[dict[str, Array]]:
        row = 0
        for batch in self._batches(self._table.stored, rows):
            yield self._table.arrays(batch, row)
            row += batch.num_rows
        self._file.check_unchanged()
        self.arrays = self._table.describe(row)

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._table.place(role, row, column)

    def close(self) -> None:
        with suppress(OSError):  # as for the file itself
            self._source.close()
        self._file.close()
