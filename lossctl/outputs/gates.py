"""How a gate is told, in the same words in every format."""

from __future__ import annotations

from typing import Literal

from lossctl.outputs.view import count, significant
from lossctl.results import GateResult

Standing = Literal["pass", "fail", "warn", "inconclusive"]


def stands(gate: GateResult) -> Standing:
    """What a gate means for the run: "warn" is a failure that is only advice."""
    if gate.verdict == "fail":
        return "warn" if gate.severity == "warn" else "fail"
    return "pass" if gate.verdict == "pass" else "inconclusive"


def said(gate: GateResult) -> str:
    """The measured value, the limit, and what it would take to decide: "0.412, limit 0.35"."""
    parts = [score(gate)]
    if gate.limit is not None:
        parts.append(f"limit {limit(gate)}")
    if gate.more_samples is not None:
        parts.append(f"{count(gate.more_samples)} more samples would decide")
    if gate.slices is not None and gate.slices.verdicts:
        parts.append(gate.slices.told())
    if gate.note:
        parts.append(gate.note)
    return ", ".join(parts)


def score(gate: GateResult) -> str:
    """The measured value."""
    return "missing" if gate.value is None else significant(gate.value)


def limit(gate: GateResult) -> str:
    """The limit; "" where there is not one number."""
    return "" if gate.limit is None else significant(gate.limit)
