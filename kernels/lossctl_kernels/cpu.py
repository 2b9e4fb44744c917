"""The `cpu` backend: block functions run by parallel drivers that know no loss.

A driver takes a block function as a first-class function and goes over the blocks of a batch in parallel. A block is
worked on in strips that stay in the processor's cache: check the strip against the domains, fill the losses, reduce.
Each block is one task with its own buffers, so that its sum has the same bits on any number of threads.
"""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numba import carray, njit, prange, types
from numba.extending import intrinsic, register_jitable

from .batch import Array, Batch, Column, Floats
from .cache import compile_cached
from .domains import Domain
from .jit import inline
from .kernels import BLOCK_FUNCTION, block_function
from .loops import TILE
from .plan import Plan
from .spec import Monoid, Scope

__all__ = ["Cpu"]

# Values of a strip: 256 KB of float64 results, or of float32 rows with as much again for their targets.
STRIP_VALUES = 32768
ELEMENTS = 4096
PIECE = 128

_FUNCTION = types.FunctionType(BLOCK_FUNCTION)
_F8, _F8_2D, _BOOL = types.float64[::1], types.float64[:, ::1], types.boolean[::1]
_F4 = types.float32[::1]

SUM, NONFINITE, POSITIVE, LOWEST, HIGHEST = (
    int(column) for column in (Column.SUM, Column.NONFINITE, Column.POSITIVE, Column.LOWEST, Column.HIGHEST)
)
BAD_PREDICTIONS, BAD_TARGETS = int(Column.BAD_PREDICTIONS), int(Column.BAD_TARGETS)
BAD_PREDICTION_ROWS, BAD_TARGET_ROWS = int(Column.BAD_PREDICTION_ROWS), int(Column.BAD_TARGET_ROWS)


@intrinsic
def pointer(typingctx: Any, address: Any, dtype: Any) -> Any:
    """The address as a pointer to numbers of this dtype."""
    result = types.CPointer(dtype.dtype)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return result(address, dtype), codegen


def array_at(address, shape, dtype):
    return carray(pointer(address, dtype), shape)


inline(array_at)


def count_inside(values, size, low, high):
    # A 32-bit count goes through the same number of lanes as float32 does.
    inside = np.int32(0)
    for i in range(size):
        inside = np.int32(inside + np.int32((values[i] >= low) & (values[i] <= high)))
    return inside


inline(count_inside)


def count_outside(address, size, wide, low, high):
    """How many values are not inside [low, high], NaN among them."""
    if wide:
        inside = count_inside(array_at(address, size, types.float64), size, low, high)
    else:
        inside = count_inside(array_at(address, size, types.float32), size, np.float32(low), np.float32(high))
    return np.float64(size - inside)


def rows_off_one(address, rows, width, wide, tolerance):
    """How many rows do not sum to 1."""
    bad = 0
    if wide:
        doubles = array_at(address, (rows, width), types.float64)
        for r in range(rows):
            total = 0.0
            row = doubles[r]
            for c in range(width):
                total += row[c]
            bad += not (abs(total - 1.0) <= tolerance)
    else:
        singles = array_at(address, (rows, width), types.float32)
        for r in range(rows):
            total = 0.0
            row4 = singles[r]
            for c in range(width):
                total += np.float64(row4[c])
            bad += not (abs(total - 1.0) <= tolerance)
    return np.float64(bad)


def halve(values, size):
    """Tree sum of the first `size` values (a power of two), in place."""
    while size > 1:
        size //= 2
        low, high = values[:size], values[size : 2 * size]
        for i in range(size):
            low[i] += high[i]
    return values[0]


def power_of_two_from(size):
    power = 1
    while power < size:
        power *= 2
    return power


def rows_from_values(values, rows, width, mean, results):
    """One result a row from `width` values each: their sum by pieces that are trees, or their mean."""
    piece = np.empty(power_of_two_from(min(width, ELEMENTS)))
    for r in range(rows):
        row = values[r * width : (r + 1) * width]
        total = 0.0
        for start in range(0, width, ELEMENTS):
            part = row[start : start + ELEMENTS]
            size = power_of_two_from(part.size)
            for i in range(part.size):
                piece[i] = part[i]
            for i in range(part.size, size):
                piece[i] = 0.0
            total += halve(piece, size)
        results[r] = total / width if mean else total


def piece_sum(values, start, stop):
    total = 0.0
    for i in range(start, stop):
        total += values[i]
    return total


def block_sum(values):
    """Sum of short pieces, then of those as a tree: about as exact as a tree over everything, and faster."""
    pieces = np.empty(power_of_two_from((values.size + PIECE - 1) // PIECE))
    for k in range(pieces.size):
        part = values[k * PIECE : (k + 1) * PIECE]
        pieces[k] = piece_sum(part, 0, part.size)
    return halve(pieces, pieces.size)


def count_finite(values, low):
    """(how many are finite, how many are above `low`)."""
    finite, above = 0, 0
    for i in range(values.size):
        value = values[i]
        finite += value - value == 0.0
        above += value > low
    return finite, above


def summarise(losses, weights, weighted, keep, masked, extremes, report):
    """The report columns that come from the losses of one block. `extremes` asks for the lowest and highest."""
    rows, kept = losses.size, losses.size
    if weighted or masked:
        summands = np.empty(rows)
        for i in range(rows):
            summands[i] = losses[i]
        if weighted:
            for i in range(rows):
                summands[i] *= weights[i]
        if masked:
            kept = 0
            for i in range(rows):
                summands[i] = summands[i] if keep[i] else 0.0
                kept += keep[i]
        report[SUM] = block_sum(summands)
    else:
        report[SUM] = block_sum(losses)
    report[LOWEST], report[HIGHEST] = np.inf, -np.inf
    finite, report[POSITIVE] = count_finite(losses, 0.0) if extremes or not np.isfinite(report[SUM]) else (kept, 0)
    report[NONFINITE] = kept - finite
    if extremes:
        for i in range(rows):
            value = losses[i]
            report[LOWEST] = value if value < report[LOWEST] else report[LOWEST]
            report[HIGHEST] = value if value > report[HIGHEST] else report[HIGHEST]


register_jitable(
    forceinline=True, fastmath={"reassoc", "contract"}, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True
)(piece_sum)
for _helper in (count_outside, rows_off_one, halve, power_of_two_from, rows_from_values, block_sum, count_finite, summarise):
    inline(_helper)


def check(p, p_wide, t, t_wide, rows, width, low_p, high_p, low_t, high_t, tolerance_p, tolerance_t, report):
    """The report columns that come from the data of one strip. A negative tolerance, or t = 0, is nothing to check."""
    report[BAD_PREDICTIONS] += count_outside(p, rows * width, p_wide, low_p, high_p)
    if tolerance_p >= 0.0:
        report[BAD_PREDICTION_ROWS] += rows_off_one(p, rows, width, p_wide, tolerance_p)
    if t != 0:
        report[BAD_TARGETS] += count_outside(t, rows * width, t_wide, low_t, high_t)
        if tolerance_t >= 0.0:
            report[BAD_TARGET_ROWS] += rows_off_one(t, rows, width, t_wide, tolerance_t)


inline(check)


def _drive_losses(
    fill, rows, width, block, strip, p, t, p_bytes, t_bytes, dense, class_weights, numbers, elementwise, mean, divisor,
    bounds, weights, weighted, keep, masked, extremes, wanted, losses, reports,
):  # fmt: skip
    for task in prange((rows + block - 1) // block):
        b = np.int64(task)  # Numba counts parallel loops unsigned
        first = b * block
        count = min(block, rows - first)
        report = reports[b]
        values = np.empty(count)
        scratch = np.empty(min(strip, count) * width if elementwise and width > 1 else 0)
        for start in range(0, count, strip):
            size = min(strip, count - start)
            at_p = p + (first + start) * width * p_bytes
            at_t = t + (first + start) * (width * t_bytes if dense else 8)
            check(
                at_p, p_bytes == 8, at_t if dense else 0, t_bytes == 8, size, width,
                bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5], report,
            )  # fmt: skip
            if elementwise and width > 1:
                fill(size, width, at_p, at_t, class_weights, numbers, np.int64(scratch.ctypes.data))
                rows_from_values(scratch, size, width, mean, values[start : start + size])
            else:
                fill(size, width, at_p, at_t, class_weights, numbers, np.int64(values.ctypes.data) + start * 8)
        if divisor != 1.0:
            for i in range(count):
                values[i] /= divisor
        if masked:
            for i in range(count):
                values[i] = values[i] if keep[first + i] else np.nan
        summarise(
            values,
            weights[first : first + count] if weighted else weights,
            weighted,
            keep[first : first + count] if masked else keep,
            masked,
            extremes,
            report,
        )
        if wanted:
            out = losses[first : first + count]
            for i in range(count):
                out[i] = values[i]


def _drive_folds(
    fill, rows, width, block, p, t, p_bytes, numbers, bounds, weights, weighted, scales, states, reports,
):  # fmt: skip
    terms = states.shape[1]
    for task in prange((rows + block - 1) // block):
        b = np.int64(task)  # Numba counts parallel loops unsigned
        first = b * block
        values = min(block, rows - first) * width
        report, state = reports[b], states[b]
        pieces = (values + ELEMENTS - 1) // ELEMENTS
        padded = power_of_two_from(pieces)
        sums = np.zeros((terms, padded))
        scratch = np.empty(terms * ELEMENTS)
        piece = np.empty(ELEMENTS)
        for k in range(pieces):
            start = first * width + k * ELEMENTS
            size = min(ELEMENTS, values - k * ELEMENTS)
            at_p, at_t = p + start * p_bytes, t + start * p_bytes
            report[BAD_PREDICTIONS] += count_outside(at_p, size, p_bytes == 8, bounds[0], bounds[1])
            report[BAD_TARGETS] += count_outside(at_t, size, p_bytes == 8, bounds[2], bounds[3])
            fill(size, 1, at_p, at_t, 0, numbers, np.int64(scratch.ctypes.data))
            for j in range(terms):
                term = scratch[j * size : (j + 1) * size]
                if scales[j]:
                    largest = 0.0
                    for i in range(size):
                        largest = max(largest, abs(term[i]))
                    state[j] = max(state[j], largest)
                else:
                    for i in range(size):
                        piece[i] = term[i]
                    if weighted:
                        for i in range(size):
                            piece[i] *= weights[(start + i) // width]
                    full = power_of_two_from(size)
                    for i in range(size, full):
                        piece[i] = 0.0
                    sums[j, k] = halve(piece, full)
        for j in range(terms):
            if not scales[j]:
                state[j] = halve(sums[j], padded)


def scale_flat(gradients, scales, wide, out4, out8):
    """One value a row: gradient times scale, in the dtype of the output."""
    if wide:
        for i in range(scales.size):
            out8[i] = gradients[i] * scales[i]
    else:
        for i in range(scales.size):
            out4[i] = np.float32(gradients[i] * scales[i])


inline(scale_flat)


def _drive_gradient(
    fill, rows, width, block, strip, p, t, p_bytes, t_bytes, dense, class_weights, numbers, row_scales, wide, out4, out8,
):  # fmt: skip
    for task in prange((rows + block - 1) // block):
        b = np.int64(task)  # Numba counts parallel loops unsigned
        first = b * block
        count = min(block, rows - first)
        scratch = np.empty(min(strip, count) * width)
        for start in range(0, count, strip):
            size = min(strip, count - start)
            at_p = p + (first + start) * width * p_bytes
            at_t = t + (first + start) * (width * t_bytes if dense else 8)
            fill(size, width, at_p, at_t, class_weights, numbers, np.int64(scratch.ctypes.data))
            if width == 1:
                low, high = first + start, first + start + size
                scale_flat(scratch, row_scales[low:high], wide, out4[low:high], out8[low:high])
                continue
            for r in range(size):
                scale = row_scales[first + start + r]
                gradients = scratch[r * width : (r + 1) * width]
                low = (first + start + r) * width
                if wide:
                    to8 = out8[low : low + width]
                    for c in range(width):
                        to8[c] = gradients[c] * scale
                else:
                    to4 = out4[low : low + width]
                    for c in range(width):
                        to4[c] = np.float32(gradients[c] * scale)


# ---- compiled once for all losses

_I, _A, _D, _B = types.int64, types.intp, types.float64, types.boolean
_SIGNATURES = {
    _drive_losses: types.void(
        _FUNCTION, _I, _I, _I, _I, _A, _A, _I, _I, _B, _A, _A, _B, _B, _D, _F8, _F8, _B, _BOOL, _B, _B, _B, _F8, _F8_2D
    ),
    _drive_folds: types.void(_FUNCTION, _I, _I, _I, _A, _A, _I, _A, _F8, _F8, _B, _BOOL, _F8_2D, _F8_2D),
    _drive_gradient: types.void(_FUNCTION, _I, _I, _I, _I, _A, _A, _I, _I, _B, _A, _A, _F8, _B, _F4, _F8),
}


@cache
def driver(function: Any) -> Any:
    dispatcher = njit(parallel=True, error_model="numpy", fastmath={"contract"}, nogil=True)(function)
    return compile_cached(dispatcher, _SIGNATURES[function].args, function.__name__)


# Numba's own thread pool ends the process when two threads start parallel regions at once.
_one_at_a_time = threading.Lock()

_NO_FLOATS, _NO_FLAGS = np.empty(0), np.empty(0, np.bool_)


def address(array: Array) -> int:
    return int(array.ctypes.data)


def bounds_of(domain: Domain, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The bounds as numbers of the dtype that is compared: the largest float32 stands for the largest float64."""
    low, high = domain.bounds()
    if dtype == np.float32:
        largest = float(np.finfo(np.float32).max)
        low = max(low, -largest) if np.isfinite(low) else low
        high = min(high, largest)
    return low, high


def strip_rows(plan: Plan) -> int:
    """Rows of a strip: elementwise results fill a small buffer, tiles of rows are whole."""
    if plan.scope is not Scope.ROW:
        return max(1, ELEMENTS // plan.width)
    rows = max(1, STRIP_VALUES // plan.width)
    return rows // TILE * TILE if rows >= TILE else rows


class Cpu:
    """See `batch.Backend`. `threads` limits the threads that Numba uses; None is all that it has."""

    name = "cpu"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        fill = block_function(plan, plan.value, batch.prediction.dtype.name)
        losses = np.empty(batch.rows if wanted else 0)
        reports = np.zeros((-(-batch.rows // plan.block_rows), len(Column)))
        numbers, class_weights = plan.vector(plan.value), plan.class_weights
        self._run(
            _drive_losses, fill, batch.rows, plan.width, plan.block_rows, strip_rows(plan),
            address(batch.prediction), address(batch.target), batch.prediction.itemsize, batch.target.itemsize,
            not plan.sparse, address(class_weights), address(numbers), plan.scope is Scope.ELEMENT,
            plan.settings["row"] == "mean", plan.settings.value_divisor, self._bounds(plan, batch),
            *_optional(batch.weights, _NO_FLOATS), *_optional(batch.keep, _NO_FLAGS), wanted, wanted, losses, reports,
        )  # fmt: skip
        return reports, losses

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        fill = block_function(plan, plan.folds, batch.prediction.dtype.name)
        blocks = -(-batch.rows // plan.block_rows)
        states, reports = np.zeros((blocks, len(plan.folds.steps))), np.zeros((blocks, len(Column)))
        numbers = plan.vector(plan.folds, scales)
        are_scales = np.array([step.monoid is Monoid.SCALE for step in plan.folds.steps])
        self._run(
            _drive_folds, fill, batch.rows, plan.width, plan.block_rows, address(batch.prediction),
            address(batch.target), batch.prediction.itemsize, address(numbers), self._bounds(plan, batch),
            *_optional(batch.weights, _NO_FLOATS), are_scales, states, reports,
        )  # fmt: skip
        return reports, states

    def gradient(self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float]) -> Array:
        fill = block_function(plan, plan.gradient, batch.prediction.dtype.name)
        result = np.empty_like(batch.prediction)
        numbers, class_weights = plan.vector(plan.gradient, totals), plan.class_weights
        wide = result.dtype == np.float64
        flat = result.reshape(-1)
        self._run(
            _drive_gradient, fill, batch.rows, plan.width, plan.block_rows, strip_rows(plan),
            address(batch.prediction), address(batch.target), batch.prediction.itemsize, batch.target.itemsize,
            not plan.sparse, address(class_weights), address(numbers), row_scales, wide,
            np.empty(0, np.float32) if wide else flat, flat if wide else _NO_FLOATS,
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
    return (empty, False) if array is None else (np.ascontiguousarray(array), True)
