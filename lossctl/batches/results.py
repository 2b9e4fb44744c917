"""What a batch found: a row for each file, and the leaderboard that they make. Plain values; nothing here loads NumPy.

A row holds its results as the result document has them, so that one that was read from an earlier leaderboard is like
one that was computed now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from lossctl.errors import CheckFailed, DataError, EnvironmentFault, LossctlError, Undecided, UsageError, visible
from lossctl.results import RunResult, is_gain

SCHEMA = "lossctl.leaderboard/1"

Document = dict[str, Any]

_KINDS: dict[str, type[LossctlError]] = {"usage": UsageError, "data": DataError, "environment": EnvironmentFault}
_SHOWN = 10
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One file of predictions: its results, or why there are none.

    `name` is its path without what all have in common, `fields` what the fields of the pattern stand for. `results` are
    entries of the result document, each with a `label`, that of the loss among those of the command; `differences` are
    how much each value is above that of the first row. `error` has message, hint and kind ("usage", "data",
    "environment"). `state` tells the file as it was when it was read from all that it may become later, None where that
    is not known.
    """

    path: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)
    rank: int | None = None
    results: tuple[Document, ...] = ()
    differences: tuple[float | None, ...] = ()
    gates: tuple[Document, ...] = ()
    inputs: tuple[Document, ...] = ()
    backend: str | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: Document | None = None
    state: str | None = None

    @property
    def status(self) -> str:
        """ "failed" where there are no results, "nonfinite" where a value is not finite, else "ok"."""
        if self.error is not None:
            return "failed"
        return "ok" if all(result["status"] == "ok" for result in self.results) else "nonfinite"

    def result(self, label: str) -> Document | None:
        """The result of that label, None for a file that failed."""
        return next((result for result in self.results if result["label"] == label), None)

    @property
    def verdict(self) -> str | None:
        """What its gates mean for it: "fail", "inconclusive", "warn" or "pass"; None without gates."""
        if not self.gates:
            return None
        found = {
            gate["verdict"] if gate["severity"] == "fail" or gate["verdict"] == "pass" else "warn"
            for gate in self.gates
        }
        return next(verdict for verdict in ("fail", "inconclusive", "warn", "pass") if verdict in found)

    def to_document(self) -> Document:
        """Its entry in the document of the leaderboard."""
        results = [
            {**result, "difference": difference}
            for result, difference in zip(self.results, self.differences or [None] * len(self.results), strict=True)
        ]
        return {
            "file": self.path,
            "name": self.name,
            "fields": dict(self.fields),
            "rank": self.rank,
            "status": self.status,
            "results": results,
            "gates": list(self.gates),
            "inputs": list(self.inputs),
            "backend": self.backend,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "error": self.error,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """All rows of a batch, best first, and what holds for all of them.

    `losses` say of each column its label, loss, unit, reduction, whether lower or higher is better, and the signature;
    `sort` is the label of the one that ranks. `request` has digests of the command and of the inputs that all files
    share, `taken` says how many rows are those of an earlier leaderboard, and `pending` how many files an interrupted
    batch has not come to.
    """

    version: str
    fields: tuple[str, ...]
    losses: tuple[Document, ...]
    sort: str
    rows: tuple[Row, ...]
    request: Mapping[str, str | None]
    taken: int
    pending: int
    jobs: int
    threads: int
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def labels(self) -> list[str]:
        """What the values are called, each once."""
        return list(dict.fromkeys(loss["label"] for loss in self.losses))

    @property
    def failed(self) -> list[Row]:
        return [row for row in self.rows if row.error is not None]

    @property
    def status(self) -> str:
        """ "interrupted"; "failed" or "partial" where no or not every file has results; else "ok"."""
        if self.pending:
            return "interrupted"
        if not self.failed:
            return "ok"
        return "failed" if len(self.failed) == len(self.rows) else "partial"

    def to_document(self) -> Document:
        """The document of the schema `lossctl.leaderboard/1`: JSON types only, every number finite."""
        return {
            "schema": SCHEMA,
            "version": self.version,
            "status": self.status,
            "fields": list(self.fields),
            "losses": list(self.losses),
            "sort": self.sort,
            "files": [row.to_document() for row in self.rows],
            "request": dict(self.request),
            "taken": self.taken,
            "pending": self.pending,
            "jobs": self.jobs,
            "threads": self.threads,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
        }


def value_of(result: Document | None) -> float:
    """The value of an entry as a number: NaN where there is none."""
    if result is None:
        return math.nan
    value = result["value"]
    return _NOT_FINITE.get(result["status"], math.nan) if value is None else float(value)


def row_of(row: Row, run: RunResult, labels: Sequence[str]) -> Row:
    """`row` with what a run found; `labels` are those of its results."""
    document = run.to_document()
    return replace(
        row,
        results=tuple({**result, "label": label} for label, result in zip(labels, document["results"], strict=True)),
        gates=tuple(document["gates"]),
        inputs=tuple(document["inputs"]),
        backend=run.backend,
        seconds=document["seconds"],
        warnings=run.warnings,
    )


def failed_row(row: Row, error: LossctlError) -> Row:
    """`row` with the reason why there are no results."""
    kind = next((kind for kind, type_ in _KINDS.items() if isinstance(error, type_)), "data")
    return replace(
        row, results=(), gates=(), error={"kind": kind, "message": visible(error.message, 2000), "hint": error.hint}
    )


# ---- ranks


def leaderboard(rows: Sequence[Row], sort: int, **facts: Any) -> Leaderboard:
    """The rows, best first by the loss of that place; those with one value share a rank.

    Rows without a finite value come last, without a rank; a row whose numbers are other functions of their data than
    those of the first row becomes one that failed. `facts` are the other attributes of a Leaderboard.
    """
    rows = _comparable(rows)
    good = next((row for row in rows if row.error is None), None)
    losses = tuple(_described(result) for result in good.results) if good else ()
    label = losses[min(sort, len(losses) - 1)]["label"] if losses else ""
    higher = any(loss["better"] == "higher" for loss in losses if loss["label"] == label)
    values = [value_of(row.result(label)) for row in rows]
    keys = [-value if higher else value for value in values]
    order = sorted(range(len(rows)), key=lambda at: (not math.isfinite(keys[at]), rows[at].error is not None))
    ranked = [at for at in order if math.isfinite(keys[at])]
    ranked.sort(key=lambda at: keys[at])
    found: list[Row] = []
    for position, at in enumerate(ranked):
        tied = position and keys[at] == keys[ranked[position - 1]]
        found.append(replace(rows[at], rank=found[-1].rank if tied else position + 1))
    found += [replace(rows[at], rank=None) for at in order[len(ranked) :]]
    best = found[0] if ranked else None
    placed = tuple(replace(row, differences=_differences(row, best)) for row in found)
    warnings = (*facts.pop("warnings", ()), *_other_samples(placed))
    return Leaderboard(losses=losses, sort=label, rows=placed, warnings=warnings, **facts)


def _described(result: Document) -> Document:
    better = "higher" if is_gain(result["options"]) else "lower"
    return {name: result[name] for name in ("label", "loss", "unit", "reduction", "signature")} | {"better": better}


def _comparable(rows: Sequence[Row]) -> list[Row]:
    """The rows, those with other signatures than the first as failed: a rank among them would mean nothing."""
    first = next((row for row in rows if row.error is None), None)
    if first is None:
        return list(rows)
    wanted = [result["signature"] for result in first.results]
    found = []
    for row in rows:
        others = [result["signature"] for result in row.results]
        if row.error is None and others != wanted:
            ours, theirs = next(pair for pair in zip_longest(others, wanted, fillvalue="nothing") if pair[0] != pair[1])
            error = DataError(
                f"its loss is another than that of {visible(first.path)}: {visible(ours, 500)}, not "
                f"{visible(theirs, 500)}",
                hint="name the loss that you mean",
            )
            found.append(failed_row(row, error))
        else:
            found.append(row)
    return found


def _differences(row: Row, best: Row | None) -> tuple[float | None, ...]:
    """How much each value is above that of the best row; None where there is no such number."""
    found = []
    for result in row.results:
        difference = value_of(result) - value_of(best.result(result["label"]) if best else None)
        found.append(difference if math.isfinite(difference) else None)
    return tuple(found)


def _other_samples(rows: Sequence[Row]) -> list[str]:
    """A warning where the files have different numbers of samples."""
    counts = {row.results[0]["samples"] for row in rows if row.results}
    if len(counts) < 2:
        return []
    return [f"the files have from {min(counts)} to {max(counts)} samples: their values are of different data"]


# ---- what it means for the exit code


def conclude(board: Leaderboard, keep_going: bool = False, strict: bool = False) -> str:
    """What the gates of all files say, in a line, where that is no failure; "" without gates.

    Raises the worst of what went wrong: EnvironmentFault before DataError, and UsageError where every file failed by
    one; with `keep_going` only where no file has results. Then CheckFailed where gates fail, and Undecided where they
    are open and `strict`.
    """
    failed, total = board.failed, len(board.rows)
    if failed and not (keep_going and len(failed) < total):
        kinds = {row.error["kind"] for row in failed if row.error is not None}
        kind = "environment" if "environment" in kinds else "data"
        if len(failed) == total and kinds == {"usage"}:
            kind = "usage"
        raise _KINDS[kind](
            f"{len(failed)} of {total} files failed: {_listed(failed)}",
            hint=None if keep_going or len(failed) == total else "--keep-going lets the others count",
        )
    gated = [row for row in board.rows if row.gates]
    if not gated:
        return ""
    worse, undecided = ([row for row in gated if row.verdict == verdict] for verdict in ("fail", "inconclusive"))
    if worse:
        raise CheckFailed(f"{len(worse)} of {len(gated)} files fail their gates: {_listed(worse)}")
    if undecided and strict:
        raise Undecided(f"the gates of {len(undecided)} of {len(gated)} files are open: {_listed(undecided)}")
    return f"{len(gated) - len(undecided)} of {len(gated)} files pass their gates"


def _listed(rows: Sequence[Row]) -> str:
    shown = ", ".join(visible(row.path) for row in rows[:_SHOWN])
    return shown if len(rows) <= _SHOWN else f"{shown} and {len(rows) - _SHOWN} more"
