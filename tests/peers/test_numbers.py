"""Random small inputs with the numbers of PyTorch 2.13, Keras 3.15.1, optax 0.2.8 and scikit-learn 1.9.1.

A line of `numbers.jsonl` is one call of a framework, drawn at random over its losses and their arguments, in float64
on the stored inputs: `expect` has its value, its losses without reduction, and its derivatives by the prediction and
by further arrays. They were stored from the frameworks alone. A number x is right if
abs(x - expected) <= rtol * abs(expected) + atol, with `rtol_arrays` and `atol_arrays` for arrays.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lossctl
from tests.test_conformance import array, differences

Record = dict[str, Any]
CASES: list[Record] = [
    json.loads(line) for line in Path(__file__).with_name("numbers.jsonl").read_text(encoding="utf-8").splitlines()
]


def compute(case: Record, what: str) -> Any:
    """What a framework returned as `what`, from the functions of the package."""
    prediction, target = (array(case[side], case[f"dtype_{side}"]) for side in ("pred", "target"))
    given: dict[str, Any] = {
        "weights": array(case["weights"]) if "weights" in case else None,
        "inputs": {name: array(data) for name, data in case.get("inputs", {}).items()} or None,
        "class_axis": case.get("class_axis"),
        "backend": "python",
    }
    reduction = case.get("reduction", "mean")
    if what == "value":
        return lossctl.evaluate(prediction, target, case["spec"], **given, reduction=reduction).value
    if what == "per_sample":
        return lossctl.per_sample(prediction, target, case["spec"], **given)
    return lossctl.gradient(prediction, target, case["spec"], **given, reduction=reduction, of=what)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: Record) -> None:
    for what, want in case["expect"].items():
        suffix = "" if what == "value" else "_arrays"
        found = differences(compute(case, what), want, case[f"rtol{suffix}"], case[f"atol{suffix}"])
        assert not found, (case["spec"], what)


def test_every_framework_has_cases() -> None:
    assert {case["id"].partition(".")[0] for case in CASES} == {"torch", "keras", "optax", "sklearn"}
