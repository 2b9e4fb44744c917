"""The loops around a program, for each layout of the data, as LLVM instructions.

The functions of a program write their own instructions (`trace.py`); here are the loops that they stand in. All of a
block function is written in one piece, so there is nothing to inline and little to compile. Four layouts:

- flat: one result a value; the program has no folds.
- terms: the terms of several folds over the data set, one after the other.
- along: folds along each row, for many classes.
- across: for few classes, where vectors along a row would be mostly empty: a tile of rows is transposed, and the inner
  loop goes over its rows.

Folds of one level do not need each other: one loop computes them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from .program import Program, Step
from .scales import safe_scale
from .spec import Monoid
from .trace import DOUBLE, FLAGS, INTEGER, Symbol, as_double, constant

__all__ = ["ACROSS_WIDTH", "TILE", "Arguments", "Layout", "write_block_function"]

TILE = 128
ACROSS_WIDTH = 64
SINGLE = ir.FloatType()
# Only where a sum is accumulated may the order change, so that it is vectorised.
ACCUMULATE = ("reassoc", "contract")

Value = ir.Value


@dataclass(frozen=True)
class Layout:
    """How a block function finds its data. `name` is flat, terms, along or across."""

    name: str
    dtype: str
    sparse: bool
    at_target_only: bool

    @property
    def key(self) -> str:
        return f"{self.name},{self.dtype},sparse={self.sparse},at={self.at_target_only}"


@dataclass(frozen=True)
class Arguments:
    """The arguments of a block function: int64 counts, and addresses as integers."""

    rows: Value
    width: Value
    prediction: Value
    target: Value
    class_weights: Value
    numbers: Value
    result: Value


def write_block_function(builder: ir.IRBuilder, layout: Layout, program: Program, arguments: Arguments) -> None:
    """Appends the loops of the layout to the function that `builder` is in."""
    _WRITERS[layout.name](builder, layout, program, arguments).write()


def levels(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in groups: each needs only groups before its own."""
    groups: list[list[Step]] = []
    for step in steps:
        while len(groups) <= step.level:
            groups.append([])
        groups[step.level].append(step)
    return groups


class _Writer:
    """What all layouts share: typed pointers, loops, and environments."""

    def __init__(self, builder: ir.IRBuilder, layout: Layout, program: Program, arguments: Arguments) -> None:
        self.builder, self.layout, self.program, self.arguments = builder, layout, program, arguments
        number = SINGLE if layout.dtype == "float32" else DOUBLE
        self.rows, self.width = arguments.rows, arguments.width
        self.predictions = self.pointer(arguments.prediction, number)
        self.targets = self.pointer(arguments.target, INTEGER if layout.sparse else number)
        self.class_weights = self.pointer(arguments.class_weights, DOUBLE)
        self.results = self.pointer(arguments.result, DOUBLE)
        numbers = self.pointer(arguments.numbers, DOUBLE)
        self.numbers = tuple(self.load(numbers, whole(i)) for i in range(len(program.numbers)))

    def write(self) -> None:
        raise NotImplementedError

    def pointer(self, address: Value, kind: ir.Type) -> Value:
        return self.builder.inttoptr(address, kind.as_pointer())

    def buffer(self, size: int, kind: ir.Type = DOUBLE) -> Value:
        """Memory on the stack: nothing else points there."""
        with self.builder.goto_entry_block():
            array = self.builder.alloca(ir.ArrayType(kind, size))
        return self.builder.bitcast(array, kind.as_pointer())

    @contextmanager
    def loop(self, count: Value) -> Iterator[Value]:
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index

    def at(self, *parts: Value | int) -> Value:
        """The sum of products pairwise: at(a, b, c) is a * b + c."""
        builder = self.builder
        row, width, column = parts
        return builder.add(builder.mul(as_whole(row), as_whole(width)), as_whole(column))

    def load(self, pointer: Value, index: Value) -> Value:
        """The number at an index; float32 as float64."""
        value = self.builder.load(self.builder.gep(pointer, [index]))
        return self.builder.fpext(value, DOUBLE) if value.type == SINGLE else value

    def store(self, pointer: Value, index: Value, value: Value) -> None:
        self.builder.store(value, self.builder.gep(pointer, [index]))

    def call(self, function: Any, leading: Sequence[Value], folds: dict[str, Value]) -> Value:
        """A function of the environment; folds that are not known yet are 0, and not asked for."""
        later = [folds.get(step.name, constant(DOUBLE, 0.0)) for step in self.program.steps]
        environment = tuple(Symbol(self.builder, value) for value in (*leading, *self.numbers, *later))
        return as_double(self.builder, function(environment))

    def term(self, step: Step, leading: Sequence[Value], folds: dict[str, Value]) -> Value:
        value = self.call(step.term, leading, folds)
        return self.unary("llvm.fabs", value) if step.monoid is Monoid.SCALE else value

    def unary(self, name: str, value: Value) -> Value:
        return self.builder.call(self.builder.module.declare_intrinsic(name, [DOUBLE]), [value])

    def is_sum(self, step: Step) -> bool:
        return step.monoid in (Monoid.SUM, Monoid.TARGET_SUM)

    def is_at_target(self, step: Step) -> bool:
        return step.monoid is Monoid.TARGET_SUM and self.layout.at_target_only

    def start(self, step: Step) -> Value:
        return constant(DOUBLE, 0.0 if self.is_sum(step) else float("-inf"))

    def combine(self, step: Step, total: Value, value: Value, flags: tuple[str, ...] = FLAGS) -> Value:
        """The monoid of the step. A NaN does not become the largest; the sums that follow are NaN by themselves."""
        if self.is_sum(step):
            return self.builder.fadd(total, value, flags=flags)
        kind = ir.FunctionType(DOUBLE, [DOUBLE, DOUBLE])
        return self.builder.call(self.builder.module.declare_intrinsic("llvm.maxnum", [DOUBLE], kind), [total, value])

    def end(self, step: Step, value: Value) -> Value:
        if step.monoid is not Monoid.SCALE:
            return value
        return as_double(self.builder, safe_scale(Symbol(self.builder, value)))  # type: ignore[arg-type]

    def one_if(self, condition: Value) -> Value:
        return self.builder.select(condition, constant(DOUBLE, 1.0), constant(DOUBLE, 0.0))

    def as_float(self, index: Value) -> Value:
        return self.builder.sitofp(index, DOUBLE)


NOTHING = [constant(DOUBLE, 0.0)] * 4


class _Flat(_Writer):
    def write(self) -> None:
        with self.loop(self.builder.mul(self.rows, self.width)) as i:
            leading = [self.load(self.predictions, i), self.load(self.targets, i), *NOTHING[:1], constant(DOUBLE, 1.0)]
            self.store(self.results, i, self.call(self.program.finish, leading, {}))


class _Terms(_Writer):
    def write(self) -> None:
        size = self.builder.mul(self.rows, self.width)
        for position, step in enumerate(self.program.steps):
            with self.loop(size) as i:
                leading = [self.load(self.predictions, i), self.load(self.targets, i), *NOTHING[:1], constant(DOUBLE, 1.0)]
                self.store(self.results, self.at(size, position, i), self.call(step.term, leading, {}))


class _Along(_Writer):
    def write(self) -> None:
        with self.loop(self.rows) as row:
            label = self.load(self.targets, row) if self.layout.sparse else None
            folds: dict[str, Value] = {}
            for level in levels(self.program.steps):
                known = dict(folds)
                self.run_level([step for step in level if not self.is_at_target(step)], row, label, known, folds)
                for step in level:
                    if self.is_at_target(step):
                        folds[step.name] = self.term(step, self.leading(row, label, label), known)
            if self.program.kind == "value":
                self.store(self.results, row, self.call(self.program.finish, NOTHING, folds))
            else:
                with self.loop(self.width) as c:
                    gradient = self.call(self.program.finish, self.leading(row, c, label), folds)
                    self.store(self.results, self.at(row, self.width, c), gradient)

    def leading(self, row: Value, c: Value, label: Value | None) -> list[Value]:
        place = self.at(row, self.width, c)
        if label is None:
            target = self.load(self.targets, place)
        else:
            target = self.one_if(self.builder.icmp_signed("==", c, label))
        return [self.load(self.predictions, place), target, self.as_float(c), self.load(self.class_weights, c)]

    def run_level(
        self, steps: list[Step], row: Value, label: Value | None, known: dict[str, Value], folds: dict[str, Value]
    ) -> None:
        if not steps:
            return
        totals = {step.name: cgutils.alloca_once(self.builder, DOUBLE) for step in steps}
        for step in steps:
            self.builder.store(self.start(step), totals[step.name])
        with self.loop(self.width) as c:
            leading = self.leading(row, c, label)
            for step in steps:
                value = self.term(step, leading, known)
                total = self.builder.load(totals[step.name])
                self.builder.store(self.combine(step, total, value, ACCUMULATE), totals[step.name])
        for step in steps:
            folds[step.name] = self.end(step, self.builder.load(totals[step.name]))


class _Across(_Writer):
    def write(self) -> None:
        size = ACROSS_WIDTH * TILE
        self.tile = self.buffer(size)
        self.target_tile = self.buffer(TILE, INTEGER) if self.layout.sparse else self.buffer(size)
        self.folds = {step.name: self.buffer(TILE) for step in self.program.steps}
        self.ends = self.buffer(TILE if self.program.kind == "value" else size)
        tiles = self.builder.udiv(self.builder.add(self.rows, whole(TILE - 1)), whole(TILE))
        with self.loop(tiles) as tile:
            first = self.builder.mul(tile, whole(TILE))
            left = self.builder.sub(self.rows, first)
            full = self.builder.icmp_signed(">=", left, whole(TILE))
            count = self.builder.select(full, whole(TILE), left)
            self.fill_tile(first, count)
            for level in levels(self.program.steps):
                self.run_level(level)
            self.finish(first, count)

    def fill_tile(self, first: Value, count: Value) -> None:
        """The tile, transposed. What the last one lacks repeats its first row, so that every number is a real one."""
        with self.loop(whole(TILE)) as r:
            present = self.builder.icmp_signed("<", r, count)
            row = self.builder.add(first, self.builder.select(present, r, whole(0)))
            if self.layout.sparse:
                self.store(self.target_tile, r, self.load(self.targets, row))
            with self.loop(self.width) as c:
                here, there = self.at(c, TILE, r), self.at(row, self.width, c)
                self.store(self.tile, here, self.load(self.predictions, there))
                if not self.layout.sparse:
                    self.store(self.target_tile, here, self.load(self.targets, there))

    def known(self, r: Value, level: int) -> dict[str, Value]:
        """The folds of the levels before this one, for row r of the tile."""
        return {step.name: self.load(self.folds[step.name], r) for step in self.program.steps if step.level < level}

    def leading(self, c: Value, r: Value) -> list[Value]:
        place = self.at(c, TILE, r)
        if self.layout.sparse:
            target = self.one_if(self.builder.icmp_signed("==", c, self.load(self.target_tile, r)))
        else:
            target = self.load(self.target_tile, place)
        return [self.load(self.tile, place), target, self.as_float(c), self.load(self.class_weights, c)]

    def run_level(self, level: list[Step]) -> None:
        looped = [step for step in level if not self.is_at_target(step)]
        for step in looped:
            with self.loop(whole(TILE)) as r:
                self.store(self.folds[step.name], r, self.start(step))
        if looped:
            with self.loop(self.width) as c, self.loop(whole(TILE)) as r:
                known = self.known(r, level[0].level)
                leading = self.leading(c, r)
                for step in looped:
                    total = self.load(self.folds[step.name], r)
                    value = self.term(step, leading, known)
                    self.store(self.folds[step.name], r, self.combine(step, total, value))
        for step in level:
            with self.loop(whole(TILE)) as r:
                if self.is_at_target(step):
                    label = self.load(self.target_tile, r)
                    value = self.term(step, self.leading(label, r), self.known(r, step.level))
                elif step.monoid is Monoid.SCALE:
                    value = self.end(step, self.load(self.folds[step.name], r))
                else:
                    continue
                self.store(self.folds[step.name], r, value)

    def finish(self, first: Value, count: Value) -> None:
        if self.program.kind == "value":
            with self.loop(whole(TILE)) as r:
                self.store(self.ends, r, self.call(self.program.finish, NOTHING, self.known(r, LAST)))
            with self.loop(count) as r:
                self.store(self.results, self.builder.add(first, r), self.load(self.ends, r))
            return
        with self.loop(self.width) as c, self.loop(whole(TILE)) as r:
            gradient = self.call(self.program.finish, self.leading(c, r), self.known(r, LAST))
            self.store(self.ends, self.at(c, TILE, r), gradient)
        with self.loop(count) as r, self.loop(self.width) as c:
            place = self.at(self.builder.add(first, r), self.width, c)
            self.store(self.results, place, self.load(self.ends, self.at(c, TILE, r)))


LAST = 1 << 30
_WRITERS = {"flat": _Flat, "terms": _Terms, "along": _Along, "across": _Across}


def whole(number: int) -> ir.Constant:
    return ir.Constant(INTEGER, number)


def as_whole(value: Value | int) -> Value:
    return whole(value) if isinstance(value, int) else value
