"""Small inputs with the numbers of PyTorch, Keras, optax, scikit-learn and 60-digit arithmetic, through the Python API.

A line of `conformance.jsonl` is one case: `pred`, `target` and perhaps `weights` and further `inputs` by name (float64
where `dtype_pred` or `dtype_target` does not say otherwise), `spec`, and in `expect` what must be returned. A number x
is right if abs(x - expected) <= rtol * abs(expected) + atol, with `rtol_arrays` in place of `rtol` for arrays; null is
not compared, and infinities are strings. `source` names the release that each number was taken from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.catalogue.loss_spec import find
from lossctl_kernels import LOSSES

Record = dict[str, Any]
CASES: list[Record] = [
    json.loads(line) for line in (Path(__file__).parent / "conformance.jsonl").read_text(encoding="utf-8").splitlines()
]


def array(data: Any, dtype: str = "float64") -> NDArray[Any]:
    """The nested list as an array; "inf" and "-inf" are numbers."""
    values = np.asarray(data, dtype=object)
    if np.issubdtype(np.dtype(dtype), np.floating):
        return np.array([float(value) for value in values.ravel()], dtype).reshape(values.shape)
    return values.astype(dtype)


def compute(case: Record) -> dict[str, Any]:
    """What `expect` holds, from the functions of the package."""
    data = (
        array(case["pred"], case.get("dtype_pred", "float64")),
        array(case["target"], case.get("dtype_target", "float64")),
    )
    spec, weights = case["spec"], array(case["weights"]) if "weights" in case else None
    given: dict[str, Any] = {
        "weights": weights,
        "inputs": {name: array(data) for name, data in case.get("inputs", {}).items()} or None,
    }
    reduction = case.get("reduction", "mean")
    calls: dict[str, Callable[[], Any]] = {
        "value": lambda: lossctl.evaluate(*data, spec, **given, reduction=reduction).value,
        "per_sample": lambda: lossctl.per_sample(*data, spec, **given),
        "gradient": lambda: lossctl.gradient(*data, spec, **given, reduction=reduction),
    }
    return {what: calls[what]() for what in case["expect"]}


def differences(got: Any, want: Any, rtol: Any, atol: float) -> list[str]:
    """A line for each number that is not the expected one."""
    found, wanted = np.asarray(got), np.asarray(want, dtype=object)
    if found.shape != wanted.shape:
        return [f"shape {found.shape} instead of {wanted.shape}"]
    lines = []
    for index in np.ndindex(wanted.shape):
        if wanted[index] is None:
            continue
        expected, actual = float(wanted[index]), float(found[index])
        error = abs(actual - expected)
        same = actual == expected or (math.isnan(actual) and math.isnan(expected))
        if not same and not (math.isfinite(error) and error <= rtol * abs(expected) + atol):
            lines.append(f"{list(index)}: {actual!r} instead of {expected!r}")
    return lines


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: Record) -> None:
    got = compute(case)
    for what, want in case["expect"].items():
        rtol = case["rtol"] if what == "value" else case.get("rtol_arrays", case["rtol"])
        assert not differences(got[what], want, rtol, case["atol"]), (what, case["source"])


def test_every_loss_has_cases() -> None:
    assert {loss.name for case in CASES for loss, _ in find(case["spec"].partition(":")[0])} == set(LOSSES)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        ([1.0, 2.0], [1.0]),
        ([1.0], [1.0 + 1e-9]),
        ([np.nan], [1.0]),
        ([1.0], ["inf"]),
        ([-np.inf], ["inf"]),
        ([1.0], ["nan"]),
    ],
)
def test_a_difference_is_seen(got: Any, want: Any) -> None:
    assert differences(got, want, 1e-12, 1e-12)


def test_what_is_not_fixed_is_not_compared() -> None:
    assert not differences([[1.0, np.nan, np.inf, 2.0]], [[None, "nan", "inf", 2.0 + 1e-15]], 1e-12, 0.0)
