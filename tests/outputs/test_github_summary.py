"""The step summary: what matters first, never above the limit of the host."""

from __future__ import annotations

import pytest

from lossctl.errors import UsageError
from lossctl.outputs import render, render_fault
from lossctl.outputs.github_summary import LIMIT_BYTES
from lossctl.outputs.github_summary import render as summary
from lossctl.results import GateResult, RunResult
from tests.outputs.conftest import loss_result, run_result


def test_gates_come_before_results(gated_run: RunResult) -> None:
    lines = render(gated_run, "github-summary").splitlines()
    assert lines[0] == "### lossctl: 3 of 5 gates failed"
    titles = [line.split("|")[1].strip() for line in lines if line.startswith("| ") and "---" not in line]
    assert titles == ["gate", *(f"`{gate.expression}`" for gate in gated_run.gates), "loss", "`bce`"]
    assert "| `mae > 1`            | fail         | missing |     1 |" in lines


@pytest.mark.parametrize(
    ("run", "heading"),
    [
        (run_result(loss_result()), "done"),
        (run_result(loss_result(), gates=(GateResult("bce > 1", 0.5, "pass", 1.0),)), "1 of 1 gate passed"),
        (run_result(loss_result(), gates=(GateResult("bce > 0", 0.5, "fail", 0.0, "warn"),)), "done"),
        (run_result(loss_result(), loss_result("mse", float("nan"))), "1 of 2 losses not finite"),
    ],
)
def test_the_heading_says_how_it_went(run: RunResult, heading: str) -> None:
    assert render(run, "github-summary").splitlines()[0] == f"### lossctl: {heading}"


def test_warnings_are_text_and_nothing_else(hard_run: RunResult, hostile_run: RunResult) -> None:
    assert render(hard_run, "github-summary").splitlines()[-1] == "- warning: class 3 has no samples"
    last = render(hostile_run, "github-summary").splitlines()[-1]
    assert r"\<b\>\&" in last
    assert r"\#\#\[error\]" in last


@pytest.mark.parametrize("limit", [60, 100, 1000, 5000, 100_000])
def test_what_does_not_fit_is_left_out_by_whole_lines(limit: int) -> None:
    run = run_result(*(loss_result(f"größe_{number}") for number in range(1000)))
    whole = summary(run)
    text = summary(run, limit)
    assert 100_000 < len(whole.encode()) < LIMIT_BYTES
    assert len(text.encode()) <= limit
    if text:
        kept, _, note = text.removesuffix("\n").rpartition("\n\n")
        assert note == "*The rest is left out: a summary holds at most 1 MiB.*"
        assert whole.startswith(kept + "\n")
    assert bool(text) == (limit > 60)


def test_the_limit_is_that_of_the_host() -> None:
    run = run_result(loss_result(), warnings=("x" * 3000,) * 400)
    assert LIMIT_BYTES - 4000 < len(render(run, "github-summary").encode()) <= 1024 * 1024


def test_a_run_that_failed() -> None:
    text = render_fault(UsageError("no loss <b>", hint="give one"), "github-summary")
    assert text == "### lossctl: no result\n\nno loss \\<b\\>\n\ngive one\n"
