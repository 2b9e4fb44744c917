"""Bootstrap and sign flips, against exact enumeration and against SciPy."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from scipy import stats  # noqa: TID251 - an oracle

from lossctl.comparisons.resampling import (
    bootstrap,
    bootstrap_p,
    interval,
    margin_p,
    permutation_p,
    sign_flips,
)


def means(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[0] / sums[1])


def of(differences: np.ndarray) -> np.ndarray:
    return np.stack([differences, np.ones(len(differences))])


def without_one(differences: np.ndarray) -> np.ndarray:
    return np.array([np.delete(differences, each).mean() for each in range(len(differences))])


# ---- bootstrap


def test_bootstrap_draws_rows_with_replacement() -> None:
    """Against all 27 ways to draw three rows of three."""
    values = np.array([[1.0, 10.0, 100.0]])
    drawn = Counter(bootstrap(values, 27_000, 0)[0].tolist())
    expected = Counter(float(sum(rows)) for rows in product(values[0].tolist(), repeat=3))
    assert set(drawn) == set(expected)
    for total, ways in expected.items():
        assert drawn[total] == pytest.approx(1000 * ways, abs=5 * np.sqrt(1000 * ways))


@pytest.mark.parametrize("groups", [1, 2, 63, 64, 65, 1000])
def test_bootstrap_draws_as_many_groups_as_there_are(groups: int) -> None:
    drawn = bootstrap(np.ones((1, groups)), 100, 3)
    np.testing.assert_array_equal(drawn, np.full((1, 100), groups))


def test_the_seed_decides_and_the_number_of_resamples_does_not_change_the_first() -> None:
    values = np.random.default_rng(0).normal(size=(2, 50))
    np.testing.assert_array_equal(bootstrap(values, 100, 7), bootstrap(values, 100, 7))
    np.testing.assert_array_equal(bootstrap(values, 100, 7), bootstrap(values, 200, 7)[:, :100])
    assert not np.array_equal(bootstrap(values, 100, 7), bootstrap(values, 100, 8))


BOOTSTRAPPED = [145.0, 129.0, 29.0, 163.0, 28.0, 43.0]
FLIPPED = [1069.0, 1217.0, 1070.0, 1180.0]


def test_drawn_numbers_never_change() -> None:
    """A seed in a signature must mean the same next year."""
    rows = np.arange(5.0)[None] ** 3
    assert bootstrap(rows, 6, 0)[0].tolist() == BOOTSTRAPPED
    assert sign_flips(np.arange(70.0)[None], 4, 0)[0][0].tolist() == FLIPPED


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_is_that_of_scipy(seed: int, confidence: float) -> None:
    differences = np.random.default_rng(seed).exponential(size=60) - 0.8
    found = interval(
        float(differences.mean()), means(bootstrap(of(differences), 20_000, seed)), without_one(differences), confidence
    )
    expected = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=confidence,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_without_spread_the_interval_is_a_point() -> None:
    found = interval(0.25, np.full(100, 0.25), np.full(9, 0.25), 0.95)
    assert (found.low, found.high) == (0.25, 0.25)


def test_a_difference_beyond_all_that_is_drawn_has_an_interval() -> None:
    drawn = np.linspace(1.0, 2.0, 100)
    found = interval(3.0, drawn, np.array([2.9, 3.0, 3.2]), 0.95)
    assert 1.0 <= found.low <= found.high <= 2.0


def test_bootstrap_p_is_that_of_a_z_test_for_many_rows() -> None:
    differences = np.random.default_rng(4).normal(0.12, 1.0, 400)
    drawn = means(bootstrap(of(differences), 20_000, 0))
    z = differences.mean() / (differences.std() / np.sqrt(400))
    assert bootstrap_p(float(differences.mean()), drawn) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=0.008)


def test_no_difference_is_no_finding() -> None:
    assert bootstrap_p(0.0, np.array([-1.0, 0.0, 1.0])) == 1.0
    assert permutation_p(0.0, np.array([-1.0, 0.0, 1.0]), True) == 1.0


# ---- permutation


@pytest.mark.parametrize("rows", [2, 5, 10])
def test_few_rows_are_permuted_in_every_way(rows: int) -> None:
    """SciPy enumerates them too."""
    first, second = np.random.default_rng(rows).exponential(size=(2, rows))
    differences = second - first
    moved, all_of_them = sign_flips(differences[None], 1024, 0)
    assert all_of_them
    assert moved.shape == (1, 2**rows)
    drawn = differences.sum() - 2.0 * moved[0]
    expected = stats.permutation_test(
        (second, first), lambda a, b: np.sum(a - b), permutation_type="samples", n_resamples=10**6
    )
    assert permutation_p(float(differences.sum()), drawn, True) == pytest.approx(expected.pvalue, abs=1e-12)


def test_drawn_permutations_approach_all_of_them() -> None:
    differences = np.random.default_rng(8).normal(0.4, 1.0, 14)
    found = float(differences.sum())
    every, complete = sign_flips(differences[None], 1 << 14, 0)
    some, incomplete = sign_flips(differences[None], 10_000, 0)
    assert complete
    assert not incomplete
    exact = permutation_p(found, found - 2 * every[0], True)
    assert 0.01 < exact < 0.9
    assert permutation_p(found, found - 2 * some[0], False) == pytest.approx(exact, abs=0.02)


@pytest.mark.parametrize("groups", [20, 64, 100])
def test_each_group_changes_places_half_of_the_time_and_independently(groups: int) -> None:
    moved, _ = sign_flips(np.eye(groups), 4000, 1)
    assert set(np.unique(moved)) == {0.0, 1.0}
    assert np.abs(moved.mean(axis=1) - 0.5).max() < 5 * 0.5 / np.sqrt(4000)
    correlations = np.corrcoef(moved) - np.eye(groups)
    assert np.abs(correlations).max() < 5.5 / np.sqrt(4000)


# ---- margins


@pytest.mark.parametrize("margin", [0.05, 0.12, 0.3])
def test_margins_are_two_one_sided_tests(margin: float) -> None:
    differences = np.random.default_rng(5).normal(0.05, 1.0, 500)
    drawn = means(bootstrap(of(differences), 20_000, 0))
    above, below = margin_p(float(differences.mean()), drawn, margin)
    assert above == pytest.approx(stats.ttest_1samp(differences, -margin, alternative="greater").pvalue, abs=0.012)
    assert below == pytest.approx(stats.ttest_1samp(differences, margin, alternative="less").pvalue, abs=0.012)
