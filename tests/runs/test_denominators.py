"""What a mean divides by: every meaning of `denom`, and sums that do not fit float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossctl.runs.denominators import Denominator
from lossctl.values.preparation import Prepared
from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch
from lossctl_kernels.reduce import ExactSum

WEIGHTS = np.array([0.5, 0.0, 3.0, 0.25])


def counted(denom: str, shares: np.ndarray[tuple[int], np.dtype[np.float64]] | None, width: int = 3) -> Denominator:
    """Two chunks of four rows, of which three are kept and two have a loss above 0."""
    found = Denominator(Plan(resolve(LOSSES["mse"], {"denom": denom}), width))
    for _ in range(2):
        found.add(Prepared(Batch(np.zeros((4, width)), np.zeros((4, width))), shares, 3))
        found.positive += 2
    return found


@pytest.mark.parametrize(
    ("denom", "value"), [("count", 8.0), ("valid", 6.0), ("nonzero", 4.0), ("elements", 18.0), ("weight", 7.5)]
)
def test_what_each_option_divides_by(denom: str, value: float) -> None:
    assert counted(denom, WEIGHTS).value == value


def test_without_shares_the_weight_is_a_count() -> None:
    assert counted("weight", None).exact == 6


def test_shares_are_added_up_exactly() -> None:
    exact = counted("weight", np.array([1e300, 1.0, -0.0, 1e-300])).exact
    assert isinstance(exact, ExactSum)
    assert exact.value == 2e300


def test_a_sum_beyond_float64_is_infinite() -> None:
    assert math.isinf(counted("weight", np.full(4, 1.7e308)).value)
