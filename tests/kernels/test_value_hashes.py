"""Hashes of numbers: compiled and interpreted they are what is written down, and they tell apart what differs."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels.value_hashes import DTYPES, PIECE, compiled_hashes, hashes

MODULUS, WORD = 1 << 64, 1 << 32
LANES = 16


def outputs(count: int) -> list[int]:
    """Of SplitMix64 with the seed 0, as its authors wrote it."""
    found, state = [], 0
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) % MODULUS
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) % MODULUS
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % MODULUS
        found.append(mixed ^ (mixed >> 31))
    return found


KEYS = outputs(PIECE + LANES)


def expected(numbers: Sequence[float]) -> tuple[int, int]:
    """The two sums of a piece, one number after the other in Python's integers."""
    total = weighted = 0
    for place, (number, key) in enumerate(zip(numbers, KEYS, strict=False)):
        spelled = math.nan if math.isnan(number) else number + 0.0
        bits = int.from_bytes(struct.pack("<d", spelled), "little")
        product = (bits % WORD + key % WORD) % WORD * ((bits // WORD + key // WORD) % WORD)
        total += product
        weighted += product * (PIECE // LANES - place // LANES) * (KEYS[PIECE + place % LANES] | 1)
    return total % MODULUS, weighted % MODULUS


def numbers_of(dtype: str, pieces: int) -> NDArray[np.generic]:
    """Of all kinds that the dtype has, odd ones among them."""
    random, size = np.random.default_rng(7), pieces * PIECE
    if not dtype.startswith("float"):
        info = np.iinfo(dtype)
        return random.integers(info.min, info.max, size, dtype=dtype, endpoint=True)
    found = (random.normal(size=size) * 10.0 ** random.integers(-30, 30, size)).astype(dtype)
    found[::5] = np.resize(
        np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-45, 5e-324], dtype), found[::5].size
    )
    found.view(np.uint32 if dtype == "float32" else np.uint64)[10] += 1  # a NaN of other bits
    return found


def test_the_generator_is_the_one_that_others_have() -> None:
    assert KEYS[:2] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000, PIECE])
def test_a_piece_has_the_sums_that_are_written_down(size: int) -> None:
    numbers = numbers_of("float64", 1)[:size].astype(np.float64)
    assert hashes(numbers[None]).tolist() == [list(expected(numbers.tolist()))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pieces", [1, 3])
def test_compiled_code_agrees(dtype: str, pieces: int) -> None:
    numbers = numbers_of(dtype, pieces)
    found = compiled_hashes(numbers, 1)
    assert found.tolist() == [list(expected(piece)) for piece in numbers.reshape(pieces, PIECE).astype(float).tolist()]
    np.testing.assert_array_equal(hashes(numbers.reshape(pieces, PIECE).astype(np.float64)), found)


def test_threads_do_not_matter() -> None:
    numbers = np.random.default_rng(3).random(200 * PIECE).astype(np.float32)
    np.testing.assert_array_equal(compiled_hashes(numbers, 4), compiled_hashes(numbers, 1))


def test_what_begins_in_the_middle_of_memory_is_hashed_where_it_stands() -> None:
    held = np.zeros(4 * PIECE + 1, np.uint8)
    values = held[1:].view(np.float32)
    values[...] = np.arange(PIECE)
    np.testing.assert_array_equal(compiled_hashes(values, 1), hashes(values[None].astype(np.float64)))


def test_labels_that_are_changed_or_exchanged_never_have_the_same_hashes() -> None:
    """Every change of one label and every exchange of two, and many of several at once: in each of the two sums."""
    labels = (np.arange(PIECE) * 7 % 3 == 0).astype(np.float64)
    random = np.random.default_rng(5)
    others = [labels]
    for place in range(PIECE):
        others.append(labels.copy())
        others[-1][place] = 1.0 - labels[place]
        for other in {(place + step) % PIECE for step in (1, 16, 64, 512)}:
            if labels[place] != labels[other]:
                others.append(labels.copy())
                others[-1][[place, other]] = labels[[other, place]]
        others.append(random.permutation(labels))
    different = np.unique(np.array(others), axis=0)
    assert len(different) > 3 * PIECE
    for column in hashes(different).T:
        assert len(set(column.tolist())) == len(different)
