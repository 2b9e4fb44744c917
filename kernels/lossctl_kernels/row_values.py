"""What the code of a row function computes with: numbers, arrays and tuples of them, as LLVM values.

A number is an integer of 64 bits, a float64 or a truth value. An array is C-contiguous: where it begins, and its shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, TypeAlias

from llvmlite import ir

from .trace import DOUBLE, FLAGS, INTEGER

BOOLEAN, BYTE, SINGLE, SHORT = ir.IntType(1), ir.IntType(8), ir.FloatType(), ir.IntType(32)
ELEMENTS = {"float64": DOUBLE, "float32": SINGLE, "int64": INTEGER, "bool": BYTE}


class NotCompilable(TypeError):
    """A row function uses something of Python that its compiler does not know."""


@dataclass(frozen=True)
class Number:
    """An LLVM value that is an int64, a double or an i1."""

    value: ir.Value

    @property
    def type(self) -> ir.Type:
        return self.value.type


@dataclass(frozen=True)
class Array:
    """Elements of a dtype from a typed pointer on; the shape as int64 values."""

    dtype: str
    pointer: ir.Value
    shape: tuple[ir.Value, ...]


Value: TypeAlias = "Number | Array | tuple[Any, ...]"


# ---- values as arguments of a function


def kind_of(value: Value) -> Any:
    """What tells values apart for which different code is written."""
    if isinstance(value, tuple):
        return tuple(kind_of(part) for part in value)
    return str(value.type) if isinstance(value, Number) else (value.dtype, len(value.shape))


def parts_of(value: Value) -> list[ir.Value]:
    """The LLVM values that a value consists of."""
    if isinstance(value, tuple):
        return [part for whole in value for part in parts_of(whole)]
    return [value.value] if isinstance(value, Number) else [value.pointer, *value.shape]


def rebuilt(like: Value, parts: Iterator[ir.Value]) -> Value:
    """A value of the kind of another one, from its parts."""
    if isinstance(like, tuple):
        return tuple(rebuilt(part, parts) for part in like)
    if isinstance(like, Number):
        return Number(next(parts))
    return Array(like.dtype, next(parts), tuple(next(parts) for _ in like.shape))


def constant(number: float) -> Number:
    """A Python number as it is."""
    if isinstance(number, bool):
        return Number(ir.Constant(BOOLEAN, int(number)))
    return Number(ir.Constant(INTEGER, number) if isinstance(number, int) else ir.Constant(DOUBLE, number))


def to(builder: ir.IRBuilder, kind: ir.Type, number: Number) -> ir.Value:
    """The number as a value of this type: truth counts as 0 or 1, decimals are cut off."""
    value = number.value
    if value.type == kind:
        return value
    if kind == BOOLEAN:
        return truth(builder, number)
    if value.type == BOOLEAN:
        value = builder.zext(value, INTEGER)
    if kind == DOUBLE:
        return builder.sitofp(value, DOUBLE)
    return value if value.type == INTEGER else builder.fptosi(value, INTEGER)


def truth(builder: ir.IRBuilder, number: Number) -> ir.Value:
    """Whether it is not 0; NaN is not."""
    if number.type == BOOLEAN:
        return number.value
    zero = ir.Constant(number.type, 0)
    if number.type == DOUBLE:
        return builder.fcmp_unordered("!=", number.value, zero)
    return builder.icmp_signed("!=", number.value, zero)


def load(builder: ir.IRBuilder, array: Array, offset: ir.Value) -> Number:
    """An element, float32 as a double."""
    value = builder.load(builder.gep(array.pointer, [offset], inbounds=True))
    if array.dtype == "float32":
        value = builder.fpext(value, DOUBLE)
    return Number(builder.trunc(value, BOOLEAN) if array.dtype == "bool" else value)


def store(builder: ir.IRBuilder, array: Array, offset: ir.Value, number: Number) -> None:
    """Sets an element, in the dtype of the array."""
    value = to(builder, INTEGER if array.dtype == "int64" else DOUBLE, number)
    if array.dtype == "float32":
        value = builder.fptrunc(value, SINGLE)
    builder.store(value, builder.gep(array.pointer, [offset], inbounds=True))


# ---- variables: memory that the optimiser turns into values


def slots_for(builder: ir.IRBuilder, value: Value) -> Any:
    """Room for a value of this kind."""
    if isinstance(value, tuple):
        return tuple(slots_for(builder, part) for part in value)
    with builder.goto_entry_block():
        if isinstance(value, Number):
            return builder.alloca(value.type)
        return value.dtype, builder.alloca(value.pointer.type), [builder.alloca(INTEGER) for _ in value.shape]


def write(builder: ir.IRBuilder, slots: Any, value: Value) -> None:
    """Puts a value into its room."""
    if isinstance(value, Number):
        builder.store(to(builder, slots.type.pointee, value), slots)
    elif isinstance(value, Array):
        builder.store(value.pointer, slots[1])
        for slot, size in zip(slots[2], value.shape, strict=True):
            builder.store(size, slot)
    else:
        for slot, part in zip(slots, value, strict=True):
            write(builder, slot, part)


def read(builder: ir.IRBuilder, slots: Any) -> Value:
    """What is there now."""
    if not isinstance(slots, tuple):
        return Number(builder.load(slots))
    if slots and isinstance(slots[0], str):
        return Array(slots[0], builder.load(slots[1]), tuple(builder.load(slot) for slot in slots[2]))
    return tuple(read(builder, slot) for slot in slots)


def common(builder: ir.IRBuilder, one: Value, other: Value) -> Value:
    """A value of the kind that holds either."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return tuple(common(builder, a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, Number) and isinstance(other, Number) and one.type != other.type:
        return one if one.type == DOUBLE or other.type == BOOLEAN else other
    return one


# ---- functions of the module `math`, and of Python


def elementary(builder: ir.IRBuilder, name: str, arguments: list[Number]) -> Value:
    """A function of `math`, or abs, min and max. Raises NotCompilable for others."""
    if name in ("min", "max") and len(arguments) > 1:
        return reduce(partial(_chosen, builder, "<" if name == "min" else ">"), arguments)
    if name == "abs" and arguments[0].type == INTEGER:
        negative = builder.neg(arguments[0].value)
        return _chosen(builder, ">", arguments[0], Number(negative))
    values = [to(builder, DOUBLE, argument) for argument in arguments]
    if name in _INTRINSICS and len(values) == 1:
        function = builder.module.declare_intrinsic(_INTRINSICS[name], [DOUBLE])
        return Number(builder.call(function, values, fastmath=FLAGS))
    if name in _LIBRARY and len(values) == 1:
        return Number(builder.call(_declared(builder, name, [DOUBLE]), values))
    if name == "ldexp":
        exponent = builder.trunc(to(builder, INTEGER, arguments[1]), SHORT)
        return Number(builder.call(_declared(builder, name, [DOUBLE, SHORT]), [values[0], exponent]))
    if name == "frexp":
        with builder.goto_entry_block():
            place = builder.alloca(SHORT)
        fraction = builder.call(_declared(builder, name, [DOUBLE, SHORT.as_pointer()]), [values[0], place])
        return Number(fraction), Number(builder.sext(builder.load(place), INTEGER))
    raise NotCompilable(f"{name} of {len(arguments)} arguments is not known")


_INTRINSICS = {"exp": "llvm.exp", "log": "llvm.log", "sqrt": "llvm.sqrt", "abs": "llvm.fabs", "fabs": "llvm.fabs"}
_LIBRARY = ("log1p", "expm1", "tanh", "erf", "lgamma")


def _declared(builder: ir.IRBuilder, name: str, types: list[ir.Type]) -> ir.Function:
    """A function of the C library."""
    found = builder.module.globals.get(name)
    return found or ir.Function(builder.module, ir.FunctionType(DOUBLE, types), name)


def _chosen(builder: ir.IRBuilder, sign: str, first: Number, second: Number) -> Number:
    """As Python's min and max: the second only where it is smaller, or larger."""
    kind = INTEGER if first.type == second.type == INTEGER else DOUBLE
    a, b = to(builder, kind, first), to(builder, kind, second)
    holds = builder.icmp_signed(sign, b, a) if kind == INTEGER else builder.fcmp_ordered(sign, b, a)
    return Number(builder.select(holds, b, a))


Arithmetic: TypeAlias = Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value]


def arithmetic(builder: ir.IRBuilder, sign: str, left: Number, right: Number) -> Number:
    """One of + - * / // %, of which the first three and the last two keep integers."""
    if sign == "/" or DOUBLE in (left.type, right.type):
        a, b = to(builder, DOUBLE, left), to(builder, DOUBLE, right)
        operations = {"+": builder.fadd, "-": builder.fsub, "*": builder.fmul, "/": builder.fdiv}
        if sign not in operations:
            raise NotCompilable(f"{sign} of floats is not known")
        return Number(operations[sign](a, b, flags=FLAGS))
    a, b = to(builder, INTEGER, left), to(builder, INTEGER, right)
    if sign in ("+", "-", "*"):
        whole = {"+": builder.add, "-": builder.sub, "*": builder.mul}
        return Number(whole[sign](a, b, flags=("nsw",)))
    # Python rounds down; LLVM towards 0.
    quotient, rest = builder.sdiv(a, b), builder.srem(a, b)
    zero = ir.Constant(INTEGER, 0)
    below = builder.and_(builder.icmp_signed("!=", rest, zero), builder.icmp_signed("<", builder.xor(rest, b), zero))
    if sign == "//":
        return Number(builder.sub(quotient, builder.zext(below, INTEGER)))
    return Number(builder.add(rest, builder.select(below, b, zero)))


def compared(builder: ir.IRBuilder, sign: str, left: Number, right: Number) -> ir.Value:
    """Whether left stands so to right; nothing but != holds for NaN."""
    if DOUBLE in (left.type, right.type):
        a, b = to(builder, DOUBLE, left), to(builder, DOUBLE, right)
        return builder.fcmp_unordered(sign, a, b) if sign == "!=" else builder.fcmp_ordered(sign, a, b)
    return builder.icmp_signed(sign, to(builder, INTEGER, left), to(builder, INTEGER, right))
