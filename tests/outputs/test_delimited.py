"""CSV and TSV: full precision, stable columns, quoting."""

from __future__ import annotations

import csv
import io
import math

import pytest

from lossctl.outputs import render
from lossctl.results import RunResult

COLUMNS = ["loss", "value", "unit", "reduction", "samples", "weight", "status", "signature"]
SIGNATURE = "bce|input=prob|eps=0|reduction=mean|denom=weight|lossctl=0.1.0"
FURTHER = ["p90", "p99", "confidence", "ci_low", "ci_high"]
STATISTICS = ["std_error", "min", "p50", "p95", "max", "argmax", *FURTHER]
DELIMITERS = {"csv": ",", "tsv": "\t"}


def records(text: str, format: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=DELIMITERS[format], strict=True))


@pytest.mark.parametrize("format", DELIMITERS)
def test_plain_result(format: str, plain_run: RunResult) -> None:
    text = render(plain_run, format)
    delimiter = DELIMITERS[format]
    assert text.splitlines() == [
        delimiter.join(COLUMNS),
        delimiter.join(["bce", "0.0734213123123123", "nat", "mean", "569", "569.0", "ok", SIGNATURE]),
    ]
    assert "\r" not in text


@pytest.mark.parametrize("format", DELIMITERS)
def test_numbers_round_trip_and_statistics_come_last(format: str, hard_run: RunResult) -> None:
    found = records(render(hard_run, format), format)
    assert list(found[0]) == COLUMNS + STATISTICS
    for record, result in zip(found, hard_run.results, strict=True):
        value = float(record["value"])
        assert value == result.value or (math.isnan(value) and math.isnan(result.value))
        assert record["status"] == result.status
        assert record["signature"] == result.signature
        assert float(record["weight"]) == result.weight
        assert int(record["samples"]) == result.samples
    assert found[0]["argmax"] == "12345"
    assert found[0]["std_error"] == "0.011"
    assert [record["argmax"] for record in found[1:]] == [""] * 5
    assert [found[0][name] for name in FURTHER] == [""] * len(FURTHER)


def test_a_signature_with_commas_is_one_field(hard_run: RunResult) -> None:
    text = render(hard_run, "csv")
    assert "[0.5,1,2]" in text
    assert '"scce|input=logit|class_weight=[0.5,1,2]|' in text


@pytest.mark.parametrize("format", DELIMITERS)
def test_gradient(format: str, gradient_run: RunResult) -> None:
    (record,) = records(render(gradient_run, format), format)
    assert record == {
        "loss": "bce",
        "wrt": "prob",
        "scale": "reported",
        "shape": "(569, 10)",
        "dtype": "float64",
        "min": repr(-1 / 3),
        "max": "0.25",
        "mean": "1e-12",
        "norm": "0.5",
        "zeros": "7",
        "nonfinite": "0",
        "path": "a|b,`c`\td\x1b[31m.npy",
        "signature": "bce|input=prob|reduction=mean|lossctl=0.1.0",
    }
