"""The loops of rows that are long: a vector goes along the row. See `rows.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from .program import Step
from .rows import ROW_COLUMNS, Rows
from .spec import Monoid
from .trace import DOUBLE, any_lane, constant
from .writer import LANES, Value, is_sum, passes, vector, whole

MAX_LANES = 32
SHORT = 200
"""Instructions of a chunk that are worth writing twice."""


class Along(Rows):
    """Chunks of a row, which is at least `MAX_LANES` long. Results of one a row are made for `LANES` rows at once."""

    def write_block(self) -> None:
        builder = self.builder
        self.start_checks()
        self.kept = {step.name: self.buffer(LANES) for step in self.program.steps}
        self.row_sums = [self.buffer(LANES) for _ in range(2)]
        self.ends = self.buffer(LANES)
        with self.row_groups(self.rows) as (first, count):
            with self.loop(count) as place:
                self.write_row(builder.add(first, place), place)
            if self.is_value:
                self.finish(first, count)
        self.report_checks()

    def write_row(self, row: Value, place: Value) -> None:
        self.row = row
        self.label = self.load(self.targets, row) if self.layout.sparse else None
        self.row_values = [
            self.load(pointer, row) if is_one_a_row else None
            for pointer, is_one_a_row in zip(self.inputs, self.layout.row_inputs, strict=True)
        ]
        folds: dict[str, Value] = {}
        for number, steps in enumerate(passes(self.program.steps)):
            known = dict(folds)
            looped = [step for step in steps if not self.is_single(step)]
            self.run_pass(looped, known, folds, place if number == 0 else None)
            for step in steps:
                if self.is_single(step):
                    leading = self.at_label() if self.is_at_target(step) else self.of_row()
                    folds[step.name] = self.term(step, leading, known)
        if self.is_value:
            for name, value in folds.items():
                self.store(self.kept[name], place, value)
            return
        scale = self.splat(self.load(self.scales, row))
        with self.chunks(self.width) as (start, _):
            gradient = self.call(self.program.finish, self.leading(start, LANES), folds)
            self.store(self.results, self.at(row, self.width, start), self.builder.fmul(gradient, scale))

    def of_row(self) -> list[Value]:
        zero = constant(DOUBLE, 0.0)
        return [zero] * 4 + [zero if value is None else value for value in self.row_values]

    def at_label(self) -> list[Value]:
        """The environment at the target class alone, as plain numbers."""
        label = self.label
        place = self.at(self.row, self.width, label)
        index = self.builder.sitofp(label, DOUBLE)
        inputs = [
            self.load(pointer, place) if value is None else value
            for pointer, value in zip(self.inputs, self.row_values, strict=True)
        ]
        own = self.load(self.predictions, place), constant(DOUBLE, 1.0), index, self.load(self.class_weights, label)
        return [*own, *inputs]

    def leading(self, start: Value, lanes: int) -> list[Value]:
        place = self.at(self.row, self.width, start)
        columns = self.places(start, lanes)
        if self.label is None:
            target = self.widened(self.chunk(self.targets, place, lanes))
        else:
            target = self.one_if(self.builder.icmp_signed("==", columns, self.splat(self.label, lanes)))
        index = self.builder.sitofp(columns, vector(DOUBLE, lanes))
        prediction = self.widened(self.chunk(self.predictions, place, lanes))
        inputs = [
            self.widened(self.chunk(pointer, place, lanes)) if value is None else self.splat(value, lanes)
            for pointer, value in zip(self.inputs, self.row_values, strict=True)
        ]
        return [prediction, target, index, self.chunk(self.class_weights, start, lanes), *inputs]

    def look_at_chunk(self, start: Value, new: Value, sums: Sequence[Value], lanes: int) -> None:
        """Checks the values of a chunk, and adds to the sums that have to be 1."""
        builder = self.builder
        for source, check, total, has_unit_rows in zip(
            (self.predictions, self.targets), self.checks, sums, self.layout.unit_rows, strict=False
        ):
            values = self.chunk_to_check(source, self.at(self.row, self.width, start), lanes)
            self.look_at(check, values)
            if has_unit_rows:
                before = builder.load(total)
                after = builder.fadd(before, self.widened(values))
                builder.store(builder.select(new, after, before), total)

    def chunk_to_check(self, pointer: Value, start: Value, lanes: int) -> Value:
        return self.chunk(pointer, start, lanes)

    def run_pass(
        self, steps: Sequence[Step], known: dict[str, Value], folds: dict[str, Value], place: Value | None = None
    ) -> None:
        """One pass over the row, if it is wanted: folds and, where there is a place for their results, checks."""
        lanes = self.pass_lanes(steps)
        totals = {step.name: self.variable(self.start(step, lanes, self.kind(step))) for step in steps}
        checked = place is not None and bool(self.checks)
        if not steps and not checked:
            return
        sums = [self.variable(constant(vector(DOUBLE, lanes), 0.0)) for _ in self.checks] if checked else []

        def chunk(start: Value, new: Value) -> None:
            if not checked:
                self.prefetch(self.predictions, self.at(self.builder.add(self.row, whole(1)), self.width, start))
            self.look_at_chunk(start, new, sums, lanes)
            leading = self.leading(start, lanes) if steps else []
            skipped = [step for step in steps if self.layout.skips_zeros and step.monoid is Monoid.TARGET_SUM]
            for step in steps:
                if step not in skipped:
                    self.add_term(step, leading, known, totals[step.name], new, start)
            if skipped:
                with self.builder.if_then(self.any_target(leading)):
                    for step in skipped:
                        self.add_term(step, leading, known, totals[step.name], new, start)

        results = {step.name: self.variable(constant(DOUBLE, 0.0)) for step in steps}
        with self.only_where(self.condition(steps, known)):
            self.whole_and_last_chunks(lanes, chunk)
            for step in steps:
                combine = self.builder.fadd if is_sum(step) else self.larger
                total = self.widened(self.folded(self.builder.load(totals[step.name]), combine))
                self.builder.store(self.end(step, total), results[step.name])
        for buffer, total, has_unit_rows in zip(self.row_sums, sums, self.layout.unit_rows, strict=False):
            if has_unit_rows:
                self.store(buffer, place, self.folded(self.builder.load(total), self.builder.fadd))
        folds |= {name: self.builder.load(result) for name, result in results.items()}

    def add_term(
        self,
        step: Step,
        leading: Sequence[Value],
        known: dict[str, Value],
        total: Value,
        new: Value,
        start: Value,
    ) -> None:
        before = self.builder.load(total)
        if self.is_largest_prediction(step):
            value = self.chunk(self.predictions, self.at(self.row, self.width, start), before.type.count)
        else:
            value = self.term(step, leading, known)
        after = self.combine(step, before, value)
        after = self.builder.select(new, after, before) if is_sum(step) else after
        self.builder.store(after, total)

    def any_target(self, leading: Sequence[Value]) -> Value:
        """Whether a chunk has a target that is not 0: of a one-hot row one chunk has."""
        targets = leading[1]
        return any_lane(self.builder, self.builder.fcmp_unordered("!=", targets, constant(targets.type, 0.0)))

    def whole_and_last_chunks(self, lanes: int, chunk: Callable[[Value, Value], None]) -> None:
        """Writes `chunk` for whole chunks, of which all is new, and for a last one, which reaches back.

        Twice, where it is short; what is much to compile is written once, and gone through another time.
        """
        builder = self.builder
        count = builder.udiv(self.width, whole(lanes))
        rest = self.variable(builder.sub(self.width, builder.mul(count, whole(lanes))))
        first, chunks = self.variable(whole(0)), self.variable(count)
        new = self.variable(constant(vector(ir.IntType(1), lanes), 1))
        head = builder.append_basic_block()
        builder.branch(head)
        builder.position_at_end(head)
        before = instructions(builder.function)
        with self.loop(builder.load(chunks)) as number:
            chunk(builder.add(builder.load(first), builder.mul(number, whole(lanes))), builder.load(new))
        is_long = instructions(builder.function) - before > SHORT
        left = builder.load(rest)
        with builder.if_then(builder.icmp_signed("!=", left, whole(0))):
            start = builder.sub(self.width, whole(lanes))
            is_new = self.is_new(builder.sub(whole(lanes), left), lanes)
            if is_long:
                for variable, value in ((first, start), (chunks, whole(1)), (new, is_new), (rest, whole(0))):
                    builder.store(value, variable)
                builder.branch(head)
            else:
                chunk(start, is_new)

    def pass_lanes(self, steps: Sequence[Step]) -> int:
        """Only sums take long enough to hide how long one waits for the one before it."""
        return LANES if any(is_sum(step) for step in steps) else MAX_LANES

    def finish(self, first: Value, count: Value) -> None:
        folds = {name: self.chunk(buffer, whole(0)) for name, buffer in self.kept.items()}
        leading = self.ends_leading(self.rows_of_group(first, count)[0])
        self.store_ends(first, count, self.call(self.program.finish, leading, folds))
        self.check_row_sums(count)

    def check_row_sums(self, count: Value) -> None:
        present = self.builder.icmp_signed("<", self.places(whole(0)), self.splat(count))
        for position, (sums, column) in enumerate(zip(self.row_sums, ROW_COLUMNS, strict=False)):
            if self.layout.unit_rows[position]:
                self.count_off_one(self.chunk(sums, whole(0)), present, 4 + position, column)


def instructions(function: ir.Function) -> int:
    """How many have been written."""
    return sum(len(block.instructions) for block in function.blocks)
