"""Expressions of row functions as LLVM instructions: see `row_writer.py`."""

from __future__ import annotations

import ast
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import FunctionType
from typing import Any

from llvmlite import ir

from .row_values import (
    BOOLEAN,
    Array,
    NotCompilable,
    Number,
    Value,
    arithmetic,
    common,
    compared,
    constant,
    elementary,
    load,
    read,
    slots_for,
    to,
    truth,
    write,
)
from .trace import DOUBLE, INTEGER

ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}
COMPARISONS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
CONVERSIONS = {"float": DOUBLE, "int": INTEGER, "bool": BOOLEAN}
AT_HAND = (ast.IfExp, ast.Compare, ast.UnaryOp, ast.Name, ast.Constant, ast.unaryop, ast.cmpop, ast.expr_context)
"""What expressions consist of that take no time, so that a choice between them needs no branch."""


class Expressions(ABC):
    """What expressions of `function` are worth, where `builder` stands. Each method is of one kind of node."""

    def __init__(self, builder: ir.IRBuilder, function: Callable[..., Any]) -> None:
        self.builder, self._function = builder, function
        self._variables: dict[str, Any] = {}

    @abstractmethod
    def _call(self, function: Callable[..., Any], arguments: list[Value]) -> Value:
        """The result of another plain function."""

    def _refuse(self, node: ast.AST, what: str) -> NotCompilable:
        line = getattr(node, "lineno", self._function.__code__.co_firstlineno)
        return NotCompilable(f"{self._function.__qualname__}, line {line}: {what}")

    def _number(self, node: ast.expr) -> Number:
        value = self._value(node)
        if not isinstance(value, Number):
            raise self._refuse(node, "an array or tuple where a number is needed")
        return value

    def _value(self, node: ast.expr) -> Value:
        return getattr(self, f"_of_{type(node).__name__}", self._of_unknown)(node)

    def _of_unknown(self, node: ast.expr) -> Value:
        raise self._refuse(node, f"{type(node).__name__} is not known")

    def _of_Constant(self, node: ast.Constant) -> Value:
        return self._known(node.value, node)

    def _known(self, value: Any, node: ast.AST) -> Value:
        """A number that Python knows."""
        if not isinstance(value, bool | int | float):
            raise self._refuse(node, f"{value!r} is no number")
        return constant(value)

    def _of_Name(self, node: ast.Name) -> Value:
        if node.id in self._variables:
            return read(self.builder, self._variables[node.id])
        return self._known(self._function.__globals__.get(node.id), node)

    def _of_Attribute(self, node: ast.Attribute) -> Value:
        if self._is_math(node.value):
            return self._known(getattr(math, node.attr), node)
        array = self._value(node.value)
        if isinstance(array, Array) and node.attr == "shape":
            return tuple(Number(size) for size in array.shape)
        if isinstance(array, Array) and node.attr == "size":
            return Number(self._size(array.shape))
        raise self._refuse(node, f"{node.attr} is not known")

    def _is_math(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and self._function.__globals__.get(node.id) is math

    def _of_Tuple(self, node: ast.Tuple) -> Value:
        return tuple(self._value(part) for part in node.elts)

    def _of_BinOp(self, node: ast.BinOp) -> Value:
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            left, right = (truth(self.builder, self._number(side)) for side in (node.left, node.right))
            join = self.builder.and_ if isinstance(node.op, ast.BitAnd) else self.builder.or_
            return Number(join(left, right))
        if type(node.op) not in ARITHMETIC:
            raise self._refuse(node, f"{type(node.op).__name__} is not known")
        sides = self._number(node.left), self._number(node.right)
        return arithmetic(self.builder, ARITHMETIC[type(node.op)], *sides)

    def _of_UnaryOp(self, node: ast.UnaryOp) -> Value:
        number = self._number(node.operand)
        if isinstance(node.op, ast.Not):
            return Number(self.builder.not_(truth(self.builder, number)))
        if not isinstance(node.op, ast.USub):
            raise self._refuse(node, f"{type(node.op).__name__} is not known")
        if isinstance(number.value, ir.Constant):
            return constant(-number.value.constant)
        return Number(self.builder.fneg(number.value) if number.type == DOUBLE else self.builder.neg(number.value))

    def _of_Compare(self, node: ast.Compare) -> Value:
        sides = [self._number(side) for side in (node.left, *node.comparators)]
        holds = None
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if type(operator) not in COMPARISONS:
                raise self._refuse(node, f"{type(operator).__name__} is not known")
            one = compared(self.builder, COMPARISONS[type(operator)], left, right)
            holds = one if holds is None else self.builder.and_(holds, one)
        return Number(holds)

    def _of_BoolOp(self, node: ast.BoolOp) -> Value:
        """The right side is only looked at where it matters."""
        is_and, holds = isinstance(node.op, ast.And), truth(self.builder, self._number(node.values[0]))
        for side in node.values[1:]:
            before = self.builder.block
            further, after = (self.builder.function.append_basic_block() for _ in range(2))
            self.builder.cbranch(holds, *((further, after) if is_and else (after, further)))
            self.builder.position_at_end(further)
            right = truth(self.builder, self._number(side))
            end = self.builder.block
            self.builder.branch(after)
            self.builder.position_at_end(after)
            found = self.builder.phi(BOOLEAN)
            found.add_incoming(ir.Constant(BOOLEAN, int(not is_and)), before)
            found.add_incoming(right, end)
            holds = found
        return Number(holds)

    def _of_IfExp(self, node: ast.IfExp) -> Value:
        if all(isinstance(part, AT_HAND) for part in ast.walk(node)):
            return self._selected(node)
        holds = truth(self.builder, self._number(node.test))
        then, other, after = (self.builder.function.append_basic_block() for _ in range(3))
        self.builder.cbranch(holds, then, other)
        self.builder.position_at_end(other)
        otherwise, other_end = self._value(node.orelse), self.builder.block
        self.builder.position_at_end(then)
        value = self._value(node.body)
        slots = slots_for(self.builder, common(self.builder, value, otherwise))
        write(self.builder, slots, value)
        self.builder.branch(after)
        self.builder.position_at_end(other_end)
        write(self.builder, slots, otherwise)
        self.builder.branch(after)
        self.builder.position_at_end(after)
        return read(self.builder, slots)

    def _selected(self, node: ast.IfExp) -> Value:
        """Of two numbers that are at hand: no branch, which LLVM would first have to recognise as this."""
        holds = truth(self.builder, self._number(node.test))
        value, otherwise = self._number(node.body), self._number(node.orelse)
        kind = common(self.builder, value, otherwise).type  # type: ignore[union-attr]
        return Number(self.builder.select(holds, to(self.builder, kind, value), to(self.builder, kind, otherwise)))

    def _of_Call(self, node: ast.Call) -> Value:
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise self._refuse(node, "arguments by name")
        if isinstance(node.func, ast.Attribute):
            if not self._is_math(node.func.value):
                raise self._refuse(node, f"{node.func.attr} is not known")
            return elementary(self.builder, node.func.attr, [self._number(argument) for argument in node.args])
        name = getattr(node.func, "id", "")
        called = self._function.__globals__.get(name)
        if isinstance(called, FunctionType):
            return self._call(called, [self._value(argument) for argument in node.args])
        numbers = [self._number(argument) for argument in node.args]
        if name in CONVERSIONS:
            return Number(to(self.builder, CONVERSIONS[name], numbers[0]))
        return elementary(self.builder, name, numbers)

    # ---- places in arrays

    def _of_Subscript(self, node: ast.Subscript) -> Value:
        whole = self._value(node.value)
        if isinstance(whole, tuple):
            index = self._number(node.slice).value
            if not isinstance(index, ir.Constant):
                raise self._refuse(node, "a place of a tuple that is not constant")
            return whole[index.constant]  # type: ignore[no-any-return]
        place = self._place(node)
        return place if isinstance(place, Array) else load(self.builder, *place)

    def _place(self, node: ast.Subscript) -> Array | tuple[Array, ir.Value]:
        """A part of an array, or (array, where in it an element is)."""
        array = self._value(node.value)
        if not isinstance(array, Array):
            raise self._refuse(node, "a place of what is no array")
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if isinstance(parts[0], ast.Slice):
            return self._slice(array, parts[0])
        offset: ir.Value = ir.Constant(INTEGER, 0)
        for axis, part in enumerate(parts):
            index = to(self.builder, INTEGER, self._number(part))
            before = self.builder.mul(offset, array.shape[axis], flags=("nsw",))
            offset = self.builder.add(before, index, flags=("nsw",))
        rest = array.shape[len(parts) :]
        if not rest:
            return array, offset
        start = self.builder.mul(offset, self._size(rest), flags=("nsw",))
        return Array(array.dtype, self.builder.gep(array.pointer, [start], inbounds=True), rest)

    def _slice(self, array: Array, part: ast.Slice) -> Array:
        """Consecutive places of the first axis; the ends are within the array."""
        if part.step is not None:
            raise self._refuse(part, "a slice with a step")
        start = ir.Constant(INTEGER, 0) if part.lower is None else self._number(part.lower).value
        stop = array.shape[0] if part.upper is None else self._number(part.upper).value
        begins = self.builder.mul(start, self._size(array.shape[1:]), flags=("nsw",))
        pointer = self.builder.gep(array.pointer, [begins], inbounds=True)
        return Array(array.dtype, pointer, (self.builder.sub(stop, start, flags=("nsw",)), *array.shape[1:]))

    def _size(self, shape: tuple[ir.Value, ...]) -> ir.Value:
        size: ir.Value = ir.Constant(INTEGER, 1)
        for length in shape:
            size = self.builder.mul(size, length, flags=("nsw",))
        return size
