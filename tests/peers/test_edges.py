"""Where a framework's number depends on how it writes a constant: taken from PyTorch 2.13 and Keras 3.15.1."""

from __future__ import annotations

import numpy as np
import pytest

import lossctl


def test_pytorch_adds_the_float32_next_to_1e_12_to_squared_norms() -> None:
    data = np.array([[1e-7, 2e-6], [0.0, 0.0]]), np.array([[1.0, 0.5], [3.0, 1.0]]), "torch.nn.CosineEmbeddingLoss"
    inputs = {"sign": np.array([1, 1])}
    assert lossctl.evaluate(*data, inputs=inputs).value == pytest.approx(0.7802196704614826, rel=1e-14)
    slopes = [[-195413.4666520511, -12163.491221849326], [-474341.649972921, -158113.883324307]]
    np.testing.assert_allclose(lossctl.gradient(*data, inputs=inputs), slopes, rtol=1e-14)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_keras_lets_the_slope_through_at_the_ends_of_what_it_clips(backend: str) -> None:
    data = np.array([1e-7, 1 - 1e-7]), np.array([1, 0]), "keras.losses.BinaryFocalCrossentropy"
    slopes = lossctl.gradient(*data, reduction="sum", backend=backend)
    np.testing.assert_allclose(slopes, [-10000030.236188179, 10000030.241451738], rtol=1e-9)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_keras_has_a_slope_where_the_right_answer_is_certain_and_its_logarithm_is_clipped(backend: str) -> None:
    data = np.array([1.0, 0.0, 0.5]), np.array([1, 0, 1])
    slopes = lossctl.gradient(*data, "keras.losses.BinaryFocalCrossentropy:gamma=1", reduction="sum", backend=backend)
    held = -np.log1p(-1e-7)
    np.testing.assert_allclose(slopes, [-held, held, -1.0 - np.log(2.0)], rtol=1e-9)
    exact = lossctl.gradient(*data, "binary_focal:gamma=1", reduction="sum", backend=backend)
    np.testing.assert_array_equal(exact[:2], 0.0)
