"""Losses of numbers whose sums or differences are beyond what float64 holds, though the loss is not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.kernels import reference
from tests.kernels.cases import Case, each
from tests.kernels.engines import assert_close, backend_of, backends, sample_gradients, sample_losses

RTOL = 1e-14
engines = pytest.mark.parametrize("backend", backends())

PREDICTION = np.array([1.7e308, -1.5e308, 1e308, 1.2e308, 3e-310, 5.0])
TARGET = np.array([-1.7e308, 1.1e308, 1.5e308, 1.0, -2e-310, 1.7e308])
RATIOS = [Case("smape"), Case("smape", {"scale": 1.0, "eps": 0.5}), Case("mape"), Case("mape", {"eps": 1e307})]


@engines
def test_ratios_of_the_largest_numbers_do_not_overflow(backend: str) -> None:
    def check(case: Case) -> None:
        exact = reference.losses(case.loss, case.options, PREDICTION, TARGET, digits=700)
        assert_close(sample_losses(backend_of(backend), case.plan(1), PREDICTION, TARGET), exact, RTOL, atol=1e-320)

    each(RATIOS, check)


@engines
def test_slopes_of_ratios_of_the_largest_numbers_are_numbers(backend: str) -> None:
    prediction, target = PREDICTION[:4], TARGET[:4]

    def check(case: Case) -> None:
        exact = reference.gradients(case.loss, case.options, prediction, target, digits=2000)
        found = sample_gradients(backend_of(backend), case.plan(1), prediction, target)
        assert_close(found, [row[0] for row in exact], RTOL, atol=1e-320)

    each([case for case in RATIOS if "eps" not in case.options], check)


@engines
@pytest.mark.parametrize("q", [0.25, 1e-3])
def test_shares_of_the_largest_differences_do_not_overflow(q: float, backend: str) -> None:
    prediction, target = np.array([-1.7e308, -1.7e308, 5e-324]), np.array([1.7e308, 1e308, 1e-323])
    exact = reference.losses("quantile", {"q": q}, prediction, target, digits=700)
    found = sample_losses(backend_of(backend), Case("quantile", {"q": q}).plan(1), prediction, target)
    assert_close(found, exact, RTOL, atol=5e-324)
