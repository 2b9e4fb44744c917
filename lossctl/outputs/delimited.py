"""CSV and TSV: the same records, another delimiter."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

from lossctl.results import GradientResult, GradientStatistics, LossResult, RunResult, Statistics, status_of
from lossctl.sources.base import shape_text
from lossctl_kernels.records import field_names

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

Record = dict[str, str]

_EVERY_COLUMN = ("loss", "value", "unit", "reduction", "samples", "weight", "status", "signature")
"""What every record of a loss has."""


def render_delimited(run: RunResult, delimiter: str) -> str:
    """A header and one record a loss; a run that has gradients and no losses gives one record a gradient.

    Behind the losses there is a record for each of their slices, then for each of their worst rows, whose columns stand
    behind all others.

    Columns are only ever added at the end. Numbers are in full precision; non-finite ones are inf, -inf and nan.
    """
    return joined(_records(run), delimiter)


def render_delimited_suite(suite: SuiteResult, delimiter: str) -> str:
    """The records of every evaluation under its name; one without a result has one, with the error in it."""
    from lossctl.outputs.suites import EVALUATION, said_of

    found = []
    for each in suite.evaluations:
        records = [] if each.run is None else _records(each.run)
        told = "" if each.error is None else said_of(each.error)
        for record in records or [{**dict.fromkeys(_EVERY_COLUMN, ""), "status": "error"}]:
            found.append({EVALUATION: each.name, **record, "error": told})
    return joined(found, delimiter)


def _records(run: RunResult) -> list[Record]:
    losses = [_loss_record(run, result) for result in run.results]
    slices = _slices(run, losses)
    before = dict.fromkeys((name for record in slices for name in record), "")
    worst = [{**before, **record} for record in _worst(run, losses)]
    return [*losses, *slices, *worst] or [_gradient_record(g) for g in run.gradients]


def _slices(run: RunResult, losses: Sequence[Record]) -> list[Record]:
    """A record for each slice of each loss: the columns of the loss, and what says which slice it is."""
    if not any(result.slices for result in run.results):
        return []
    from lossctl.outputs.slices import slice_records

    names = dict.fromkeys(
        name for result in run.results for _, key in slice_records(result) for name in key if name != "difference"
    )
    found = []
    for result, loss in zip(run.results, losses, strict=True):
        for each, key in slice_records(result):
            numbers = {
                "value": spelled_number(each.value),
                "samples": str(each.samples),
                "weight": spelled_number(each.weight),
            }
            statistics = {"std_error": each.std_error, "ci_low": each.ci_low, "ci_high": each.ci_high}
            told = {name: "" if number is None else spelled_number(number) for name, number in statistics.items()}
            own = {**dict.fromkeys(loss, ""), **{name: loss[name] for name in ("loss", "unit", "reduction")}, **numbers}
            own |= {"status": each.status, "signature": loss["signature"]}
            own |= {name: text for name, text in told.items() if name in loss}
            if each.ci_low is not None and "confidence" in loss:
                own["confidence"] = loss["confidence"]
            found.append({**own, **dict.fromkeys(names, ""), **key})
    return found


def _worst(run: RunResult, losses: Sequence[Record]) -> list[Record]:
    """A record for each of the worst rows of each loss: the columns of the loss, and what says which row it is."""
    if not any(result.worst for result in run.results):
        return []
    from lossctl.outputs.slices import worst_record

    found = []
    for result, loss in zip(run.results, losses, strict=True):
        for each in result.worst:
            own = {**dict.fromkeys(loss, ""), **{name: loss[name] for name in ("loss", "unit", "signature")}}
            own |= {"value": spelled_number(each.loss), "samples": "1", "status": status_of(each.loss)}
            numbers = {"prediction": each.prediction, "target": each.target}
            told = {name: "" if number is None else spelled_number(number) for name, number in numbers.items()}
            found.append({**own, **worst_record(each), **told})
    return found


def joined(records: Sequence[Record], delimiter: str) -> str:
    """Records under one header; a field that a record has not is empty."""
    text = io.StringIO(newline="")
    # The fields of the record that has most of them, then what others have beside.
    header = list(dict.fromkeys(name for record in sorted(records, key=len, reverse=True) for name in record))
    writer = csv.DictWriter(text, header, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _loss_record(run: RunResult, result: LossResult) -> Record:
    record = {
        "loss": result.loss,
        "value": spelled_number(result.value),
        "unit": result.unit,
        "reduction": result.reduction,
        "samples": str(int(result.samples)),
        "weight": spelled_number(result.weight),
        "status": result.status,
        "signature": result.signature,
    }
    # One loss with statistics gives all of them the columns: every record has the same fields.
    if any(other.stats is not None for other in run.results):
        for name in field_names(Statistics):
            statistic = getattr(result.stats, name, None)
            record[name] = "" if statistic is None else spelled_number(statistic)
    return record


def _gradient_record(gradient: GradientResult) -> Record:
    record = {
        "loss": gradient.loss,
        "wrt": gradient.wrt,
        "scale": gradient.scale,
        "shape": shape_text(gradient.shape),
        "dtype": gradient.dtype,
    }
    for name in field_names(GradientStatistics):
        record[name] = spelled_number(getattr(gradient.stats, name))
    return record | {"path": gradient.path, "signature": gradient.signature}


def spelled_number(value: float) -> str:
    """An integer as it is, anything else as the shortest text that reads back as the same float64."""
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
