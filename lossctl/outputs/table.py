"""The table that a person sees: the value first, the signature dimly under it, never a number cut to a width."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossctl.outputs.view import Column, Section, details, sections
from lossctl.results import RunResult

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

# Wider than any line: what is not a terminal has no width, and rich must never cut a line by itself.
UNLIMITED = 1_000_000

_STYLES = {
    "loss": "bold cyan",
    "value": "bold",
    "non-finite": "red",
    "options": "yellow",
    "file": "green",
    "error": "red",
}
_BAD_VALUE = "bold red"

# Titles of columns that are text of any length.
_FOLDING = ("options", "error")


@dataclass(frozen=True, slots=True)
class Display:
    """Where a table goes: its width in columns, whether it takes colours and whether it takes box drawing."""

    width: int = UNLIMITED
    color: bool = False
    unicode: bool = True


def display_of(stream: TextIO | None) -> Display:
    """What `stream` can show. A file (None) and a pipe are plain and of unlimited width.

    A terminal is as wide as COLUMNS says, or as it is. NO_COLOR and TERM=dumb take colours away, also from a terminal;
    FORCE_COLOR gives them to a pipe.
    """
    if stream is None:
        return Display()
    terminal = stream.isatty()
    forbidden = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "").lower() in ("dumb", "unknown")
    wanted = terminal or bool(os.environ.get("FORCE_COLOR"))
    return Display(
        width=shutil.get_terminal_size().columns if terminal else UNLIMITED,
        color=wanted and not forbidden,
        unicode=(stream.encoding or "").lower().startswith("utf"),
    )


def render(run: RunResult, stream: TextIO | None = None) -> str:
    """The losses, then the gradients, each with its signatures under it, slices and worst rows, laid out for `stream`.

    Where a table would not fit a terminal, every row becomes a list of its fields; signatures and options fold.
    """
    return tables([*sections(run), *details(run, cut=True)], stream)


def render_suite(suite: SuiteResult, stream: TextIO | None = None) -> str:
    """The losses of all evaluations in one table, what went wrong, slices and worst rows; a signature is told once."""
    from lossctl.outputs.suites import suite_details, suite_sections

    return tables([*suite_sections(suite), *suite_details(suite, cut=True)], stream)


def tables(shown: Sequence[Section], stream: TextIO | None) -> str:
    """A table a section, laid out for `stream`."""
    display = display_of(stream)
    text = StringIO()
    console = console_on(text, display)
    for number, section in enumerate(shown):
        if number:
            console.print()
        _print_section(console, section, display)
    lines = text.getvalue().splitlines()
    return "".join(line.rstrip() + "\n" for line in lines)


def console_on(text: StringIO, display: Display) -> Console:
    """What lays out tables as text: of unlimited width, with colours where the display takes them."""
    return Console(
        file=text,
        width=UNLIMITED,
        height=25,  # rich takes a width seriously only where it comes with a height
        force_terminal=display.color,
        force_jupyter=False,
        color_system="standard" if display.color else None,
        legacy_windows=False,
        highlight=False,
    )


def _print_section(console: Console, section: Section, display: Display) -> None:
    if section.title:
        console.print(Text(section.title, style="bold"))
    _print_rows(console, section, display)
    if section.note:
        console.print(Text(section.note, style="dim"))


def _print_rows(console: Console, section: Section, display: Display) -> None:
    table = _table(section, display)
    if console.measure(table).minimum > display.width:
        _print_fields(console, section, display.width)
        return
    console.print(table, width=display.width)
    signatures = [signature for signature in dict.fromkeys(section.signatures) if signature]
    if signatures:
        console.print()
    for signature in signatures:
        lines = fold(signature, "|", display.width)
        console.print(Text("\n".join([lines[0], *("  " + line for line in lines[1:])]), style="dim"))


def _table(section: Section, display: Display) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD if display.unicode else box.ASCII,
        show_edge=not display.unicode,
        pad_edge=not display.unicode,
        header_style="bold",
        border_style="dim",
    )
    for column in section.columns:
        folds = column.title in _FOLDING
        table.add_column(
            Text(column.title),
            justify="right" if column.numeric and column.title != "value" else "left",
            no_wrap=not folds,
            overflow="fold",
        )
    cells = [_cells(column) for column in section.columns]
    for row in zip(*cells, strict=True):
        table.add_row(*row)
    return table


def _cells(column: Column) -> list[Text]:
    shown = _aligned(column.cells) if column.title == "value" else list(column.cells)
    return [Text(text, style=_style(column.title, cell)) for text, cell in zip(shown, column.cells, strict=True)]


def _style(title: str, cell: str) -> str:
    if title == "value" and cell in ("inf", "-inf", "nan"):
        return _BAD_VALUE
    return "" if cell == "0" else _STYLES.get(title, "")


def _aligned(numbers: tuple[str, ...]) -> list[str]:
    """The numbers with their points under each other."""
    before = [len(number.partition("e")[0].partition(".")[0]) for number in numbers]
    return [" " * (max(before) - length) + number for number, length in zip(numbers, before, strict=True)]


def _print_fields(console: Console, section: Section, width: int) -> None:
    """Each row as lines of title and cell, for a terminal that the table does not fit."""
    titles = [column.title for column in section.columns] + ["signature"]
    indent = max(len(title) for title in titles) + 2
    for row, signature in enumerate(section.signatures):
        if row:
            console.print()
        for column in section.columns:
            if cell := column.cells[row]:
                lines = fold(cell, " ", width - indent) if column.title in _FOLDING else [cell]
                _print_field(console, column.title, lines, _style(column.title, cell), indent)
        if signature:
            _print_field(console, "signature", fold(signature, "|", width - indent), "dim", indent)


def _print_field(console: Console, title: str, lines: list[str], style: str, indent: int) -> None:
    text = Text(title.ljust(indent), style="bold")
    console.print(text.append(("\n" + " " * indent).join(lines), style=style or "not bold"))


def fold(text: str, separator: str, width: int) -> list[str]:
    """`text` in lines of at most `width` where it can be parted after a `separator`; no part is ever cut."""
    lines = [""]
    for part in re.split(f"(?<={re.escape(separator)})", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip(" ")) > width:
            lines.append("")
        lines[-1] += part
    return [line.rstrip(" ") for line in lines]
