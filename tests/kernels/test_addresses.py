"""The addresses of arrays of any kind, next to what NumPy says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels.addresses import address_of, contiguous_address


def read_only() -> NDArray[np.float32]:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(5.0),
        np.arange(5.0)[3:],
        np.arange(12, dtype=np.int64).reshape(3, 4)[::-2, 1:],
        np.zeros((3, 0)),
        np.zeros(0, np.bool_),
        np.broadcast_to(2.5, 7),
        np.frombuffer(b"12345678", np.float64),
        np.array(1.5),
        read_only(),
    ],
)
def test_the_address_is_that_of_the_first_number(array: NDArray[Any]) -> None:
    assert address_of(array) == array.ctypes.data


@pytest.mark.parametrize(
    "array", [np.arange(5.0), np.arange(5.0)[3:], np.zeros((3, 0)), np.zeros((1, 4), order="F"), read_only()]
)
def test_the_address_of_numbers_that_follow_each_other(array: NDArray[Any]) -> None:
    assert contiguous_address(array) == array.ctypes.data


@pytest.mark.parametrize(
    "array", [np.zeros((3, 4), order="F"), np.zeros((3, 4))[:, 1:], np.arange(9.0)[::2], np.broadcast_to(2.5, 7)]
)
def test_what_lies_elsewhere_in_memory_is_refused(array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="is not C-contiguous"):
        contiguous_address(array)
