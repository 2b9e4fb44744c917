"""Items of lists that do not count, or count by a weight: what `mask` and `item_weight` make of a batch."""

from __future__ import annotations

import numpy as np

from lossctl_kernels.batch import Batch
from lossctl_kernels.records import replace


def of_items(batch: Batch) -> Batch:
    """The batch without the items that `mask` is 0 for, relevances times `item_weight`; itself where neither is given.

    An item that is left out gets the logit of a probability of 0 and no relevance; a list without any item is not kept.
    What no item may be stays as it is, masked or not, for the check of the data to find.
    """
    mask, weight = batch.inputs.get("mask"), batch.inputs.get("item_weight")
    if mask is None and weight is None:
        return batch
    prediction, target = (array.astype(np.float64) for array in (batch.prediction, batch.target))
    if weight is not None:
        target *= weight
    if mask is None:
        return replace(batch, prediction=prediction, target=target, inputs={})
    prediction[(mask == 0) & (prediction < np.inf)] = -np.inf
    target[(mask == 0) & (target >= 0.0)] = 0.0
    return replace(batch, prediction=prediction, target=target, keep=(mask != 0).any(axis=1), inputs={})
