"""Definitions into machine code without compiling each function: they are run once, on symbols.

Definitions and elementary functions are branch-free arithmetic by construction. Called with `Symbol`s instead of
numbers, each operation appends its LLVM instruction to the function that is being compiled, as if everything had been
written in one place. A loss of forty small functions then compiles as quickly as one, and nothing is left to inline.
A symbol is one number or a vector of them: the same definition is written as vector instructions, and whether a loop is
vectorised is not left to chance.

NumPy's own protocols lead `numpy.where`, `maximum`, `minimum`, `sqrt` and `positive` here, so the functions in
`scalar.py` are the same objects that run on arrays; `numpy_functions.py` leads others of NumPy's to those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir

from .numpy_functions import FUNCTIONS, whole_power
from .scalar import SMALLEST_NORMAL

DOUBLE, INTEGER, TRUTH = ir.DoubleType(), ir.IntType(64), ir.IntType(1)

# Fused multiply-add is the only licence that the elementary functions allow: `reassoc` would cancel their error terms.
FLAGS = ("contract",)


class Branching(TypeError):
    """A definition asks whether something holds, where it has to select."""


class NotANumber(TypeError):
    """A definition hands a symbol to something that takes numbers only, such as `math.log`."""


class NotKnown(TypeError):
    """A definition calls a function of NumPy, whose name this is, that has no counterpart here."""


def element_of(kind: ir.Type) -> ir.Type:
    """The type of one lane."""
    return kind.element if isinstance(kind, ir.VectorType) else kind


def shaped(kind: ir.Type, like: ir.Type) -> ir.Type:
    """The type `kind`, in as many lanes as `like` has."""
    return ir.VectorType(kind, like.count) if isinstance(like, ir.VectorType) else kind


def unary(builder: ir.IRBuilder, name: str, value: ir.Value) -> ir.Value:
    """An LLVM intrinsic of one argument and a result of its type; llvmlite does not name those of vectors."""
    kind = value.type
    suffix = f"v{kind.count}f64" if isinstance(kind, ir.VectorType) else "f64"
    function = builder.module.declare_intrinsic(f"{name}.{suffix}", (), ir.FunctionType(kind, [kind]))
    return builder.call(function, [value])


def prefetch(builder: ir.IRBuilder, place: ir.Value) -> None:
    """Has the processor fetch what is at a place while it does other things; outside of memory that is no fault."""
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
    builder.call(function, [place, number(0), number(3), number(1)])


def any_lane(builder: ir.IRBuilder, truths: ir.Value) -> ir.Value:
    """Whether something holds in any lane of a vector, or of the one number that it is said of."""
    if not isinstance(truths.type, ir.VectorType):
        return truths
    bits = ir.IntType(truths.type.count)
    return builder.icmp_unsigned("!=", builder.bitcast(truths, bits), ir.Constant(bits, 0))


class Symbol:
    """A float64, a 64-bit integer or a truth value that will be known when the compiled code runs, or a vector."""

    __slots__ = ("builder", "value")

    def __init__(self, builder: ir.IRBuilder, value: ir.Value) -> None:
        self.builder = builder
        self.value = value

    # ---- helpers

    def _new(self, value: ir.Value) -> Symbol:
        return Symbol(self.builder, value)

    def _same_kind(self, other: Any) -> ir.Value:
        """The LLVM value of a symbol or number, of the kind of this symbol; next to a number a truth is 0 or 1."""
        if isinstance(other, Symbol):
            if other.value.type == self.value.type:
                return other.value
            if element_of(other.value.type) == TRUTH and element_of(self.value.type) == DOUBLE:
                return as_double(other, self.value.type)
            raise TypeError(f"cannot combine {other.value.type} with {self.value.type} in a definition")
        return constant(self.value.type, other)

    def _float(self, operation: str, left: ir.Value, right: ir.Value) -> Symbol:
        return self._new(getattr(self.builder, operation)(left, right, flags=FLAGS))

    def _arithmetic(self, other: Any, floating: str, whole: str | None, swap: bool = False) -> Symbol:
        kind = element_of(self.value.type)
        if kind == TRUTH and not (isinstance(other, Symbol) and element_of(other.value.type) == TRUTH):
            return self._new(as_double(self, self.value.type))._arithmetic(other, floating, whole, swap)
        left, right = self.value, self._same_kind(other)
        if swap:
            left, right = right, left
        if kind == DOUBLE:
            return self._float(floating, left, right)
        if whole is None or kind != INTEGER:
            raise TypeError(f"{floating} of {self.value.type} in a definition")
        return self._new(getattr(self.builder, whole)(left, right))

    def _compare(self, sign: str, other: Any) -> Symbol:
        right = self._same_kind(other)
        if element_of(self.value.type) == DOUBLE:
            compare = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
            return self._new(compare(sign, self.value, right))
        return self._new(self.builder.icmp_signed(sign, self.value, right))

    # ---- arithmetic

    def __add__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fadd", "add")

    def __sub__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fsub", "sub")

    def __mul__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fmul", "mul")

    def __truediv__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fdiv", None)

    def __radd__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fadd", "add", swap=True)

    def __rsub__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fsub", "sub", swap=True)

    def __rmul__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fmul", "mul", swap=True)

    def __rtruediv__(self, other: Any) -> Symbol:
        return self._arithmetic(other, "fdiv", None, swap=True)

    def __neg__(self) -> Symbol:
        return self._new(self.builder.fneg(self.value)) if element_of(self.value.type) == DOUBLE else 0 - self

    def __abs__(self) -> Symbol:
        return self._new(unary(self.builder, "llvm.fabs", self.value))

    # ---- bits

    def __and__(self, other: Any) -> Symbol:
        return self._new(self.builder.and_(self.value, self._same_kind(other)))

    def __or__(self, other: Any) -> Symbol:
        return self._new(self.builder.or_(self.value, self._same_kind(other)))

    __rand__, __ror__ = __and__, __or__

    def __lshift__(self, other: Any) -> Symbol:
        return self._new(self.builder.shl(self.value, self._same_kind(other)))

    def __rshift__(self, other: Any) -> Symbol:
        return self._new(self.builder.ashr(self.value, self._same_kind(other)))

    def view(self, dtype: Any) -> Symbol:
        """The same bits as a number of the other kind."""
        kind = shaped(DOUBLE if dtype is np.float64 else INTEGER, self.value.type)
        return self._new(self.builder.bitcast(self.value, kind))

    def is_subnormal(self) -> Symbol | bool:
        """How `scalar.is_subnormal` asks: what was 32 bits wide is no subnormal number of 64 bits."""
        widened = isinstance(self.value, ir.CastInstr) and self.value.opname == "fpext"
        return False if widened else self < SMALLEST_NORMAL

    # ---- comparisons

    def __lt__(self, other: Any) -> Symbol:
        return self._compare("<", other)

    def __le__(self, other: Any) -> Symbol:
        return self._compare("<=", other)

    def __gt__(self, other: Any) -> Symbol:
        return self._compare(">", other)

    def __ge__(self, other: Any) -> Symbol:
        return self._compare(">=", other)

    def __eq__(self, other: object) -> Symbol:  # type: ignore[override]
        return self._compare("==", other)

    def __ne__(self, other: object) -> Symbol:  # type: ignore[override]
        return self._compare("!=", other)

    __hash__ = None  # type: ignore[assignment]

    def __pow__(self, exponent: Any) -> Any:
        return whole_power(self, exponent)

    def __rpow__(self, base: Any) -> Any:
        return whole_power(base, self)

    def __bool__(self) -> bool:
        raise Branching("a definition may not branch on its arguments: select with where(condition, a, b)")

    def __float__(self) -> float:
        raise NotANumber("a definition is compiled before its arguments are numbers")

    __int__ = __index__ = __float__

    def __getitem__(self, index: tuple[()]) -> Symbol:
        """`numpy.where(…)[()]` takes a number out of an array of no dimensions: this is one already."""
        return self

    # ---- NumPy's protocols

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **_: Any) -> Any:
        if method == "__call__":
            if ufunc in _OPERATORS:
                return _OPERATORS[ufunc](*inputs)
            if ufunc is np.positive:
                return inputs[0]
            if ufunc is np.sqrt:
                return inputs[0]._new(unary(inputs[0].builder, "llvm.sqrt", inputs[0].value))
            if ufunc is np.maximum:
                return _extremum(">", *inputs)
            if ufunc is np.minimum:
                return _extremum("<", *inputs)
            if ufunc in FUNCTIONS:
                return FUNCTIONS[ufunc](*inputs)
        raise NotKnown(ufunc.__name__)

    def __array_function__(self, function: Any, _types: Any, arguments: tuple[Any, ...], _: Any) -> Any:
        if function is not np.where:
            raise NotKnown(function.__name__)
        return _select(*arguments)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotANumber("a definition has numbers, and no arrays")


# A NumPy scalar on the left hand asks here.
_OPERATORS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: lambda a, b: b.__radd__(a),
    np.subtract: lambda a, b: b.__rsub__(a),
    np.multiply: lambda a, b: b.__rmul__(a),
    np.true_divide: lambda a, b: b.__rtruediv__(a),
}


class Splat(ir.Constant):
    """One number in each lane of a vector. Written out, it would be most of the text that LLVM is given to read."""

    def _get_reference(self) -> str:
        return f"splat ({self.constant[0]})"


def constant(kind: ir.Type, number: Any) -> ir.Constant:
    """The number as a constant of this type; the same in each lane of a vector."""
    make = Splat if isinstance(kind, ir.VectorType) else ir.Constant
    return make(kind, int(number) if isinstance(element_of(kind), ir.IntType) else float(number))


def as_double(value: Any, like: ir.Type = DOUBLE) -> ir.Value:
    """The LLVM value of what a definition returned, shaped like the type `like`: a symbol, a truth or a number."""
    kind = shaped(DOUBLE, like)
    if not isinstance(value, Symbol):
        return constant(kind, value)
    if element_of(value.value.type) == TRUTH:
        return value.builder.select(value.value, constant(kind, 1.0), constant(kind, 0.0))
    return value.value


def _select(condition: Any, if_true: Any, if_false: Any) -> Any:
    if not isinstance(condition, Symbol):
        return if_true if condition else if_false
    plain = shaped(DOUBLE, condition.value.type)
    kind = next((side.value.type for side in (if_true, if_false) if isinstance(side, Symbol)), plain)
    sides = [side.value if isinstance(side, Symbol) else constant(kind, side) for side in (if_true, if_false)]
    return Symbol(condition.builder, condition.builder.select(condition.value, *sides))


def _extremum(sign: str, a: Any, b: Any) -> Symbol:
    """NaN if either is NaN: the comparison fails for NaN and leaves b, so only a NaN in a is left to restore."""
    symbol = a if isinstance(a, Symbol) else b
    builder = symbol.builder
    left, right = as_double(a, symbol.value.type), as_double(b, symbol.value.type)
    extremum = builder.select(builder.fcmp_ordered(sign, left, right), left, right)
    return Symbol(builder, builder.select(builder.fcmp_unordered("uno", left, left), left, extremum))
