"""What functions take, against `inspect.signature`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from lossctl_kernels.arguments import REQUIRED, argument_names, defaults_of


def nothing() -> None: ...
def places(first: float, second: float = 2.0, third: float | None = None) -> None: ...
def by_name(first: float, *, second: float, third: float = 3.0) -> None: ...
def before(first: float, second: float = 2.0, /, third: float = 3.0) -> None: ...
def any_number(first: float, *others: float, **more: float) -> None: ...


def with_locals(first: float, second: float = 2.0) -> float:
    total = first + second
    return total


@functools.wraps(places)
def wrapped(*values: float) -> None: ...


class Callable_:
    def __call__(self, first: float, second: float = 2.0) -> None: ...

    def method(self, first: float = 1.0) -> None: ...


KINDS: list[Callable[..., Any]] = [
    nothing,
    places,
    by_name,
    before,
    any_number,
    with_locals,
    wrapped,
    functools.partial(places, 1.0),
    Callable_(),
    Callable_().method,
    lambda first, second=2.0: first,
    abs,
]


@pytest.mark.parametrize("function", KINDS, ids=lambda each: getattr(each, "__name__", type(each).__name__))
def test_names_and_defaults_are_those_of_the_signature(function: Callable[..., Any]) -> None:
    expected = {
        name: REQUIRED if each.default is each.empty else each.default
        for name, each in inspect.signature(function).parameters.items()
    }
    assert defaults_of(function) == expected
    assert argument_names(function) == tuple(expected)
    assert list(defaults_of(function)) == list(expected)
