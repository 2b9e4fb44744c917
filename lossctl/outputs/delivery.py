"""Results into the files that were asked for: the one module here that writes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from lossctl.errors import LossctlError
from lossctl.files import append, atomic_file
from lossctl.outputs import encoded, format_of, github_summary, host_format, render_fault
from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult


def deliver(run: RunResult | SuiteResult, paths: Iterable[str]) -> None:
    """Writes `run`, or a suite of runs, to each file in the format that its name says, whole or not at all.

    The files of a CI host are appended to, as their host wants it. Raises EnvironmentFault for a failed write.
    """
    for path in paths:
        format = format_of(path)
        if format == "github-summary":
            room = _room(path)
            if isinstance(run, RunResult):
                text = github_summary.render(run, room)
            else:
                text = github_summary.render_suite(run, room)
            append(path, text.encode("utf-8", "surrogateescape"))
        else:
            _put(path, encoded(run, format))


def deliver_fault(error: LossctlError, paths: Iterable[str]) -> None:
    """Tells the readers of those formats that can say it that a run failed; nobody else gets a file.

    The error is what the run ends with: that it could not be told here too is no other.
    """
    for path in paths:
        with suppress(LossctlError):
            text = render_fault(error, format_of(path))
            if text is not None:
                _put(path, text.encode())


def _put(path: str, content: bytes) -> None:
    if host_format(path) is not None:
        append(path, content)
        return
    with atomic_file(path) as handle:
        handle.write(content)


def _room(path: str) -> int:
    """What earlier commands of the step have left of the summary."""
    with suppress(OSError):
        return github_summary.LIMIT_BYTES - os.path.getsize(path)
    return github_summary.LIMIT_BYTES
