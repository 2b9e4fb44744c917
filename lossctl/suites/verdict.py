"""What a suite comes to: one line and one exit code, of all its evaluations and their gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from lossctl.errors import CheckFailed, DataError, EnvironmentFault, LossctlError, Undecided, UsageError
from lossctl.gates.conclusion import conclude
from lossctl.gates.judging import Decision
from lossctl.results import GateResult
from lossctl.suites.results import EvaluationResult, most_serious
from lossctl_kernels.records import replace

if TYPE_CHECKING:
    from lossctl.results import RunResult

_BY_CODE = {each.exit_code: each for each in (CheckFailed, UsageError, DataError, EnvironmentFault, Undecided)}


class Finished(NamedTuple):
    """An evaluation that has come to its end, its gates under its name; where they are `strict` they have to answer."""

    result: EvaluationResult
    decisions: Sequence[Decision]
    strict: bool


def finished(
    name: str,
    run: RunResult | None,
    error: LossctlError | None,
    decisions: Sequence[Decision],
    gates: Sequence[tuple[str, str]],
    strict: bool,
) -> Finished:
    """An evaluation, with the exit code that it would have by itself.

    `gates` are the expressions of all its gates, each with its severity: where there is no result, they fail.
    """
    codes = [] if error is None else [error.exit_code]
    try:
        conclude(decisions, strict=strict)
    except (CheckFailed, Undecided) as answer:
        codes.append(answer.exit_code)
    never_asked = tuple(GateResult(text, None, "fail", None, severity) for text, severity in gates if run is None)
    answers = decisions if run is not None else [Decision(gate, ()) for gate in never_asked]
    told = [replace(e, result=replace(e.result, expression=f"{name}: {e.result.expression}")) for e in answers]
    return Finished(EvaluationResult(name, run, error, most_serious(codes), never_asked), told, strict)


def verdict(suite: Sequence[Finished], faults: Sequence[LossctlError] = ()) -> str | LossctlError:
    """The verdict in a line, "" where there is nothing to say; as an error with its exit code where it is not 0.

    `faults` are those of files for the whole suite.
    """
    parts = []
    failed = [each.result.name for each in suite if each.result.error is not None]
    if failed:
        parts.append(f"{len(failed)} of {_many(len(suite), 'evaluation')} failed ({', '.join(failed)})")
    if faults:
        parts.append(f"{_many(len(faults), 'file')} could not be written")
    decisions = [decision for each in suite for decision in each.decisions]
    strict = any(each.strict and each.result.exit_code == Undecided.exit_code for each in suite)
    if decisions:
        try:
            parts.append(conclude(decisions, strict=strict))
        except (CheckFailed, Undecided) as answer:
            parts.append(answer.message)
    line = "; ".join(parts)
    code = most_serious([*(each.result.exit_code for each in suite), *(fault.exit_code for fault in faults)])
    return _BY_CODE[code](line) if code else line


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
