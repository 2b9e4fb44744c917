"""Filters of HDF5 whose chunks say how many bytes they need: of one that has fewer, the library makes up the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import h5py

from lossctl.errors import DataError, visible
from lossctl_kernels.lzf import NO_STREAM, measure_for

DEFLATE, SHUFFLE, FLETCHER32, NBIT, SCALEOFFSET, LZF = 1, 2, 3, 5, 6, 32000

_CHECKSUM_BYTES = 4
"""Of Fletcher's, behind a chunk."""

_SCALEOFFSET_HEADER_BYTES = 21
"""Before the values: with how many bits each is kept, in four bytes, and from where they count."""


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


class _Sizes(NamedTuple):
    """How many bytes a chunk may have, and the filter for which what is in it has to be looked at; 0 for none."""

    fewest: int
    most: float
    looked_at_for: int = 0


class ChunkSizes:
    """The chunks of a dataset are to have as many bytes as their elements take, behind the filters of each.

    No filter at all, and one that only moves bytes, keep as many as there are. Texts of any length are kept elsewhere.
    """

    def __init__(self, dataset: Any, label: str, filters: Sequence[int]) -> None:
        self._dataset, self._label, self._filters = dataset, label, filters
        self._elements = math.prod(dataset.chunks)
        self._itemsize = dataset.dtype.itemsize
        self._of_mask: dict[int, _Sizes] = {}

    def check(self, chunk: Any) -> None:
        """Raises DataError where a chunk has fewer bytes than its elements take, or more where that is known."""
        mask = chunk.filter_mask
        if mask not in self._of_mask:
            self._of_mask[mask] = self._sizes(mask)
        fewest, most, looked_at_for = self._of_mask[mask]
        if looked_at_for:
            _, packed = self._dataset.id.read_direct_chunk(chunk.chunk_offset)
            if looked_at_for == LZF:
                self._check_lzf(chunk, packed[: max(0, len(packed) - fewest)])
            else:
                fewest += self._elements * int.from_bytes(packed[:4], "little") // 8
        if not fewest <= chunk.size <= most:
            raise self._damaged(
                chunk, f"has {chunk.size} bytes, its elements take {fewest}{'' if most == fewest else ' or more'}"
            )

    def _check_lzf(self, chunk: Any, packed: bytes) -> None:
        """Of what unpacks to less, the library makes up the rest from what lies in memory."""
        length = self._lzf_length(packed)
        whole = self._elements * self._itemsize
        if length == NO_STREAM:
            raise self._damaged(chunk, "is no stream of LZF")
        if length != whole:
            raise self._damaged(chunk, f"unpacks to {length} bytes, its elements take {whole}")

    def _damaged(self, chunk: Any, what: str) -> DataError:
        return DataError(
            f"{self._label} is damaged: the chunk from row {chunk.chunk_offset[0]} on {what}",
            hint="write the file again",
        )

    @cached_property
    def _lzf_length(self) -> Callable[[bytes], int]:
        return measure_for(self._dataset.id.get_storage_size())

    def _sizes(self, mask: int) -> _Sizes:
        """Behind the filters that such a chunk went through; 0 bytes or more where only the filter can tell."""
        if self._dataset.dtype.hasobject:
            return _Sizes(0, math.inf)
        active = [code for position, code in enumerate(self._filters) if not mask >> position & 1]
        checksum = _CHECKSUM_BYTES if FLETCHER32 in active else 0
        whole = self._elements * self._itemsize
        match [code for code in active if code not in (FLETCHER32, SHUFFLE)]:
            case []:
                return _Sizes(whole + checksum, whole + checksum)
            case [code] if code == SCALEOFFSET:
                return _Sizes(_SCALEOFFSET_HEADER_BYTES + checksum, math.inf, looked_at_for=SCALEOFFSET)
            case [code] if code == NBIT and isinstance(kind := self._dataset.id.get_type(), h5py.h5t.TypeAtomicID):
                return _Sizes(self._elements * kind.get_precision() // 8 + checksum, math.inf)
            case [code] if code == LZF and FLETCHER32 not in active[:-1]:
                return _Sizes(checksum, math.inf, looked_at_for=LZF)
        return _Sizes(checksum, math.inf)
