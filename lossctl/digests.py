"""Digests of what was read beside the predictions, by which it is known again: the targets, weights and further inputs.

A digest is of the values in the order of the rows, each as a float64: the format of a file, the type of its numbers as
long as that holds them, chunks and shards do not matter. Names of classes count by their indices. It is the SHA-256 of
the hashes of `value_hashes.py`, and of how many values there are: those hashes cost next to nothing where compiled code
makes them, and SHA-256 itself would take longer than most losses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from lossctl.rows.feed import Feed
from lossctl.sources import Reader
from lossctl.sources.base import Array, WrappedReader, is_beside
from lossctl_kernels.gpu import BackendUnavailable
from lossctl_kernels.value_hashes import DTYPES, PIECE, compiled_hashes, hashes, recipe_of

PIECES_AT_ONCE = 8
"""Hashed together by NumPy: what is made of them stays in the cache of a core, and is no new memory each time."""

COMPILED_VALUES = 1 << 16
"""Of a chunk: what repays looking for compiled code."""

COMPILING_VALUES = 1 << 24
"""Of all before: by then NumPy has taken as long as compiling would have."""

ALGORITHM = "nh-sha256"


def digested(feed: Feed, digests: dict[str, str], threads: Callable[[], int] = int) -> Feed:
    """The feed, whose first whole pass puts the digest of each role but the predictions into `digests`.

    `threads`, asked at the start of a pass, run compiled code; without any it is not looked for.
    """
    sides = feed.readers, feed.whole_readers
    readers, whole = ([_DigestedReader(each, digests, threads) for each in side] for side in sides)
    return Feed(readers, whole, feed.warnings)


class _DigestedReader(WrappedReader):
    """What another reader delivers."""

    def __init__(self, reader: Reader, digests: dict[str, str], threads: Callable[[], int]) -> None:
        super().__init__(reader)
        self.arrays, self._digests, self._threads = reader.arrays, digests, threads

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        roles = (role for role in self.arrays if role != "prediction" and not is_beside(role))
        threads = self._threads()
        found = {role: _Digest(threads) for role in roles if role not in self._digests}
        for chunk in self._reader.chunks(rows):
            for role, digest in found.items():
                digest.add(chunk[role])
            yield chunk
        self.arrays = self._reader.arrays
        self._digests.update({role: str(digest) for role, digest in found.items()})


class _Digest:
    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._hash = hashlib.sha256()
        self._piece = np.empty((PIECES_AT_ONCE, PIECE))
        self._begun = np.empty(PIECE)
        self._values = 0

    def add(self, array: Array) -> None:
        """The next rows."""
        values = array.reshape(-1)
        if values.dtype == np.bool_:
            values = values.view(np.uint8)
        begun = self._values % PIECE
        self._values += values.size
        if begun:
            first, values = values[: PIECE - begun], values[PIECE - begun :]
            self._begun[begun : begun + first.size] = first
            if begun + first.size < PIECE:
                return
            self._take(self._begun)
        whole = values.size // PIECE * PIECE
        if whole:
            self._take(values[:whole])
        self._begun[: values.size - whole] = values[whole:]

    def _take(self, values: Array) -> None:
        """Whole pieces."""
        if not (self._is_worth_compiled_code(values) and self._take_compiled(values)):
            pieces = values.reshape(-1, PIECE)
            for start in range(0, len(pieces), PIECES_AT_ONCE):
                part = pieces[start : start + PIECES_AT_ONCE]
                numbers = self._piece[: len(part)]
                numbers[...] = part
                self._update(hashes(numbers))

    def _is_worth_compiled_code(self, values: Array) -> bool:
        if not self._threads or values.size < COMPILED_VALUES or values.dtype.name not in DTYPES:
            return False
        from lossctl_kernels.roads import are_kept

        return self._values >= COMPILING_VALUES or are_kept([recipe_of(values.dtype.name)])

    def _take_compiled(self, values: Array) -> bool:
        """Whether it could be done."""
        try:
            self._update(compiled_hashes(values, self._threads))
        except BackendUnavailable:
            self._threads = 0
        return self._threads > 0

    def _update(self, found: Array) -> None:
        self._hash.update(found.astype("<u8", copy=False).data)

    def __str__(self) -> str:
        whole = self._hash.copy()
        last = self._begun[: self._values % PIECE]
        if last.size:
            whole.update(hashes(last[None]).astype("<u8", copy=False).data)
        whole.update(self._values.to_bytes(8, "little"))
        return f"{ALGORITHM}:{whole.hexdigest()[:32]}"
