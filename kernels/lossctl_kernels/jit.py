"""The elementary functions of `scalar.py`, made known to Numba: importing this module registers them all.

Compiled code that calls `lossctl_kernels.scalar.log` and the rest inlines them into its loops. The primitives
(`where`, `maximum`, `minimum`, `sqrt` and the bit casts) become one to three machine operations each, on float64, with
no compilation of their own; other numbers are converted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import types
from numba.core.typing.templates import signature
from numba.extending import lower_builtin, register_jitable, type_callable

from lossctl_kernels import scalar

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

# Fused multiply-add is the only licence that the formulas of `scalar.py` stand: `reassoc` would cancel error terms.
_FLAGS: dict[str, Any] = {
    "forceinline": True,
    "fastmath": {"contract"},
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
}
_PRIMITIVES = (scalar.where, scalar.maximum, scalar.minimum, scalar.sqrt, scalar.bits_of, scalar.float_of)
_known: set[Callable[..., Any]] = set(_PRIMITIVES)


def inline(function: FunctionT) -> FunctionT:
    """Let compiled code call the plain `function`, inlined; returns it unchanged. Safe to repeat."""
    if function not in _known:
        register_jitable(**_FLAGS)(function)
        _known.add(function)
    return function


def _is_number(*arguments: Any) -> bool:
    return all(isinstance(argument, types.Number) for argument in arguments)


@type_callable(scalar.where)
def _type_where(context: Any) -> Any:
    def typer(condition: Any, if_true: Any, if_false: Any) -> Any:
        if isinstance(condition, types.Boolean) and _is_number(if_true, if_false):
            return signature(types.float64, types.boolean, types.float64, types.float64)
        return None

    return typer


@type_callable(scalar.maximum)
@type_callable(scalar.minimum)
def _type_extremum(context: Any) -> Any:
    def typer(a: Any, b: Any) -> Any:
        return signature(types.float64, types.float64, types.float64) if _is_number(a, b) else None

    return typer


@type_callable(scalar.sqrt)
def _type_sqrt(context: Any) -> Any:
    return lambda x: signature(types.float64, types.float64) if _is_number(x) else None


@type_callable(scalar.bits_of)
def _type_bits_of(context: Any) -> Any:
    return lambda x: signature(types.int64, types.float64) if _is_number(x) else None


@type_callable(scalar.float_of)
def _type_float_of(context: Any) -> Any:
    return lambda bits: signature(types.float64, types.int64) if isinstance(bits, types.Integer) else None


@lower_builtin(scalar.where, types.boolean, types.float64, types.float64)
def _lower_where(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    return builder.select(*arguments)


def _lower_extremum(comparison: str) -> Callable[..., Any]:
    def lower(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
        a, b = arguments
        # The comparison fails for NaN and leaves b: only a NaN in a is left to restore.
        extremum = builder.select(builder.fcmp_ordered(comparison, a, b), a, b)
        return builder.select(builder.fcmp_unordered("uno", a, a), a, extremum)

    return lower


lower_builtin(scalar.maximum, types.float64, types.float64)(_lower_extremum(">"))
lower_builtin(scalar.minimum, types.float64, types.float64)(_lower_extremum("<"))


@lower_builtin(scalar.sqrt, types.float64)
def _lower_sqrt(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    return builder.call(builder.module.declare_intrinsic("llvm.sqrt", [arguments[0].type]), arguments)


@lower_builtin(scalar.bits_of, types.float64)
@lower_builtin(scalar.float_of, types.int64)
def _lower_bit_cast(context: Any, builder: Any, sig: Any, arguments: Any) -> Any:
    return builder.bitcast(arguments[0], context.get_value_type(sig.return_type))


def _register_scalars() -> None:
    """Register every function that `scalar.py` defines."""
    for function in vars(scalar).values():
        if callable(function) and getattr(function, "__module__", None) == scalar.__name__:
            inline(function)


_register_scalars()
