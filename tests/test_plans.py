"""What follows from a request and the shapes of the data."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl.plans import STEP_VALUES, work_of
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader
from lossctl_kernels import LOSSES, Plan, resolve


@pytest.mark.parametrize(
    ("loss", "work"),
    [("mse", 30 * 4), ("sparsemax", STEP_VALUES * 30 * 4), ("circle", STEP_VALUES * 30 * 30 * 4)],
)
def test_row_functions_are_interpreted_step_by_step(loss: str, work: int) -> None:
    """Of pairs, each row meets all others."""
    feed = Feed([memory_reader({"prediction": np.ones((30, 4))})])
    assert work_of(Plan(resolve(LOSSES[loss], {}), 4), feed) == work
