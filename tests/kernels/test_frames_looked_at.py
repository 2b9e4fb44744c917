"""Which frames of CTC are checked: those that count, and of the others some."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels.batch import Array, Batch, Column
from lossctl_kernels.reduce import LOOKED_AT_ONE_IN, rows_looked_at_first
from tests.kernels.engines import backend_of, backends
from tests.kernels.sequences import Floats, frames_of, plan_of, slopes, values

engines = pytest.mark.parametrize("backend", backends())

SHAPE = 40, 30, 20
FIRST_FRAMES = rows_looked_at_first(SHAPE[2])
LATER_FRAME = 2 * LOOKED_AT_ONE_IN


def spelled() -> tuple[Floats, NDArray[np.int64]]:
    """Logarithms of probabilities, and labels that are never the last class."""
    return frames_of("log_prob", SHAPE), np.random.default_rng(1).integers(1, SHAPE[2] - 1, (SHAPE[0], 4))


def bad_predictions(prediction: Array, target: Array, backend: str, first_row: int = 0) -> int:
    batch = Batch(prediction[first_row:], target[first_row:], first_row=first_row)
    report, _ = backend_of(backend).losses(plan_of({"input": "log_prob"}, prediction), batch, False)
    return int(report[:, Column.BAD_PREDICTIONS].sum())


@engines
@pytest.mark.parametrize("bad", [1e-9, math.inf, math.nan])
@pytest.mark.parametrize("frame", [0, 7, SHAPE[1] - 1])
@pytest.mark.parametrize("label", [0, 3, None])
def test_every_logarithm_that_counts_is_checked(label: int | None, frame: int, bad: float, backend: str) -> None:
    prediction, target = spelled()
    row = SHAPE[0] - 1
    prediction[row, frame, 0 if label is None else target[row, label]] = bad
    assert bad_predictions(prediction, target, backend) == 1
    assert bad_predictions(prediction, target, backend, first_row=row - 1) == 1


@pytest.mark.parametrize("backend", [one for one in backends() if one.id == "cpu"])
@pytest.mark.parametrize(
    ("frame", "is_seen"),
    [(0, True), (FIRST_FRAMES - 1, True), (FIRST_FRAMES, False), (LATER_FRAME, True), (LATER_FRAME + 1, False)],
)
def test_other_logarithms_are_looked_at_first_and_then_now_and_then(frame: int, is_seen: bool, backend: str) -> None:
    prediction, target = spelled()
    losses, gradient = (of({"input": "log_prob"}, prediction, target, backend) for of in (values, slopes))
    prediction[frame // SHAPE[1], frame % SHAPE[1], SHAPE[2] - 1] = 0.5
    assert bad_predictions(prediction, target, "python") == 1
    for first_row in (0, frame // SHAPE[1] // 2, frame // SHAPE[1]):
        assert bad_predictions(prediction, target, backend, first_row) == is_seen
    if not is_seen:
        np.testing.assert_array_equal(values({"input": "log_prob"}, prediction, target, backend), losses)
        np.testing.assert_array_equal(slopes({"input": "log_prob"}, prediction, target, backend), gradient)


@engines
def test_rows_too_short_are_counted_whatever_their_logarithms_are(backend: str) -> None:
    prediction, target = spelled()
    prediction[-1, -1, -1] = 0.5
    plan = plan_of({"input": "log_prob"}, prediction).degenerate
    assert plan is not None
    lengths = {"input_lengths": np.array([2, *[SHAPE[1]] * (SHAPE[0] - 1)])}
    report, _ = backend_of(backend).losses(plan, Batch(prediction, target, inputs=lengths), False)
    assert report[:, Column.SUM].tolist() == [1.0]
