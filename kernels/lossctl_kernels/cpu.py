"""The `cpu` backend: block functions run by a parallel driver that knows no loss. See `drivers.py` and `kernels.py`."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from .batch import Array, Batch, Column, Floats
from .domains import Domain
from .drivers import driver
from .kernels import block_function, extremes_function, is_flat, sum_function
from .plan import Plan
from .spec import Scope

__all__ = ["Cpu"]

# Numba's own thread pool ends the process when two threads start parallel regions at once.
_one_at_a_time = threading.Lock()

_NOTHING: Floats = np.empty(0)


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
        flat, masked = is_flat(plan), batch.keep is not None
        needed = wanted or masked or not flat or plan.settings["denom"] == "nonzero"
        reports, losses = self._fill_losses(plan, batch, needed)
        if not needed and not np.isfinite(reports[:, Column.SUM]).all():
            needed, (reports, losses) = True, self._fill_losses(plan, batch, True)
        with np.errstate(all="ignore"):
            if masked or not flat:
                reports[:, Column.SUM] = self._block_sums(plan, batch, losses)
            divisor = plan.settings.value_divisor
            if plan.scope is Scope.ELEMENT and plan.settings["row"] == "mean":
                divisor *= plan.width
            reports[:, Column.SUM] /= divisor
            if needed and divisor != 1.0:
                losses /= divisor
        if needed:
            self._describe(plan, batch, losses, reports)
        return reports, losses if wanted else _NOTHING

    def _fill_losses(self, plan: Plan, batch: Batch, needed: bool) -> tuple[Floats, Floats]:
        """The losses if they are `needed`, undivided, and the report: its sum is not there where they are masked."""
        losses = np.empty(batch.rows if needed else 0)
        reports = np.zeros((-(-batch.rows // plan.block_rows), len(Column)))
        weights = batch.weights if is_flat(plan) and batch.keep is None else None
        self._run(
            block_function(plan, plan.value, batch.prediction.dtype.name), plan, batch,
            numbers=plan.vector(plan.value), bounds=bounds(plan, batch), scales=weights,
            result=losses if needed else None, reports=reports,
        )  # fmt: skip
        return reports, losses

    def _block_sums(self, plan: Plan, batch: Batch, losses: Floats) -> Floats:
        """The weighted sum of each block of losses, without those that are left out."""
        weights = batch.weights
        if batch.keep is not None:
            losses = np.where(batch.keep, losses, 0.0)
            weights = None if weights is None else np.where(batch.keep, weights, 0.0)
        sums = np.empty((-(-batch.rows // plan.block_rows), 1))
        self._run(sum_function(), plan, Batch(losses, losses), scales=weights, states=sums)
        return sums[:, 0]

    def _describe(self, plan: Plan, batch: Batch, losses: Floats, reports: Floats) -> None:
        """Fills the columns of the report that come from each loss; those of rows that are left out become NaN."""
        if batch.keep is not None:
            losses[~batch.keep] = np.nan
        self._run(extremes_function(), plan, Batch(losses, losses), reports=reports)
        if batch.keep is not None:
            starts = np.arange(0, batch.rows, plan.block_rows)
            reports[:, Column.NONFINITE] -= np.add.reduceat(~batch.keep, starts, dtype=np.int64)

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        blocks = -(-batch.rows // plan.block_rows)
        states, reports = np.zeros((blocks, len(plan.folds.steps))), np.zeros((blocks, len(Column)))
        weights = None if batch.weights is None else np.repeat(batch.weights, plan.width)
        self._run(
            block_function(plan, plan.folds, batch.prediction.dtype.name), plan, batch,
            numbers=plan.vector(plan.folds, scales), bounds=bounds(plan, batch), scales=weights, states=states,
            reports=reports,
        )  # fmt: skip
        return reports, states

    def gradient(self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float]) -> Array:
        """One scale for all rows is read once if it comes as `numpy.broadcast_to(scale, rows)`."""
        result = np.empty_like(batch.prediction)
        repeated = plan.width if is_flat(plan) else 1
        one_scale = row_scales.strides == (0,)
        if one_scale:
            row_scales = np.full(plan.block_rows * repeated, row_scales[0])
        elif repeated > 1:
            row_scales = np.repeat(row_scales, repeated)
        self._run(
            block_function(plan, plan.gradient, batch.prediction.dtype.name), plan, batch,
            numbers=plan.vector(plan.gradient, totals), scales=row_scales, one_scale=one_scale, result=result,
        )  # fmt: skip
        return result

    def _run(
        self,
        fill: Any,
        plan: Plan,
        batch: Batch,
        *,
        numbers: Floats = _NOTHING,
        bounds: Floats = _NOTHING,
        scales: Floats | None = None,
        one_scale: bool = False,
        result: Array | None = None,
        states: Floats | None = None,
        reports: Floats | None = None,
    ) -> None:
        """Runs a block function over the batch; `result` and `scales` go by rows, `states` and `reports` by blocks."""
        width = plan.width if batch.prediction.ndim > 1 else 1
        rows, block = batch.rows, plan.block_rows
        class_weights, scales = plan.class_weights, None if scales is None else np.ascontiguousarray(scales)
        results = place(result, block) if states is None else place(states, 1)
        scale_step = 0 if scales is None or one_scale else 8 * block * (scales.size // rows)
        places = np.array(
            [
                place(batch.prediction, block),
                place(batch.target, block),
                place(class_weights, 0),
                place(numbers, 0),
                place(bounds, 0),
                (place(scales, 0)[0], scale_step),
                results,
                place(reports, 1),
            ],
            np.int64,
        )
        with _one_at_a_time:
            self._drive(fill, rows, width, block, places)

    def _drive(self, *arguments: Any) -> None:
        run = driver()
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


def bounds(plan: Plan, batch: Batch) -> Floats:
    """Bounds of predictions and targets, then the tolerance of their row sums."""
    prediction = bounds_of(plan.prediction_domain, batch.prediction.dtype)
    target = bounds_of(plan.settings.loss.target, batch.target.dtype)
    return np.array([*prediction, *target, plan.tolerance, plan.tolerance])


def place(array: Array | None, rows: int) -> tuple[int, int]:
    """(address, how many bytes so many rows are); 0 where there is no array."""
    return (0, 0) if array is None else (int(array.ctypes.data), rows * array.strides[0])
