"""How fast memory gives data: the speed that nothing which reads all of it can exceed."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray


class PlainRead:
    """Reads every byte of arrays, on as many threads as everybody else has."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads)
        self([np.zeros(8)])  # compiles

    def __call__(self, arrays: Iterable[NDArray[Any]]) -> int:
        """A number that depends on all of them, so that no reading is left out."""
        pieces = [piece for array in arrays for piece in np.array_split(_words(array), self.threads)]
        return sum(self.pool.map(_sum, pieces))


def _words(array: NDArray[Any]) -> NDArray[np.int64]:
    """The array as integers, whose sum is the same in any order, so that all lanes of a vector are busy."""
    flat = array.reshape(-1).view(np.uint8)
    return flat[: flat.size // 8 * 8].view(np.int64)


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def _sum(words: NDArray[np.int64]) -> int:
    total = 0
    for i in range(words.size):
        total += words[i]
    return total
