"""A LaTeX table in the style of booktabs, to be read with \\input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lossctl.outputs.view import Column, Section, details, sections
from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        "-": r"{-}",  # so that two of them do not become a dash
        "[": "{[}",  # which after the end of a row begins its options
        "]": "{]}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
_NOT_FINITE = {"inf": r"$\infty$", "-inf": r"$-\infty$", "nan": "NaN"}


def render(run: RunResult) -> str:
    """One tabular of the losses, one of the gradients, of slices and worst rows; numbers have six significant digits.

    Each stands under its signatures, or what it is of, as comments.
    """
    return tables([*sections(run), *details(run)])


def render_suite(suite: SuiteResult) -> str:
    """One tabular of the losses of all evaluations, one of what went wrong, those of slices and worst rows."""
    from lossctl.outputs.suites import suite_details, suite_sections

    return tables([*suite_sections(suite), *suite_details(suite)])


def tables(shown: Sequence[Section]) -> str:
    """A tabular a section."""
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_tabular(section) for section in shown)


def _tabular(section: Section) -> str:
    alignment = "".join("r" if column.numeric else "l" for column in section.columns)
    cells = [_cells(column) for column in section.columns]
    lines = [
        *(f"% {line}" for line in (section.title, *section.signatures, section.note) if line),
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        " & ".join(_escaped(column.title) for column in section.columns) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in zip(*cells, strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _cells(column: Column) -> list[str]:
    return [_number(cell) if column.numeric else _escaped(cell) for cell in column.cells]


def _escaped(text: str) -> str:
    return text.translate(_SPECIAL)


def _number(text: str) -> str:
    """A number as it is set: 1e-12 as a product with a power, -0.5 with a minus sign and not a hyphen."""
    if text in _NOT_FINITE:
        return _NOT_FINITE[text]
    mantissa, power, exponent = text.partition("e")
    if power:
        return rf"${mantissa} \times 10^{{{int(exponent)}}}$"
    return f"${text}$" if text.startswith("-") else text
