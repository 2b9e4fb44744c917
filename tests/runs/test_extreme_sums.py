"""Means of losses whose sums, or whose products with weights, float64 does not hold: against exact fractions."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.errors import DataError

LARGEST = np.finfo(np.float64).max
SMALL_WEIGHTS = (1e-300, 3e-308, 1e-200)


def mean_of(losses: Any, weights: Any) -> float:
    """The weighted mean, rounded once."""
    pairs = [(Fraction(loss), Fraction(weight)) for loss, weight in zip(losses, weights, strict=True)]
    return float(sum(loss * weight for loss, weight in pairs) / sum(weight for _, weight in pairs))


@pytest.fixture(params=["python", "cpu"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("weight", SMALL_WEIGHTS)
@pytest.mark.parametrize("spec", ["mae", "huber", "hinge:labels=pm1", "mse"])
def test_tiny_weights_weigh_as_their_ratios_say(spec: str, weight: float, backend: str) -> None:
    random = np.random.default_rng(1)
    rows = 5000
    target = random.choice([-1.0, 1.0], rows)
    prediction = target * (1.0 - random.uniform(1e-12, 1e-11, rows))
    weights = random.choice([1.0, 2.0, 4.0], rows)
    want = mean_of(lossctl.per_sample(prediction, target, spec, backend=backend), weights)
    found = lossctl.evaluate(prediction, target, spec, weights=weight * weights, backend=backend)
    assert found.value == pytest.approx(want, rel=1e-15)
    plain = lossctl.gradient(prediction, target, spec, weights=weights, backend=backend)
    assert lossctl.gradient(prediction, target, spec, weights=weight * weights, backend=backend) == pytest.approx(
        plain, rel=4e-16, abs=0.0
    )


@pytest.mark.parametrize("weight", [*SMALL_WEIGHTS, 1e250, 1e300])
@pytest.mark.parametrize("spec", ["rmse", "rmse:multioutput=columns", "rmsle", "wape", "cosine_global"])
def test_weights_of_all_the_data_weigh_as_their_ratios_say(spec: str, weight: float, backend: str) -> None:
    for size in (1e-100, 1e-20, 1.0, 1e100):
        prediction = size * np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 5.0]])
        target = size * np.array([[2.0, 2.5], [1.0, 2.0], [0.5, 1.0]])
        weights = np.array([1.0, 2.0, 0.0])
        want = lossctl.evaluate(prediction, target, spec, weights=weights, backend=backend).value
        found = lossctl.evaluate(prediction, target, spec, weights=weight * weights, backend=backend)
        assert found.value == pytest.approx(want, rel=1e-15)
        plain = lossctl.gradient(prediction, target, spec, weights=weights, backend=backend)
        assert lossctl.gradient(prediction, target, spec, weights=weight * weights, backend=backend) == pytest.approx(
            plain, rel=1e-15, abs=0.0
        )


def test_a_mean_is_a_number_where_the_sum_is_none(backend: str) -> None:
    prediction = np.full(10_000, 1e305)
    prediction[::3] = LARGEST
    found = lossctl.evaluate(prediction, np.zeros(10_000), "mae", backend=backend)
    assert (found.value, found.sum) == (mean_of(prediction, np.ones(10_000)), math.inf)
    with pytest.raises(DataError, match="the sum of mae exceeds float64"):
        lossctl.evaluate(prediction, np.zeros(10_000), "mae", reduction="sum", backend=backend)


def test_a_weighted_mean_is_a_number_where_products_are_none(backend: str) -> None:
    prediction, weights = np.array([1e200, 3e200, 0.0, 7e-200]), np.array([1e150, 2e150, 5.0, 1e100])
    found = lossctl.evaluate(prediction, np.zeros(4), "mae", weights=weights, backend=backend)
    assert found.value == mean_of(prediction, weights)


@pytest.mark.parametrize("width", [2, 3, 1000])
def test_the_mean_of_a_row_is_a_number_where_its_sum_is_none(width: int, backend: str) -> None:
    prediction = np.random.default_rng(2).uniform(0.1, 1.7e308, (20, width))
    prediction[::4] = 1.0
    target = np.zeros_like(prediction)
    rows = [mean_of(row, np.ones(width)) for row in prediction]
    losses = lossctl.per_sample(prediction, target, "mae", backend=backend)
    assert losses == pytest.approx(np.array(rows), rel=1e-15)
    found = lossctl.evaluate(prediction, target, "mae", backend=backend)
    assert found.value == pytest.approx(mean_of(rows, np.ones(20)), rel=1e-15)
    assert found.nonfinite == 0
    assert (lossctl.gradient(prediction, target, "mae", backend=backend) == 1.0 / 20 / width).all()
    with pytest.raises(DataError, match=r"row \d+: the loss of mae exceeds float64"):
        lossctl.evaluate(prediction, target, "mae:row=sum", backend=backend)


def test_a_row_of_infinite_losses_has_an_infinite_mean(backend: str) -> None:
    found = lossctl.evaluate([[0.0, 0.5], [0.5, 0.5]], [[1.0, 1.0], [1.0, 1.0]], "bce", backend=backend)
    assert (found.value, found.nonfinite) == (math.inf, 1)
    with pytest.raises(DataError, match="row 1: the loss of mse exceeds float64"):
        lossctl.evaluate([[1.0, 1.0], [1e200, 1.0]], np.zeros((2, 2)), "mse", backend=backend)


def test_further_inputs_come_with_the_values_of_such_rows(backend: str) -> None:
    prediction, target = np.array([[1.0, 1.0], [1e154, 1e154], [1.7e308, 1.7e308]]), np.zeros((3, 2))
    var = np.array([[1.0, 1.0], [0.5, 0.4], [1e308, 1e308]])
    found = lossctl.per_sample(prediction, target, "gaussian_nll", inputs={"var": var}, backend=backend)
    assert found[1] == pytest.approx(1e308 / 2 + 1.25e308 / 2, rel=1e-15)
    sign = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0]])
    found = lossctl.per_sample(prediction, -prediction, "margin_ranking", inputs={"sign": sign}, backend=backend)
    assert found.tolist() == [0.0, 2e154, 0.0]
    with pytest.raises(DataError, match="row 2: the loss of margin_ranking exceeds float64"):
        lossctl.per_sample(prediction, -prediction, "margin_ranking", inputs={"sign": -sign}, backend=backend)


def test_columns_keep_their_own_factors_in_such_rows(backend: str) -> None:
    """By each column: 1.7e308, 1.6e308 and 0.85e308, whose mean is a number and whose sum is none."""
    prediction, factors = np.array([[-1.7e308, -0.8e308, -1.7e308], [1.0, 1.0, 1.0]]), (1.0, 2.0, 0.5)
    target = np.ones((2, 3))
    spec = f"bce:input=logit,pos_weight={'|'.join(map(str, factors))}"
    found = lossctl.per_sample(prediction, target, spec, backend=backend)
    columns = zip(-prediction[0], factors, strict=True)
    assert found[0] == pytest.approx(float(sum(Fraction(z) * Fraction(w) for z, w in columns) / 3), rel=1e-15)
    assert found[1] == pytest.approx(math.log1p(math.exp(-1.0)) * 3.5 / 3.0, rel=1e-15)
