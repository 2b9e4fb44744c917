"""The loops of programs that take one value at a time: a result for each, and sums over all of them. See `writer.py`.

Sums go through a fixed number of lanes in a fixed order, whatever the processor: 16 additions, then compensated ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from .batch import Column
from .program import Step
from .trace import DOUBLE, FLAGS, constant, unary
from .writer import LANES, Check, Value, Writer, is_sum, vector, whole

PIECE_CHUNKS = 16


class Flat(Writer):
    """One result a value: stored, where there is a place for it, and summed; or the folds over all values.

    `scales` has one factor a value, of a gradient or of what is summed; without them they are 1. The sum goes into the
    report, the folds to the place for results.
    """

    def write(self) -> None:
        builder, arguments = self.builder, self.arguments
        self.size = builder.mul(self.rows, self.width)
        self.is_short = builder.icmp_signed("<", self.size, whole(LANES))
        self.scaled = builder.icmp_signed("!=", arguments.scales, whole(0))
        self.stored = builder.icmp_signed("!=", arguments.result, whole(0))
        self.sources = [self.source(pointer) for pointer in (self.predictions, self.targets, *self.inputs)]
        ones, self.short_results = self.buffer(LANES), self.buffer(LANES, self.results.type.pointee)
        with self.loop(whole(LANES)) as lane:
            self.store(ones, lane, constant(DOUBLE, 1.0))
        self.scale_source = builder.select(self.scaled, self.source(self.scales, self.scaled), ones)
        shifted = builder.gep(self.short_results, [builder.sub(whole(LANES), self.size)])
        self.destination = builder.select(self.is_short, shifted, self.results)
        if self.is_gradient:
            with self.chunks(self.size) as (start, _):
                gradient = self.call(self.program.finish, self.leading(start), {})
                self.store(self.destination, start, builder.fmul(gradient, self.scale(start)))
        else:
            self.reduce()
        if self.program.kind != "folds":
            self.copy_short_results()

    def source(self, pointer: Value, present: Value | None = None) -> Value:
        """Where chunks are read: the data, or if that is no whole chunk a copy, its first value repeated before it."""
        builder = self.builder
        copy = self.buffer(LANES, pointer.type.pointee)
        missing = builder.sub(whole(LANES), self.size)
        short = builder.and_(self.is_short, present) if present else self.is_short
        with builder.if_then(short, likely=False), self.loop(whole(LANES)) as lane:
            place = builder.sub(lane, missing)
            before = builder.icmp_signed("<", place, whole(0))
            value = builder.load(builder.gep(pointer, [builder.select(before, whole(0), place)]))
            builder.store(value, builder.gep(copy, [lane]))
        return builder.select(self.is_short, builder.gep(copy, [missing]), pointer)

    def copy_short_results(self) -> None:
        builder = self.builder
        with builder.if_then(builder.and_(self.is_short, self.stored), likely=False), self.loop(self.size) as i:
            self.builder.store(builder.load(builder.gep(self.destination, [i])), builder.gep(self.results, [i]))

    def leading(self, start: Value, checks: Sequence[Check] = ()) -> list[Value]:
        raw = [self.streamed(source, start) for source in self.sources]
        for check, values in zip(checks, raw, strict=False):
            self.look_at(check, values)
        nothing = constant(vector(DOUBLE, LANES), 0.0), constant(vector(DOUBLE, LANES), 1.0)
        prediction, target, *inputs = (self.widened(values) for values in raw)
        return [prediction, target, *nothing, *inputs]

    def scale(self, start: Value) -> Value:
        return self.chunk(self.scale_source, self.builder.select(self.scaled, start, whole(0)))

    def reduce(self) -> None:
        """The sums and largest magnitudes over all values, in pieces of 16 chunks, with the checks of the domains."""
        builder, steps = self.builder, self.program.steps or (None,)
        checks = [self.check(0), self.check(2)] if self.layout.checked else []
        totals = [self.variable(self.start(step)) for step in steps]
        rests = [self.variable(constant(vector(DOUBLE, LANES), 0.0)) for _ in steps]
        piece_size = PIECE_CHUNKS * LANES
        with self.loop(builder.udiv(builder.add(self.size, whole(piece_size - 1)), whole(piece_size))) as piece:
            first = builder.mul(piece, whole(piece_size))
            end = self.smaller(builder.add(first, whole(piece_size)), self.size)
            partial = [self.variable(self.start(step)) for step in steps]
            with self.chunks(end, first=first) as (start, repeated):
                leading, new = self.leading(start, checks), self.is_new(repeated)
                for step, variable in zip(steps, partial, strict=True):
                    value = self.result_or_term(step, leading, start)
                    builder.store(self.accumulated(step, builder.load(variable), value, start, new), variable)
            for step, variable, total, rest in zip(steps, partial, totals, rests, strict=True):
                self.add_piece(step, builder.load(variable), total, rest)
        for check, column in zip(checks, (Column.BAD_PREDICTIONS, Column.BAD_TARGETS), strict=False):
            self.report_check(check, column)
        for position, (step, total, rest) in enumerate(zip(steps, totals, rests, strict=True)):
            value = self.whole_sum(total, rest) if is_sum(step) else self.folded(builder.load(total), self.larger)
            self.store(*((self.results, whole(position)) if step else (self.report, whole(Column.SUM))), value)

    def result_or_term(self, step: Step | None, leading: Sequence[Value], start: Value) -> Value:
        if step:
            return self.term(step, leading, {})
        value = self.call(self.program.finish, leading, {})
        place = self.builder.select(self.stored, self.destination, self.short_results)
        self.store(place, self.builder.select(self.stored, start, whole(0)), value)
        return value

    def accumulated(self, step: Step | None, total: Value, value: Value, start: Value, new: Value) -> Value:
        if not is_sum(step):
            return self.larger(value, total)
        scaled = self.builder.fmul(value, self.scale(start), flags=FLAGS)
        return self.builder.select(new, self.builder.fadd(total, scaled, flags=FLAGS), total)

    def add_piece(self, step: Step | None, piece: Value, total: Value, rest: Value) -> None:
        builder, before = self.builder, self.builder.load(total)
        if not is_sum(step):
            builder.store(self.larger(piece, before), total)
            return
        after, error = self.two_sum(before, piece)
        builder.store(after, total)
        builder.store(builder.fadd(builder.load(rest), error), rest)


class Extremes(Flat):
    """The lowest and highest of the predictions, NaN aside, and how many are positive or not finite, for the report."""

    def write(self) -> None:
        builder = self.builder
        self.size = self.rows
        self.is_short = builder.icmp_signed("<", self.size, whole(LANES))
        source = self.source(self.predictions)
        kind = vector(DOUBLE, LANES)
        infinity = constant(kind, float("inf"))
        low, high = self.variable(infinity), self.variable(constant(kind, float("-inf")))
        positive, finite = (self.variable(constant(kind, 0.0)) for _ in range(2))
        with self.chunks(self.size) as (start, repeated):
            values, new = self.chunk(source, start), self.is_new(repeated)
            builder.store(self.larger(values, builder.load(high)), high)
            builder.store(self.lower(values, builder.load(low)), low)
            for count, condition in (
                (positive, builder.fcmp_ordered(">", values, constant(kind, 0.0))),
                (finite, builder.fcmp_ordered("<", unary(builder, "llvm.fabs", values), infinity)),
            ):
                one = self.one_if(builder.and_(condition, new))
                builder.store(builder.fadd(builder.load(count), one), count)
        self.store(self.report, whole(Column.LOWEST), self.folded(builder.load(low), self.lower))
        self.store(self.report, whole(Column.HIGHEST), self.folded(builder.load(high), self.larger))
        self.store(self.report, whole(Column.POSITIVE), self.folded(builder.load(positive), builder.fadd))
        there = builder.uitofp(self.size, DOUBLE)
        finite_count = self.folded(builder.load(finite), builder.fadd)
        self.store(self.report, whole(Column.NONFINITE), builder.fsub(there, finite_count))

    def lower(self, value: Value, total: Value) -> Value:
        return self.builder.select(self.builder.fcmp_ordered("<", value, total), value, total)
