"""The table: everything is shown whole, at any width, and colours only where they are wanted."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from lossctl.outputs import render
from lossctl.outputs.table import fold
from lossctl.results import RunResult

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal, or a pipe, of an encoding."""

    def __init__(self, terminal: bool = True, encoding: str = "utf-8") -> None:
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    def isatty(self) -> bool:
        return self._terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_plain_result(plain_run: RunResult) -> None:
    assert render(plain_run, "table") == (
        "loss   value       unit   samples\n"
        "─────────────────────────────────\n"
        "bce    0.0734213   nat        569\n"
        "\n"
        "bce|input=prob|eps=0|reduction=mean|denom=weight|lossctl=0.1.0\n"
    )


def test_a_pipe_has_no_width(hard_run: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = render(hard_run, "table", Terminal(terminal=False))
    assert text == render(hard_run, "table")
    for result in hard_run.results:
        assert result.signature in text.splitlines()


@pytest.mark.parametrize("columns", [10, 40, 60, 80, 120, 1000])
@pytest.mark.parametrize("name", ["plain_run", "hard_run", "gradient_run"])
def test_nothing_is_ever_cut(
    columns: int, name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    run: RunResult = request.getfixturevalue(name)
    text = ESCAPES.sub("", render(run, "table", Terminal()))
    assert "…" not in text
    assert "..." not in text
    joined = re.sub(r"\s", "", text)
    for signature in [r.signature for r in run.results] + [g.signature for g in run.gradients]:
        assert signature in joined
    for number in ("1e-12", "123457", "1.23457e+08", "20,000,000", "123.5", "12345", "-inf"):
        if number in render(run, "table"):
            assert re.search(rf"(?<!\S){re.escape(number)}(?!\S)", text)
    if columns >= 60:
        assert max(map(len, text.splitlines())) <= columns


def test_a_narrow_terminal_gets_fields(hard_run: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    blocks = render(hard_run, "table", Terminal()).split("\n\n")
    assert len(blocks) == len(hard_run.results)
    assert blocks[1].splitlines() == [
        "loss        scce",
        "value       1e-12",
        "unit        bit",
        "samples     20,000,000",
        "weight      123.5",
        "options     input=logit",
        "            class_weight=[0.5,1,2]",
        "            log_base=2",
        "signature   scce|input=logit|",
        "            class_weight=[0.5,1,2]|",
        "            log_base=2|reduction=mean|",
        "            denom=weight|lossctl=0.1.0",
    ]


def test_points_are_under_each_other(hard_run: RunResult) -> None:
    lines = render(hard_run, "table").splitlines()
    start = lines[0].index("value")
    assert [line[start : start + 16].rstrip() for line in lines[2:8]] == [
        "   0.333333",
        "   1e-12",
        "   1.23457e+08",
        " inf",
        " nan",
        "-inf",
    ]


def test_only_what_differs_is_shown(plain_run: RunResult, hard_run: RunResult) -> None:
    plain = render(plain_run, "table").splitlines()[0].split()
    assert plain == ["loss", "value", "unit", "samples"]
    header = render(hard_run, "table").splitlines()[0]
    for title in ("weight", "non-finite", "clipped", "degenerate", "std error", "p95", "argmax", "options"):
        assert title in header
    assert "reduction=sum" in render(hard_run, "table").splitlines()[4]


def test_losses_and_gradients_of_one_run(plain_run: RunResult, gradient_run: RunResult) -> None:
    text = render(replace(plain_run, gradients=gradient_run.gradients), "table")
    assert text.startswith(render(plain_run, "table") + "\n")
    assert text.endswith(render(gradient_run, "table"))


@pytest.mark.parametrize(
    ("variables", "terminal", "colored"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, False),
    ],
)
def test_colors(
    variables: dict[str, str], terminal: bool, colored: bool, plain_run: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    text = render(plain_run, "table", Terminal(terminal))
    assert ("\x1b" in text) == colored
    shown = [line.rstrip() for line in ESCAPES.sub("", text).splitlines()]
    assert shown == render(plain_run, "table").splitlines()


def test_a_file_is_plain_whatever_the_environment(plain_run: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in render(plain_run, "table")


def test_a_terminal_without_unicode_gets_ascii(hard_run: RunResult) -> None:
    assert render(hard_run, "table", Terminal(encoding="ascii")).isascii()


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("a|b|c", 80, ["a|b|c"]),
        ("aa|bb|cc", 6, ["aa|bb|", "cc"]),
        ("aaaaaaaa|b", 3, ["aaaaaaaa|", "b"]),
        ("a", 0, ["a"]),
    ],
)
def test_fold_never_cuts_a_part(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, "|", width) == lines
