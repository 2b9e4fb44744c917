"""Rows that are not finite, by themselves: what arithmetic makes of them, on every backend the same.

The interpreter computes them, since compiled code may order minima and comparisons with NaN in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.rows.nonfinite import Mask, undefined_rows
from lossctl.sources.base import Array
from lossctl_kernels import Plan
from lossctl_kernels.batch import Batch
from lossctl_kernels.interpreted import Interpreter

Floats = NDArray[np.float64]
Prepare = Callable[[dict[str, Array]], Batch]


def odd_losses(plan: Plan, given: Mapping[str, Array], odd: Mask, whole: Collection[str], prepare: Prepare) -> Floats:
    """The losses of the odd rows of a chunk. What is undefined in one of them, or is no class, makes its loss NaN."""
    part, undefined = _odd(plan, given, odd, whole)
    losses = np.full(len(undefined), np.nan)
    if not undefined.all():
        losses[~undefined] = Interpreter().losses(plan, prepare(chosen(part, ~undefined, whole)))[1]
    return losses


def odd_gradients(
    plan: Plan,
    given: Mapping[str, Array],
    odd: Mask,
    whole: Collection[str],
    prepare: Prepare,
    scales: Floats,
    of: str,
    like: NDArray[Any],
) -> NDArray[Any]:
    """Their gradients with respect to `of`, each times one of `scales`, in rows `like` those; 0 where a scale is."""
    part, undefined = _odd(plan, given, odd, whole)
    found = np.full((len(undefined), *like.shape[1:]), np.nan)
    if not undefined.all():
        batch = prepare(chosen(part, ~undefined, whole))
        gradient = Interpreter().gradient(plan, batch, np.ascontiguousarray(scales[~undefined]), {}, of)
        found[~undefined] = gradient.reshape(-1, *like.shape[1:])
    found[scales == 0.0] = 0.0
    return found


def _odd(plan: Plan, given: Mapping[str, Array], odd: Mask, whole: Collection[str]) -> tuple[dict[str, Array], Mask]:
    """(the odd rows, which of them have no loss)."""
    part = chosen(given, odd, whole)
    undefined = undefined_rows(part, plan.settings.loss.target_kind)
    # A function of a whole row may sort it, and count on what it finds.
    return part, np.ones_like(undefined) if plan.definition.row_function else undefined


def chosen(arrays: Mapping[str, Array], rows: Mask, whole: Collection[str]) -> dict[str, Array]:
    """Some rows of all that is in step with the rows."""
    return {role: array if role in whole else array[rows] for role, array in arrays.items()}


def chosen_batch(batch: Batch, rows: Mask, whole: Collection[str]) -> Batch:
    """Some rows of a batch, without weights."""
    return Batch(batch.prediction[rows], batch.target[rows], inputs=chosen(batch.inputs, rows, whole))
