"""Markdown: a table that GitHub reads as one, whatever the cells hold."""

from __future__ import annotations

import re

from lossctl.outputs import render
from lossctl.results import RunResult


def cells(line: str) -> list[str]:
    """The cells of a row as GitHub parts them: at the pipes that no backslash escapes."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line[1:-1])]


def test_plain_result(plain_run: RunResult) -> None:
    signature = r"`bce\|input=prob\|eps=0\|reduction=mean\|denom=weight\|lossctl=0.1.0`"
    assert render(plain_run, "markdown").splitlines() == [
        "| loss  |     value | unit | samples | " + "signature".ljust(len(signature)) + " |",
        "| :---- | --------: | :--- | ------: | :" + "-" * (len(signature) - 1) + " |",
        f"| `bce` | 0.0734213 | nat  |     569 | {signature} |",
    ]


def test_every_row_has_every_cell_and_lines_are_aligned(hard_run: RunResult) -> None:
    lines = render(hard_run, "markdown").splitlines()
    header = cells(lines[0])
    assert header[:5] == ["loss", "value", "unit", "samples", "weight"]
    assert len({len(line) for line in lines}) == 1
    for line, result in zip(lines[2:], hard_run.results, strict=True):
        row = dict(zip(header, cells(line), strict=True))
        assert row["loss"] == f"`{result.loss}`"
        assert row["signature"] == f"`{result.signature}`"
    assert cells(lines[3])[1] == "1e-12"


def test_pipes_and_backticks_stay_in_their_cell(gradient_run: RunResult) -> None:
    lines = render(gradient_run, "markdown").splitlines()
    row = dict(zip(cells(lines[0]), cells(lines[2]), strict=True))
    assert row["file"] == r"`` a|b,`c`\td\x1b[31m.npy ``"
    assert row["options"] == "`label_smoothing=0.1`"
    assert row["min"] == "-0.333333"
