"""The kernels of the `cuda` backend, made from the programs of a plan. Nothing here is written for one loss.

A row is worked on by a *team* of lanes: one thread where rows are narrow, part of a warp or a warp where they are
wider, a thread block where they are very wide, so that neighbouring threads read neighbouring values. Blocks of rows
are reduced by thread blocks. Lanes combine by butterflies, through shuffles inside a warp and shared memory beyond it,
and the order of every sum is fixed: the same bits every time, however a kernel is launched. The only atomic additions
count what is refused, in whole numbers.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from . import cuda_folds
from .batch import Column
from .cuda_folds import add, chain, dense, extremum, leading_part, magnitude, per_row, tree_sum
from .cuda_functions import device, from_warp, rounded_product
from .gpu import simulated
from .program import Program, Step
from .scalar import maximum, minimum
from .spec import Monoid

Function = Callable[..., Any]

FLOAT = np.dtype(np.float64)
WARP = 32
# The columns of a report that come from the losses, as plain numbers: an array takes no other index.
SUM, NONFINITE, POSITIVE, LOWEST, HIGHEST = (
    int(column) for column in (Column.SUM, Column.NONFINITE, Column.POSITIVE, Column.LOWEST, Column.HIGHEST)
)
LEVELS = 32  # of the tree over the values of one lane: a block has fewer than 2**32


@dataclass(frozen=True)
class Layout:
    """How a program meets its data: `lanes` share a row, a power of two, of the `threads` of a thread block.

    `prediction_sums` and `target_sums` say which rows must sum to 1. Lanes of one `warp` can shuffle. `row_inputs`
    tells of each further input whether it has one number a row.
    """

    lanes: int
    threads: int
    sparse: bool = False
    at_target_only: bool = False
    prediction_sums: bool = False
    target_sums: bool = False
    warp: int = WARP
    row_inputs: tuple[bool, ...] = ()

    @property
    def leading(self) -> Function:
        """What the environment at a place begins with; see `cuda_folds.leading_part`."""
        return leading_part(self.sparse, self.row_inputs)


# ---- lanes. In the simulator there are no shuffles: shared memory stands in for them.


def from_lane(value, distance, team):
    """What the lane whose number differs by this one bit has, through shared memory. All threads must ask at once."""
    shared, thread = team[1], cuda.threadIdx.x
    shared[thread] = value
    cuda.syncthreads()
    other = shared[thread ^ distance]
    cuda.syncthreads()  # before the next exchange overwrites it
    return other


@cache
def across(combine: Function, lanes: int, warp: int) -> Function:
    """Combines the lanes' values by halves and gives each lane the result. Kept, so that it is compiled once."""
    steps: Function = _own
    distance = lanes // 2
    while distance:
        shuffles = distance < warp and not simulated()
        steps = _butterfly(steps, combine, from_warp if shuffles else from_lane, distance)
        distance //= 2
    return steps


def _own(value, team):
    return value


def _butterfly(before: Function, combine: Function, exchange: Function, distance: int) -> Function:
    def steps(value, team):
        own = before(value, team)
        return combine(own, exchange(own, distance, team))

    return steps


# ---- rows; `source` is that of `cuda_folds`. The first of `numbers` is a placeholder: a kernel takes no empty tuple.


def row_folds(program: Program, checks: Sequence[Step], layout: Layout, leading: Function) -> Function:
    """(source, row, width, numbers, limits, team) to the numbers, folds and checks of a row."""

    def all_lanes(combine: Function) -> Function:
        return across(combine, layout.lanes, layout.warp)

    return cuda_folds.row_folds(program.steps, checks, layout.lanes, leading, layout.at_target_only, all_lanes)


def rows_kernel(program: Program, layout: Layout) -> Any:
    """One loss a row, NaN where `keep` is False; adds what is wrong with the rows to the report of their block."""
    lanes, finish, leading = layout.lanes, program.finish, layout.leading
    checks = cuda_folds.check_steps(layout.sparse, layout.prediction_sums, layout.target_sums)
    folds = row_folds(program, checks, layout, leading)
    count = count_bad(layout, len(program.numbers) + len(program.steps))

    def kernel(source, keep, numbers, limits, row_divisor, value_divisor, block_rows, losses, report):
        rows, width = source[0].shape
        together = cuda.blockDim.x // lanes
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT))
        # All threads stay until the last row, as lanes wait for each other; the last rows may be computed twice.
        for first in range(cuda.blockIdx.x * together, rows, cuda.gridDim.x * together):
            row = first + cuda.threadIdx.x // lanes
            here = min(row, rows - 1)
            known = folds(source, here, width, numbers[1:], limits, team)
            loss = divided(divided(finish(leading(source, here, 0) + known), row_divisor), value_divisor)
            if row < rows and lane == 0:
                losses[row] = loss if per_row(keep, row) else math.nan
                count(report, row // block_rows, known, limits[4])

    return compiled(kernel, folds, leading, finish, per_row, count, divided)


def divided(value, divisor):
    """The quotient; a division costs as much as ten other operations, and most divisors are 1."""
    return value if divisor == 1.0 else value / divisor


def count_bad(layout: Layout, at: int) -> Function:
    """(report, block, known, tolerance): counts what the checks, from place `at` of `known` on, have found in a row."""
    count: Function = _nothing_bad
    columns = [(Column.BAD_PREDICTIONS, False)]
    if not layout.sparse:
        columns.append((Column.BAD_TARGETS, False))
    if layout.prediction_sums:
        columns.append((Column.BAD_PREDICTION_ROWS, True))
    if layout.target_sums:
        columns.append((Column.BAD_TARGET_ROWS, True))
    for offset, (column, is_sum) in enumerate(columns):
        count = (_and_off_one if is_sum else _and_outside)(count, at + offset, int(column))
    return count


def _nothing_bad(report, block, known, tolerance):
    pass


def _and_outside(before: Function, at: int, column: int) -> Function:
    def count(report, block, known, tolerance):
        before(report, block, known, tolerance)
        if known[at] > 0.0:
            cuda.atomic.add(report, (block, column), known[at])

    return count


def _and_off_one(before: Function, at: int, column: int) -> Function:
    def count(report, block, known, tolerance):
        before(report, block, known, tolerance)
        if not abs(known[at] - 1.0) <= tolerance:
            cuda.atomic.add(report, (block, column), 1.0)

    return count


def gradient_kernel(program: Program, layout: Layout) -> Any:
    """The gradient of each row's loss, times the scale of the row."""
    lanes, finish, leading = layout.lanes, program.finish, layout.leading
    folds = row_folds(program, (), layout, leading)

    def kernel(source, row_scales, numbers, gradient):
        rows, width = source[0].shape
        together = cuda.blockDim.x // lanes
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT))
        for first in range(cuda.blockIdx.x * together, rows, cuda.gridDim.x * together):
            row = first + cuda.threadIdx.x // lanes
            here = min(row, rows - 1)
            known = folds(source, here, width, numbers[1:], (), team)
            if row < rows:
                scale = per_row(row_scales, row)
                for column in range(lane, width, lanes):
                    gradient[row, column] = finish(leading(source, row, column) + known) * scale

    return compiled(kernel, folds, leading, finish, per_row)


# ---- blocks of rows


def state_kernel(program: Program, layout: Layout) -> Any:
    """The folds over each block of rows, as far as one thread goes: `partial[block, fold, lane]`.

    `lanes` of any number of thread blocks share a block; `merge_kernel` does the rest of the tree.
    """
    threads, count = layout.threads, len(program.steps)
    folds = chain([state_fold(step) for step in program.steps])

    def kernel(prediction, target, class_weight, weights, numbers, block_rows, partial):
        source = (prediction, target, class_weight, weights)
        rows, width = prediction.shape
        open_sums = cuda.local.array(LEVELS, FLOAT)
        blocks, lanes = partial.shape[0], partial.shape[2]
        shares = lanes // threads
        for task in range(cuda.blockIdx.x, blocks * shares, cuda.gridDim.x):
            block = task // shares
            lane = task % shares * threads + cuda.threadIdx.x
            first = block * block_rows
            values = min(block_rows, rows - first) * width
            results = folds(source, first, values, numbers[1:], lane, lanes, open_sums)
            for fold in range(count):
                partial[block, fold, lane] = results[fold]

    return compiled(kernel, folds)


def state_fold(step: Step) -> Function:
    """One lane's part of a step over all values of a block of rows; source[3] are the weights."""
    term = step.term

    def place(source, start, at, known):
        row, column = cell(at, source[0].shape[1])
        return term(dense(source, start + row, column) + known)

    def weighted(source, start, at, known):
        row, column = cell(at, source[0].shape[1])
        return rounded_product(term(dense(source, start + row, column) + known), per_row(source[3], start + row))

    if step.monoid is Monoid.SCALE:
        return magnitude(place)
    return extremum(place, maximum, -math.inf) if step.monoid is Monoid.MAX else tree_sum(weighted)


def cell(at, width):
    """The row and the column of a value, counted along the rows; a division of whole numbers is slow."""
    row = at if width == 1 else at // width
    return row, at - row * width


@cache
def merge_kernel(largest: tuple[bool, ...], layout: Layout) -> Any:
    """The rest of the tree over the lanes, `states[block, fold]`; where a fold is the `largest` value, its maximum."""
    threads = layout.threads

    def place(source, start, at, known):
        return source[0][start, known[0], at]

    sums, maxima = tree_sum(place), extremum(place, maximum, -math.inf)
    add_across, maximum_across = (across(combine, threads, layout.warp) for combine in (add, maximum))

    def kernel(partial, states):
        team = (cuda.threadIdx.x, cuda.shared.array(0, FLOAT))
        open_sums = cuda.local.array(LEVELS, FLOAT)
        blocks, lanes = partial.shape[0], partial.shape[2]
        for block in range(cuda.blockIdx.x, blocks, cuda.gridDim.x):
            for fold in range(partial.shape[1]):
                if largest[fold]:
                    own = maxima((partial,), block, lanes, (fold,), team[0], threads, open_sums)
                    result = maximum_across(own, team)
                else:
                    own = sums((partial,), block, lanes, (fold,), team[0], threads, open_sums)
                    result = add_across(own, team)
                if team[0] == 0:
                    states[block, fold] = result

    return compiled(kernel, sums, maxima, add_across, maximum_across)


@cache
def report_kernel(layout: Layout) -> Any:
    """What the report says of the losses of each block; see `batch.Column`."""
    threads = layout.threads
    total = tree_sum(weighted_loss)
    add_across, minimum_across, maximum_across = (
        across(combine, threads, layout.warp) for combine in (add, minimum, maximum)
    )

    def kernel(losses, weights, keep, block_rows, report):
        source = (losses, weights, keep)
        lane = cuda.threadIdx.x
        team = (lane, cuda.shared.array(0, FLOAT))
        open_sums = cuda.local.array(LEVELS, FLOAT)
        for block in range(cuda.blockIdx.x, report.shape[0], cuda.gridDim.x):
            first = block * block_rows
            rows = min(block_rows, losses.size - first)
            nonfinite, positive, lowest, highest = described(losses, keep, first + lane, first + rows, threads)
            summed = add_across(total(source, first, rows, (), lane, threads, open_sums), team)
            nonfinite, positive = add_across(nonfinite, team), add_across(positive, team)
            lowest, highest = minimum_across(lowest, team), maximum_across(highest, team)
            if lane == 0:
                report[block, SUM] = summed
                report[block, NONFINITE] = nonfinite
                report[block, POSITIVE] = positive
                report[block, LOWEST] = lowest
                report[block, HIGHEST] = highest

    return compiled(kernel, total, described, add_across, minimum_across, maximum_across)


def weighted_loss(source, first, at, known):
    """A loss in the sum of its block; source = (losses, weights, keep)."""
    row = first + at
    product = rounded_product(source[0][row], per_row(source[1], row))
    return product if per_row(source[2], row) else 0.0


def described(losses, keep, start, stop, step):
    """(losses that are not finite, losses above 0, lowest, highest) of every so many rows, without those left out."""
    nonfinite, positive, lowest, highest = 0.0, 0.0, math.inf, -math.inf
    for row in range(start, stop, step):
        if per_row(keep, row):
            loss = losses[row]
            nonfinite += 0.0 if abs(loss) < math.inf else 1.0
            positive += 1.0 if loss > 0.0 else 0.0
            lowest, highest = minimum(lowest, loss), maximum(highest, loss)
    return nonfinite, positive, lowest, highest


def compiled(kernel: Function, *called: Function) -> Any:
    """The kernel, compiled for the types of its arguments when it is launched, and what it calls made known."""
    for function in called:
        device(function)
    return cuda.jit(kernel)
