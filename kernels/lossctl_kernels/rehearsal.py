"""A scalar function, run once on symbols before there are data: what it computes, as text, or why that fails.

The text is LLVM's, so it holds what the function calls and the constants that it finds as well: where two texts are
equal, so are the functions. Nothing is compiled for it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from .arguments import argument_names
from .program import bind
from .spec import Scalar
from .trace import DOUBLE, Symbol, as_double, element_of


def rehearse(function: Scalar) -> str:
    """What `function` computes of one number for each of its arguments.

    Raises TypeError for a function that returns no number, IndexError for one of more arguments than are supported, and
    whatever the function itself raises, among it `trace.Branching`, `trace.NotANumber` and `trace.NotKnown`.
    """
    names = argument_names(function)
    module = ir.Module()
    kind = ir.FunctionType(DOUBLE, [DOUBLE] * len(names))
    written = ir.Function(module, kind, "rehearsed")
    builder = ir.IRBuilder(written.append_basic_block())
    arguments: tuple[Any, ...] = tuple(Symbol(builder, argument) for argument in written.args)
    builder.ret(_number(bind(function, names)(arguments)))
    return str(module)


def _number(result: Any) -> ir.Value:
    """The LLVM value of a result. Raises TypeError where that is no real number."""
    if isinstance(result, Symbol):
        value = as_double(result)
        if element_of(value.type) == DOUBLE:
            return value
    elif isinstance(result, int | float) or getattr(result, "dtype", None) == "float64":
        return as_double(result)
    raise TypeError(f"it returns {type(result).__name__}, and a loss is a number")
