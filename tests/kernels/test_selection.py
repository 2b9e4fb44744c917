"""Medians of streams against sorting everything, whatever fits into memory and however the stream is cut."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import selection
from lossctl_kernels.selection import Medians

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(5)


def medians(values: Floats, weights: Floats | None = None, chunk: int = 1000) -> list[float]:
    """Of each column, through as many passes as are asked for."""
    found, passes = Medians(values.shape[1]), 0
    while passes == 0 or found.end_pass():
        passes += 1
        assert passes <= 17
        for start in range(0, len(values), chunk):
            part = slice(start, start + chunk)
            found.add(values[part], None if weights is None else weights[part])
    return found.values.tolist()


def sorted_median(values: Floats, weights: Floats) -> Any:
    """By its definition, in fractions."""
    pairs = sorted((v, Fraction(w)) for v, w in zip(values.tolist(), weights.tolist(), strict=True) if w > 0.0)
    half, reached = sum((w for _, w in pairs), Fraction(0)) / 2, Fraction(0)
    for position, (value, weight) in enumerate(pairs):
        reached += weight
        if reached >= half:
            return value if reached > half else (value + pairs[position + 1][0]) / 2
    raise AssertionError("no weight")


DATA = {
    "spread": RANDOM.exponential(size=(4001, 1)) * 10.0 ** RANDOM.integers(-300, 300, (4001, 1)),
    "even": RANDOM.exponential(size=(4000, 1)),
    "close": 1.0 + RANDOM.integers(0, 999, (2000, 1)) * 2.0**-52,
    "ties": RANDOM.integers(0, 3, (3000, 1)).astype(float),
    "equal": np.full((3000, 1), 0.1),
    "two values": np.repeat([[1.0], [5e-324]], 1500, axis=0),
    "half infinite": np.repeat([[np.inf], [2.0], [1.0]], [999, 500, 500], axis=0),
    "zeros": np.zeros((2001, 1)),
    "columns": RANDOM.exponential(size=(1001, 7)),
    "many columns": RANDOM.exponential(size=(24, 70)),
}


@pytest.mark.parametrize("most_kept", [1 << 20, 300, 0])
@pytest.mark.parametrize("name", DATA)
def test_medians_are_those_of_sorting(name: str, most_kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MOST_KEPT", most_kept)
    assert medians(DATA[name]) == np.median(DATA[name], axis=0).tolist()


WEIGHTS: dict[str, Any] = {
    "uniform": lambda rows: RANDOM.uniform(0.0, 1.0, rows),
    "some absent": lambda rows: RANDOM.integers(0, 3, rows).astype(float),
    "equal": lambda rows: np.full(rows, 0.1),
    "extreme": lambda rows: 2.0 ** RANDOM.integers(-300, 300, rows),
    "tiny": lambda rows: RANDOM.integers(1, 4, rows) * 5e-324,
}


@pytest.mark.parametrize("most_kept", [1 << 20, 300, 0])
@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("name", ["even", "close", "ties", "columns"])
def test_weighted_medians_are_those_of_sorting(
    name: str, kind: str, most_kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "MOST_KEPT", most_kept)
    monkeypatch.setattr(selection, "_MOST_BITS_A_PASS", 9)
    weights = WEIGHTS[kind](len(DATA[name]))
    exact = [sorted_median(column, weights) for column in DATA[name].T]
    assert medians(DATA[name], weights) == exact
    assert medians(DATA[name], weights, chunk=401) == exact


def test_decimals_that_add_up_to_a_half_are_a_half() -> None:
    """0.1 + 0.2 is more than 0.3 in binary, though nobody who writes such weights means that."""
    assert medians(np.array([[1.0], [2.0], [3.0]]), np.array([0.1, 0.2, 0.3])) == [2.5]


@pytest.mark.parametrize("most_kept", [1 << 20, 0])
def test_equal_weights_are_none(most_kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "MOST_KEPT", most_kept)
    values = DATA["even"]
    for weight in (1.0, 0.1, 1e-320, 1e303):
        assert medians(values, np.full(len(values), weight)) == np.median(values, axis=0).tolist()


def test_a_negative_zero_is_a_zero() -> None:
    assert np.copysign(1.0, medians(np.array([[-0.0], [-0.0], [1.0]]))) == 1.0


def test_nothing_has_no_median() -> None:
    assert np.isnan(medians(np.ones((3, 1)), np.zeros(3))).all()


def test_numbers_come_again_where_they_do_not_fit_and_say_little_of_those_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selection, "MOST_KEPT", 2500)
    ordered = np.sort(DATA["even"], axis=0)
    found, passes = Medians(1), 0
    while passes == 0 or found.end_pass():
        passes += 1
        for start in range(0, len(ordered), 1000):
            found.add(ordered[start : start + 1000], None)
    assert passes > 1
    assert found.values.tolist() == [np.median(ordered)]
