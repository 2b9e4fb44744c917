"""The summary of a GitHub step: Markdown, within what the host takes."""

from __future__ import annotations

from lossctl.errors import LossctlError
from lossctl.outputs.gates import stands
from lossctl.outputs.markdown import inline, render_gates, render_results
from lossctl.results import RunResult

LIMIT_BYTES = 1 << 20
"""Of a step; the host drops the whole of a summary that is larger."""

_CUT = "\n*The rest is left out: a summary holds at most 1 MiB.*\n"


def render(run: RunResult, limit: int = LIMIT_BYTES) -> str:
    """A heading that says how it went, the gates, the results and the warnings, in at most `limit` bytes.

    What does not fit is left out from the end, by whole lines, and a last line says so; "" where not even that fits.
    """
    parts = [f"### lossctl: {_verdict(run)}\n", render_gates(run.gates), render_results(run)]
    parts.append("".join(f"- warning: {inline(warning)}\n" for warning in run.warnings))
    return _within("\n".join(part for part in parts if part), limit)


def render_fault(error: LossctlError) -> str:
    """That there is no result, and why."""
    hint = f"\n{inline(error.hint)}\n" if error.hint else ""
    return f"### lossctl: no result\n\n{inline(error.message)}\n{hint}"


def _within(text: str, limit: int) -> str:
    """As many of the first lines of `text` as fit `limit` bytes, with a note where some do not."""
    if len(text.encode("utf-8", "surrogateescape")) <= limit:
        return text
    room = limit - len(_CUT.encode())
    kept = []
    for line in text.splitlines(keepends=True):
        room -= len(line.encode("utf-8", "surrogateescape"))
        if room < 0:
            break
        kept.append(line)
    return "".join(kept) + _CUT if kept else ""


def _verdict(run: RunResult) -> str:
    """How it went, where only the gates count that are more than advice."""
    standings = [stands(gate) for gate in run.gates if gate.severity != "warn"]
    of_gates = f"of {len(standings)} gate{'s' if len(standings) > 1 else ''}"
    bad = sum(result.status != "ok" for result in run.results)
    if "fail" in standings:
        return f"{standings.count('fail')} {of_gates} failed"
    if bad:
        return f"{bad} of {len(run.results)} losses not finite"
    return f"{standings.count('pass')} {of_gates} passed" if standings else "done"
