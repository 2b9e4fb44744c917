"""Which rows a row function can compute: those whose numbers are in their domains. See `row_functions.py`."""

from __future__ import annotations

import math

import numpy as np

from .batch import Array, Batch
from .domains import Domain
from .facts import InputShape
from .plan import Plan
from .reduce import LOOKED_AT_ONE_IN, rows_looked_at_first
from .reports import Mask, bounds_in_float64
from .spec import Scope


def are_inside_here_and_there(plan: Plan, batch: Batch) -> bool:
    """Whether predictions are in their domain: the first rows of the data set, and one in so many, are looked at.

    A row is here one of as many values as there are classes, such as a frame.
    """
    rows = batch.prediction.reshape(-1, plan.width)
    first = batch.first_row * math.prod(batch.prediction.shape[1:-1])
    among_the_first, later = max(0, rows_looked_at_first(plan.width) - first), -first % LOOKED_AT_ONE_IN
    parts = rows[:among_the_first], rows[later::LOOKED_AT_ONE_IN]
    return all(_all_inside(part, *bounds_in_float64(plan.prediction_domain)) for part in parts)


def computable(plan: Plan, batch: Batch, rows: slice, predictions: bool) -> Mask:
    """Which of these rows have their numbers in their domains; of all pairs, all rows or none.

    Of `predictions` too, unless somebody else looks at those.
    """
    given = batch.prediction[rows]
    found = inside_of(given, plan.prediction_domain) if predictions else np.ones(len(given), np.bool_)
    if batch.target.dtype.kind == "f":
        found &= inside_of(batch.target[rows], plan.settings.loss.target)
    for name, array in batch.inputs.items():
        facts = plan.settings.loss.inputs[name]
        if facts.shape is InputShape.WHOLE:
            found &= bool(inside_of(array, facts.domain).all())
        else:
            found &= inside_of(array[rows], facts.domain)
    return np.full(found.size, bool(found.all())) if plan.scope is Scope.PAIRS else found


def _all_inside(array: Array, low: np.float64, high: np.float64) -> bool:
    """Whether all values are within bounds; NaN, which is its own minimum and maximum, is within none."""
    return not array.size or bool(array.max() <= high and (low == -np.inf or array.min() >= low))


def inside_of(array: Array, domain: Domain) -> Mask:
    """Which rows have all their values in the domain."""
    low, high = bounds_in_float64(domain)
    if array.size and not domain.labels and _all_inside(array, low, high):
        return np.ones(len(array), np.bool_)
    within = np.isin(array, domain.labels) if domain.labels else (array >= low) & (array <= high)
    return np.asarray(within if within.ndim == 1 else within.reshape(len(within), -1).all(axis=1))
