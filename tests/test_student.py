"""Quantiles of Student's t against the incomplete beta function of mpmath."""

from __future__ import annotations

import mpmath
import pytest

from lossctl.student import student_quantile


@pytest.mark.parametrize("degrees", [1, 2, 3, 7.5, 30, 1000, 9999, 10**4, 10**6])
@pytest.mark.parametrize("probability", [0.5001, 0.75, 0.9, 0.975, 0.995, 0.99999])
def test_so_much_lies_above_it(probability: float, degrees: float) -> None:
    with mpmath.workdps(30):
        found = mpmath.mpf(student_quantile(probability, degrees))
        half = mpmath.mpf(degrees) / 2
        below = mpmath.betainc(half, 0.5, 0, degrees / (degrees + found**2), regularized=True) / 2
        density = mpmath.gamma(half + 0.5) / mpmath.gamma(half) / mpmath.sqrt(degrees * mpmath.pi)
        density *= (1 + found**2 / degrees) ** (-half - 0.5)
        error = (below - (1 - mpmath.mpf(probability))) / density  # of the quantile
        assert abs(error) < 1e-9 * found


def test_half_lies_below_zero() -> None:
    assert student_quantile(0.5, 3) == 0.0
