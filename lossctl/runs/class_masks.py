"""Arrays of (rows, places…, classes) as one mask for each row and class, and gradients of masks back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossctl.errors import DataError
from lossctl.rows.feed import Feed
from lossctl.sources import ArrayInfo
from lossctl.sources.base import Array
from lossctl_kernels import Plan
from lossctl_kernels.batch import Batch
from lossctl_kernels.log_odds import log_odds, logit_gradient


@dataclass(frozen=True)
class ClassMasks:
    """How the last axis is taken apart: `classes` on it, and `places` values of each class in a row.

    `softmax`: logits become log-odds, whose sigmoid is the softmax over the classes.
    """

    classes: int
    places: int
    softmax: bool = False

    @classmethod
    def of(cls, prediction: ArrayInfo, plan: Plan) -> ClassMasks:
        """The classes are the last axis of the predictions, the places all axes before it but the first."""
        classes = int(prediction.shape[-1] or 1) if len(prediction.shape) > 1 else 1
        return cls(classes, plan.width // classes, softmax=plan.settings.input == "logit")

    def split(self, batch: Batch) -> tuple[Array, Array]:
        """(predictions, targets) of shape (classes, rows, places), in the dtype of the batch, log-odds in float64.

        Log-odds are NaN where no class is possible.
        """
        shape = (batch.rows, self.places, self.classes)
        dtype = np.dtype(np.float64) if self.softmax else batch.prediction.dtype
        prediction, target = (
            np.ascontiguousarray(array.reshape(shape).transpose(2, 0, 1), dtype)
            for array in (batch.prediction, batch.target)
        )
        if self.softmax:
            prediction = log_odds(prediction.reshape(self.classes, -1)).reshape(prediction.shape)
        return prediction, target

    def join(self, gradient: Array, prediction: Array) -> Array:
        """The gradient of the rows, (rows, places * classes), from that of the masks, (classes, rows, places).

        `prediction` is what `split` has made of it.
        """
        if self.softmax:
            flat = (array.reshape(self.classes, -1) for array in (gradient, prediction))
            gradient = logit_gradient(*flat).reshape(gradient.shape)
        return np.ascontiguousarray(gradient.transpose(1, 2, 0)).reshape(gradient.shape[1], -1)

    def refuse_impossible(self, batch: Batch, feed: Feed, first_row: int) -> None:
        """Raises DataError where every class of a place has a logit of minus infinity."""
        logits = batch.prediction.reshape(batch.rows, self.places, self.classes)
        rows = (logits == -np.inf).all(axis=2).any(axis=1)
        if self.softmax and rows.any():
            place = feed.place("prediction", first_row + int(np.argmax(rows)))
            raise DataError(f"{place}: every class has a logit of minus infinity", hint="one class must be possible")
