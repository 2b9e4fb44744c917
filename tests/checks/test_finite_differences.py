"""Slopes by differences: right where there is one, on each side of a kink, and unknown where there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lossctl.checks.finite_differences import slopes

X = np.array([-100.0, -3.5, -0.25, 0.0, 1e-3, 0.5, 1.0, 2.75, 30.0, 700.0]).astype(np.float32).astype(np.float64)

SMOOTH: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "constant": (lambda x: 0.0 * x + 3.0, lambda x: 0.0 * x),
    "line": (lambda x: 2.5 * x - 1.0, lambda x: 0.0 * x + 2.5),
    "quartic": (lambda x: x**4 - x, lambda x: 4.0 * x**3 - 1.0),
    "exponential": (lambda x: np.exp(0.5 * x), lambda x: 0.5 * np.exp(0.5 * x)),
    "sine": (np.sin, np.cos),
    "narrow": (lambda x: 1.0 / (1.0 + 1e4 * x * x), lambda x: -2e4 * x / (1.0 + 1e4 * x * x) ** 2),
}


@pytest.mark.parametrize("name", list(SMOOTH))
def test_smooth_functions(name: str) -> None:
    function, derivative = SMOOTH[name]
    found = slopes(function, X, -np.inf, np.inf)
    for slope, error in (
        (found.central, found.central_error),
        (found.left, found.left_error),
        (found.right, found.right_error),
    ):
        off = np.abs(slope - derivative(X))
        assert np.all(off <= 10.0 * error + 1e-12 * np.abs(derivative(X)))
    size = np.maximum(np.abs(derivative(X)), np.abs(function(X)) * 1e-3)
    assert np.all(found.central_error <= 1e-7 * size + 1e-9)


def test_both_sides_of_a_kink() -> None:
    found = slopes(np.abs, np.array([0.0, 1.0]), -np.inf, np.inf)
    np.testing.assert_allclose(found.left, [-1.0, 1.0])
    np.testing.assert_allclose(found.right, [1.0, 1.0])
    assert np.all(found.left_error + found.right_error < 1e-9)


def test_a_jump_has_no_slope() -> None:
    found = slopes(lambda x: np.where(x >= 0.0, 1.0, 0.0), np.array([0.0]), -np.inf, np.inf)
    assert found.left_error[0] > 10.0
    assert found.right[0] == pytest.approx(0.0, abs=1e-9)
    assert found.central_error[0] > 10.0


def test_at_an_end_there_is_one_side_and_near_it_small_steps() -> None:
    seen = []

    def logarithm(x: Any) -> Any:
        seen.append(np.min(x))
        return np.log1p(x)

    at = np.array([0.0, 1e-6, 0.5])
    found = slopes(logarithm, at, 0.0, np.inf)
    assert min(seen) >= 0.0
    assert np.isinf(found.left_error[0])
    assert np.isinf(found.central_error[0])
    np.testing.assert_allclose(found.right, 1.0 / (1.0 + at), rtol=1e-7)
    np.testing.assert_allclose(found.central[1:], 1.0 / (1.0 + at[1:]), rtol=1e-7)


def test_where_the_value_is_infinite_nothing_is_known() -> None:
    found = slopes(lambda x: np.where(x > 0.0, np.log(np.abs(x)), -np.inf), np.array([0.0, 2.0]), -np.inf, np.inf)
    assert np.isinf(found.central_error[0])
    assert np.isinf(found.left_error[0])
    assert np.isinf(found.right_error[0])
    assert found.central[1] == pytest.approx(0.5)
