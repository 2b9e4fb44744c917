"""Figures as text, and the Markdown page."""

from __future__ import annotations

import math

import pytest

from benchmarks.report import Section, Table, megabytes, milliseconds, page, percent, show, times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (milliseconds(0.0123456), "12.3"),
        (milliseconds(1.2345), "1234"),
        (milliseconds(math.nan), "-"),
        (times(0.0444), "0.0444 ×"),
        (times(123.4), "123 ×"),
        (times(math.nan), "-"),
        (percent(0.845), "84 %"),
        (percent(math.nan), "-"),
        (megabytes(2_500_000_000), "2,500"),
        (megabytes(None), "-"),
    ],
)
def test_figures_have_the_digits_that_mean_something(text: str, expected: str) -> None:
    assert text == expected


def section() -> Section:
    table = Table(["loss", "ms"])
    table.add("a|b", "1")
    return Section("Title", "What it is.", table, ["A note."])


def test_the_page_is_markdown() -> None:
    assert page("Introduction.", ["Processor: x"], [section()]) == (
        "# Benchmarks\n\nIntroduction.\n\n- Processor: x\n\n## Title\n\nWhat it is.\n\n"
        "| loss | ms |\n| --- | ---: |\n| a\\|b | 1 |\n\nA note.\n"
    )


def test_nothing_is_cut_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    long = section()
    long.table.add("x" * 150, "[b]")
    show(long)
    shown = capsys.readouterr().out
    assert "x" * 150 in shown
    assert "[b]" in shown
