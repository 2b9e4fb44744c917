"""A GitHub-flavoured Markdown table, its columns padded so that it also reads well as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lossctl.errors import visible
from lossctl.outputs.gates import limit, score, stands
from lossctl.outputs.view import Column, sections
from lossctl.results import GateResult, RunResult

# Shown as code: names and signatures hold underscores, brackets and stars that Markdown would take for its own.
_CODE = frozenset({"loss", "options", "wrt", "scale", "dtype", "file", "signature", "gate"})


def render(run: RunResult) -> str:
    """One table of the losses, one of the gradients, signatures included, one of the gates.

    Numbers have six significant digits.
    """
    return "\n".join(part for part in (render_results(run), render_gates(run.gates)) if part)


def render_results(run: RunResult) -> str:
    """The tables of losses and gradients; "" where there are none."""
    return "\n".join(_table([*section.columns, Column("signature", section.signatures)]) for section in sections(run))


def render_gates(gates: Sequence[GateResult]) -> str:
    """The table of gates; "" where there are none."""
    if not gates:
        return ""
    return _table(
        [
            Column("gate", tuple(visible(gate.expression, 1000) for gate in gates)),
            Column("verdict", tuple(stands(gate) for gate in gates)),
            Column("value", tuple(score(gate) for gate in gates), numeric=True),
            Column("limit", tuple(limit(gate) for gate in gates), numeric=True),
        ]
    )


def inline(text: str) -> str:
    """A message as text and nothing else: no character of it is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&@-])", r"\\\1", visible(text, 4000))


def _table(columns: Sequence[Column]) -> str:
    padded = [_padded(column) for column in columns]
    return "".join("| " + " | ".join(line) + " |\n" for line in zip(*padded, strict=True))


def _padded(column: Column) -> list[str]:
    """Title, rule and cells of one column, all of one width."""
    cells = [_code(cell) if column.title in _CODE else cell for cell in column.cells]
    width = max(3, *(len(cell) for cell in [column.title, *cells]))
    if column.numeric:
        return [column.title.rjust(width), "-" * (width - 1) + ":", *(cell.rjust(width) for cell in cells)]
    return [column.title.ljust(width), ":" + "-" * (width - 1), *(cell.ljust(width) for cell in cells)]


def _code(text: str) -> str:
    """`text` as a code span in a table cell: pipes escaped, and a fence longer than any run of backticks inside."""
    if not text:
        return ""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence, space = "`" * (ticks + 1), " " if ticks else ""
    return fence + space + text.replace("|", r"\|") + space + fence
