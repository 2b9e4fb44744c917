"""Values of every loss in every form with every option, against 60-digit arithmetic on the same numbers."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Scope
from lossctl_kernels.batch import Array, Batch
from tests.kernels import reference
from tests.kernels.cases import (
    OUTSIDE_THE_KERNELS,
    Case,
    assert_close,
    backend_of,
    backends,
    dataset_value,
    draw,
    forms,
    parametrize,
    sample_losses,
    variants,
)

NAN, INF = math.nan, math.inf
RTOL = 1e-12
ROWS = 6
BY_SAMPLE = [case for case in variants() if LOSSES[case.loss].scope is not Scope.DATASET]
BY_DATASET = [case for case in variants() if LOSSES[case.loss].scope is Scope.DATASET]
SINGLE = [case for case in forms() if LOSSES[case.loss].scope is not Scope.DATASET]
engines = pytest.mark.parametrize("backend", backends())


@functools.cache
def _exact(label: str, dtype: str) -> Any:
    """The reference's losses of a case, for both backends."""
    case = next(case for case in BY_SAMPLE if str(case) == label)
    return reference.losses(case.loss, case.options, *draw(case, ROWS, dtype=dtype))


def check(case: Case, backend: str, dtype: str) -> None:
    found = sample_losses(backend_of(backend), case.plan(dtype=dtype), *draw(case, ROWS, dtype=dtype))
    assert_close(found, _exact(str(case), dtype), RTOL)


def test_the_reference_knows_every_loss_and_option() -> None:
    assert set(reference.ELEMENTWISE) | set(reference.ROWWISE) | set(reference.DATASET) == set(LOSSES)
    options = {option for loss in LOSSES.values() for option in (*loss.options, *loss.parameters)}
    assert options - OUTSIDE_THE_KERNELS == reference.UNDERSTOOD


@engines
@parametrize(BY_SAMPLE)
def test_values_of_float64(case: Case, backend: str) -> None:
    check(case, backend, "float64")


@parametrize(BY_SAMPLE)
def test_values_of_float32_are_of_the_rounded_numbers_in_full_precision(case: Case) -> None:
    check(case, "python", "float32")


@pytest.mark.parametrize("backend", backends()[1:])
@parametrize(SINGLE)
def test_compiled_values_of_float32(case: Case, backend: str) -> None:
    check(case, backend, "float32")


@engines
@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@parametrize(BY_DATASET)
def test_values_over_the_data_set(case: Case, backend: str, width: int, dtype: str) -> None:
    prediction, target = draw(case, ROWS, width, dtype)
    found = dataset_value(backend_of(backend), case.plan(width, dtype), Batch(prediction, target))
    assert_close(found, [reference.dataset_loss(case.loss, case.options, prediction, target)], RTOL)


@engines
@pytest.mark.parametrize("width", [1, 4])
def test_weights_of_the_root_mean_squared_error(backend: str, width: int) -> None:
    case, weights = Case("rmse"), np.array([0.0, 0.25, 1.0, 3.0, 7.5, 1e-3])
    prediction, target = draw(case, ROWS, width)
    found = dataset_value(backend_of(backend), case.plan(width), Batch(prediction, target, weights))
    spread = np.repeat(weights, width)
    assert_close(found, [reference.dataset_loss("rmse", {}, prediction, target, spread)], RTOL)


# ---- tails: where the usual formulas have no digits left. (case, predictions, targets, digits of the reference)

LOGITS = np.array([0.0, 1e-300, 1e-9, 40.0, 700.0, -1e-9, -40.0, -700.0, 36.7, -36.7])
PROBABILITIES = np.array([1e-300, 1e-20, 1e-9, 0.5, 1.0 - 2.0**-53, 1.0 - 1e-9, 2.0**-1074])
ERRORS = np.array([1e-9, -1e-9, 1e-160, -1e-3, 0.625, 19.0, -373.0, 1e3, 1e150])
# The loss of class 0 of the first rows is far below 1e-16.
ROWS_OF_LOGITS = np.array(
    [
        [46.05, 0.0, 0.0],
        [700.0, 0.0, -1.0],
        [40.0, -40.0, 0.0],
        [0.0, 700.0, -700.0],
        [1e9, 1e9, 1e9 + 1.0],
        [5.0, 5.0, 5.0],
    ]
)
ONE_HOT, SOFT = np.eye(3)[[0, 0, 0, 0, 1, 2]], np.array([[1.0 - 2.0**-50, 2.0**-50, 0.0]] * 6)
CLASSES = np.array([0, 0, 0, 2, 0, 1])
TINY_ROWS = np.array([[1.0, 1e-20, 1e-300], [1e-20, 1.0, 0.0], [1.0 - 2.0**-53, 2.0**-53, 0.0]])
TAILS: list[tuple[Case, Array, Array]] = [
    *((Case("bce", {"input": "logit"}), LOGITS, np.full(LOGITS.size, y)) for y in (0.0, 1.0, 0.3)),
    (Case("bce", {"input": "logit", "pos_weight": 3.0, "label_smoothing": 0.1}), LOGITS, np.ones(LOGITS.size)),
    *((Case("bce"), PROBABILITIES, np.full(PROBABILITIES.size, y)) for y in (0.0, 1.0, 0.25)),
    *((Case(name), ERRORS, np.zeros(ERRORS.size)) for name in ("log_cosh", "huber", "mae", "mse", "half_mse")),
    *((Case("cce", {"input": "logit"}), ROWS_OF_LOGITS, target) for target in (ONE_HOT, SOFT)),
    (Case("scce", {"input": "logit"}), ROWS_OF_LOGITS, CLASSES),
    (Case("scce", {"input": "logit", "class_weight": (0.5, 1.0, 2.0)}), ROWS_OF_LOGITS, CLASSES),
    (Case("cce"), TINY_ROWS, np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])),
    (Case("scce"), TINY_ROWS, np.array([2, 0, 1])),
]


@engines
@pytest.mark.parametrize(
    ("case", "prediction", "target"), TAILS, ids=[f"{i}-{tail[0]}" for i, tail in enumerate(TAILS)]
)
def test_tails_keep_their_digits(case: Case, prediction: Array, target: Array, backend: str) -> None:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)
    exact = reference.losses(case.loss, case.options, prediction, target, digits=1500)
    assert_close(sample_losses(backend_of(backend), plan, prediction, target), exact, RTOL, atol=1e-320)


IMPOSSIBLE: list[tuple[Case, Any, Any, Any]] = [
    (Case("bce"), [0.0, 0.0, 1.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0, 0.25], [0.0, INF, 0.0, INF, INF]),
    (Case("bce", {"input": "logit"}), [-INF, -INF], [0.0, 1.0], [0.0, INF]),
    (Case("cce"), [[1.0, 0.0]] * 3, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.0, INF, INF]),
    (Case("scce"), [[1.0, 0.0]] * 2, [0, 1], [0.0, INF]),
    (Case("cce", {"input": "logit"}), [[0.0, -INF]] * 3, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]], [0.0, INF, INF]),
    (Case("scce", {"input": "logit"}), [[0.0, -INF]] * 2, [0, 1], [0.0, INF]),
    (Case("scce", {"input": "logit"}), [[0.0, 0.0, -INF]] * 2, [0, 2], [math.log(2.0), INF]),
    (Case("cce", {"input": "log_prob"}), [[0.0, -INF]] * 2, [[1.0, 0.0], [0.5, 0.5]], [0.0, INF]),
    (Case("scce", {"input": "log_prob"}), [[0.0, -INF]] * 2, [0, 1], [0.0, INF]),
    (Case("cce", {"class_weight": (1.0, 0.0)}), [[1.0, 0.0]], [[0.5, 0.5]], [0.0]),
    (Case("scce", {"label_smoothing": 0.5}), [[1.0, 0.0]], [0], [INF]),
    (Case("bce", {"eps": 1e-7, "eps_mode": "clip"}), [0.0, 1.0], [1.0, 1.0], [-math.log(1e-7), -math.log(1.0 - 1e-7)]),
    (Case("bce", {"eps": -100.0, "eps_mode": "log_floor"}), [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [100.0, 100.0, 0.0]),
    (Case("cosine_similarity"), [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]], [0.0] * 3),
    (Case("cosine_similarity", {"eps": 0.5}), [[0.0, 0.0], [1.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]], [0.0] * 2),
    (Case("cosine_distance"), [[0.0, 0.0], [1.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]], [1.0, 1.0]),
    (Case("cosine_distance", {"eps": 0.5}), [[0.0, 0.0], [1.0, 0.0]], [[1.0, 2.0], [0.0, 0.0]], [1.0, 1.0]),
]


@engines
@pytest.mark.parametrize(
    ("case", "prediction", "target", "expected"), IMPOSSIBLE, ids=[f"{i}-{row[0]}" for i, row in enumerate(IMPOSSIBLE)]
)
def test_ends_of_the_domain(case: Case, prediction: Any, target: Any, expected: Any, backend: str) -> None:
    """0 ln 0 = 0; an impossible event is infinite; a zero vector has cosine 0."""
    array = np.array(prediction)
    plan = case.plan(array.shape[-1] if array.ndim > 1 else 1)
    found = sample_losses(backend_of(backend), plan, array, np.array(target))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@engines
@parametrize([*SINGLE, *BY_DATASET])
def test_nan_is_never_lost(case: Case, backend: str) -> None:
    """Wherever in a row it stands, of the class that counts or of another."""
    prediction, target = draw(case, 3)
    prediction[np.arange(3), np.arange(3)] = NAN
    if LOSSES[case.loss].scope is Scope.DATASET:
        assert math.isnan(dataset_value(backend_of(backend), case.plan(), Batch(prediction, target)))
        return
    used = np.ones(3, bool)
    if case.options.get("input") in ("prob", "log_prob") and case.loss != "bce":
        # Cross-entropy of probabilities looks at no class whose target is 0.
        weight = np.eye(3)[target] if target.ndim == 1 else target
        used = weight[np.arange(3), np.arange(3)] != 0.0
    assert np.isnan(sample_losses(backend_of(backend), case.plan(), prediction, target))[used].all()


@engines
@pytest.mark.parametrize("angle", [1e-2, 1e-4, 1e-8])
def test_nearly_parallel_rows_keep_the_digits_of_their_distance(angle: float, backend: str) -> None:
    random = np.random.default_rng(3)
    prediction = random.normal(size=(4, 5))
    target = 3.0 * prediction + angle * random.normal(size=(4, 5))
    exact = reference.losses("cosine_distance", {}, prediction, target)
    found = sample_losses(backend_of(backend), Case("cosine_distance").plan(5), prediction, target)
    # Rounding the unit vectors moves their difference by 1e-16 of the vectors, which is 1e-16 / angle of itself.
    assert_close(found, exact, 4e-15 / angle)


@engines
@pytest.mark.parametrize("loss", ["cosine_similarity", "cosine_distance"])
@pytest.mark.parametrize(
    ("left", "right"), [(1e200, 1e200), (1e-200, 1e-200), (1e200, 1e-200), (1e-310, 1.0), (1e307, 1.0)]
)
def test_cosines_of_extreme_magnitudes(loss: str, left: float, right: float, backend: str) -> None:
    prediction, target = draw(Case(loss), ROWS)
    prediction, target = prediction * left, target * right
    exact = reference.losses(loss, {}, prediction, target)
    assert_close(sample_losses(backend_of(backend), Case(loss).plan(), prediction, target), exact, RTOL, atol=1e-15)


@engines
@pytest.mark.parametrize("loss", ["rmse", "cosine_global"])
@pytest.mark.parametrize("size", [1e200, 1e-200, 1e307, 1e-310])
def test_data_sets_of_extreme_magnitudes(loss: str, size: float, backend: str) -> None:
    prediction, target = draw(Case(loss), 40, 1)
    prediction, target = prediction / 8.0 * size, target / 8.0 * size
    exact = reference.dataset_loss(loss, {}, prediction, target)
    assert_close(dataset_value(backend_of(backend), Case(loss).plan(1), Batch(prediction, target)), [exact], RTOL)


@engines
def test_one_extreme_value_among_ordinary_ones(backend: str) -> None:
    prediction, target = np.array([1e200, 1.0, -2.0]), np.zeros(3)
    exact = reference.dataset_loss("rmse", {}, prediction, target)
    assert_close(dataset_value(backend_of(backend), Case("rmse").plan(1), Batch(prediction, target)), [exact], RTOL)


@engines
def test_perfect_predictions_have_no_error(backend: str) -> None:
    prediction, _ = draw(Case("rmse"), 5, 1)
    assert dataset_value(backend_of(backend), Case("rmse").plan(1), Batch(prediction, prediction)) == 0.0


PERFECT = ["mse", "half_mse", "mae", "huber", "log_cosh", "cosine_distance"]


@engines
@pytest.mark.parametrize("loss", PERFECT)
def test_a_perfect_prediction_costs_nothing(loss: str, backend: str) -> None:
    prediction, _ = draw(Case(loss), 5)
    assert (sample_losses(backend_of(backend), Case(loss).plan(), prediction, prediction) == 0.0).all()


@engines
@parametrize([case for case in BY_SAMPLE if LOSSES[case.loss].unit == "nat" or case.loss in PERFECT])
def test_only_a_cosine_is_ever_negative(case: Case, backend: str) -> None:
    prediction, target = draw(case, 50, seed=9)
    losses = sample_losses(backend_of(backend), case.plan(), prediction, target)
    allowed = "add" in case.options.values()  # p + eps may exceed 1
    assert (losses >= (-0.01 if allowed else 0.0)).all()


@engines
@parametrize([case for case in SINGLE if case.loss.startswith("cosine")])
def test_zero_vectors_are_counted_as_degenerate(case: Case, backend: str) -> None:
    plan = case.plan(2).degenerate
    assert plan is not None
    prediction, target = (
        np.array([[0.0, 0.0], [1.0, 1.0], [3.0, 0.0]]),
        np.array([[1.0, 0.0], [0.0, 0.0], [1e-300, 0.0]]),
    )
    assert sample_losses(backend_of(backend), plan, prediction, target).tolist() == [1.0, 1.0, 0.0]
