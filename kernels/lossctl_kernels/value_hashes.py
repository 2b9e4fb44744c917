"""Hashes of numbers as float64, a piece at a time: interpreted, or by compiled code where there are many.

A piece is `PIECE` numbers. Of each, 0 for -0 and one NaN for all, the two halves of its 64 bits are added to those of
the key of its place, each in 32 bits, and multiplied: the sum of the products is the function NH of UMAC (Black,
Halevi, Krawczyk, Krovetz, Rogaway, "UMAC: Fast and secure message authentication", 1999). A piece has this sum and
another one, in which the products are weighted by their places, both in 64 bits. That pieces which differ in one number
have both in common is an accident of less than one in 2**32, where they differ in more of far less. Keys and weights
are known to all: it is no protection from somebody who looks for such an accident.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .batch import Array, Floats

if TYPE_CHECKING:
    from .recipes import Recipe

LANES = 16
"""Numbers that compiled code takes together."""

PIECE = 1024
"""Numbers: their keys stay in the innermost cache beside them."""

DTYPES = ("int8", "uint8", "int32", "int64", "float32", "float64")
"""Of the numbers that compiled code takes: those that targets have. A bool is a byte."""

_LINE = 8
"""Keys in a line of the cache."""

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)

Hashes = NDArray[np.uint64]


@cache
def keys() -> Hashes:
    """Of the places in a piece: the same wherever they are made."""
    room = np.empty(PIECE + _LINE, np.uint64)
    start = -(room.ctypes.data // room.itemsize) % _LINE
    table = room[start : start + PIECE]  # vectors of it lie within lines of the cache
    table[...] = mixed(1, PIECE)
    return table


@cache
def weights() -> Hashes:
    """Of the places: lane by lane, what the sums so far come to when they are added up at every step."""
    steps = np.arange(PIECE // LANES, 0, -1, dtype=np.uint64)
    return (steps[:, None] * lane_factors()).reshape(-1)


def lane_factors() -> Hashes:
    """What the sums of each lane are multiplied by: odd, so that nothing is lost."""
    return mixed(PIECE + 1, LANES) | np.uint64(1)


def mixed(first: int, count: int) -> Hashes:
    """Outputs of SplitMix64 with the seed 0: the generator of Steele, Lea, Flood, 2014."""
    return spread(np.arange(first, first + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def spread(numbers: Hashes) -> Hashes:
    """Each number with its bits spread over all of it: the finalizer of SplitMix64, which is one to one."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def hashes(numbers: Floats) -> Hashes:
    """Of pieces of shape (n, numbers), at most `PIECE` each: (n, 2)."""
    size = numbers.shape[1]
    canonical = numbers + 0.0  # -0.0 and 0 are one number
    canonical[np.isnan(canonical)] = np.nan  # whatever its bits
    sums = (canonical.view(np.uint32) + keys()[:size].view(np.uint32)).view(np.uint64)
    products = (sums & _LOW) * (sums >> _HALF)
    return np.stack([products.sum(axis=1), (products * weights()[:size]).sum(axis=1)], axis=1)


def compiled_hashes(numbers: Array, threads: int) -> Hashes:
    """Of whole pieces one after the other, of one of the `DTYPES`.

    Raises BackendUnavailable where code has to be compiled and cannot be.
    """
    from .roads import run_loop

    found = np.empty((numbers.size // PIECE, 2), np.uint64)
    arrays = {"prediction": (numbers, PIECE), "numbers": (keys(), 0), "result": (found, 1)}
    run_loop(recipe_of(numbers.dtype.name), PIECE * len(found), PIECE, threads, **arrays)
    return found


def recipe_of(dtype: str) -> Recipe:
    """What hashes numbers of a dtype."""
    from .recipes import loop_of

    return loop_of("hashed", dtype)
