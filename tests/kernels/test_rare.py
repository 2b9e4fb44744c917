"""Work that few numbers need, interpreted and compiled: the numbers are those of `where`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossctl_kernels.rare import rarely
from lossctl_kernels.scalar import exp, where
from tests.kernels.test_scalar import call_block, compiled

X = np.linspace(-2.0, 2.0, 101)


def inner(x: Any, y: Any) -> Any:
    return rarely(x > 1.5, exp, x + y, x)


def outer(x: Any, y: Any) -> Any:
    return rarely(x > 1.0, inner, 0.0 * x, x, y)


def plain(x: Any, y: Any) -> Any:
    return where(x > 1.0, where(x > 1.5, exp(x), x + y), 0.0 * x)


@pytest.mark.parametrize("x", [X, X[:3], X[X > 1.5], X[X < 0.0], np.array([np.nan, 1.2])])
def test_it_is_where_inside_itself_too(x: Any) -> None:
    y = np.ones(x.size)
    np.testing.assert_array_equal(outer(x, y), plain(x, y))
    np.testing.assert_allclose(call_block(compiled(outer), x, y), plain(x, y), rtol=1e-15)


def test_one_number_is_as_good_as_many() -> None:
    assert outer(1.25, 2.0) == 3.25
    assert outer(0.5, 2.0) == 0.0


def test_what_nothing_needs_is_not_computed() -> None:
    def never(x: float) -> float:
        raise AssertionError(x)

    np.testing.assert_array_equal(rarely(X > 3.0, never, X, X), X)  # type: ignore[arg-type]
