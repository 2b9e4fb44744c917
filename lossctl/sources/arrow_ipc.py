"""Arrow IPC: files (Feather V2) and streams, batch by batch, each validated: Arrow trusts what a file says."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from copy import copy
from typing import Any

import pyarrow as pa

from lossctl.errors import DataError
from lossctl.sources.arrays import rechunk
from lossctl.sources.arrow_table import ArrowTable, arrow_faults
from lossctl.sources.base import Array, KeyEncoder, Reader, Selection
from lossctl.sources.input_file import InputFile

FILE_MAGIC = b"ARROW1"
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"

_MOST_PADDING = 64 + len(_END_OF_STREAM)
"""Between the last batch of a file and its footer there is no more than this."""

_BATCHES_ENTRY = 4 + 2 * 3
"""Where the table of a footer's fields says where its fourth is, the list of batches."""

_BLOCK = struct.Struct("<qi4xq")
"""A batch in that list: where it begins, and the bytes of its head and of its body."""

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


def _check_footer(file: InputFile) -> None:
    """Raises DataError where much stands between the last batch and the footer: of joined files Arrow reads one."""
    tail = file.read_at(max(0, file.size - len(FILE_MAGIC) - 4), 4)
    length = int.from_bytes(tail, "little")
    start = file.size - len(FILE_MAGIC) - 4 - length
    last = _end_of_batches(file.read_at(start, length)) if start > 0 else 0
    if last and start - last > _MOST_PADDING:
        raise DataError(
            f"{file.name} is no single Arrow file: its batches end at byte {last}, its footer begins at byte {start}",
            hint=_JOINED,
        )


def _end_of_batches(footer: bytes) -> int:
    """Where the last batch of a file ends, by its footer, a flatbuffer; 0 where that has none, or is malformed."""
    try:
        (root,) = struct.unpack_from("<I", footer)
        table = root - struct.unpack_from("<i", footer, root)[0]
        (place,) = struct.unpack_from("<H", footer, table + _BATCHES_ENTRY)
        if struct.unpack_from("<H", footer, table)[0] <= _BATCHES_ENTRY or not place:
            return 0
        blocks = root + place + struct.unpack_from("<I", footer, root + place)[0]
        (count,) = struct.unpack_from("<I", footer, blocks)
        found = _BLOCK.iter_unpack(footer[blocks + 4 : blocks + 4 + _BLOCK.size * count])
        return max((start + head + body for start, head, body in found), default=0)
    except struct.error:
        return 0


def _opened(source: Any, is_file: bool, columns: list[int] | None) -> Any:
    """Arrow's reader of these columns, from the start; with None, of all."""
    options = pa.ipc.IpcReadOptions(included_fields=columns, use_threads=False)
    source.seek(0)
    return (pa.ipc.open_file if is_file else pa.ipc.open_stream)(source, options=options)


class _ArrowReader(Reader):
    """A file knows where its batches are; a stream is read from its start for each pass."""

    def __init__(self, file: InputFile, roles: dict[str, Selection]) -> None:
        self._file = file
        self._is_file = _is_file(file)
        (_check_footer if self._is_file else _check_end)(file)
        with arrow_faults(file):
            self._source = file.arrow_file()
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

    def _batches(self, names: list[str]) -> Iterator[pa.RecordBatch]:
        with arrow_faults(self._file):
            whole = self._open(None)
            reader = self._open([whole.schema.get_field_index(name) for name in names])
            if not self._is_file:
                yield from map(self._valid, reader)
                self._check_whole(self._source.tell())
                return
            for index in range(reader.num_record_batches):
                yield self._valid(reader.get_batch(index))

    def _check_whole(self, end: int) -> None:
        """Raises DataError unless a stream ends where the file does: Arrow stops at the first mark of an end."""
        if end != self._file.size:
            raise DataError(
                f"{self._file.name} is no single Arrow stream: that ends at byte {end}, the file has {self._file.size}",
                hint=_JOINED,
            )

    def _valid(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        batch.validate(full=True)
        return batch

    def _first_of(self, name: str) -> pa.RecordBatch | None:
        return next((batch for batch in self._batches([name]) if batch.num_rows), None)

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(), rows)

    def _parts(self) -> Iterator[dict[str, Array]]:
        row = 0
        for batch in self._batches(self._table.stored):
            if batch.num_rows:
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
