"""Losses of numbers whose sums or differences are beyond what float64 holds, though the loss is not."""

from __future__ import annotations

import sys

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from tests.kernels import reference
from tests.kernels.cases import Case, each
from tests.kernels.engines import (
    assert_close,
    backend_of,
    backends,
    batch_of,
    dataset_gradients,
    dataset_value,
    sample_gradients,
    sample_losses,
)

RTOL = 1e-14
engines = pytest.mark.parametrize("backend", backends())

PREDICTION = np.array([1.7e308, -1.5e308, 1e308, 1.2e308, 3e-310, 5.0])
TARGET = np.array([-1.7e308, 1.1e308, 1.5e308, 1.0, -2e-310, 1.7e308])
RATIOS = [Case("smape"), Case("smape", {"scale": 1.0, "eps": 0.5}), Case("mape"), Case("mape", {"eps": 1e307})]


@engines
def test_ratios_of_the_largest_numbers_do_not_overflow(backend: str) -> None:
    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, PREDICTION, TARGET, digits=700)
        assert_close(sample_losses(backend_of(backend), case.plan(1), PREDICTION, TARGET), exact, RTOL, atol=1e-320)

    each(RATIOS, check)


@engines
def test_slopes_of_ratios_of_the_largest_numbers_are_numbers(backend: str) -> None:
    prediction, target = PREDICTION[:4], TARGET[:4]

    def check(case: Case) -> None:
        exact = reference.gradients(case.loss, case.options, prediction, target, digits=2000)
        found = sample_gradients(backend_of(backend), case.plan(1), prediction, target)
        assert_close(found, [row[0] for row in exact], RTOL, atol=1e-320)

    each([case for case in RATIOS if "eps" not in case.options], check)


@engines
@pytest.mark.parametrize("q", [0.25, 1e-3])
def test_shares_of_the_largest_differences_do_not_overflow(q: float, backend: str) -> None:
    prediction, target = np.array([-1.7e308, -1.7e308, 5e-324]), np.array([1.7e308, 1e308, 1e-323])
    exact = reference.losses("quantile", {"q": q}, prediction, target, digits=700)
    found = sample_losses(backend_of(backend), Case("quantile", {"q": q}).plan(1), prediction, target)
    assert_close(found, exact, RTOL, atol=5e-324)


HALVES = [
    Case("half_mse"),
    Case("huber", {"delta": 1e200}),
    Case("contrastive"),
    Case("tweedie_deviance", {"power": 0.0, "half": "true"}),
]


@engines
def test_half_of_a_square_is_a_number_where_the_square_is_none(backend: str) -> None:
    prediction, target = np.array([1.5e154, 1.8e154, 3.0]), np.array([1.0, 1.0, 1.0])

    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, prediction, target, digits=700)
        assert_close(sample_losses(backend_of(backend), case.plan(1), prediction, target), exact, RTOL)

    each(HALVES, check)


@engines
def test_a_share_of_a_square_is_a_number_where_the_square_is_none(backend: str) -> None:
    prediction, target = np.array([1e155, 4e157]), np.array([1e-3, 1e-9])
    exact = reference.losses("contrastive", {}, prediction, target, digits=700)
    assert_close(sample_losses(backend_of(backend), Case("contrastive").plan(1), prediction, target), exact, RTOL)


# Errors that are too large, in deviations that make them numbers: `var` as each form of it has it.
LARGE_ERRORS = {"log_var": [800.0, 1000.0, 1400.0], "std": [1e200, 1e300, 1.7e308], "var": [1e308, 1.7e308, 3e307]}


@engines
@pytest.mark.parametrize("form", ["log_var", "std"])
def test_likelihoods_of_the_largest_errors_are_numbers(form: str, backend: str) -> None:
    options, var = {"var_input": form}, np.array(LARGE_ERRORS[form])
    prediction, target = np.array([1.7e308, -1.5e308, 1e308]), np.array([-1.7e308, 1e308, -1e308])
    exact = reference.losses("gaussian_nll", options, prediction, target, digits=1500, var=var)
    found = sample_losses(backend_of(backend), Case("gaussian_nll", options).plan(1), prediction, target, var=var)
    assert_close(found, exact, 1e-12)


@engines
@pytest.mark.parametrize("form", list(LARGE_ERRORS))
def test_slopes_of_likelihoods_of_the_largest_errors_are_numbers(form: str, backend: str) -> None:
    options, var = {"var_input": form}, np.array(LARGE_ERRORS[form])
    prediction, target = np.array([1.7e308, -1.5e308, 1e308]), np.array([-1.7e308, 1e308, -1e308])
    plan = Case("gaussian_nll", options).plan(1)
    by_mean = sample_gradients(backend_of(backend), plan, prediction, target, var=var)
    by_variance = sample_gradients(backend_of(backend), plan, prediction, target, "var", var=var)
    with mpmath.workdps(60):
        errors = [mpf(p) - mpf(y) for p, y in zip(prediction.tolist(), target.tolist(), strict=True)]
        given = [mpf(v) for v in var.tolist()]
        v = [{"log_var": mpmath.exp(n), "std": n * n, "var": n}[form] for n in given]
        # The slope of the variance by what is given of it.
        inner = [{"log_var": mpmath.exp(n), "std": 2 * n, "var": mpf(1)}[form] for n in given]
        by_v = [(1 / n - e * e / n**2) / 2 * k for n, e, k in zip(v, errors, inner, strict=True)]
        assert_close(by_mean, [e / n for e, n in zip(errors, v, strict=True)], 1e-12)
        assert_close(by_variance, by_v, 1e-12)


@engines
def test_the_root_of_tiny_errors_of_the_largest_numbers_is_a_number(backend: str) -> None:
    plan, prediction, target = Case("rmse").plan(), np.array([1e300, 1e-200]), np.array([1e300, 0.0])
    batch = batch_of(plan, prediction, target)
    assert dataset_value(backend_of(backend), plan, batch) == pytest.approx(1e-200 / np.sqrt(2.0), rel=1e-15)
    slopes = dataset_gradients(backend_of(backend), plan, batch)
    np.testing.assert_allclose(slopes, [0.0, np.sqrt(0.5)], rtol=1e-15)


@engines
@pytest.mark.parametrize("link", ["identity", "log"])
@pytest.mark.parametrize("power", [-1.5, 1.3, 1.999999, 2.0, 2.5, 3.0, 5.0])
def test_likelihoods_of_amounts_far_from_1_are_numbers(power: float, link: str, backend: str) -> None:
    options = {"power": power, "drop_constant": True, "link": link}
    mean, target = np.array([1e-160, 1e-200, 1e300, 6e-309]), np.array([2.7e-160, 1e-150, 5e299, 4e-309])
    prediction = mean if link == "identity" else np.log(mean)
    exact = reference.losses("tweedie_deviance", options, prediction, target, digits=1200)
    exact = [value if abs(value) < sys.float_info.max else mpmath.sign(value) * mpmath.inf for value in exact]
    found = sample_losses(backend_of(backend), Case("tweedie_deviance", options).plan(1), prediction, target)
    assert_close(found, exact, 1e-12, atol=5e-324)


@engines
@pytest.mark.parametrize("power", [-1.5, 1.0, 1.3, 1.5, 1.999999, 2.0, 3.0])
def test_likelihoods_of_means_that_are_no_numbers_are_infinite_or_numbers(power: float, backend: str) -> None:
    """Whether the power of the mean is too large, the share of the amount in it, or both."""
    log_mean, target = (
        np.array([1e4, 1e9, 1e77, 1e4, -1e4, -1e4, -1e9]),
        np.array([1e4, 1e9, 1e77, 1e307, 1.0, 5e-324, 1e9]),
    )
    options = {"power": power, "drop_constant": True, "link": "log"}
    exact = reference.losses("tweedie_deviance", options, log_mean, target, digits=1200)
    exact = [value if abs(value) < sys.float_info.max else mpmath.sign(value) * mpmath.inf for value in exact]
    found = sample_losses(backend_of(backend), Case("tweedie_deviance", options).plan(1), log_mean, target)
    assert_close(found, exact, 1e-12, atol=5e-324)


@engines
@pytest.mark.parametrize("power", [1.3, 1.5, 1.9, 1.0 + 1e-9])
def test_slopes_of_vanishing_means_of_nothing_are_numbers(power: float, backend: str) -> None:
    log_mean, target = np.array([-700.0, -720.0, -745.0, -800.0, -1e4]), np.zeros(5)
    case = Case("tweedie_deviance", {"power": power, "link": "log"})
    exact = reference.gradients(case.loss, case.options, log_mean, target, digits=900)
    found = sample_gradients(backend_of(backend), case.plan(1), log_mean, target)
    assert_close(found, [row[0] for row in exact], 1e-12, atol=5e-324)


@engines
def test_slopes_of_means_that_are_too_large_are_infinite(backend: str) -> None:
    log_mean, target = np.array([1e4, 1e9, 800.0]), np.array([1e4, 0.0, 1e308])
    case = Case("tweedie_deviance", {"power": -1.5, "link": "log"})
    np.testing.assert_array_equal(sample_gradients(backend_of(backend), case.plan(1), log_mean, target), np.inf)


@engines
def test_shares_of_logits_that_are_far_apart_are_numbers(backend: str) -> None:
    logits = np.array([[1.7e308, -1.7e308, 0.0], [-1e308, 1e308, 1e308], [1e308, -1e308, -1e308]])
    target = np.array([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0], [0.5, 0.25, 0.25]])
    case = Case("kl_divergence", {"input": "logit"})
    exact = reference.losses(case.loss, case.options, logits, target, digits=700)
    assert_close(sample_losses(backend_of(backend), case.plan(3), logits, target), exact, RTOL)


@engines
def test_shares_of_exponentials_that_are_too_large_are_numbers(backend: str) -> None:
    prediction, target = np.array([-712.0, 712.0, 900.0, -745.0]), np.array([1e-3, 0.999, 1.0, 1e-100])
    exact = reference.losses("exponential", {}, prediction, target, digits=900)
    plan = Case("exponential").plan(1)
    assert_close(sample_losses(backend_of(backend), plan, prediction, target), exact, RTOL, atol=5e-324)
    slopes = reference.gradients("exponential", {}, prediction, target, digits=2000)
    found = sample_gradients(backend_of(backend), plan, prediction, target)
    assert_close(found, [row[0] for row in slopes], RTOL, atol=5e-324)
