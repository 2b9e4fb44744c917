"""The summary of a GitHub step: Markdown, within what the host takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError
from lossctl.outputs.gates import stands
from lossctl.outputs.markdown import (
    inline,
    render_details,
    render_gates,
    render_results,
    render_suite_details,
    render_suite_gates,
    render_suite_results,
)
from lossctl.results import GateResult, LossResult, RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

LIMIT_BYTES = 1 << 20
"""Of a step; the host drops the whole of a summary that is larger."""

_FOLDED = "\n*Slices and worst rows are left out: a summary holds at most 1 MiB.*\n"
_CUT = "\n*The rest is left out: a summary holds at most 1 MiB.*\n"


def render(run: RunResult, limit: int = LIMIT_BYTES) -> str:
    """A heading that says how it went, the gates, the results and the warnings, in at most `limit` bytes.

    Slices and worst rows are left out where they do not fit. What else does not is left out from the end, by whole
    lines, and a last line says so; "" where not even that fits.
    """
    parts = [f"### lossctl: {_verdict(run.gates, run.results)}\n", render_gates(run.gates), render_results(run)]
    parts.append("".join(f"- warning: {inline(warning)}\n" for warning in run.warnings))
    return _limited(parts, render_details(run), limit)


def render_suite(suite: SuiteResult, limit: int = LIMIT_BYTES) -> str:
    """The same of all evaluations, and in the heading how many of them have no result."""
    verdict = _verdict([gate for _, gate in suite.gates], [result for _, run in suite.runs for result in run.results])
    if suite.errors:
        of_all = f"{len(suite.errors)} of {len(suite.evaluations)} evaluations failed"
        verdict = of_all if verdict == "done" else f"{of_all}, {verdict}"
    parts = [f"### lossctl: {verdict}\n", render_suite_gates(suite), render_suite_results(suite)]
    warnings = [f"{name}: {warning}" for name, run in suite.runs for warning in run.warnings]
    parts.append("".join(f"- warning: {inline(warning)}\n" for warning in warnings))
    return _limited(parts, render_suite_details(suite), limit)


def _limited(parts: Sequence[str], folded: str, limit: int) -> str:
    """The parts that are not empty, and what is folded if there is room for all of it."""
    short = "\n".join(part for part in parts if part)
    if folded:
        whole = f"{short}\n{folded}"
        short = whole if _bytes(whole) <= limit else short + _FOLDED
    return _within(short, limit)


def render_fault(error: LossctlError) -> str:
    """That there is no result, and why."""
    hint = f"\n{inline(error.hint)}\n" if error.hint else ""
    return f"### lossctl: no result\n\n{inline(error.message)}\n{hint}"


def _within(text: str, limit: int) -> str:
    """As many of the first lines of `text` as fit `limit` bytes, with a note where some do not."""
    if _bytes(text) <= limit:
        return text
    room = limit - len(_CUT.encode())
    kept = []
    for line in text.splitlines(keepends=True):
        room -= _bytes(line)
        if room < 0:
            break
        kept.append(line)
    return "".join(kept) + _CUT if kept else ""


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _verdict(gates: Sequence[GateResult], results: Sequence[LossResult]) -> str:
    """How it went, where only the gates count that are more than advice."""
    standings = [stands(gate) for gate in gates if gate.severity != "warn"]
    of_gates = f"of {len(standings)} gate{'s' if len(standings) > 1 else ''}"
    bad = sum(result.status != "ok" for result in results)
    if "fail" in standings:
        return f"{standings.count('fail')} {of_gates} failed"
    if bad:
        return f"{bad} of {len(results)} losses not finite"
    return f"{standings.count('pass')} {of_gates} passed" if standings else "done"
