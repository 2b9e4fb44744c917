"""LaTeX: a tabular whose rows have their cells, with nothing in them that LaTeX takes for its own."""

from __future__ import annotations

import re

import pytest

from lossctl.outputs import render
from lossctl.results import RunResult


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of all tables."""
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    return [re.split(r"(?<!\\)&", line.removesuffix(r" \\")) for line in lines]


def test_plain_result(plain_run: RunResult) -> None:
    assert render(plain_run, "latex") == (
        "% needs \\usepackage{booktabs}\n"
        "% bce|input=prob|eps=0|reduction=mean|denom=weight|lossctl=0.1.0\n"
        "\\begin{tabular}{lrlr}\n"
        "\\toprule\n"
        "loss & value & unit & samples \\\\\n"
        "\\midrule\n"
        "bce & 0.0734213 & nat & 569 \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
    )


def test_numbers_are_set_as_numbers(hard_run: RunResult) -> None:
    values = [cells[1].strip() for cells in rows(render(hard_run, "latex"))]
    expected = ["0.333333", r"$1 \times 10^{-12}$", r"$1.23457 \times 10^{8}$", r"$\infty$", "NaN", r"$-\infty$"]
    assert values == ["value", *expected]


def test_a_negative_number_has_a_minus_sign(gradient_run: RunResult) -> None:
    title, cells = rows(render(gradient_run, "latex"))
    assert cells[[name.strip() for name in title].index("min")].strip() == "$-0.333333$"


@pytest.mark.parametrize("name", ["plain_run", "hard_run", "gradient_run", "gated_run", "hostile_run"])
def test_nothing_is_left_that_latex_would_take_for_its_own(name: str, request: pytest.FixtureRequest) -> None:
    text = render(request.getfixturevalue(name), "latex")
    columns = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", text)
    assert len(columns) == text.count(r"\end{tabular}")
    for cells in rows(text):
        assert len(cells) == len(columns[0])
        for cell in cells:
            plain = re.sub(r"\$[^$]*\$|\\text[a-z]+\{\}|\\[&%$#_{}]|\{[-\[\]]\}", "", cell)
            assert not re.search(r"[\\&%$#_{}~^|<>\"\[\]]", plain), cell
    comments = [line for line in text.splitlines() if line.startswith("%")]
    assert len(comments) + len(rows(text)) + 5 * len(columns) == len([line for line in text.splitlines() if line])
