"""Sums: trees of a fixed shape, blocks of a fixed size, and exact merging."""

from __future__ import annotations

import math
import pickle
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl_kernels import reduce
from lossctl_kernels.reduce import BLOCK_ROWS, ExactSum, block_rows, block_sums, tree_sum

NAN, INF = math.nan, math.inf
LARGEST, SMALLEST = 1.7976931348623157e308, 5e-324
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LISTS = st.lists(FINITE, max_size=60)


def exact(numbers: list[float]) -> float:
    """The sum rounded once, by rational arithmetic."""
    return rounded(sum(map(Fraction, numbers), Fraction(0)))


def rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return INF if number > 0 else -INF


def summed(*parts: list[float]) -> ExactSum:
    total = ExactSum()
    for part in parts:
        total.add(np.array(part, np.float64))
    return total


# ---- trees


def tree(values: list[float]) -> float:
    """The definition, written again: halves added, after padding with zeros to a power of two."""
    if len(values) == 1:
        return values[0]
    half = 1
    while 2 * half < len(values):
        half *= 2
    right = values[half:] + [0.0] * (2 * half - len(values))
    return tree([a + b for a, b in zip(values[:half], right, strict=True)])


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 9, 1000, 1024, 1025])
def test_a_tree_has_one_shape(length: int) -> None:
    values = np.random.default_rng(length).normal(size=length) * 10.0 ** np.arange(length).clip(max=200)
    assert tree_sum(values) == tree(values.tolist())


def test_a_tree_is_summed_over_the_last_axis() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    assert tree_sum(values).tolist() == values.sum(axis=-1).tolist()
    assert tree_sum(np.zeros((3, 1))).shape == (3,)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=200))
def test_the_error_of_a_tree_grows_with_its_depth(values: list[float]) -> None:
    bound = math.ceil(math.log2(len(values)) + 1) * 2.0**-53 * math.fsum(map(abs, values))
    with np.errstate(over="ignore"):
        found = float(tree_sum(np.array(values)))
    assert abs(Fraction(found) - Fraction(exact(values))) <= Fraction(bound) * 2 + Fraction(SMALLEST)


# ---- blocks


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 9])
def test_blocks_are_summed_one_by_one(size: int) -> None:
    values = np.arange(1.0, size + 1.0)
    assert block_sums(values, 4).tolist() == [float(values[i : i + 4].sum()) for i in range(0, size, 4)]


@pytest.mark.parametrize("at_once", [1, 8, 20, 1000])
@pytest.mark.parametrize("size", [1, 8, 15, 16, 17, 200])
def test_how_many_blocks_are_summed_at_once_changes_no_bit(
    at_once: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reduce, "_CACHED_VALUES", at_once)
    values = np.random.default_rng(size).normal(size=size)
    assert block_sums(values, 8).tolist() == [float(tree_sum(values[i : i + 8])) for i in range(0, size, 8)]


def test_nothing_has_no_blocks() -> None:
    assert block_sums(np.empty(0), 4).shape == (0,)


def test_a_short_last_block_is_summed_as_if_it_stood_alone() -> None:
    values = np.random.default_rng(0).normal(size=11)
    assert block_sums(values, 4)[-1] == tree_sum(values[8:])


@pytest.mark.parametrize(
    ("width", "rows"),
    [(1, 4096), (128, 4096), (129, 2048), (1000, 512), (1 << 19, 1), ((1 << 19) + 1, 1), (1 << 40, 1)],
)
def test_rows_of_a_block(width: int, rows: int) -> None:
    assert block_rows(width) == rows
    assert BLOCK_ROWS % rows == 0


# ---- exact sums


@given(LISTS)
def test_a_sum_is_rounded_once(numbers: list[float]) -> None:
    assert summed(numbers).value == exact(numbers)


@given(LISTS, LISTS, LISTS)
def test_how_the_numbers_are_grouped_does_not_matter(a: list[float], b: list[float], c: list[float]) -> None:
    assert summed(c, a, b).value == summed(b, a + c).value == summed(a + b + c).value


def test_the_order_of_the_numbers_does_not_matter() -> None:
    numbers = np.random.default_rng(5).normal(size=5000) * 10.0 ** np.random.default_rng(6).integers(-300, 300, 5000)
    expected = math.fsum(numbers)
    for seed in range(3):
        shuffled = numbers.tolist()
        random.Random(seed).shuffle(shuffled)
        assert summed(shuffled).value == expected


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [0.0, -0.0],
        [1e308, 1e308, -1e308],
        [LARGEST, LARGEST, -LARGEST, -LARGEST, 1.0],
        [1.0, 1e-300, -1.0],
        [SMALLEST] * 7,
        [LARGEST, SMALLEST, -LARGEST],
        [0.1] * 10,
        [2.0**53, 1.0, 2.0**-60],
        [2.0**-1022, -SMALLEST],
    ],
)
def test_extreme_numbers_are_summed_exactly(numbers: list[float]) -> None:
    assert summed(numbers).value == exact(numbers)


def test_many_equal_exponents_do_not_overflow() -> None:
    """The mantissas of one exponent are added as integers."""
    values = np.full(1 << 17, np.nextafter(2.0, 0.0))
    total = ExactSum()
    for _ in range(4):
        total.add(values)
    assert total.value == float(Fraction(float(values[0])) * (1 << 19))


def test_more_numbers_than_can_be_added_at_once_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl_kernels.reduce._EXACT_COUNT", 7)
    numbers = (
        np.random.default_rng(7).normal(size=1000) * 10.0 ** np.random.default_rng(8).integers(-9, 9, 1000)
    ).tolist()
    assert summed(numbers).value == exact(numbers)


def test_what_waits_to_be_added_counts() -> None:
    total, other = ExactSum(), ExactSum()
    for number in range(1000):
        total.add(float(number))
    other.add(0.5)
    assert total.value == 499500.0
    assert total.over(1000) == 499.5
    assert total.over(other) == 999000.0


def test_an_array_that_is_changed_later_was_added_as_it_was() -> None:
    total, values = ExactSum(), np.ones(3)
    total.add(values)
    values[:] = 5.0
    assert total.value == 3.0


@pytest.mark.parametrize(("numbers", "expected"), [([LARGEST, LARGEST], INF), ([-LARGEST] * 3, -INF)])
def test_a_sum_beyond_float64_is_infinite(numbers: list[float], expected: float) -> None:
    assert summed(numbers).value == expected
    total = summed(numbers)
    total.add(np.negative(numbers))
    assert total.value == 0.0


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([[INF, 1.0]], INF), ([[-INF], [1e308, 1e308]], -INF), ([[INF, -INF]], NAN), ([[INF], [-INF]], NAN),
        ([[NAN, 1.0]], NAN), ([[NAN], [INF]], NAN), ([[INF], [INF]], INF), ([[1.0], [2.0, INF], [-5.0]], INF),
    ],
)  # fmt: skip
def test_infinity_and_nan_stay(parts: list[list[float]], expected: float) -> None:
    np.testing.assert_equal(summed(*parts).value, expected)


def test_numbers_and_arrays_of_any_shape_can_be_added() -> None:
    total = ExactSum()
    total.add(1.5)
    total.add(np.ones((2, 3)))
    total.add(0.5)
    assert total.value == 8.0


@given(LISTS)
def test_a_sum_survives_a_journey(numbers: list[float]) -> None:
    total = pickle.loads(pickle.dumps(summed(numbers)))
    total.add(1.0)
    assert total.value == exact([*numbers, 1.0])


def test_infinity_survives_a_journey() -> None:
    assert pickle.loads(pickle.dumps(summed([1.0, INF]))).value == INF


# ---- quotients


@given(LISTS, st.integers(1, 10**9))
def test_a_mean_is_rounded_once(numbers: list[float], count: int) -> None:
    assert summed(numbers).over(count) == rounded(sum(map(Fraction, numbers), Fraction(0)) / count)


@given(st.lists(st.floats(0.0, 1e300), min_size=1), st.lists(st.floats(1e-300, 1e300), min_size=1))
def test_a_weighted_mean_is_rounded_once(numbers: list[float], weights: list[float]) -> None:
    quotient = sum(map(Fraction, numbers), Fraction(0)) / sum(map(Fraction, weights), Fraction(0))
    assert summed(numbers).over(summed(weights)) == rounded(quotient)


def test_sums_beyond_float64_have_a_mean() -> None:
    assert summed([LARGEST, LARGEST]).over(2) == LARGEST
    assert summed([LARGEST] * 4).over(summed([LARGEST] * 2)) == 2.0
    assert summed([LARGEST, LARGEST]).over(1) == INF


@pytest.mark.parametrize(
    ("numbers", "divisor", "expected"),
    [([1.0], 0, NAN), ([0.0], 0, NAN), ([INF], 0, NAN), ([INF], 2, INF), ([NAN], 2, NAN), ([-INF, 1.0], 4, -INF)],
)
def test_quotients_that_are_no_numbers(numbers: list[float], divisor: int, expected: float) -> None:
    np.testing.assert_equal(summed(numbers).over(divisor), expected)
    np.testing.assert_equal(summed(numbers).over(summed([float(divisor)])), expected)
