"""Where a framework's number is one of its own: taken from PyTorch 2.13, Keras 3.15.1 and scikit-learn 1.9.1."""

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


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("spec", ["sklearn.metrics.zero_one_loss", "zero_one:preset=sklearn", "zero_one:row=any"])
def test_scikit_learn_counts_a_row_of_labels_as_wrong_if_one_is(spec: str, backend: str) -> None:
    predicted = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0]])
    true = np.array([[1, 0, 1], [1, 1, 0], [1, 1, 0], [0, 1, 0]])
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    found = lossctl.evaluate(predicted, true, spec, weights=weights, backend=backend)
    assert found.sum == 2.5
    assert found.value == pytest.approx(2.5 / 6.5, rel=1e-15)
    assert lossctl.per_sample(predicted, true, spec, backend=backend).tolist() == [0.0, 1.0, 1.0, 0.0]
    of_shares = [0.0, 1.0, 1 / 3, 0.0]
    np.testing.assert_allclose(lossctl.per_sample(predicted, true, "zero_one", backend=backend), of_shares, rtol=1e-15)
    hamming = lossctl.per_sample(predicted, true, "sklearn.metrics.hamming_loss", backend=backend)
    np.testing.assert_allclose(hamming, of_shares, rtol=1e-15)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_a_row_may_be_one_label_or_have_several_axes_where_one_wrong_label_counts(backend: str) -> None:
    labels, other = np.array([2, 0, 1]), np.array([2, 1, 1])
    assert lossctl.evaluate(labels, other, "zero_one:preset=sklearn", backend=backend).sum == 1.0
    assert lossctl.evaluate(labels[:, None], other[:, None], "zero_one:preset=sklearn", backend=backend).sum == 1.0
    grid = np.zeros((3, 2, 2))
    grid[1, 1, 0] = grid[1, 0, 0] = 1.0
    found = lossctl.per_sample(grid, np.zeros_like(grid), "zero_one:preset=sklearn", backend=backend)
    assert found.tolist() == [0.0, 1.0, 0.0]


def test_a_row_of_which_nothing_is_known_is_not_wrong_but_nothing() -> None:
    predicted, true = np.array([[np.nan, 1.0], [1.0, 1.0]]), np.array([[0.0, 0.0], [1.0, 1.0]])
    found = lossctl.per_sample(predicted, true, "zero_one:row=any", nonfinite="propagate")
    np.testing.assert_array_equal(found, [np.nan, 0.0])


def test_pytorch_adds_nothing_to_the_differences_of_a_distance_that_is_given_to_it() -> None:
    data = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[1.5, 2.0], [0.5, -3.0]])
    inputs = {"negative": np.array([[1.0, 3.0], [0.0, -1.0]])}
    spec = "torch.nn.TripletMarginWithDistanceLoss:distance=sqeuclidean"
    assert lossctl.per_sample(*data, spec, inputs=inputs).tolist() == [0.25, 4.75]
    np.testing.assert_array_equal(lossctl.gradient(*data, spec, inputs=inputs), [[-0.5, 1.0], [-0.5, 2.0]])


@pytest.mark.parametrize("spec", ["keras.losses.CategoricalGeneralizedCrossEntropy", "gce:preset=keras"])
def test_keras_has_a_q_of_its_own(spec: str) -> None:
    """2 - 2 / sqrt(4) and 2 - 2 sqrt(0.81), which Keras gives without a q."""
    data = np.array([[0.25, 0.75], [0.81, 0.19]]), np.array([0, 0])
    np.testing.assert_allclose(lossctl.per_sample(*data, spec), [1.0, 0.2], rtol=1e-14)
    assert lossctl.evaluate(*data, f"{spec},q=0.9" if ":" in spec else f"{spec}:q=0.9").value != pytest.approx(0.6)
