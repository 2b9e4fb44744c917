"""A frame of CTC as vector code does what `alignments.step_forward` does as it stands, to the bit."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels.alignments import step_forward
from lossctl_kernels.row_cpu import run_on_threads
from lossctl_kernels.row_functions import RowCall, RowCode

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

ROOM = 128


def stepping(row: int, prediction: Any, scratch: Any, gradient: Any, count: float) -> None:
    values, labels = prediction[row], int(count)
    step_forward(values[:ROOM], gradient[row], labels, values[ROOM:], values[2 * ROOM :], values[3 * ROOM :])


def compiled(given: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """What compiled code makes of one row of `given`: the states before, what may be skipped to, emissions, units."""
    found = np.full((1, ROOM), np.nan)
    code = RowCode(stepping, (("prediction", "float64", 2),), ("gradient", "float64", 2), ("count",))
    run_on_threads(
        RowCall(code, (given[None],), found, (float(count),), np.empty(0), np.ones(1, bool), lambda lanes: 1, 1), 1
    )
    return found[0]


def drawn(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """States some of which cannot be, of numbers that have to be settled and units that are close to each other."""
    states, given = 2 * count + 1, np.zeros((4, ROOM))
    given[0, :states] = np.exp2(rng.uniform(-128.0, 128.0, states))
    given[0, states : 2 * states] = rng.choice([-math.inf, -7.0, -6.0, -5.0], states)
    given[1, :count] = rng.integers(0, 2, count)
    given[2, : count + 1] = np.exp2(rng.uniform(-127.0, 127.0, count + 1))
    given[3, : count + 1] = rng.integers(-3, 1, count + 1)
    return given.reshape(-1)


@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 9, 16, 17, 31])
def test_the_states_are_the_same_and_nothing_else_is_written(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(20):
        given, expected = drawn(count, rng), np.full(ROOM, np.nan)
        before, skips, emissions, units = given.reshape(4, ROOM)
        step_forward(before, expected, count, skips, emissions, units)
        np.testing.assert_array_equal(compiled(given, count), expected)
        assert not np.isnan(expected[: 4 * count + 2]).any()
