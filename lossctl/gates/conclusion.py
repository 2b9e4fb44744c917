"""What is said of the answers of gates: a line for each, and the verdict of all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossctl.errors import CheckFailed, Undecided, visible

if TYPE_CHECKING:
    from lossctl.gates.evaluator import Interval
    from lossctl.gates.judging import Decision
    from lossctl.results import GateResult

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
    result = decision.result
    measured = ", ".join(f"{visible(text)} = {_spelled(interval)}" for text, interval in decision.quantities)
    told = "" if result.slices is None else result.slices.told()
    return "; ".join(part for part in (told, measured, visible(result.note, 1000)) if part) or "constant"


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
    told = [f"{warnings} {'warning' if warnings == 1 else 'warnings'}"] if warnings else []
    many = f"{len(serious)} {'gate' if len(serious) == 1 else 'gates'}"
    if failed:
        raise CheckFailed(f"{len(failed)} of {many} failed: {'; '.join([*_listed(failed), *told])}")
    if undecided and strict:
        raise Undecided(f"{len(undecided)} of {many} cannot be decided: {'; '.join([*_listed(undecided), *told])}")
    if not serious:
        return ", ".join(["no gate can fail", *told])
    open_ones = [f"{len(undecided)} cannot be decided"] if undecided else []
    return ", ".join([f"{len(serious) - len(undecided)} of {many} passed", *open_ones, *told])


def _listed(results: Sequence[GateResult]) -> list[str]:
    return [visible(result.expression, 100) for result in results]
