"""Slopes of overlaps of masks that are nearly the same, or hardly meet: either way the textbook formulas cancel."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl_kernels.batch import Array
from tests.kernels import reference
from tests.kernels.cases import Case, each
from tests.kernels.engines import assert_close, backend_of, backends, sample_gradients

GRADIENT_RTOL = 1e-12
engines = pytest.mark.parametrize("backend", backends())

CASES = [
    Case("dice", {"scope": "sample", "denominator": "squared", "smooth": 1e-3}),
    Case("dice", {"scope": "sample", "denominator": "squared", "eps": 1e-7}),
    Case("dice", {"scope": "sample", "smooth": 1.0}),
    Case("tversky", {"scope": "sample", "alpha": 0.9, "beta": 0.0}),
    Case("tversky", {"scope": "sample", "alpha": 1.0, "beta": 1.0}),
    Case("tversky", {"scope": "sample", "alpha": 0.7, "beta": 0.3, "focal_exponent": 1.5}),
]


def near_masks() -> tuple[Array, Array]:
    """Predictions next to masks, and so faint that they hardly meet them."""
    random = np.random.default_rng(4)
    target = np.tile([1.0, 0.0, 1.0, 0.0], (6, 1))
    off = random.uniform(0.1, 1.0, target.shape) * np.array([1e-3, 1e-6, 1e-9, 1e-12, 1.0, 1.0])[:, None]
    near = np.abs(target - off)
    near[4:] = np.where(target[4:] > 0.0, 1e-9, 0.9) * off[4:]
    return near, target


@engines
def test_slopes_of_overlaps_keep_their_digits(backend: str) -> None:
    prediction, target = near_masks()

    def check(case: Case) -> None:
        exact = reference.gradients(case.loss, case.options, prediction, target, digits=150)
        found = sample_gradients(backend_of(backend), case.plan(4), prediction, target)
        assert_close(found, [slope for row in exact for slope in row], GRADIENT_RTOL)

    each(CASES, check)


@engines
def test_slopes_of_squares_of_logits_keep_their_digits(backend: str) -> None:
    case = Case("dice", {"scope": "sample", "denominator": "squared", "smooth": 1e-3, "input": "logit"})
    target = np.tile([1.0, 0.0, 1.0], (5, 1))
    logits = (2.0 * target - 1.0) * np.array([[3.0], [12.0], [20.0], [35.0], [-9.0]]) + [0.1, 0.0, -0.2]
    exact = reference.gradients(case.loss, case.options, logits, target, digits=150)
    found = sample_gradients(backend_of(backend), case.plan(3), logits, target)
    assert_close(found, [slope for row in exact for slope in row], GRADIENT_RTOL)


@engines
def test_slopes_of_overlaps_of_the_faintest_masks_are_numbers(backend: str) -> None:
    """Where what is missed does not count, the whole is as faint as the prediction; some slopes are too large."""
    target = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    prediction = np.array([[1e-310, 2e-310, 1e-318], [3e-312, 1e-316, 0.0]])
    case = Case("tversky", {"scope": "sample", "alpha": 1.0, "beta": 0.0})
    exact = reference.gradients(case.loss, case.options, prediction, target, digits=1150)
    found = sample_gradients(backend_of(backend), case.plan(3), prediction, target)
    assert_close(found[target == 1.0], [exact[0][0], exact[0][1], exact[1][0], exact[1][2]], GRADIENT_RTOL)
    np.testing.assert_array_equal(found[target == 0.0], np.inf)


@engines
@pytest.mark.parametrize("form", ["prob", "logit"])
def test_slopes_of_squares_that_are_hardly_numbers_are_none_where_nothing_should_be_found(
    form: str, backend: str
) -> None:
    prediction, target = np.array([[1e-156, 3e-158, 2e-157]]), np.zeros((1, 3))
    case = Case("dice", {"scope": "sample", "denominator": "squared", "input": form})
    given = np.log(prediction) if form == "logit" else prediction
    np.testing.assert_array_equal(sample_gradients(backend_of(backend), case.plan(3), given, target), 0.0)
