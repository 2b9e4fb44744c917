"""A packed batch of Arrow that is too large to be held: it is unpacked, a piece at a time, to a file that is mapped.

That is a stream of this batch alone. Its buffers say of themselves that they are not packed: -1 stands where the others
have their length (Arrow Columnar Format, "Compression").
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from lossctl.errors import DataError
from lossctl.sources.arrow_blocks import BEFORE_MESSAGE, END_OF_STREAM, Block, batch_fields, check_block
from lossctl.sources.column_shares import is_number
from lossctl.sources.input_file import InputFile
from lossctl.sources.spool import SPOOL_LIMIT, gathered

_LENGTH = struct.Struct("<q")
_BUFFER = struct.Struct("<qq")
"""Where in the body of a batch it begins, and how many bytes it has there."""

_NOT_PACKED = -1
_CODECS: tuple[Literal["lz4", "zstd"], ...] = ("lz4", "zstd")
_ALIGNMENT = 64
_PIECE_BYTES = 1 << 20

# To ask a small batch for its buffers one by one takes longer than to read it.
_READ_WHOLE_BYTES = 16 << 20


class Wanted(NamedTuple):
    """Which buffers of a batch are those of columns that are asked for, and how many there are of all columns."""

    buffers: Collection[int]
    of: int


class PackedBatch:
    """A batch of a file: what it takes to hold the columns that are wanted (None: all), and those columns unpacked.

    Raises DataError for a description that cannot be.
    """

    def __init__(self, file: InputFile, block: Block, wanted: Wanted | None) -> None:
        self._file = file
        start, head, self._size = block
        self._body = start + head
        check_block(file, block)
        self._head = bytearray(file.read_at(start, head))
        try:
            fields = batch_fields(bytes(self._head[BEFORE_MESSAGE:]))
            self._length_at, self._buffers_at = BEFORE_MESSAGE + fields.body_length, BEFORE_MESSAGE + fields.buffers
            _LENGTH.unpack_from(self._head, self._length_at)
            self._codec = _CODECS[fields.codec]
            end = self._buffers_at + _BUFFER.size * fields.buffer_count
            self._buffers = list(_BUFFER.iter_unpack(self._head[self._buffers_at : end]))
        except (struct.error, IndexError) as error:
            raise self._damaged("what describes a batch is malformed") from error
        if len(self._buffers) != fields.buffer_count:
            raise self._damaged("what describes a batch is malformed")
        # The buffers of views have no fixed number.
        known = wanted is not None and wanted.of == fields.buffer_count and not fields.has_views
        self._wanted = wanted.buffers if wanted is not None and known else range(fields.buffer_count)
        self._sizes = self._unpacked_sizes()

    @property
    def held_bytes(self) -> int:
        """What Arrow takes for the columns: packed and not."""
        packed: int = sum(self._buffers[index][1] for index in self._wanted)
        return packed + sum(self._sizes)

    def unpacked(self, before: bytes) -> InputFile:
        """A stream of the batch, behind the schema and the dictionaries `before` it; other columns have no values."""
        packed = sum(length for _, length in self._buffers)
        return gathered(self._file.path, self._file.name, self._pieces(before), packed)

    def _unpacked_sizes(self) -> list[int]:
        """How many bytes each buffer says that it holds; 0 for those that are not wanted."""
        body = self._file.read_at(self._body, self._size) if self._size <= _READ_WHOLE_BYTES else None
        sizes = [0] * len(self._buffers)
        for index in self._wanted:
            offset, length = self._buffers[index]
            if min(offset, length) < 0 or offset + length > self._size or 0 < length < _LENGTH.size:
                raise self._damaged(f"a buffer of {length} bytes stands at byte {offset} of a batch of {self._size}")
            if length:
                sizes[index] = self._size_of(offset, length, body)
        return sizes

    def _size_of(self, offset: int, length: int, body: bytes | None) -> int:
        place = self._body + offset
        begins = body[offset : offset + _LENGTH.size] if body is not None else self._file.read_at(place, _LENGTH.size)
        size: int = _LENGTH.unpack(begins)[0]
        if not _NOT_PACKED <= size <= SPOOL_LIMIT:
            raise self._damaged(f"a buffer at byte {place} says that it holds {size} bytes")
        return length - _LENGTH.size if size == _NOT_PACKED else size

    def _pieces(self, before: bytes) -> Iterator[bytes]:
        head, end = self._head.copy(), 0
        for index, size in enumerate(self._sizes):
            taken = size and _LENGTH.size + size
            _BUFFER.pack_into(head, self._buffers_at + _BUFFER.size * index, end, taken)
            end += taken + _padding(taken)
        _LENGTH.pack_into(head, self._length_at, end)
        yield before
        yield bytes(head)
        with self._file.arrow_file() as source:
            for (offset, length), size in zip(self._buffers, self._sizes, strict=True):
                if size:
                    yield _LENGTH.pack(_NOT_PACKED)
                    yield from self._contents(source, self._body + offset, length, size)
                    yield bytes(_padding(_LENGTH.size + size))
        yield END_OF_STREAM

    def _contents(self, source: Any, start: int, length: int, size: int) -> Iterator[bytes]:
        """What a buffer holds. Raises DataError where it is not as much as it says."""
        is_packed = _LENGTH.unpack(self._file.read_at(start, _LENGTH.size)) != (_NOT_PACKED,)
        stream = source.get_stream(start + _LENGTH.size, length - _LENGTH.size)
        if is_packed:
            stream = pa.CompressedInputStream(stream, self._codec)
        found = 0
        with stream:
            while found <= size and (piece := stream.read(_PIECE_BYTES)):
                found += len(piece)
                yield piece
        if found != size:
            raise self._damaged(f"a buffer at byte {start} holds other than the {size} bytes that it says")

    def _damaged(self, found: str) -> DataError:
        return DataError(f"{self._file.name} is damaged: {found}", hint="write the file again")


def _padding(size: int) -> int:
    return -size % _ALIGNMENT


def wanted_buffers(schema: pa.Schema, names: Collection[str]) -> Wanted | None:
    """The buffers of columns, in the order of the schema; None where that cannot be told."""
    wanted: list[int] = []
    end = 0
    for field in schema:
        try:
            start, end = end, end + _buffer_count(field.type)
        except LookupError:
            return None
        if field.name in names:
            wanted += range(start, end)
    return Wanted(wanted, end)


def _buffer_count(kind: Any) -> int:
    """How many buffers a column has: what is null, where texts or lists begin, and values or what is in the column.

    Raises LookupError for the rarer types, of which the format has other numbers.
    """
    kinds = pa.types
    if kinds.is_null(kind):
        return 0
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return 2 + _buffer_count(kind.value_type)
    if kinds.is_fixed_size_list(kind):
        return 1 + _buffer_count(kind.value_type)
    if kinds.is_struct(kind):
        return 1 + sum(_buffer_count(field.type) for field in kind)
    if any(each(kind) for each in (kinds.is_string, kinds.is_binary, kinds.is_large_string, kinds.is_large_binary)):
        return 3
    if is_number(kind) or kinds.is_temporal(kind) or kinds.is_decimal(kind) or kinds.is_dictionary(kind):
        return 2
    raise LookupError(kind)
