"""Folds as lanes of a device do them, here run one lane after the other by plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import cuda_folds
from lossctl_kernels.batch import Floats
from lossctl_kernels.program import Step
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import tree_sum
from lossctl_kernels.spec import Monoid


def place(source: Any, start: int, at: int, known: Any) -> Any:
    return source[0][start + at]


def halves(combine: Callable[[Any, Any], Any], parts: list[Any]) -> Any:
    """What a butterfly gives to lane 0."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [combine(a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
    return parts[0]


@pytest.mark.parametrize("lanes", [1, 2, 8, 32])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 31, 64, 100])
def test_lanes_together_are_the_tree(lanes: int, count: int) -> None:
    """Numbers of very different sizes, whose sum depends on the order."""
    random = np.random.default_rng(count)
    values = np.concatenate([[np.nan], random.normal(size=count) * 10.0 ** random.integers(-8, 8, count)])
    fold = cuda_folds.tree_sum(place)
    parts = [fold((values,), 1, count, (), lane, lanes, [0.0] * 32) for lane in range(lanes)]
    assert halves(cuda_folds.add, parts) == tree_sum(values[1:])


@pytest.mark.parametrize("lanes", [1, 4])
def test_extremes_of_lanes(lanes: int) -> None:
    values = np.array([-3.0, 2.0, 0.5, -1.0, 1.0])
    largest = cuda_folds.extremum(place, np.maximum, -math.inf)
    magnitude = cuda_folds.magnitude(place)
    parts = [largest((values,), 0, 5, (), lane, lanes, None) for lane in range(lanes)]
    assert halves(np.maximum, parts) == 2.0
    parts = [magnitude((values,), 0, 5, (), lane, lanes, None) for lane in range(lanes)]
    assert halves(np.maximum, parts) == 3.0


# ---- rows


def step(name: str, monoid: Monoid, term: Callable[[Any], Any], level: int = 0) -> Step:
    return Step(name, monoid, term, level)


def prediction(environment: Any) -> Any:
    return environment[0]


def row_results(steps: list[Step], row: Floats, picked: bool = False, target: Any = None) -> tuple[Any, ...]:
    """The results of the steps over one row, by one lane."""
    leading = cuda_folds.leading_part(target is not None, ())
    folds = cuda_folds.row_folds(steps, (), 1, leading, picked, lambda combine: lambda value, team: value)
    source = (row[None], np.array([target]) if target is not None else row[None], np.ones(1))
    result: tuple[Any, ...] = folds(source, 0, row.size, (7.0,), (), (0, None))
    assert result[0] == 7.0
    return result[1:]


def test_sums_over_a_row_keep_their_rounding_errors() -> None:
    row = np.array([1e16, 1.0, -1e16, 1.0, 3.0, 1e-16])
    (found,) = row_results([step("sum", Monoid.SUM, prediction)], row)
    assert found == math.fsum(row)
    assert found != reduce(lambda a, b: a + b, row.tolist())


@pytest.mark.parametrize(
    ("row", "expected"),
    [([1.0, math.inf], math.inf), ([-math.inf, 1.0], -math.inf), ([1.0, math.nan], math.nan), ([1e308] * 2, math.inf)],
)
def test_sums_that_are_not_finite(row: list[float], expected: float) -> None:
    with np.errstate(all="ignore"):
        (found,) = row_results([step("sum", Monoid.SUM, prediction)], np.array(row))
    np.testing.assert_equal(found, expected)


def test_every_kind_of_fold_in_one_loop() -> None:
    steps = [
        step("largest", Monoid.MAX, prediction),
        step("scale", Monoid.SCALE, prediction),
        step("sum", Monoid.SUM, prediction),
    ]
    largest, scale, total = row_results(steps, np.array([-(2.0**500), 3.0, 1.0]))
    assert (largest, scale) == (3.0, 2.0**-500)
    assert total == math.fsum([-(2.0**500), 3.0, 1.0])


def test_a_target_sum_of_a_class_index_is_one_term() -> None:
    def term(environment: Any) -> Any:
        return 10.0 * environment[0] + environment[2]

    steps = [step("picked", Monoid.TARGET_SUM, term), step("sum", Monoid.SUM, prediction)]
    assert row_results(steps, np.array([1.0, 2.0, 4.0]), picked=True, target=2) == (42.0, 7.0)


def test_a_step_sees_the_folds_before_it() -> None:
    def relative(environment: Any) -> Any:
        return environment[0] / environment[5]  # after four that lead, and one number

    steps = [step("largest", Monoid.MAX, prediction), step("relative", Monoid.SUM, relative, level=1)]
    assert row_results(steps, np.array([1.0, 4.0, 3.0])) == (4.0, 2.0)


def test_rows_that_do_not_meet_a_condition_are_not_read_for_it() -> None:
    def is_wanted(environment: Any) -> Any:
        return environment[5] > 0.0  # after four that lead, and one number

    steps = [step("sum", Monoid.SUM, prediction), replace(step("again", Monoid.SUM, prediction, 1), when=is_wanted)]
    assert row_results(steps, np.array([1.0, 2.0])) == (3.0, 3.0)
    assert row_results(steps, np.array([1.0, -2.0])) == (-1.0, 0.0)


def test_checks_are_of_all_rows() -> None:
    def never(environment: Any) -> bool:
        return False

    steps = [step("sum", Monoid.SUM, prediction), replace(step("again", Monoid.SUM, prediction, 1), when=never)]
    checks = cuda_folds.check_steps(True, True, False)
    folds = cuda_folds.row_folds(
        steps, checks, 1, cuda_folds.leading_part(True, ()), False, lambda combine: lambda value, team: value
    )
    source = (np.array([[0.5, 2.0]]), np.array([1]), np.ones(1))
    assert folds(source, 0, 2, (), (0.0, 1.0, 0.0, 1.0, 1e-6), (0, None)) == (2.5, 0.0, 1.0, 2.5)


@pytest.mark.parametrize(
    ("levels", "groups"),
    [
        ([], []),
        ([0, 0, 0], [3]),
        ([0, 1, 1, 1, 0], [1, 4]),  # the last one needs nothing: it may run late
        ([0, 0, 1, 2], [2, 1, 1]),
        ([0, 1, 0, 1], [1, 2, 1]),  # the last one may need the one before it
    ],
)
def test_steps_share_a_loop_unless_one_needs_another(levels: list[int], groups: list[int]) -> None:
    steps = [step(f"fold{i}", Monoid.SUM, prediction, level) for i, level in enumerate(levels)]
    found = cuda_folds.loops(steps)
    assert [len(group) for group in found] == groups
    assert [one for group in found for one in group] == steps
