"""What each engine makes of a plan and drawn data, and how near to the truth that has to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import Plan, Scope
from lossctl_kernels.batch import Array, Batch
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.scales import safe_scale
from lossctl_kernels.spec import Monoid
from tests.kernels.further import drawn_inputs

Floats = NDArray[np.float64]


def backends() -> list[Any]:
    """One parameter a backend; the compiled one is left out where Numba is told not to compile."""
    import numba

    skip = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT leaves nothing to compile")
    return [pytest.param("python", id="python"), pytest.param("cpu", id="cpu", marks=skip)]


def backend_of(name: str) -> Any:
    if name == "python":
        return Interpreter()
    from lossctl_kernels.cpu import Cpu

    return Cpu()


def sample_scale(plan: Plan) -> float:
    """What the gradient of one value is multiplied by to be that of its row's loss."""
    mean = plan.scope is Scope.ELEMENT and plan.settings["row"] == "mean"
    return 1.0 / plan.settings.value_divisor / (plan.width if mean else 1)


def sample_losses(engine: Any, plan: Plan, prediction: Array, target: Array, **more: Any) -> Floats:
    return np.asarray(engine.losses(plan, batch_of(plan, prediction, target, **more))[1])


def batch_of(plan: Plan, prediction: Array, target: Array, **more: Any) -> Batch:
    """With further inputs where the loss has any: drawn, but for what is given."""
    return Batch(prediction, target, inputs={**drawn_inputs(plan.settings.loss, prediction), **more})


def sample_gradients(
    engine: Any, plan: Plan, prediction: Array, target: Array, of: str = "prediction", **more: Any
) -> Array:
    """Derivative of each row's own loss, in the shape of the prediction."""
    scales = np.full(len(prediction), sample_scale(plan))
    return np.asarray(engine.gradient(plan, batch_of(plan, prediction, target, **more), scales, {}, of))


def totals_of(engine: Any, plan: Plan, batch: Batch) -> dict[str, float]:
    """The folds of a loss over the data set: a second pass where magnitudes are extreme."""
    scales = dict.fromkeys(plan.scales, 1.0)
    names = [step.name for step in plan.folds.steps]

    def folded() -> dict[str, float]:
        states = engine.folds(plan, batch, scales)[1]
        largest = [step.monoid in (Monoid.SCALE, Monoid.MAX) for step in plan.folds.steps]
        return dict(zip(names, np.where(largest, states.max(0), states.sum(0)).tolist(), strict=True))

    totals = folded()
    scales = {name: float(safe_scale(totals[name])) for name in plan.scales}
    if any(scale != 1.0 for scale in scales.values()):
        totals = folded()
    width = plan.width if batch.prediction.ndim > 1 else 1
    weight = float(batch.rows if batch.weights is None else batch.weights.sum()) * width
    return {**totals, **scales, "weight": weight}


def dataset_value(engine: Any, plan: Plan, batch: Batch) -> float:
    known = {**plan.numbers, **totals_of(engine, plan, batch)}
    with np.errstate(all="ignore"):
        return float(plan.definition.function(**{name: known[name] for name in plan.definition.arguments()}))


def dataset_gradients(engine: Any, plan: Plan, batch: Batch) -> Array:
    ones = np.ones(batch.rows) if batch.weights is None else batch.weights
    return np.asarray(engine.gradient(plan, batch, ones, totals_of(engine, plan, batch)))


def assert_close(got: Any, exact: Sequence[Any], rtol: float, atol: float = 0.0) -> None:
    """Every number is its mpmath counterpart to `rtol` of that, or `atol`; infinities and NaN are the same."""
    found = np.asarray(got, np.float64).ravel()
    assert found.size == len(exact)
    lines = (
        _off(position, a, b, rtol, atol) for position, (a, b) in enumerate(zip(found.tolist(), exact, strict=True))
    )
    wrong = [line for line in lines if line]
    assert not wrong, "\n".join(wrong[:5])


def _off(position: int, got: float, exact: Any, rtol: float, atol: float) -> str | None:
    if mpmath.isfinite(exact) and math.isfinite(got):
        error = abs(got - exact)
        if error <= rtol * abs(exact) + atol:
            return None
        relative = mpmath.nstr(error / abs(exact or 1), 3)
        return f"[{position}] {got!r} instead of {mpmath.nstr(exact, 18)}: off by {relative}"
    same = got == float(exact) or (math.isnan(got) and mpmath.isnan(exact))
    return None if same else f"[{position}] {got!r} instead of {exact}"


def flattened(rows: Sequence[Sequence[Any]]) -> list[Any]:
    return [value for row in rows for value in row]
