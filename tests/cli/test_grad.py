"""`lossctl grad`: the gradient in a file, its statistics on stdout."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import SAMPLES, call

BINARY = SAMPLES / "binary"


def statistics(*arguments: str | Path) -> dict[str, str]:
    outcome = call("grad", *arguments)
    assert (outcome.code, outcome.err) == (0, "")
    (row,) = csv.DictReader(io.StringIO(outcome.out), delimiter="\t")
    return row


def test_the_file_and_its_statistics(here: Path) -> None:
    row = statistics(BINARY / "preds.npy", BINARY / "labels.npy", "-l", "bce", "-o", "g.npy")
    gradient = np.load(here / "g.npy")
    assert gradient.dtype == np.float32
    assert (row["loss"], row["wrt"], row["scale"]) == ("bce", "prob", "reported")
    assert (row["shape"], row["dtype"], row["path"]) == ("(569,)", "float32", "g.npy")
    values = gradient.astype(np.float64)
    assert float(row["min"]) == values.min()
    assert float(row["max"]) == values.max()
    assert float(row["mean"]) == pytest.approx(math.fsum(values) / 569, rel=1e-15)
    assert float(row["norm"]) == pytest.approx(math.sqrt(math.fsum(values**2)), rel=1e-15)
    assert (row["zeros"], row["nonfinite"]) == ("0", "0")


def test_the_gradient_of_the_mean_of_bce(here: Path) -> None:
    p, y = np.array([0.8, 0.8, 0.1]), np.array([1.0, 1.0, 0.0])
    np.save("p.npy", p)
    np.save("y.npy", y)
    np.save("z.npy", np.log(p / (1 - p)))
    statistics("p.npy", "y.npy", "-l", "bce", "-o", "g.npy")
    assert np.load("g.npy") == pytest.approx((p - y) / (p * (1 - p)) / 3, rel=1e-14)
    statistics("p.npy", "y.npy", "-l", "bce", "--reduction", "sum", "-o", "g.npy")
    assert np.load("g.npy") == pytest.approx((p - y) / (p * (1 - p)), rel=1e-14)
    statistics("z.npy", "y.npy", "-l", "bce", "--from-logits", "--reduction", "sum", "-o", "g.npy")
    assert np.load("g.npy") == pytest.approx(p - y, rel=1e-14)
    row = statistics("p.npy", "y.npy", "-l", "bce:grad_wrt=logit,grad_scale=sample", "-o", "g.npy")
    assert np.load("g.npy") == pytest.approx(p - y, rel=1e-14)
    assert (row["wrt"], row["scale"]) == ("logit", "sample")


def test_infinite_and_zero_entries_are_counted(here: Path) -> None:
    np.save("p.npy", [0.0, 0.0, 0.5])
    np.save("y.npy", [1, 0, 1])
    np.save("w.npy", [1.0, 1.0, 0.0])
    row = statistics("p.npy", "y.npy", "-l", "bce", "--weights", "w.npy", "-o", "g.npy", "--quiet")
    assert np.load("g.npy").tolist() == [-math.inf, 0.5, 0.0]
    assert (row["zeros"], row["nonfinite"]) == ("1", "1")
    assert (float(row["min"]), float(row["max"])) == (0.0, 0.5)


def test_the_document_has_gradients_and_no_results(here: Path) -> None:
    outcome = call(
        "grad", BINARY / "preds.npy", BINARY / "labels.npy", "-l", "bce", "-o", "g.parquet", "--format", "json"
    )
    document: dict[str, Any] = json.loads(outcome.out)
    assert document["results"] == []
    (found,) = document["gradients"]
    assert (found["loss"], found["path"], found["shape"], found["dtype"]) == ("bce", "g.parquet", [569], "float32")
    assert found["signature"].startswith("bce|input=prob|eps=0|label_smoothing=0|")
    assert found["stats"]["nonfinite"] == 0
    assert found["stats"]["min"] < 0.0 < found["stats"]["max"]


@pytest.mark.parametrize("shown", ["table", "csv", "tsv", "markdown"])
def test_every_format_shows_the_norm(here: Path, shown: str) -> None:
    arguments = (
        SAMPLES / "regression" / "preds.npy",
        SAMPLES / "regression" / "targets.npy",
        "-l",
        "rmse",
        "-o",
        "g.csv",
    )
    outcome = call("grad", *arguments, "--format", shown)
    assert (outcome.code, outcome.err) == (0, "")
    assert "norm" in outcome.out
    assert "rmse" in outcome.out
    assert len((here / "g.csv").read_text().splitlines()) == 443
