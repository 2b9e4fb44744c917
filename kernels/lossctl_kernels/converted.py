"""The loop that converts integers: see `conversions.py`."""

from __future__ import annotations

from llvmlite import ir

from .conversions import LANES, LARGEST_EXACT
from .trace import INTEGER
from .writer import Value, Writer, vector, whole


class Converted(Writer):
    """Whole vectors of integers as floats of the layout's dtype, in the place for results.

    The report is one integer: not 0 where one of them is beyond what a float64 is sure to hold.
    """

    def write(self) -> None:
        builder = self.builder
        integers = self.pointer(self.arguments.prediction, INTEGER)
        results = self.pointer(self.arguments.result, self.number)
        beyond = self.variable(ir.Constant(vector(INTEGER, LANES), 0))
        with self.loop(builder.udiv(self.rows, whole(LANES))) as k:
            start = builder.mul(k, whole(LANES))
            values = self.streamed(integers, start)
            builder.store(builder.or_(builder.load(beyond), self.is_beyond(values)), beyond)
            self.store(results, start, builder.sitofp(values, vector(self.number, LANES)))
        found = self.folded(builder.load(beyond), builder.or_)
        builder.store(found, self.pointer(self.arguments.report, INTEGER))

    def is_beyond(self, values: Value) -> Value:
        """All bits of the lanes that are too large: moved up by the bound, the others are below its double."""
        builder, kind = self.builder, vector(INTEGER, LANES)
        moved = builder.add(values, ir.Constant(kind, LARGEST_EXACT))
        return builder.sext(builder.icmp_unsigned(">", moved, ir.Constant(kind, 2 * LARGEST_EXACT)), kind)
