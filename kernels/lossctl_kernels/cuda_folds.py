"""Folds on a device, over a row or over a block of rows, made from the steps of a program. Nothing here asks for a GPU.

In device code `source` is a tuple of arrays, `known` one of float64 (what a function may look up: the numbers of the
program, then its folds), and `team` is (lane, shared memory) of the threads that work together. Each function is a
closure over plain functions, so that it compiles like the definitions themselves.

Over a **row** the steps that do not need each other run in one loop, each lane with every so many columns. Sums carry
their rounding errors along, so that their order hardly matters. Over a **block** sums are the tree of
`reduce.tree_sum`, whatever the number of threads: the same bits every time.
"""

# mypy: allow-untyped-defs, allow-untyped-calls

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .program import Step
from .scalar import maximum, where
from .scales import safe_scale
from .spec import Monoid

Function = Callable[..., Any]
Across = Callable[[Function], Function]


def add(a, b):
    """How sums combine."""
    return a + b


def per_row(values, row):
    """The value of a row, where an array of one value holds for all."""
    return values[min(row, values.size - 1)]


# ---- the leading part of the environment; source = (prediction, target, class_weight, inputs…)


def leading_part(sparse_target: bool, row_inputs: Sequence[bool]) -> Function:
    """(source, row, column) to the leading part; `row_inputs` tells of each input whether it has one number a row."""
    leading = sparse if sparse_target else dense
    for at, is_one_a_row in enumerate(row_inputs, 3):
        leading = (_and_of_row if is_one_a_row else _and_of_column)(leading, at)
    return leading


def _and_of_row(before: Function, at: int) -> Function:
    def leading(source, row, column):
        return before(source, row, column) + (np.float64(source[at][row]),)

    return leading


def _and_of_column(before: Function, at: int) -> Function:
    def leading(source, row, column):
        return before(source, row, column) + (np.float64(source[at][row, column]),)

    return leading


def dense(source, row, column):
    """Of a target with one number for each prediction."""
    return (
        np.float64(source[0][row, column]),
        np.float64(source[1][row, column]),
        np.float64(column),
        per_row(source[2], column),
    )


def sparse(source, row, column):
    """Of a class index: 1 at that class."""
    return (
        np.float64(source[0][row, column]),
        np.float64(source[1][row] == column),
        np.float64(column),
        per_row(source[2], column),
    )


# ---- over a row: the running state of the steps of a loop is one tuple of float64, the parts


@dataclass(frozen=True)
class Running:
    """How one step runs over a row: what its parts begin as, how a term changes them, what becomes of them.

    Each of the two is put behind those of the steps before: (parts, environment) to parts, and (parts, source, row,
    known, team) to results.
    """

    initial: tuple[float, ...]
    combine: Function
    advance: Callable[[Function, int, Function], Function]
    finish: Callable[[Function, int, Function], Function]


def _no_parts(parts, environment):
    return ()


def _no_results(parts, source, row, known, team):
    return ()


def _advance_sum(before: Function, at: int, term: Function) -> Function:
    """A sum and the rounding errors that it has made (Knuth's two-sum)."""

    def advance(parts, environment):
        value = term(environment)
        total = parts[at] + value
        back = total - parts[at]
        lost = (parts[at] - (total - back)) + (value - back)
        return before(parts, environment) + (total, parts[at + 1] + lost)

    return advance


def _finish_sum(before: Function, at: int, across: Function) -> Function:
    def finish(parts, source, row, known, team):
        lost = parts[at + 1]  # NaN where the sum is infinite
        total = parts[at] + where(abs(lost) < math.inf, lost, 0.0)
        return before(parts, source, row, known, team) + (across(total, team),)

    return finish


def _advance_with(combine: Function) -> Callable[[Function, int, Function], Function]:
    def make(before: Function, at: int, term: Function) -> Function:
        def advance(parts, environment):
            return before(parts, environment) + (combine(parts[at], term(environment)),)

        return advance

    return make


def _finish_as_it_is(before: Function, at: int, across: Function) -> Function:
    def finish(parts, source, row, known, team):
        return before(parts, source, row, known, team) + (across(parts[at], team),)

    return finish


def _finish_scale(before: Function, at: int, across: Function) -> Function:
    def finish(parts, source, row, known, team):
        return before(parts, source, row, known, team) + (safe_scale(across(parts[at], team)),)

    return finish


def _finish_once(before: Function, term: Function, leading: Function) -> Function:
    """One number of the row, made of what is known of it."""

    def finish(parts, source, row, known, team):
        return before(parts, source, row, known, team) + (term(leading(source, row, 0) + known),)

    return finish


def _finish_picked(before: Function, term: Function, leading: Function) -> Function:
    """A target sum that has the one term of the class index."""

    def finish(parts, source, row, known, team):
        return before(parts, source, row, known, team) + (term(leading(source, row, source[1][row]) + known),)

    return finish


def _larger_magnitude(largest, value):
    return maximum(largest, abs(value))


SUM = Running((0.0, 0.0), add, _advance_sum, _finish_sum)
COUNT = Running((0.0,), add, _advance_with(add), _finish_as_it_is)
MAX = Running((-math.inf,), maximum, _advance_with(maximum), _finish_as_it_is)
SCALE = Running((0.0,), maximum, _advance_with(_larger_magnitude), _finish_scale)

_RUNNING = {Monoid.SUM: SUM, Monoid.TARGET_SUM: SUM, Monoid.MAX: MAX, Monoid.SCALE: SCALE}


def row_folds(
    steps: Sequence[Step], checks: Sequence[Step], lanes: int, leading: Function, picked: bool, across: Across
) -> Function:
    """(source, row, width, known, limits, team) to `known` and the results of the steps and checks, in order.

    `leading` is a `leading_part`; `picked` says that target sums have the one term of the class index. Every lane gets
    every result.
    """
    folds: Function = _as_it_is
    groups = loops(steps)
    if not groups or groups[-1][0].when:
        groups.append([])  # the checks are of all rows
    for group in groups:
        last = group is groups[-1]
        folds = _loop(folds, group, checks if last else (), lanes, leading, picked, across)
    return folds


def loops(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps in as few consecutive groups as may be, of one condition; none needs a result of its own group."""
    groups: list[list[Step]] = []
    for step in steps:
        # A step needs folds of lower levels alone.
        if groups and all(step.level <= other.level and step.when is other.when for other in groups[-1]):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _as_it_is(source, row, width, known, limits, team):
    return known


def _always(environment):
    return True


def _loop(
    before: Function,
    steps: Sequence[Step],
    checks: Sequence[Step],
    lanes: int,
    leading: Function,
    picked: bool,
    across: Across,
) -> Function:
    """One loop over the columns for all these steps, after the loops before; not for rows that it is not meant for."""
    initial: tuple[float, ...] = ()
    advance, finish = _no_parts, _no_results
    for step in (*steps, *checks):
        if step.monoid is Monoid.ONCE:
            finish = _finish_once(finish, step.term, leading)
            continue
        if picked and step.monoid is Monoid.TARGET_SUM:
            finish = _finish_picked(finish, step.term, leading)
            continue
        running = COUNT if step.name in CHECKS else _RUNNING[step.monoid]
        advance = running.advance(advance, len(initial), step.term)
        finish = running.finish(finish, len(initial), across(running.combine))
        initial += running.initial

    wanted = steps[0].when if steps and steps[0].when else _always

    def loop(source, row, width, known, limits, team):
        so_far = before(source, row, width, known, limits, team)
        parts = initial
        # All lanes of the row agree; those of other rows wait for them when the results are made.
        if wanted(leading(source, row, 0) + so_far):
            for column in range(team[0], width, lanes):
                parts = advance(parts, leading(source, row, column) + so_far + limits)
        return so_far + finish(parts, source, row, so_far, team)

    def without_loop(source, row, width, known, limits, team):
        so_far = before(source, row, width, known, limits, team)
        return so_far + finish((), source, row, so_far, team)

    return loop if initial else without_loop


# ---- checks: steps that count what is outside its domain. The limits are the last five values of the environment:
# lowest and highest prediction, lowest and highest target, tolerance of sums

CHECKS = ("bad_predictions", "bad_targets")


def check_steps(sparse_target: bool, prediction_sums: bool, target_sums: bool) -> tuple[Step, ...]:
    """The steps that look at a row: values outside their interval, then the sums that should be 1."""
    steps = [Step(CHECKS[0], Monoid.SUM, _prediction_outside)]
    if not sparse_target:
        steps.append(Step(CHECKS[1], Monoid.SUM, _target_outside))
    if prediction_sums:
        steps.append(Step("prediction_sum", Monoid.SUM, _prediction))
    if target_sums:
        steps.append(Step("target_sum", Monoid.SUM, _target))
    return tuple(steps)


def _prediction_outside(environment):
    return where((environment[0] >= environment[-5]) & (environment[0] <= environment[-4]), 0.0, 1.0)


def _target_outside(environment):
    return where((environment[1] >= environment[-3]) & (environment[1] <= environment[-2]), 0.0, 1.0)


def _prediction(environment):
    return environment[0]


def _target(environment):
    return environment[1]


# ---- over a block: a *place* is a function (source, start, place, known) of one summand. Of `lanes` lanes the one that
# asks has every so many places


def tree_sum(place: Function) -> Function:
    """One lane's part of the sum by halves, (source, start, count, known, lane, lanes, open_sums).

    A lane's places are `lanes` apart, so the first halvings pair places of one lane. Visited in the order of their
    reversed bits, those that are added come next to each other, and one open sum a level of the tree is enough.
    """

    def fold(source, start, count, known, lane, lanes, open_sums):
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
        return total

    return fold


def extremum(place: Function, combine: Function, identity: float) -> Function:
    """One lane's part of the largest or smallest; arguments as those of `tree_sum`."""

    def fold(source, start, count, known, lane, lanes, open_sums):
        result = identity
        for at in range(lane, count, lanes):
            result = combine(result, place(source, start, at, known))
        return result

    return fold


def magnitude(place: Function) -> Function:
    """The largest magnitude of a lane's places."""

    def absolute(source, start, at, known):
        return abs(place(source, start, at, known))

    return extremum(absolute, maximum, 0.0)


def chain(folds: Sequence[Function]) -> Function:
    """All folds of a lane, as a tuple."""
    links: Function = _no_folds
    for fold in folds:
        links = _link(links, fold)
    return links


def _no_folds(source, start, count, known, lane, lanes, open_sums):
    return ()


def _link(before: Function, fold: Function) -> Function:
    def links(source, start, count, known, lane, lanes, open_sums):
        return before(source, start, count, known, lane, lanes, open_sums) + (
            fold(source, start, count, known, lane, lanes, open_sums),
        )

    return links
