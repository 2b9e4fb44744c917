"""What a function calls, found without calling it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from lossctl_kernels import scalar
from lossctl_kernels.reachable import reachable


def leaf(x: float) -> float:
    return math.sqrt(x) + float(np.exp(x))


def middle(x: float) -> float:
    return leaf(x) + 1.0


def recursive(x: float) -> float:
    return recursive(x - 1.0) if x > 0.0 else leaf(x)


def enclosing(function: Callable[[float], float], number: float) -> Callable[[float], float]:
    def closure(x: float) -> float:
        return middle(x) + function(x) * number

    return closure


def test_callees_come_first_and_the_function_last() -> None:
    assert reachable(middle) == [leaf, middle]


def test_closures_are_entered_and_each_function_is_listed_once() -> None:
    outer = enclosing(leaf, 2.0)
    assert reachable(outer) == [leaf, middle, outer]


def test_recursion_ends() -> None:
    assert reachable(recursive) == [leaf, recursive]


def test_only_plain_functions_are_listed() -> None:
    assert reachable(leaf) == [leaf]
    assert reachable(math.sqrt) == []


def test_primitives_under_elementary_functions_are_found() -> None:
    found = reachable(scalar.softplus)
    assert found[-1] is scalar.softplus
    assert {scalar.where, scalar.bits_of, scalar.float_of} <= set(found)
    assert found.index(scalar.where) < found.index(scalar.exp_pair)


def through_a_module(x: float) -> float:
    return scalar.square(x) + float(np.exp(x))


def test_functions_of_modules_are_found() -> None:
    found = reachable(through_a_module)
    assert scalar.square in found
    assert found[-1] is through_a_module
