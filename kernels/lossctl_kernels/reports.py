"""What is said of each block in NumPy: of its losses, and of the numbers that lie outside their domain."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .batch import Batch, Column, Floats
from .domains import Domain
from .plan import Plan
from .reduce import tree_sum

Mask = NDArray[np.bool_]


def blocks(batch: Batch, rows: int) -> list[Batch]:
    """The batch, cut into blocks."""
    return [
        Batch(
            batch.prediction[start : start + rows],
            batch.target[start : start + rows],
            None if batch.weights is None else batch.weights[start : start + rows],
            None if batch.keep is None else batch.keep[start : start + rows],
            inputs={name: values[start : start + rows] for name, values in batch.inputs.items()},
        )
        for start in range(0, batch.rows, rows)
    ]


def table(rows: list[Any], columns: int) -> Floats:
    """One row a block; of no rows there are no blocks."""
    return np.array(rows, np.float64).reshape(-1, columns)


def report(plan: Plan, block: Batch, losses: Floats) -> Floats:
    """The report on one block; see `batch.Column`. Data must be right in rows that are left out, too."""
    row = report_of_losses(losses, block.weights, block.keep)
    with np.errstate(all="ignore"):
        row[Column.BAD_PREDICTIONS] = np.count_nonzero(outside(block.prediction, plan.prediction_domain))
        if not plan.sparse:
            row[Column.BAD_TARGETS] = np.count_nonzero(outside(block.target, plan.settings.loss.target))
        if plan.rows_sum_to_one:
            row[Column.BAD_PREDICTION_ROWS] = np.count_nonzero(off_one(block.prediction, plan.tolerance))
        if plan.targets_sum_to_one:
            row[Column.BAD_TARGET_ROWS] = np.count_nonzero(off_one(block.target, plan.tolerance))
    return row


def report_of_losses(losses: Floats, weights: Floats | None, keep: Mask | None, described: bool = True) -> Floats:
    """What the report on one block says of its losses, as if its data were right.

    Where they need not be `described`, it may be their sum alone.
    """
    row = np.zeros(len(Column))
    with np.errstate(all="ignore"):
        summands = weighted(losses, weights)
        row[Column.SUM] = total = tree_sum(summands if keep is None else np.where(keep, summands, 0.0))
        if described or not math.isfinite(total):
            kept = losses if keep is None else losses[keep]
            row[Column.NONFINITE] = kept.size - np.count_nonzero(np.isfinite(kept))
            row[Column.POSITIVE] = np.count_nonzero(kept > 0.0)
            row[Column.LOWEST] = kept.min(initial=np.inf)
            row[Column.HIGHEST] = kept.max(initial=-np.inf)
    return row


def outside(values: NDArray[Any], domain: Domain) -> Mask:
    """Which values lie outside the bounds of the domain; NaN does."""
    low, high = bounds_in_float64(domain)
    return np.asarray(~((values >= low) & (values <= high)))


def bounds_in_float64(domain: Domain) -> tuple[np.float64, np.float64]:
    """As NumPy scalars: a Python float would be rounded to the dtype of an array, the largest float64 to infinity."""
    low, high = domain.bounds()
    return np.float64(low), np.float64(high)


def off_one(rows: NDArray[Any], tolerance: float) -> Mask:
    """Which rows do not sum to 1."""
    return np.asarray(~(np.abs(tree_sum(rows.astype(np.float64)) - 1.0) <= tolerance))


def weighted(values: Floats, weights: Floats | None) -> Floats:
    """`values` times their weights, where there are any."""
    return values if weights is None else values * weights
