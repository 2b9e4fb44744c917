"""Gates in words."""

from __future__ import annotations

from lossctl.outputs.gates import said, stands
from lossctl.results import GateResult, RunResult


def test_what_is_said_of_each_verdict(gated_run: RunResult) -> None:
    assert [(stands(gate), said(gate)) for gate in gated_run.gates] == [
        ("pass", "0.0734, limit 0.35"),
        ("fail", "0.4, limit 0.3"),
        ("warn", "2.9, limit 2"),
        ("inconclusive", "0.07, limit 0.07, 12,345 more samples would decide"),
        ("fail", "nan"),
        ("fail", "missing, limit 1"),
    ]


def test_advice_that_could_not_be_decided_is_not_a_warning() -> None:
    assert stands(GateResult("bce > 1", 1.0, "inconclusive", 1.0, "warn")) == "inconclusive"
    assert stands(GateResult("bce > 1", 0.0, "pass", 1.0, "warn")) == "pass"
