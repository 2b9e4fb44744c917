"""The `cpu` backend: block functions run by parallel drivers that know no loss. See `drivers.py` and `kernels.py`."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .batch import Array, Batch, Column, Floats
from .domains import Domain
from .drivers import drive_folds, drive_gradient, drive_losses, driver
from .kernels import block_function
from .plan import Plan
from .spec import Scope

__all__ = ["Cpu"]

# Numba's own thread pool ends the process when two threads start parallel regions at once.
_one_at_a_time = threading.Lock()

_NO_FLOATS, _NO_FLAGS = np.empty(0), np.empty(0, np.bool_)


def address(array: Array) -> int:
    return int(array.ctypes.data)


def plain(array: Array) -> Array:
    """The array, or a copy, as drivers take it: they are compiled for arrays that may be written."""
    return np.require(array, requirements=["C", "W"])


def row_bytes(array: Array) -> int:
    return array.strides[0]


def bounds_of(domain: Domain, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The bounds as numbers of the dtype that is compared: the largest float32 stands for the largest float64."""
    low, high = domain.bounds()
    if dtype == np.float32:
        largest = float(np.finfo(np.float32).max)
        low = max(low, -largest) if np.isfinite(low) else low
        high = min(high, largest)
    return low, high


class Cpu:
    """See `batch.Backend`. `threads` limits the threads that Numba uses; None is all that it has."""

    name = "cpu"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        """Not `wanted` losses come back empty; what the report says of each loss may then be left out of it."""
        fill = block_function(plan, plan.value, batch.prediction.dtype.name)
        losses = np.empty(batch.rows if wanted else 0)
        reports = np.zeros((-(-batch.rows // plan.block_rows), len(Column)))
        numbers, class_weights, bounds = plan.vector(plan.value), plan.class_weights, self._bounds(plan, batch)
        per_value = plan.scope is not Scope.ROW
        needed = wanted or not per_value or batch.keep is not None or plan.settings["denom"] == "nonzero"
        self._run(
            drive_losses, fill, batch.rows, plan.width, plan.block_rows, per_value, plan.settings["row"] == "mean",
            plan.settings.value_divisor, address(batch.prediction), row_bytes(batch.prediction),
            address(batch.target), row_bytes(batch.target), address(class_weights), address(numbers), address(bounds),
            *_optional(batch.weights, _NO_FLOATS), *_optional(batch.keep, _NO_FLAGS), needed, wanted, losses, reports,
        )  # fmt: skip
        return reports, losses

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        fill = block_function(plan, plan.folds, batch.prediction.dtype.name)
        blocks = -(-batch.rows // plan.block_rows)
        states, reports = np.zeros((blocks, len(plan.folds.steps))), np.zeros((blocks, len(Column)))
        numbers, bounds = plan.vector(plan.folds, scales), self._bounds(plan, batch)
        self._run(
            drive_folds, fill, batch.rows, plan.width, plan.block_rows, address(batch.prediction),
            address(batch.target), row_bytes(batch.prediction), address(numbers), address(bounds),
            *_optional(batch.weights, _NO_FLOATS), states, reports,
        )  # fmt: skip
        return reports, states

    def gradient(self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float]) -> Array:
        """One scale for all rows is read once if it comes as `numpy.broadcast_to(scale, rows)`."""
        fill = block_function(plan, plan.gradient, batch.prediction.dtype.name)
        result = np.empty_like(batch.prediction)
        numbers, class_weights = plan.vector(plan.gradient, totals), plan.class_weights
        uniform = row_scales.strides == (0,)
        scales = plain(row_scales[:1] if uniform else row_scales)
        self._run(
            drive_gradient, fill, batch.rows, plan.width, plan.block_rows, plan.scope is not Scope.ROW,
            address(batch.prediction), row_bytes(batch.prediction), address(batch.target), row_bytes(batch.target),
            address(class_weights), address(numbers), scales, uniform, address(result),
        )  # fmt: skip
        return result

    def _bounds(self, plan: Plan, batch: Batch) -> Floats:
        """Bounds of predictions and targets, then the tolerances of their row sums; negative is not to be checked."""
        prediction = bounds_of(plan.prediction_domain, batch.prediction.dtype)
        target = bounds_of(plan.settings.loss.target, batch.target.dtype)
        row_sums = plan.tolerance if plan.rows_sum_to_one else -1.0
        target_sums = plan.tolerance if plan.targets_sum_to_one else -1.0
        return np.array([*prediction, *target, row_sums, target_sums])

    def _run(self, function: Any, *arguments: Any) -> None:
        with _one_at_a_time:
            run = driver(function)
            if self.threads is None:
                run(*arguments)
                return
            from numba import get_num_threads, set_num_threads

            before = get_num_threads()
            set_num_threads(self.threads)
            try:
                run(*arguments)
            finally:
                set_num_threads(before)


def _optional(array: Array | None, empty: Array) -> tuple[Array, bool]:
    return (empty, False) if array is None else (plain(array), True)
