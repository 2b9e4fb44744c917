"""Annotations: what the host's own reading of them gives back."""

from __future__ import annotations

import pytest

from lossctl.errors import DataError
from lossctl.outputs import render, render_fault
from lossctl.outputs.github import MOST_OF_A_KIND, annotation
from lossctl.results import GateResult, RunResult
from tests.outputs.conftest import HOSTILE, loss_result, run_result

Command = tuple[str, dict[str, str], str]


def read(line: str) -> Command:
    """A workflow command as the runner reads it."""
    assert line.startswith("::")
    head, separator, data = line[2:].partition("::")
    assert separator
    kind, _, properties = head.partition(" ")
    pairs = dict(part.split("=", 1) for part in properties.split(",") if part)
    return kind, {name: unescaped(value, ":%3A ,%2C") for name, value in pairs.items()}, unescaped(data)


def unescaped(text: str, more: str = "") -> str:
    for character, escape in [(each[0], each[1:]) for each in more.split()] + [("\r", "%0D"), ("\n", "%0A")]:
        text = text.replace(escape, character)
    return text.replace("%25", "%")


def commands(text: str) -> list[Command]:
    return [read(line) for line in text.splitlines()]


def test_gates_and_losses(gated_run: RunResult) -> None:
    file = {"file": "preds.npy"}
    assert commands(render(gated_run, "github")) == [
        ("error", {**file, "title": "lossctl: gate fail"}, "p95(bce) > 0.3: 0.4, limit 0.3"),
        ("error", {**file, "title": "lossctl: gate fail"}, "brier > base: nan"),
        ("error", {**file, "title": "lossctl: gate fail"}, "mae > 1: missing, limit 1"),
        ("warning", {**file, "title": "lossctl: gate warn"}, "max(bce) > 2: 2.9, limit 2"),
        (
            "warning",
            {**file, "title": "lossctl: gate inconclusive"},
            "ci_low(bce) > 0.07: 0.07, limit 0.07, 12,345 more samples would decide",
        ),
        ("notice", {**file, "title": "lossctl: result"}, "bce 0.0734213 nat"),
    ]


def test_a_loss_that_is_not_finite_is_an_error(hard_run: RunResult) -> None:
    found = commands(render(hard_run, "github"))
    errors = [message for kind, _, message in found if kind == "error"]
    assert errors == ["cce is inf", "rmse is nan", "cosine_distance is -inf"]
    assert [message for kind, _, message in found if kind == "warning"] == ["class 3 has no samples"]


@pytest.mark.parametrize("number", [MOST_OF_A_KIND, MOST_OF_A_KIND + 1, 1000])
def test_there_are_no_more_than_the_host_shows(number: int) -> None:
    gates = tuple(GateResult(f"bce > {limit}", 0.5, "fail", limit / 10_000) for limit in range(number))
    messages = [
        m for kind, _, m in commands(render(run_result(loss_result(), gates=gates), "github")) if kind == "error"
    ]
    assert len(messages) == MOST_OF_A_KIND
    assert messages[-1].startswith("bce > 9: ")
    rest = number - MOST_OF_A_KIND
    assert messages[-1].endswith(f"; and {rest} more" if rest else "limit 0.0009")


def test_names_start_no_command(hostile_run: RunResult) -> None:
    text = render(hostile_run, "github")
    assert "##[" not in text
    found = commands(text)
    assert [kind for kind, _, _ in found] == ["error", "error", "warning", "notice"]
    name = HOSTILE.encode("unicode_escape").decode().replace("##[", "## [")
    assert {properties["file"] for _, properties, _ in found} == {name}
    assert found[2][2] == name


def test_data_and_properties_are_escaped_as_the_host_wants() -> None:
    assert annotation("error", "a: b, c", "100%: d, e\n", "x%y:z") == (
        "::error file=x%25y%3Az,title=a%3A b%2C c::100%25: d, e\\n\n"
    )


def test_a_run_that_failed() -> None:
    text = render_fault(DataError("row 3 is 5%, not a number", hint="look at it"), "github") or ""
    title = {"title": "lossctl: no result"}
    assert commands(text) == [("error", title, "row 3 is 5%, not a number; look at it")]
