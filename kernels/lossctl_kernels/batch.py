"""What passes between the evaluation and a backend: a batch of rows in, a report on each block out."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .plan import Plan
from .records import Record, field
from .spec import InputShape, Loss

Floats = NDArray[np.float64]
Array = NDArray[Any]


class Batch(Record):
    """Consecutive rows that begin at the start of a block.

    `prediction` and a dense `target` are C-contiguous, both float32 or both float64, of shape (rows,) or
    (rows, width); a class index is int64 of shape (rows,), and at rows that are not kept it is any class.
    """

    prediction: Array
    target: Array
    weights: Floats | None = None
    """Factor of each row's loss in the sum, shape (rows,); None is 1."""
    keep: NDArray[np.bool_] | None = None
    """False for rows that are left out: their loss is NaN and they count nowhere; None keeps all."""
    first_row: int = 0
    """Where in the data set the batch begins."""
    inputs: Mapping[str, Array] = field(default_factory=dict)
    """The further inputs by name, C-contiguous: shaped like the prediction or (rows,), as `Input.shape` says, in the
    dtype of the prediction, or int64 where it is `integer`; what is WHOLE in the shape that it has."""

    @property
    def rows(self) -> int:
        return int(self.prediction.shape[0])


def input_arrays(plan: Plan, batch: Batch) -> tuple[Array, ...]:
    """The further inputs that the programs of a plan read; ones for those that are optional and not given."""
    loss = plan.settings.loss
    return tuple(
        batch.inputs[name] if name in batch.inputs or not loss.inputs[name].optional else ones_for(loss, name, batch)
        for name in plan.inputs
    )


def ones_for(loss: Loss, name: str, batch: Batch) -> Array:
    """What stands for an optional input that is not given."""
    shape = batch.prediction.shape
    return np.ones(shape[:1] if loss.inputs[name].shape is InputShape.ONE_A_ROW else shape, batch.prediction.dtype)


class Column(IntEnum):
    """The columns of a report, one row a block."""

    SUM = 0
    """Weighted sum of the losses."""
    NONFINITE = 1
    """Losses that are infinite or NaN."""
    POSITIVE = 2
    """Losses above 0."""
    LOWEST = 3
    HIGHEST = 4
    BAD_PREDICTIONS = 5
    """Values outside the domain of the prediction, NaN among them."""
    BAD_TARGETS = 6
    BAD_PREDICTION_ROWS = 7
    """Rows that should sum to 1 and do not."""
    BAD_TARGET_ROWS = 8


class Backend(Protocol):
    """Runs the programs of a plan over batches. Answers agree between backends to rounding."""

    name: str

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        """(report of shape (blocks, len(Column)), losses of shape (rows,), or anything where they are not `wanted`)."""

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        """(report, states of shape (blocks, folds)): sums of the terms, the largest magnitude for scales."""

    def gradient(
        self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float], of: str = "prediction"
    ) -> Array:
        """Gradient of each row's loss times its scale, in the shape and dtype of the prediction.

        `totals` are the folds over the data set and their weight, where the loss has that scope. `of` is what it is
        with respect to: one of the plan's `gradient_names`, of which each has the shape of the prediction.
        """
