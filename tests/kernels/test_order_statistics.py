"""Quantiles of streams against NumPy's, in one pass or several."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from lossctl_kernels import order_statistics
from lossctl_kernels.order_statistics import Quantiles

ASKED = (0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0)
RANDOM = np.random.default_rng(5)


def streamed(values: NDArray[np.float64], chunk: int) -> tuple[dict[float, float], int]:
    """The quantiles of values that come in chunks, and the number of passes."""
    quantiles, passes, more = Quantiles(ASKED), 0, True
    while more:
        for start in range(0, values.size, chunk):
            quantiles.add(values[start : start + chunk])
        passes += 1
        more = quantiles.end_pass()
    return quantiles.values, passes


def expected(values: NDArray[np.float64]) -> dict[float, float]:
    return dict(zip(ASKED, np.quantile(values, ASKED).tolist(), strict=True))


SAMPLES = {
    "normal": RANDOM.normal(size=5001),
    "skewed": RANDOM.lognormal(sigma=4.0, size=4000),
    "ties": RANDOM.integers(-2, 3, 5000).astype(float),
    "one number": np.full(3000, 0.1),
    "close": 1.0 + RANDOM.uniform(size=4097) * 1e-12,
    "signed zeros": np.repeat([-0.0, 0.0, 5e-324, -5e-324], 1000),
}


@pytest.mark.parametrize("most", [1, 300, 10_000])
@pytest.mark.parametrize("name", SAMPLES)
def test_they_are_those_of_numpy_however_few_numbers_are_kept(
    name: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_statistics, "MOST_KEPT", most)
    found, passes = streamed(SAMPLES[name], 512)
    assert found == expected(SAMPLES[name])
    assert passes == 1 or SAMPLES[name].size > most
    assert passes <= 6


def test_sorted_numbers_that_do_not_fit_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_statistics, "MOST_KEPT", 300)
    values = np.sort(SAMPLES["normal"])
    found, passes = streamed(values, 200)
    assert found == expected(values)
    assert 1 < passes <= 6


@given(
    arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_nan=False, allow_infinity=False)),
    st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_any_numbers_in_any_chunks(values: NDArray[np.float64], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order_statistics, "MOST_KEPT", 5)
        found, _ = streamed(values, chunk)
        ordered = np.sort(values)
    for quantile, value in found.items():
        at = quantile * (values.size - 1)
        assert ordered[math.floor(at)] <= value <= ordered[min(math.floor(at) + 1, values.size - 1)]


def test_infinities_have_their_place() -> None:
    found, _ = streamed(np.array([1.0, math.inf, -math.inf, 2.0, math.inf]), 2)
    assert found[0.0] == -math.inf
    assert found[0.25] == 1.0
    assert found[0.5] == 2.0
    assert found[0.9] == math.inf
    assert streamed(np.array([1.0, math.inf]), 1)[0][0.5] == math.inf


def test_no_numbers_have_no_quantiles() -> None:
    found, passes = streamed(np.empty(0), 1)
    assert passes == 1
    assert all(math.isnan(value) for value in found.values())
