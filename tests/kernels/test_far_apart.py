"""Numbers so far from each other that differences, squares or sums of theirs are no numbers, though the loss is one.

Against mpmath, with as many digits as needed.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from tests.kernels import reference
from tests.kernels.cases import Case, each
from tests.kernels.engines import (
    assert_close,
    backend_of,
    backends,
    batch_of,
    dataset_gradients,
    dataset_value,
    flattened,
    sample_gradients,
    sample_losses,
)

RTOL = 1e-14
VALUE_DIGITS, GRADIENT_DIGITS = 700, 1000
engines = pytest.mark.parametrize("backend", backends())

LARGE = np.array([1.7e308, -1.5e308, 1.2e308])
OPPOSITE = np.array([-1.7e308, 1.1e308, -0.9e308])


@engines
def test_lines_of_errors_that_are_too_large(backend: str) -> None:
    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, LARGE, OPPOSITE, VALUE_DIGITS)
        assert_close(sample_losses(backend_of(backend), case.plan(1), LARGE, OPPOSITE), exact, RTOL)
        slopes = reference.gradients(case.loss, case.options, LARGE, OPPOSITE, GRADIENT_DIGITS)
        assert_close(sample_gradients(backend_of(backend), case.plan(1), LARGE, OPPOSITE), flattened(slopes), RTOL)

    each([Case(loss, {"delta": delta}) for loss in ("huber", "pseudo_huber") for delta in (1e-3, 0.4)], check)


@engines
def test_logarithms_of_numbers_whose_sum_is_too_large(backend: str) -> None:
    prediction, target = np.array([1.7e308, 1.2e308, 1.6e308]), np.array([1.6e308, 1.2e308, 3.0])
    exact = reference.losses("msle", {}, prediction, target, VALUE_DIGITS)
    assert_close(sample_losses(backend_of(backend), Case("msle").plan(1), prediction, target), exact, RTOL)


@engines
@pytest.mark.parametrize("loss", ["rmse", "wape", "rmsle"])
def test_data_sets_of_the_largest_and_smallest_numbers(loss: str, backend: str) -> None:
    engine: Any = backend_of(backend)
    plan = Case(loss).plan(1)
    random = np.random.default_rng(3)
    scales = (1e-300, 1e-200, 1.0, 1e300) if loss == "rmsle" else (1e-320, 1e-200, 1.0, 1e308)
    for scale in scales:
        signs = 1.0 if loss == "rmsle" else random.choice([-1.0, 1.0], (2, 8))
        prediction, target = random.uniform(0.3, 1.7, (2, 8)) * scale * signs
        batch = batch_of(plan, prediction, target)
        exact = reference.dataset_loss(loss, {}, prediction, target, digits=VALUE_DIGITS)
        assert_close([dataset_value(engine, plan, batch)], [exact], RTOL, atol=5e-324)
        slopes = reference.dataset_gradient(loss, {}, prediction, target, digits=GRADIENT_DIGITS)
        assert_close(dataset_gradients(engine, plan, batch), slopes, RTOL, atol=1e-323)


@engines
@pytest.mark.parametrize("labels", ["01", "inverted"])
def test_a_distance_that_does_not_count_may_be_large(labels: str, backend: str) -> None:
    distance, target = np.array([1e160, 1e308, 0.25, 0.25]), np.array([0.0, 0.0, 1.0, 0.0])
    target = 1.0 - target if labels == "inverted" else target
    found = sample_losses(backend_of(backend), Case("contrastive", {"labels": labels}).plan(1), distance, target)
    np.testing.assert_array_equal(found, [0.0, 0.0, 0.03125, 0.28125])


@engines
@pytest.mark.parametrize("labels", ["01", "inverted"])
def test_a_share_of_either_label_counts_however_small_it_is(labels: str, backend: str) -> None:
    distance, target = np.array([1e-20, 3.0, 0.25]), np.array([4e-20, 1e-17, 1e-300])
    case = Case("contrastive", {"labels": labels})
    exact = reference.losses(case.loss, case.options, distance, target, VALUE_DIGITS)
    assert_close(sample_losses(backend_of(backend), case.plan(1), distance, target), exact, RTOL)
    slopes = reference.gradients(case.loss, case.options, distance, target, GRADIENT_DIGITS)
    assert_close(sample_gradients(backend_of(backend), case.plan(1), distance, target), flattened(slopes), RTOL)


@engines
def test_means_of_shortfalls_that_have_no_sum(backend: str) -> None:
    """Of half of these scores the sums are too large, not the means; and their size does not matter elsewhere."""
    random = np.random.default_rng(4)
    scores = random.uniform(-0.8, 0.8, (6, 5)) * np.array([1e308, 8e307, 1.0, 1e-150, 1e-300, 1e-305])[:, None]
    labels = scores.argmin(axis=1)

    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, scores, labels, VALUE_DIGITS)
        assert_close(sample_losses(backend_of(backend), case.plan(5), scores, labels), exact, RTOL, atol=1e-323)
        slopes = reference.gradients(case.loss, case.options, scores, labels, GRADIENT_DIGITS)
        found = sample_gradients(backend_of(backend), case.plan(5), scores, labels)
        assert_close(found, flattened(slopes), RTOL, atol=1e-323)

    each([Case("multi_margin", {"p": p, "margin": margin}) for p in (1.0, 2.0) for margin in (1.0, 0.0)], check)


@engines
def test_a_class_without_weight_costs_nothing_though_squares_are_too_large(backend: str) -> None:
    scores, labels = np.array([[1e200, -1e300, 3.0], [np.nan, 1.0, 2.0]]), np.array([1, 1])
    case = Case("multi_margin", {"p": 2.0, "class_weight": (1.0, 0.0, 1.0)})
    found = sample_losses(backend_of(backend), case.plan(3), scores, labels)
    np.testing.assert_array_equal(found, [0.0, np.nan])


@engines
def test_means_over_pairs_that_have_no_sum(backend: str) -> None:
    """Half of these scores are so far apart that a difference, or a sum of two, is too large, though no mean is."""
    scores = np.array(
        [[-8e307, 9e307, -1.5e308, 9e307, 0.0], [1e308, 0.5, -1e308, 0.0, 1e308], [0.2, 0.7, 0.1, -5.0, 3.0]]
    )
    labels = np.array([[0, -1, 2, 2, 1], [2, -1, 0, 0, 0], [1, 2, -1, 0, 0]])
    plan = Case("multilabel_margin").plan(5)
    exact = reference.losses("multilabel_margin", {}, scores, labels, VALUE_DIGITS)
    assert_close(sample_losses(backend_of(backend), plan, scores, labels), exact, RTOL)
    slopes = reference.gradients("multilabel_margin", {}, scores, labels, GRADIENT_DIGITS)
    assert_close(sample_gradients(backend_of(backend), plan, scores, labels), flattened(slopes), RTOL)


@engines
def test_shares_of_the_distance_to_the_largest_logit(backend: str) -> None:
    logits = np.array([[1.7e308, -1.7e308, 0.5], [-1.2e308, 1.0e308, 3.0], [0.5, -0.3, 1.7e308]])
    target = np.array([[0.75, 0.25, 0.0], [0.125, 0.5, 0.375], [0.1, 0.2, 0.7]])
    focal = (Case("categorical_focal", {"input": "logit", "gamma": gamma}) for gamma in (0.0, 0.5, 2.0))
    fenchel_young = (Case("fenchel_young", {"max_fun": name}) for name in ("logsumexp", "max", "sparsemax"))
    for case in (Case("cce", {"input": "logit"}), Case("ranking_softmax"), Case("poly1"), *focal, *fenchel_young):
        options = {**case.options, "input": "logit"}
        exact = reference.losses(case.loss, options, logits, target, VALUE_DIGITS)
        assert_close(sample_losses(backend_of(backend), case.plan(3), logits, target), exact, RTOL)


@engines
def test_focal_slopes_of_logits_that_are_far_away(backend: str) -> None:
    logit = np.array([1e308, -1e308, 1.7e308, -1.7e308, 800.0, -40.0])
    label = np.array([0.0, 1.0, 0.5, 0.25, 0.9, 1.0])

    def check(case: Case) -> None:
        exact = reference.gradients(case.loss, case.options, logit, label, GRADIENT_DIGITS)
        found = sample_gradients(backend_of(backend), case.plan(1), logit, label)
        assert_close(found, flattened(exact), RTOL)

    each([Case("binary_focal", {"input": "logit", "gamma": gamma}) for gamma in (0.0, 0.5, 2.0)], check)


@engines
@pytest.mark.parametrize("var_input", ["var", "std"])
def test_slopes_by_a_variance_far_above_or_below_the_squared_error(var_input: str, backend: str) -> None:
    prediction, target = np.array([1e308, 1e200, 3.0, 3.0]), np.array([-7e307, 1.0, 1e-9, 1.0])
    var = np.array([1e250, 1e100, 1e-300, 1e300]) if var_input == "var" else np.array([1e150, 1e60, 1e-150, 1e150])
    case = Case("gaussian_nll", {"var_input": var_input})
    exact = reference.gradients_of("var", case.loss, case.options, prediction, target, GRADIENT_DIGITS, var=var)
    found = sample_gradients(backend_of(backend), case.plan(1), prediction, target, "var", var=var)
    assert_close(found, flattened(exact), RTOL)


@engines
def test_variances_whose_roots_have_no_reciprocal(backend: str) -> None:
    """By their logarithms: the predictions are right, or so nearly that what they are off by is."""
    log_variance = np.array([-1500.0, -1e5, -1500.0, -1419.7, 1300.0])
    error, target = np.array([0.0, 0.0, 3e-250, -1e-320, 1e300]), np.zeros(5)
    case, engine = Case("gaussian_nll", {"var_input": "log_var"}), backend_of(backend)
    exact = reference.losses(case.loss, case.options, error, target, VALUE_DIGITS, var=log_variance)
    assert_close(sample_losses(engine, case.plan(1), error, target, var=log_variance), exact, RTOL)
    with mpmath.workdps(VALUE_DIGITS):
        slopes = [mpmath.mpf(e) * mpmath.exp(-v) for e, v in zip(error, log_variance, strict=True)]
        by_variance = [(1 - e * slope) / 2 for e, slope in zip(error, slopes, strict=True)]
    assert_close(
        sample_gradients(engine, case.plan(1), error, target, var=log_variance)[[0, 1, 4]],
        slopes[:2] + slopes[4:],
        RTOL,
    )
    assert_close(sample_gradients(engine, case.plan(1), error, target, "var", var=log_variance), by_variance, RTOL)


@engines
@pytest.mark.parametrize("var_input", ["var", "std", "log_var"])
def test_a_variance_that_is_held_has_no_slope_however_far_the_prediction_is(var_input: str, backend: str) -> None:
    var = np.full(3, -100.0 if var_input == "log_var" else 1e-30)
    case = Case("gaussian_nll", {"var_input": var_input, "eps": 1e-6})
    prediction, target = np.array([1e308, 1e160, 0.5]), np.array([-1e308, 1.0, 0.25])
    found = sample_gradients(backend_of(backend), case.plan(1), prediction, target, "var", var=var)
    np.testing.assert_array_equal(found, 0.0)


@engines
def test_slopes_of_deviances_of_means_that_are_too_large_or_small(backend: str) -> None:
    log_mean, target = np.array([709.9, 710.4, 715.0, -700.0]), np.array([3.0, 1e300, 0.5, 2.0])
    mean, amount = np.array([1e-318, 3e-310, 1e308, 1e200]), np.array([2e-318, 7e-310, 1e300, 1e-200])

    def check(case: Case) -> None:
        is_log = case.options["link"] == "log"
        data = (log_mean, target) if is_log else (mean, amount)
        exact = reference.gradients(case.loss, case.options, *data, GRADIENT_DIGITS)
        assert_close(sample_gradients(backend_of(backend), case.plan(1), *data), flattened(exact), 1e-12)

    each(
        [Case("tweedie_deviance", {"power": p, "link": link}) for p in (1.3, 1.7) for link in ("log", "identity")],
        check,
    )
