"""Heaps of HDF5, which keep texts of any length: the library never comes to the end of a damaged one.

A heap is "GCOL", a version, three zeros and its size in eight bytes, and then objects up to that size: each a number of
two bytes, six others, a size in eight, and so many bytes, up to a multiple of eight. Free space is object 0, whose size
counts its header as well (HDF5 File Format Specification, section III.E). Where one takes no room, the library goes on
with the same one for ever.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError
from lossctl.sources.input_file import InputFile

_SIGNATURE = re.compile(b"GCOL\x01\0\0\0")
_HEADER_BYTES = 16
"""Of a heap, and of an object."""

_PIECE_BYTES = 64 << 20

_Positions = NDArray[np.int64]


def check_heaps(file: InputFile) -> None:
    """Raises DataError where an object of a heap takes no room."""
    objects = ends = np.empty(0, np.int64)
    for start in range(0, file.size, _PIECE_BYTES):
        piece = file.read_at(start, _PIECE_BYTES + _HEADER_BYTES)
        last = min(_PIECE_BYTES - 1, len(piece) - _HEADER_BYTES)  # of the headers that begin in this piece
        heaps = np.array([found.start() for found in _SIGNATURE.finditer(piece, 0, last + _HEADER_BYTES)], np.int64)
        heaps = heaps[heaps <= last]
        objects = np.concatenate([objects, start + heaps + _HEADER_BYTES])
        ends = np.concatenate([ends, start + heaps + np.minimum(_numbers(piece, "<i8", heaps + 8), file.size)])
        # A step goes on by one object in every heap.
        while (here := np.flatnonzero((objects <= start + last) & (objects + _HEADER_BYTES <= ends))).size:
            taken = _taken(piece, objects[here] - start)
            if not taken.all():
                raise DataError(
                    f"{file.name} is damaged: of the texts that it keeps, that at byte {objects[here][taken == 0][0]} "
                    "takes no room",
                    hint="write the file again",
                )
            room = ends[here] - objects[here]
            objects[here] += np.where((taken > 0) & (taken < room), taken, room)
        more = objects + _HEADER_BYTES <= ends
        objects, ends = objects[more], ends[more]


def _taken(piece: bytes, objects: _Positions) -> _Positions:
    """How many bytes objects say that they take, as the library counts it: what is too much for it becomes negative."""
    sizes = _numbers(piece, "<i8", objects + 8)
    return np.where(_numbers(piece, "<u2", objects) > 0, sizes + (_HEADER_BYTES + 7) & ~7, sizes)


def _numbers(piece: bytes, dtype: str, positions: _Positions) -> NDArray[np.int64]:
    """The integers at any positions."""
    kind = np.dtype(dtype)
    at_each_byte = np.ndarray(max(0, len(piece) - kind.itemsize + 1), kind, piece, strides=(1,))
    return at_each_byte[positions].astype(np.int64)
