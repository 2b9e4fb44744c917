"""Projections onto the simplex where little is left of their loss, against mpmath."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels import reference
from tests.kernels.cases import Case
from tests.kernels.engines import assert_close, backend_of, backends, flattened, sample_gradients, sample_losses

RTOL, DIGITS = 1e-14, 120
CASE = Case("fenchel_young", {"max_fun": "sparsemax"})
engines = pytest.mark.parametrize("backend", backends())


def nearly_one_hot(distance: float) -> np.ndarray:
    """Rows that sum to 1 up to rounding, of which the first class has all but `distance`."""
    random = np.random.default_rng(2)
    rows = distance * random.uniform(0.1, 1.0, (6, 5))
    rows[:, 0] = 1.0
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


@engines
@pytest.mark.parametrize("distance", [0.3, 1e-4, 1e-9, 1e-13])
@pytest.mark.parametrize("shift", [0.0, 1e6, -1e9])
def test_soft_targets_that_are_nearly_one_hot(shift: float, distance: float, backend: str) -> None:
    target = nearly_one_hot(distance)
    # The largest class has nearly all, all, or far more than the others leave it.
    for lead in (1.0 - 3e-10, 1.0, 5.0):
        scores = np.random.default_rng(3).uniform(-1e-10, 0.0, (6, 5))
        scores[:, 0] = lead
        scores += shift
        exact = reference.losses(CASE.loss, CASE.options, scores, target, DIGITS)
        assert_close(sample_losses(backend_of(backend), CASE.plan(5), scores, target), exact, RTOL)


@engines
def test_slopes_next_to_the_target(backend: str) -> None:
    target = nearly_one_hot(1e-9)
    scores = np.random.default_rng(3).uniform(-1e-10, 0.0, (6, 5))
    scores[:, 0] = 1.0 - 3e-10
    exact = reference.gradients(CASE.loss, CASE.options, scores, target, DIGITS)
    assert_close(sample_gradients(backend_of(backend), CASE.plan(5), scores, target), flattened(exact), RTOL)
