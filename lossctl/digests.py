"""Digests of what was read beside the predictions, by which it is known again: the targets, weights and further inputs.

A digest is of the values in the order of the rows, each as a float64: the format of a file, the type of its numbers as
long as that holds them, chunks and shards do not matter. Names of classes count by their indices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from lossctl.feed import Feed
from lossctl.sources import Reader
from lossctl.sources.base import Array, is_beside

__all__ = ["digested"]

PIECE_VALUES = 1 << 15
"""What is converted at a time: it is still in the cache of a core when it is hashed."""


def digested(feed: Feed, digests: dict[str, str]) -> Feed:
    """The feed, whose first whole pass puts the digest of each role but the predictions into `digests`."""
    readers, whole = ([_DigestedReader(each, digests) for each in side] for side in (feed.readers, feed.whole_readers))
    return Feed(readers, whole, feed.warnings)


class _DigestedReader(Reader):
    """What another reader delivers."""

    def __init__(self, reader: Reader, digests: dict[str, str]) -> None:
        self._reader, self.arrays, self._digests = reader, reader.arrays, digests

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        roles = (role for role in self.arrays if role != "prediction" and not is_beside(role))
        found = {role: _Digest() for role in roles if role not in self._digests}
        for chunk in self._reader.chunks(rows):
            for role, digest in found.items():
                digest.add(chunk[role])
            yield chunk
        self.arrays = self._reader.arrays
        self._digests.update({role: str(digest) for role, digest in found.items()})

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._reader.place(role, row, column)

    def close(self) -> None:
        self._reader.close()


class _Digest:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._piece = np.empty(PIECE_VALUES, "<f8")

    def add(self, array: Array) -> None:
        """The next rows."""
        values = array.reshape(-1)
        for start in range(0, values.size, PIECE_VALUES):
            part = values[start : start + PIECE_VALUES]
            piece = self._piece[: part.size]
            np.add(part, 0.0, out=piece)  # -0.0 and 0 are one number
            if part.dtype.kind == "f":
                piece[np.isnan(piece)] = np.nan  # whatever its bits
            self._hash.update(piece.data)

    def __str__(self) -> str:
        return f"sha256:{self._hash.hexdigest()[:32]}"
