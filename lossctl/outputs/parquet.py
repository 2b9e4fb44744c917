"""Parquet: the records of CSV with their types, the whole result document in the file's own metadata."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from lossctl.results import GradientResult, GradientStatistics, LossResult, RunResult, Statistics

DOCUMENT = "lossctl.result"

_LOSS: dict[str, pa.DataType] = {
    "loss": pa.string(),
    "value": pa.float64(),
    "unit": pa.string(),
    "reduction": pa.string(),
    "samples": pa.int64(),
    "weight": pa.float64(),
    "status": pa.string(),
    "signature": pa.string(),
    **{field.name: pa.float64() for field in fields(Statistics)},
    "argmax": pa.int64(),
}
_GRADIENT: dict[str, pa.DataType] = {
    "loss": pa.string(),
    "wrt": pa.string(),
    "scale": pa.string(),
    "shape": pa.list_(pa.int64()),
    "dtype": pa.string(),
    **{field.name: pa.float64() for field in fields(GradientStatistics)},
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
    document = json.dumps(run.to_document(), allow_nan=False)
    table = pa.Table.from_pylist(rows, schema=pa.schema(columns, metadata={DOCUMENT: document}))
    buffer = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer)
    return bytes(buffer.getvalue().to_pybytes())


def _loss_row(result: LossResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: _text(getattr(result, name)) for name in ("loss", "unit", "reduction", "status", "signature")
    }
    row |= {"value": float(result.value), "samples": int(result.samples), "weight": float(result.weight)}
    return row | (asdict(result.stats) if result.stats is not None else {})


def _gradient_row(gradient: GradientResult) -> dict[str, Any]:
    row = {name: _text(getattr(gradient, name)) for name in ("loss", "wrt", "scale", "dtype", "path", "signature")}
    return row | {"shape": [int(size) for size in gradient.shape]} | asdict(gradient.stats)


def _text(text: str) -> str:
    """A file name that is not UTF-8 holds surrogates, which Parquet has no place for."""
    return text.encode("utf-8", "backslashreplace").decode()
