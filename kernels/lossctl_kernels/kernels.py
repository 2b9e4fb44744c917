"""Block functions: a program compiled to machine code that fills a buffer for the rows of one strip.

Every block function has the same C-like signature over addresses, `void(rows, width, prediction, target,
class_weights, numbers, bounds, scales, result, report)`, so that one driver runs them all, whatever the loss and the
dtypes. `bounds` are those of predictions and targets and the tolerances of their row sums; `report` is a row of
`Column`s that begins as zeros; `scales` and `result` are as `loops.Flat` and `rows.py` say. Address 0 is "none".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

from .cache import compile_cached
from .plan import Plan
from .program import Program
from .rows import ACROSS_WIDTH, write_block_function
from .spec import Scope
from .writer import Arguments, Layout

__all__ = ["BLOCK_FUNCTION", "as_function", "block_function", "layout_of"]

BLOCK_FUNCTION = types.void(types.int64, types.int64, *[types.intp] * 8)

_compiled: dict[str, Any] = {}
_compiling = threading.Lock()


def layout_of(plan: Plan, program: Program, dtype: str) -> Layout:
    """Where the program of a plan finds its data."""
    if plan.scope is not Scope.ROW:
        return Layout("flat", dtype)
    name = "across" if plan.width <= ACROSS_WIDTH else "along"
    unit_rows = (plan.rows_sum_to_one, plan.targets_sum_to_one) if program.kind == "value" else (False, False)
    return Layout(name, dtype, plan.sparse, plan.at_target_only, unit_rows)


def block_function(plan: Plan, program: Program, dtype: str) -> Callable[..., Any]:
    """The compiled block function of a program for predictions (and dense targets) of this dtype."""
    layout = layout_of(plan, program, dtype)
    key = f"{program.kind}|{program.key}|{layout.key}"
    with _compiling:
        if key not in _compiled:
            dispatcher = njit(error_model="numpy", nogil=True)(as_function(layout, program))
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
