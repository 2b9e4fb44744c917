"""Rows of text for people and for pipes: the small tables of `list`, `inspect`, `doctor` and others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossctl.outputs.table import Display


ROOM = 110
"""Of a terminal that has room for all columns of a table."""

PROSE = ("summary", "looks like", "found", "losses", "aliases")
"""Titles of columns of text that may be folded, if they keep a width of `NARROWEST`."""

NARROWEST = 20


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    format: str | None,
    unless_table: tuple[str, ...] = (),
    unless_narrow: tuple[str, ...] = (),
) -> None:
    """A table on a terminal, TSV in a pipe, JSON where asked. All rows have the same keys.

    A table leaves out the columns `unless_table`, which are too long for one, and on a narrow terminal `unless_narrow`.
    """
    if format == "json":
        from lossctl.strict_json import indented

        print(indented(list(rows)), end="")
    elif format == "tsv" or (format is None and not sys.stdout.isatty()):
        print("\t".join(rows[0]))
        for row in rows:
            print("\t".join(" ".join(str(cell).split()) for cell in row.values()))
    else:
        from lossctl.outputs.table import display_of

        display = display_of(sys.stdout)
        left_out = {*unless_table, *(unless_narrow if display.width < ROOM else ())}
        _print_table([{key: cell for key, cell in row.items() if key not in left_out} for row in rows], display)


def print_facts(facts: Mapping[str, str], document: Callable[[], Any], format: str | None) -> None:
    """What was found, by what it is of: lines on a terminal, TSV in a pipe, `document` where JSON is asked for."""
    if format == "json":
        from lossctl.strict_json import indented

        print(indented(document()), end="")
    elif format == "table" or (format is None and sys.stdout.isatty()):
        width = max(map(len, facts))
        print("\n".join(f"{name:<{width}}  {text}" for name, text in facts.items()))
    else:
        print_rows([{"name": name, "found": text} for name, text in facts.items()], "tsv")


def _print_table(rows: Sequence[Mapping[str, Any]], display: Display) -> None:
    """Prose folds, nothing else does: where that is not enough, every row becomes lines of title and cell.

    There a signature folds as well, as under the table of a result.
    """
    from io import StringIO

    from rich.table import Table
    from rich.text import Text

    from lossctl.outputs.table import console_on, fold

    text = StringIO()
    console = console_on(text, display)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in rows[0]:
        folds = title in PROSE
        least = min(NARROWEST, max(len(str(row[title])) for row in rows)) if folds else None
        style = "bold cyan" if title == "name" else None
        table.add_column(title, overflow="fold", no_wrap=not folds, min_width=least, style=style)
    for row in rows:
        table.add_row(*(Text(str(cell)) for cell in row.values()))  # [cuda] is the name of an extra, and no style
    if console.measure(table).minimum <= display.width:
        console.print(table, width=display.width)
    else:
        indent = max(map(len, rows[0])) + 2
        next_line = "\n" + " " * indent
        for number, row in enumerate(rows):
            text.write("\n" if number else "")
            for title, cell in row.items():
                parts = fold(str(cell), "|", display.width - indent) if title == "signature" else [str(cell)]
                text.write(f"{title:<{indent}}{next_line.join(parts)}\n" if cell != "" else "")
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()))
