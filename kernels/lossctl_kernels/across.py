"""The loops of rows that are short: a vector has one value of each of `LANES` rows. See `rows.py`."""

from __future__ import annotations

from collections.abc import Sequence

from .program import Step
from .recipes import ACROSS_WIDTH
from .rows import ROW_COLUMNS, Rows
from .trace import DOUBLE, constant
from .writer import LANES, Value, passes, vector, whole


class Across(Rows):
    """Tiles of `LANES` rows, transposed: a vector has one value of each row."""

    def write_block(self) -> None:
        size = ACROSS_WIDTH * LANES
        self.tile = self.buffer(size, self.number)
        self.target_tile = self.buffer(size, self.number)
        self.input_tiles = [
            None if one_a_row else self.buffer(size, self.number) for one_a_row in self.layout.row_inputs
        ]
        self.ends = self.buffer(LANES if self.is_value else size, self.results.type.pointee)
        self.start_checks()
        with self.row_groups(self.rows) as (self.first, self.count):
            self.tile_rows, self.present = self.rows_of_group(self.first, self.count)
            self.fill_tile()
            self.write_rows()
        self.report_checks()

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
            for tile, pointer in zip(self.input_tiles, self.inputs, strict=True):
                if tile is not None:
                    self.store(tile, self.at(c, LANES, whole(0)), self.gathered(pointer, places))
            for check, values, total in zip(self.checks, gathered, sums, strict=False):
                self.look_at(check, values)
                builder.store(builder.fadd(builder.load(total), self.widened(values)), total)
        for position, (total, column) in enumerate(zip(sums, ROW_COLUMNS, strict=False)):
            if self.layout.unit_rows[position]:
                self.count_off_one(builder.load(total), self.present, 4 + position, column)
        if self.layout.sparse:
            self.labels = self.of_group(self.targets, self.first, self.present)
            self.label_places = builder.add(starts, self.labels)
        self.row_leading = self.ends_leading(self.tile_rows)

    def of_row(self) -> list[Value]:
        return self.row_leading

    def write_rows(self) -> None:
        folds: dict[str, Value] = {}
        for steps in passes(self.program.steps):
            known = dict(folds)
            self.run_pass([step for step in steps if not self.is_single(step)], known, folds)
            for step in steps:
                if self.is_single(step):
                    leading = self.at_label() if self.is_at_target(step) else self.row_leading
                    folds[step.name] = self.term(step, leading, known)
        if self.is_value:
            self.store_ends(self.first, self.count, self.call(self.program.finish, self.row_leading, folds))
            return
        scale = self.of_group(self.scales, self.first, self.present)
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
        inputs = [
            of_row if tile is None else self.widened(self.gathered(pointer, self.label_places))
            for tile, pointer, of_row in zip(self.input_tiles, self.inputs, self.row_leading[4:], strict=True)
        ]
        return [prediction, constant(kind, 1.0), index, weight, *inputs]

    def leading(self, c: Value) -> list[Value]:
        place = self.at(c, LANES, whole(0))
        if self.layout.sparse:
            target = self.one_if(self.builder.icmp_signed("==", self.splat(c), self.labels))
        else:
            target = self.widened(self.chunk(self.target_tile, place))
        index, weight = self.builder.sitofp(c, DOUBLE), self.load(self.class_weights, c)
        inputs = [
            of_row if tile is None else self.widened(self.chunk(tile, place))
            for tile, of_row in zip(self.input_tiles, self.row_leading[4:], strict=True)
        ]
        return [self.widened(self.chunk(self.tile, place)), target, self.splat(index), self.splat(weight), *inputs]

    def run_pass(self, steps: Sequence[Step], known: dict[str, Value], folds: dict[str, Value]) -> None:
        if not steps:
            return
        totals = {step.name: self.variable(self.start(step, LANES, self.kind(step))) for step in steps}
        wanted, zero = self.condition(steps, known), constant(vector(DOUBLE, LANES), 0.0)
        with self.only_where(wanted), self.loop(self.width) as c:
            leading = self.leading(c)
            for step in steps:
                if self.is_largest_prediction(step):
                    value = self.chunk(self.tile, self.at(c, LANES, whole(0)))
                else:
                    value = self.term(step, leading, known)
                total = self.builder.load(totals[step.name])
                self.builder.store(self.combine(step, total, value), totals[step.name])
        for step in steps:
            total = self.end(step, self.widened(self.builder.load(totals[step.name])))
            # Another row of the tile may have wanted what this one has no use for.
            folds[step.name] = total if wanted is None else self.builder.select(wanted, total, zero)
