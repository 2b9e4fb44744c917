"""The outputs of a step: names that expressions can spell, values on one line."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from lossctl.errors import DataError
from lossctl.outputs import render, render_fault
from lossctl.outputs.github_output import LONGEST_RESULT
from lossctl.results import GateResult, RunResult
from tests.outputs.conftest import loss_result, run_result


def read(text: str) -> dict[str, str]:
    """The outputs as the runner reads them: up to the first equals sign, unless "<<" stands before it."""
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        assert equals
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name)
        assert name not in found
        found[name] = value
    return found


def test_values_round_trip(hard_run: RunResult) -> None:
    found = read(render(hard_run, "github-output"))
    assert found["status"] == "nonfinite"
    for result in hard_run.results:
        assert found[result.loss] == repr(result.value)
    assert json.loads(found["result"]) == hard_run.to_document()
    assert "gates" not in found


def test_names_hold_nothing_that_an_expression_cannot() -> None:
    logits = loss_result("bce", options={"input": "logit", "denom": "weight"}, changed=("input",))
    found = read(render(run_result(loss_result(), logits, loss_result("own.py:f")), "github-output"))
    assert [*found] == ["status", "bce", "bce_input_logit", "own_py_f", "result"]


@pytest.mark.parametrize(
    ("verdict", "severity", "told"),
    [
        ("pass", "fail", "pass"),
        ("fail", "fail", "fail"),
        ("fail", "warn", "pass"),
        ("inconclusive", "fail", "inconclusive"),
    ],
)
def test_gates(verdict: str, severity: str, told: str) -> None:
    gate = GateResult("bce > 1", 0.5, verdict, 1.0, severity)
    assert read(render(run_result(loss_result(), gates=(gate,)), "github-output"))["gates"] == told


def test_names_stay_names(hostile_run: RunResult) -> None:
    found = read(render(hostile_run, "github-output"))
    assert json.loads(found["result"]) == hostile_run.to_document()
    assert len(found) == 4


def test_a_document_that_is_too_long_for_the_host_is_left_out(plain_run: RunResult) -> None:
    run = replace(plain_run, warnings=("x" * LONGEST_RESULT,))
    assert [*read(render(run, "github-output"))] == ["status", "bce"]


def test_a_run_that_failed() -> None:
    assert render_fault(DataError("no rows"), "github-output") == "status=error\n"
