"""Statistics of a gradient, and the names of its columns."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lossctl.array_outputs import GradientSummary, gradient_writer
from lossctl.catalogue.loss_spec import parse
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader
from lossctl.values.preparation import precision
from lossctl.writers import open_array_writer
from lossctl_kernels.reduce import block_rows


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        ("float16", "float32"),
        ("float32", "float32"),
        (">f4", "float32"),
        ("float64", "float64"),
        ("int32", "float64"),
        ("bool", "float64"),
    ],
)
def test_the_dtype_of_a_gradient(prediction: str, expected: str) -> None:
    assert precision(prediction).name == expected


def test_a_summary_does_not_depend_on_the_chunks(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    prediction, target = rng.uniform(0, 1, 9000), rng.integers(0, 2, 9000)
    prediction[[5, 8500]] = 1.0 - target[[5, 8500]]  # impossible events
    found = []
    for chunk_rows in (4096, 10**6):
        feed = Feed([memory_reader({"prediction": prediction}), memory_reader({"target": target})])
        evaluation = Evaluation(feed, Request([parse("bce")], chunk_rows=chunk_rows))
        path = str(tmp_path / "g.npy")
        with gradient_writer(path, evaluation) as writer:
            summary = GradientSummary(writer)
            evaluation.run()
            evaluation.gradients({"prediction": summary.write})
        found.append(summary.result(evaluation))
    assert found[0] == found[1]
    gradient = np.load(tmp_path / "g.npy")
    finite = gradient[np.isfinite(gradient)]
    stats = found[0].stats
    assert (stats.nonfinite, stats.zeros) == (2, 0)
    assert (stats.min, stats.max) == (finite.min(), finite.max())
    assert stats.mean == pytest.approx(math.fsum(finite) / finite.size, rel=1e-14)
    assert stats.norm == pytest.approx(math.sqrt(math.fsum(finite**2)), rel=1e-14)


@pytest.mark.parametrize(("rows", "width"), [(9000, 3), (5000, 300), (40, 5000)])
def test_a_summary_of_rows_does_not_depend_on_the_chunks(rows: int, width: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(width)
    gradient = rng.normal(size=(rows, width)) * 10.0 ** rng.integers(-9, 3, (rows, width))
    gradient[rows // 2, 1], gradient[rows - 1, 0] = 0.0, np.nan
    block, found = block_rows(width), []
    for step in (block, 3 * block, rows):
        with open_array_writer(tmp_path / "g.npy", (width,), "float64") as writer:
            summary = GradientSummary(writer)
            for start in range(0, rows, step):
                summary.write(gradient[start : start + step])
        feed = Feed([memory_reader({"prediction": gradient}), memory_reader({"target": gradient})])
        evaluation = Evaluation(feed, Request([parse("mse")]))
        found.append(summary.result(evaluation).stats)
    assert found[0] == found[1] == found[2]
    finite = gradient[np.isfinite(gradient)]
    assert (found[0].zeros, found[0].nonfinite, found[0].min, found[0].max) == (1, 1, finite.min(), finite.max())
    assert found[0].mean == pytest.approx(math.fsum(finite) / finite.size, abs=1e-15 * np.abs(finite).mean())
    assert found[0].norm == pytest.approx(math.sqrt(math.fsum(finite**2)), rel=1e-14)


def test_a_gradient_without_a_finite_entry(tmp_path: Path) -> None:
    feed = Feed([memory_reader({"prediction": np.zeros(2)}), memory_reader({"target": np.ones(2)})])
    evaluation = Evaluation(feed, Request([parse("bce")]))
    with gradient_writer(str(tmp_path / "g.csv"), evaluation) as writer:
        summary = GradientSummary(writer)
        evaluation.run()
        evaluation.gradients({"prediction": summary.write})
    stats = summary.result(evaluation).stats
    assert stats.nonfinite == 2
    assert math.isnan(stats.min)
    assert math.isnan(stats.mean)
    assert (tmp_path / "g.csv").read_text() == "grad\n-inf\n-inf\n"
