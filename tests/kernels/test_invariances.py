"""What does not change a loss, or changes it by a known factor, whatever the data: rules, and examples that search."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array, Batch
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.spec import Scope
from tests.kernels.cases import Case, Floats, draw, each, for_each_loss, forms, parametrize
from tests.kernels.engines import backend_of, dataset_value, sample_gradients, sample_losses

LOGITS = {"input": "logit"}
DENSE = (TargetKind.SAME, TargetKind.DISTRIBUTION, TargetKind.INDEX)
FORMS = [case for case in forms() if LOSSES[case.loss].target_kind in DENSE and not LOSSES[case.loss].inputs]
searching = settings(max_examples=30)


def losses(case: Case, prediction: Array, target: Array) -> Floats:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)
    return sample_losses(backend_of("python"), plan, prediction, target)


def gradients(case: Case, prediction: Array, target: Array) -> Array:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)
    return sample_gradients(backend_of("python"), plan, prediction, target)


# ---- the order of classes


@for_each_loss([case for case in FORMS if LOSSES[case.loss].scope is Scope.ROW])
def test_the_order_of_the_values_of_a_row_does_not_matter(cases: list[Case]) -> None:
    order = np.array([3, 0, 4, 1, 2])

    def check(case: Case) -> None:
        prediction, target = draw(case, 30, 5)
        moved = np.argsort(order)[target] if case.plan(5).sparse else target[:, order]
        expected = losses(case, prediction, target)
        np.testing.assert_allclose(losses(case, prediction[:, order], moved), expected, rtol=1e-13, atol=1e-15)

    each(cases, check)


# ---- a constant added to every score of a row

SHIFTED = [
    *(Case(loss, LOGITS) for loss in ("cce", "scce", "kl_divergence", "categorical_focal", "brier_multiclass")),
    *(Case(loss) for loss in ("poly1", "ranking_softmax", "fenchel_young")),
    *(Case(loss) for loss in ("multiclass_hinge", "multiclass_perceptron", "multi_margin", "sparsemax")),
    Case("gce", {"q": 0.7, **LOGITS}),
    Case("fenchel_young", {"max_fun": "max"}),
]


@parametrize(SHIFTED)
def test_only_differences_of_scores_matter(case: Case) -> None:
    prediction, target = draw(case, 40, 4)
    expected, slopes = losses(case, prediction, target), gradients(case, prediction, target)
    for shift in (-8.0, 0.375, 1024.0):
        rounded = np.round(prediction * 2.0**30) / 2.0**30  # so that no digits are lost where the shift is added
        near = losses(case, rounded, target)
        np.testing.assert_allclose(near, expected, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(losses(case, rounded + shift, target), near, rtol=1e-13, atol=1e-12)
    np.testing.assert_allclose(slopes.sum(axis=1), 0.0, atol=1e-14)


# ---- predictions and targets times a factor: the loss is multiplied by a power of it

DEGREES: list[tuple[Case, float]] = [
    *((Case(loss), 2.0) for loss in ("mse", "half_mse")),
    *((Case(loss), 1.0) for loss in ("mae", "quantile", "poisson_deviance", "generalized_kl")),
    *((Case(loss), 0.0) for loss in ("mape", "smape", "gamma_deviance", "cosine_similarity", "cosine_distance")),
    *((Case("tweedie_deviance", {"power": power}), 2.0 - power) for power in (1.5, 1.0, 2.0, 3.0, 1.0 + 1e-6)),
    *((Case("rmse"), degree) for degree in (1.0,)),
    *((Case(loss), 0.0) for loss in ("wape", "cosine_global")),
    (Case("max_error"), 1.0),
]


@pytest.mark.parametrize(("case", "degree"), DEGREES, ids=[str(case) for case, _ in DEGREES])
def test_losses_that_are_homogeneous(case: Case, degree: float) -> None:
    pooled = LOSSES[case.loss].scope is Scope.DATASET
    prediction, target = draw(case, 40, 1 if pooled else 3)
    for factor in (2.0**-20, 3.0, 1e5):
        scaled, goal = prediction * factor, target * factor
        if pooled:
            engine, plan = backend_of("python"), case.plan(1)
            found = dataset_value(engine, plan, Batch(scaled, goal))
            expected = dataset_value(engine, plan, Batch(prediction, target))
            assert found == pytest.approx(expected * factor**degree, rel=1e-13)
        else:
            expected_rows = losses(case, prediction, target) * factor**degree
            # Deviances near 0 are of nearly equal numbers, which round apart when they are scaled.
            np.testing.assert_allclose(
                losses(case, scaled, goal), expected_rows, rtol=1e-11, atol=1e-14 * factor**degree
            )


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "log_cosh", "pseudo_huber", "smooth_l1", "quantile"])
def test_only_errors_matter_to_a_regression(loss: str) -> None:
    prediction, target = (np.round(array * 2.0**20) / 2.0**20 for array in draw(Case(loss), 40, 1))
    np.testing.assert_array_equal(
        losses(Case(loss), prediction + 512.0, target + 512.0), losses(Case(loss), prediction, target)
    )


@pytest.mark.parametrize(
    "loss", ["mse", "mae", "huber", "log_cosh", "pseudo_huber", "smooth_l1", "epsilon_insensitive"]
)
def test_both_directions_of_an_error_cost_the_same(loss: str) -> None:
    prediction, target = draw(Case(loss), 40, 1)
    np.testing.assert_array_equal(losses(Case(loss), target, prediction), losses(Case(loss), prediction, target))


# ---- limits


@pytest.mark.parametrize("near", [1.0, 2.0])
@pytest.mark.parametrize("distance", [1e-6, -1e-6, 1e-9, 1e-12])
def test_deviances_have_no_seam_at_poisson_and_gamma(near: float, distance: float) -> None:
    if near + distance < 1.0:
        return
    mean, target = draw(Case("gamma_deviance"), 40, 1)
    at = losses(Case("tweedie_deviance", {"power": near}), mean, target)
    beside = losses(Case("tweedie_deviance", {"power": near + distance}), mean, target)
    np.testing.assert_allclose(beside, at, rtol=10.0 * abs(distance))
    named = losses(Case("poisson_deviance" if near == 1.0 else "gamma_deviance"), mean, target)
    np.testing.assert_allclose(at, named, rtol=1e-12)


def test_means_over_data_sets_are_roots_and_squares_of_each_other() -> None:
    engine = backend_of("python")
    for root, square in (("rmse", "mse"), ("rmsle", "msle")):
        prediction, target = draw(Case(root), 50, 1)
        mean = math.fsum(losses(Case(square), prediction, target)) / 50
        found = dataset_value(engine, Case(root).plan(1), Batch(prediction, target))
        assert found**2 == pytest.approx(mean, rel=1e-14)


# ---- searching for what breaks a rule

reals = st.floats(-1e6, 1e6, allow_subnormal=False)
scores = st.floats(-300.0, 300.0)
rows_of_scores = np_st.arrays(np.float64, (3, 4), elements=scores)
CONVEX = [
    Case("bce", LOGITS), Case("soft_margin"), Case("hinge"), Case("squared_hinge"), Case("exponential"),
    Case("binary_sparsemax"), Case("modified_huber"), Case("perceptron"), Case("mse"), Case("mae"), Case("huber"),
    Case("log_cosh"), Case("pseudo_huber"), Case("quantile"), Case("epsilon_insensitive"), Case("poisson_nll"),
]  # fmt: skip
CONVEX_ROWS = [
    Case("cce", LOGITS), Case("scce", LOGITS), Case("multi_margin"), Case("multiclass_hinge"),
    Case("multiclass_perceptron"), Case("multilabel_soft_margin"), Case("fenchel_young"), Case("sparsemax"),
]  # fmt: skip


def assert_convex(case: Case, one: Array, other: Array, target: Array) -> None:
    """The middle of a chord is above the loss between its ends, up to the rounding of the largest of the three."""
    ends = losses(case, one, target), losses(case, other, target)
    middle = losses(case, 0.5 * one + 0.5 * other, target)
    size = 1.0 + np.maximum(np.abs(ends[0]), np.abs(ends[1])) + np.abs(one).max() + np.abs(other).max()
    assert (middle <= 0.5 * ends[0] + 0.5 * ends[1] + 1e-13 * size).all()


@parametrize(CONVEX)
@searching
@given(one=scores, other=scores, position=st.integers(0, 1))
def test_losses_of_a_score_are_convex(case: Case, one: float, other: float, position: int) -> None:
    labels = case.plan(1).settings.loss.target.labels or (0.0, 1.0)
    assert_convex(case, np.array([one]), np.array([other]), np.array([labels[position]]))


@parametrize(CONVEX_ROWS)
@searching
@given(one=rows_of_scores, other=rows_of_scores)
def test_losses_of_rows_of_scores_are_convex(case: Case, one: Floats, other: Floats) -> None:
    index = np.array([0, 3, 1])
    assert_convex(case, one, other, index if case.plan(4).sparse else np.eye(4)[index])


@searching
@given(score=scores, label=st.floats(0.0, 1.0))
def test_the_other_label_is_the_other_sign(score: float, label: float) -> None:
    for case in (Case("bce", LOGITS), Case("binary_focal", LOGITS), Case("brier", LOGITS)):
        one = losses(case, np.array([score]), np.array([label]))
        other = losses(case, np.array([-score]), np.array([1.0 - label]))
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)


@searching
@given(errors=np_st.arrays(np.float64, 5, elements=reals), delta=st.floats(1e-3, 1e3))
def test_robust_losses_lie_below_the_squared_and_the_absolute_error(errors: Floats, delta: float) -> None:
    zeros = np.zeros(5)
    huber = losses(Case("huber", {"delta": delta}), errors, zeros)
    squared, absolute = losses(Case("half_mse"), errors, zeros), losses(Case("mae"), errors, zeros)
    assert (huber <= squared).all()
    assert (huber <= delta * absolute).all()
    pseudo = losses(Case("pseudo_huber", {"delta": delta}), errors, zeros)
    assert (pseudo <= squared * (1.0 + 1e-15)).all()
    assert (losses(Case("log_cosh"), errors, zeros) <= absolute).all()


@searching
@given(logits=rows_of_scores)
def test_cross_entropy_of_any_logits_is_that_of_their_softmax(logits: Floats) -> None:
    """Down to the probabilities that are still numbers, and never negative."""
    index = np.array([0, 3, 1])
    found = losses(Case("scce", LOGITS), logits, index)
    assert (found >= 0.0).all()
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    possible = shares[np.arange(3), index] > 1e-200
    expected = -np.log(shares[np.arange(3), index][possible])
    np.testing.assert_allclose(found[possible], expected, rtol=1e-12, atol=1e-15)
    slopes = gradients(Case("scce", LOGITS), logits, index)
    np.testing.assert_allclose(slopes, shares - np.eye(4)[index], rtol=1e-12, atol=1e-15)


@searching
@given(p=np_st.arrays(np.float64, (3, 4), elements=st.floats(1e-6, 1.0)))
def test_a_row_has_no_divergence_from_itself(p: Floats) -> None:
    rows = p / p.sum(axis=1, keepdims=True)
    for loss in ("kl_divergence", "generalized_kl", "js_divergence"):
        assert (losses(Case(loss), rows, rows) == 0.0).all()
    moved = np.roll(rows, 1, axis=1)
    assert (losses(Case("js_divergence"), moved, rows) <= math.log(2.0) * (1.0 + 1e-15)).all()


@searching
@given(overlap=np_st.arrays(np.float64, (2, 4), elements=st.floats(0.0, 1.0)), smooth=st.floats(0.0, 2.0))
def test_overlaps_lie_between_0_and_1(overlap: Floats, smooth: float) -> None:
    prediction, target = overlap[:1], np.round(overlap[1:])
    for loss in ("dice", "tversky"):
        (found,) = losses(Case(loss, {"scope": "sample", "smooth": smooth}), prediction, target)
        assert -1e-15 <= found <= 1.0


# ---- the helper, which must be able to fail


def test_what_is_not_convex_is_seen() -> None:
    with pytest.raises(AssertionError):
        assert_convex(Case("brier", LOGITS), np.array([2.0]), np.array([10.0]), np.array([0.0]))
