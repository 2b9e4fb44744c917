"""The loops of long rows of which one value counts, that at the class index. See `rows.py`."""

from __future__ import annotations

from .along import Along
from .trace import DOUBLE, INTEGER, constant
from .writer import LANES, Value, levels, vector, whole

__all__ = ["Picked"]


class Picked(Along):
    """Of each row the value at its class and nothing else, `LANES` rows at once; the first rows are looked at whole.

    How many is the last of the bounds.
    """

    def write_block(self) -> None:
        builder = self.builder
        self.start_checks()
        self.row_sums = [self.buffer(LANES)]
        self.ends = self.buffer(LANES)
        with self.row_groups(self.rows) as (first, count):
            self.write_group(first, count)
        looked_at = builder.fptosi(self.load(self.bounds, whole(6)), INTEGER)
        with self.row_groups(self.smaller(looked_at, self.rows)) as (first, count):
            with self.loop(count) as place:
                self.row = builder.add(first, place)
                self.run_level((), {}, {}, place)
            self.check_row_sums(count)
        self.report_checks()

    def write_group(self, first: Value, count: Value) -> None:
        builder, kind = self.builder, vector(DOUBLE, LANES)
        rows, _ = self.rows_of_group(first, count)
        labels = self.gathered(self.targets, rows)
        picked = self.gathered(self.predictions, builder.add(builder.mul(rows, self.splat(self.width)), labels))
        self.look_at(self.checks[0], picked)
        index, weight = builder.sitofp(labels, kind), self.gathered(self.class_weights, labels)
        leading = [self.widened(picked), constant(kind, 1.0), index, weight]
        folds: dict[str, Value] = {}
        for level in levels(self.program.steps):
            known = dict(folds)
            folds |= {step.name: self.term(step, leading, known) for step in level}
        nothing = [constant(kind, 0.0)] * 4
        self.store_ends(first, count, self.call(self.program.finish, nothing, folds))
