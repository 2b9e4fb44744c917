"""Block functions: a program compiled to machine code that fills a buffer for the rows of one strip.

Every block function has the same C-like signature over addresses, `void(rows, width, prediction, target,
class_weights, numbers, bounds, scales, result, report)`, so that one driver runs them all, whatever the loss and the
dtypes. `bounds` are those of predictions and targets and the tolerances of their row sums; `report` is a row of
`Column`s that begins as zeros; `scales` and `result` are as `loops.Flat` and `rows.py` say. Address 0 is "none".
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from .cache import compile_cached
from .plan import Plan
from .program import Environment, Program, Step
from .rows import ACROSS_WIDTH, write_block_function
from .spec import Monoid, Scope
from .writer import Arguments, Layout

__all__ = [
    "BLOCK_FUNCTION",
    "as_function",
    "block_function",
    "extremes_function",
    "is_flat",
    "layout_of",
    "sum_function",
]

BLOCK_FUNCTION = types.void(types.int64, types.int64, *[types.intp] * 8)

_compiled: dict[str, Any] = {}
_compiling = threading.Lock()


def is_flat(plan: Plan) -> bool:
    """Whether a row is one value, or rows mean nothing."""
    return plan.scope is Scope.DATASET or (plan.scope is Scope.ELEMENT and plan.width == 1)


def layout_of(plan: Plan, program: Program, dtype: str) -> Layout:
    """Where the program of a plan finds its data."""
    if is_flat(plan):
        return Layout("flat", dtype)
    name = "across" if plan.width <= ACROSS_WIDTH else "along"
    unit_rows = (plan.rows_sum_to_one, plan.targets_sum_to_one) if program.kind == "value" else (False, False)
    return Layout(name, dtype, plan.sparse, plan.at_target_only, unit_rows)


def block_function(plan: Plan, program: Program, dtype: str) -> Callable[..., Any]:
    """The compiled block function of a program for predictions (and dense targets) of this dtype.

    Where each row has several elementwise losses, it is that of their sum.
    """
    if plan.scope is Scope.ELEMENT and plan.width > 1 and program.kind == "value":
        total = Step("total", Monoid.SUM, program.finish)
        program = replace(program, key=f"sum of {program.key}", steps=(total,), finish=_last)
    return _function(layout_of(plan, program, dtype), program)


def _last(environment: Environment) -> Any:
    return environment[-1]


def sum_function() -> Callable[..., Any]:
    """Stores the sum of float64 predictions, each times its scale if there are any, at `result`."""
    step = Step("sum", Monoid.SUM, _itself)
    return _function(Layout("flat", "float64", checked=False), Program("folds", "itself", (), (step,), _itself))


def extremes_function() -> Callable[..., Any]:
    """Fills the columns of the report that come from each loss, which are the float64 predictions."""
    return _function(Layout("extremes", "float64", checked=False), Program("value", "itself", (), (), _itself))


def _itself(environment: Environment) -> Any:
    return environment[0]


def _function(layout: Layout, program: Program) -> Callable[..., Any]:
    key = f"{program.kind}|{program.key}|{layout.key}"
    with _compiling:
        if key not in _compiled:
            fill = as_function(layout, program)
            # Machine code from several processes may meet in one: it is found by a name, which has to be its own.
            fill.__name__ = fill.__qualname__ = "fill_" + hashlib.sha256(key.encode()).hexdigest()[:32]
            dispatcher = njit(error_model="numpy", nogil=True)(fill)
            _compiled[key] = compile_cached(dispatcher, BLOCK_FUNCTION.args, key)
        return _compiled[key]


def as_function(layout: Layout, program: Program) -> Callable[..., Any]:
    """The block function for Numba to compile: all of its body is written by `write_block_function`."""

    @intrinsic
    def body(typingctx, rows, width, prediction, target, class_weights, numbers, bounds, scales, result, report):
        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            write_block_function(builder, layout, program, Arguments(*arguments))
            return context.get_dummy_value()

        return BLOCK_FUNCTION, codegen

    def fill(rows, width, prediction, target, class_weights, numbers, bounds, scales, result, report):
        body(rows, width, prediction, target, class_weights, numbers, bounds, scales, result, report)

    return fill
