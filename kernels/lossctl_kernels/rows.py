"""What the loops of programs whose folds go over each row have in common. See `writer.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from llvmlite import ir

from .batch import Column
from .loops import Flat
from .program import Step
from .recipes import SUM
from .reduce import BLOCK_ROWS
from .spec import Monoid
from .trace import DOUBLE, INTEGER, any_lane, constant, unary
from .writer import LANES, SINGLE, Value, Writer, vector, whole

ROW_COLUMNS = Column.BAD_PREDICTION_ROWS, Column.BAD_TARGET_ROWS


class Rows(Writer):
    """What all have in common: the terms at the target class, the checks of each row's sum, and the sum of the losses.

    Losses for which there is no place stay on the stack. Their sum goes into the report, as `SUM` makes it; `scales`
    are the weights, if there are any.
    """

    ends: Value
    """Room for the results of a group of rows."""

    def write(self) -> None:
        if not self.is_value:
            self.write_block()
            return
        builder, arguments = self.builder, self.arguments
        stored = builder.icmp_signed("!=", arguments.result, whole(0))
        self.results = builder.select(stored, self.results, self.buffer(BLOCK_ROWS))
        self.write_block()
        losses = builder.ptrtoint(self.results, INTEGER)
        total = builder.add(arguments.report, whole(8 * Column.SUM))
        of_losses = replace(arguments, width=whole(1), prediction=losses, target=losses, result=total)
        Flat(builder, SUM.layout, SUM.program, of_losses).write()

    def write_block(self) -> None:
        """The loops over all rows, and the checks of what they read."""
        raise NotImplementedError

    def is_at_target(self, step: Step) -> bool:
        return step.monoid is Monoid.TARGET_SUM and self.layout.at_target_only

    def is_single(self, step: Step) -> bool:
        """Whether a step has one term in a row."""
        return step.monoid is Monoid.ONCE or self.is_at_target(step)

    def of_row(self) -> list[Value]:
        """The environment of what is one number of a row: of arrays it has the inputs that are."""
        raise NotImplementedError

    def condition(self, steps: Sequence[Step], known: dict[str, Value]) -> Value | None:
        """Which of the rows at hand a pass is for; None for all."""
        when = steps[0].when if steps else None
        if when is None:
            return None
        answer = self.call(when, self.of_row(), known)
        return self.builder.fcmp_unordered("!=", answer, constant(answer.type, 0.0))

    @contextmanager
    def only_where(self, condition: Value | None) -> Iterator[None]:
        """Around instructions that are left out unless one of the rows at hand wants them."""
        if condition is None:
            yield
            return
        with self.builder.if_then(any_lane(self.builder, condition), likely=False):
            yield

    def kind(self, step: Step) -> ir.Type:
        return self.number if self.is_largest_prediction(step) else DOUBLE

    def is_largest_prediction(self, step: Step) -> bool:
        """Whether a fold is found among the predictions as they are stored, before they are made wider."""
        if step.monoid is not Monoid.MAX:
            return False
        environment = tuple(object() for _ in range(self.program.leading + len(self.numbers) + len(self.program.steps)))
        try:
            return step.term(environment) is environment[0]
        except TypeError:  # it computes
            return False

    def ends_leading(self, rows: Value) -> list[Value]:
        """The environment where one result a row is made: of arrays it has the inputs that have one number a row."""
        zero = constant(vector(DOUBLE, LANES), 0.0)
        inputs = [
            self.widened(self.gathered(pointer, rows)) if is_one_a_row else zero
            for pointer, is_one_a_row in zip(self.inputs, self.layout.row_inputs, strict=True)
        ]
        return [zero] * 4 + inputs

    def start_checks(self) -> None:
        """The checks of predictions and, where they are not class indices, of targets; gradients have none."""
        self.checks = [] if self.is_gradient else [self.check(0)]
        if self.checks and not self.layout.sparse:
            self.checks.append(self.check(2))

    def report_checks(self) -> None:
        for check, column in zip(self.checks, (Column.BAD_PREDICTIONS, Column.BAD_TARGETS), strict=False):
            self.report_check(check, column)

    def rows_of_group(self, first: Value, count: Value) -> tuple[Value, Value]:
        """(the rows of a group, which lanes have one). What the last group lacks repeats its first row.

        So every number is a real one.
        """
        lanes = self.places(whole(0))
        present = self.builder.icmp_signed("<", lanes, self.splat(count))
        held = self.builder.select(present, lanes, constant(lanes.type, 0))
        return self.builder.add(held, self.splat(first)), present

    @contextmanager
    def row_groups(self, rows: Value) -> Iterator[tuple[Value, Value]]:
        """(first row, number of rows) of each `LANES` rows; the last may have fewer."""
        builder = self.builder
        with self.loop(builder.udiv(builder.add(rows, whole(LANES - 1)), whole(LANES))) as group:
            first = builder.mul(group, whole(LANES))
            yield first, self.smaller(whole(LANES), builder.sub(rows, first))

    def gathered(self, pointer: Value, places: Value) -> Value:
        """The numbers at these places, in the type that is stored there."""
        builder, element = self.builder, pointer.type.pointee
        kind, addresses, truth = (vector(each, LANES) for each in (element, ir.PointerType(), ir.IntType(1)))
        size = 4 if element == SINGLE else 8
        offsets = builder.mul(places, constant(places.type, size))
        start = self.splat(builder.ptrtoint(pointer, INTEGER))
        name = f"llvm.masked.gather.v{LANES}{element.intrinsic_name}.v{LANES}p0"
        arguments = [addresses, ir.IntType(32), truth, kind]
        function = builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, arguments))
        pointers = builder.inttoptr(builder.add(start, offsets), addresses)
        every, nothing = constant(truth, 1), ir.Constant(kind, ir.Undefined)
        return builder.call(function, [pointers, ir.IntType(32)(size), every, nothing])

    def of_group(self, pointer: Value, first: Value, present: Value) -> Value:
        """One number of each row of a group, side by side in memory; 0 where there is no row."""
        builder, element = self.builder, pointer.type.pointee
        kind, truth = vector(element, LANES), vector(ir.IntType(1), LANES)
        name = f"llvm.masked.load.v{LANES}{element.intrinsic_name}.p0"
        function = builder.module.declare_intrinsic(
            name, (), ir.FunctionType(kind, [ir.PointerType(), ir.IntType(32), truth, kind])
        )
        place = builder.bitcast(builder.gep(pointer, [first]), ir.PointerType())
        size = 4 if element == SINGLE else 8
        return builder.call(function, [place, ir.IntType(32)(size), present, constant(kind, 0)])

    def store_ends(self, first: Value, count: Value, ends: Value) -> None:
        """Stores the results of a group of rows: all at once, but for the last group, which may have fewer."""
        builder = self.builder
        is_whole = builder.icmp_signed("==", count, whole(LANES))
        with builder.if_else(is_whole, likely=True) as (all_rows, some_rows):
            with all_rows:
                self.store(self.results, first, ends)
            with some_rows:
                self.store(self.ends, whole(0), ends)
                with self.loop(count) as place:
                    self.store(self.results, builder.add(first, place), self.load(self.ends, place))

    def count_off_one(self, totals: Value, new: Value, tolerance_at: int, column: Column) -> None:
        """Adds to a column of the report how many of these sums of rows are not 1."""
        builder, kind = self.builder, totals.type
        distance = unary(builder, "llvm.fabs", builder.fsub(totals, constant(kind, 1.0)))
        tolerance = self.splat(self.load(self.bounds, whole(tolerance_at)), kind.count)
        off = builder.and_(builder.fcmp_unordered(">", distance, tolerance), new)
        self.add_to_report(column, self.folded(self.one_if(off), builder.fadd))
