"""Recipes: one for each program, layout and dtype, under a name that no other one has."""

from __future__ import annotations

from typing import Any

import pytest

from lossctl_kernels import LOSSES, Plan, Scope, resolve
from lossctl_kernels.along import MAX_LANES
from lossctl_kernels.recipes import ACROSS_WIDTH, EXTREMES, SUM, Recipe, all_recipes, usual_recipes
from lossctl_kernels.row_functions import RowCode
from tests.kernels.cases import Case, definitions, forms, is_row_function, parametrize


def recipe(loss: str, width: int = 1, dtype: str = "float64", **options: str) -> Recipe:
    plan = Plan(resolve(LOSSES[loss], options), width, dtype)
    return of_programs(usual_recipes(plan, dtype))[0]


def of_programs(found: list[Recipe | RowCode]) -> list[Recipe]:
    """Those that are made of programs."""
    return [one for one in found if isinstance(one, Recipe)]


def of_functions(found: list[Recipe | RowCode]) -> list[RowCode]:
    return [one for one in found if isinstance(one, RowCode)]


def test_what_is_made_of_the_same_is_the_same() -> None:
    one, two = recipe("huber", delta="1"), recipe("huber", delta="2")
    assert one.key == two.key
    assert one.symbol == two.symbol


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
    one, two = recipe("mse"), recipe(**other)
    assert one.key != two.key
    assert one.symbol != two.symbol


@pytest.mark.parametrize(
    ("loss", "width", "name"),
    [
        ("mse", 1, "flat"),
        ("mse", 2, "across"),
        ("mse", ACROSS_WIDTH, "across"),
        ("mse", ACROSS_WIDTH + 1, "along"),
        ("scce", 3, "across"),
        ("mse", 1000, "along"),
        ("rmse", 1000, "flat"),
    ],
)
def test_layouts(loss: str, width: int, name: str) -> None:
    assert recipe(loss, width).layout.name == name


def test_rows_along_are_as_long_as_the_longest_vector() -> None:
    assert ACROSS_WIDTH >= MAX_LANES


@pytest.mark.parametrize("gradient", [False, True])
@parametrize([case for case in definitions() if is_row_function(case)])
def test_what_a_row_function_takes(case: Case, gradient: bool) -> None:
    plan = case.plan()
    usual, every = usual_recipes(plan, "float64", gradient), all_recipes(plan, "float64")
    assert len(of_functions(every)) == len(every)
    definition, facts = plan.definition, plan.definition.row_function
    assert facts is not None
    wanted = [definition.function, definition.degenerate, *facts.states, definition.gradient if gradient else None]
    assert {code.function for code in of_functions(usual)} == {*wanted} - {None}
    assert {code.key for code in usual} <= {code.key for code in every}


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("width", [1, 3])
@parametrize([case for case in forms() if not is_row_function(case)])
def test_what_a_plan_takes(case: Case, width: int, gradient: bool) -> None:
    plan = case.plan(width)
    usual = of_programs(usual_recipes(plan, "float64", gradient))
    every = of_programs(all_recipes(plan, "float64"))
    kinds = [recipe.program.kind for recipe in usual]
    assert kinds[0] == ("folds" if plan.scope is Scope.DATASET else "factored" if usual[0].program.form else "value")
    assert ("gradient" in kinds) == (gradient and plan.definition.gradient is not None)
    keys = [recipe.key for recipe in every]
    assert {recipe.key for recipe in usual} <= set(keys)
    assert len(set(keys)) == len(keys)
    assert ({EXTREMES.key, SUM.key} <= set(keys)) == (plan.scope is not Scope.DATASET)
    assert ("value" in {recipe.program.kind for recipe in every}) == (plan.scope is not Scope.DATASET)
