"""Which block function runs a program on data of one kind, and which ones a plan needs. No compiler is imported.

A *block function* is compiled code that fills a buffer for the rows of one block; `layouts.py` says what writes it.
It is known by its key: equal keys, equal code.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any

from .plan import Plan
from .program import Environment, Program, Step
from .records import Record, replace
from .row_functions import RowCode, codes
from .spec import Monoid, Scope

ACROSS_WIDTH = 32
"""The widest rows that are worked on across; at least `along.MAX_LANES`. `benchmarks/layouts.py` measures it."""


class Layout(Record):
    """How a block function finds its data; `dtype` is that of predictions.

    `name` is flat or factored for single values; along (each row), across (tiles of rows) or picked (of each row the
    value at its class) for rows. `sparse`: the target is a class index; `at_target_only`: target sums have the one term
    of that class; `unit_rows`: whether each row of predictions, and of targets, has to sum to 1; `skips_zeros`: whether
    target sums may leave out what has a target of 0; `checked`: whether domains matter; `row_inputs`: for each further
    input, whether it has one number for a row, and not one for each prediction.
    """

    name: str
    dtype: str
    sparse: bool = False
    at_target_only: bool = False
    unit_rows: tuple[bool, bool] = (False, False)
    skips_zeros: bool = False
    checked: bool = True
    row_inputs: tuple[bool, ...] = ()

    @property
    def key(self) -> str:
        parts: tuple[object, ...] = (self.name, self.dtype, self.sparse, self.at_target_only, *self.unit_rows)
        parts += (self.skips_zeros, self.checked, *self.row_inputs)
        return ",".join(map(str, parts))


class Recipe(Record):
    """What a block function is made of."""

    layout: Layout
    program: Program

    @cached_property
    def key(self) -> str:
        return f"{self.program.kind}|{self.program.key}|{self.layout.key}"

    @property
    def symbol(self) -> str:
        """The name of its code: machine code from several processes may meet in one."""
        return "lossctl_" + hashlib.sha256(self.key.encode()).hexdigest()[:32]


def is_flat(plan: Plan) -> bool:
    """Whether a row is one value, or rows mean nothing."""
    return plan.scope is Scope.DATASET or (plan.scope is Scope.ELEMENT and plan.width == 1)


def recipe_of(plan: Plan, program: Program, dtype: str) -> Recipe:
    """The block function of a program for predictions (and dense targets) of this dtype.

    Where each row has several elementwise losses, it is that of their sum.
    """
    layout = _layout(plan, program, dtype)
    if plan.scope is Scope.ELEMENT and plan.width > 1 and program.kind == "value":
        total = Step("total", Monoid.SUM, program.finish)
        program = replace(program, key=f"sum of {program.key}", steps=(total,), finish=_last)
    return Recipe(layout, program)


def _layout(plan: Plan, program: Program, dtype: str) -> Layout:
    inputs = plan.row_inputs if program.inputs else ()
    if is_flat(plan):  # a row is one prediction
        return Layout("factored" if program.form else "flat", dtype, row_inputs=(False,) * len(inputs))
    is_value = program.kind == "value"
    unit_rows = (plan.rows_sum_to_one, plan.targets_sum_to_one) if is_value else (False, False)
    is_at_target = plan.at_target_only and all(step.monoid is Monoid.TARGET_SUM for step in program.steps)
    is_wide = plan.width > ACROSS_WIDTH
    if is_value and is_at_target and not inputs and (is_wide or not any(unit_rows)):
        name = "picked"
    elif not is_wide:
        name = "across"
    else:
        name = "along"
    skips_zeros = name == "along" and plan.zeros_add_nothing and not plan.sparse
    return Layout(name, dtype, plan.sparse, plan.at_target_only, unit_rows, skips_zeros, row_inputs=inputs)


def _last(environment: Environment) -> Any:
    return environment[-1]


def _itself(environment: Environment) -> Any:
    return environment[0]


SUM = Recipe(
    Layout("flat", "float64", checked=False),
    Program("folds", "itself", (), (Step("sum", Monoid.SUM, _itself),), _itself),
)
"""Stores the sum of float64 predictions, each times its scale if there are any, at the place for results."""


def loop_of(layout: str, dtype: str) -> Recipe:
    """A loop over numbers that is no loss: its layout is all that it does."""
    return Recipe(Layout(layout, dtype, checked=False), Program("value", "itself", (), (), _itself))


EXTREMES = loop_of("extremes", "float64")
"""Fills the columns of the report that come from each loss, which are the float64 predictions."""


def usual_recipes(plan: Plan, dtype: str, gradient: bool = False) -> list[Recipe | RowCode]:
    """What the mean of a plan takes, and its gradient where that is asked for and exists."""
    if plan.definition.row_function:
        return [*codes(plan, dtype, gradient)]
    found: list[Recipe | RowCode]
    if plan.scope is Scope.DATASET:
        found = [recipe_of(plan, plan.folds, dtype)]
    else:
        found = [recipe_of(plan, (is_flat(plan) and plan.factored) or plan.value, dtype)]
    if plan.degenerate is not None:
        found.append(recipe_of(plan.degenerate, plan.degenerate.value, dtype))
    if gradient:
        found += [recipe_of(plan, plan.gradient_program_of(name), dtype) for name in plan.gradient_names]
    return found


def all_recipes(plan: Plan, dtype: str) -> list[Recipe | RowCode]:
    """What any use of a plan takes: weights, per-sample losses and rows left out as well."""
    found = usual_recipes(plan, dtype, gradient=True)
    if plan.scope is not Scope.DATASET and not plan.definition.row_function:
        found += [recipe_of(plan, plan.value, dtype), SUM, EXTREMES]
    return list({recipe.key: recipe for recipe in found}.values())
