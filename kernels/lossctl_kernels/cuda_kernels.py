"""The kernels of the `cuda` backend, made from the programs of a plan. Nothing here is written for one loss.

Every kernel is a chain of folds over a scope and something made of their results. The scope is a row of values, or a
block of rows. Each row has one thread where it is narrow and all threads of a thread block where it is wide; a block of
rows always has a thread block. Sums are the tree of `reduce.tree_sum`, whatever the number of threads, and nothing is
added atomically: the same bits every time.

In device code `source` is a tuple of arrays, and `known` one of float64: the numbers of the program, then the folds so
far. A *place* is a function (source, start, place, known) of one summand, where `start` is the row, or the first row of
the block. A *fold* is a function (source, start, count, known, team) over `count` places; every lane gets its result.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators, disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import cuda

from .batch import Column
from .cuda_functions import device, rounded_product
from .program import Program, Step
from .scalar import maximum, minimum
from .scales import safe_scale
from .spec import Monoid

__all__ = ["Layout", "check_kernel", "gradient_kernel", "report_kernel", "state_kernel", "value_kernel"]

Function = Callable[..., Any]

FLOAT = np.dtype(np.float64)
NARROW = 64  # rows of up to so many values have one thread each


@dataclass(frozen=True)
class Layout:
    """How a program meets its data. `lanes` threads share a row or a block of rows: 1, or all of a thread block."""

    lanes: int
    sparse: bool = False
    at_target_only: bool = False

    @property
    def levels(self) -> int:
        """Levels of the tree over the values of one lane, of which there may be `NARROW` or 2**31."""
        return NARROW.bit_length() if self.lanes == 1 else 32


# ---- the leading part of the environment; source = (prediction, target, class_weight, …)


def dense(source, row, column):
    return (
        np.float64(source[0][row, column]),
        np.float64(source[1][row, column]),
        np.float64(column),
        source[2][column],
    )


def sparse(source, row, column):
    return (
        np.float64(source[0][row, column]),
        np.float64(source[1][row] == column),
        np.float64(column),
        source[2][column],
    )


def at_target(source, row):
    column = source[1][row]
    return (np.float64(source[0][row, column]), np.float64(1.0), np.float64(column), source[2][column])


# ---- folds


def add(a, b):
    return a + b


@cache
def across(combine: Function, lanes: int) -> Function:
    """Combines the lanes' values by halves and gives each lane the result. Kept, so that it is compiled once."""
    if lanes == 1:
        return lambda value, team: value

    def across_block(value, team):
        lane, shared = team[0], team[1]
        shared[lane] = value
        half = lanes // 2
        while half > 0:
            cuda.syncthreads()
            if lane < half:
                shared[lane] = combine(shared[lane], shared[lane + half])
            half //= 2
        cuda.syncthreads()
        result = shared[0]
        cuda.syncthreads()  # before the next fold overwrites it
        return result

    return across_block


def tree_sum(place: Function, layout: Layout) -> Function:
    """Sum by halves, as `reduce.tree_sum`.

    A lane's places are `lanes` apart, so the first halvings pair places of one lane. Visited in the order of their
    reversed bits, those that are added come next to each other, and one open sum a level of the tree is enough.
    """
    lanes, across_lanes = layout.lanes, across(add, layout.lanes)

    def fold(source, start, count, known, team):
        lane, open_sums = team[0], team[2]
        share = 1
        while share * lanes < count:
            share *= 2
        total = 0.0
        at = 0
        for visited in range(share):
            total = 0.0
            if lane + at * lanes < count:
                total = place(source, start, lane + at * lanes, known)
            level = 0
            while (visited >> level) & 1:
                total = open_sums[level] + total
                level += 1
            open_sums[level] = total
            bit = share >> 1
            while at & bit:
                at ^= bit
                bit >>= 1
            at |= bit
        return across_lanes(total, team)

    return fold


def extremum(place: Function, combine: Function, identity: float, layout: Layout) -> Function:
    lanes, across_lanes = layout.lanes, across(combine, layout.lanes)

    def fold(source, start, count, known, team):
        result = identity
        for at in range(team[0], count, lanes):
            result = combine(result, place(source, start, at, known))
        return across_lanes(result, team)

    return fold


def absolute(place: Function) -> Function:
    return lambda source, start, at, known: abs(place(source, start, at, known))


def row_fold(step: Step, layout: Layout) -> Function:
    """A step of a program over a row."""
    term, leading = step.term, sparse if layout.sparse else dense

    def place(source, row, column, known):
        return term(leading(source, row, column) + known)

    def picked(source, row, count, known, team):
        return term(at_target(source, row) + known)

    if step.monoid is Monoid.TARGET_SUM and layout.at_target_only:
        return picked
    if step.monoid is Monoid.MAX:
        return extremum(place, maximum, -math.inf, layout)
    if step.monoid is Monoid.SCALE:
        magnitude = extremum(absolute(place), maximum, 0.0, layout)
        return lambda source, row, count, known, team: safe_scale(magnitude(source, row, count, known, team))
    return tree_sum(place, layout)


def state_fold(step: Step, layout: Layout) -> Function:
    """A step over all values of a block of rows; source[3] are the weights."""
    term = step.term

    def place(source, start, at, known):
        width = source[2].size
        return term(dense(source, start + at // width, at % width) + known)

    def weighted(source, start, at, known):
        weight = per_row(source[3], start + at // source[2].size)
        return rounded_product(place(source, start, at, known), weight)

    if step.monoid is Monoid.SCALE:
        return extremum(absolute(place), maximum, 0.0, layout)
    return tree_sum(weighted, layout)


def chain(folds: list[Function]) -> Function:
    """(source, start, count, known, team) to `known` and the results of all folds, each of which sees those before."""
    links: Function = given
    for fold in folds:
        links = link(links, fold)
    return links


def given(source, start, count, known, team):
    return known


def link(before: Function, fold: Function) -> Function:
    def links(source, start, count, known, team):
        so_far = before(source, start, count, known, team)
        return so_far + (fold(source, start, count, so_far, team),)

    return links


def per_row(values, row):
    """The value of a row, where an array of one value holds for all."""
    return values[min(row, values.size - 1)]


# ---- kernels. The first of `numbers` is a placeholder: a kernel takes no empty tuple.


def value_kernel(program: Program, layout: Layout) -> Any:
    """One loss a row; NaN where `keep` is False."""
    lanes, levels, finish = layout.lanes, layout.levels, program.finish
    leading = sparse if layout.sparse else dense
    folds = chain([row_fold(step, layout) for step in program.steps])

    def kernel(prediction, target, class_weight, numbers, keep, row_divisor, value_divisor, losses):
        source = (prediction, target, class_weight)
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT), cuda.local.array(levels, FLOAT))
        for row in range(cuda.grid(1) // lanes, losses.size, cuda.gridsize(1) // lanes):
            known = folds(source, row, class_weight.size, numbers[1:], team)
            loss = finish(leading(source, row, 0) + known) / row_divisor / value_divisor
            if lane == 0:
                losses[row] = loss if per_row(keep, row) else math.nan

    return compiled(kernel, folds, leading, finish, per_row)


def gradient_kernel(program: Program, layout: Layout) -> Any:
    """The gradient of each row's loss, times the scale of the row."""
    lanes, levels, finish = layout.lanes, layout.levels, program.finish
    leading = sparse if layout.sparse else dense
    folds = chain([row_fold(step, layout) for step in program.steps])

    def kernel(prediction, target, class_weight, numbers, row_scales, gradient):
        source = (prediction, target, class_weight)
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT), cuda.local.array(levels, FLOAT))
        for row in range(cuda.grid(1) // lanes, row_scales.size, cuda.gridsize(1) // lanes):
            known = folds(source, row, class_weight.size, numbers[1:], team)
            for column in range(lane, class_weight.size, lanes):
                gradient[row, column] = finish(leading(source, row, column) + known) * row_scales[row]

    return compiled(kernel, folds, leading, finish)


def state_kernel(program: Program, layout: Layout) -> Any:
    """The folds over each block of rows, `states[block, fold]`."""
    lanes, levels = layout.lanes, layout.levels
    numbers_count, count = len(program.numbers), len(program.steps)
    folds = chain([state_fold(step, layout) for step in program.steps])

    def kernel(prediction, target, class_weight, numbers, weights, block_rows, states):
        source = (prediction, target, class_weight, weights)
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT), cuda.local.array(levels, FLOAT))
        for block in range(cuda.blockIdx.x, states.shape[0], cuda.gridDim.x):
            first = block * block_rows
            values = min(block_rows, prediction.shape[0] - first) * class_weight.size
            known = folds(source, first, values, numbers[1:], team)
            for fold in range(lane, count, lanes):
                states[block, fold] = known[numbers_count + fold]

    return compiled(kernel, folds)


@cache
def check_kernel(lanes: int, sums: bool) -> Any:
    """For each row how many of its values lie outside an interval and, with `sums`, whether their sum is far from 1."""
    layout = Layout(lanes)
    levels = layout.levels

    def outside(source, row, column, known):
        value = np.float64(source[0][row, column])
        return 0.0 if (value >= known[0]) & (value <= known[1]) else 1.0

    def value(source, row, column, known):
        return np.float64(source[0][row, column])

    places = (outside, value) if sums else (outside,)
    folds = chain([tree_sum(place, layout) for place in places])

    def kernel(values, interval, tolerance, bad_values, bad_rows):
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT), cuda.local.array(levels, FLOAT))
        for row in range(cuda.grid(1) // lanes, bad_values.size, cuda.gridsize(1) // lanes):
            known = folds((values,), row, values.shape[1], interval, team)
            if lane == 0:
                bad_values[row] = known[2]
                if sums:
                    bad_rows[row] = 0.0 if abs(known[-1] - 1.0) <= tolerance else 1.0

    return compiled(kernel, folds)


@cache
def report_kernel(lanes: int) -> Any:
    """The report on each block of rows; see `batch.Column`."""
    layout = Layout(lanes)
    levels, count = layout.levels, len(Column)
    folds = chain(report_folds(layout))

    def kernel(losses, weights, keep, bad, bad_targets, bad_rows, bad_target_rows, rows, block_rows, report):
        source = (losses, weights, keep, bad, bad_targets, bad_rows, bad_target_rows)
        lane = cuda.threadIdx.x % lanes
        team = (lane, cuda.shared.array(0, FLOAT), cuda.local.array(levels, FLOAT))
        for block in range(cuda.blockIdx.x, report.shape[0], cuda.gridDim.x):
            first = block * block_rows
            columns = folds(source, first, min(block_rows, rows - first), (), team)
            for column in range(lane, count, lanes):
                report[block, column] = columns[column]

    return compiled(kernel, folds)


def report_folds(layout: Layout) -> list[Function]:
    """One fold a column, in order; source = (losses, weights, keep, then one array for each of the bad columns)."""

    def kept_or(source, row, otherwise):
        return per_row(source[0], row) if per_row(source[2], row) else otherwise

    def weighted(source, first, at, known):
        product = rounded_product(per_row(source[0], first + at), per_row(source[1], first + at))
        return product if per_row(source[2], first + at) else 0.0

    def nonfinite(source, first, at, known):
        return 0.0 if abs(kept_or(source, first + at, 0.0)) < math.inf else 1.0

    def positive(source, first, at, known):
        return 1.0 if kept_or(source, first + at, 0.0) > 0.0 else 0.0

    def kept_or_highest(source, first, at, known):
        return kept_or(source, first + at, math.inf)

    def kept_or_lowest(source, first, at, known):
        return kept_or(source, first + at, -math.inf)

    def bad(column):
        return lambda source, first, at, known: per_row(source[column], first + at)

    return [
        tree_sum(weighted, layout),
        tree_sum(nonfinite, layout),
        tree_sum(positive, layout),
        extremum(kept_or_highest, minimum, math.inf, layout),
        extremum(kept_or_lowest, maximum, -math.inf, layout),
        *(tree_sum(bad(column), layout) for column in range(3, 7)),
    ]


def compiled(kernel: Function, *called: Function) -> Any:
    """The kernel, compiled for the types of its arguments when it is launched, and what it calls made known."""
    for function in called:
        device(function)
    return cuda.jit(kernel)
