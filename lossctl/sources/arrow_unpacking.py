"""A packed batch of Arrow that is too large to be held: it is unpacked, a piece at a time, to a file that is mapped.

That is a stream of this batch alone. Its buffers say of themselves that they are not packed: -1 stands where the others
have their length (Arrow Columnar Format, "Compression").
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from typing import Any, Literal

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


class PackedBatch:
    """A batch of a file: what it takes to hold columns of it, and those columns unpacked.

    Raises DataError for a description that cannot be.
    """

    def __init__(self, file: InputFile, block: Block, schema: pa.Schema, names: Collection[str]) -> None:
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
            places = range(self._buffers_at, self._buffers_at + _BUFFER.size * fields.buffer_count, _BUFFER.size)
            self._buffers = [_BUFFER.unpack_from(self._head, place) for place in places]
        except (struct.error, IndexError) as error:
            raise self._damaged("what describes a batch is malformed") from error
        wanted = None if fields.has_views else _buffers_of(schema, names, fields.buffer_count)
        self._wanted = range(fields.buffer_count) if wanted is None else wanted
        self._sizes = [
            self._size_of(*buffer) if index in self._wanted else 0 for index, buffer in enumerate(self._buffers)
        ]

    @property
    def held_bytes(self) -> int:
        """What Arrow takes for the columns: packed and not."""
        packed: int = sum(self._buffers[index][1] for index in self._wanted)
        return packed + sum(self._sizes)

    def unpacked(self, before: bytes) -> InputFile:
        """A stream of the batch, behind the schema and the dictionaries `before` it; other columns have no values."""
        packed = sum(length for _, length in self._buffers)
        return gathered(self._file.path, self._file.name, self._pieces(before), packed)

    def _size_of(self, offset: int, length: int) -> int:
        """How many bytes a buffer says that it holds."""
        if min(offset, length) < 0 or offset + length > self._size or 0 < length < _LENGTH.size:
            raise self._damaged(f"a buffer of {length} bytes stands at byte {offset} of a batch of {self._size}")
        if not length:
            return 0
        (size,) = _LENGTH.unpack(self._file.read_at(self._body + offset, _LENGTH.size))
        if not _NOT_PACKED <= size <= SPOOL_LIMIT:
            raise self._damaged(f"a buffer at byte {self._body + offset} says that it holds {size} bytes")
        return length - _LENGTH.size if size == _NOT_PACKED else int(size)

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


def _buffers_of(schema: pa.Schema, names: Collection[str], count: int) -> Collection[int] | None:
    """Which buffers of a batch are those of columns, in the order of the schema; None where that cannot be told."""
    wanted: list[int] = []
    end = 0
    for field in schema:
        try:
            start, end = end, end + _buffer_count(field.type)
        except NotImplementedError:
            return None
        if field.name in names:
            wanted += range(start, end)
    return set(wanted) if end == count else None


def _buffer_count(kind: Any) -> int:
    """How many buffers a column has: what is null, where texts or lists begin, and values or what is in the column.

    Raises NotImplementedError for the rarer types.
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
    raise NotImplementedError
