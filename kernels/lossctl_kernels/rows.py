"""The loops of programs whose folds go over each row: along it, or across rows. See `writer.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llvmlite import ir

from .batch import Column
from .loops import Extremes, Flat
from .program import Program, Step
from .spec import Monoid
from .trace import DOUBLE, INTEGER, constant, unary
from .writer import LANES, SINGLE, Arguments, Layout, Value, Writer, is_sum, levels, vector, whole

__all__ = ["ACROSS_WIDTH", "write_block_function"]

ACROSS_WIDTH = 32
"""The widest rows that are worked on across; at least `MAX_LANES`. `benchmarks/layouts.py` measures it."""
MAX_LANES = 32
ROW_COLUMNS = Column.BAD_PREDICTION_ROWS, Column.BAD_TARGET_ROWS


def write_block_function(builder: ir.IRBuilder, layout: Layout, program: Program, arguments: Arguments) -> None:
    """Appends the loops of the layout to the function that `builder` is in."""
    _WRITERS[layout.name](builder, layout, program, arguments).write()


class _Rows(Writer):
    """What both have in common: the terms at the target class, and the checks of each row's sum."""

    def is_at_target(self, step: Step) -> bool:
        return step.monoid is Monoid.TARGET_SUM and self.layout.at_target_only

    def count_off_one(self, totals: Value, new: Value, tolerance_at: int, column: Column) -> None:
        """Adds to a column of the report how many of these sums of rows are not 1."""
        builder, kind = self.builder, totals.type
        distance = unary(builder, "llvm.fabs", builder.fsub(totals, constant(kind, 1.0)))
        tolerance = self.splat(self.load(self.bounds, whole(tolerance_at)), kind.count)
        off = builder.and_(builder.fcmp_unordered(">", distance, tolerance), new)
        self.add_to_report(column, self.folded(self.one_if(off), builder.fadd))


class _Along(_Rows):
    """Chunks of a row, which is at least `MAX_LANES` long. Results of one a row are made for `LANES` rows at once."""

    def write(self) -> None:
        builder = self.builder
        self.checks = [] if self.is_gradient else [self.check(0)]
        if self.checks and not self.layout.sparse:
            self.checks.append(self.check(2))
        self.kept = {step.name: self.buffer(LANES) for step in self.program.steps}
        self.row_sums = [self.buffer(LANES) for _ in range(2)]
        self.ends = self.buffer(LANES)
        with self.loop(builder.udiv(builder.add(self.rows, whole(LANES - 1)), whole(LANES))) as group:
            first = builder.mul(group, whole(LANES))
            count = self.smaller(whole(LANES), builder.sub(self.rows, first))
            with self.loop(count) as place:
                self.write_row(builder.add(first, place), place)
            if self.is_value:
                self.finish(first, count)
        for check, column in zip(self.checks, (Column.BAD_PREDICTIONS, Column.BAD_TARGETS), strict=False):
            self.report_check(check, column)

    def write_row(self, row: Value, place: Value) -> None:
        self.row = row
        self.label = self.load(self.targets, row) if self.layout.sparse else None
        folds: dict[str, Value] = {}
        for number, level in enumerate(levels(self.program.steps) or [[]]):
            known = dict(folds)
            looped = [step for step in level if not self.is_at_target(step)]
            self.run_level(looped, known, folds, place if number == 0 else None)
            for step in level:
                if self.is_at_target(step):
                    folds[step.name] = self.term(step, self.at_label(), known)
        if self.is_value:
            for name, value in folds.items():
                self.store(self.kept[name], place, value)
            return
        scale = self.splat(self.load(self.scales, row))
        with self.chunks(self.width) as (start, _):
            gradient = self.call(self.program.finish, self.leading(start, LANES), folds)
            self.store(self.results, self.at(row, self.width, start), self.builder.fmul(gradient, scale))

    def at_label(self) -> list[Value]:
        """The environment at the target class alone, as plain numbers."""
        label = self.label
        prediction = self.load(self.predictions, self.at(self.row, self.width, label))
        index = self.builder.sitofp(label, DOUBLE)
        return [prediction, constant(DOUBLE, 1.0), index, self.load(self.class_weights, label)]

    def leading(self, start: Value, lanes: int) -> list[Value]:
        place = self.at(self.row, self.width, start)
        columns = self.places(start, lanes)
        if self.label is None:
            target = self.widened(self.chunk(self.targets, place, lanes))
        else:
            target = self.one_if(self.builder.icmp_signed("==", columns, self.splat(self.label, lanes)))
        index = self.builder.sitofp(columns, vector(DOUBLE, lanes))
        prediction = self.widened(self.chunk(self.predictions, place, lanes))
        return [prediction, target, index, self.chunk(self.class_weights, start, lanes)]

    def look_at_chunk(self, start: Value, new: Value | None, sums: Sequence[Value], lanes: int) -> None:
        """Checks the values of a chunk, and adds to the sums that have to be 1."""
        builder = self.builder
        for source, check, total, has_unit_rows in zip(
            (self.predictions, self.targets), self.checks, sums, self.layout.unit_rows, strict=False
        ):
            values = self.chunk(source, self.at(self.row, self.width, start), lanes)
            self.look_at(check, values)
            if has_unit_rows:
                before = builder.load(total)
                after = builder.fadd(before, self.widened(values))
                builder.store(after if new is None else builder.select(new, after, before), total)

    def run_level(
        self, steps: Sequence[Step], known: dict[str, Value], folds: dict[str, Value], place: Value | None = None
    ) -> None:
        """One pass over the row: its folds of a level and, where there is a place for their results, its checks."""
        lanes = self.level_lanes(steps)
        totals = {step.name: self.variable(self.start(step, lanes, self.kind(step))) for step in steps}
        checked = place is not None and bool(self.checks)
        if not steps and not checked:
            return
        sums = [self.variable(constant(vector(DOUBLE, lanes), 0.0)) for _ in self.checks] if checked else []

        def chunk(start: Value, new: Value | None) -> None:
            if not checked:
                self.prefetch(self.at(self.builder.add(self.row, whole(1)), self.width, start))
            self.look_at_chunk(start, new, sums, lanes)
            leading = self.leading(start, lanes) if steps else []
            for step in steps:
                before = self.builder.load(totals[step.name])
                if self.is_largest_prediction(step):
                    value = self.chunk(self.predictions, self.at(self.row, self.width, start), lanes)
                else:
                    value = self.term(step, leading, known)
                after = self.combine(step, before, value)
                after = self.builder.select(new, after, before) if new is not None and is_sum(step) else after
                self.builder.store(after, totals[step.name])

        self.whole_and_last_chunks(lanes, chunk)
        for buffer, total, has_unit_rows in zip(self.row_sums, sums, self.layout.unit_rows, strict=False):
            if has_unit_rows:
                self.store(buffer, place, self.folded(self.builder.load(total), self.builder.fadd))
        for step in steps:
            combine = self.builder.fadd if is_sum(step) else self.larger
            total = self.widened(self.folded(self.builder.load(totals[step.name]), combine))
            folds[step.name] = self.end(step, total)

    def kind(self, step: Step) -> ir.Type:
        return self.number if self.is_largest_prediction(step) else DOUBLE

    def is_largest_prediction(self, step: Step) -> bool:
        """Whether a fold is found among the predictions as they are stored, before they are made wider."""
        if step.monoid is not Monoid.MAX:
            return False
        environment = tuple(object() for _ in range(4 + len(self.numbers) + len(self.program.steps)))
        try:
            return step.term(environment) is environment[0]
        except TypeError:  # it computes
            return False

    def whole_and_last_chunks(self, lanes: int, chunk: Callable[[Value, Value | None], None]) -> None:
        """Writes `chunk` twice: for whole chunks, all of which is new, and for a last one that reaches back."""
        builder = self.builder
        count = builder.udiv(self.width, whole(lanes))
        with self.loop(count) as number:
            chunk(builder.mul(number, whole(lanes)), None)
        rest = builder.sub(self.width, builder.mul(count, whole(lanes)))
        with builder.if_then(builder.icmp_signed("!=", rest, whole(0))):
            chunk(builder.sub(self.width, whole(lanes)), self.is_new(builder.sub(whole(lanes), rest), lanes))

    def prefetch(self, place: Value) -> None:
        """Asks for the next row while this one is worked on; beyond the last row that does nothing."""
        number = ir.IntType(32)
        function = self.builder.module.declare_intrinsic(
            "llvm.prefetch.p0", (), ir.FunctionType(ir.VoidType(), [ir.PointerType(), number, number, number])
        )
        place = self.builder.gep(self.predictions, [place])
        self.builder.call(function, [self.builder.bitcast(place, ir.PointerType()), number(0), number(3), number(1)])

    def level_lanes(self, steps: Sequence[Step]) -> int:
        """Only sums take long enough to hide how long one waits for the one before it."""
        return LANES if any(is_sum(step) for step in steps) else MAX_LANES

    def finish(self, first: Value, count: Value) -> None:
        kind = vector(DOUBLE, LANES)
        folds = {name: self.chunk(buffer, whole(0)) for name, buffer in self.kept.items()}
        self.store(self.ends, whole(0), self.call(self.program.finish, [constant(kind, 0.0)] * 4, folds))
        with self.loop(count) as place:
            self.store(self.results, self.builder.add(first, place), self.load(self.ends, place))
        present = self.builder.icmp_signed("<", self.places(whole(0)), self.splat(count))
        for position, column in enumerate(ROW_COLUMNS):
            if self.layout.unit_rows[position]:
                self.count_off_one(self.chunk(self.row_sums[position], whole(0)), present, 4 + position, column)


class _Across(_Rows):
    """Tiles of `LANES` rows, transposed: a vector has one value of each row."""

    def write(self) -> None:
        builder, size = self.builder, ACROSS_WIDTH * LANES
        self.tile = self.buffer(size, self.number)
        self.target_tile = self.buffer(size, self.number)
        self.ends = self.buffer(LANES if self.is_value else size, self.results.type.pointee)
        self.checks = [] if self.is_gradient else [self.check(0)]
        if self.checks and not self.layout.sparse:
            self.checks.append(self.check(2))
        with self.loop(builder.udiv(builder.add(self.rows, whole(LANES - 1)), whole(LANES))) as tile:
            self.first = builder.mul(tile, whole(LANES))
            self.count = self.smaller(whole(LANES), builder.sub(self.rows, self.first))
            lanes = self.places(whole(0))
            self.present = builder.icmp_signed("<", lanes, self.splat(self.count))
            # What the last tile lacks repeats its first row: every number is a real one.
            held = builder.select(self.present, lanes, constant(lanes.type, 0))
            self.tile_rows = builder.add(held, self.splat(self.first))
            self.fill_tile()
            self.write_rows()
        for check, column in zip(self.checks, (Column.BAD_PREDICTIONS, Column.BAD_TARGETS), strict=False):
            self.report_check(check, column)

    def fill_tile(self) -> None:
        """The tile, transposed, and the checks of its values."""
        builder = self.builder
        starts = builder.mul(self.tile_rows, self.splat(self.width))
        sums = [self.variable(constant(vector(DOUBLE, LANES), 0.0)) for _ in self.checks]
        with self.loop(self.width) as c:
            places = builder.add(starts, self.splat(c))
            gathered = [self.gathered(self.predictions, places)]
            self.store(self.tile, self.at(c, LANES, whole(0)), gathered[0])
            if not self.layout.sparse:
                gathered.append(self.gathered(self.targets, places))
                self.store(self.target_tile, self.at(c, LANES, whole(0)), gathered[1])
            for check, values, total in zip(self.checks, gathered, sums, strict=False):
                self.look_at(check, values)
                builder.store(builder.fadd(builder.load(total), self.widened(values)), total)
        for position, (total, column) in enumerate(zip(sums, ROW_COLUMNS, strict=False)):
            if self.layout.unit_rows[position]:
                self.count_off_one(builder.load(total), self.present, 4 + position, column)
        if self.layout.sparse:
            self.labels = self.gathered(self.targets, self.tile_rows)
            self.label_places = builder.add(starts, self.labels)

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

    def write_rows(self) -> None:
        folds: dict[str, Value] = {}
        for level in levels(self.program.steps):
            known = dict(folds)
            self.run_level([step for step in level if not self.is_at_target(step)], known, folds)
            for step in level:
                if self.is_at_target(step):
                    folds[step.name] = self.term(step, self.at_label(), known)
        if self.is_value:
            nothing = [constant(vector(DOUBLE, LANES), 0.0)] * 4
            self.store(self.ends, whole(0), self.call(self.program.finish, nothing, folds))
            with self.loop(self.count) as r:
                self.store(self.results, self.builder.add(self.first, r), self.load(self.ends, r))
            return
        scale = self.gathered(self.scales, self.tile_rows)
        with self.loop(self.width) as c:
            gradient = self.call(self.program.finish, self.leading(c), folds)
            self.store(self.ends, self.at(c, LANES, whole(0)), self.builder.fmul(gradient, scale))
        with self.loop(self.count) as r, self.loop(self.width) as c:
            there = self.at(self.builder.add(self.first, r), self.width, c)
            self.store(self.results, there, self.builder.load(self.builder.gep(self.ends, [self.at(c, LANES, r)])))

    def at_label(self) -> list[Value]:
        kind = vector(DOUBLE, LANES)
        prediction = self.widened(self.gathered(self.predictions, self.label_places))
        index, weight = self.builder.sitofp(self.labels, kind), self.gathered(self.class_weights, self.labels)
        return [prediction, constant(kind, 1.0), index, weight]

    def leading(self, c: Value) -> list[Value]:
        place = self.at(c, LANES, whole(0))
        if self.layout.sparse:
            target = self.one_if(self.builder.icmp_signed("==", self.splat(c), self.labels))
        else:
            target = self.widened(self.chunk(self.target_tile, place))
        index, weight = self.builder.sitofp(c, DOUBLE), self.load(self.class_weights, c)
        return [self.widened(self.chunk(self.tile, place)), target, self.splat(index), self.splat(weight)]

    def run_level(self, steps: Sequence[Step], known: dict[str, Value], folds: dict[str, Value]) -> None:
        if not steps:
            return
        totals = {step.name: self.variable(self.start(step)) for step in steps}
        with self.loop(self.width) as c:
            leading = self.leading(c)
            for step in steps:
                value = self.term(step, leading, known)
                total = self.builder.load(totals[step.name])
                self.builder.store(self.combine(step, total, value), totals[step.name])
        for step in steps:
            folds[step.name] = self.end(step, self.builder.load(totals[step.name]))


_WRITERS = {"flat": Flat, "extremes": Extremes, "along": _Along, "across": _Across}
