"""CSV and TSV: the same records, another delimiter."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from numbers import Integral

from lossctl.results import GradientResult, GradientStatistics, LossResult, RunResult, Statistics

Record = dict[str, str]


def render_delimited(run: RunResult, delimiter: str) -> str:
    """A header and one record a loss; a run that has gradients and no losses gives one record a gradient.

    Columns are only ever added at the end. Numbers are in full precision; non-finite ones are inf, -inf and nan.
    """
    records = [_loss_record(run, result) for result in run.results] or [_gradient_record(g) for g in run.gradients]
    text = io.StringIO(newline="")
    header = list(records[0]) if records else []
    writer = csv.DictWriter(text, header, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _loss_record(run: RunResult, result: LossResult) -> Record:
    record = {
        "loss": result.loss,
        "value": _number(result.value),
        "unit": result.unit,
        "reduction": result.reduction,
        "samples": str(int(result.samples)),
        "weight": _number(result.weight),
        "status": result.status,
        "signature": result.signature,
    }
    # One loss with statistics gives all of them the columns: every record has the same fields.
    if any(other.stats is not None for other in run.results):
        for column in fields(Statistics):
            statistic = getattr(result.stats, column.name, None)
            record[column.name] = "" if statistic is None else _number(statistic)
    return record


def _gradient_record(gradient: GradientResult) -> Record:
    record = {
        "loss": gradient.loss,
        "wrt": gradient.wrt,
        "scale": gradient.scale,
        "shape": "x".join(str(int(size)) for size in gradient.shape),
        "dtype": gradient.dtype,
    }
    for column in fields(GradientStatistics):
        record[column.name] = _number(getattr(gradient.stats, column.name))
    return record | {"path": gradient.path, "signature": gradient.signature}


def _number(value: float) -> str:
    """An integer as it is, anything else as the shortest text that reads back as the same float64."""
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))
