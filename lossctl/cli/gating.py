"""The verdict of the gates of a command, told on stderr after its result, and its exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossctl.gates.gating import Gating


def deliver(gating: Gating, emit: Callable[[], None], quiet: bool) -> None:
    """Writes the result, then the verdict. Raises CheckFailed where a gate fails, Undecided where one is open."""
    try:
        emit()
    except BrokenPipeError:  # who reads stdout has no part in the verdict
        _tell(gating, quiet)
        raise
    _tell(gating, quiet)


def _tell(gating: Gating, quiet: bool) -> None:
    from lossctl.cli.show import tell, tell_gates
    from lossctl.gates.conclusion import conclude

    if not gating.gates:
        return
    tell_gates(gating.decisions, quiet)
    verdict = conclude(gating.decisions, strict=gating.strict)
    if not quiet:
        tell([f"lossctl: {verdict}"])
