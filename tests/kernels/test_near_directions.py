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
from tests.kernels.engines import assert_close, backend_of, backends, sample_gradients, sample_losses

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
def test_distances_of_rows_that_differ_in_their_last_bit_keep_their_digits(backend: str) -> None:
    prediction = np.random.default_rng(6).normal(0.0, 1.0, (6, 3))
    for target in (np.nextafter(prediction, 9.0), 3.0 * prediction):
        exact = reference.losses("cosine_distance", {}, prediction, target, DIGITS)
        assert_close(
            sample_losses(backend_of(backend), Case("cosine_distance").plan(3), prediction, target), exact, RTOL
        )


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
