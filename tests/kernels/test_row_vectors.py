"""Passes over arrays: their vector code does what they do as they stand, and both are exact to rounding."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels.row_cpu import run_on_threads
from lossctl_kernels.row_functions import RowCall, RowCode, interpret
from lossctl_kernels.row_vectors import add_exponentials, exponentials, largest_of, meet, pull, sum_of_others

Floats = NDArray[np.float64]
Engine = Callable[[RowCall], None]

ENGINES = [
    pytest.param(interpret, id="python"),
    pytest.param(
        lambda call: run_on_threads(call, 1),
        id="cpu",
        marks=pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled"),
    ),
]
engines = pytest.mark.parametrize("engine", ENGINES)
dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])
sizes = pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 16, 33])


def run(
    engine: Engine, function: Callable[..., Any], prediction: NDArray[Any], numbers: tuple[float, ...], size: int
) -> Floats:
    """What a function of (row, prediction, scratch, gradient, numbers…) leaves in the gradient, of that size."""
    found = np.full((1, size), np.nan)
    names = tuple(f"number{i}" for i in range(len(numbers)))
    code = RowCode(function, (("prediction", prediction.dtype.name, 2),), ("gradient", "float64", 2), names)
    engine(RowCall(code, (prediction,), found, numbers, np.empty(0), np.ones(1, bool), lambda lanes: 4096, 4))
    return found[0]


def passes(row: int, prediction: Any, scratch: Any, gradient: Any, factor: float) -> None:
    values = prediction[row]
    gradient[row, 0] = largest_of(values)
    gradient[row, 1] = sum_of_others(values, gradient[row, 0])
    exponentials(values, gradient[row, 0], factor, scratch)
    for k in range(values.size):
        gradient[row, k + 2] = scratch[k]


@engines
@dtypes
@sizes
@pytest.mark.parametrize("spread", [1e-3, 1.0, 300.0])
def test_passes_over_a_row(engine: Engine, dtype: str, size: int, spread: float) -> None:
    values = np.random.default_rng(size).normal(0.0, spread, (1, size)).astype(dtype)
    values[0, size // 2 :: 5] = values.max()  # several are the largest
    found = run(engine, passes, values, (0.75,), size + 2)
    with mpmath.workdps(700):
        exact = [mpmath.exp(float(value) - float(values.max())) for value in values[0]]  # of rounded differences
        others = float(mpmath.fsum(exact) - 1)
    assert found[0] == values.max()
    assert found[1] == pytest.approx(others, rel=1e-15 * size, abs=0.0)
    np.testing.assert_allclose(found[2:], [0.75 * float(power) for power in exact], rtol=5e-16, atol=1e-320)


@engines
@sizes
def test_what_is_impossible_has_no_weight(engine: Engine, size: int) -> None:
    values = np.full((1, size), -math.inf)
    values[0, -1] = 3.0
    found = run(engine, passes, values, (1.0,), size + 2)
    assert found.tolist() == [3.0, 0.0, *[0.0] * (size - 1), 1.0]


def products(row: int, prediction: Any, scratch: Any, gradient: Any, lanes: float, start: float, stop: float) -> None:
    """Anchors are the first rows; slopes begin as 1."""
    count, first, last, width = int(lanes), int(start), int(stop), prediction.shape[1]
    anchors, pairs, factors = scratch[: width * count], scratch[1024:2048], scratch[2048:3072]
    slopes = scratch[3072:]
    for j in range(last - first):
        factors[j] = 2.0 + j
    for lane in range(count):
        for d in range(width):
            anchors[d * count + lane], slopes[d * count + lane] = float(prediction[lane, d]), 1.0
    meet(anchors, count, prediction, factors, first, last, pairs)
    pull(slopes, count, prediction, factors, first, last, pairs)
    for i in range((last - first) * count):
        gradient[row, i] = pairs[i]
    for i in range(width * count):
        gradient[row, (last - first) * count + i] = slopes[i]


@engines
@dtypes
@pytest.mark.parametrize("lanes", [1, 5, 8, 12, 32])
@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 8), (0, 32)])
@pytest.mark.parametrize("width", [1, 7])
def test_products_of_a_tile(engine: Engine, dtype: str, lanes: int, start: int, stop: int, width: int) -> None:
    rows = np.random.default_rng(lanes).normal(size=(32, width)).astype(dtype)
    size = (stop - start) * lanes
    found = run(engine, products, rows, (lanes, start, stop), size + width * lanes)
    references = rows[start:stop].astype(np.float64) * (2.0 + np.arange(stop - start))[:, None]
    pairs = references @ rows[:lanes].astype(np.float64).T
    slopes = 1.0 + references.T @ pairs
    np.testing.assert_allclose(found[:size].reshape(-1, lanes), pairs, rtol=0.0, atol=1e-14 * abs(pairs).max())
    np.testing.assert_allclose(found[size:].reshape(width, lanes), slopes, rtol=0.0, atol=1e-14 * abs(slopes).max())


def sums(row: int, prediction: Any, scratch: Any, gradient: Any, tiles: float) -> None:
    """Of the rows of predictions as tiles of pairs, four references each."""
    lanes = prediction.shape[1] // 4
    largest, totals, pairs = scratch[:lanes], scratch[lanes : 2 * lanes], scratch[2 * lanes :]
    for lane in range(lanes):
        largest[lane], totals[lane] = -math.inf, 0.0
    for tile in range(int(tiles)):
        for i in range(4 * lanes):
            pairs[i] = float(prediction[tile, i])
        add_exponentials(pairs, lanes, 4, largest, totals)
    for lane in range(lanes):
        gradient[row, 2 * lane], gradient[row, 2 * lane + 1] = largest[lane], totals[lane]


@engines
@pytest.mark.parametrize("lanes", [1, 7, 8, 19])
@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_sums_of_exponentials_of_a_tile(engine: Engine, lanes: int, spread: float) -> None:
    tiles = np.random.default_rng(lanes).normal(0.0, spread, (3, 4 * lanes))
    tiles[0, :] = -math.inf  # nothing yet
    tiles[2, ::3] = -math.inf
    tiles[:, 0::lanes] = -math.inf  # nothing ever
    found = run(engine, sums, tiles, (3.0,), 2 * lanes).reshape(lanes, 2)
    for lane in range(lanes):
        exponents = tiles[:, lane::lanes].ravel()
        assert found[lane, 0] == exponents.max()
        if lane > 0:
            assert found[lane, 1] == pytest.approx(math.fsum(np.exp(exponents - exponents.max())), rel=1e-14)
    assert found[0, 1] == 0.0
