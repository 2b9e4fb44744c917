"""Where the batches of an Arrow IPC file are, and whether they are packed: its descriptions are flatbuffers."""

from __future__ import annotations

import struct
from typing import TypeAlias

from lossctl.sources.input_file import InputFile

FILE_MAGIC = b"ARROW1"
_END_BYTES = 4 + len(FILE_MAGIC)

Block: TypeAlias = tuple[int, int, int]
"""Where a batch begins, and the bytes of its head and of its body."""

DICTIONARIES, BATCHES = 2, 3
"""What a footer lists blocks of, by the number of the field."""

_MESSAGE_HEADER, _BATCH_COMPRESSION = 2, 3
"""Fields of Arrow's other flatbuffers."""

_BLOCK = struct.Struct("<qi4xq")

_BEFORE_MESSAGE = 8
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


def is_packed(file: InputFile, block: Block) -> bool:
    """Whether a batch is compressed, or malformed, which Arrow finds. Raises ValueError for a place before all."""
    start, head, _ = block
    message = file.read_at(start + _BEFORE_MESSAGE, min(head, _MOST_HEAD))
    try:
        header = _field(message, _referred(message, 0), _MESSAGE_HEADER)
        return header is not None and _field(message, _referred(message, header), _BATCH_COMPRESSION) is not None
    except struct.error:
        return True


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
