"""Gates: what `--fail-if` and `--warn-if` ask of the results of a run, and what they answer.

A quantity with an interval is decided only where both ends of it agree; conditions of undecided comparisons follow the
three-valued logic of Kleene. A number that is not finite fails its gate, whatever the expression makes of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.errors import CheckFailed, DataError, Undecided, UsageError, visible
from lossctl.gate_grammar import COUNTS, parse_gate
from lossctl.gate_trees import (
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
from lossctl.results import GateResult, LossResult

if TYPE_CHECKING:
    from lossctl.loss_spec import LossSpec

__all__ = ["Decision", "Gate", "conclude", "decide", "parse_gates", "report"]

Entries = Sequence[Mapping[str, Any] | None]
"""What a baseline has for each result of a run, None for what no gate compares."""

STATISTICS = ("std_error", "ci_low", "ci_high", "min", "p50", "p90", "p95", "p99", "max")
MOST_SAMPLES = 1e15


@dataclass(frozen=True, slots=True)
class Gate:
    """An expression, what it means, and how serious it is: "fail" or "warn"."""

    text: str
    condition: Condition
    severity: str = "fail"

    def measured(self) -> list[Measure]:
        """What it asks for of the run."""
        return [part for part in self._parts() if isinstance(part, Measure)]

    def _parts(self) -> list[Quantity]:
        sides = [side for each in comparisons(self.condition) for side in (each.left, each.right)]
        return [part for side in sides for part in quantities(side)]

    def of_baseline(self) -> list[Measure]:
        """What it asks for of the baseline."""
        return [part.measure for part in self._parts() if isinstance(part, Base)]

    @property
    def uses_statistics(self) -> bool:
        return any(measure.function in STATISTICS for measure in self.measured())

    @property
    def uses_interval(self) -> bool:
        return any(measure.function in ("ci_low", "ci_high") for measure in self.measured())

    @property
    def sampled(self) -> dict[int, str]:
        """The losses that must have samples, by where they stand, each with what is asked of it."""
        return {
            measure.loss: str(measure)
            for measure in self.measured()
            if measure.loss is not None and measure.function in (*STATISTICS, "mean")
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of a gate, and the quantities that it was made of, as they were written."""

    result: GateResult
    quantities: tuple[tuple[str, Interval], ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number and what it lies between; where nothing is known of that, both are the number."""

    point: float
    low: float
    high: float

    @classmethod
    def at(cls, point: float) -> Interval:
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


# ---- before the data


def parse_gates(fail_if: Sequence[str], warn_if: Sequence[str], specs: Sequence[LossSpec]) -> list[Gate]:
    """The gates of a command that evaluates `specs`. Raises UsageError for what means nothing."""
    names = _names(specs)

    def position(name: str) -> int | None:
        found = names.get(name.strip(), [])
        if len({specs[each].text for each in found}) > 1:
            either = " or ".join(f"'{visible(specs[each].text)}'" for each in found)
            raise UsageError(f"a gate names {visible(name)}, which is more than one loss here", hint=f"write {either}")
        return found[0] if found else None

    given = [*((text, "fail") for text in fail_if), *((text, "warn") for text in warn_if)]
    return [Gate(text.strip(), parse_gate(text, position, tuple(names)), severity) for text, severity in given]


def _names(specs: Sequence[LossSpec]) -> dict[str, list[int]]:
    """What each loss of the command may be called: its SPEC, its name, and the losses that the name stands for."""
    from lossctl.loss_spec import find

    names: dict[str, list[int]] = {}
    for position, spec in enumerate(specs):
        meant = [loss.name for loss, _ in find(spec.name)]
        for name in dict.fromkeys((spec.text, spec.name, *meant)):
            names.setdefault(name, []).append(position)
    return names


# ---- with the results


def decide(gate: Gate, results: Sequence[LossResult], base: Entries | None = None, *, noisy: bool = False) -> Decision:
    """The answer of a gate. `base` are the entries of the baseline; `noisy` takes intervals into account.

    Raises DataError where the baseline lacks what the gate asks for.
    """
    court = _Court(results, base, noisy)
    answer = court.holds(gate.condition)
    verdict = "inconclusive" if answer is None else "fail" if answer else "pass"
    if not court.finite:
        verdict = "fail"
    first = next(comparisons(gate.condition))
    value, limit = court.of(first.left).point, court.of(first.right).point
    more = court.more_samples(gate.condition) if verdict == "inconclusive" else None
    result = GateResult(gate.text, value, verdict, limit, gate.severity, more)
    return Decision(result, court.shown(gate.condition))


class _Court:
    """What quantities and conditions are, given the results."""

    def __init__(self, results: Sequence[LossResult], base: Entries | None, noisy: bool) -> None:
        self._results, self._base, self._noisy = results, base, noisy
        self.finite = True

    def holds(self, condition: Condition) -> bool | None:
        """Whether it does; None where that is open."""
        match condition:
            case Comparison():
                return self._compared(condition)
            case Not(operand):
                inner = self.holds(operand)
                return None if inner is None else not inner
            case And(left, right) | Or(left, right):
                # Both are looked at, also where one decides: what is not finite in the other fails all the same.
                either = (self.holds(left), self.holds(right))
                decisive = isinstance(condition, Or)
                if decisive in either:
                    return decisive
                return None if None in either else not decisive

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
        value, stats = float(result.value), result.stats
        if not self._noisy or stats is None or stats.ci_low is None or stats.ci_high is None:
            return Interval.at(value)
        if math.isnan(stats.ci_low):  # one sample tells nothing of the spread
            return Interval(value, -math.inf, math.inf)
        return Interval(value, float(stats.ci_low), float(stats.ci_high))

    def _of_base(self, measure: Measure) -> float:
        entries = self._base or ()
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
        losses = [part.loss for part in sides if isinstance(part, Measure) and part.loss is not None]
        if not gap.point or not math.isfinite(short) or not losses:
            return None
        have = max(self._results[loss].samples for loss in losses)
        more = have * (((gap.point - short) / gap.point) ** 2 - 1.0)
        return max(1, math.ceil(more)) if more < MOST_SAMPLES else None

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


# ---- what is said of them

_MARKS = {"pass": "✓", "fail": "✗", "warn": "!", "inconclusive": "?"}
_ASCII_MARKS = {"pass": "ok", "fail": "FAIL", "warn": "WARN", "inconclusive": "OPEN"}


def report(decisions: Sequence[Decision], encoding: str | None) -> list[str]:
    """A line a gate: "✗ bce > 0.35 (bce = 0.412)"; in ASCII where the encoding has no such marks."""
    try:
        "".join(_MARKS.values()).encode(encoding or "ascii")
        marks = _MARKS
    except (UnicodeError, LookupError):
        marks = _ASCII_MARKS
    lines = []
    for decision in decisions:
        result = decision.result
        mark = "warn" if (result.verdict, result.severity) == ("fail", "warn") else result.verdict
        lines.append(f"{marks[mark]} {visible(result.expression, 500)} ({_found(decision)}){_open(result)}")
    return lines


def _found(decision: Decision) -> str:
    return ", ".join(f"{visible(text)} = {_spelled(interval)}" for text, interval in decision.quantities) or "constant"


def _spelled(interval: Interval) -> str:
    if interval.low == interval.high or math.isnan(interval.point):
        return f"{interval.point:.6g}"
    return f"{interval.point:.6g} [{interval.low:.6g}, {interval.high:.6g}]"


def _open(result: GateResult) -> str:
    if result.verdict != "inconclusive":
        return ""
    if result.more_samples is None:
        return ": cannot be told from the limit"
    return f": about {result.more_samples:,} more samples would decide it"


def conclude(decisions: Sequence[Decision], *, strict: bool = False) -> str:
    """The verdict of all gates in a line, where they let the run pass.

    Raises CheckFailed where one fails, and Undecided where one that matters is open and `strict`.
    """
    results = [decision.result for decision in decisions]
    serious = [result for result in results if result.severity == "fail"]
    failed, undecided = (
        [result for result in serious if result.verdict == verdict] for verdict in ("fail", "inconclusive")
    )
    warnings = sum(result.severity == "warn" and result.verdict == "fail" for result in results)
    told = f", {warnings} {'warning' if warnings == 1 else 'warnings'}" if warnings else ""
    many = f"{len(serious)} {'gate' if len(serious) == 1 else 'gates'}"
    if failed:
        raise CheckFailed(f"{len(failed)} of {many} failed{told}: {_listed(failed)}")
    if undecided and strict:
        raise Undecided(f"{len(undecided)} of {many} cannot be decided{told}: {_listed(undecided)}")
    if not serious:
        return f"no gate can fail{told}"
    open_ones = f", {len(undecided)} cannot be decided" if undecided else ""
    return f"{len(serious) - len(undecided)} of {many} passed{open_ones}{told}"


def _listed(results: Sequence[GateResult]) -> str:
    return "; ".join(visible(result.expression, 100) for result in results)
