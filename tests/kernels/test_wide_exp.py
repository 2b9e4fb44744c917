"""Exponentials to some 96 bits, and logarithms of quotients by them: against mpmath, however near both are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

from lossctl_kernels import wide_exp
from lossctl_kernels.scalar import LN2_HIGH
from tests.kernels.scalar_reference import Array
from tests.kernels.test_scalar import call_block, compiled, worst

NAN, INF = math.nan, math.inf
RUNS = pytest.mark.parametrize("run", ["compiled", "interpreted"])


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), mpmath.workdps(80):
        yield


def run_of(run: str, function: Any, *arguments: Array) -> Array:
    """A scalar function over arrays; what is compiled takes two."""
    if run == "interpreted":
        return np.asarray(function(*arguments))
    return call_block(compiled(function), *arguments)


def exponent(x: float) -> float:
    return wide_exp.wide_exp(x)[0]


def leading(x: float) -> float:
    return wide_exp.wide_exp(x)[1]


def trailing(x: float) -> float:
    return wide_exp.wide_exp(x)[2]


PARTS = (exponent, leading, trailing)


def exponents(seed: int) -> Array:
    random = np.random.default_rng(seed)
    halfway = 0.5 * math.log(2.0) * np.arange(-9.0, 10.0)
    ends = [0.0, 1e-300, -1e-9, 709.0, -745.0, 1e4, -1e4]
    return np.concatenate([random.uniform(-1.0, 1.0, 400), random.uniform(-740.0, 705.0, 400), halfway, ends])


@RUNS
def test_all_three_parts_together_are_the_exponential(run: str) -> None:
    x = exponents(3)
    k, high, low = (run_of(run, part, x).tolist() for part in PARTS)
    for a, b, c, power in zip(k, high, low, x.tolist(), strict=True):
        exact = mpmath.exp(power)
        assert abs(mpmath.ldexp(mpmath.mpf(b) + mpmath.mpf(c), int(a)) - exact) <= mpmath.ldexp(exact, -95)
        assert 0.7 <= b <= 1.4200000000000002


def log_over_exp(a: Any, x: Any) -> Any:
    k, s, rest = wide_exp.log_over_exp(a, x)
    return k * LN2_HIGH + (2.0 * s + rest)


@RUNS
@pytest.mark.parametrize("distance", [1e-15, 1e-13, 1e-11, -1e-9, 1e-5, 0.2, -0.3, 0.5, -0.9, 1e10, 1e100])
def test_logarithms_over_exponentials_are_exact_at_every_distance(distance: float, run: str) -> None:
    x = exponents(5)
    x = x[(x > -700.0) & (x < 470.0)]
    a = np.array([float(mpmath.exp(value) * (1.0 + mpmath.mpf(distance))) for value in x.tolist()])
    exact = [mpmath.log(mpmath.mpf(b)) - mpmath.mpf(y) for b, y in zip(a.tolist(), x.tolist(), strict=True)]
    found = run_of(run, log_over_exp, a, x)
    assert worst([found], exact) <= (100.0 if distance == 1e-15 else 6.0)


@RUNS
def test_logarithms_over_exponentials_at_the_ends(run: str) -> None:
    cases = [(1.0, 1e5, -1e5), (1.0, -1e300, 1e300), (2.0, INF, -INF), (2.0, -INF, INF), (2.0, NAN, NAN)]
    a, x, expected = np.repeat(np.array(cases), 33, axis=0).T.copy()
    np.testing.assert_allclose(run_of(run, log_over_exp, a, x), expected, rtol=1e-15)
    smallest = run_of(run, log_over_exp, np.full(40, 2.0**-1074), np.full(40, -744.0))
    np.testing.assert_allclose(smallest, float(mpmath.mpf(744) - 1074 * mpmath.ln2), rtol=1e-15)
    assert np.isfinite(run_of(run, log_over_exp, np.array([0.0, INF] * 20), np.full(40, 3.0))).all()


@RUNS
def test_powers_of_two_go_beyond_those_of_one_number(run: str) -> None:
    x = np.repeat([3.0, 2.0**-1000, 2.0**1000, 1.5, 1.5, 1.5], 40)
    k = np.repeat([-1000.0, 2000.0, -2000.0, 5000.0, -5000.0, -1074.0], 40)
    expected = np.repeat([3.0 * 2.0**-1000, 2.0**1000, 2.0**-1000, INF, 0.0, 2.0**-1073], 40)
    np.testing.assert_array_equal(run_of(run, wide_exp.times_power_of_two, x, k), expected)
