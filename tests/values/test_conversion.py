"""Conversions to floats: every value as it is, by NumPy and by compiled code, or an error that shows the integer."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl.errors import DataError
from lossctl.values import conversion
from lossctl.values.conversion import TooLarge, exact
from lossctl_kernels import roads


@pytest.mark.parametrize("value", [2**53, -(2**53)])
def test_integers_up_to_2_to_the_53_are_exact(value: int) -> None:
    assert exact(np.array([value, 1]), "float64", "p.npy", "target").tolist() == [float(value), 1.0]


@pytest.mark.parametrize(
    "array", [np.array([2**53 + 1]), np.array([-(2**53) - 1]), np.array([2**64 - 1], np.uint64)], ids=str
)
def test_larger_integers_are_refused(array: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    with pytest.raises(DataError, match=str(array[0])):
        exact(array, "float64", "p.npy", "target")


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_many_integers_are_converted_in_their_shape(dtype: str) -> None:
    array = np.arange(300_000, dtype=dtype).reshape(3, 100_000)
    converted = exact(array, "float64", "p.npy", "target")
    assert converted.dtype == np.float64
    assert (converted == array).all()
    assert exact(array.T[::7], "float32", "p.npy", "target").tolist() == array.T[::7].tolist()
    array[2, 99_999] = 2**53 + 1
    with pytest.raises(DataError, match=str(2**53 + 1)):
        exact(array, "float64", "p.npy", "target")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_compiled_code_converts_as_numpy_does(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roads, "is_at_hand", lambda recipe: True)
    monkeypatch.setattr(conversion, "_in_pieces", None)  # is not called
    for array in (np.arange(-50_000, 50_003).reshape(-1, 1), np.full((2, 1 << 16), -(2**53))):
        converted = exact(array, dtype, "p.npy", "target", threads=2)
        assert converted.dtype == dtype
        assert converted.shape == array.shape
        assert (converted == array.astype(dtype)).all()


def test_what_compiled_code_refuses_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roads, "is_at_hand", lambda recipe: True)
    array = np.zeros(1 << 17, np.int64)
    array[70_000] = -(2**53) - 1
    with pytest.raises(TooLarge, match="found -9007199254740993"):
        exact(array, "float64", "p.npy", "target", threads=2)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(1 << 17)[::2],
        np.arange(1 << 16).astype(">i8"),
        np.arange(1 << 16, dtype=np.uint64),
        np.frombuffer(bytes(1) + np.arange(1 << 16).tobytes(), np.int64, offset=1),
        np.arange(100),
    ],
    ids=["strided", "of another order", "unsigned", "unaligned", "few"],
)
def test_what_compiled_code_does_not_take_is_left_to_numpy(
    array: np.ndarray[tuple[int], np.dtype[np.int64]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "compiled_conversion", None)  # is not called
    monkeypatch.setattr(roads, "is_at_hand", lambda recipe: True)
    assert exact(array, "float64", "p.npy", "target", threads=2).tolist() == array.tolist()
