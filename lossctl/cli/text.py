"""Rows of text for people and for pipes: the small tables of `list`, `explain`, `doctor` and `warmup`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["print_rows"]


def print_rows(rows: Sequence[dict[str, str]], format: str | None, unless_table: tuple[str, ...] = ()) -> None:
    """A table on a terminal, TSV in a pipe, JSON where asked. All rows have the same keys.

    A table leaves out the columns `unless_table`, which are too long for one.
    """
    if format == "json":
        from lossctl.strict_json import indented

        print(indented(list(rows)), end="")
    elif format == "tsv" or (format is None and not sys.stdout.isatty()):
        print("\t".join(rows[0]))
        for row in rows:
            print("\t".join(" ".join(cell.split()) for cell in row.values()))
    else:
        _print_table([{key: cell for key, cell in row.items() if key not in unless_table} for row in rows])


def _print_table(rows: Sequence[dict[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in rows[0]:
        name = title == "name"
        table.add_column(title, overflow="fold", no_wrap=name, style="bold cyan" if name else None)
    for row in rows:
        table.add_row(*row.values())
    Console(highlight=False).print(table)
