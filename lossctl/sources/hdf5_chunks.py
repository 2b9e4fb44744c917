"""Chunks of HDF5 that hold more than they may: the library unpacks all of one before it looks at its size."""

from __future__ import annotations

import math
import zlib
from typing import Any

import h5py

from lossctl.errors import DataError, visible
from lossctl.sources.hdf5_filters import DEFLATE, FLETCHER32, NBIT, SCALEOFFSET, SHUFFLE, ChunkSizes, check_settings

# What stands for a text of any length; filters may add a little to a chunk.
_REFERENCE_BYTES = 16
_ADDED_BYTES = 1 << 16

_OF_KNOWN_SIZE = frozenset({SHUFFLE, NBIT, SCALEOFFSET})
"""Filters that make no more of a chunk than its elements take."""

_LARGEST_RATIO = 1032
"""Of deflate, by its definition."""

# What larger chunks hold is counted first, which takes as long as the library does to read them.
_ALWAYS_UNPACKED = 512 << 20

_PIECE_BYTES = 1 << 20


def check_chunks(dataset: Any, label: str) -> None:
    """Raises DataError where a chunk takes, or may be unpacked to, more than its shape says, or cannot be unpacked."""
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(each)[0] for each in range(plan.get_nfilters())]
    for position, code in enumerate(filters):
        if not h5py.h5z.filter_avail(code):
            name = plan.get_filter(position)[3].decode(errors="backslashreplace")
            raise DataError(
                f"{label} is packed by the filter '{visible(name)}' ({code}), which is not there",
                hint="write it with gzip or lzf, or set HDF5_PLUGIN_PATH to the folder of the filter",
            )
    packing = [each for each in filters if each != FLETCHER32]
    if any(each not in _OF_KNOWN_SIZE for each in packing[:-1]):
        raise DataError(f"{label} is packed more than once", hint="write it with one compression, as the last filter")
    check_settings(dataset, label)
    if not hasattr(dataset.id, "chunk_iter"):  # before release 1.12.3 of the library
        return
    most = math.prod(dataset.chunks) * max(dataset.dtype.itemsize, _REFERENCE_BYTES) + _ADDED_BYTES
    sizes = ChunkSizes(dataset, label, filters)
    suspects: list[tuple[int, ...]] = []

    def look(chunk: Any) -> None:
        if chunk.size > most:
            raise _too_large(label, chunk.chunk_offset, chunk.size, most)
        sizes.check(chunk)
        if chunk.size * _LARGEST_RATIO > max(most, _ALWAYS_UNPACKED):
            suspects.append(chunk.chunk_offset)

    dataset.id.chunk_iter(look)
    for offset in suspects if packing[-1:] == [DEFLATE] else ():
        _, packed = dataset.id.read_direct_chunk(offset)
        if (size := _unpacked_bytes(packed, most)) > most:
            raise _too_large(label, offset, size, most)


def _unpacked_bytes(packed: bytes, most: int) -> int:
    """How many bytes a stream of deflate holds, counted no further than `most`; what is damaged is the library's."""
    stream, size = zlib.decompressobj(), 0
    try:
        while packed and not stream.eof and size <= most:
            size += len(stream.decompress(packed, _PIECE_BYTES))
            packed = stream.unconsumed_tail
    except zlib.error:
        return 0
    return size


def _too_large(label: str, offset: tuple[int, ...], size: int, most: int) -> DataError:
    return DataError(
        f"{label}: the chunk from row {offset[0]} on holds {size} bytes or more, and at most {most} fit its shape",
        hint="write the file again",
    )
