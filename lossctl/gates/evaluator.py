"""What quantities and conditions of a gate are, given the results of a run: three-valued, with intervals.

A quantity with an interval is decided only where both ends of it agree; conditions of undecided comparisons follow the
three-valued logic of Kleene. A number that is not finite fails its gate, whatever the expression makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lossctl.errors import DataError, visible
from lossctl.gates.slice_book import Key, SliceBook
from lossctl.gates.trees import (
    And,
    Arithmetic,
    Base,
    Comparison,
    Condition,
    Measure,
    Negative,
    Not,
    Number,
    Or,
    Quantity,
    comparisons,
    quantities,
)
from lossctl.gates.vocabulary import GAP, STATISTICS
from lossctl.results import COUNTS, LossResult
from lossctl.slices.results import SliceResult, spread
from lossctl_kernels.records import Record

Entries = Sequence[Mapping[str, Any] | None]
"""What a baseline has for each result of a run, None for what no gate compares."""

MOST_SAMPLES = 1e15


class Interval(Record):
    """A number and what it lies between; where nothing is known of that, both are the number."""

    point: float
    low: float
    high: float

    @classmethod
    def at(cls, point: float) -> Interval:
        """A number without an interval."""
        return cls(point, point, point)

    def __neg__(self) -> Interval:
        return Interval(-self.point, -self.high, -self.low)

    def combined(self, other: Interval, operate: Callable[[float, float], float]) -> Interval:
        """The operation on all ends: its extremes are among them, but for a division by what may be 0."""
        point = operate(self.point, other.point)
        if (self.low, other.low) == (self.high, other.high):
            return Interval.at(point)
        ends = [operate(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        unbounded = operate is _divide and other.low <= 0.0 <= other.high
        if unbounded or any(math.isnan(end) for end in ends):
            return Interval(point, -math.inf, math.inf)
        return Interval(point, min(ends), max(ends))


def _divide(a: float, b: float) -> float:
    return a / b if b else math.nan


_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
}


class Evaluator:
    """What quantities and conditions are, given the results, and the slice `bound` that patterns stand for.

    `missing` says of each slice that is asked for and not there which there are.
    """

    def __init__(
        self,
        results: Sequence[LossResult],
        base: Entries | None,
        noisy: bool,
        slices: SliceBook | None = None,
        bound: Key | None = None,
    ) -> None:
        self._results, self._base, self._noisy = results, base, noisy
        self._slices = slices or SliceBook(results, base)
        self._bound = bound
        self.finite = True
        self.missing: list[str] = []

    def holds(self, condition: Condition) -> bool | None:
        """Whether it does; None where that is open."""
        match condition:
            case Comparison():
                return self._compared(condition)
            case Not(operand):
                return _negated(self.holds(operand))
            case And(left, right) | Or(left, right):
                # Both are looked at, also where one decides: what is not finite in the other fails all the same.
                either = (self.holds(left), self.holds(right))
                decisive = isinstance(condition, Or)
                if decisive in either:
                    return decisive
                return None if None in either else not decisive

    def verdict(self, condition: Condition) -> str:
        """What a gate says that fails where the condition holds: "pass", "fail" or "inconclusive"."""
        answer = self.holds(condition)
        if answer is None and self.finite:
            return "inconclusive"
        return "pass" if answer is False and self.finite else "fail"

    def _compared(self, comparison: Comparison) -> bool | None:
        left, right = self.of(comparison.left), self.of(comparison.right)
        if not (math.isfinite(left.point) and math.isfinite(right.point)):
            self.finite = False
        match comparison.operator:
            case "<":
                return _below(left, right)
            case ">":
                return _below(right, left)
            case "<=":
                return _negated(_below(right, left))
            case ">=":
                return _negated(_below(left, right))
            case "==":
                return _equal(left, right)
        return _negated(_equal(left, right))

    def of(self, quantity: Quantity) -> Interval:
        """What a quantity is; NaN where there is no such slice. Raises DataError where the baseline lacks it."""
        match quantity:
            case Number(value):
                return Interval.at(value)
            case Measure():
                return self._measured(quantity)
            case Base(measure):
                return Interval.at(self._of_base(measure))
            case Negative(operand):
                return -self.of(operand)
            case Arithmetic(left, operator, right):
                return self.of(left).combined(self.of(right), _OPERATIONS[operator])

    def _measured(self, measure: Measure) -> Interval:
        if measure.by:
            return self._of_slices(measure)
        if measure.loss is None:
            return Interval.at(_of_all(measure.function, [getattr(r, measure.function) for r in self._results]))
        result, function = self._results[measure.loss], measure.function
        if function in STATISTICS:
            number = getattr(result.stats, function, None)
            return Interval.at(math.nan if number is None else float(number))
        if function in (*COUNTS, "count"):
            return Interval.at(float(getattr(result, "samples" if function == "count" else function)))
        if function == "mean" and result.reduction == "sum":
            return Interval.at(result.sum / result.weight if result.weight else math.nan)
        return self._value(result)

    def _value(self, result: LossResult) -> Interval:
        stats = result.stats
        return self._with_ends(float(result.value), getattr(stats, "ci_low", None), getattr(stats, "ci_high", None))

    def _with_ends(self, value: float, low: float | None, high: float | None) -> Interval:
        if not self._noisy or low is None or high is None:
            return Interval.at(value)
        if math.isnan(low):  # one sample tells nothing of the spread
            return Interval(value, -math.inf, math.inf)
        return Interval(value, float(low), float(high))

    # ---- slices

    def _of_slices(self, measure: Measure) -> Interval:
        if measure.function == GAP:
            return self._gap(measure)
        found = [
            None if each is None else self._of_slice(measure.function, self._results[position], each)
            for position, each in self._slices.entries(measure, self._bound)
        ]
        there = [each for each in found if each is not None]
        if not there:
            self.missing.append(self._slices.told_missing(measure))
            return Interval.at(math.nan)
        if measure.loss is not None:
            return there[0]
        return Interval.at(_of_all(measure.function, [int(each.point) for each in there]))

    def _of_slice(self, function: str, result: LossResult, found: SliceResult) -> Interval:
        if function in ("count", "samples", "nonfinite"):
            return Interval.at(float(found.nonfinite if function == "nonfinite" else found.samples))
        if function in STATISTICS:
            number = getattr(found, function)
            return Interval.at(math.nan if number is None else float(number))
        if function == "mean" and result.reduction == "sum":
            return Interval.at(found.sum / found.weight if found.weight else math.nan)
        return self._with_ends(found.value, found.ci_low, found.ci_high)

    def _gap(self, measure: Measure) -> Interval:
        slices = self._slices.table(measure).slices
        point = spread([each.value for each in slices])
        if math.isnan(point):
            self.missing.append(self._slices.told_missing(measure))
        ends = [self._with_ends(each.value, each.ci_low, each.ci_high) for each in slices]
        if math.isnan(point) or all(each.low == each.high for each in ends):
            return Interval.at(point)
        # What the largest and the smallest can be, each for itself.
        low = max(each.low for each in ends) - min(each.high for each in ends)
        return Interval(point, max(low, 0.0), max(each.high for each in ends) - min(each.low for each in ends))

    def _of_base(self, measure: Measure) -> float:
        entries = self._base or ()
        if measure.by:
            return self._slices.of_base(measure, self._bound)
        if measure.loss is None:
            return _of_all(measure.function, [entry.get(measure.function, 0) for entry in entries if entry is not None])
        entry, function = entries[measure.loss] or {}, measure.function
        if function in (*COUNTS, "count"):
            return float(entry.get("samples" if function == "count" else function, 0))
        if function == "mean" and entry.get("reduction") == "sum":
            number = entry["sum"] / entry["weight"]
        elif function in ("", "mean"):
            number = entry["value"]
        else:
            number = entry.get("stats", {}).get(function)
        if number is None:
            raise DataError(
                f"the baseline has no {visible(measure)}", hint="make one with --stats, or --confidence for an interval"
            )
        return float(number)

    def more_samples(self, condition: Condition) -> int | None:
        """How many more would decide all that is open, if nothing but the width of the intervals changed."""
        needed = [self._needed(each) for each in comparisons(condition) if self._compared(each) is None]
        known = [number for number in needed if number is not None]
        return max(known) if len(known) == len(needed) and known else None

    def _needed(self, comparison: Comparison) -> int | None:
        """A width shrinks with the square root of the samples: it must not exceed the distance."""
        gap = self.of(comparison.left).combined(self.of(comparison.right), _OPERATIONS["-"])
        short = gap.low if gap.point > 0.0 else gap.high
        sides = [part for side in (comparison.left, comparison.right) for part in quantities(side)]
        have = max((self._samples(part) for part in sides if isinstance(part, Measure)), default=0)
        if not gap.point or not math.isfinite(short) or not have:
            return None
        more = have * (((gap.point - short) / gap.point) ** 2 - 1.0)
        return max(1, math.ceil(more)) if more < MOST_SAMPLES else None

    def _samples(self, measure: Measure) -> int:
        """Those that a measure is of; 0 of a count, and of slices together."""
        if measure.loss is None or measure.function == GAP:
            return 0
        if not measure.by:
            return self._results[measure.loss].samples
        return max((each.samples for _, each in self._slices.entries(measure, self._bound) if each), default=0)

    def shown(self, condition: Condition) -> tuple[tuple[str, Interval], ...]:
        """The sides of comparisons that are not plain numbers, as they are written; each once."""
        found = (
            (text, self.of(side))
            for each in comparisons(condition)
            for text, side in zip(each.texts, (each.left, each.right), strict=True)
            if any(isinstance(part, Measure | Base) for part in quantities(side))
        )
        return tuple(dict.fromkeys(found))


def _of_all(count: str, numbers: Sequence[int]) -> float:
    """A count of all losses together: of the one that it is worst for."""
    return float(min(numbers) if count == "samples" else max(numbers))


def _below(left: Interval, right: Interval) -> bool | None:
    if left.high < right.low:
        return True
    return False if left.low >= right.high else None


def _equal(left: Interval, right: Interval) -> bool | None:
    if left.low == left.high == right.low == right.high:
        return True
    return False if left.high < right.low or right.high < left.low else None


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer
