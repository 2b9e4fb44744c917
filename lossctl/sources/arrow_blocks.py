"""Where the batches of an Arrow IPC file are, and how they are packed: its descriptions are flatbuffers."""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

from lossctl.errors import DataError
from lossctl.sources.input_file import InputFile

FILE_MAGIC = b"ARROW1"
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_END_BYTES = 4 + len(FILE_MAGIC)

Block: TypeAlias = tuple[int, int, int]
"""Where a batch begins, and the bytes of its head and of its body."""

DICTIONARIES, BATCHES = 2, 3
"""What a footer lists blocks of, by the number of the field."""

_MESSAGE_HEADER, _MESSAGE_BODY_LENGTH = 2, 3
_BATCH_BUFFERS, _BATCH_COMPRESSION, _BATCH_VARIADIC = 2, 3, 4
_COMPRESSION_CODEC = 0
"""Fields of Arrow's other flatbuffers."""

_BLOCK = struct.Struct("<qi4xq")

BEFORE_MESSAGE = 8
"""Bytes of a batch: a mark, and the length of what describes it."""

_MOST_HEAD = 1 << 16
"""Of what describes a batch: its tables come first."""


def footer_bytes(file: InputFile) -> int:
    """What a file has after its batches: the footer, its length and the mark of the format."""
    return int.from_bytes(file.read_at(max(0, file.size - _END_BYTES), 4), "little") + _END_BYTES


def blocks_of(file: InputFile, kind: int) -> list[Block]:
    """The blocks of a kind in a file, by its footer, a flatbuffer; none where that has none, or is malformed."""
    start = file.size - footer_bytes(file)
    if start <= 0:
        return []
    footer = file.read_at(start, file.size - _END_BYTES - start)
    try:
        place = _field(footer, _referred(footer, 0), kind)
        if place is None:
            return []
        blocks = _referred(footer, place)
        (count,) = struct.unpack_from("<I", footer, blocks)
        return list(_BLOCK.iter_unpack(footer[blocks + 4 : blocks + 4 + _BLOCK.size * count]))
    except struct.error:
        return []


def check_block(file: InputFile, block: Block) -> None:
    """Raises DataError for one that does not lie in the file."""
    if min(block) < 0 or sum(block) > file.size:
        raise DataError(
            f"{file.name} is damaged: a block of {sum(block[1:])} bytes begins at byte {block[0]} of {file.size}",
            hint="write the file again",
        )


def is_packed(file: InputFile, block: Block) -> bool:
    """Whether a batch is compressed, or malformed, which Arrow finds. Raises ValueError for a place before all."""
    start, head, _ = block
    message = file.read_at(start + BEFORE_MESSAGE, min(head, _MOST_HEAD))
    try:
        header = _field(message, _referred(message, 0), _MESSAGE_HEADER)
        return header is not None and _field(message, _referred(message, header), _BATCH_COMPRESSION) is not None
    except struct.error:
        return True


class BatchFields(NamedTuple):
    """Where what describes a batch says how long its body is, and where its buffers are; its codec."""

    body_length: int
    buffers: int
    buffer_count: int
    codec: int
    has_views: bool


def batch_fields(message: bytes) -> BatchFields:
    """What a message says of a packed batch. Raises struct.error where it is malformed."""
    table = _referred(message, 0)
    batch = _referred(message, _place(message, table, _MESSAGE_HEADER))
    buffers = _referred(message, _place(message, batch, _BATCH_BUFFERS))
    codec = _field(message, _referred(message, _place(message, batch, _BATCH_COMPRESSION)), _COMPRESSION_CODEC)
    return BatchFields(
        body_length=_place(message, table, _MESSAGE_BODY_LENGTH),
        buffers=buffers + 4,
        buffer_count=struct.unpack_from("<I", message, buffers)[0],
        codec=0 if codec is None else struct.unpack_from("B", message, codec)[0],
        has_views=_field(message, batch, _BATCH_VARIADIC) is not None,
    )


def _referred(data: bytes, place: int) -> int:
    """Where what a flatbuffer refers to begins."""
    found: int = place + struct.unpack_from("<I", data, place)[0]
    return found


def _field(data: bytes, table: int, field: int) -> int | None:
    """Where a field of a flatbuffer's table is, by its number in the schema; None where it has none."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    if 4 + 2 * field >= struct.unpack_from("<H", data, fields)[0]:
        return None
    place: int = struct.unpack_from("<H", data, fields + 4 + 2 * field)[0]
    return table + place if place else None


def _place(data: bytes, table: int, field: int) -> int:
    """Where a field is. Raises struct.error where the table has none."""
    found = _field(data, table, field)
    if found is None:
        raise struct.error(f"no field {field}")
    return found
