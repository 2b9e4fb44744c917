"""Parquet: the records of CSV with their types, the whole result document in the file's own metadata."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet

from lossctl.process import settle_arrow
from lossctl.results import GradientResult, GradientStatistics, LossResult, RunResult, Statistics
from lossctl_kernels.records import field_names

if TYPE_CHECKING:
    from lossctl.suites.results import SuiteResult

DOCUMENT = "lossctl.result"
SUITE_DOCUMENT = "lossctl.suite"

_LOSS: dict[str, pa.DataType] = {
    "loss": pa.string(),
    "value": pa.float64(),
    "unit": pa.string(),
    "reduction": pa.string(),
    "samples": pa.int64(),
    "weight": pa.float64(),
    "status": pa.string(),
    "signature": pa.string(),
    **dict.fromkeys(field_names(Statistics), pa.float64()),
    "argmax": pa.int64(),
}
_GRADIENT: dict[str, pa.DataType] = {
    "loss": pa.string(),
    "wrt": pa.string(),
    "scale": pa.string(),
    "shape": pa.list_(pa.int64()),
    "dtype": pa.string(),
    **dict.fromkeys(field_names(GradientStatistics), pa.float64()),
    "zeros": pa.int64(),
    "nonfinite": pa.int64(),
    "path": pa.string(),
    "signature": pa.string(),
}


def encode(run: RunResult) -> bytes:
    """One row a loss, or a gradient for a run that has only gradients; NaN and infinities as they are.

    The columns are the same for every run; statistics that nobody asked for are null. The metadata hold the document
    that `json` writes, under "lossctl.result".
    """
    if run.results:
        rows, columns = [_loss_row(result) for result in run.results], _LOSS
    else:
        rows, columns = [_gradient_row(gradient) for gradient in run.gradients], _GRADIENT
    return file_of(rows, columns, {DOCUMENT: json.dumps(run.to_document(), allow_nan=False)})


def encode_suite(suite: SuiteResult) -> bytes:
    """The rows of every evaluation with its name; one without a result has one, with the error in it.

    The metadata hold the suite's document, under "lossctl.suite".
    """
    from lossctl.outputs.suites import EVALUATION, said_of

    rows: list[dict[str, Any]] = []
    for each in suite.evaluations:
        losses = [] if each.run is None else [_loss_row(result) for result in each.run.results]
        told = None if each.error is None else said_of(each.error)
        rows += [{EVALUATION: each.name, **row, "error": told} for row in losses or [{"status": "error"}]]
    columns = {EVALUATION: pa.string(), **_LOSS, "error": pa.string()}
    return file_of(rows, columns, {SUITE_DOCUMENT: json.dumps(suite.to_document(), allow_nan=False)})


def file_of(
    rows: list[dict[str, Any]], columns: dict[str, pa.DataType], metadata: dict[bytes | str, bytes | str]
) -> bytes:
    """The bytes of a file with these rows; what a row does not name is null."""
    settle_arrow()
    table = pa.Table.from_pylist(rows, schema=pa.schema(columns, metadata=metadata))
    buffer = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    return bytes(buffer.getvalue().to_pybytes())


def _loss_row(result: LossResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: in_utf8(getattr(result, name)) for name in ("loss", "unit", "reduction", "status", "signature")
    }
    row |= {"value": float(result.value), "samples": int(result.samples), "weight": float(result.weight)}
    return row | (asdict(result.stats) if result.stats is not None else {})


def _gradient_row(gradient: GradientResult) -> dict[str, Any]:
    row = {name: in_utf8(getattr(gradient, name)) for name in ("loss", "wrt", "scale", "dtype", "path", "signature")}
    return row | {"shape": [int(size) for size in gradient.shape]} | asdict(gradient.stats)


def in_utf8(text: str) -> str:
    """A file name that is not UTF-8 holds surrogates, which Parquet has no place for."""
    return text.encode("utf-8", "backslashreplace").decode()
