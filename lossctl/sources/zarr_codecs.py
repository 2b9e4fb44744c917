"""The codecs of a Zarr array, guarded: no chunk is unpacked to more than it may be, and none is made up.

The library unpacks whatever stands in a chunk before it looks at its size, and its libraries believe what a frame says
of itself; a chunk that is missing within a shard is read as the filler.
"""

from __future__ import annotations

import asyncio
import lzma
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numcodecs.abc  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
import zarr
from zarr.abc.codec import BytesBytesCodec, Codec
from zarr.codecs import ShardingCodec

# Filters may make numbers as wide as this; the rest is for what codecs add, such as checksums.
_WIDEST_BYTES = 16
_ADDED_BYTES = 1 << 16

_MOST_TEXT_BYTES = 256 << 20
"""Of a chunk of texts, whose size nothing tells."""

_MOST_LZMA_BYTES = 256 << 20
"""What the dictionary of a stream may take: four times what the strongest of the presets does."""

# Arrow finds out by itself which of the two frames of deflate it is.
_STREAMS: dict[str, Literal["gzip", "bz2", "zstd"]] = {"gzip": "gzip", "zlib": "gzip", "bz2": "bz2", "zstd": "zstd"}

_HEAD_BYTES = 20
"""The longest of the headers that are looked at has 18."""

# What a frame of Blosc begins with: the sizes of what it holds and of all of it stand in it, the latter last.
_BLOSC_HEADER_BYTES = 16
_BLOSC_HELD = slice(4, 8)
_BLOSC_WHOLE = slice(12, 16)


@dataclass
class Decoded:
    """How many chunks have been decoded so far, and the shape of those within shards, the innermost of them."""

    chunks: int = 0
    shape: tuple[int, ...] | None = None


def guarded(array: Any, decoded: Decoded) -> Any:
    """The same array, whose chunks end in ValueError where they hold too much; those within shards are counted."""
    metadata = array.metadata
    if metadata.zarr_format == 3:
        metadata = replace(metadata, codecs=tuple(_guarded_codecs(metadata.codecs, decoded)))
    else:
        most = most_bytes(array.chunks, array.dtype)
        filters = tuple(_BoundedNumcodec(each, most) for each in metadata.filters or ())
        compressor = None if metadata.compressor is None else _BoundedNumcodec(metadata.compressor, most)
        metadata = replace(metadata, filters=filters or None, compressor=compressor)
    return zarr.Array(zarr.AsyncArray(metadata, array.store_path))


def _guarded_codecs(codecs: Sequence[Codec], decoded: Decoded) -> list[Codec]:
    if any(isinstance(each, ShardingCodec) for each in codecs) and len(codecs) > 1:
        raise ValueError("shards that are packed once more")  # which chunks they lack cannot be told
    return [_guarded_codec(each, decoded) for each in codecs]


def _guarded_codec(codec: Codec, decoded: Decoded) -> Codec:
    if isinstance(codec, ShardingCodec):
        decoded.shape = codec.chunk_shape
        inner = _guarded_codecs(codec.codecs, decoded)
        is_innermost = not isinstance(inner[0], ShardingCodec)
        return replace(codec, codecs=(*inner, _Counter(decoded)) if is_innermost else tuple(inner))
    return _Bounded(codec) if isinstance(codec, BytesBytesCodec) else codec


@dataclass(frozen=True)
class _Bounded(BytesBytesCodec):
    """A compressor that is given nothing that holds too much."""

    inner: BytesBytesCodec
    is_fixed_size = False

    def evolve_from_array_spec(self, array_spec: Any) -> Self:
        return replace(self, inner=self.inner.evolve_from_array_spec(array_spec))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return self.inner.compute_encoded_size(input_byte_length, chunk_spec)

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        described: Any = self.inner.to_dict()
        config = {**described.get("configuration", {}), "id": described["name"].removeprefix("numcodecs.")}
        most = most_bytes(chunk_spec.shape, chunk_spec.dtype.to_native_dtype())
        content = await asyncio.to_thread(_unpacked, config, chunk_data.as_array_like(), most)
        if content is None:
            return await self.inner._decode_single(chunk_data, chunk_spec)
        return chunk_spec.prototype.buffer.from_bytes(content)


@dataclass(frozen=True)
class _Counter(BytesBytesCodec):
    """What comes upon each chunk that is there, and does nothing to it."""

    decoded: Decoded = field(compare=False)
    is_fixed_size = True

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return input_byte_length

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        self.decoded.chunks += 1
        return chunk_data


class _BoundedNumcodec(numcodecs.abc.Codec):  # type: ignore[misc]  # it has no types
    """The same for what version 2 of the format is made of."""

    codec_id = ""  # a class without one is no codec to the library

    def __init__(self, inner: Any, most: int) -> None:
        self.inner, self.most = inner, most
        self.codec_id = inner.codec_id

    def encode(self, buf: Any) -> Any:
        return self.inner.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        content = _unpacked(self.inner.get_config(), buf, self.most)
        return self.inner.decode(buf, out) if content is None else content


def most_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    """The most that a chunk of this shape may be unpacked to."""
    elements = math.prod(shape) * max(dtype.itemsize, _WIDEST_BYTES) + _ADDED_BYTES
    return max(elements, _MOST_TEXT_BYTES) if dtype.kind in "OT" else elements


def _unpacked(config: Mapping[str, Any], data: Any, most: int) -> bytes | None:
    """What a stream holds; None of what is for its own library, once it claims no more than it may.

    Raises ValueError where it is more than `most` bytes.
    """
    kind = config["id"]
    head = bytes(memoryview(data).cast("B")[:_HEAD_BYTES])
    if kind == "zstd" and (said := _zstd_content(head)) is not None:
        _check_size(said, most)
        return None
    if kind in _STREAMS:
        with pa.CompressedInputStream(pa.BufferReader(pa.py_buffer(data)), _STREAMS[kind]) as stream:
            return _no_more(bytes(stream.read(most + 1)), most)
    if kind == "lzma":
        form = config.get("format", lzma.FORMAT_XZ)
        limit = None if form == lzma.FORMAT_RAW else _MOST_LZMA_BYTES  # it has no header that could ask for more
        decoder = lzma.LZMADecompressor(form, limit, config.get("filters"))
        return _no_more(decoder.decompress(bytes(data), most + 1), most)
    if kind == "blosc":
        _check_blosc(head, memoryview(data).nbytes)
        _check_size(int.from_bytes(head[_BLOSC_HELD], "little"), most)
    if kind == "lz4":
        _check_size(int.from_bytes(head[:4], "little"), most)
    return None


def _no_more(content: bytes, most: int) -> bytes:
    _check_size(len(content), most)
    return content


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"a chunk holds {size} bytes or more, and at most {most} fit its shape")


def _zstd_content(head: bytes) -> int | None:
    """How many bytes a frame says (RFC 8878) that it holds, for which its library makes room; None if it does not."""
    if not head.startswith(b"\x28\xb5\x2f\xfd") or len(head) == 4:
        return None
    is_single = bool(head[4] & 0x20)
    start = 5 + (not is_single) + (0, 1, 2, 4)[head[4] & 3]
    width = (int(is_single), 2, 4, 8)[head[4] >> 6]
    said = int.from_bytes(head[start : start + width], "little")
    return said + 256 * (width == 2) if width else None


def _check_blosc(head: bytes, size: int) -> None:
    """Raises ValueError for a frame that is not as long as it says: the library would read on behind its end."""
    said = int.from_bytes(head[_BLOSC_WHOLE], "little")
    if size < _BLOSC_HEADER_BYTES or size != said:
        raise ValueError(f"a chunk has {size} bytes, its header says {said}")
