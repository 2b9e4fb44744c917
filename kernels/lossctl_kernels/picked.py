"""The loops of rows of which one value counts, that at the class index. See `rows.py`."""

from __future__ import annotations

from llvmlite import ir

from .along import Along
from .trace import DOUBLE, INTEGER, constant
from .writer import LANES, Value, passes, vector, whole

AHEAD = 2 * LANES
"""Rows: each value is on a page of memory of its own, which takes longer to find than a few rows to work on."""


class Picked(Along):
    """Of each row the value at its class, `LANES` rows at once; the first rows are looked at whole.

    How many is the last of the bounds.
    """

    def write_block(self) -> None:
        builder = self.builder
        self.start_checks()
        self.row_sums = [self.buffer(LANES)]
        self.ends = self.buffer(LANES)
        looked_at = builder.fptosi(self.load(self.bounds, whole(6)), INTEGER)
        whole_rows = self.smaller(looked_at, self.rows)
        with self.loop(whole(AHEAD // LANES)) as group:
            self.prefetch_group(builder.mul(group, whole(LANES)))
        with self.row_groups(self.rows) as (first, count):
            if not self.layout.unit_rows[0]:  # just before they are picked from: they are in the fastest cache then
                end = self.smaller(builder.add(first, count), whole_rows)
                with builder.if_then(builder.icmp_signed("<", first, end)):
                    self.look_at_values(builder.mul(first, self.width), builder.mul(end, self.width))
            self.write_group(first, count)
        if self.layout.unit_rows[0]:
            self.look_at_rows(whole_rows)
        self.report_checks()

    def look_at_values(self, first: Value, end: Value) -> None:
        """Checks the predictions from one up to another: whole rows, as if they were one."""
        builder = self.builder
        is_short = builder.icmp_signed("<", end, whole(LANES))  # then these are the first of all
        with builder.if_else(is_short, likely=False) as (few, many):
            with few, self.loop(end) as i:
                value = builder.load(builder.gep(self.predictions, [i]))
                self.look_at(self.checks[0], self.splat(value))
            with many, self.chunks(end, first=first) as (start, _):
                self.look_at(self.checks[0], self.streamed(self.predictions, start))

    def look_at_rows(self, rows: Value) -> None:
        """Checks the values of so many rows, the first ones, and the sum of each."""
        with self.row_groups(rows) as (first, count):
            with self.loop(count) as place:
                self.row = self.builder.add(first, place)
                self.run_pass((), {}, {}, place)
            self.check_row_sums(count)

    def chunk_to_check(self, pointer: Value, start: Value, lanes: int) -> Value:
        """Of rows that follow each other, and that nothing has read before."""
        return self.streamed(pointer, start, lanes)

    def write_group(self, first: Value, count: Value) -> None:
        builder, kind = self.builder, vector(DOUBLE, LANES)
        self.prefetch_group(builder.add(first, whole(AHEAD)))
        rows, present = self.rows_of_group(first, count)
        labels = self.of_group(self.targets, first, present)
        labels = builder.select(present, labels, self.splat(self.load(self.targets, first)))
        picked = self.gathered(self.predictions, self.places_of(rows, labels))
        self.look_at(self.checks[0], picked)
        index, weight = builder.sitofp(labels, kind), self.gathered(self.class_weights, labels)
        leading = [self.widened(picked), constant(kind, 1.0), index, weight]
        folds: dict[str, Value] = {}
        for steps in passes(self.program.steps):
            folds |= {step.name: self.term(step, leading, folds) for step in steps}
        nothing = [constant(kind, 0.0)] * 4
        self.store_ends(first, count, self.call(self.program.finish, nothing, folds))

    def places_of(self, rows: Value, labels: Value) -> Value:
        return self.builder.add(self.builder.mul(rows, self.splat(self.width)), labels)

    def prefetch_group(self, first: Value) -> None:
        """Asks for the values of a later group, unless it is the last; a label that is none does no harm."""
        builder = self.builder
        with builder.if_then(builder.icmp_signed("<=", builder.add(first, whole(LANES)), self.rows), likely=True):
            rows, present = self.rows_of_group(first, whole(LANES))
            places = self.places_of(rows, self.of_group(self.targets, first, present))
            for lane in range(LANES):
                self.prefetch(self.predictions, builder.extract_element(places, ir.IntType(32)(lane)))
