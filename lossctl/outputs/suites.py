"""What the formats share of a suite: its evaluations in the tables and names of a single run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lossctl.errors import LossctlError, visible
from lossctl.outputs.view import Column, Section, details, sections
from lossctl.suites.results import SuiteResult

EVALUATION = "evaluation"
"""The title of the column that names them."""


def suite_sections(suite: SuiteResult) -> list[Section]:
    """The tables of all results, those of a kind as one, then what went wrong; each row says of which evaluation."""
    kinds: dict[str, list[tuple[str, Section]]] = {}
    for name, run in suite.runs:
        for section in sections(run):
            kinds.setdefault(section.columns[0].title, []).append((name, section))
    found = [_together(parts) for parts in kinds.values()]
    if suite.errors:
        found.append(_of_errors(suite.errors))
    return found


def suite_details(suite: SuiteResult, *, cut: bool = False) -> list[Section]:
    """The slices and the worst rows of all results, each under the name of its evaluation; `cut` as of `details`."""
    shown = [(name, section) for name, run in suite.runs for section in details(run, cut=cut)]
    return [replace(section, title=f"{visible(name)}: {section.title}") for name, section in shown]


def with_names(names: Iterable[str], columns: Iterable[Column]) -> tuple[Column, ...]:
    """Columns, before them the names of the evaluations that their rows are of."""
    return Column(EVALUATION, tuple(visible(name) for name in names)), *columns


def said_of(error: LossctlError) -> str:
    """An error in a line, with what to do about it."""
    return visible(error, 2000)


def _together(parts: Sequence[tuple[str, Section]]) -> Section:
    """One table of several; a row is empty where its own had no such column."""
    tables = [({column.title: column for column in section.columns}, _rows(section)) for _, section in parts]
    columns = []
    for title in _titles([list(table) for table, _ in tables]):
        cells = [cell for table, rows in tables for cell in (table[title].cells if title in table else ("",) * rows)]
        numeric = any(table[title].numeric for table, _ in tables if title in table)
        columns.append(Column(title, tuple(cells), numeric))
    names = [name for (name, _), (_, rows) in zip(parts, tables, strict=True) for _ in range(rows)]
    signatures = tuple(signature for _, section in parts for signature in section.signatures)
    return Section(with_names(names, columns), signatures)


def _rows(section: Section) -> int:
    return len(section.columns[0].cells)


def _titles(tables: Sequence[Sequence[str]]) -> list[str]:
    """The titles of all, each after the one that it follows where it is first found."""
    found: list[str] = []
    for titles in tables:
        for place, title in enumerate(titles):
            if title not in found:
                found.insert(found.index(titles[place - 1]) + 1 if place else 0, title)
    return found


def _of_errors(errors: Sequence[tuple[str, LossctlError]]) -> Section:
    told = Column("error", tuple(said_of(error) for _, error in errors))
    return Section(with_names([name for name, _ in errors], [told]), ("",) * len(errors))
