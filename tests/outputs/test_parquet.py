"""Parquet: typed, exact, with the whole document inside."""

from __future__ import annotations

import io
import json
import math

import pyarrow as pa
import pyarrow.parquet
import pytest

from lossctl.outputs import encoded
from lossctl.results import RunResult


def table(run: RunResult) -> pa.Table:
    return pyarrow.parquet.read_table(io.BytesIO(encoded(run, "parquet")))


def test_values_are_exact_and_not_finite_ones_stay(hard_run: RunResult) -> None:
    rows = table(hard_run).to_pylist()
    for row, result in zip(rows, hard_run.results, strict=True):
        assert row["value"] == result.value or (math.isnan(row["value"]) and math.isnan(result.value))
        assert (row["loss"], row["samples"], row["weight"]) == (result.loss, result.samples, result.weight)
        assert (row["unit"], row["reduction"], row["status"]) == (result.unit, result.reduction, result.status)
        assert row["signature"] == result.signature
    assert (rows[0]["std_error"], rows[0]["argmax"], rows[0]["ci_low"]) == (0.011, 12345, None)
    assert {row["p95"] for row in rows[1:]} == {None}


def test_the_columns_are_the_same_for_every_run(plain_run: RunResult, hard_run: RunResult) -> None:
    assert table(plain_run).schema.equals(table(hard_run).schema)
    schema = table(plain_run).schema
    assert [schema.field(name).type for name in ("value", "samples", "argmax")] == [
        pa.float64(),
        pa.int64(),
        pa.int64(),
    ]


def test_gradient(gradient_run: RunResult) -> None:
    (row,) = table(gradient_run).to_pylist()
    (gradient,) = gradient_run.gradients
    assert row["shape"] == [569, 10]
    assert (row["min"], row["zeros"], row["norm"]) == (-1 / 3, 7, 0.5)
    assert (row["path"], row["wrt"], row["signature"]) == (gradient.path, "prob", gradient.signature)


@pytest.mark.parametrize("name", ["hard_run", "gradient_run", "gated_run", "hostile_run"])
def test_the_document_is_in_the_metadata(name: str, request: pytest.FixtureRequest) -> None:
    run: RunResult = request.getfixturevalue(name)
    metadata = table(run).schema.metadata
    assert json.loads(metadata[b"lossctl.result"]) == run.to_document()
