"""Sums by code: against exact arithmetic, code by code."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.slices.sums import PIECE_ROWS, GroupCounts, GroupMoments, GroupSums

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def summed(codes: list[int], values: list[float], cut: int, groups: int = 4) -> GroupSums:
    sums = GroupSums()
    for part in (slice(0, cut), slice(cut, None)):
        sums.add(np.array(codes[part], np.int64), np.array(values[part], np.float64), groups)
    return sums


@given(st.lists(st.tuples(st.integers(0, 3), NUMBERS), max_size=40), st.integers(0, 40))
def test_sums_are_as_good_as_exact_ones_of_each_code(rows: list[tuple[int, float]], cut: int) -> None:
    codes, values = [code for code, _ in rows], [value for _, value in rows]
    sums = summed(codes, values, cut)
    for code in range(5):
        own = [value for each, value in rows if each == code]
        exact = sum(map(Fraction, own), Fraction(0))
        size = sum(map(abs, map(Fraction, own)), Fraction(0))
        # What is lost is below the smallest number where sums were halved, else beyond 70 bits.
        lost = size / 2**70 + (Fraction(2) ** -700 if any(abs(value) >= 2.0**900 for value in values) else 0)
        upper, lower = sums.ratio(code)
        assert abs(Fraction(upper, lower) - exact) <= lost
        if math.isfinite(mean := float(exact / 3) if abs(exact) < 2**1000 else math.inf) and lost == 0:
            assert sums.over(code, (3, 1)) == mean


def test_positive_numbers_of_any_size_to_the_last_bit() -> None:
    random = np.random.default_rng(0)
    rows = 2 * PIECE_ROWS + 5
    values = np.exp(random.normal(scale=8.0, size=rows)) * (random.random(rows) < 0.9)
    codes = random.integers(0, 6, rows)
    values = np.where(codes == 2, values * 1e-200, values)
    sums = GroupSums()
    for start in range(0, rows, 70_000):
        sums.add(codes[start : start + 70_000], values[start : start + 70_000], 6)
    for code in range(6):
        assert sums.of(code) == math.fsum(values[codes == code])


def test_what_is_not_finite_stays_in_its_code() -> None:
    sums = summed([0, 0, 1, 1, 2, 3], [math.inf, 1.0, -math.inf, math.inf, 5.0, math.nan], 3)
    assert sums.of(0) == math.inf
    assert math.isnan(sums.of(1))
    assert sums.of(2) == 5.0
    assert math.isnan(sums.over(3, (2, 1)))
    assert sums.over(0, (3, 1)) == math.inf


@pytest.mark.parametrize("order", [[1e308, 1e308, 3.0], [3.0, 1e308, 1e308]])
def test_a_mean_of_numbers_whose_sum_is_none(order: list[float]) -> None:
    sums = summed([0, 0, 0], order, 1)
    assert sums.of(0) == math.inf
    assert sums.over(0, (2, 1)) == 1e308
    assert summed([0, 0], [-1e308, -1e308], 1).of(0) == -math.inf


def test_codes_that_come_later() -> None:
    sums, counts = GroupSums(), GroupCounts()
    sums.add(np.array([0]), np.array([1.0]), 1)
    counts.add(np.array([0]), 1)
    assert (sums.of(3), counts.of(3)) == (0.0, 0)
    sums.add(np.array([3, 0]), np.array([2.0, 5.0]), 4)
    counts.add(np.array([3, 0]), 4, np.array([True, False]))
    assert (sums.of(0), sums.of(3), counts.of(0), counts.of(3)) == (6.0, 2.0, 1, 1)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_moments_are_those_of_each_code(offset: float) -> None:
    random = np.random.default_rng(1)
    a, b, codes = random.normal(size=9000) + offset, random.random(9000), random.integers(0, 3, 9000)
    moments = GroupMoments()
    for part in (slice(0, 1), slice(1, 4097), slice(4097, None)):
        moments.add(codes[part], a[part], b[part], 3)
    for code in range(3):
        rest = a[codes == code] - 0.5 * b[codes == code]
        count, squares = moments.of(code, 0.5)
        assert count == np.count_nonzero(codes == code)
        assert squares == pytest.approx(np.var(rest) * count, rel=1e-6 if offset else 1e-12)
    assert moments.of(7, 1.0) == (0, 0.0)
