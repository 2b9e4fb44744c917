"""What a function computes, as text: equal for equal functions, and a refusal for what cannot be compiled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lossctl_kernels.rehearsal import rehearse
from lossctl_kernels.scalar import exp, where
from lossctl_kernels.trace import Branching, NotANumber


def with_constant(number: float) -> Callable[..., Any]:
    def function(prediction: float, target: float) -> float:
        return where(prediction > target, exp(prediction), number * target)

    return function


def test_equal_functions_have_equal_texts_and_others_do_not() -> None:
    assert rehearse(with_constant(2.0)) == rehearse(with_constant(2.0))
    assert rehearse(with_constant(2.0)) != rehearse(with_constant(2.0 + 2.0**-51))
    assert rehearse(lambda a, b: a) != rehearse(lambda a, b: b)


@pytest.mark.parametrize("result", [1, 2.5, True, np.float64(3.0)])
def test_constants_are_numbers(result: Any) -> None:
    assert rehearse(lambda: result)


def test_a_truth_is_a_number() -> None:
    assert rehearse(lambda a: a > 1.0)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda a: 1.0 if a > 0.0 else 2.0, Branching),
        (lambda a: max(a, 1.0), Branching),
        (lambda a: a > 0.0 and a < 1.0, Branching),
        (lambda a: math.log(a + 1.0), NotANumber),
        (lambda a: float(a + 1.0), NotANumber),
        (lambda a: [1, 2][a], NotANumber),
        (lambda a: np.array([a, a]).sum(), NotANumber),
        (lambda a: None, TypeError),
        (lambda a: "1", TypeError),
        (lambda a: (a, a), TypeError),
        (lambda a: 1j, TypeError),
        (lambda a: np.positive(a).view(np.int64), TypeError),
        (lambda a: a % 2, TypeError),
    ],
)
def test_what_cannot_be_compiled(function: Callable[..., Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        rehearse(function)


def test_too_many_arguments() -> None:
    with pytest.raises(IndexError):
        rehearse(lambda a, b, c, d, e, f, g, h, i, j, k, m, n, o, p, q, r, s, t, u: a)
