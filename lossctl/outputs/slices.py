"""What the formats share of slices and worst rows: their tables, their records and their names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from lossctl.errors import visible
from lossctl.outputs.labels import labelled
from lossctl.outputs.view import Column, Section, count, significant
from lossctl.results import LossResult, RunResult
from lossctl.slices.results import SliceResult, SliceTable, WorstRow, harmless
from lossctl.slices.slicing import MISSING, spelled_key

LONGEST_CELL = 60


def shown_value(value: str | None, limit: int = 1000) -> str:
    """The value of a slice on one line.

    A text is in quotes where it is spelled like what is missing, or like what a CI host takes for a command.
    """
    if value is None:
        return MISSING
    quoted = value == MISSING or value.lstrip().startswith("::")
    shown = harmless(visible(value, limit))
    return f'"{shown}"' if quoted else shown


def detail_sections(run: RunResult, *, cut: bool) -> list[Section]:
    """A table for each loss and slicing, then one of the worst rows of each loss; with `cut` as many as people see."""
    results = labelled(run).items()
    slices = [_of_slices(label, table, cut) for label, result in results for table in result.slices]
    return [*slices, *(_of_worst(label, result.worst) for label, result in results if result.worst)]


def _of_slices(label: str, table: SliceTable, cut: bool) -> Section:
    shown = table.slices[: table.shown] if cut else table.slices
    columns = [
        *(_values(name, [each.key[place] for each in shown]) for place, name in enumerate(table.by)),
        Column("value", tuple(significant(each.value) for each in shown), numeric=True),
        Column("difference", tuple(_signed(each.difference) for each in shown), numeric=True),
        Column("samples", tuple(count(each.samples) for each in shown), numeric=True),
    ]
    if any(each.weight != each.samples for each in shown):
        columns.append(Column("weight", tuple(significant(each.weight) for each in shown), numeric=True))
    for title, name in (("std error", "std_error"), ("ci low", "ci_low"), ("ci high", "ci_high")):
        numbers = [getattr(each, name) for each in shown]
        if any(number is not None for number in numbers):
            cells = tuple("" if number is None else significant(number) for number in numbers)
            columns.append(Column(title, cells, numeric=True))
    if any(each.nonfinite for each in shown):
        cells = tuple(count(each.nonfinite) if each.nonfinite else "" for each in shown)
        columns.append(Column("non-finite", cells, numeric=True))
    by = ", ".join(visible(name, LONGEST_CELL) for name in table.by)
    return Section(tuple(columns), ("",) * len(shown), f"{label} by {by}", _left_out(table, len(shown)))


def _left_out(table: SliceTable, shown: int) -> str:
    """What is not in a table, in a line."""
    said = []
    if more := len(table.slices) - shown:
        said.append(f"{more} more, not as bad, {'is' if more == 1 else 'are'} not shown")
    if table.small:
        slices = "slice" if table.small == 1 else "slices"
        said.append(
            f"{table.small} {slices} of fewer than {table.least} samples, {count(table.small_samples)} in all, "
            f"{'is' if table.small == 1 else 'are'} not shown"
        )
    return "; ".join(said)


def _of_worst(label: str, worst: Sequence[WorstRow]) -> Section:
    columns = [Column("row", tuple(str(each.row) for each in worst), numeric=True)]
    if worst[0].place:
        columns.append(Column("place", tuple(_place(each) for each in worst), numeric=True))
    columns += [_values(name, [each.ids[name] for each in worst]) for name in worst[0].ids]
    columns.append(Column("value", tuple(significant(each.loss) for each in worst), numeric=True))
    for name in ("prediction", "target"):
        numbers = [getattr(each, name) for each in worst]
        if any(number is not None for number in numbers):
            columns.append(Column(name, tuple(_number(number) for number in numbers), numeric=True))
    rows = "the worst row" if len(worst) == 1 else f"the {len(worst)} worst rows"
    return Section(tuple(columns), ("",) * len(worst), f"{label}: {rows}")


def _values(name: str, values: Iterable[str | None]) -> Column:
    return Column(
        visible(name, LONGEST_CELL), tuple(shown_value(value, LONGEST_CELL) or '""' for value in values), verbatim=True
    )


def _signed(number: float) -> str:
    return "" if math.isnan(number) else f"{number:+.6g}"


def _number(number: float | None) -> str:
    if number is None:
        return ""
    return str(int(number)) if isinstance(number, int) else significant(number)


def slice_records(result: LossResult) -> list[tuple[SliceResult, dict[str, str]]]:
    """The slices of a loss, each with the columns that say which it is: `by`, and one for each column of a slicing."""
    return [
        (each, {"by": visible(",".join(table.by), 1000), **_key(table, each), "difference": repr(each.difference)})
        for table in result.slices
        for each in table.slices
    ]


def _key(table: SliceTable, found: SliceResult) -> dict[str, str]:
    values = zip(table.by, found.key, strict=True)
    return {f"by.{visible(name)}": shown_value(value) for name, value in values}


def worst_record(found: WorstRow) -> dict[str, str]:
    """The columns that say which row it is."""
    ids = {f"id.{visible(name)}": shown_value(value) for name, value in found.ids.items()}
    place = {"place": _place(found)} if found.place else {}
    return {"row": str(found.row), **place, **ids}


def _place(found: WorstRow) -> str:
    return ",".join(str(each) for each in found.place)


def slice_values(result: LossResult) -> list[tuple[str, SliceResult]]:
    """The slices of a loss by their names: "country=DE"."""
    return [(spelled_key(table.by, each.key), each) for table in result.slices for each in table.slices]
