"""Arrow IPC: files (Feather V2) and streams, batch by batch, each validated: Arrow trusts what a file says."""

from __future__ import annotations

import mmap
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from copy import copy
from typing import Any

import pyarrow as pa

from lossctl.errors import DataError
from lossctl.sources.arrays import rechunk
from lossctl.sources.arrow_blocks import BATCHES, DICTIONARIES, FILE_MAGIC, Block, blocks_of, footer_bytes, is_packed
from lossctl.sources.arrow_table import FIRST_ROWS, ArrowTable, arrow_faults
from lossctl.sources.base import Array, KeyEncoder, Reader, Selection
from lossctl.sources.bus_errors import may_map, watch
from lossctl.sources.column_shares import in_step, shares_of
from lossctl.sources.input_file import InputFile

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"

_MOST_PADDING = 64 + len(_END_OF_STREAM)
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
    if file.read_at(max(0, file.size - len(_END_OF_STREAM)), len(_END_OF_STREAM)) != _END_OF_STREAM:
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


class _ArrowReader(Reader):
    """A file knows where its batches are; a stream is read from its start for each pass."""

    def __init__(self, file: InputFile, roles: dict[str, Selection]) -> None:
        self._file = file
        self._is_file = _is_file(file)
        blocks = blocks_of(file, BATCHES) if self._is_file else []
        if self._is_file:
            _check_footer(file, blocks)
        else:
            _check_end(file)
        with arrow_faults(file):
            # A batch that is packed has to be read whole, and not of columns that nobody asks for.
            packed = bool(blocks) and is_packed(file, blocks[0])
            self._packed_bytes = max(body for *_, body in blocks) if packed else 0
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
            for batch in self._large_batches(names, rows):
                for start in range(0, batch.num_rows, rows):
                    self._file.check_unchanged()  # of what is mapped, all may be something else by now
                    part = batch.slice(start, rows)
                    part.validate(full=True)
                    yield part
                    if self._map is not None:  # what is asked for again is mapped again
                        self._map.madvise(mmap.MADV_DONTNEED)

    def _large_batches(self, names: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        reader = self._open(None)
        schema = reader.schema
        if not self._is_file:
            yield from self._open([schema.get_field_index(name) for name in names])
            self._check_whole(self._source.tell())
            return
        # What is packed is held twice. A column takes as much as another.
        shares = shares_of(schema, names, 2 * self._packed_bytes // max(1, len(schema)))
        readers = {share[0]: self._open([schema.get_field_index(name) for name in share]) for share in shares if share}
        for index in range(reader.num_record_batches):
            if self._map is not None:  # Arrow would copy what is asked for, column by column
                yield reader.get_batch(index).select(names)
                continue

            def decode(share: list[str], index: int = index) -> Iterator[pa.RecordBatch]:
                batch = readers[share[0]].get_batch(index).select(share)
                return (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))

            yield from in_step(decode, shares, self._file.name)

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
