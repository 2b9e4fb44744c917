"""The parallel driver of the `cpu` backend: it runs any block function over the blocks of a batch and knows no loss.

Each block is one task with results of its own, so that they have the same bits on any number of threads.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange, types

from .cache import compile_cached
from .kernels import BLOCK_FUNCTION

__all__ = ["driver"]


def drive(fill, rows, width, block, places):
    """Calls the block function `fill` for each `block` of rows.

    `places` has shape (8, 2): for each pointer of the block function its address at the first block, and how many bytes
    further it is at the next one.
    """
    for task in prange((rows + block - 1) // block):
        k = np.int64(task)  # Numba counts parallel loops unsigned
        fill(
            min(block, rows - k * block), width,
            places[0, 0] + k * places[0, 1], places[1, 0] + k * places[1, 1],
            places[2, 0] + k * places[2, 1], places[3, 0] + k * places[3, 1],
            places[4, 0] + k * places[4, 1], places[5, 0] + k * places[5, 1],
            places[6, 0] + k * places[6, 1], places[7, 0] + k * places[7, 1],
        )  # fmt: skip


_SIGNATURE = (types.FunctionType(BLOCK_FUNCTION), types.int64, types.int64, types.int64, types.int64[:, ::1])


@cache
def driver() -> Any:
    """The driver, compiled or from the cache: once for all losses."""
    dispatcher = njit(parallel=True, error_model="numpy", nogil=True)(drive)
    return compile_cached(dispatcher, _SIGNATURE, "driver")
