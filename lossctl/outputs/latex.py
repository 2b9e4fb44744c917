"""A LaTeX table in the style of booktabs, to be read with \\input."""

from __future__ import annotations

from lossctl.outputs.view import Column, Section, sections
from lossctl.results import RunResult

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
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
)
_NOT_FINITE = {"inf": r"$\infty$", "-inf": r"$-\infty$", "nan": "NaN"}


def render(run: RunResult) -> str:
    """One tabular of the losses, one of the gradients; numbers have six significant digits.

    Each stands under its signatures, as comments.
    """
    return "% needs \\usepackage{booktabs}\n" + "\n".join(_tabular(section) for section in sections(run))


def _tabular(section: Section) -> str:
    alignment = "".join("r" if column.numeric else "l" for column in section.columns)
    cells = [_cells(column) for column in section.columns]
    lines = [
        *(f"% {signature}" for signature in section.signatures),
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
