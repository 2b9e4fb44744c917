"""The parallel drivers of the `cpu` backend: they run block functions over the blocks of a batch and know no loss.

A driver takes a block function as a first-class function. Each block is one task with its own buffers, so that its
sum has the same bits on any number of threads. What a task does is a serial function of its own: the parallel loop
itself is short, and compiles quickly.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from .batch import Column
from .cache import compile_cached
from .kernels import BLOCK_FUNCTION
from .loops import Extremes, Flat
from .program import Environment, Program
from .writer import Arguments, Layout, whole

__all__ = ["drive_folds", "drive_gradient", "drive_losses", "driver"]

STRIP_VALUES = 4096
"""Values of a strip where results are one a value, and rows are wider: they stay in the processor's cache."""

SUM, NONFINITE, POSITIVE = int(Column.SUM), int(Column.NONFINITE), int(Column.POSITIVE)
LOWEST, HIGHEST = int(Column.LOWEST), int(Column.HIGHEST)


def itself(environment: Environment) -> Any:
    return environment[0]


_ITSELF = Program("value", "itself", (), (), itself)
_DOUBLES = Layout("flat", "float64")


@intrinsic
def sum_of(typingctx, values, count, scales):
    """The sum of the float64 numbers at an address, each times its scale if there are any, as block functions add."""

    def codegen(context, builder, signature, arguments):
        values, count, scales = arguments
        with builder.goto_entry_block():
            report = cgutils.alloca_once(builder, context.get_value_type(types.float64), size=whole(len(Column)))
        address, zero = builder.ptrtoint(report, count.type), whole(0)
        where = Arguments(count, whole(1), values, values, zero, zero, address, scales, zero, address)
        Flat(builder, _DOUBLES, _ITSELF, where).write()
        return builder.load(builder.gep(report, [whole(SUM)]))

    return types.float64(values, count, scales), codegen


@intrinsic
def report_extremes(typingctx, values, count, report):
    """Fills the columns of a report that come from each loss: non-finite, positive, lowest, highest."""

    def codegen(context, builder, signature, arguments):
        values, count, report = arguments
        zero = whole(0)
        where = Arguments(count, whole(1), values, values, zero, zero, report, zero, zero, report)
        Extremes(builder, _DOUBLES, _ITSELF, where).write()
        return context.get_dummy_value()

    return types.void(values, count, report), codegen


def address_of(array):
    return np.intp(array.ctypes.data)


def kept_sum(values, width, keep, weights, weighted):
    """The sum of the values of the rows that are kept, each times the weight of its row."""
    kept = np.zeros(values.size)
    factors = np.zeros(values.size if weighted else 0)
    for r in range(keep.size):
        if keep[r]:
            kept[r * width : (r + 1) * width] = values[r * width : (r + 1) * width]
            if weighted:
                factors[r * width : (r + 1) * width] = weights[r]
    return sum_of(address_of(kept), kept.size, address_of(factors) if weighted else 0)


def repeated(numbers, times):
    """Each number so often: from one a row to one a value."""
    result = np.empty(numbers.size * times)
    for i in range(numbers.size):
        result[i * times : (i + 1) * times] = numbers[i]
    return result


def rows_from_values(values, width, mean, results):
    """The sum or mean of each row of values."""
    for r in range(results.size):
        row = values[r * width : (r + 1) * width]
        if width > 16:
            total = sum_of(address_of(row), width, 0)
        else:
            total = 0.0
            for c in range(width):
                total += row[c]
        results[r] = total / width if mean else total


def fill_rows(
    fill, rows, width, per_value, mean, p, p_row, t, t_row, class_weights, numbers, bounds, weights, weighted,
    keep, masked, needed, values, report,
):  # fmt: skip
    """Fills `values`, one a row, if they are needed; returns their weighted sum. `p_row` and `t_row` are in bytes."""
    if width == 1 or not per_value:
        scales = address_of(weights) if weighted else 0
        result = address_of(values) if needed else 0
        fill(rows, width, p, t, class_weights, numbers, bounds, scales, result, address_of(report))
        if masked:
            return kept_sum(values, 1, keep, weights, weighted)
        return report[SUM] if per_value else sum_of(address_of(values), rows, scales)
    strip = max(1, STRIP_VALUES // width)
    sums = np.empty((rows + strip - 1) // strip)
    scratch = np.empty(min(strip, rows) * width if needed else 0)
    for k in range(sums.size):
        start = k * strip
        size = min(strip, rows - start)
        part = weights[start : start + size] if weighted else weights
        factors = repeated(part, width)
        scales = address_of(factors) if weighted else 0
        result = address_of(scratch) if needed else 0
        at_p, at_t = p + start * p_row, t + start * t_row
        fill(size, width, at_p, at_t, class_weights, numbers, bounds, scales, result, address_of(report))
        sums[k] = report[SUM]
        if needed:
            rows_from_values(scratch, width, mean, values[start : start + size])
        if masked:
            sums[k] = kept_sum(scratch[: size * width], width, keep[start : start + size], part, weighted)
    total = sum_of(address_of(sums), sums.size, 0)
    return total / width if mean else total


def losses_of_block(
    fill, rows, width, per_value, mean, divisor, p, p_row, t, t_row, class_weights, numbers, bounds, weights, weighted,
    keep, masked, needed, values, report,
):  # fmt: skip
    """Losses of one block and its report. Losses not needed are only kept where their sum is not finite."""
    for _ in range(2):
        total = fill_rows(
            fill, rows, width, per_value, mean, p, p_row, t, t_row, class_weights, numbers, bounds, weights, weighted,
            keep, masked, needed, values, report,
        )  # fmt: skip
        if needed or np.isfinite(total):
            break
        needed, values = True, np.empty(rows)
    if needed:
        dropped = 0
        if divisor != 1.0:
            for i in range(rows):
                values[i] /= divisor
        if masked:
            for i in range(rows):
                values[i] = values[i] if keep[i] else np.nan
                dropped += not keep[i]
        report_extremes(address_of(values), rows, address_of(report))
        report[NONFINITE] -= dropped
    report[SUM] = total / divisor


def drive_losses(
    fill, rows, width, block, per_value, mean, divisor, p, p_row, t, t_row, class_weights, numbers, bounds, weights,
    weighted, keep, masked, needed, wanted, losses, reports,
):  # fmt: skip
    """The reports on all blocks, and the losses of all rows if they are wanted; see `fill_rows` and `batch.Batch`."""
    for task in prange((rows + block - 1) // block):
        first = np.int64(task) * block  # Numba counts parallel loops unsigned
        count = min(block, rows - first)
        some = slice(first, first + count)
        losses_of_block(
            fill, count, width, per_value, mean, divisor, p + first * p_row, p_row, t + first * t_row, t_row,
            class_weights, numbers, bounds, weights[some] if weighted else weights, weighted,
            keep[some] if masked else keep, masked, needed,
            losses[some] if wanted else np.empty(count if needed else 0), reports[task],
        )  # fmt: skip


def drive_folds(fill, rows, width, block, p, t, row, numbers, bounds, weights, weighted, states, reports):
    """The folds over each block. Predictions and targets both have rows of `row` bytes."""
    for task in prange((rows + block - 1) // block):
        first = np.int64(task) * block
        count = min(block, rows - first)
        factors = repeated(weights[first : first + count], width) if weighted else weights
        fill(
            count, width, p + first * row, t + first * row, 0, numbers, bounds, address_of(factors) if weighted else 0,
            address_of(states[task]), address_of(reports[task]),
        )  # fmt: skip


def gradient_of_block(fill, rows, width, per_value, p, p_row, t, t_row, class_weights, numbers, scales, result):
    if width == 1 or not per_value:
        fill(rows, width, p, t, class_weights, numbers, 0, address_of(scales), result, 0)
        return
    strip = max(1, STRIP_VALUES // width)
    for start in range(0, rows, strip):
        factors = repeated(scales[start : start + strip], width)
        at_p, at_t, at_result = p + start * p_row, t + start * t_row, result + start * p_row
        fill(
            min(strip, rows - start), width, at_p, at_t, class_weights, numbers, 0, address_of(factors), at_result, 0
        )  # fmt: skip


def drive_gradient(
    fill, rows, width, block, per_value, p, p_row, t, t_row, class_weights, numbers, scales, uniform, result
):
    """The gradients of all rows, each times its scale, or the one that is `uniform`; `result` is an address."""
    for task in prange((rows + block - 1) // block):
        first = np.int64(task) * block
        count = min(block, rows - first)
        gradient_of_block(
            fill, count, width, per_value, p + first * p_row, p_row, t + first * t_row, t_row, class_weights, numbers,
            repeated(scales, count) if uniform else scales[first : first + count], result + first * p_row,
        )  # fmt: skip


_FLAGS = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
for _helper in (address_of, kept_sum, repeated, rows_from_values, fill_rows, losses_of_block, gradient_of_block):
    register_jitable(**_FLAGS)(_helper)


# ---- compiled once for all losses

_FILL = types.FunctionType(BLOCK_FUNCTION)
_I, _A, _D, _B = types.int64, types.intp, types.float64, types.boolean
_F8, _F8_2D, _BOOL = types.float64[::1], types.float64[:, ::1], types.boolean[::1]
_ROWS = (_FILL, _I, _I, _I)
_SIGNATURES = {
    drive_losses: (*_ROWS, _B, _B, _D, _A, _I, _A, _I, _A, _A, _A, _F8, _B, _BOOL, _B, _B, _B, _F8, _F8_2D),
    drive_folds: (*_ROWS, _A, _A, _I, _A, _A, _F8, _B, _F8_2D, _F8_2D),
    drive_gradient: (*_ROWS, _B, _A, _I, _A, _I, _A, _A, _F8, _B, _A),
}


@cache
def driver(function: Any) -> Any:
    """The driver, compiled or from the cache."""
    dispatcher = njit(parallel=True, error_model="numpy", nogil=True)(function)
    return compile_cached(dispatcher, _SIGNATURES[function], function.__name__)
