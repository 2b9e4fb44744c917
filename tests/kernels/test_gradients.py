"""Gradients of every loss in every form with every option: derivatives of the 60-digit losses, kinks, identities."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest

from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array, Batch
from tests.kernels import reference
from tests.kernels.cases import (
    REPRESENTATIVES,
    WIDTH,
    Case,
    compiled_definitions,
    compiled_options,
    definitions,
    draw,
    each,
    for_each_loss,
    is_pooled,
    parametrize,
    variants,
)
from tests.kernels.engines import assert_close, backend_of, backends, dataset_gradients, flattened, sample_gradients

NAN, INF = math.nan, math.inf
RTOL, ATOL = 1e-12, 1e-15
ROWS = 6
engines = pytest.mark.parametrize("backend", backends())
compiled = pytest.mark.parametrize("backend", backends()[1:])


def sloping(cases: list[Case]) -> list[Case]:
    """Those of losses that have a gradient."""
    return [case for case in cases if LOSSES[case.loss].has_gradient]


def check(case: Case, backend: str = "python", dtype: str = "float64") -> None:
    """Gradients are numerical derivatives of 60-digit losses, rounded once to the dtype of the prediction."""
    engine, rtol = backend_of(backend), RTOL if dtype == "float64" else 6.1e-8
    for width in (1, 4) if is_pooled(case) else (WIDTH,):
        prediction, target = draw(case, 3 if is_pooled(case) else ROWS, width, dtype)
        if is_pooled(case):
            found = dataset_gradients(engine, case.plan(width, dtype), Batch(prediction, target))
            exact = reference.dataset_gradient(case.loss, case.options, prediction, target)
        else:
            found = sample_gradients(engine, case.plan(width, dtype), prediction, target)
            exact = flattened(reference.gradients(case.loss, case.options, prediction, target))
        assert found.dtype == np.dtype(dtype)
        assert_close(found, exact, rtol, ATOL)


@for_each_loss(sloping(variants()))
def test_gradients_of_float64(cases: list[Case]) -> None:
    each(cases, check)


@parametrize(sloping(REPRESENTATIVES))
def test_gradients_of_float32_are_rounded_once(case: Case) -> None:
    check(case, dtype="float32")


@compiled
@for_each_loss(sloping(compiled_definitions()))
def test_compiled_gradients(cases: list[Case], backend: str) -> None:
    each(cases, lambda case: check(case, backend))


@compiled
@for_each_loss(compiled_options())
def test_compiled_gradients_of_options(cases: list[Case], backend: str) -> None:
    each(cases, lambda case: check(case, backend))


@compiled
@parametrize(sloping(REPRESENTATIVES))
def test_compiled_gradients_of_float32(case: Case, backend: str) -> None:
    check(case, backend, "float32")


@engines
def test_weighted_gradient_of_the_root_mean_squared_error(backend: str) -> None:
    weights = np.array([0.0, 0.25, 1.0, 3.0, 7.5, 1e-3])
    prediction, target = draw(Case("rmse"), ROWS, 2)
    found = dataset_gradients(backend_of(backend), Case("rmse").plan(2), Batch(prediction, target, weights))
    exact = reference.dataset_gradient("rmse", {}, prediction, target, np.repeat(weights, 2))
    assert_close(found, exact, RTOL, ATOL)


# ---- tails

LOGITS = np.array([0.0, 1e-9, 40.0, 700.0, -1e-9, -40.0, -700.0, 36.7, -36.7])
PROBABILITIES = np.array([1e-300, 1e-20, 1e-9, 0.5, 1.0 - 2.0**-53, 1.0 - 1e-9])
ROWS_OF_LOGITS = np.array([[46.05, 0.0, 0.0], [300.0, 0.0, -1.0], [40.0, -40.0, 0.0], [0.0, 300.0, -300.0]])
TAILS: list[tuple[Case, Array, Array]] = [
    *((Case("bce", {"input": "logit"}), LOGITS, np.full(LOGITS.size, y)) for y in (0.0, 1.0)),
    (Case("bce", {"input": "logit", "pos_weight": 3.0, "label_smoothing": 0.1}), LOGITS, np.ones(LOGITS.size)),
    *((Case("bce"), PROBABILITIES, np.full(PROBABILITIES.size, y)) for y in (0.0, 1.0, 0.25)),
    (Case("bce", {"grad_wrt": "logit"}), PROBABILITIES, np.zeros(PROBABILITIES.size)),
    (Case("bce", {"input": "logit", "grad_wrt": "prob"}), LOGITS, np.zeros(LOGITS.size)),
    (Case("bce", {"input": "logit", "grad_wrt": "prob", "pos_weight": 3.0}), LOGITS, np.ones(LOGITS.size)),
    (Case("log_cosh"), np.array([1e-9, 1e-160, 0.625, 19.0, -30.0]), np.zeros(5)),
    (Case("cce", {"input": "logit"}), ROWS_OF_LOGITS, np.eye(3)[[0, 0, 0, 0]]),
    (Case("scce", {"input": "logit"}), ROWS_OF_LOGITS, np.array([0, 0, 0, 1])),
    (Case("scce", {"input": "logit", "class_weight": (0.5, 1.0, 2.0)}), ROWS_OF_LOGITS, np.array([2, 0, 1, 1])),
    *((Case("soft_margin"), LOGITS, np.full(LOGITS.size, t)) for t in (-1.0, 1.0)),
    *(
        (Case("binary_focal", {"input": "logit", "gamma": gamma}), LOGITS, np.full(LOGITS.size, y))
        for gamma, y in ((0.0, 1.0), (0.5, 0.0), (0.5, 1.0), (2.0, 0.3))
    ),
    (Case("brier", {"input": "logit"}), LOGITS, np.ones(LOGITS.size)),
    (Case("pseudo_huber"), np.array([1e-9, 1e-160, 1e3, -1e150]), np.zeros(4)),
    (Case("msle"), np.array([0.0, 1e10, -1.0 + 1e-15, 5.0]), np.array([1e10, 0.0, 1e5, 5.0 + 1e-9])),
    (Case("tweedie_deviance", {"power": 1.0 + 1e-9}), np.array([2.0, 1e-3]), np.array([2.0 + 1e-9, 0.0])),
    (Case("kl_divergence"), np.array([[0.5, 0.25 - 2.0**-40, 0.25 + 2.0**-40]]), np.array([[0.5, 0.25, 0.25]])),
    (Case("js_divergence"), np.array([[0.5, 0.25 - 2.0**-40, 0.25 + 2.0**-40]]), np.array([[0.5, 0.25, 0.25]])),
    *((Case("poly1", {"epsilon": epsilon}), ROWS_OF_LOGITS, np.eye(3)[[0, 0, 0, 1]]) for epsilon in (-1.0, 2.0)),
    (Case("brier_multiclass", {"input": "logit"}), ROWS_OF_LOGITS, np.eye(3)[[0, 0, 0, 1]]),
    (Case("categorical_focal", {"input": "logit", "gamma": 0.5}), ROWS_OF_LOGITS, np.eye(3)[[0, 0, 0, 1]]),
    (Case("gce", {"input": "logit", "q": 0.7}), ROWS_OF_LOGITS, np.array([0, 0, 0, 1])),
]


@engines
@pytest.mark.parametrize(
    ("case", "prediction", "target"), TAILS, ids=[f"{i}-{tail[0]}" for i, tail in enumerate(TAILS)]
)
def test_tails_keep_their_digits(case: Case, prediction: Array, target: Array, backend: str) -> None:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)
    exact = flattened(reference.gradients(case.loss, case.options, prediction, target, digits=1000))
    assert_close(sample_gradients(backend_of(backend), plan, prediction, target), exact, RTOL, atol=1e-320)


@engines
@pytest.mark.parametrize("loss", ["cosine_similarity", "cosine_distance"])
@pytest.mark.parametrize(("left", "right"), [(1e100, 1e200), (1e-100, 1e-200), (1e200, 1e-200), (1e-200, 1.0)])
def test_cosines_of_extreme_magnitudes(loss: str, left: float, right: float, backend: str) -> None:
    prediction, target = draw(Case(loss), ROWS)
    prediction, target = prediction * left, target * right
    exact = flattened(reference.gradients(loss, {}, prediction, target))
    found = sample_gradients(backend_of(backend), Case(loss).plan(), prediction, target)
    assert_close(found, exact, RTOL, 1e-15 / left)


@engines
@pytest.mark.parametrize("loss", ["rmse", "cosine_global"])
@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_data_sets_of_extreme_magnitudes(loss: str, size: float, backend: str) -> None:
    prediction, target = draw(Case(loss), 40, 1)
    prediction, target = prediction * size, target * size
    exact = reference.dataset_gradient(loss, {}, prediction, target)
    found = dataset_gradients(backend_of(backend), Case(loss).plan(1), Batch(prediction, target))
    assert_close(found, exact, RTOL, 1e-15 * (1.0 if loss == "rmse" else 1.0 / size))


# ---- kinks and ends of the domain: (case, predictions, targets, gradients)

CLIP = {"eps": 0.125, "eps_mode": "clip"}
FIXED: list[tuple[Case, Any, Any, Any]] = [
    (Case("mae"), [0.0, 2.0, -1.0], [0.0, 2.0, 0.5], [0.0, 0.0, -1.0]),
    (Case("huber", {"delta": 1.5}), [1.5, -1.5, 1.25, 9.0, 0.0], [0.0] * 5, [1.5, -1.5, 1.25, 1.5, 0.0]),
    (Case("mse"), [1.0], [1.0], [0.0]),
    (Case("log_cosh"), [0.0, 1e300, -1e300], [0.0] * 3, [0.0, 1.0, -1.0]),
    (Case("bce"), [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, -1.0, -INF, INF]),
    (Case("bce", {"pos_weight": 4.0}), [0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], [1.0, -4.0, -INF, INF]),
    (Case("bce", CLIP), [0.0, 1.0, 0.125, 0.875, 0.1], [0.0, 0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 8 / 7, -8 / 7, 0.0]),
    (Case("bce", {"eps": 0.125, "eps_mode": "floor"}), [0.0, 0.125, 0.5], [1.0] * 3, [0.0, -8.0, -2.0]),
    (Case("bce", {"eps": -2.0, "eps_mode": "log_floor"}), [0.1, 0.5, 0.9], [1.0, 1.0, 0.0], [0.0, -2.0, 0.0]),
    (Case("bce", {"input": "logit"}), [-INF, -INF, INF, INF], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 0.0, 1.0]),
    (Case("bce", {"grad_wrt": "logit"}), [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, -1.0, 1.0, 0.0]),
    (Case("cce"), [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.5, 0.5]], [[-1.0, 0.0], [-0.5, -INF]]),
    (Case("scce"), [[1.0, 0.0]] * 2, [0, 1], [[-1.0, 0.0], [0.0, -INF]]),
    (Case("scce", CLIP), [[1.0, 0.0], [0.5, 0.5]], [1, 1], [[0.0, 0.0], [0.0, -2.0]]),
    (Case("cce", {"input": "logit"}), [[0.0, -INF]] * 2, [[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [1.0, -1.0]]),
    (Case("scce", {"input": "logit"}), [[0.0, 0.0, -INF]], [0], [[-0.5, 0.5, 0.0]]),
    (Case("scce", {"input": "log_prob"}), [[0.0, -INF]] * 2, [0, 1], [[-1.0, 0.0], [0.0, -1.0]]),
    (Case("scce", {"grad_wrt": "logit"}), [[1.0, 0.0]] * 2, [0, 1], [[0.0, 0.0], [1.0, -1.0]]),
    (Case("cosine_similarity"), [[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [0.0, 0.0]], [[0.0, 0.0]] * 2),
    (Case("cosine_similarity"), [[3.0, 4.0]], [[6.0, 8.0]], [[0.0, 0.0]]),
    (Case("cosine_distance"), [[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [0.0, 0.0]], [[0.0, 0.0]] * 2),
    *((Case("mae", {"kink": kink}), [2.0], [2.0], [g]) for kink, g in (("flat", 1.0), ("steep", -1.0), ("half", 0.0))),
    (Case("mape"), [2.0, 0.0, 1.0, -1.0], [2.0, 0.0, 0.0, 0.0], [0.0, 0.0, INF, -INF]),
    (Case("smape"), [0.0, 0.0, 0.0], [0.0, 4.0, -4.0], [0.0, -50.0, 50.0]),
    (Case("msle", {"eps": 0.5}), [-3.0, 0.25, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
    (Case("smooth_l1", {"beta": 0.0}), [1.0, 0.0, -2.0], [0.0] * 3, [1.0, 0.0, -1.0]),
    (Case("smooth_l1", {"beta": 2.0}), [2.0, 1.0, -3.0], [0.0] * 3, [1.0, 0.5, -1.0]),
    (Case("quantile", {"q": 0.9}), [0.0, 1.0, -1.0], [0.0] * 3, [0.0, 0.1, -0.9]),
    *(
        (Case("quantile", {"q": 0.9, "kink": kink}), [2.0], [2.0], [slope])
        for kink, slope in (("flat", 0.1), ("steep", -0.9), ("half", -0.4))
    ),
    (Case("epsilon_insensitive", {"epsilon": 0.5}), [0.5, -0.5, 0.75, 0.0], [0.0] * 4, [0.0, 0.0, 1.0, 0.0]),
    (Case("epsilon_insensitive", {"epsilon": 0.5, "kink": "steep"}), [0.5, -0.5], [0.0] * 2, [1.0, -1.0]),
    (Case("tweedie_deviance", {"power": 1.5}), [4.0], [0.0], [1.0]),
    (Case("hinge"), [1.0, -1.0, 0.5, 0.5, 2.0], [1.0, -1.0, 1.0, -1.0, 1.0], [0.0, 0.0, -1.0, 1.0, 0.0]),
    *(
        (Case("hinge", {"kink": kink}), [1.0, -1.0], [1.0, -1.0], [-share, share])
        for kink, share in (("flat", 0.0), ("steep", 1.0), ("half", 0.5))
    ),
    (Case("perceptron"), [0.0, 1.0, 1.0], [1.0, -1.0, 1.0], [0.0, 1.0, 0.0]),
    (Case("modified_huber"), [1.0, -1.0, -3.0, 0.5], [1.0] * 4, [0.0, -4.0, -4.0, -1.0]),
    (Case("soft_margin"), [-1000.0], [1.0], [-1.0]),
    (Case("hinge_embedding"), [1.0, 1.0, 0.5, 2.0], [-1.0, 1.0, -1.0, -1.0], [-1.0, 1.0, -1.0, 0.0]),
    (Case("hinge_embedding", {"kink": "flat"}), [1.0], [-1.0], [0.0]),
    (Case("binary_sparsemax"), [-1.0, 1.0, 0.0, 3.0], [1.0, 1.0, 0.0, 0.0], [-1.0, 0.0, 0.5, 1.0]),
    (Case("contrastive"), [1.0, 0.5, 2.0], [0.0, 0.0, 1.0], [0.0, -0.5, 2.0]),
    (Case("binary_focal", {"gamma": 0.5}), [1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, -INF]),
    (Case("binary_focal", {"gamma": 0.0}), [1.0, 0.0], [1.0, 0.0], [-1.0, 1.0]),
    *(
        (Case("binary_focal", {"input": "logit", "gamma": gamma}), [-1000.0, 1000.0], [1.0, 1.0], [-1.0, 0.0])
        for gamma in (0.0, 0.5, 1.0, 2.0)
    ),
    (Case("categorical_hinge"), [[1.0, 1.0, 3.0]], [[0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]),
    (Case("categorical_hinge"), [[2.0, 2.0, 1.0]], [[0.0, 0.0, 1.0]], [[0.5, 0.5, -1.0]]),
    (Case("multiclass_hinge"), [[2.0, 2.0, 1.0], [0.0, 0.0, 1.0]], [2, 2], [[0.5, 0.5, -1.0], [0.0, 0.0, 0.0]]),
    (Case("multiclass_hinge", {"kink": "half"}), [[0.0, -1.0, 1.0]], [2], [[0.5, 0.0, -0.5]]),
    (Case("multiclass_perceptron"), [[2.0, 2.0, 2.0]], [2], [[1 / 3, 1 / 3, -2 / 3]]),
    (Case("multi_margin"), [[1.0, 0.0, 0.0], [1.0, 0.5, 0.0]], [0, 0], [[0.0] * 3, [-1 / 3, 1 / 3, 0.0]]),
    (Case("multi_margin", {"kink": "steep"}), [[1.0, 0.0, 0.0]], [0], [[-2 / 3, 1 / 3, 1 / 3]]),
    (Case("gce", {"q": 0.5}), [[1.0, 0.0]] * 2, [0, 1], [[-1.0, 0.0], [0.0, -INF]]),
    (Case("categorical_focal"), [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, -INF]]),
    (Case("categorical_focal", {"input": "logit"}), [[0.0, -INF]], [[1.0, 0.0]], [[0.0, 0.0]]),
    (Case("kl_divergence"), [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.5, 0.5]], [[-1.0, 0.0], [-0.5, -INF]]),
    (Case("js_divergence"), [[1.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.5 * math.log(2.0)]]),
    (Case("fenchel_young", {"max_fun": "max"}), [[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]], [[0.5, 0.5, -1.0]]),
    (Case("dice", {"scope": "sample"}), [[0.0, 0.0]], [[0.0, 0.0]], [[0.0, 0.0]]),
    (Case("tversky", {"scope": "sample", "eps": 1.0}), [[0.0, 0.0]], [[0.0, 1.0]], [[0.0, -2 / 3]]),
]  # fmt: skip


@engines
@pytest.mark.parametrize(
    ("case", "prediction", "target", "expected"), FIXED, ids=[f"{i}-{row[0]}" for i, row in enumerate(FIXED)]
)
def test_kinks_and_ends_of_the_domain(case: Case, prediction: Any, target: Any, expected: Any, backend: str) -> None:
    array = np.array(prediction)
    plan = case.plan(array.shape[-1] if array.ndim > 1 else 1)
    found = sample_gradients(backend_of(backend), plan, array, np.array(target))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-16)


@engines
def test_over_the_data_set_nothing_to_improve_has_gradient_0(backend: str) -> None:
    values, engine = np.array([1.0, -2.0, 3.0]), backend_of(backend)
    assert not dataset_gradients(engine, Case("rmse").plan(1), Batch(values, values)).any()
    zero = Batch(np.zeros(3), values)
    assert not dataset_gradients(engine, Case("cosine_global").plan(1), zero).any()
    assert not dataset_gradients(engine, Case("cosine_global").plan(1), Batch(values, np.zeros(3))).any()


# ---- identities


def gradients(case: Case, prediction: Array, target: Array, backend: str) -> Array:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1, prediction.dtype.name)
    return sample_gradients(backend_of(backend), plan, prediction, target)


@engines
@parametrize(
    [Case(loss, {"input": "logit", **more}) for loss in ("cce", "scce") for more in ({}, {"label_smoothing": 0.3})]
)
def test_logit_gradients_of_softmax_sum_to_0(case: Case, backend: str) -> None:
    sums = gradients(case, *draw(case, 40, 7), backend).sum(axis=1)
    np.testing.assert_allclose(sums, 0.0, atol=1e-15)


@engines
@pytest.mark.parametrize("loss", ["cosine_similarity", "cosine_distance"])
def test_cosines_do_not_change_along_their_rows(loss: str, backend: str) -> None:
    prediction, target = draw(Case(loss), 40, 7)
    along = (prediction * gradients(Case(loss), prediction, target, backend)).sum(axis=1)
    np.testing.assert_allclose(along, 0.0, atol=1e-15)


@engines
def test_the_gradient_of_texts_on_cosine_proximity_is_minus_the_norm_times_ours(backend: str) -> None:
    prediction, target = draw(Case("cosine_global"), 40, 1)
    ours = dataset_gradients(backend_of(backend), Case("cosine_global").plan(1), Batch(prediction, target))
    norm, other = np.linalg.norm(prediction), np.linalg.norm(target)
    theirs = target / other - (prediction @ target) * prediction / (norm**2 * other)
    np.testing.assert_allclose(theirs, -norm * ours, rtol=1e-11)


@engines
def test_binary_is_two_class_cross_entropy(backend: str) -> None:
    logits, labels = draw(Case("bce", {"input": "logit"}), 40, 1)
    rows, targets = np.stack([np.zeros(40), logits], axis=1), np.stack([1.0 - labels, labels], axis=1)
    binary = gradients(Case("bce", {"input": "logit"}), logits, labels, backend)
    categorical = gradients(Case("cce", {"input": "logit"}), rows, targets, backend)
    np.testing.assert_allclose(categorical[:, 1], binary, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(categorical[:, 0], -binary, rtol=1e-12, atol=1e-15)


@parametrize([case for case in definitions() if "log_base" in LOSSES[case.loss].options])
def test_log_base_divides_the_gradient_as_it_does_the_loss(case: Case) -> None:
    data = draw(case, 4)
    bits, nats = (gradients(case | {"log_base": base}, *data, "python") for base in ("2", "e"))
    np.testing.assert_allclose(bits * math.log(2.0), nats, rtol=1e-15)


@engines
@pytest.mark.parametrize("normalize", [True, False])
def test_normalized_rows_have_no_gradient_along_themselves(normalize: bool, backend: str) -> None:
    case = Case("cce", {"normalize": normalize})
    prediction, target = draw(case, 40, 5)
    along = (prediction * gradients(case, prediction, target, backend)).sum(axis=1)
    np.testing.assert_allclose(along, 0.0 if normalize else -1.0, atol=1e-15)


def test_step_of_the_reference_leaves_20_digits() -> None:
    """Of a function whose derivative is known."""
    with mpmath.workdps(reference.DIGITS):
        for x in (mpmath.mpf("1e-9"), mpmath.mpf(1), mpmath.mpf(-700)):
            found = reference.derivative(lambda row: mpmath.exp(row[1]), [mpmath.mpf(0), x], 1)
            assert abs(found / mpmath.exp(x) - 1) < mpmath.mpf(10) ** -20
