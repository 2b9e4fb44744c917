"""What the loops of all layouts share: memory, vectors, and the environments of a program, as LLVM instructions.

Loops go in *chunks* of `LANES` values, one vector each. The last chunk of a range reaches back over the one before it,
so that every chunk is whole: what it repeats is left out of sums, and harmless elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from llvmlite import binding, ir
from numba.core import cgutils

from .batch import Column
from .program import Program, Step
from .recipes import Layout
from .scales import safe_scale
from .spec import Monoid
from .trace import DOUBLE, FLAGS, INTEGER, Symbol, as_double, constant, element_of, prefetch, unary

LANES = 16
SINGLE = ir.FloatType()
CACHE_LINE_BYTES = 64
AHEAD_BYTES = 2048
"""How far ahead of the loops memory is asked for: some 100 nanoseconds of the fastest of them."""

Value: TypeAlias = ir.Value


@dataclass(frozen=True)
class Arguments:
    """The arguments of a block function: int64 counts, and addresses as integers. See `kernels.py`."""

    rows: Value
    width: Value
    prediction: Value
    target: Value
    class_weights: Value
    numbers: Value
    bounds: Value
    scales: Value
    result: Value
    report: Value
    inputs: tuple[Value, ...] = ()


@dataclass
class Check:
    """A running answer, one integer of all bits set a lane, to whether all values lie between two bounds.

    `ends_only`: whether each is one of the two.
    """

    low: Value
    high: Value
    inside: Value
    ends_only: bool = False


class Writer:
    """What all layouts share: typed pointers, loops, vectors, and environments."""

    def __init__(self, builder: ir.IRBuilder, layout: Layout, program: Program, arguments: Arguments) -> None:
        prefer_wide_vectors(builder.function)
        self.builder, self.layout, self.program, self.arguments = builder, layout, program, arguments
        self.number = SINGLE if layout.dtype == "float32" else DOUBLE
        self.is_gradient, self.is_value = program.kind == "gradient", program.kind == "value"
        self.rows, self.width = arguments.rows, arguments.width
        self.predictions = self.pointer(arguments.prediction, self.number)
        self.targets = self.pointer(arguments.target, INTEGER if layout.sparse else self.number)
        self.inputs = [self.pointer(address, self.number) for address in arguments.inputs]
        self.class_weights = self.pointer(arguments.class_weights, DOUBLE)
        self.bounds = self.pointer(arguments.bounds, DOUBLE)
        self.scales = self.pointer(arguments.scales, DOUBLE)
        self.results = self.pointer(arguments.result, self.number if self.is_gradient else DOUBLE)
        self.report = self.pointer(arguments.report, DOUBLE)
        numbers = self.pointer(arguments.numbers, DOUBLE)
        self.numbers = tuple(self.load(numbers, whole(i)) for i in range(len(program.numbers)))
        self.numbers_shaped: dict[ir.Type, tuple[Value, ...]] = {DOUBLE: self.numbers}

    def write(self) -> None:
        raise NotImplementedError

    # ---- memory

    def pointer(self, address: Value, kind: ir.Type) -> Value:
        return self.builder.inttoptr(address, kind.as_pointer())

    def buffer(self, size: int, kind: ir.Type = DOUBLE) -> Value:
        """Memory on the stack: nothing else points there."""
        with self.builder.goto_entry_block():
            array = self.builder.alloca(ir.ArrayType(kind, size))
            array.align = 64
        return self.builder.bitcast(array, kind.as_pointer())

    def variable(self, start: Value) -> Value:
        """A number or vector that loops change."""
        return cgutils.alloca_once_value(self.builder, start)

    def load(self, pointer: Value, index: Value) -> Value:
        """The number at an index; float32 as float64."""
        return self.widened(self.builder.load(self.builder.gep(pointer, [index])))

    def store(self, pointer: Value, index: Value, value: Value) -> None:
        """Stores a number at an index, or a vector from there on; rounded where the memory is of float32."""
        kind = pointer.type.pointee
        place = self.builder.gep(pointer, [index])
        if isinstance(value.type, ir.VectorType):
            if value.type.element != kind:
                value = self.builder.fptrunc(value, ir.VectorType(kind, value.type.count))
            place = self.builder.bitcast(place, value.type.as_pointer())
        elif value.type != kind:
            value = self.builder.fptrunc(value, kind)
        self.builder.store(value, place, align=4 if kind == SINGLE else 8)

    def chunk(self, pointer: Value, start: Value, lanes: int = LANES) -> Value:
        """The vector from an index on, in the type that is stored there."""
        kind = pointer.type.pointee
        place = self.builder.bitcast(self.builder.gep(pointer, [start]), ir.VectorType(kind, lanes).as_pointer())
        return self.builder.load(place, align=size_of(kind))

    def streamed(self, pointer: Value, start: Value, lanes: int = LANES) -> Value:
        """The chunk from an index on, of data that is read in order: what comes a little later is asked for as well.

        Processors by themselves look no further than the end of a page of memory. Beyond the data it does nothing.
        """
        size = size_of(pointer.type.pointee)
        for offset in range(AHEAD_BYTES, AHEAD_BYTES + lanes * size, CACHE_LINE_BYTES):
            self.prefetch(pointer, self.builder.add(start, whole(offset // size)))
        return self.chunk(pointer, start, lanes)

    def prefetch(self, pointer: Value, index: Value) -> None:
        """Asks for what is at an index, which may be beyond the data."""
        place = self.builder.gep(pointer, [index])
        prefetch(self.builder, self.builder.bitcast(place, ir.PointerType()))

    def widened(self, value: Value) -> Value:
        if element_of(value.type) != SINGLE:
            return value
        return self.builder.fpext(value, vector(DOUBLE, value.type.count) if value.type != SINGLE else DOUBLE)

    # ---- loops

    @contextmanager
    def loop(self, count: Value) -> Iterator[Value]:
        with cgutils.for_range(self.builder, count) as loop:
            yield loop.index

    @contextmanager
    def chunks(self, size: Value, lanes: int = LANES, first: Value | None = None) -> Iterator[tuple[Value, Value]]:
        """(start of a chunk, how many of its values an earlier chunk had) for chunks that cover [first, size)."""
        builder = self.builder
        first = first or whole(0)
        left = builder.sub(size, first)
        with self.loop(builder.udiv(builder.add(left, whole(lanes - 1)), whole(lanes))) as k:
            end = builder.add(first, builder.mul(builder.add(k, whole(1)), whole(lanes)))
            held = self.smaller(end, size)
            yield builder.sub(held, whole(lanes)), builder.sub(end, held)

    def smaller(self, a: Value, b: Value) -> Value:
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def at(self, row: Value | int, width: Value | int, column: Value) -> Value:
        return self.builder.add(self.builder.mul(as_whole(row), as_whole(width)), column)

    # ---- vectors

    def splat(self, value: Value, lanes: int = LANES) -> Value:
        nothing, first = ir.Constant(vector(value.type, lanes), ir.Undefined), ir.IntType(32)(0)
        one = self.builder.insert_element(nothing, value, first)
        return self.builder.shuffle_vector(one, nothing, constant(vector(first.type, lanes), 0))

    def places(self, start: Value, lanes: int = LANES) -> Value:
        """start, start + 1, …"""
        steps = ir.Constant(vector(INTEGER, lanes), list(range(lanes)))
        return self.builder.add(self.splat(start, lanes), steps)

    def is_new(self, repeated: Value, lanes: int = LANES) -> Value:
        """Which lanes of a chunk no earlier chunk had."""
        steps = ir.Constant(vector(INTEGER, lanes), list(range(lanes)))
        return self.builder.icmp_signed(">=", steps, self.splat(repeated, lanes))

    def halves(self, value: Value) -> tuple[Value, Value]:
        """The lower and the upper half of the lanes."""
        half = value.type.count // 2
        kind, nothing = vector(ir.IntType(32), half), ir.Constant(value.type, ir.Undefined)
        lower, upper = list(range(half)), list(range(half, 2 * half))
        shuffle = self.builder.shuffle_vector
        return shuffle(value, nothing, ir.Constant(kind, lower)), shuffle(value, nothing, ir.Constant(kind, upper))

    def folded(self, value: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """All lanes as one number, by halves."""
        while value.type.count > 1:
            value = combine(*self.halves(value))
        return self.builder.extract_element(value, ir.IntType(32)(0))

    def one_if(self, condition: Value) -> Value:
        kind = vector(DOUBLE, condition.type.count) if isinstance(condition.type, ir.VectorType) else DOUBLE
        return self.builder.select(condition, constant(kind, 1.0), constant(kind, 0.0))

    def two_sum(self, a: Value, b: Value) -> tuple[Value, Value]:
        """a + b rounded, and the rounding error (Knuth)."""
        builder = self.builder
        total = builder.fadd(a, b)
        part = builder.fsub(total, a)
        error = builder.fadd(builder.fsub(a, builder.fsub(total, part)), builder.fsub(b, part))
        return total, error

    def whole_sum(self, totals: Value, rests: Value) -> Value:
        """All lanes, compensated; where they are not finite, the errors mean nothing."""
        builder = self.builder
        total, rest = builder.load(totals), builder.load(rests)
        while total.type.count > 1:
            total, error = self.two_sum(*self.halves(total))
            rest = builder.fadd(builder.fadd(*self.halves(rest)), error)
        total, rest = (builder.extract_element(value, ir.IntType(32)(0)) for value in (total, rest))
        return builder.select(builder.fcmp_ordered("ord", rest, rest), builder.fadd(total, rest), total)

    # ---- programs

    def environment(self, leading: Sequence[Value], folds: dict[str, Value]) -> tuple[Symbol, ...]:
        """What functions of a program are called with, in the shape of `leading`; folds not known yet are 0."""
        like = leading[0].type
        zero = constant(like, 0.0)

        def same(value: Value) -> Value:
            return value if value.type == like else self.splat(value, like.count)

        values = (*leading, *self.numbers_like(like), *(same(folds.get(s.name, zero)) for s in self.program.steps))
        return tuple(Symbol(self.builder, value) for value in values)

    def numbers_like(self, kind: ir.Type) -> tuple[Value, ...]:
        """The numbers in the shape of a type, made once, where the function begins: the rest is less to compile."""
        if kind not in self.numbers_shaped:
            with self.builder.goto_entry_block():
                self.numbers_shaped[kind] = tuple(self.splat(number, kind.count) for number in self.numbers)
        return self.numbers_shaped[kind]

    def call(self, function: Any, leading: Sequence[Value], folds: dict[str, Value]) -> Value:
        """A function of the environment; folds that are not known yet are not asked for."""
        return as_double(function(self.environment(leading, folds)), leading[0].type)

    def term(self, step: Step, leading: Sequence[Value], folds: dict[str, Value]) -> Value:
        value = self.call(step.term, leading, folds)
        return unary(self.builder, "llvm.fabs", value) if step.monoid is Monoid.SCALE else value

    def start(self, step: Step | None, lanes: int = LANES, kind: ir.Type = DOUBLE) -> Value:
        return constant(vector(kind, lanes), 0.0 if is_sum(step) else float("-inf"))

    def combine(self, step: Step, total: Value, value: Value) -> Value:
        """The monoid of the step. A NaN does not become the largest; the sums that follow are NaN by themselves."""
        return self.builder.fadd(total, value, flags=FLAGS) if is_sum(step) else self.larger(value, total)

    def larger(self, value: Value, total: Value) -> Value:
        return self.builder.select(self.builder.fcmp_ordered(">", value, total), value, total)

    def end(self, step: Step, value: Value) -> Value:
        if step.monoid is not Monoid.SCALE:
            return value
        return as_double(safe_scale(Symbol(self.builder, value)), value.type)  # type: ignore[arg-type]

    # ---- domains

    def check(self, first: int) -> Check:
        """A check against the bounds that begin at position `first`, in the type of the data."""
        lanes = self.check_lanes
        bits = vector(ir.IntType(32) if self.number == SINGLE else INTEGER, lanes)
        low, high = (self.bound(first + i) for i in range(2))
        return Check(self.splat(low, lanes), self.splat(high, lanes), self.variable(ir.Constant(bits, -1)))

    @property
    def check_lanes(self) -> int:
        """What 512 bits hold: answers of wider vectors would be joined first, at the cost of another instruction."""
        return 16 if self.number == SINGLE else 8

    def bound(self, position: int) -> Value:
        bound = self.load(self.bounds, whole(position))
        return self.builder.fptrunc(bound, SINGLE) if self.number == SINGLE else bound

    def look_at(self, check: Check, values: Value) -> None:
        if values.type.count > self.check_lanes:
            for half in self.halves(values):
                self.look_at(check, half)
            return
        self.remember(self.inside(check, values), check.inside)

    def inside(self, check: Check, values: Value) -> Value:
        builder, signs = self.builder, ("==", "==") if check.ends_only else (">=", "<=")
        answers = [
            builder.fcmp_ordered(sign, values, end) for sign, end in zip(signs, (check.low, check.high), strict=True)
        ]
        return (builder.or_ if check.ends_only else builder.and_)(*answers)

    def remember(self, answers: Value, variable: Value) -> None:
        """Clears the lanes of a variable whose answer is no."""
        before = self.builder.load(variable)
        self.builder.store(self.builder.and_(before, self.builder.sext(answers, before.type)), variable)

    def report_check(self, check: Check, column: Column) -> None:
        """Adds 1 to a column of the report if any value was outside."""
        inside = self.folded(self.builder.load(check.inside), self.builder.and_)
        self.add_to_report(column, self.one_if(self.builder.icmp_signed("==", inside, ir.Constant(inside.type, 0))))

    def add_to_report(self, column: Column, value: Value) -> None:
        before = self.load(self.report, whole(column))
        self.store(self.report, whole(column), self.builder.fadd(before, value))


def is_sum(step: Step | None) -> bool:
    """Whether a step, or a result where there is none, is added up."""
    return step is None or step.monoid in (Monoid.SUM, Monoid.TARGET_SUM)


def passes(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in groups: each needs only groups before its own, and has one condition, the first of all none."""
    found: dict[tuple[int, Any], list[Step]] = {(0, None): []}
    for step in steps:
        found.setdefault((step.level, step.when), []).append(step)
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def prefer_wide_vectors(function: ir.Function) -> None:
    """Lets LLVM use 512-bit vectors where the processor has them; it avoids them for some, since old ones slowed down.

    llvmlite only knows attributes without a value, and writes any text out as it is.
    """
    if binding.get_host_cpu_features().get("avx512f") and isinstance(function.attributes, set):
        set.add(function.attributes, '"prefer-vector-width"="512"')


def size_of(kind: ir.Type) -> int:
    """The bytes of one number."""
    if isinstance(kind, ir.IntType):
        return int(kind.width) // 8
    return 4 if kind == SINGLE else 8


def vector(kind: ir.Type, lanes: int) -> ir.VectorType:
    """The type of so many numbers of a kind."""
    return ir.VectorType(kind, lanes)


def whole(number: int) -> ir.Constant:
    """A constant of 64 bits."""
    return ir.Constant(INTEGER, int(number))


def as_whole(value: Value | int) -> Value:
    """An integer of the code, where it is one of Python."""
    return whole(value) if isinstance(value, int) else value
