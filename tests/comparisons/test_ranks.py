"""Signed ranks against SciPy, Holm's correction against closed testing, letters against what they promise."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats  # noqa: TID251 - an oracle

from lossctl.comparisons.ranks import EXACT_UP_TO, holm, letters, ranks, wilcoxon_p


@pytest.mark.parametrize("count", [1, 2, 7, 25, EXACT_UP_TO])
@pytest.mark.parametrize("shift", [0.0, 0.3, -1.0])
def test_few_signed_ranks_are_exact(count: int, shift: float) -> None:
    differences = np.random.default_rng(count).normal(shift, 1.0, count)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert wilcoxon_p(differences) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("count", [51, 500])
@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_many_or_tied_signed_ranks_are_approximate(count: int, decimals: int) -> None:
    differences = np.round(np.random.default_rng(count).normal(0.2, 1.5, count), decimals)
    expected = stats.wilcoxon(differences, method="asymptotic", correction=False).pvalue
    assert wilcoxon_p(differences) == pytest.approx(expected, rel=1e-9)


def test_few_tied_signed_ranks_are_approximate() -> None:
    differences = np.array([1.0, 1.0, -1.0, 2.0, 3.0, 0.0, 2.0, -2.0])
    expected = stats.wilcoxon(differences, method="asymptotic", correction=False).pvalue
    assert wilcoxon_p(differences) == pytest.approx(expected, rel=1e-12)


def test_rows_that_are_all_equal_rank_nothing() -> None:
    assert wilcoxon_p(np.zeros(10)) == 1.0


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_holm_is_closed_testing_with_bonferroni(count: int) -> None:
    values = np.random.default_rng(count).uniform(0.0, 0.3, count).tolist()
    expected = []
    for position in range(count):
        sets = [s for size in range(1, count + 1) for s in combinations(range(count), size) if position in s]
        expected.append(max(min(1.0, len(s) * min(values[i] for i in s)) for s in sets))
    assert holm(values) == pytest.approx(expected, rel=1e-12)


def test_ranks_share_a_place() -> None:
    assert ranks([0.3, 0.1, 0.3, 0.2]) == [3, 1, 3, 2]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_systems_share_a_letter_unless_they_are_told_apart(count: int) -> None:
    """Whatever pairs are told apart, and also where that makes no order."""
    pairs = list(combinations(range(count), 2))
    for chosen in product([False, True], repeat=len(pairs)):
        different = [pair for pair, apart in zip(pairs, chosen, strict=True) if apart]
        found = letters(range(count), different)
        for pair in pairs:
            assert bool(set(found[pair[0]]) & set(found[pair[1]])) == (pair not in different)


def test_the_best_has_the_first_letter() -> None:
    assert letters([2, 0, 1], [(0, 1), (1, 2)]) == {2: "a", 0: "a", 1: "b"}
    assert letters([2, 0, 1], [(1, 2)]) == {2: "a", 0: "ab", 1: "b"}
    assert letters([0, 1], []) == {0: "a", 1: "a"}
