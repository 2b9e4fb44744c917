"""Order statistics of streams that are read once, against sorting everything."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import brackets
from lossctl_kernels.brackets import Brackets

Floats = NDArray[np.float64]
ASKED = (0.0, 0.01, 0.5, 0.975, 1.0)
RANDOM = np.random.default_rng(7)
MANY = 200_000

STREAMS: dict[str, Floats] = {
    "normal": RANDOM.normal(size=MANY),
    "skewed": RANDOM.lognormal(sigma=9.0, size=MANY),
    "ties": RANDOM.integers(-2, 3, MANY).astype(float),
    "mostly one number": np.where(RANDOM.uniform(size=MANY) < 0.9, 0.1, RANDOM.normal(size=MANY)),
    "one number": np.full(MANY, 0.1),
    "infinities": RANDOM.choice([-math.inf, 0.0, 1.0, math.inf], MANY),
    "largest": RANDOM.choice([sys.float_info.max, math.inf], MANY),
    "close": np.asarray(1.0 + RANDOM.integers(0, 99, MANY) * 2.0**-52, np.float64),
}


def streamed(values: Floats, most_kept: int, chunk: int = 30_000, asked: tuple[float, ...] = ASKED) -> Brackets:
    found = Brackets(asked, most_kept)
    for start in range(0, values.size, chunk):
        found.add(values[start : start + chunk])
    return found


def expected(values: Floats, asked: tuple[float, ...] = ASKED) -> list[tuple[float, float]]:
    ordered, last = np.sort(values).tolist(), values.size - 1
    below = [math.floor(quantile * last) for quantile in asked]
    return [(ordered[rank], ordered[min(rank + 1, last)]) for rank in below]


@pytest.mark.parametrize("most_kept", [MANY, 60_000])
@pytest.mark.parametrize("name", STREAMS)
def test_one_reading_finds_them(name: str, most_kept: int) -> None:
    assert streamed(STREAMS[name], most_kept).neighbours() == expected(STREAMS[name])


def test_a_chunk_may_be_larger_than_what_is_kept() -> None:
    values = np.sort(STREAMS["normal"])  # of a chunk, the sample comes from all parts
    assert streamed(values, 60_000, MANY).neighbours() == expected(values)


@pytest.mark.parametrize("turn", [1, -1])
def test_what_has_left_its_bracket_is_not_found(turn: int) -> None:
    ordered = np.sort(STREAMS["normal"])[::turn]
    assert streamed(ordered, 60_000, asked=(0.5,)).neighbours() is None
    assert streamed(ordered, MANY, asked=(0.5,)).neighbours() == expected(ordered, (0.5,))


@pytest.mark.parametrize("most_kept", [0, 1, 7, 300, 4000])
@pytest.mark.parametrize("name", STREAMS)
def test_what_is_found_is_right_however_little_is_kept(name: str, most_kept: int) -> None:
    for rows in (1, 2, 7, 8, 301, 5000):
        values = STREAMS[name][:rows]
        found = streamed(values, most_kept, 64).neighbours()
        assert found in (None, expected(values))
        assert found is not None or rows > most_kept


def test_a_bracket_that_is_full_closes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so holds no more than it may."""
    monkeypatch.setattr(brackets, "_PIECE", 500)
    found, values = Brackets((0.5,), 8000), STREAMS["normal"]
    for start in range(0, MANY, 1000):
        found.add(values[start : start + 1000])
        (bracket,) = found._brackets or (None,)
        assert bracket is None or sum(part.size for part in bracket._kept) <= 8500
    assert found.neighbours() == expected(values, (0.5,))


def test_nothing_has_no_quantiles() -> None:
    assert Brackets(ASKED, 10).neighbours() is None
