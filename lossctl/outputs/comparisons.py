"""A comparison as text: for people, for pipes and for files."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lossctl.comparisons.results import ComparisonResult, Inference, LossComparison, Pair
from lossctl.outputs.delimited import joined
from lossctl.outputs.view import significant
from lossctl.strict_json import indented

FORMATS = ("table", "json", "csv", "tsv", "markdown")

Cells = dict[str, str]

_TEXT = frozenset({"loss", "system", "pair", "unit", "differ", "verdict", "equivalent", "not inferior"})
"""Columns that are set flush left."""


def render(result: ComparisonResult, format: str, width: int | None = None) -> str:
    """The whole text in one of `FORMATS`; a table that does not fit `width` columns is a list of its fields instead."""
    if format == "json":
        return indented(result.to_document())
    if format in ("csv", "tsv"):
        return _delimited(result, "," if format == "csv" else "\t")
    return "\n".join(_told(comparison, result.inference, format, width) for comparison in result.comparisons)


# ---- for people


def _told(comparison: LossComparison, inference: Inference, format: str, width: int | None) -> str:
    """One loss: its systems, its pairs, what the pairs mean, and the signature."""
    systems, pairs = _systems(comparison), [_pair(pair, inference) for pair in comparison.pairs]
    if format == "markdown":
        return f"{_markdown(systems)}\n{_markdown(pairs)}\n`{comparison.signature}`\n"
    said = "Below 0 the system before the minus is better; wins are the rows in which it has the smaller loss."
    if len(comparison.pairs) > 1:
        said += " p is corrected for all pairs (Holm)."
    parts = [_table(systems, width), _pair_tables(pairs, width), _folded(said, " ", width)]
    return "\n".join([*parts, _folded(comparison.signature, "|", width)])


def _pair_tables(pairs: Sequence[Cells], width: int | None) -> str:
    """One table; where it does not fit, one of the differences, one of the tests and one of the margins."""
    if width is None or _width(_widths(pairs)) <= width:
        return _table(pairs, width)
    titles = [title for title in pairs[0] if title != "pair"]
    margins = [title for title in titles if title in ("margin", "equivalent", "not inferior")]
    tests = [title for title in titles if title.startswith("p (") or title in ("wins", "losses", "ties")]
    differences = [title for title in titles if title not in (*margins, *tests)]
    parts = [
        [{"pair": row["pair"], **{title: row[title] for title in part}} for row in pairs]
        for part in (differences, tests, margins)
        if part
    ]
    if any(_width(_widths(part)) > width for part in parts):
        return _table(pairs, width)
    return "\n".join(_table(part, width) for part in parts)


def _systems(comparison: LossComparison) -> list[Cells]:
    several = len(comparison.systems) > 2
    rows = []
    for system in sorted(comparison.systems, key=lambda system: system.rank):
        row = {"loss": comparison.loss, "system": system.name, "value": significant(system.value)}
        row |= {"unit": comparison.unit} if comparison.unit else {}
        row |= {"samples": f"{comparison.samples:,}", "rank": str(system.rank)}
        rows.append(row | ({"differ": system.letters} if several else {}))
    return rows


def _pair(pair: Pair, inference: Inference) -> Cells:
    row = {
        "pair": f"{pair.second} - {pair.first}",
        "difference": significant(pair.difference),
        "relative": "" if math.isnan(pair.relative) else f"{pair.relative:+.2%}",
        f"{100 * inference.confidence:g}% interval": f"{significant(pair.low)} to {significant(pair.high)}",
    }
    row |= {f"p ({test})": _probability(value) for test, value in pair.adjusted.items()}
    row |= {"wins": f"{pair.wins:,}", "losses": f"{pair.losses:,}", "ties": f"{pair.ties:,}", "verdict": pair.verdict}
    if pair.margin is not None and pair.p_equivalence is not None and pair.p_non_inferiority is not None:
        row["margin"] = significant(pair.margin)
        row["equivalent"] = _shown(pair.equivalent, pair.p_equivalence)
        row["not inferior"] = _shown(pair.non_inferior, pair.p_non_inferiority)
    return row


def _shown(holds: bool | None, p: float) -> str:
    return f"{'yes' if holds else 'not shown'} (p = {_probability(p)})"


def _probability(value: float) -> str:
    return f"{value:.4g}"


def _table(rows: Sequence[Cells], width: int | None) -> str:
    """Columns two spaces apart; where they do not fit, a line for each field, and an empty line between rows."""
    widths = _widths(rows)
    if width is not None and _width(widths) > width:
        indent = max(map(len, widths)) + 2
        blocks = ["".join(f"{title:<{indent}}{cell}".rstrip() + "\n" for title, cell in row.items()) for row in rows]
        return "\n".join(blocks)
    lines = [_line({title: title for title in widths}, widths), *(_line(row, widths) for row in rows)]
    return "".join(line + "\n" for line in lines)


def _widths(rows: Sequence[Cells]) -> dict[str, int]:
    return {title: max(len(title), *(len(row[title]) for row in rows)) for title in rows[0]}


def _width(widths: dict[str, int]) -> int:
    """Of a whole table."""
    return sum(widths.values()) + 2 * (len(widths) - 1)


def _line(row: Cells, widths: dict[str, int]) -> str:
    cells = (cell.ljust(widths[title]) if title in _TEXT else cell.rjust(widths[title]) for title, cell in row.items())
    return "  ".join(cells).rstrip()


def _folded(text: str, separator: str, width: int | None) -> str:
    """`text` in lines of at most `width` where it can be parted after a separator."""
    lines = [""]
    for part in text.replace(separator, separator + "\0").split("\0"):
        if width is not None and lines[-1] and len(lines[-1]) + len(part.rstrip()) > width:
            lines.append("  " if separator == "|" else "")
        lines[-1] += part
    return "".join(line.rstrip() + "\n" for line in lines)


def _markdown(rows: Sequence[Cells]) -> str:
    titles = list(rows[0])
    lines = [titles, [":--" if title in _TEXT else "--:" for title in titles]]
    lines += [[cell.replace("|", r"\|").replace("`", "'") for cell in row.values()] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


# ---- for programs


def _delimited(result: ComparisonResult, delimiter: str) -> str:
    """A header, and a record for each pair of each loss; numbers read back as the same float64."""
    records = [
        _record(comparison, pair, result.inference) for comparison in result.comparisons for pair in comparison.pairs
    ]
    return joined(records, delimiter)


def _record(comparison: LossComparison, pair: Pair, inference: Inference) -> Cells:
    value = {system.name: repr(system.value) for system in comparison.systems}
    letter = {system.name: system.letters for system in comparison.systems}
    record = {
        "loss": comparison.loss,
        "first": pair.first,
        "second": pair.second,
        "first_value": value[pair.first],
        "second_value": value[pair.second],
        "difference": repr(pair.difference),
        "relative": repr(pair.relative),
        "low": repr(pair.low),
        "high": repr(pair.high),
    }
    record |= {f"p_{test}": repr(number) for test, number in pair.p.items()}
    record |= {f"p_{test}_adjusted": repr(number) for test, number in pair.adjusted.items()}
    record |= {"wins": str(pair.wins), "losses": str(pair.losses), "ties": str(pair.ties), "verdict": pair.verdict}
    record |= {"first_letters": letter[pair.first], "second_letters": letter[pair.second]}
    if inference.margin is not None:
        record |= {
            "margin": repr(pair.margin),
            "p_equivalence": repr(pair.p_equivalence),
            "equivalent": str(pair.equivalent).lower(),
            "p_non_inferiority": repr(pair.p_non_inferiority),
            "non_inferior": str(pair.non_inferior).lower(),
        }
    return record | {"unit": comparison.unit, "samples": str(comparison.samples), "signature": comparison.signature}
