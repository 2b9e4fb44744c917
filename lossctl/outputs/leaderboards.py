"""A leaderboard in every format that it comes in; loaded, like those of a result, when it is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from lossctl.batches.results import Leaderboard, Row, value_of
from lossctl.errors import UsageError, visible
from lossctl.files import atomic_file
from lossctl.outputs import format_of, known_format
from lossctl.outputs.delimited import Record, joined, spelled_number
from lossctl.outputs.gates import said, stands
from lossctl.outputs.view import Column, Section, significant
from lossctl.results import GateResult
from lossctl.strict_json import indented, on_one_line

FORMATS = ("table", "json", "jsonl", "csv", "tsv", "markdown", "latex", "parquet", "junit", "openmetrics")

RECORD = ("rank", "file", "loss", "value", "unit", "reduction", "samples", "weight", "difference", "gates", "status")
RESERVED = (*RECORD, "signature", "error")
"""The columns of a leaderboard, whose names a field of a pattern may not have."""


def chosen(path: str | None, format: str | None = None) -> str:
    """The format of that name, or that the extension of a file names. Raises UsageError for one that is not here."""
    name = known_format(format) if format is not None else format_of(path or "")
    if name not in FORMATS:
        raise UsageError(
            f"a leaderboard does not come as '{visible(name)}'", hint=f"the formats are {', '.join(FORMATS)}"
        )
    return name


def deliver(board: Leaderboard, paths: Iterable[str]) -> None:
    """Writes each file in the format of its extension, whole or not at all. Raises EnvironmentFault."""
    for path in paths:
        with atomic_file(path) as handle:
            handle.write(encoded(board, chosen(path)))


def encoded(board: Leaderboard, format: str) -> bytes:
    """The bytes of a file."""
    if format == "parquet":
        from lossctl.outputs.leaderboard_reports import encode_parquet

        return encode_parquet(board)
    # A file name that is not UTF-8 holds surrogates: they go out as the bytes that they came in as.
    return render(board, format).encode("utf-8", "surrogateescape")


def render(board: Leaderboard, format: str, stream: TextIO | None = None) -> str:
    """The whole text; a table is laid out for `stream`."""
    if format == "json":
        return indented(board.to_document())
    if format == "jsonl":
        return "".join(on_one_line(row.to_document()) for row in board.rows)
    if format in ("csv", "tsv"):
        return joined(records(board), "," if format == "csv" else "\t")
    if format == "junit":
        from lossctl.outputs.leaderboard_reports import render_junit

        return render_junit(board)
    if format == "openmetrics":
        from lossctl.outputs.leaderboard_reports import render_openmetrics

        return render_openmetrics(board)
    return _told(board, format, stream)


# ---- for people


def _told(board: Leaderboard, format: str, stream: TextIO | None) -> str:
    """The rows, then the losses with their signatures, and in a file what went wrong, which else is told on stderr."""
    spell: Callable[[str], str] = visible
    if format == "markdown":
        from lossctl.outputs.markdown import inline as spell
    shown = [_ranking(board, spell), *([_losses(board)] if board.losses else [])]
    if board.failed and stream is None:
        shown.append(_errors(board, spell))
    if format == "table":
        from lossctl.outputs import table

        return table.tables(shown, stream)
    from lossctl.outputs import latex, markdown

    return latex.tables(shown) if format == "latex" else markdown.tables(shown)


def _ranking(board: Leaderboard, spell: Callable[[str], str]) -> Section:
    rows = board.rows
    columns = [Column("rank", tuple("" if row.rank is None else str(row.rank) for row in rows), numeric=True)]
    columns += _naming(board, rows, spell)
    for label in board.labels:
        columns.append(Column(visible(label), tuple(_value(row, label) for row in rows), numeric=True))
    columns.append(Column("difference", _differences(board), numeric=True))
    columns.append(Column("gates", tuple(row.verdict or "" for row in rows)))
    # A file without a fault is nothing to tell.
    columns.append(Column("status", tuple("" if row.status == "ok" else row.status for row in rows)))
    return Section(tuple(column for column in columns if any(column.cells)), ("",) * len(rows))


def _naming(board: Leaderboard, rows: Sequence[Row], spell: Callable[[str], str]) -> list[Column]:
    """What tells the files apart: the fields of the pattern, and their names where those do not."""
    named = [Column(name, tuple(spell(row.fields.get(name, "")) for row in rows)) for name in board.fields]
    if len({tuple(row.fields.values()) for row in board.rows}) == len(board.rows) and board.fields:
        return named
    return [*named, Column("file", tuple(row.name for row in rows))]


def _value(row: Row, label: str) -> str:
    result = row.result(label)
    return "" if result is None else significant(value_of(result))


def _differences(board: Leaderboard) -> tuple[str, ...]:
    """How far each row is from the best by the loss that ranks: in percent of it, where it is not 0."""
    best = value_of(board.rows[0].result(board.sort))
    found = []
    for row in board.rows:
        difference = value_of(row.result(board.sort)) - best
        if row.rank == 1 or not math.isfinite(difference):
            found.append("")
        else:
            found.append(f"{difference / abs(best):+.2%}" if best else f"+{significant(difference)}")
    return tuple(found)


def _losses(board: Leaderboard) -> Section:
    losses = list({loss["label"]: loss for loss in board.losses}.values())
    columns = [
        Column("loss", tuple(visible(loss["label"]) for loss in losses)),
        Column("better", tuple(loss["better"] for loss in losses)),
        Column("unit", tuple(loss["unit"] for loss in losses)),
    ]
    return Section(
        tuple(column for column in columns if any(column.cells)), tuple(loss["signature"] for loss in losses)
    )


def _errors(board: Leaderboard, spell: Callable[[str], str]) -> Section:
    told = Column("error", tuple(said_of(row) for row in board.failed))
    return Section((*_naming(board, board.failed, spell), told), ("",) * len(board.failed))


def said_of(row: Row) -> str:
    """Why a file has no results, with what to do about it; "" where it has."""
    if row.error is None:
        return ""
    hint = row.error["hint"]
    return visible(f"{row.error['message']}; {hint}" if hint else row.error["message"], 2000)


def gates_of(row: Row) -> list[GateResult]:
    """The gates of a row as a run has them."""
    return [GateResult(**gate) for gate in row.gates]


def told_gates(row: Row) -> list[str]:
    """Each gate that a row does not pass, in a line: "fail: bce > 0.35: 0.412, limit 0.35"."""
    return [
        f"{stands(gate)}: {visible(gate.expression, 1000)}: {said(gate)}"
        for gate in gates_of(row)
        if stands(gate) != "pass"
    ]


# ---- for programs


def records(board: Leaderboard) -> list[Record]:
    """A record for each loss of each file, best file first; one for a file that failed. Numbers are in full."""
    return [record for row in board.rows for record in _records_of(row, board.fields)]


def _records_of(row: Row, names: Sequence[str]) -> Iterable[Record]:
    about = {"rank": "" if row.rank is None else str(row.rank)}
    # Spelled on one line: a pipe may end in the log of a CI host, to which no file name may speak.
    about |= {name: visible(row.fields.get(name, ""), 4096) for name in names} | {"file": visible(row.path, 4096)}
    blank = dict.fromkeys((*RECORD[2:], "signature", "error"), "")
    if row.error is not None:
        yield about | blank | {"status": "failed", "error": said_of(row)}
    for result, difference in zip(row.results, row.differences, strict=True):
        yield (
            about
            | blank
            | {"loss": result["label"], "value": spelled_number(value_of(result))}
            | {name: result[name] for name in ("unit", "reduction", "status", "signature")}
            | {"samples": str(result["samples"]), "weight": _or_blank(result["weight"])}
            | {"difference": _or_blank(difference), "gates": row.verdict or ""}
        )


def _or_blank(number: float | None) -> str:
    return "" if number is None else spelled_number(number)
