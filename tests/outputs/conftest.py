"""Results to render: ordinary ones, and ones made to break a format."""

from __future__ import annotations

from typing import Any

import pytest

from lossctl.results import (
    GateResult,
    GradientResult,
    GradientStatistics,
    InputInfo,
    LossResult,
    RunResult,
    Statistics,
    signature,
)

OPTIONS = {"input": "prob", "eps": 0.0, "denom": "weight"}


def loss_result(loss: str = "bce", value: float = 0.0734213123123123, **changes: Any) -> LossResult:
    """The result of a loss over 569 samples, with any field changed."""
    options = changes.pop("options", OPTIONS)
    reduction = changes.pop("reduction", "mean")
    plain = {"unit": "nat", "sum": value * 569, "weight": 569.0, "samples": 569}
    return LossResult(
        loss=loss,
        options=options,
        reduction=reduction,
        value=value,
        signature=signature(loss, options, reduction=reduction, version="0.1.0"),
        **{**plain, **changes},
    )


def run_result(*results: LossResult, **changes: Any) -> RunResult:
    """A run with these results."""
    inputs = (
        InputInfo("prediction", "preds.npy", "npy", (569,), "float32"),
        InputInfo("target", "labels.csv", "csv", (569,), "int64", ("label",)),
    )
    plain = {"version": "0.1.0", "inputs": inputs, "backend": "cpu", "threads": 2, "seconds": 0.004}
    return RunResult(results=results, **{**plain, **changes})


@pytest.fixture
def plain_run() -> RunResult:
    """One ordinary loss."""
    return run_result(loss_result())


@pytest.fixture
def hard_run() -> RunResult:
    """Tiny, huge and non-finite values, changed options, statistics on some, counts, weights and another reduction."""
    statistics = Statistics(0.011, 0.0, 0.01, 0.4, 2.9, 12345)
    weighted = {
        "options": {"input": "logit", "class_weight": (0.5, 1.0, 2.0), "log_base": 2, "denom": "weight"},
        "changed": ("input", "class_weight", "log_base"),
        "unit": "bit",
    }
    return run_result(
        loss_result("bce", 1 / 3, stats=statistics),
        loss_result("scce", 1e-12, weight=123.5, samples=20_000_000, **weighted),
        loss_result("mse", 123456789.125, unit="", reduction="sum"),
        loss_result("cce", float("inf"), nonfinite=3, clipped=1),
        loss_result("rmse", float("nan"), unit=""),
        loss_result("cosine_distance", float("-inf"), unit="", degenerate=2),
        warnings=("class 3 has no samples",),
    )


@pytest.fixture
def gradient_run() -> RunResult:
    """A gradient, in a file whose name means something to every format."""
    gradient = GradientResult(
        loss="bce",
        options={**OPTIONS, "label_smoothing": 0.1},
        changed=("label_smoothing",),
        wrt="prob",
        scale="reported",
        path="a|b,`c`\td\x1b[31m.npy",
        shape=(569, 10),
        dtype="float64",
        stats=GradientStatistics(-1 / 3, 0.25, 1e-12, 0.5, 7, 0),
        signature="bce|input=prob|reduction=mean|lossctl=0.1.0",
    )
    return run_result(gradients=(gradient,))


HOSTILE = "a\n::error::b\r\x1b[31m\x00]]><b>&\"'|`%0A,:##[error]\udcff\ufffe"
"""What a file may be called, and a message may quote: it must not speak to whoever reads it."""


@pytest.fixture
def gated_run() -> RunResult:
    """Every verdict and severity, and a gate whose value is missing."""
    gates = (
        GateResult("bce > 0.35", 0.0734, "pass", 0.35),
        GateResult("p95(bce) > 0.3", 0.4, "fail", 0.3),
        GateResult("max(bce) > 2", 2.9, "fail", 2.0, "warn"),
        GateResult("ci_low(bce) > 0.07", 0.07, "inconclusive", 0.07, "fail", 12345),
        GateResult("brier > base", float("nan"), "fail", None),
        GateResult("mae > 1", None, "fail", 1.0),
    )
    return run_result(loss_result(), gates=gates)


@pytest.fixture
def hostile_run() -> RunResult:
    """Names of files, losses, options and gates that try to be something else."""
    return run_result(
        loss_result(f"./{HOSTILE}.py:f", float("nan"), options={"of": HOSTILE, "denom": "weight"}, changed=("of",)),
        inputs=(InputInfo("prediction", HOSTILE, "npy", (569,), "float32"),),
        gates=(GateResult(HOSTILE, 1.0, "fail", 0.5),),
        warnings=(HOSTILE,),
    )
