"""Sums by group: the bits do not depend on chunks, and what is resampled has the spread of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl.comparisons.groups import ResamplingSums, group_of
from lossctl.comparisons.resampling import bootstrap

SMALL = 256


def summed(values: np.ndarray, step: int, groups: int = SMALL, seed: int = 0) -> np.ndarray:
    sums = ResamplingSums(len(values), seed, groups)
    for start in range(0, values.shape[1], step):
        sums.add(values[:, start : start + step])
    assert sums.rows == values.shape[1]
    return sums.sums


@pytest.mark.parametrize("rows", [1, 100, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL + 17])
@pytest.mark.parametrize("step", [1, 7, SMALL, SMALL + 1])
def test_chunks_change_no_bit(rows: int, step: int) -> None:
    values = np.random.default_rng(rows).normal(size=(2, rows))
    np.testing.assert_array_equal(summed(values, step), summed(values, rows))


def test_few_rows_are_groups_of_their_own() -> None:
    values = np.random.default_rng(0).normal(size=(3, SMALL))
    np.testing.assert_array_equal(summed(values, 50), values)


def test_each_row_of_many_is_in_the_group_that_its_number_gives_it() -> None:
    values = np.random.default_rng(1).normal(size=(1, 1000))
    expected = np.zeros(SMALL)
    np.add.at(expected, group_of(np.arange(1000, dtype=np.uint64), 5, SMALL), values[0])
    np.testing.assert_array_equal(summed(values, 300, seed=5)[0], expected)


def test_groups_are_as_even_as_drawn_ones_and_depend_on_the_seed() -> None:
    rows = np.arange(100_000, dtype=np.uint64)
    first, second = (group_of(rows, seed, 64) for seed in (0, 1))
    expected = len(rows) / 64
    chi_square = ((np.bincount(first, minlength=64) - expected) ** 2 / expected).sum()
    assert 30.0 < chi_square < 110.0  # of 63 degrees of freedom, beyond one in ten thousand on either side
    assert np.mean(first == second) == pytest.approx(1 / 64, rel=0.1)


def test_rows_that_are_sorted_have_the_spread_of_rows_that_are_not() -> None:
    """Consecutive blocks of sorted rows would be ten times too far apart."""
    rows, groups = 100_000, 4096
    values = np.sort(np.random.default_rng(2).exponential(size=rows))
    sums = summed(np.stack([values, np.ones(rows)]), 10_000, groups)
    drawn = bootstrap(sums, 2000, 0)
    expected = values.std() / np.sqrt(rows)
    assert np.std(drawn[0] / drawn[1]) == pytest.approx(expected, rel=0.06)
