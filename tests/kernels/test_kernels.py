"""Block functions: one for each program, layout and dtype, under a name that no other one has."""

from __future__ import annotations

from typing import Any

import pytest

from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.kernels import block_function


def compiled(loss: str, width: int = 1, dtype: str = "float64", **options: str) -> Any:
    plan = Plan(resolve(LOSSES[loss], options), width, dtype)
    return block_function(plan, plan.value, dtype)


def test_what_is_made_of_the_same_is_the_same() -> None:
    assert compiled("huber", delta="1") is compiled("huber", delta="2")


@pytest.mark.parametrize(
    "other",
    [
        {"loss": "mae"},
        {"loss": "mse", "dtype": "float32"},
        {"loss": "mse", "width": 3},
        {"loss": "mse", "width": 200},
    ],
    ids=str,
)
def test_what_differs_has_another_name(other: dict[str, Any]) -> None:
    """Machine code that several processes compiled meets in one, where it is found by its name."""
    one, two = compiled("mse"), compiled(**other)
    assert one is not two
    assert one.py_func.__qualname__ != two.py_func.__qualname__
