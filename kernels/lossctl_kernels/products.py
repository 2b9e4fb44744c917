"""The loop of factored programs: sums of logarithms by way of products, one logarithm for many values. See `writer.py`.

Each lane multiplies factors and splits powers of 2 off the product before it can underflow. Factors near 1 have lost
what makes them differ from 1, so the product is also kept as what it exceeds 1 by: P' = P (1 + e) is 1 + g' with
g' = g + (e + e g), which rounds relative to g. That is what counts as long as no power of 2 was split off; afterwards
the logarithm is at least 0.34 in size, and rounding the product is harmless.

A block that cannot be added up so reports NaN, and is left to the loop of single values: a target that is not 0 or 1
where those are needed, a number outside its domain or beyond what the form can take, parts that cancel, a factor of 0
or one so small that a product may underflow, fewer values than lanes. Which way a block goes depends on nothing but its
values.
"""

from __future__ import annotations

from dataclasses import replace

from llvmlite import ir

from .batch import Column
from .scalar import SMALLEST_NORMAL, log_of_product, split
from .trace import DOUBLE, INTEGER, Symbol, constant
from .writer import LANES, Check, Value, Writer, vector, whole

GROUP = 4
"""Chunks between splits: four factors of the smallest float32 are far from underflow."""
RUN_GROUPS = 8
"""Groups to a logarithm; the rounding errors of so many products are a few units in the last place."""

CANCELLATION = 64.0
"""How many times as large as the sum the parts that cancel may be; their rounding errors are as many times larger."""

_KIND = vector(DOUBLE, LANES)


class Products(Writer):
    """The sum of a block's losses, for its report; see above for when it is NaN."""

    def write(self) -> None:
        builder = self.builder
        if self.program.form is None:
            raise TypeError(f"{self.program.key} is no factored program")
        self.form = self.program.form
        size, run = builder.mul(self.rows, self.width), RUN_GROUPS * GROUP * LANES
        self.prediction_check = self.narrowed(self.check(0))
        self.target_check = replace(self.narrowed(self.check(2)), ends_only=self.form.hard_targets)
        self.product, self.excess, self.rest = (self.variable(constant(_KIND, n)) for n in (1.0, 0.0, 0.0))
        self.exponent = self.variable(constant(vector(INTEGER, LANES), 0))
        self.sound = self.variable(constant(vector(INTEGER, LANES), -1))
        self.total, self.error, self.size = (self.variable(constant(_KIND, 0.0)) for _ in range(3))
        self.is_good = self.variable(builder.icmp_signed(">=", size, whole(LANES)))
        runs = builder.udiv(size, whole(run))
        with self.loop(runs) as number, builder.if_then(builder.load(self.is_good)):
            with self.loop(whole(RUN_GROUPS)) as group:
                first = builder.add(builder.mul(number, whole(run)), builder.mul(group, whole(GROUP * LANES)))
                for position in range(GROUP):
                    self.multiply(builder.add(first, whole(position * LANES)), None)
                self.split_product()
            self.add_logarithm()
        with builder.if_then(builder.load(self.is_good)):
            with self.chunks(size, first=builder.mul(runs, whole(run))) as (start, repeated):
                self.multiply(start, self.is_new(repeated))
                self.split_product()
            self.add_logarithm()
        total = self.whole_sum(self.total, self.error)
        is_good = builder.load(self.is_good)
        if self.form.cancels:
            size = self.folded(builder.load(self.size), builder.fadd)
            least = builder.fmul(size, constant(DOUBLE, 1.0 / CANCELLATION))
            is_good = builder.and_(is_good, builder.fcmp_ordered(">=", total, least))
        nothing = constant(DOUBLE, float("nan"))
        self.store(self.report, whole(Column.SUM), builder.select(is_good, total, nothing))

    def narrowed(self, check: Check) -> Check:
        """The check of a domain, against the bounds of the form too where it has any."""
        builder = self.builder
        if self.form.within is None:
            return check
        low, high = (constant(check.low.type, bound) for bound in self.form.within)
        low = builder.select(builder.fcmp_ordered(">", low, check.low), low, check.low)
        high = builder.select(builder.fcmp_ordered("<", high, check.high), high, check.high)
        return replace(check, low=low, high=high)

    def multiply(self, start: Value, new: Value | None) -> None:
        builder = self.builder
        prediction, target = self.streamed(self.predictions, start), self.streamed(self.targets, start)
        self.look_at(self.prediction_check, prediction)
        self.look_at(self.target_check, target)
        ends = constant(_KIND, 0.0), constant(_KIND, 1.0)
        leading = [self.widened(prediction), self.widened(target), *ends]
        rest, factor, excess = self.program.finish(self.environment(leading, {}))
        if new is not None:
            factor, excess = (self.if_new(new, value, n) for value, n in ((factor, 1.0), (excess, 0.0)))
        product, so_far = self.symbol(self.product), self.symbol(self.excess)
        builder.store((product * factor).value, self.product)
        builder.store((so_far + (excess + excess * so_far)).value, self.excess)
        if isinstance(rest, Symbol):
            rest = self.if_new(new, rest, 0.0) if new is not None else rest
            builder.store((self.symbol(self.rest) + rest).value, self.rest)
            if self.form.cancels:
                builder.store((self.symbol(self.size) + abs(rest)).value, self.size)

    def if_new(self, new: Value, value: Symbol, otherwise: float) -> Symbol:
        return Symbol(self.builder, self.builder.select(new, value.value, constant(_KIND, otherwise)))

    def symbol(self, variable: Value) -> Symbol:
        return Symbol(self.builder, self.builder.load(variable))

    def split_product(self) -> None:
        """Powers of 2 off the product, into the exponent. A product that has no such form is remembered."""
        builder, product = self.builder, self.symbol(self.product)
        normal = builder.fcmp_ordered(">=", product.value, constant(_KIND, SMALLEST_NORMAL))
        self.remember(normal, self.sound)
        fraction, exponent = split(product)  # type: ignore[arg-type]
        builder.store(fraction.value, self.product)  # type: ignore[attr-defined]
        builder.store((self.symbol(self.exponent) + exponent).value, self.exponent)

    def add_logarithm(self) -> None:
        """Adds what the lanes have multiplied to the total, begins again, and looks whether all was well."""
        builder = self.builder
        exponent = Symbol(builder, builder.sitofp(builder.load(self.exponent), _KIND))
        logarithm = log_of_product(self.symbol(self.product), exponent, self.symbol(self.excess))  # type: ignore[arg-type]
        piece = self.symbol(self.rest) + self.form.sign * logarithm
        total, error = self.two_sum(builder.load(self.total), piece.value)
        builder.store(total, self.total)
        builder.store(builder.fadd(builder.load(self.error), error), self.error)
        for variable, number in ((self.product, 1.0), (self.excess, 0.0), (self.rest, 0.0)):
            builder.store(constant(_KIND, number), variable)
        builder.store(constant(vector(INTEGER, LANES), 0), self.exponent)
        for answers in (self.prediction_check.inside, self.target_check.inside, self.sound):
            all_well = self.folded(builder.load(answers), builder.and_)
            is_good = builder.icmp_signed("!=", all_well, ir.Constant(all_well.type, 0))
            builder.store(builder.and_(builder.load(self.is_good), is_good), self.is_good)
