"""Logarithms of shares and of quotients: accuracy against mpmath, near and far, and what comes of NaN and of zeros."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

from lossctl_kernels import shares
from lossctl_kernels.scalar import LN2_HIGH, log_of_positive
from tests.kernels.scalar_reference import REFERENCES, Array, arguments, every_binade, neighbours
from tests.kernels.test_scalar import call_block, compiled, same, worst

NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), mpmath.workdps(80):
        yield


def run_compiled(name: str, x: Array) -> Array:
    return call_block(compiled(getattr(shares, name)), x)


def run_interpreted(name: str, x: Array) -> Array:
    return np.asarray(getattr(shares, name)(x))


FORMS = [pytest.param(run_compiled, id="compiled"), pytest.param(run_interpreted, id="interpreted")]
LOGARITHMS: dict[str, tuple[Callable[[mpmath.mpf], mpmath.mpf], float, float]] = {
    "log_of_share": (mpmath.log, 2.0**1023, 1.0),
    "log_of_complement": (lambda x: mpmath.log1p(-x), 1.0 - 2.0**-53, 3.0),
    "log1p_of_share": (mpmath.log1p, 1.0, 2.0),
}
"""What they are, of 0 up to which number, and how many ulp they may be off."""


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LOGARITHMS)
def test_logarithms_of_shares_are_within_their_bound(name: str, form: Callable[..., Array]) -> None:
    exact, high, bound = LOGARITHMS[name]
    spread = np.concatenate([np.random.default_rng(6).uniform(0.0, 1.0, 2000), neighbours([math.sqrt(2.0) - 1.0])])
    x = np.concatenate([arguments("log1p", seed=5), spread, 1.0 - spread])
    x = x[(x > 0.0) & (x <= high)]
    assert worst([form(name, x)], [exact(mpmath.mpf(value)) for value in x.tolist()]) <= bound


SHARES: dict[str, list[tuple[float, float]]] = {
    "log_of_share": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (NAN, NAN)],
    "log_of_complement": [(0.0, 0.0), (1.0, -INF), (NAN, NAN)],
    "log1p_of_share": [(0.0, 0.0), (1.0, math.log(2.0)), (NAN, NAN)],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SHARES)
def test_logarithms_at_the_ends_of_the_shares(name: str, form: Callable[..., Array]) -> None:
    x, expected = np.array(SHARES[name]).T.copy()
    np.testing.assert_array_equal(form(name, np.repeat(x, 33)), np.repeat(expected, 33))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("run", ["compiled", "interpreted"])
def test_both_sigmoids_are_exact_in_their_tails(run: str, which: int) -> None:
    def one(x: float) -> float:
        return shares.sigmoids(x)[which]

    x = arguments("sigmoid", seed=8)
    found = call_block(compiled(one), x) if run == "compiled" else np.asarray(one(x))  # type: ignore[arg-type]
    sign = 1 if which == 0 else -1
    exact = [REFERENCES["sigmoid"](sign * mpmath.mpf(value)) for value in x.tolist()]
    assert worst([found], exact) <= 3.0
    assert same(one(np.array([INF, -INF, NAN, 0.0])), np.array([1.0, 0.0, NAN, 0.5])[[which, 1 - which, 2, 3]])  # type: ignore[arg-type]


def log_of_quotient(a: Any, b: Any) -> Any:
    k, s, rest = shares.log_of_quotient(a, b)
    return k * LN2_HIGH + (2.0 * s + rest)


@pytest.mark.parametrize("run", ["compiled", "interpreted"])
def test_logarithms_of_quotients_are_exact_at_every_size_and_distance(run: str) -> None:
    rng = np.random.default_rng(13)
    b = np.abs(every_binade(rng, 2))
    near = [np.abs(b * (1.0 + rng.choice([-1.0, 1.0], b.size) * d)) for d in (0.4, 0.3, 1e-3, 1e-12, 2.3e-16)]
    a = np.concatenate([*near, rng.permutation(b)])
    b = np.concatenate([b] * 6)
    keep = (a > 0.0) & np.isfinite(a)
    a, b = a[keep], b[keep]
    found = call_block(compiled(log_of_quotient), a, b) if run == "compiled" else log_of_quotient(a, b)
    exact = [mpmath.log(mpmath.mpf(x) / mpmath.mpf(y)) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert worst([np.asarray(found)], exact) <= 2.0
    k: Any = shares.log_of_quotient(a, b)[0]
    near_one = (a >= 0.75 * b) & (b >= 0.75 * a) & (b >= 2.0**-1022) & (a >= 2.0**-1022)
    assert np.all(k[near_one] == 0.0)


@pytest.mark.parametrize("run", ["compiled", "interpreted"])
def test_logarithms_of_quotients_are_finite_whatever_they_are_given(run: str) -> None:
    a, b = (side.ravel() for side in np.meshgrid(*[[0.0, -0.0, INF, -INF, NAN, 5e-324, -1.0, 1.0, 1e308]] * 2))
    found = call_block(compiled(log_of_quotient), a, b) if run == "compiled" else log_of_quotient(a, b)
    assert np.isfinite(found).all()
    assert np.isfinite(call_block(compiled(log_of_positive), a, a)).all()
