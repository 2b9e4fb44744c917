"""What every command does with its result: the one place that writes to stdout and stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from lossctl.errors import UsageError, visible

if TYPE_CHECKING:
    from lossctl.results import RunResult

__all__ = ["chosen_format", "emit", "warn"]


def chosen_format(name: str | None) -> str:
    """The format for stdout: what was asked for, else a table for a person and TSV for a pipe."""
    from lossctl.outputs import FORMATS

    if name is None:
        return "table" if sys.stdout.isatty() else "tsv"
    if name not in FORMATS:
        raise UsageError(f"there is no output format '{visible(name)}'", hint=f"the formats are {', '.join(FORMATS)}")
    return name


def warn(messages: Sequence[str]) -> None:
    """Warnings, one a line, on stderr."""
    with suppress(OSError):  # a closed stderr takes nothing from the result
        for message in messages:
            print(f"lossctl: warning: {visible(message, 500)}", file=sys.stderr)


def emit(run: RunResult, format: str, outputs: Sequence[str], score_only: bool = False) -> None:
    """Writes the files that were asked for, then the result to stdout."""
    from lossctl.files import write_text
    from lossctl.outputs import format_of, render, scores

    for path in outputs:
        write_text(path, render(run, format_of(path)))
    sys.stdout.write(scores(run) if score_only else render(run, format, sys.stdout))
    sys.stdout.flush()
