"""Small tables: text is shown as it is, numbers are never cut, and a narrow terminal gets lines instead."""

from __future__ import annotations

import json

import pytest

from lossctl.cli.text import print_rows
from lossctl.outputs import table
from lossctl.outputs.table import Display

LONG = "a summary of some forty-five characters or so"
ROWS = [
    {"name": "first", "max": 1499.25, "summary": LONG, "input": "prob"},
    {"name": "second", "max": -7, "summary": "short", "input": ""},
]


def shown(capsys: pytest.CaptureFixture[str], *arguments: object, **keywords: object) -> list[str]:
    print_rows(*arguments, **keywords)  # type: ignore[arg-type]
    return capsys.readouterr().out.splitlines()


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(table, "display_of", lambda stream: Display(width=width))


def test_brackets_are_text_and_no_style(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "backend cuda", "found": "pip install 'lossctl[cuda]' :smile:"}]
    assert shown(capsys, rows, "table")[1] == "backend cuda  pip install 'lossctl[cuda]' :smile:"


def test_a_table_in_a_pipe_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, [{"name": "a", "summary": "word " * 100, "input": "b"}], "table", unless_narrow=("input",))
    assert len(lines) == 2
    assert lines[1].split() == ["a", *["word"] * 100, "b"]


def test_prose_folds_and_nothing_else_does(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, 50)
    lines = shown(capsys, ROWS, "table", unless_narrow=("input",))
    assert lines[0].split() == ["name", "max", "summary"]
    assert lines[1].startswith("first   1499.25  a summary")
    assert len(lines) == 4
    assert max(map(len, lines)) <= 50
    assert all(line == line.rstrip() for line in lines)


def test_a_narrow_terminal_gets_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    on_terminal(monkeypatch, 30)
    assert shown(capsys, ROWS, "table") == [
        "name     first",
        "max      1499.25",
        f"summary  {LONG}",
        "input    prob",
        "",
        "name     second",
        "max      -7",
        "summary  short",
    ]


@pytest.mark.parametrize(("width", "titles"), [(109, ["name", "max", "summary"]), (110, list(ROWS[0]))])
def test_columns_for_wide_terminals(
    width: int, titles: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_terminal(monkeypatch, width)
    assert shown(capsys, ROWS, "table", unless_narrow=("input",))[0].split() == titles


def test_numbers_are_numbers_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads("\n".join(shown(capsys, ROWS, "json"))) == ROWS
