"""A GitHub-flavoured Markdown table, its columns padded so that it also reads well as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from lossctl.errors import visible
from lossctl.outputs.gates import limit, score, stands
from lossctl.outputs.view import Column, Section, details, sections
from lossctl.results import GateResult, RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

# Shown as code: names and signatures hold underscores, brackets and stars that Markdown would take for its own.
_CODE = frozenset({"evaluation", "loss", "options", "wrt", "scale", "dtype", "file", "signature", "gate"})


def render(run: RunResult) -> str:
    """One table of the losses, one of the gradients, signatures included, one of the gates.

    Slices and worst rows are folded. Numbers have six significant digits.
    """
    return "\n".join(part for part in (render_results(run), render_gates(run.gates), render_details(run)) if part)


def render_results(run: RunResult) -> str:
    """The tables of losses and gradients; "" where there are none."""
    return tables(sections(run))


def render_gates(gates: Sequence[GateResult]) -> str:
    """The table of gates; "" where there are none."""
    return _table(_gate_columns(gates)) if gates else ""


def render_details(run: RunResult) -> str:
    """The tables of slices and of worst rows, each under a line that unfolds it; "" where there are none."""
    return _folded(details(run))


def _folded(shown: Sequence[Section]) -> str:
    return "\n".join(
        f"<details><summary>{escape(section.title)}</summary>\n\n{_table(section.columns)}"
        f"{f'{chr(10)}{inline(section.note)}{chr(10)}' if section.note else ''}\n</details>\n"
        for section in shown
    )


def render_suite(suite: SuiteResult) -> str:
    """The tables of a run, a row each for every evaluation, and one of what went wrong."""
    parts = (render_suite_results(suite), render_suite_gates(suite), render_suite_details(suite))
    return "\n".join(part for part in parts if part)


def render_suite_results(suite: SuiteResult) -> str:
    """The tables of losses and of what went wrong."""
    from lossctl.outputs.suites import suite_sections

    return tables(suite_sections(suite))


def render_suite_gates(suite: SuiteResult) -> str:
    """The table of the gates of all evaluations; "" where there are none."""
    from lossctl.outputs.suites import with_names

    names, gates = [name for name, _ in suite.gates], [gate for _, gate in suite.gates]
    return _table(with_names(names, _gate_columns(gates))) if gates else ""


def render_suite_details(suite: SuiteResult) -> str:
    """The tables of slices and of worst rows of all evaluations, folded; "" where there are none."""
    from lossctl.outputs.suites import suite_details

    return _folded(suite_details(suite))


def tables(shown: Sequence[Section]) -> str:
    """A table a section, with a column of signatures where it has some."""
    found = []
    for section in shown:
        signed = [Column("signature", section.signatures)] if any(section.signatures) else []
        found.append(_table([*section.columns, *signed]))
    return "\n".join(found)


def _gate_columns(gates: Sequence[GateResult]) -> list[Column]:
    return [
        Column("gate", tuple(visible(gate.expression, 1000) for gate in gates)),
        Column("verdict", tuple(stands(gate) for gate in gates)),
        Column("value", tuple(score(gate) for gate in gates), numeric=True),
        Column("limit", tuple(limit(gate) for gate in gates), numeric=True),
    ]


def inline(text: str) -> str:
    """A message as text and nothing else: no character of it is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&@-])", r"\\\1", visible(text, 4000))


def _table(columns: Sequence[Column]) -> str:
    padded = [_padded(column) for column in columns]
    return "".join("| " + " | ".join(line) + " |\n" for line in zip(*padded, strict=True))


def _padded(column: Column) -> list[str]:
    """Title, rule and cells of one column, all of one width."""
    is_code = column.verbatim or column.title in _CODE
    spell = _code if is_code else inline if column.title == "error" else str
    title, cells = inline(column.title) if column.verbatim else column.title, [spell(cell) for cell in column.cells]
    width = max(3, *(len(cell) for cell in [title, *cells]))
    if column.numeric:
        return [title.rjust(width), "-" * (width - 1) + ":", *(cell.rjust(width) for cell in cells)]
    return [title.ljust(width), ":" + "-" * (width - 1), *(cell.ljust(width) for cell in cells)]


def _code(text: str) -> str:
    """`text` as a code span in a table cell: pipes escaped, and a fence longer than any run of backticks inside."""
    if not text:
        return ""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (ticks + 1), " " if ticks else ""
    return fence + space + text.replace("|", r"\|") + space + fence
