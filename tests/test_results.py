"""The values of a run: their document, their status, their signature."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys

import numpy as np
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
    spelled,
    stated,
)

SIGNATURE = "bce|input=prob|eps=0|reduction=mean|denom=weight|lossctl=0.1.0"


def bce(value: float = 0.0734, **changes: object) -> LossResult:
    fields: dict[str, object] = {
        "loss": "bce",
        "options": {"input": "prob", "eps": 0.0, "denom": "weight"},
        "reduction": "mean",
        "value": value,
        "unit": "nat",
        "sum": 41.7,
        "weight": 569.0,
        "samples": 569,
        "signature": SIGNATURE,
    }
    return LossResult(**{**fields, **changes})  # type: ignore[arg-type]


def run(*results: LossResult, **changes: object) -> RunResult:
    fields: dict[str, object] = {
        "version": "0.1.0",
        "inputs": (InputInfo("prediction", "preds.npy", "npy", (569,), "float32"),),
        "results": results,
        "backend": "cpu",
        "threads": 2,
        "seconds": 0.004,
    }
    return RunResult(**{**fields, **changes})  # type: ignore[arg-type]


def test_document_is_the_published_schema() -> None:
    statistics = Statistics(0.011, 0.0, 0.01, 0.4, 2.9, 77)
    document = run(bce(stats=statistics), gates=(GateResult("bce > 0.1", 0.0734, "pass", 0.1),)).to_document()
    assert document == {
        "schema": "lossctl.result/1",
        "version": "0.1.0",
        "status": "ok",
        "inputs": [
            {"role": "prediction", "path": "preds.npy", "format": "npy", "shape": [569], "dtype": "float32"},
        ],
        "results": [
            {
                "loss": "bce",
                "options": {"input": "prob", "eps": 0.0, "denom": "weight"},
                "reduction": "mean",
                "value": 0.0734,
                "unit": "nat",
                "sum": 41.7,
                "weight": 569.0,
                "samples": 569,
                "nonfinite": 0,
                "stats": {"std_error": 0.011, "min": 0.0, "p50": 0.01, "p95": 0.4, "max": 2.9, "argmax": 77},
                "status": "ok",
                "signature": SIGNATURE,
            }
        ],
        "gates": [{"expression": "bce > 0.1", "value": 0.0734, "limit": 0.1, "verdict": "pass", "severity": "fail"}],
        "backend": "cpu",
        "threads": 2,
        "seconds": 0.004,
        "warnings": [],
    }
    assert list(document)[:5] == ["schema", "version", "status", "inputs", "results"]


def test_counts_are_there_when_they_say_something() -> None:
    assert {"clipped", "degenerate", "stats"}.isdisjoint(bce().to_document())
    document = bce(nonfinite=1, clipped=2, degenerate=3).to_document()
    assert (document["nonfinite"], document["clipped"], document["degenerate"]) == (1, 2, 3)


def test_columns_of_an_input_are_there_when_it_has_some() -> None:
    table = InputInfo("target", "t.csv", "csv", (3, 2), "float64", ("p_0", "p_1"))
    assert table.to_document()["columns"] == ["p_0", "p_1"]
    assert "columns" not in InputInfo("target", "t.npy", "npy", (3,), "int64").to_document()


@pytest.mark.parametrize(
    ("value", "status"),
    [(0.5, "ok"), (0.0, "ok"), (math.inf, "inf"), (-math.inf, "-inf"), (math.nan, "nan"), (-math.nan, "nan")],
)
def test_status_names_the_value_that_json_cannot_hold(value: float, status: str) -> None:
    result = bce(value, sum=value)
    assert result.status == status
    document = result.to_document()
    assert document["status"] == status
    if status == "ok":
        assert document["value"] == document["sum"] == value
        assert run(bce(), result).status == "ok"
    else:
        assert document["value"] is None
        assert document["sum"] is None
        assert run(bce(), result).status == "nonfinite"


def test_numpy_numbers_leave_as_python_numbers() -> None:
    result = bce(
        np.float64(0.1),
        samples=np.int64(3),
        weight=np.float32(0.5),
        options={"eps": np.float32(0.25), "normalize": np.bool_(True), "class_weight": np.array([0.5, 1.0])},
        stats=Statistics(np.float64(0.1), 0.0, 0.0, 0.0, 0.0, np.int64(7)),  # type: ignore[arg-type]
    )
    document = json.loads(json.dumps(result.to_document(), allow_nan=False))
    assert document["options"] == {"eps": 0.25, "normalize": True, "class_weight": [0.5, 1.0]}
    assert document["weight"] == 0.5
    assert document["stats"]["argmax"] == 7
    assert type(result.to_document()["value"]) is float


def test_a_non_finite_option_is_spelled_and_a_non_finite_statistic_is_null() -> None:
    statistics = GradientStatistics(math.nan, math.inf, 0.0, 0.0, 0, 5)
    gradient = GradientResult(
        loss="mse",
        options={"order": math.inf},
        wrt="value",
        scale="sample",
        path="g.npy",
        shape=(2, 3),
        dtype="float64",
        stats=statistics,
        signature="mse|order=inf",
    )
    document = run(gradients=(gradient,)).to_document()["gradients"][0]
    assert document["options"] == {"order": "inf"}
    assert document["stats"] == {"min": None, "max": None, "mean": 0.0, "norm": 0.0, "zeros": 0, "nonfinite": 5}
    assert document["shape"] == [2, 3]


def test_signature_of_the_design() -> None:
    options = {"input": "prob", "eps": 0.0, "denom": "weight"}
    assert signature("bce", options, reduction="mean", version="0.1.0") == SIGNATURE


def test_what_a_signature_states() -> None:
    options = {"eps": 0.0, "eps_mode": "clip", "grad_wrt": "logit", "grad_scale": "sum"}
    options |= {"kink": None, "denom": "weight"}
    assert stated(options) == {"eps": 0.0, "denom": "weight"}
    assert stated(options, gradient=True) == {"eps": 0.0, "grad_wrt": "logit", "grad_scale": "sum", "denom": "weight"}
    assert stated({**options, "eps": 0.1}) == {"eps": 0.1, "eps_mode": "clip", "denom": "weight"}


def test_signature_keeps_its_separator_to_itself() -> None:
    text = signature("my|file.py:f\n", {"name": "a|b", "w": (0.5, 1.0)}, reduction="sum", version="1")
    assert text == "my%7Cfile.py:f\\n|name=a%7Cb|w=[0.5,1]|reduction=sum|lossctl=1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5"),
        (1.0, "1"),
        (100.0, "100"),
        (1e-07, "1e-07"),
        (1e22, "1e+22"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-100, "-100"),
        (True, "true"),
        (False, "false"),
        (None, "none"),
        ("logit", "logit"),
        (math.inf, "inf"),
        ((0.5, 1.0, 2.0), "[0.5,1,2]"),
        (np.float32(0.1), repr(float(np.float32(0.1)))),
    ],
)
def test_spelling_of_options(value: object, text: str) -> None:
    assert spelled(value) == text


def test_a_long_vector_is_named_by_what_it_holds() -> None:
    ones = [1.0] * 1000
    other = [*ones[:-1], 1.0000000000000002]
    assert len(spelled(ones)) < 60
    assert "1000 values" in spelled(ones)
    assert spelled(ones) == spelled(np.ones(1000))
    assert spelled(ones) != spelled(other)


def test_results_are_frozen_and_picklable() -> None:
    original = run(bce(stats=Statistics(0.1, 0.0, 0.1, 0.2, 0.3, 4)))
    assert pickle.loads(pickle.dumps(original)) == original
    with pytest.raises(AttributeError):
        original.backend = "cuda"  # type: ignore[misc]


def test_results_and_plain_formats_import_nothing_heavy() -> None:
    code = (
        "import sys, lossctl.results, lossctl.outputs, lossctl.outputs.json, lossctl.outputs.tsv, lossctl.files\n"
        "print([name for name in ('numpy', 'rich', 'pyarrow', 'pandas', 'numba') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
