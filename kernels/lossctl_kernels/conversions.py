"""Integers of 64 bits as floats, by compiled code on all threads: NumPy takes longer for it than most losses take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .batch import Array

if TYPE_CHECKING:
    from .recipes import Recipe

FLOATS = ("float32", "float64")
"""What they become."""

LARGEST_EXACT = 1 << 53
"""Beyond this, not every integer is a float64."""

LANES = 16
"""Numbers that compiled code takes together."""

_BLOCK = 1 << 12


def compiled_conversion(numbers: NDArray[np.int64], dtype: str, threads: int) -> tuple[Array, bool]:
    """(contiguous `numbers` of shape (n,) as one of the `FLOATS`; whether none is beyond `LARGEST_EXACT`).

    Raises BackendUnavailable where code has to be compiled and cannot be.
    """
    from .roads import run_loop

    whole = numbers.size // LANES * LANES
    found, beyond = np.empty(numbers.size, dtype), np.zeros(-(-whole // _BLOCK), np.int64)
    arrays = {"prediction": (numbers, _BLOCK), "result": (found, _BLOCK), "report": (beyond, 1)}
    run_loop(recipe_of(dtype), whole, _BLOCK, threads, **arrays)
    rest = numbers[whole:]
    found[whole:] = rest
    is_exact = not beyond.any() and bool(((rest >= -LARGEST_EXACT) & (rest <= LARGEST_EXACT)).all())
    return found, is_exact


def recipe_of(dtype: str) -> Recipe:
    """What converts to one of the `FLOATS`."""
    from .recipes import loop_of

    return loop_of("converted", dtype)
