"""Losses where the prediction is next to what the target calls for, and at the ends of what numbers can hold.

There the terms of the textbook formulas cancel, or overflow on the way. Against mpmath, with as many digits as needed.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from lossctl_kernels.batch import Array
from tests.kernels import reference
from tests.kernels.cases import Case, each
from tests.kernels.engines import assert_close, backend_of, backends, sample_gradients, sample_losses

INF = math.inf
RTOL = 1e-12
engines = pytest.mark.parametrize("backend", backends())

LOG_MEANS = np.array([1e-9, -3.0, 12.25, 300.0, -650.0])
DISTANCES = (1e-15, 1e-13, 1e-11, -1e-8, 3e-3, -9e-3, 1e-6, 0.03, -0.2, 0.34, -0.5, 1e8)
POWERS = (-1.5, 0.0, 1.0 + 1e-9, 1.3, 2.0 - 1e-6, 3.0, 20.0)
LINKED = [
    Case("poisson_deviance", {"link": "log"}),
    Case("gamma_deviance", {"link": "log"}),
    *(Case("tweedie_deviance", {"link": "log", "power": power}) for power in POWERS),
    Case("poisson_nll", {"full": "exact"}),
    Case("poisson_nll", {"full": "stirling"}),
]


def exponentials(log_means: Array, distance: float) -> Array:
    """e**x (1 + distance), rounded once."""
    with mpmath.workdps(60):
        return np.array([float(mpmath.exp(x) * (1 + mpmath.mpf(distance))) for x in log_means.tolist()])


def near_log_means(case: Case) -> tuple[Array, Array]:
    """(prediction, target) at every distance; without what powers of a mean cannot hold."""
    largest = 600.0 / max(2.0, abs(2.0 - float(case.options.get("power", 1.0))))
    log_means = LOG_MEANS[np.abs(LOG_MEANS) < largest]
    targets = [exponentials(log_means, distance) for distance in DISTANCES]
    return np.tile(log_means, len(DISTANCES)), np.concatenate(targets)


def check_values(case: Case, prediction: Array, target: Array, backend: str) -> None:
    exact = reference.losses(case.loss, case.options, prediction, target, digits=120)
    assert_close(sample_losses(backend_of(backend), case.plan(1), prediction, target), exact, RTOL, atol=1e-320)


@engines
def test_deviances_of_logarithms_keep_their_digits_next_to_the_target(backend: str) -> None:
    each(LINKED, lambda case: check_values(case, *near_log_means(case), backend))


@engines
def test_gradients_of_deviances_of_logarithms_keep_their_digits_next_to_the_target(backend: str) -> None:
    def check(case: Case) -> None:
        prediction, target = near_log_means(case)
        exact = reference.gradients(case.loss, case.options, prediction, target, digits=120)
        found = sample_gradients(backend_of(backend), case.plan(1), prediction, target)
        assert_close(found, [row[0] for row in exact], RTOL, atol=1e-320)

    each(LINKED, check)


@engines
def test_divergences_of_logarithms_keep_their_digits_next_to_the_target(backend: str) -> None:
    case = Case("generalized_kl", {"input": "log_prob"})
    prediction, target = (side.reshape(-1, 2) for side in near_log_means(case))
    exact = reference.losses(case.loss, case.options, prediction, target, digits=120)
    assert_close(sample_losses(backend_of(backend), case.plan(2), prediction, target), exact, RTOL)
    slopes = reference.gradients(case.loss, case.options, prediction, target, digits=120)
    found = sample_gradients(backend_of(backend), case.plan(2), prediction, target)
    assert_close(found, [slope for row in slopes for slope in row], RTOL, atol=1e-320)


COUNTS = np.array([0.0, 0.3, 1.0, 2.0, 4.0, 100.0, 1e5, 1e9, 1e15])


@engines
@pytest.mark.parametrize("full", ["exact", "stirling"])
@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_likelihoods_of_large_counts_keep_their_digits(full: str, eps: float, backend: str) -> None:
    rates = np.concatenate([COUNTS[1:] * (1.0 + distance) for distance in (0.0, 1e-8, -1e-3, 0.5)])
    check_values(Case("poisson", {"full": full, "eps": eps}), rates, np.tile(COUNTS[1:], 4), backend)
    check_values(Case("poisson", {"full": full, "eps": eps}), COUNTS[1:], np.zeros(COUNTS.size - 1), backend)


@engines
def test_the_brier_score_of_a_logit_next_to_an_even_chance_keeps_its_digits(backend: str) -> None:
    z = np.array([1e-12, -1e-9, 1e-6, -1e-3, 0.1, 0.499, -0.5, 0.501, 3.0])
    check_values(Case("brier", {"input": "logit"}), z, np.full(z.size, 0.5), backend)
    check_values(Case("brier", {"input": "logit"}), np.full(3, 1e-9), np.array([0.5 + 1e-9, 0.5 - 1e-9, 0.3]), backend)


@engines
def test_the_rim_of_a_tube_is_where_exact_differences_have_it(backend: str) -> None:
    prediction = np.array([0.1, -0.1, 1e-16, 0.1, -1e-9, 0.1 + 1e-9, 5.0])
    target = np.array([-1e-16, 1e-16, -0.1, 1e-16, 0.1, 0.0, -3.0])
    for loss in ("epsilon_insensitive", "squared_epsilon_insensitive"):
        check_values(Case(loss), prediction, target, backend)
    slopes = sample_gradients(backend_of(backend), Case("epsilon_insensitive").plan(1), prediction, target)
    np.testing.assert_array_equal(slopes.ravel(), [1.0, -1.0, 1.0, 0.0, -1.0, 1.0, 1.0])


@engines
def test_margins_are_where_exact_differences_have_them(backend: str) -> None:
    case, plan = Case("margin_ranking", {"margin": 1.0}), Case("margin_ranking", {"margin": 1.0}).plan(1)
    prediction, target, sign = np.array([1.0, 1.0, 3.0]), np.array([1e-17, -1e-17, 1.0]), np.ones(3)
    exact = reference.losses(case.loss, case.options, prediction, target, sign=sign)
    assert_close(sample_losses(backend_of(backend), plan, prediction, target, sign=sign), exact, RTOL)
    slopes = sample_gradients(backend_of(backend), plan, prediction, target, sign=sign)
    np.testing.assert_array_equal(slopes.ravel(), [-1.0, 0.0, 0.0])


FAR_APART = [(1e-300, 1e10), (1e-300, 1e300), (1e300, 1e-300), (1e10, 1e-300), (1e-200, 1e150), (1e150, 1e-200)]


@engines
def test_deviances_of_amounts_that_are_far_apart_overflow_only_where_they_are_too_large(backend: str) -> None:
    mean, target = np.array(FAR_APART).T.copy()

    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, mean, target, digits=120)
        with mpmath.workdps(50):
            limited = [value if abs(value) < mpmath.mpf(2) ** 1024 else mpmath.inf for value in exact]
        assert_close(sample_losses(backend_of(backend), case.plan(1), mean, target), limited, RTOL, atol=1e-320)

    powers = (-3.0, -1.5, 0.0, 1.0, 1.0 + 1e-12, 1.1, 1.5, 1.9, 2.0, 2.5, 3.0, 20.0)
    each([Case("tweedie_deviance", {"power": power}) for power in powers], check)


@engines
def test_rates_that_are_too_large_are_infinite_whatever_the_target(backend: str) -> None:
    prediction, target = np.array([711.0, 800.0, 710.6, 711.0]), np.array([1e307, 1.7e308, 0.0, 1.0])
    plan = Case("poisson_nll").plan(1)
    engine: Any = backend_of(backend)
    np.testing.assert_array_equal(sample_gradients(engine, plan, prediction, target).ravel(), INF)
    np.testing.assert_array_equal(sample_losses(engine, plan, prediction, target), INF)


@engines
def test_rates_that_are_too_large_may_be_so_by_less_than_is_subtracted(backend: str) -> None:
    prediction, target = np.array([709.9, 710.0, 716.5, 709.5]), np.array([2e305, 3e305, 2.1e308, 2.6e305])
    check_values(Case("poisson_nll"), prediction[[0, 1, 3]], target[[0, 1, 3]], backend)


TOO_LARGE = np.array([709.79, 709.9, 710.2, 710.45, 710.45, 709.8])


@engines
def test_means_that_are_too_large_may_be_next_to_a_target(backend: str) -> None:
    """The deviance is finite up to some three times the largest number, the difference up to twice that."""
    cases = [
        *(Case("poisson_nll", {"full": full}) for full in ("no", "exact", "stirling")),
        *(Case("poisson_deviance", {"link": "log", "half": half}) for half in ("false", "true")),
        Case("tweedie_deviance", {"link": "log", "power": 1.0, "half": "true"}),
    ]
    target = np.array([1.79e308, 1.7e308, 1.75e308, 1.797e308, 1.78e308, 1e308])

    def check(case: Case) -> None:
        if case.options.get("full") != "no":
            check_values(case, TOO_LARGE, target, backend)
        exact = reference.gradients(case.loss, case.options, TOO_LARGE, target, digits=700)
        with mpmath.workdps(50):
            limited = [slope if slope < mpmath.mpf(2) ** 1024 else mpmath.inf for (slope,) in exact]
        found = sample_gradients(backend_of(backend), case.plan(1), TOO_LARGE, target)
        assert_close(found, limited, RTOL)

    each(cases, check)


@engines
def test_divergences_of_logarithms_of_amounts_that_are_too_large(backend: str) -> None:
    case = Case("generalized_kl", {"input": "log_prob"})
    logarithms, target = TOO_LARGE[:, None], np.full((TOO_LARGE.size, 1), 1.75e308)
    exact = reference.losses(case.loss, case.options, logarithms, target, digits=120)
    assert_close(sample_losses(backend_of(backend), case.plan(1), logarithms, target), exact, RTOL)


@engines
def test_likelihoods_of_means_that_are_too_large_may_be_none(backend: str) -> None:
    case = Case("poisson_deviance", {"link": "log", "drop_constant": True, "half": "true"})
    check_values(case, np.array([709.9, 710.0, 709.5]), np.array([2e305, 3e305, 2.6e305]), backend)


@engines
def test_an_impossible_event_costs_infinitely_much_however_little_it_counts(backend: str) -> None:
    prediction, target = np.array([0.0, 1.0, 0.0]), np.array([1e-300, 1.0 - 2.0**-53, 0.0])
    found = sample_losses(backend_of(backend), Case("binary_focal", {"gamma": 50.0}).plan(1), prediction, target)
    np.testing.assert_array_equal(found, [INF, INF, 0.0])


@engines
def test_percentages_of_the_largest_numbers_do_not_overflow(backend: str) -> None:
    check_values(Case("mape"), np.array([1.5e308, -1e307]), np.array([1e307, -1.7e308]), backend)


@engines
def test_margins_of_classes_are_where_exact_differences_have_them(backend: str) -> None:
    scores = np.array([[1.0, 1e-17, -1.0], [1e-9, 1.0, 0.0], [1.0, -1e-17, -2.0], [3.0, 2.0, 1e-3]])
    labels = np.array([0, 1, 0, 0])
    for case in (Case("multiclass_hinge"), Case("multi_margin"), Case("multi_margin", {"p": 2})):
        exact = reference.losses(case.loss, case.options, scores, labels)
        assert_close(sample_losses(backend_of(backend), case.plan(), scores, labels), exact, RTOL)
    exact = reference.losses("categorical_hinge", {}, scores, np.eye(3)[labels])
    assert_close(
        sample_losses(backend_of(backend), Case("categorical_hinge").plan(), scores, np.eye(3)[labels]), exact, RTOL
    )
    slopes = sample_gradients(backend_of(backend), Case("multiclass_hinge").plan(), scores, labels)
    np.testing.assert_array_equal(slopes[:, 0], [-1.0, 1.0, 0.0, 0.0])


@engines
def test_margins_of_lists_of_labels_are_where_exact_differences_have_them(backend: str) -> None:
    scores = np.array([[1.0, 1e-17, -1.0], [1e-9, 1.0, 0.0], [1.0, -1e-17, -2.0], [3.0, 2.0, 1e-300]])
    labels = np.array([[0, -1, -1], [1, -1, -1], [0, -1, -1], [0, -1, -1]])
    plan = Case("multilabel_margin").plan(3)
    exact = reference.losses("multilabel_margin", {}, scores, labels, digits=400)
    assert_close(sample_losses(backend_of(backend), plan, scores, labels), exact, RTOL)
    slopes = sample_gradients(backend_of(backend), plan, scores, labels)
    np.testing.assert_array_equal(slopes[:, 0] * 3, [-1.0, 1.0, 0.0, 0.0])


@engines
def test_generalized_cross_entropy_of_the_smallest_exponents_is_cross_entropy(backend: str) -> None:
    rows = np.array([[46.05, 0.0, 0.0], [700.0, 0.0, -1.0], [0.0, 1.0, 2.0]])
    labels = np.array([0, 0, 1])
    for q in (1e-300, 1e-12, 0.7):
        case = Case("gce", {"input": "logit", "q": q})
        exact = reference.losses(case.loss, case.options, rows, labels, digits=700)
        assert_close(sample_losses(backend_of(backend), case.plan(), rows, labels), exact, RTOL)


@engines
@pytest.mark.parametrize("epsilon", [2.0, -1.0])
def test_slopes_of_poly1_keep_the_digits_of_small_targets_of_unlikely_classes(epsilon: float, backend: str) -> None:
    logits = np.array([[40.0, 0.0, -1.0], [700.0, 1.0, 0.0], [3.0, 1.0, 2.0]])
    target = np.array([[0.0, 1.0 - 1e-10, 1e-10], [1e-13, 1e-12, 1.0 - 1.1e-12], [0.5, 1e-10, 0.5 - 1e-10]])
    case = Case("poly1", {"epsilon": epsilon})
    exact = reference.gradients(case.loss, case.options, logits, target, digits=1150)
    found = sample_gradients(backend_of(backend), case.plan(), logits, target)
    assert_close(found, [slope for row in exact for slope in row], RTOL)


@engines
def test_slopes_of_weighted_probabilities_keep_their_digits(backend: str) -> None:
    """Far from y = p, and next to where both of its terms are equal."""
    weight = 1e-9
    even = np.array([0.5, 1e-4, 0.9])  # labels at which nothing pulls: p = ω y / (1 - y + ω y)
    balanced = weight * even / (1.0 - even + weight * even)
    prediction = np.concatenate([balanced * (1.0 + 1e-7), [1e-6, 0.3, 1e-12]])
    target = np.concatenate([even, [0.5, 1e-9, 0.999]])
    case = Case("bce", {"pos_weight": weight})
    exact = reference.gradients(case.loss, case.options, prediction, target, 120)
    found = sample_gradients(backend_of(backend), case.plan(1), prediction, target)
    assert_close(found, [row[0] for row in exact], 1e-14)
