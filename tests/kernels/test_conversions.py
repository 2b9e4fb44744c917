"""Integers as floats by compiled code: as NumPy converts them, and none beyond 2**53 goes by unseen."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl_kernels.conversions import FLOATS, compiled_conversion

SIZE = 100_003
BOUND = 2**53


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 4095, 4096, 4097, SIZE])
def test_they_are_those_of_numpy(dtype: str, size: int) -> None:
    integers = np.random.default_rng(size).integers(-BOUND, BOUND, size, endpoint=True)
    converted, is_exact = compiled_conversion(integers, dtype, 2)
    assert is_exact
    assert converted.dtype == dtype
    assert (converted == integers.astype(dtype)).all()


@pytest.mark.parametrize("place", [0, 4095, 4096, 77_777, SIZE - 4, SIZE - 1])
def test_one_that_is_too_large_is_seen_wherever_it_stands(place: int) -> None:
    integers = np.zeros(SIZE, np.int64)
    for value in (BOUND, -BOUND):
        integers[place] = value
        assert compiled_conversion(integers, "float64", 2)[1]
    for value in (BOUND + 1, -BOUND - 1, np.iinfo(np.int64).max, np.iinfo(np.int64).min):
        integers[place] = value
        assert not compiled_conversion(integers, "float64", 2)[1]
