"""Filters of HDF5 whose chunks say how many bytes they need: of one that has fewer, the library makes up the rest."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import h5py

from lossctl.errors import DataError, visible

DEFLATE, SHUFFLE, FLETCHER32, NBIT, SCALEOFFSET, LZF = 1, 2, 3, 5, 6, 32000

_CHECKSUM_BYTES = 4
"""Of Fletcher's, behind a chunk."""

_SCALEOFFSET_HEADER_BYTES = 21
"""Before the values: with how many bits each is kept, in four bytes, and from where they count."""

_LARGEST_LZF_RATIO = 88
"""Three bytes stand for 264 at most."""


def check_settings(dataset: Any, label: str) -> None:
    """Raises DataError where a filter was told of other elements than there are: the library takes its word."""
    if dataset.dtype.hasobject:
        return
    elements, size = math.prod(dataset.chunks), dataset.dtype.itemsize
    expected = {SHUFFLE: {0: size}, NBIT: {2: elements}, SCALEOFFSET: {2: elements, 4: size}}
    plan = dataset.id.get_create_plist()
    for position in range(plan.get_nfilters()):
        code, _, settings, name = plan.get_filter(position)
        for place, number in expected.get(code, {}).items():
            if settings[place : place + 1] != (number,):
                raise DataError(
                    f"{label} is damaged: its filter {visible(name.decode(errors='backslashreplace'))} is set to other "
                    f"chunks than those of {elements} elements of {size} bytes",
                    hint="write the file again",
                )


def check_size(dataset: Any, label: str, chunk: Any, filters: Collection[int]) -> None:
    """Raises DataError where a chunk, behind these filters, has fewer bytes than its elements take.

    No filter at all, and one that only moves bytes, keep as many as there are. Texts of any length are kept elsewhere.
    """
    if dataset.dtype.hasobject:
        return
    checksum = _CHECKSUM_BYTES if FLETCHER32 in filters else 0
    elements = math.prod(dataset.chunks)
    whole = elements * dataset.dtype.itemsize
    packing = [code for code in filters if code not in (FLETCHER32, SHUFFLE)]
    if packing:
        needed, most = checksum + _packed_bytes(dataset, chunk, packing, elements, whole), math.inf
    else:
        needed, most = whole + checksum, whole + checksum
    if not needed <= chunk.size <= most:
        raise DataError(
            f"{label} is damaged: the chunk from row {chunk.chunk_offset[0]} on has {chunk.size} bytes, its elements "
            f"take {needed}{'' if most == needed else ' or more'}",
            hint="write the file again",
        )


def _packed_bytes(dataset: Any, chunk: Any, packing: Collection[int], elements: int, whole: int) -> int:
    """How many bytes the elements take at least; 0 where only the filter can tell."""
    kind = dataset.id.get_type()
    if packing == [NBIT] and isinstance(kind, h5py.h5t.TypeAtomicID):
        return int(elements * kind.get_precision() // 8)
    if packing == [SCALEOFFSET]:
        _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
        return _SCALEOFFSET_HEADER_BYTES + elements * int.from_bytes(packed[:4], "little") // 8
    return -(-whole // _LARGEST_LZF_RATIO) if packing == [LZF] else 0
