"""Shares next to their targets, given as logarithms, logits and amounts: values and gradients against mpmath."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from lossctl_kernels.batch import Array
from tests.kernels import reference
from tests.kernels.cases import Case
from tests.kernels.engines import (
    assert_close,
    backend_of,
    backends,
    flattened,
    sample_gradients,
    sample_losses,
)
from tests.kernels.formulas import Options

RTOL = 1e-12
engines = pytest.mark.parametrize("backend", backends())
DISTANCES = (1.0, 0.3, 0.1, 0.03, 0.016, 1e-2, 1e-3, 1e-6, 1e-8, 1e-10)
Row = list[Any]


@pytest.fixture(autouse=True)
def _digits() -> Iterator[None]:
    with mpmath.workdps(60):
        yield


def exact(row: Array) -> Row:
    return [mpf(value) for value in row.tolist()]


def softmax(logits: Row) -> Row:
    powers = [mpmath.exp(z - max(logits)) for z in logits]
    return [power / mpmath.fsum(powers) for power in powers]


def distributions(classes: int, spread: float, seed: int) -> tuple[Array, Array]:
    """(predicted, true) shares at every distance; a spread makes some of them small."""
    random = np.random.default_rng(seed)
    logits = random.normal(0.0, spread, (4 * len(DISTANCES), classes))
    target = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Shares with few digits sum to 1 exactly: nothing hides what is lost elsewhere.
    target[::4] = np.round(target[::4] * 64.0) / 64.0
    target[::4, 0] += 1.0 - target[::4].sum(axis=1)
    distances = np.repeat(DISTANCES, 4)[:, None]
    predicted = np.maximum(target, 0.0) * np.exp(distances * random.uniform(-1.0, 1.0, target.shape))
    predicted = np.where(target > 0.0, predicted, 2.0**-30)
    return predicted / predicted.sum(axis=1, keepdims=True), np.maximum(target, 0.0)


SHAPES = pytest.mark.parametrize(("classes", "spread"), [(2, 1.0), (5, 4.0), (40, 2.0)])


def divergence(log_shares: Row, target: Row) -> Any:
    return mpmath.fsum(y * (mpmath.log(y) - x) for x, y in zip(log_shares, target, strict=True) if y)


def given_as(form: str, shares: Array) -> tuple[Array, list[Row]]:
    """(predictions in a form, the exact logarithms of the shares that they mean)."""
    if form == "prob":
        return shares, [[mpmath.log(p) for p in exact(row)] for row in shares]
    with np.errstate(divide="ignore"):
        logarithms = np.log(shares)
    if form == "log_prob":
        return logarithms, [exact(row) for row in logarithms]
    logits = logarithms + 3.0
    return logits, [[mpmath.log(p) for p in softmax(exact(row))] for row in logits]


@engines
@SHAPES
@pytest.mark.parametrize("form", ["prob", "log_prob", "logit"])
def test_divergences_keep_their_digits_next_to_the_target(form: str, classes: int, spread: float, backend: str) -> None:
    shares, target = distributions(classes, spread, 3)
    prediction, logarithms = given_as(form, shares)
    expected = [divergence(row, exact(y)) for row, y in zip(logarithms, target, strict=True)]
    case = Case("kl_divergence", {"input": form})
    assert_close(sample_losses(backend_of(backend), case.plan(classes), prediction, target), expected, RTOL, atol=1e-30)


@engines
@SHAPES
def test_brier_scores_of_logits_keep_their_digits_next_to_the_target(classes: int, spread: float, backend: str) -> None:
    shares, target = distributions(classes, spread, 5)
    logits, _ = given_as("logit", shares)
    expected = []
    for row, y in zip(logits, target, strict=True):
        misses = [(p - q) ** 2 for p, q in zip(softmax(exact(row)), exact(y), strict=True)]
        expected.append(mpmath.fsum(misses))
    case = Case("brier_multiclass", {"input": "logit", "scale_by_half": "off"})
    assert_close(sample_losses(backend_of(backend), case.plan(classes), logits, target), expected, RTOL, atol=1e-30)


def slopes_of_brier_scores(logits: Array, target: Array) -> Row:
    slopes = []
    with mpmath.workdps(1500):
        for row, y in zip(logits, target, strict=True):
            shares = softmax(exact(row))
            misses = [p - q for p, q in zip(shares, exact(y), strict=True)]
            mean = mpmath.fsum(p * miss for p, miss in zip(shares, misses, strict=True))
            slopes += [2 * p * (miss - mean) for p, miss in zip(shares, misses, strict=True)]
    return slopes


@engines
@pytest.mark.parametrize("spread", [30.0, 300.0])
@pytest.mark.parametrize("classes", [2, 3, 40])
def test_slopes_of_brier_scores_keep_their_digits_next_to_certainty(classes: int, spread: float, backend: str) -> None:
    random = np.random.default_rng(classes)
    logits = random.normal(0.0, spread, (8, classes))
    target = random.dirichlet(np.ones(classes), 8)
    target[::2] = np.eye(classes)[random.integers(0, classes, 4)]
    plan = Case("brier_multiclass", {"input": "logit", "scale_by_half": "off"}).plan(classes)
    found = sample_gradients(backend_of(backend), plan, logits, target)
    assert_close(found, slopes_of_brier_scores(logits, target), RTOL, atol=1e-320)


@engines
@pytest.mark.parametrize("classes", [3, 10, 40])
def test_slopes_of_brier_scores_of_classes_that_are_equal_but_for_one(classes: int, backend: str) -> None:
    """The right class is all but impossible: by what it has the others are short of equal shares, and have slopes."""
    logits, target = np.full((4, classes), 2.5), np.eye(classes)[[0, 0, 0, 0]]
    logits[:, 0] = [-34.0, -38.0, -300.0, -700.0]
    plan = Case("brier_multiclass", {"input": "logit"}).plan(classes)
    found = sample_gradients(backend_of(backend), plan, logits, target)
    assert_close(found, slopes_of_brier_scores(logits, target), RTOL)


AMOUNTS = np.array(
    [
        [1.0 - 1e-6, 1e-6, 1e-12],
        [1.0 - 1e-6, 7e-7, 3e-7],
        [3e5, 1e-3, 0.0],
        [1e-20, 5.0, 1e-9],
        [2.0, 2.0, 2.0],
        [0.0, 1e-310, 1e-5],
        [0.2, 0.7, 0.1],
        [1e-300, 1e10, 1e-290],
    ]
)


@engines
@pytest.mark.parametrize("label", [0, 1, 2])
def test_cross_entropy_of_amounts_keeps_its_digits_next_to_certainty(label: int, backend: str) -> None:
    rows = AMOUNTS[AMOUNTS[:, label] > 0.0]
    labels = np.full(len(rows), label)
    expected, slopes = [], []
    for row in map(exact, rows):
        rest = mpmath.fsum(p for c, p in enumerate(row) if c != label)
        total = mpmath.fsum(row)
        expected.append(mpmath.log1p(rest / row[label]))
        slopes.append([-rest / row[label] / total if c == label else 1 / total for c in range(3)])
    plan = Case("scce", {"normalize": True}).plan(3)
    assert_close(sample_losses(backend_of(backend), plan, rows, labels), expected, RTOL)
    found = sample_gradients(backend_of(backend), plan, rows, labels)
    for column, wanted in zip(found, slopes, strict=True):
        assert_close(column, wanted, RTOL, atol=1e-300)
    dense = Case("cce", {"normalize": True}).plan(3)
    one_hot = np.eye(3)[labels]
    assert_close(sample_losses(backend_of(backend), dense, rows, one_hot), expected, RTOL)


@engines
def test_cross_entropy_of_amounts_with_soft_targets(backend: str) -> None:
    target = np.array([[0.5, 0.25, 0.25], [1.0 - 2.0**-20, 2.0**-20, 0.0]])
    rows = np.array([[4.0, 1e-9, 3.0], [1e3, 1e-7, 1e-8]])
    expected, slopes = [], []
    for row, y in zip(map(exact, rows), map(exact, target), strict=True):
        total = mpmath.fsum(row)
        expected.append(mpmath.fsum(q * mpmath.log(total / p) for p, q in zip(row, y, strict=True)))
        slopes.append([(1 - q * total / p) / total for p, q in zip(row, y, strict=True)])
    plan = Case("cce", {"normalize": True}).plan(3)
    assert_close(sample_losses(backend_of(backend), plan, rows, target), expected, RTOL)
    for column, wanted in zip(sample_gradients(backend_of(backend), plan, rows, target), slopes, strict=True):
        assert_close(column, wanted, RTOL)


NEARLY_CERTAIN = np.array(
    [
        [1.0, 1e-9, 3e-14],
        [2.0, 1e-40, 1e-30],
        [5e8, 1e-3, 2e-300],
        [1e-20, 3e-38, 0.0],
        [0.7, 0.2, 0.1],
    ]
)


def relatives(loss: str) -> list[Case]:
    if loss == "gce":
        return [Case("gce", {"q": q, "normalize": True}) for q in (0.7, 0.01)]
    options: list[Options] = [
        {"gamma": 2.0},
        {"gamma": 0.5},
        {"gamma": 0.0, "alpha": (0.25, 1.0, 3.0)},
        {"labels": "index"},
    ]
    return [Case("categorical_focal", {**more, "normalize": True}) for more in options]


@engines
@pytest.mark.parametrize("case", [*relatives("gce"), *relatives("categorical_focal")], ids=str)
def test_relatives_of_cross_entropy_keep_their_digits_next_to_certainty(case: Case, backend: str) -> None:
    labels = np.array([0, 0, 0, 0, 1])
    is_index = case.loss == "gce" or "labels" in case.options
    target = labels if is_index else np.eye(3)[labels]
    plan, engine = case.plan(3), backend_of(backend)
    expected = reference.losses(case.loss, case.options, NEARLY_CERTAIN, target, digits=400)
    assert_close(sample_losses(engine, plan, NEARLY_CERTAIN, target), expected, RTOL, atol=1e-320)
    slopes = flattened(reference.gradients(case.loss, case.options, NEARLY_CERTAIN, target, digits=1000))
    assert_close(sample_gradients(engine, plan, NEARLY_CERTAIN, target), slopes, RTOL, atol=1e-320)


@engines
@pytest.mark.parametrize("q", [0.7, 1e-3, 1.0 - 1e-9])
def test_slopes_of_generalized_cross_entropy_of_subnormal_amounts(q: float, backend: str) -> None:
    rows = np.array([[1e-310, 1.0, 1e-310], [5e-324, 2.0, 0.0], [3e-308, 0.5, 0.5], [1e-322, 3e-320, 1e-100]])
    labels, case = np.zeros(4, np.int64), Case("gce", {"q": q, "normalize": True})
    slopes = []
    for row in map(exact, rows):
        total = mpmath.fsum(row)
        power = (row[0] / total) ** mpf(q) / total
        slopes += [-power * (row[1] + row[2]) / row[0], power, power]
    assert_close(sample_gradients(backend_of(backend), case.plan(3), rows, labels), slopes, RTOL, atol=1e-320)


@engines
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_slopes_of_focal_losses_of_subnormal_shares(gamma: float, backend: str) -> None:
    small = np.array([5e-324, 1e-322, 1e-310, 3e-308])
    prediction = np.stack([small, 1.0 - small, 0.0 * small], axis=1)
    target = np.stack([small[::-1], 1.0 - small, 0.0 * small], axis=1)
    case = Case("categorical_focal", {"gamma": gamma, "alpha": (0.3, 1.0, 2.0)})
    slopes = [
        mpf(0.3) * y * (gamma * (1 - p) ** (gamma - 1) * mpmath.log(p) - (1 - p) ** gamma / p)
        for p, y in zip(exact(prediction[:, 0]), exact(target[:, 0]), strict=True)
    ]
    found = sample_gradients(backend_of(backend), case.plan(3), prediction, target)
    assert_close(found[:, 0], slopes, RTOL)


@engines
def test_slopes_of_the_mean_divergence_of_subnormal_shares(backend: str) -> None:
    small = np.array([5e-324, 1e-323, 1.5e-320, 3e-310, 2e-308, 1e-300])
    pairs = np.array([(p, y) for p in [*small, 0.3] for y in [*small, 0.3]])
    prediction, target = (np.stack([column, 1.0 - column], axis=1) for column in pairs.T)
    slopes = [mpmath.log(2 * mpf(p) / (mpf(p) + mpf(y))) / 2 for p, y in pairs.tolist()]
    found = sample_gradients(backend_of(backend), Case("js_divergence").plan(2), prediction, target)
    assert_close(found[:, 0], slopes, RTOL)


Z = np.array([1e-12, -1e-9, 1e-6, -0.3, 0.49, -0.51, 2.0, -5.0, 30.0, -36.0])


def soft_labels(weight: float) -> tuple[Array, Array]:
    """(logits, labels) where the slope of weighted cross-entropy nearly vanishes, at several distances."""
    logits, labels = [], []
    for distance in (1e-3, 1e-6, 1e-9, 1e-12):
        for z in Z.tolist():
            # (1 - y) σ(z) = ω y σ(-z) at y = σ(z)/(σ(z) + ω σ(-z)).
            level = 1 / (1 + weight * mpmath.exp(-mpf(z)))
            logits.append(z)
            labels.append(min(1.0, float(level * (1 + distance))))
    return np.array(logits), np.array(labels)


def slope(z: Any, y: Any, weight: float) -> Any:
    return ((1 - y) - weight * y * mpmath.exp(-z)) / (1 + mpmath.exp(-z))


@engines
@pytest.mark.parametrize("weight", [1.0, 3.0, 0.1])
def test_slopes_of_binary_cross_entropy_keep_their_digits_next_to_soft_labels(weight: float, backend: str) -> None:
    logits, labels = soft_labels(weight)
    pairs = list(zip(exact(logits), exact(labels), strict=True))
    engine = backend_of(backend)
    options = {"input": "logit", "pos_weight": weight}
    by_logit = sample_gradients(engine, Case("bce", options).plan(1), logits, labels).ravel()
    assert_close(by_logit, [slope(z, y, weight) for z, y in pairs], RTOL, atol=1e-30)
    by_share = sample_gradients(engine, Case("bce", {**options, "grad_wrt": "prob"}).plan(1), logits, labels).ravel()
    # dz/dp is 1/(σ(z) σ(-z)).
    expected = [slope(z, y, weight) * (2 + 2 * mpmath.cosh(z)) for z, y in pairs]
    assert_close(by_share, expected, RTOL, atol=1e-14)


@engines
def test_brier_scores_of_a_logit_keep_their_digits_next_to_soft_labels(backend: str) -> None:
    logits, labels = soft_labels(1.0)
    pairs = list(zip(exact(logits), exact(labels), strict=True))
    engine = backend_of(backend)
    values = sample_losses(engine, Case("brier", {"input": "logit"}).plan(1), logits, labels)
    assert_close(values, [slope(z, y, 1.0) ** 2 for z, y in pairs], RTOL, atol=1e-40)
    slopes = sample_gradients(engine, Case("brier", {"input": "logit"}).plan(1), logits, labels).ravel()
    assert_close(slopes, [2 * slope(z, y, 1.0) / (2 + 2 * mpmath.cosh(z)) for z, y in pairs], RTOL, atol=1e-30)


@engines
def test_slopes_by_the_logit_of_a_share_that_was_given_take_no_logarithm(backend: str) -> None:
    shares, labels = np.array([0.1, 0.3, 0.9, 1e-9, 0.75]), np.array([0.1, 0.3 + 1e-9, 0.9 - 1e-12, 1e-9, 1.0])
    pairs = list(zip(exact(shares), exact(labels), strict=True))
    engine = backend_of(backend)
    bce = sample_gradients(engine, Case("bce", {"grad_wrt": "logit"}).plan(1), shares, labels).ravel()
    assert_close(bce, [p - y for p, y in pairs], RTOL)
    brier = sample_gradients(engine, Case("brier", {"grad_wrt": "logit"}).plan(1), shares, labels).ravel()
    assert_close(brier, [2 * (p - y) * p * (1 - p) for p, y in pairs], RTOL)


@engines
@pytest.mark.parametrize("max_fun", ["logsumexp", "max"])
@pytest.mark.parametrize("scale", [1.0, 1e6, -1e12])
def test_targets_that_sum_to_one_but_for_rounding(scale: float, max_fun: str, backend: str) -> None:
    """What they are short of 1 counts as often as the largest score says."""
    random = np.random.default_rng(6)
    target = random.dirichlet(np.full(5, 0.3), 8)
    target[:4] = np.eye(5)[:4] + 1e-11 * target[:4]
    target /= target.sum(axis=1, keepdims=True)
    scores = scale + random.normal(0.0, 3.0, target.shape)
    case = Case("fenchel_young", {"max_fun": max_fun})
    expected = reference.losses(case.loss, case.options, scores, target, digits=120)
    assert_close(sample_losses(backend_of(backend), case.plan(5), scores, target), expected, RTOL)


@engines
@SHAPES
@pytest.mark.parametrize("distance", [0.0, 1e-2, 1e-5, 1e-9])
def test_divergences_of_two_rows_of_logarithms(distance: float, classes: int, spread: float, backend: str) -> None:
    random = np.random.default_rng(8)
    target = random.normal(0.0, spread, (6, classes))
    prediction = target + distance * random.normal(0.0, 1.0, target.shape)
    log_target, log_prediction = (
        np.minimum(z - np.log(np.exp(z).sum(1, keepdims=True)), 0.0) for z in (target, prediction)
    )
    case = Case("kl_divergence", {"input": "log_prob", "target": "log_prob"})
    expected = reference.losses(case.loss, case.options, log_prediction, log_target, digits=120)
    found = sample_losses(backend_of(backend), case.plan(classes), log_prediction, log_target)
    assert_close(found, expected, RTOL, atol=1e-30)
    slopes = flattened(reference.gradients(case.loss, case.options, log_prediction, log_target, digits=120))
    assert_close(sample_gradients(backend_of(backend), case.plan(classes), log_prediction, log_target), slopes, RTOL)
