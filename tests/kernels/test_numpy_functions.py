"""NumPy's functions in a definition: compiled code computes what NumPy does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels.numpy_functions import FUNCTIONS, LARGEST_WHOLE_POWER, NoPower, whole_power
from lossctl_kernels.program import Program
from lossctl_kernels.recipes import Layout, Recipe
from lossctl_kernels.rehearsal import rehearse
from lossctl_kernels.trace import NotKnown
from tests.kernels import block_code

Function = Callable[[Any, Any], Any]

A = np.array([-2.5, -1.0, -0.25, 0.0, 1e-9, 0.5, 1.0, 3.0, 20.0, np.nan])
B = np.array([1.0, -1.0, 2.0, 0.0, -1e-9, 0.5, 3.0, -3.0, 1e-3, 1.0])

ONE = (np.absolute, np.exp, np.expm1, np.fabs, np.negative, np.sign, np.square, np.tanh)
COMPARISONS = (np.greater, np.greater_equal, np.less, np.less_equal)


def run(function: Function) -> NDArray[np.float64]:
    """`function` of A and B, compiled as a loss is."""
    program = Program("value", "a function of two", (), (), lambda a: function(a[0], a[1]))
    result, report = np.empty_like(A), np.zeros(9)
    bounds = np.array([-np.inf, np.inf, -np.inf, np.inf, 0.0, 0.0])
    fill = block_code.compiled(Recipe(Layout("flat", "float64", checked=False), program))
    fill(len(A), 1, A, B, None, None, bounds, None, result, report)
    return result


def agree(function: Function) -> None:
    with np.errstate(all="ignore"):
        expected = np.asarray(function(A, B), np.float64)
    np.testing.assert_allclose(run(function), expected, rtol=1e-15, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("ufunc", ONE, ids=lambda ufunc: ufunc.__name__)
def test_functions_of_one_number(ufunc: np.ufunc) -> None:
    agree(lambda a, b: ufunc(a) + 0.0 * b)


@pytest.mark.parametrize("ufunc", [np.log, np.log1p], ids=lambda ufunc: ufunc.__name__)
def test_logarithms(ufunc: np.ufunc) -> None:
    agree(lambda a, b: ufunc(np.absolute(a) + 0.5) + 0.0 * b)


@pytest.mark.parametrize("ufunc", COMPARISONS, ids=lambda ufunc: ufunc.__name__)
def test_comparisons_and_truths_as_factors(ufunc: np.ufunc) -> None:
    agree(lambda a, b: np.where(ufunc(a, b), 1.0, 2.0))
    agree(lambda a, b: ufunc(a, b) * b + 2.0 * ufunc(a, np.float64(0.5)))
    agree(lambda a, b: np.where(ufunc(np.float64(0.5), a), b, a))


def test_truths_combine() -> None:
    agree(
        lambda a, b: np.where(np.logical_and(a > 0.0, b > 0.0), 1.0, np.where(np.logical_or(a > b, b > 1.0), 2.0, 3.0))
    )


@pytest.mark.parametrize("exponent", [0, 1, 2, 3.0, 7, -1, -2])
def test_whole_powers(exponent: float) -> None:
    agree(lambda a, b: (a + 3.0) ** exponent + 0.0 * b)
    agree(lambda a, b: np.power(a + 3.0, exponent) + 0.0 * b)


def test_a_square_root_as_a_power() -> None:
    agree(lambda a, b: np.absolute(a) ** 0.5 + 0.0 * b)


@pytest.mark.parametrize("exponent", [2.5, 1e9, LARGEST_WHOLE_POWER + 1, np.inf, "2"])
def test_other_powers_are_refused(exponent: Any) -> None:
    with pytest.raises(NoPower):
        whole_power(2.0, exponent)
    with pytest.raises(NoPower):
        rehearse(lambda a: 2.0**a)


def test_every_function_is_tried_above() -> None:
    tried = {*ONE, *COMPARISONS, np.log, np.log1p, np.logical_and, np.logical_or, np.power}
    assert set(FUNCTIONS) == tried


@pytest.mark.parametrize("function", [np.sin, np.arctan, np.floor], ids=lambda ufunc: ufunc.__name__)
def test_what_has_no_counterpart_is_named(function: np.ufunc) -> None:
    with pytest.raises(NotKnown, match=function.__name__):
        rehearse(lambda a: function(a) + 1.0)
