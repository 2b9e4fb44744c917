"""What every command does with its result: the one place that writes to stdout and stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError, UsageError, visible

if TYPE_CHECKING:
    from lossctl.gates.judging import Decision
    from lossctl.results import RunResult
    from lossctl.suites.results import SuiteResult


def chosen_format(name: str | None) -> str:
    """The format for stdout: what was asked for, else a table for a person and TSV for a pipe."""
    from lossctl.outputs import known_format

    if name is None:
        return "table" if sys.stdout.isatty() else "tsv"
    if name == "parquet" and sys.stdout.isatty():
        raise UsageError("parquet is not for a terminal", hint="-o result.parquet")
    return known_format(name)


def warn(messages: Sequence[str]) -> None:
    """Warnings, one a line, on stderr."""
    tell(f"lossctl: warning: {visible(message, 500)}" for message in messages)


def tell(lines: Iterable[str]) -> None:
    """Lines for people, on stderr."""
    with suppress(OSError):  # a closed stderr takes nothing from the result or the verdict
        for line in lines:
            print(line, file=sys.stderr)


def tell_gates(decisions: Sequence[Decision], quiet: bool) -> None:
    """A line a gate, where it is `quiet` of those alone that do not pass; set off from a result on the same screen."""
    from lossctl.gates.conclusion import report

    told = [each for each in decisions if not quiet or each.result.verdict != "pass"]
    if told and sys.stdout.isatty() and sys.stderr.isatty():
        tell([""])
    tell(report(told, sys.stderr.encoding))


def emit(run: RunResult | SuiteResult, format: str, outputs: Sequence[str], score_only: bool = False) -> None:
    """Writes the files that were asked for, then the result to stdout; `score_only` is of a single run."""
    from lossctl.outputs import BINARY, encoded, render, scores
    from lossctl.results import RunResult

    if outputs:
        from lossctl.outputs.delivery import deliver

        deliver(run, outputs)
    if score_only and isinstance(run, RunResult):
        sys.stdout.write(scores(run))
    elif format in BINARY:
        sys.stdout.buffer.write(encoded(run, format))
    else:
        sys.stdout.write(render(run, format, sys.stdout))
    sys.stdout.flush()


@contextmanager
def telling_faults(format: str, outputs: Sequence[str]) -> Iterator[None]:
    """Says in those of the outputs that a CI host reads that a run failed, where it does; the error goes on."""
    try:
        yield
    except LossctlError as error:
        from lossctl.outputs import render_fault
        from lossctl.outputs.delivery import deliver_fault

        deliver_fault(error, outputs)
        with suppress(OSError):  # a closed stdout makes no other error of it
            sys.stdout.write(render_fault(error, format) or "")
        raise
