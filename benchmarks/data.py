"""Predictions and targets for any loss of the registry, drawn from its domains with a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl_kernels import Scope, Settings
from lossctl_kernels.domains import LOG_PROBABILITY, Domain, TargetKind

__all__ = ["Array", "Data", "draw"]

Array = NDArray[Any]

# Arrays of a few tens of megabytes are drawn anew for each case, were they not kept.
KEPT = 3
FAR = 1.5
"""How far from the finite end of its domain a number is drawn where the other end is infinite."""

CLASSES_TO_COMPARE = 10
COMPARE_CLASSES = ("zero_one", "hamming")
"""Losses that only ask whether two numbers are the same."""

COMPARE_DISTRIBUTIONS = ("generalized_kl", "js_divergence", "kl_divergence")
"""Losses of which a one-hot row is a special case."""


@dataclass(frozen=True)
class Data:
    """What a loss is computed of; `target` is of the dtype of the prediction, or a class index in int64."""

    prediction: Array
    target: Array

    @property
    def arrays(self) -> tuple[Array, ...]:
        """In the order in which peers take them."""
        return self.prediction, self.target

    @property
    def width(self) -> int:
        return int(self.prediction.shape[1]) if self.prediction.ndim > 1 else 1

    def head(self, rows: int) -> Data:
        """The first rows."""
        return Data(self.prediction[:rows], self.target[:rows])


def draw(settings: Settings, rows: int, width: int, dtype: str, *, soft: bool = False) -> Data:
    """Rows of `width` values for a loss with every option decided.

    Labels are 0 or 1, and rows of labels one-hot, unless they are to be `soft`.
    """
    loss, definition = settings.loss, settings.definition
    shape = (rows, width) if definition.scope is Scope.ROW or width > 1 else (rows,)
    if loss.name in COMPARE_CLASSES:
        return Data(_classes(shape, dtype, 0), _classes(shape, dtype, 1))
    if definition.prediction.rows_sum_to_one:
        prediction = _distribution(shape, dtype, 0)
    elif definition.prediction is LOG_PROBABILITY:
        prediction = _log_distribution(shape, dtype)
    else:
        prediction = _inside(definition.prediction, shape, dtype, 0)
    if loss.target_kind is TargetKind.INDEX:
        return Data(prediction, _index(rows, width))
    if loss.target_kind is TargetKind.DISTRIBUTION:
        soft = soft or loss.name in COMPARE_DISTRIBUTIONS
        return Data(prediction, _distribution(shape, dtype, 1) if soft else _one_hot(shape, dtype))
    if (loss.target.low, loss.target.high) == (0.0, 1.0) and not soft:
        return Data(prediction, _labels((0.0, 1.0), shape, dtype))
    if loss.target.labels:
        return Data(prediction, _labels(loss.target.labels, shape, dtype))
    return Data(prediction, _inside(loss.target, shape, dtype, 1))


@lru_cache(KEPT)
def _inside(domain: Domain, shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Standard normal numbers, or uniform ones where an end of the domain is finite, a little away from the ends."""
    random = np.random.default_rng(seed)
    if math.isinf(domain.low) and math.isinf(domain.high):
        return random.standard_normal(shape, dtype=np.dtype(dtype))
    high = domain.high if math.isfinite(domain.high) else domain.low + FAR
    low = domain.low if math.isfinite(domain.low) else domain.high - FAR
    margin = 0.01 * (high - low)
    uniform = random.random(shape, dtype=np.dtype(dtype))
    uniform *= high - low - 2.0 * margin
    uniform += low + margin
    return uniform


@lru_cache(KEPT)
def _labels(labels: tuple[float, ...], shape: tuple[int, ...], dtype: str) -> Array:
    return np.array(labels, dtype)[np.random.default_rng(1).integers(0, len(labels), shape, dtype=np.uint8)]


@lru_cache(KEPT)
def _classes(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    return np.random.default_rng(seed).integers(0, CLASSES_TO_COMPARE, shape, dtype=np.uint8).astype(dtype)


@lru_cache(KEPT)
def _distribution(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    values = np.random.default_rng(seed).random(shape, dtype=np.dtype(dtype))
    values += 0.02
    values /= values.sum(axis=1, keepdims=True)
    return values


@lru_cache(KEPT)
def _log_distribution(shape: tuple[int, ...], dtype: str) -> Array:
    return np.asarray(np.log(_distribution(shape, dtype, 0)))


@lru_cache(KEPT)
def _index(rows: int, width: int) -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, width, rows)


@lru_cache(KEPT)
def _one_hot(shape: tuple[int, ...], dtype: str) -> Array:
    rows, width = shape
    found = np.zeros(shape, dtype)
    found[np.arange(rows), _index(rows, width)] = 1.0
    return found
