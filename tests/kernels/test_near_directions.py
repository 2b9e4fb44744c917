"""Cosines of rows that are nearly parallel, where all that matters is what one row is besides a multiple of the other.

Against mpmath, with as many digits as needed.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from lossctl_kernels.batch import Array
from tests.kernels import reference
from tests.kernels.cases import Case, each
from tests.kernels.engines import (
    assert_close,
    backend_of,
    backends,
    batch_of,
    dataset_gradients,
    flattened,
    sample_gradients,
    sample_losses,
)

RTOL, GRADIENT_RTOL = 1e-13, 1e-11
DIGITS = 120
engines = pytest.mark.parametrize("backend", backends())
widths = pytest.mark.parametrize("width", [2, 40])
dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])

ANGLES = (0.3, 1e-4, 1e-7, 1e-10, 1e-13)
AS_TORCH = {"eps": 1e-12, "eps_mode": "sq_add"}
ROWWISE = [Case("cosine_distance"), Case("cosine_similarity")]
EMBEDDINGS = [Case("cosine_embedding"), Case("cosine_embedding", AS_TORCH)]


def near_rows(width: int, dtype: str = "float64") -> tuple[Array, Array]:
    """Rows at each angle to about a third of themselves, then to the opposite, of sizes that are far apart."""
    random = np.random.default_rng(5)
    rows = random.normal(0.0, 1.0, (2 * len(ANGLES), width))
    aside = random.normal(0.0, 1.0, rows.shape) * np.tile(ANGLES, 2)[:, None]
    others = np.repeat([0.37, -0.37], len(ANGLES))[:, None] * (rows + aside)
    return (rows * 1e-3).astype(dtype), (others * 1e4).astype(dtype)


@engines
@widths
@dtypes
def test_distances_of_nearly_parallel_rows_keep_their_digits(dtype: str, width: int, backend: str) -> None:
    prediction, target = near_rows(width, dtype)
    found = sample_losses(backend_of(backend), Case("cosine_distance").plan(width, dtype), prediction, target)
    assert_close(found, reference.losses("cosine_distance", {}, prediction, target, DIGITS), RTOL)


@engines
@pytest.mark.parametrize("loss", ["cosine_distance", "cosine_embedding"])
@pytest.mark.parametrize("width", [2, 3, 40])
def test_distances_of_rows_that_differ_in_their_last_bit_keep_their_digits(width: int, loss: str, backend: str) -> None:
    """There rounding the multiple leaves more in the residual than there is besides the rows' direction."""
    prediction = np.random.default_rng(6).normal(0.0, 1.0, (400 // width, width))
    more = {"sign": np.ones(len(prediction))} if loss == "cosine_embedding" else {}
    for target in (np.nextafter(prediction, 9.0), 3.0 * prediction, 0.3 * prediction):
        exact = reference.losses(loss, {}, prediction, target, DIGITS, **more)
        found = sample_losses(backend_of(backend), Case(loss).plan(width), prediction, target, **more)
        # Some multiples are exact, and their distance is 0: the reference has that to its own digits.
        assert_close(found, exact, RTOL, atol=1e-100)


@engines
def test_rows_of_one_direction_have_no_distance_and_no_slope(backend: str) -> None:
    prediction = np.random.default_rng(7).normal(0.0, 1.0, (8, 5))
    engine: Any = backend_of(backend)
    for target in (prediction, 0.25 * prediction):
        np.testing.assert_array_equal(sample_losses(engine, Case("cosine_distance").plan(5), prediction, target), 0.0)
        for case in ROWWISE:
            np.testing.assert_array_equal(sample_gradients(engine, case.plan(5), prediction, target), 0.0)


@engines
def test_rows_of_one_number_agree_or_are_opposite(backend: str) -> None:
    prediction, target = np.random.default_rng(8).normal(0.0, 1.0, (2, 300, 1))
    found = sample_losses(backend_of(backend), Case("cosine_distance").plan(1), prediction, target)
    assert set(found) == {0.0, 2.0}


@engines
@widths
def test_slopes_of_nearly_parallel_rows_keep_their_digits(width: int, backend: str) -> None:
    prediction, target = near_rows(width)

    def check(case: Case) -> None:
        exact = reference.gradients(case.loss, case.options, prediction, target, DIGITS)
        found = sample_gradients(backend_of(backend), case.plan(width), prediction, target)
        assert_close(found, [slope for row in exact for slope in row], GRADIENT_RTOL)

    each(ROWWISE, check)


@engines
@widths
@dtypes
def test_rows_that_should_align_keep_their_digits(dtype: str, width: int, backend: str) -> None:
    prediction, target = near_rows(width, dtype)
    sign = np.ones(len(prediction), dtype)

    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, prediction, target, DIGITS, sign=sign)
        found = sample_losses(backend_of(backend), case.plan(width, dtype), prediction, target, sign=sign)
        assert_close(found, exact, RTOL)

    each(EMBEDDINGS, check)


@engines
@pytest.mark.parametrize("of", ["prediction", "target"])
def test_slopes_of_rows_that_should_align_keep_their_digits(of: str, backend: str) -> None:
    prediction, target = near_rows(3)
    sign = np.ones(len(prediction))

    def check(case: Case) -> None:
        sides = (prediction, target) if of == "prediction" else (target, prediction)
        # The loss is the same with the sides exchanged.
        with mpmath.workdps(DIGITS):
            exact = reference.gradients_of("target", case.loss, case.options, sides[1], sides[0], DIGITS, sign=sign)
        found = sample_gradients(backend_of(backend), case.plan(3), prediction, target, of, sign=sign)
        assert_close(found, [slope for row in exact for slope in row], GRADIENT_RTOL)

    each(EMBEDDINGS, check)


@engines
@pytest.mark.parametrize("of", ["prediction", "target"])
@pytest.mark.parametrize("eps", [1e-12, 1.0])
def test_slopes_of_rows_far_below_the_root_of_what_is_added_are_not_lost(eps: float, of: str, backend: str) -> None:
    """Those of cosines on either side of 0 as well, though these are too small for numbers."""
    random = np.random.default_rng(12)
    prediction, target = random.normal(0.0, 1e-200, (2, 8, 3))
    case = Case("cosine_embedding", {"eps": eps, "eps_mode": "sq_add"})
    dots = np.sum(prediction * 1e200 * target * 1e200, axis=1)
    assert {-1.0, 1.0} == set(np.sign(dots))
    other = target if of == "prediction" else prediction
    for sign in (1.0, -1.0):
        found = sample_gradients(
            backend_of(backend), case.plan(3), prediction, target, of, sign=np.full(len(prediction), sign)
        )
        # Next to eps the squares are nothing: the cosine is the product of the rows over eps.
        slopes = -np.ones(8) if sign > 0.0 else (dots > 0.0) * 1.0
        np.testing.assert_allclose(found, slopes[:, None] * other / eps, rtol=RTOL, atol=1e-323)


APART = [
    Case("cosine_embedding", {**options, "margin": margin}) for options in ({}, AS_TORCH) for margin in (-1.0, 1.0)
]


@engines
@widths
def test_rows_that_should_not_align_keep_their_digits_next_to_the_margin(width: int, backend: str) -> None:
    prediction, target = near_rows(width)
    sign = -np.ones(len(prediction))

    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, prediction, target, DIGITS, sign=sign)
        found = sample_losses(backend_of(backend), case.plan(width), prediction, target, sign=sign)
        assert_close(found, exact, RTOL)

    each(APART, check)


@engines
@pytest.mark.parametrize("of", ["prediction", "target"])
def test_slopes_of_rows_that_should_not_align_keep_their_digits_next_to_the_margin(of: str, backend: str) -> None:
    prediction, target = near_rows(3)
    sign = -np.ones(len(prediction))

    def check(case: Case) -> None:
        sides = (prediction, target) if of == "prediction" else (target, prediction)
        # The loss is the same with the sides exchanged.
        with mpmath.workdps(DIGITS):
            exact = reference.gradients_of("target", case.loss, case.options, sides[1], sides[0], DIGITS, sign=sign)
        found = sample_gradients(backend_of(backend), case.plan(3), prediction, target, of, sign=sign)
        assert_close(found, [slope for row in exact for slope in row], GRADIENT_RTOL)

    each(APART, check)


TRIPLETS = [Case("triplet_margin", {"distance": "cosine", "margin": 0.0, "swap": swap}) for swap in (False, True)]


def near_negatives(anchors: Array) -> Array:
    """Rows at a third of the angle of `near_rows` and less, so that the loss is what two small distances differ by."""
    aside = np.random.default_rng(9).normal(0.0, 0.3, anchors.shape) * np.tile(ANGLES, 2)[:, None]
    return np.asarray(1e-7 * anchors * (1.0 + aside))


@engines
@widths
def test_triplets_of_nearly_parallel_rows_keep_their_digits(width: int, backend: str) -> None:
    anchors, positives = near_rows(width)
    negatives = near_negatives(anchors)

    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, anchors, positives, DIGITS, negative=negatives)
        found = sample_losses(backend_of(backend), case.plan(width), anchors, positives, negative=negatives)
        assert_close(found, exact, RTOL)

    each(TRIPLETS, check)


@engines
@pytest.mark.parametrize("of", ["target", "negative"])
def test_slopes_of_triplets_of_nearly_parallel_rows_keep_their_digits(of: str, backend: str) -> None:
    anchors, positives = near_rows(3)
    negatives = near_negatives(anchors)

    def check(case: Case) -> None:
        exact = reference.gradients_of(of, case.loss, case.options, anchors, positives, DIGITS, negative=negatives)
        found = sample_gradients(backend_of(backend), case.plan(3), anchors, positives, of, negative=negatives)
        assert_close(found, flattened(exact), GRADIENT_RTOL)

    each(TRIPLETS, check)


@engines
def test_slopes_by_the_anchor_of_nearly_parallel_rows_keep_their_digits(backend: str) -> None:
    """They are those of the cosine with the negative less those of the cosine with the positive."""
    anchors, positives = near_rows(3)
    negatives = near_negatives(anchors)
    with mpmath.workdps(DIGITS):
        sides = [
            flattened(reference.gradients("cosine_similarity", {"sign": 1}, anchors, other, DIGITS))
            for other in (negatives, positives)
        ]
        exact = [far - near for far, near in zip(*sides, strict=True)]
    found = sample_gradients(backend_of(backend), TRIPLETS[0].plan(3), anchors, positives, negative=negatives)
    assert_close(found, exact, GRADIENT_RTOL)


@engines
@pytest.mark.parametrize("distance", [1e-3, 1e-8, 1e-13])
def test_slopes_of_nearly_equal_columns_keep_their_digits(distance: float, backend: str) -> None:
    random = np.random.default_rng(10)
    engine: Any = backend_of(backend)
    plan = Case("cosine_global").plan(1)
    for scale in (1.0, 1e-250, 1e250):
        target = random.normal(0.0, scale, 30)
        prediction = target * (1.0 + distance * random.normal(0.0, 1.0, 30))
        exact = reference.dataset_gradient("cosine_global", {}, prediction, target, digits=DIGITS)
        # What rounding leaves is a share of the largest slopes: the smaller ones have fewer digits.
        size = float(max(abs(slope) for slope in exact))
        found = dataset_gradients(engine, plan, batch_of(plan, prediction, target))
        assert_close(found, exact, GRADIENT_RTOL, atol=1e-13 * size)


@engines
@pytest.mark.parametrize("loss", ["cosine_similarity", "cosine_distance"])
def test_slopes_of_rows_far_below_the_floor_are_not_lost(loss: str, backend: str) -> None:
    random = np.random.default_rng(11)
    prediction, target = random.normal(0.0, 1e-200, (2, 4, 3))
    case = Case(loss, {"eps": 0.5})
    exact = reference.gradients(loss, case.options, prediction, target, digits=700)
    assert_close(sample_gradients(backend_of(backend), case.plan(3), prediction, target), flattened(exact), RTOL)


@engines
def test_a_slope_that_overflows_does_not_count_where_the_loss_is_flat(backend: str) -> None:
    prediction, target = np.array([[3e-320, 1e-320]]), np.array([[-1e-322, -2e-322]])
    plan, sign = Case("cosine_embedding").plan(2), -np.ones(1)
    for of in ("prediction", "target"):
        found = sample_gradients(backend_of(backend), plan, prediction, target, of, sign=sign)
        np.testing.assert_array_equal(found, 0.0)


@engines
def test_the_torch_preset_has_the_slope_of_a_norm_that_is_held_as_if_it_were_not(backend: str) -> None:
    """As cosine_similarity of PyTorch 2.13, which hides the floor from its gradient; its numbers."""
    prediction, target = np.array([[0.3, 0.4], [3.0, 4.0], [0.0, 0.0]]), np.array([[1.0, 2.0]] * 3)
    found = sample_gradients(
        backend_of(backend), Case("cosine_similarity", {"preset": "torch", "eps": 1.0}).plan(2), prediction, target
    )
    expected = [
        *(0.1520526224699857, 0.5008792269599529, -0.028621670111997302, 0.021466252583997952),
        *(0.4472135954999579, 0.8944271909999159),
    ]
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-14)
