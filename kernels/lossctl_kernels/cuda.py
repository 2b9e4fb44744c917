"""The `cuda` backend: a batch goes to the GPU, kernels made from the programs of the plan run there, answers come back.

Imported only when it is asked for, as `numba.cuda` takes long to load; `gpu.py` tells beforehand whether it can run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .batch import Array, Batch, Column, Floats
from .domains import Domain
from .gpu import BackendUnavailable, why_unavailable
from .plan import Plan
from .program import Program, Step
from .spec import Monoid, Scope

__all__ = ["Cuda", "row_values"]

MOST_BLOCKS = 1 << 16  # thread blocks of one launch; they take several rows each beyond that

_kernels: dict[tuple[Any, ...], Any] = {}


class Cuda:
    """See `batch.Backend`. `threads` is the size of a thread block: a power of two, at least 2."""

    name = "cuda"

    def __init__(self, threads: int = 128) -> None:
        reason = why_unavailable()
        if reason:
            raise BackendUnavailable(f"the cuda backend cannot run: {reason}")
        from numba import cuda

        from . import cuda_kernels

        cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a small data set need not fill the GPU
        self._cuda = cuda
        self._make = cuda_kernels
        self._threads = threads

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        """See `batch.Backend`."""
        data = self._data(plan, batch)
        program = row_values(plan)
        layout = self._layout(plan)
        kernel = self._kernel(program, layout, self._make.value_kernel)
        mean = plan.scope is Scope.ELEMENT and plan.settings["row"] == "mean"
        losses = self._cuda.device_array(batch.rows, np.float64)
        keep = self._keep(batch)
        kernel[self._rows_grid(layout.lanes, batch.rows)](
            *data,
            numbers(plan.vector(program)),
            keep,
            float(plan.width if mean else 1),
            plan.settings.value_divisor,
            losses,
        )
        return self._report(plan, batch, data, keep, losses), losses.copy_to_host()

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        """See `batch.Backend`."""
        data = self._data(plan, batch)
        layout = self._make.Layout(self._threads)
        kernel = self._kernel(plan.folds, layout, self._make.state_kernel)
        blocks = -(-batch.rows // plan.block_rows)
        states = self._cuda.device_array((blocks, len(plan.folds.steps)), np.float64)
        kernel[self._grid(blocks)](
            *data, numbers(plan.vector(plan.folds, scales)), self._weights(batch), plan.block_rows, states
        )
        report = self._report(plan, batch, data, self._keep(batch), self._cuda.to_device(np.zeros(1)))
        return report, states.copy_to_host()

    def gradient(self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float]) -> Array:
        """See `batch.Backend`."""
        layout = self._layout(plan)
        kernel = self._kernel(plan.gradient, layout, self._make.gradient_kernel)
        data = self._data(plan, batch)
        gradient = self._cuda.device_array(data[0].shape, batch.prediction.dtype)
        kernel[self._rows_grid(layout.lanes, batch.rows)](
            *data,
            numbers(plan.vector(plan.gradient, totals)),
            self._cuda.to_device(np.ascontiguousarray(row_scales, np.float64)),
            gradient,
        )
        return gradient.copy_to_host().reshape(batch.prediction.shape)

    # ---- the batch on the device; an array of one value holds for all rows

    def _data(self, plan: Plan, batch: Batch) -> tuple[Any, Any, Any]:
        """(prediction, target, class weights), where all but class indices have two dimensions."""
        shape = (batch.rows, plan.width)
        target = batch.target if plan.sparse else batch.target.reshape(shape)
        arrays = (batch.prediction.reshape(shape), target, plan.class_weights)
        prediction, target, class_weights = (self._cuda.to_device(np.ascontiguousarray(array)) for array in arrays)
        return prediction, target, class_weights

    def _keep(self, batch: Batch) -> Any:
        return self._cuda.to_device(np.ones(1, bool) if batch.keep is None else np.ascontiguousarray(batch.keep))

    def _weights(self, batch: Batch) -> Any:
        weights = np.ones(1) if batch.weights is None else batch.weights
        return self._cuda.to_device(np.ascontiguousarray(weights, np.float64))

    # ---- kernels and launches

    def _layout(self, plan: Plan) -> Any:
        return self._make.Layout(self._lanes(plan.width), plan.sparse, plan.at_target_only)

    def _lanes(self, width: int) -> int:
        return 1 if width <= self._make.NARROW else self._threads

    def _kernel(self, program: Program, layout: Any, make: Callable[[Program, Any], Any]) -> Any:
        """The kernel of a program, made once in a process: equal keys, equal functions."""
        key = (program.kind, program.key, layout)
        if key not in _kernels:
            _kernels[key] = make(program, layout)
        return _kernels[key]

    def _rows_grid(self, lanes: int, rows: int) -> tuple[int, int, int, int]:
        return self._grid(-(-rows * lanes // self._threads))

    def _grid(self, blocks: int) -> tuple[int, int, int, int]:
        """How to launch so many thread blocks of work: (thread blocks, threads of each, stream, shared bytes)."""
        return max(1, min(blocks, MOST_BLOCKS)), self._threads, 0, 8 * self._threads

    # ---- report

    def _report(self, plan: Plan, batch: Batch, data: tuple[Any, Any, Any], keep: Any, losses: Any) -> Floats:
        """The report on each block of losses; see `batch.Column`."""
        bad_targets = bad_target_rows = self._cuda.to_device(np.zeros(1))
        bad, bad_rows = self._check(plan, data[0], plan.prediction_domain, plan.rows_sum_to_one)
        if not plan.sparse:
            bad_targets, bad_target_rows = self._check(
                plan, data[1], plan.settings.loss.target, plan.targets_sum_to_one
            )
        blocks = -(-batch.rows // plan.block_rows)
        report = self._cuda.device_array((blocks, len(Column)), np.float64)
        self._make.report_kernel(self._threads)[self._grid(blocks)](
            losses,
            self._weights(batch),
            keep,
            bad,
            bad_targets,
            bad_rows,
            bad_target_rows,
            batch.rows,
            plan.block_rows,
            report,
        )
        return np.asarray(report.copy_to_host())

    def _check(self, plan: Plan, values: Any, domain: Domain, sums: bool) -> tuple[Any, Any]:
        """For each row, (values outside the domain, 1 if the row should sum to 1 and does not)."""
        rows, width = values.shape
        lanes = self._lanes(width)
        bad_values = self._cuda.device_array(rows, np.float64)
        bad_rows = self._cuda.device_array(rows, np.float64) if sums else self._cuda.to_device(np.zeros(1))
        self._make.check_kernel(lanes, sums)[self._rows_grid(lanes, rows)](
            values, domain.bounds(), plan.tolerance, bad_values, bad_rows
        )
        return bad_values, bad_rows


def numbers(vector: Floats) -> tuple[Any, ...]:
    """The numbers of a program as an argument of a kernel, which takes no empty tuple: a placeholder comes first."""
    return (np.float64(0.0), *vector)


def row_values(plan: Plan) -> Program:
    """The program of a row's loss: of an elementwise loss the sum over the row, as one more fold."""
    if plan.scope is Scope.ROW:
        return plan.value
    program = plan.value
    return Program(program.kind, program.key, program.numbers, (Step("values", Monoid.SUM, program.finish),), last)


def last(environment: tuple[Any, ...]) -> Any:
    """The last fold."""
    return environment[-1]
