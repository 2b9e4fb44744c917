"""The verdict of the gates of a command, told on stderr after its result, and its exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossctl.gates.gating import Gating

__all__ = ["deliver"]


def deliver(gating: Gating, emit: Callable[[], None], quiet: bool) -> None:
    """Writes the result, then the verdict. Raises CheckFailed where a gate fails, Undecided where one is open."""
    try:
        emit()
    except BrokenPipeError:  # who reads stdout has no part in the verdict
        _tell(gating, quiet)
        raise
    _tell(gating, quiet)


def _tell(gating: Gating, quiet: bool) -> None:
    from lossctl.gates.judging import conclude, report

    if not gating.gates:
        return
    told = [each for each in gating.decisions if not quiet or each.result.verdict != "pass"]
    _say(report(told, sys.stderr.encoding))
    verdict = conclude(gating.decisions, strict=gating.strict)
    if not quiet:
        _say([f"lossctl: {verdict}"])


def _say(lines: Sequence[str]) -> None:
    with suppress(OSError):  # a closed stderr changes nothing of the verdict
        for line in lines:
            print(line, file=sys.stderr)
