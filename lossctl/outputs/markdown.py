"""A GitHub-flavoured Markdown table, its columns padded so that it also reads well as text."""

from __future__ import annotations

import re

from lossctl.outputs.view import Column, Section, sections
from lossctl.results import RunResult

# Shown as code: names and signatures hold underscores, brackets and stars that Markdown would take for its own.
_CODE = frozenset({"loss", "options", "wrt", "scale", "dtype", "file", "signature"})


def render(run: RunResult) -> str:
    """One table of the losses, one of the gradients, signatures included; numbers have six significant digits."""
    return "\n".join(_table(section) for section in sections(run))


def _table(section: Section) -> str:
    columns = [*section.columns, Column("signature", section.signatures)]
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
