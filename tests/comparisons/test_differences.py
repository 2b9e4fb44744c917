"""Two files against each other: counts and places against NumPy, quantiles within their promise."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl.comparisons import differences
from lossctl.comparisons.differences import QUANTILES, BinnedQuantiles, Difference, Tolerance, compare_files
from lossctl.errors import DataError
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader

Array = NDArray[Any]


def compared(first: Any, second: Any, atol: float = 0.0, rtol: float = 0.0) -> Difference:
    feed = Feed([memory_reader({"prediction": first}), memory_reader({"target": second})])
    return compare_files(feed, Tolerance(atol, rtol))


def noisy(seed: int, shape: tuple[int, ...], dtype: str = "float64") -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=shape)
    second = np.where(rng.uniform(size=shape) < 0.5, first, first * (1 + rng.normal(size=shape) * 1e-3))
    return first.astype(dtype), second.astype(dtype)


@pytest.mark.parametrize("shape", [(1000,), (300, 4), (50, 3, 2), (200, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunk", [1 << 20, 64])
def test_counts_are_those_of_numpy(
    shape: tuple[int, ...], dtype: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "CHUNK_VALUES", chunk)
    first, second = noisy(len(shape), shape, dtype)
    found = compared(first, second, 1e-5, 1e-4)
    a, b = first.astype(np.float64), second.astype(np.float64)
    wrong = ~np.isclose(b, a, rtol=1e-4, atol=1e-5)
    assert 0 < found.beyond < found.different < found.values == first.size
    assert found.different == np.count_nonzero(first != second)
    assert found.beyond == np.count_nonzero(wrong)
    assert found.rows_beyond == np.count_nonzero(wrong.reshape(len(first), -1).any(axis=1))
    assert found.largest is not None
    assert found.largest.size == np.abs(a - b).max()
    flat = np.abs(a - b).reshape(len(first), -1)
    place = divmod(int(np.argmax(flat)), flat.shape[1])
    assert (found.largest.row, found.largest.column or 0) == place
    assert found.largest.first == a.reshape(flat.shape)[place]
    assert found.largest.second == b.reshape(flat.shape)[place]
    assert found.largest_relative is not None
    assert found.largest_relative.size == (np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))).max()
    for share, quantile in found.quantiles.items():
        expected = np.quantile(np.abs(a - b), share, method="inverted_cdf")
        assert quantile == pytest.approx(expected, rel=0.005)


def test_equal_files_have_no_difference() -> None:
    first, _ = noisy(0, (100, 3))
    found = compared(first, first.copy())
    assert (found.different, found.beyond, found.rows_beyond, found.largest) == (0, 0, 0, None)
    assert set(found.quantiles.values()) == {0.0}
    assert found.same_argmax == 100


def test_one_value_a_row_has_no_argmax_and_no_column() -> None:
    found = compared([1.0, 2.0], [[1.0], [2.5]])
    assert found.same_argmax is None
    assert found.largest is not None
    assert (found.largest.row, found.largest.column) == (1, None)


def test_argmax_agreement() -> None:
    assert compared([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]], [[0.2, 0.8], [0.4, 0.6], [0.5, 0.5]]).same_argmax == 2


def test_nan_is_equal_to_nan_and_to_nothing_else() -> None:
    nan = math.nan
    found = compared([[nan, nan], [1.0, 2.0]], [[nan, 1.0], [nan, 2.0]], atol=1e300)
    assert (found.nan_both, found.nan_first, found.nan_second) == (1, 1, 1)
    assert (found.different, found.beyond, found.rows_beyond) == (2, 2, 2)
    assert found.largest is None


def test_nothing_but_nan_has_no_quantiles() -> None:
    found = compared([math.nan] * 3, [math.nan] * 3)
    assert all(math.isnan(value) for value in found.quantiles.values())
    json.dumps(found.to_document(), allow_nan=False)


def test_infinities() -> None:
    infinity = math.inf
    found = compared([infinity, -infinity, infinity, 1.0], [infinity, -infinity, -infinity, infinity], rtol=0.5)
    assert (found.different, found.beyond) == (2, 2)
    assert found.largest is not None
    assert (found.largest.size, found.largest.row) == (infinity, 2)
    json.dumps(found.to_document(), allow_nan=False)


def test_both_zeros_are_one() -> None:
    assert compared([0.0, -0.0], [-0.0, 0.0]).different == 0


def test_large_integers_that_floats_do_not_tell_apart_differ() -> None:
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    found = compared(np.array([2**53 + 1, low, -1]), np.array([2**53, high, 1]))
    assert found.different == 3
    assert found.largest is not None
    assert (found.largest.size, found.largest.row) == (float(2**64 - 1), 1)
    mixed = compared(np.array([2**63 + 1], np.uint64), np.array([2**63], np.uint64))
    assert mixed.different == 1


def test_signed_and_unsigned_integers() -> None:
    found = compared(np.array([-1, 5]), np.array([2**64 - 1, 5], np.uint64))
    assert found.different == 1
    assert found.largest is not None
    assert found.largest.size == float(2**64)


def test_types_and_shapes_are_told(tmp_path: Path) -> None:
    found = compared(np.zeros((3, 2), np.float32), np.zeros((3, 2), np.int64))
    document = found.to_document()
    assert [(info["shape"], info["dtype"]) for info in document["inputs"]] == [([3, 2], "float32"), ([3, 2], "int64")]


@pytest.mark.parametrize(("first", "second"), [((4, 2), (4, 3)), ((4, 2), (4,)), ((4, 2, 3), (4, 6))])
def test_nothing_is_broadcast(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="the shapes differ"):
        compared(np.zeros(first), np.zeros(second))


def test_empty_files_are_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        compared(np.zeros(0), np.zeros(0))


@pytest.mark.parametrize("size", [5e-324, 1e-300, 1e-9, 1.0, 3.7, 1e300, np.finfo(np.float64).max])
def test_quantiles_hold_numbers_of_every_size(size: float) -> None:
    quantiles = BinnedQuantiles()
    quantiles.add(np.array([0.0, size, size, math.inf]))
    found = quantiles.at((0.25, 0.5, 0.75, 1.0), math.inf)
    assert (found[0.25], found[1.0]) == (0.0, math.inf)
    assert found[0.5] == found[0.75]
    assert found[0.5] == pytest.approx(size, rel=0.005, abs=1e-306)
    assert len(QUANTILES) == len(set(QUANTILES))
