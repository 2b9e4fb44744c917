"""Tables: on the terminal as they come, and as one Markdown page at the end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

MISSING = "-"


@dataclass
class Table:
    """Rows of text; the first column is what the row is about, the others are figures."""

    heads: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: str) -> None:
        self.rows.append(list(cells))


@dataclass
class Section:
    """A title, one or two sentences on what was timed, a table, and what follows from it."""

    title: str
    what: str
    table: Table
    notes: list[str] = field(default_factory=list)


def milliseconds(seconds: float) -> str:
    """Three digits of them."""
    if math.isnan(seconds):
        return MISSING
    thousandths = seconds * 1e3
    return f"{thousandths:.0f}" if thousandths >= 100 else f"{thousandths:.3g}"


def times(ratio: float) -> str:
    """A ratio: "12 ×"."""
    if math.isnan(ratio):
        return MISSING
    return f"{ratio:.0f} ×" if ratio >= 99.5 else f"{ratio:.3g} ×"


def percent(share: float) -> str:
    """A share of 1: "84 %"."""
    return MISSING if math.isnan(share) else f"{share * 100:.0f} %"


def megabytes(count: int | None) -> str:
    """Of so many bytes."""
    return MISSING if count is None else f"{count / 1e6:,.0f}"


def show(section: Section) -> None:
    """Prints a section on the terminal; where there is none, at the width that it needs."""
    console = Console() if Console().is_terminal else Console(width=240)
    console.print(f"\n[bold]{escape(section.title)}[/bold]")
    console.print(escape(section.what))
    table = RichTable(box=None, header_style="bold", pad_edge=False)
    for number, head in enumerate(section.table.heads):
        table.add_column(escape(head), justify="right" if number else "left", no_wrap=True)
    for row in section.table.rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for note in section.notes:
        console.print(escape(note))


def page(introduction: str, facts: Sequence[str], sections: Sequence[Section]) -> str:
    """The Markdown document."""
    parts = ["# Benchmarks\n", f"{introduction}\n", "".join(f"- {fact}\n" for fact in facts)]
    return "\n".join([*parts, *map(_markdown, sections)])


def _markdown(section: Section) -> str:
    lines = [list(section.table.heads), ["---", *("---:" for _ in section.table.heads[1:])], *section.table.rows]
    table = "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)
    notes = "".join(f"\n{note}\n" for note in section.notes)
    return f"## {section.title}\n\n{section.what}\n\n{table}{notes}"
