"""Values of every loss in every form with every option, against 60-digit arithmetic on the same numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array, Batch
from tests.kernels import formulas, paired_formulas, reference, row_formulas
from tests.kernels.array_formulas import PAIRWISE
from tests.kernels.cases import (
    OUTSIDE_THE_KERNELS,
    REPRESENTATIVES,
    WIDTH,
    Case,
    compiled_definitions,
    compiled_options,
    definitions,
    draw,
    each,
    for_each_loss,
    forms,
    is_pooled,
    parametrize,
    variants,
)
from tests.kernels.engines import assert_close, backend_of, backends, dataset_value, sample_losses

NAN, INF = math.nan, math.inf
RTOL = 1e-12
ROWS = 6
FORMS = forms()
SINGLE = [case for case in FORMS if not is_pooled(case)]
engines = pytest.mark.parametrize("backend", backends())
compiled = pytest.mark.parametrize("backend", backends()[1:])


def check(case: Case, backend: str = "python", dtype: str = "float64") -> None:
    """Values are those of 60-digit arithmetic on the numbers of this dtype."""
    engine = backend_of(backend)
    for width in (1, 4) if is_pooled(case) else (WIDTH,):
        data = draw(case, ROWS, width, dtype)
        if is_pooled(case):
            found: Any = dataset_value(engine, case.plan(width, dtype), Batch(*data))
            exact = [reference.dataset_loss(case.loss, case.options, *data)]
        else:
            found = sample_losses(engine, case.plan(width, dtype), *data)
            exact = reference.losses(case.loss, case.options, *data)
        assert_close(found, exact, RTOL)


def test_the_reference_knows_every_loss_and_option() -> None:
    rows = {*row_formulas.ROWWISE, *row_formulas.DATASET, *PAIRWISE, *paired_formulas.PAIRED}
    assert {*formulas.ELEMENTWISE, *rows} == set(LOSSES)
    options = {option for loss in LOSSES.values() for option in (*loss.options, *loss.parameters)}
    assert options - OUTSIDE_THE_KERNELS == reference.UNDERSTOOD


@for_each_loss(variants())
def test_values_of_float64(cases: list[Case]) -> None:
    each(cases, check)


@for_each_loss(definitions())
def test_values_of_float32_are_of_the_rounded_numbers_in_full_precision(cases: list[Case]) -> None:
    each(cases, lambda case: check(case, dtype="float32"))


@compiled
@for_each_loss(compiled_definitions())
def test_compiled_values(cases: list[Case], backend: str) -> None:
    each(cases, lambda case: check(case, backend))


@compiled
@for_each_loss(compiled_options())
def test_compiled_values_of_options(cases: list[Case], backend: str) -> None:
    each(cases, lambda case: check(case, backend))


@compiled
@parametrize(REPRESENTATIVES)
def test_compiled_values_of_float32(case: Case, backend: str) -> None:
    check(case, backend, "float32")


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
# Deviances next to the powers at which the textbook formula divides by 0, and of amounts next to their means.
MEANS = np.array([2.0, 0.3, 1e-3, 1e5])
AMOUNTS = [MEANS * (1.0 + distance) for distance in (1e-1, -0.099, 1e-4, -1e-8, 1e-12, -0.9, 100.0)]
NEAR_POWERS = (1.0 + 1e-3, 1.0 + 1e-6, 1.0 + 1e-9, 1.0 + 1e-12, 2.0 - 1e-9, 1.5, 3.0, -1.5)


def near_rows(distance: float) -> Array:
    """Rows at a relative distance from others, which they are at 0. All sum to 1, to the last bit of exact sums."""
    target = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [2.0**-20, 0.5, 0.5 - 2.0**-20]])
    return np.asarray(target + np.round(distance * 2.0**30) * 2.0**-52 * np.array([[1.0, 1.0, -2.0]]) * 2.0**20)


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
    *((Case("soft_margin"), 1.5 * LOGITS, np.full(LOGITS.size, t)) for t in (-1.0, 1.0)),
    *(
        (Case("binary_focal", {"input": "logit", "gamma": gamma}), LOGITS, np.full(LOGITS.size, y))
        for gamma, y in ((0.0, 1.0), (0.5, 0.0), (0.5, 1.0), (2.0, 0.3))
    ),
    (Case("binary_focal", {"gamma": 0.5}), PROBABILITIES, np.ones(PROBABILITIES.size)),
    *((Case("brier", {"input": "logit"}), LOGITS, np.full(LOGITS.size, y)) for y in (0.0, 1.0)),
    (Case("pseudo_huber"), ERRORS, np.zeros(ERRORS.size)),
    (Case("smooth_l1", {"beta": 1e-6}), ERRORS, np.zeros(ERRORS.size)),
    (Case("msle"), np.array([0.0, 1e10, -1.0 + 1e-15, 5.0]), np.array([1e10, 0.0, 1e5, 5.0 + 1e-9])),
    *((Case("tweedie_deviance", {"power": power}), MEANS, target) for power in NEAR_POWERS for target in AMOUNTS),
    *((Case(loss), MEANS, target) for loss in ("poisson_deviance", "gamma_deviance") for target in AMOUNTS),
    *(
        (Case(loss), near_rows(distance), near_rows(0.0))
        for loss in ("kl_divergence", "generalized_kl", "js_divergence")
        for distance in (1e-2, 1e-4, 1e-6, 1e-9)
    ),
    (Case("js_divergence"), TINY_ROWS, np.eye(3)),
    *((Case("poly1", {"epsilon": epsilon}), ROWS_OF_LOGITS, ONE_HOT) for epsilon in (-1.0, 2.0)),
    (Case("brier_multiclass", {"input": "logit"}), ROWS_OF_LOGITS, ONE_HOT),
    (Case("categorical_focal", {"input": "logit", "gamma": 0.5}), ROWS_OF_LOGITS, ONE_HOT),
    (Case("gce", {"input": "logit", "q": 0.7}), ROWS_OF_LOGITS, CLASSES),
    (Case("multilabel_soft_margin"), ROWS_OF_LOGITS, ONE_HOT),
]


@engines
@pytest.mark.parametrize(
    ("case", "prediction", "target"), TAILS, ids=[f"{i}-{tail[0]}" for i, tail in enumerate(TAILS)]
)
def test_tails_keep_their_digits(case: Case, prediction: Array, target: Array, backend: str) -> None:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)
    exact = reference.losses(case.loss, case.options, prediction, target, digits=1500)
    assert_close(sample_losses(backend_of(backend), plan, prediction, target), exact, RTOL, atol=1e-320)


# A false negative: α = 0.9 weighs false positives, but in Keras up to 3.15.
LOST = {"alpha": 0.9, "beta": 0.1, "scope": "sample"}
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
    (Case("mape"), [0.0, 1.0, 2.0], [0.0, 0.0, 4.0], [0.0, INF, 50.0]),
    (Case("mape", {"preset": "keras"}), [1.0], [0.0], [1e9]),
    (Case("smape"), [0.0, 1.0, -1.0], [0.0, 0.0, 1.0], [0.0, 200.0, 200.0]),
    (Case("msle", {"preset": "keras"}), [-5.0], [-7.0], [0.0]),
    (Case("poisson"), [2.0], [0.0], [2.0]),
    (Case("poisson_nll", {"full": "stirling"}), [0.0], [2.0], [1.651806484604536]),
    (Case("poisson_nll", {"full": "exact"}), [0.0], [2.0], [1.0 + math.log(2.0)]),
    (Case("poisson_deviance"), [3.0, 3.0], [0.0, 3.0], [6.0, 0.0]),
    (Case("tweedie_deviance", {"power": 0}), [1.0], [-2.0], [9.0]),
    (Case("tweedie_deviance", {"power": -1.0}), [2.0], [-1.0], [2.0 * (8.0 / 3.0 + 2.0)]),
    (Case("soft_margin"), [-1000.0], [1.0], [1000.0]),
    (Case("binary_focal", {"preset": "keras"}), [0.0, 1.0], [1.0, 1.0], [-math.log(1e-7), 0.0]),
    (Case("binary_focal", {"alpha": 0.0}), [0.0], [1.0], [0.0]),
    (Case("categorical_hinge"), [[-3.0, -5.0, -6.0]], [[1.0, 0.0, 0.0]], [4.0]),
    (Case("multiclass_hinge"), [[-3.0, -5.0, -6.0]], [0], [0.0]),
    (Case("gce", {"q": 0.5}), [[1.0, 0.0]] * 2, [0, 1], [0.0, 2.0]),
    (Case("kl_divergence"), [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.5, 0.5]], [0.0, INF]),
    (Case("generalized_kl"), [[0.0, 2.0]] * 2, [[0.0, 2.0], [1.0, 2.0]], [0.0, INF]),
    (Case("js_divergence"), [[1.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 1.0]], [0.0, math.log(2.0)]),
    (Case("brier_multiclass"), [[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]], [0.0, 1.0]),
    (Case("dice", {"scope": "sample"}), [[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]], [0.0, 0.0]),
    (Case("tversky", LOST | {"preset": "keras", "eps": 0}), [[1.0, 0.0]], [[1.0, 1.0]], [0.9 / 1.9]),
    (Case("tversky", LOST), [[1.0, 0.0]], [[1.0, 1.0]], [0.1 / 1.1]),
]  # fmt: skip


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


# Losses that look at no class whose target is 0.
LOOK_AT_TARGETS = ("cce", "scce", "nll", "gce", "categorical_focal", "kl_divergence")


@engines
@for_each_loss(FORMS)
def test_nan_is_never_lost(cases: list[Case], backend: str) -> None:
    """Wherever in a row it stands, of the class that counts or of another. (A largest value is held by its domain.)"""
    each((case for case in cases if case.loss != "max_error"), lambda case: assert_nan_is_kept(case, backend))


def assert_nan_is_kept(case: Case, backend: str) -> None:
    prediction, target = draw(case, 3)
    prediction[np.arange(3), np.arange(3)] = NAN
    if is_pooled(case):
        assert math.isnan(dataset_value(backend_of(backend), case.plan(), Batch(prediction, target)))
        return
    used = np.ones(3, bool)
    if case.loss in LOOK_AT_TARGETS and case.options.get("input") != "logit":
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


PERFECT = [
    "mse", "half_mse", "mae", "mape", "smape", "msle", "huber", "smooth_l1", "pseudo_huber", "quantile", "log_cosh",
    "epsilon_insensitive", "squared_epsilon_insensitive", "poisson_deviance", "gamma_deviance", "tweedie_deviance",
    "brier", "zero_one", "hamming", "kl_divergence", "generalized_kl", "js_divergence", "cosine_distance",
]  # fmt: skip
MAY_BE_NEGATIVE = ("gaussian_nll", "poisson", "poisson_nll", "cosine_similarity", "hinge_embedding", "poly1")


@pytest.mark.parametrize("loss", PERFECT)
def test_a_perfect_prediction_costs_nothing(loss: str) -> None:
    case = next(case for case in FORMS if case.loss == loss)
    prediction, _ = draw(case, 5)
    losses = sample_losses(backend_of("python"), case.plan(), prediction, prediction)
    np.testing.assert_allclose(losses, 0.0, atol=1e-15 if loss == "kl_divergence" else 0.0)


@for_each_loss([case for case in variants() if case.loss not in MAY_BE_NEGATIVE and not is_pooled(case)])
def test_only_likelihoods_and_cosines_are_ever_negative(cases: list[Case]) -> None:
    each((case for case in cases if "drop_constant" not in case.options), assert_not_negative)


def assert_not_negative(case: Case) -> None:
    losses = sample_losses(backend_of("python"), case.plan(), *draw(case, 50, seed=9))
    # Guarded rows sum to more than 1, and 1e-15 is what the divergence of rows of 3 numbers may be off.
    guarded = "add" in case.options.values() or (case.loss == "kl_divergence" and "eps" in case.options)
    assert (losses >= (-0.3 if guarded else -1e-15 if case.loss == "kl_divergence" else 0.0)).all()


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
