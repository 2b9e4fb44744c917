"""Predictions and targets for any loss of the registry, drawn from its domains with a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl_kernels import Scope, Settings
from lossctl_kernels.domains import LOG_PROBABILITY, Domain, TargetKind
from lossctl_kernels.spec import InputShape

Array = NDArray[Any]

# Arrays of a few tens of megabytes are drawn anew for each case, were they not kept.
KEPT = 3
FAR = 1.5
"""How far from the finite end of its domain a number is drawn where the other end is infinite."""
AWAY_FROM_0 = 0.125

CLASSES_TO_COMPARE = 10
COMPARE_CLASSES = ("zero_one", "hamming")
"""Losses that only ask whether two numbers are the same."""

DIVIDE_BY_TARGETS = ("mape",)
"""Losses that are infinite at a target of 0, which millions of random numbers have among them."""

FRAMES, SPELLED, FEWEST_SEQUENCES = 50, 10, 8
"""Of a sequence, the labels that it spells, and how many there are at least."""

ROWS_OF_PAIRS = 2048
"""A loss of all pairs takes time by the square of them."""

COMPARE_DISTRIBUTIONS = ("generalized_kl", "js_divergence", "kl_divergence")
"""Losses of which a one-hot row is a special case."""


@dataclass(frozen=True)
class Data:
    """What a loss is computed of; `target` is of the dtype of the prediction, or a class index in int64."""

    prediction: Array
    target: Array
    inputs: Mapping[str, Array] = field(default_factory=dict)
    """The further arrays of a loss, all of as many rows."""

    @property
    def arrays(self) -> tuple[Array, ...]:
        """In the order in which peers take them."""
        return self.prediction, self.target, *self.inputs.values()

    @property
    def width(self) -> int:
        return int(self.prediction.shape[-1]) if self.prediction.ndim > 1 else 1

    def head(self, rows: int) -> Data:
        """The first rows."""
        return Data(self.prediction[:rows], self.target[:rows], {name: a[:rows] for name, a in self.inputs.items()})


def draw(settings: Settings, rows: int, width: int, dtype: str, *, soft: bool = False) -> Data:
    """Rows of `width` values for a loss with every option decided.

    Labels are 0 or 1, and rows of labels one-hot, unless they are to be `soft`.
    """
    loss = settings.loss
    if loss.target_kind is TargetKind.SEQUENCE:
        return _sequences(settings, max(FEWEST_SEQUENCES, rows // FRAMES), width, dtype)
    if loss.target_kind is TargetKind.GROUP:
        return _groups(min(rows, ROWS_OF_PAIRS), width, dtype)
    found = _draw(settings, rows, width, dtype, soft)
    inputs = {}
    for seed, (name, facts) in enumerate(loss.inputs.items(), 2):
        if not facts.optional:
            shape = (rows,) if facts.shape is InputShape.ONE_A_ROW else found.prediction.shape
            labels = facts.domain.labels
            inputs[name] = _labels(labels, shape, dtype) if labels else _inside(facts.domain, shape, dtype, seed)
    return Data(found.prediction, found.target, inputs)


def _sequences(settings: Settings, rows: int, width: int, dtype: str) -> Data:
    """Frames of scores, and labels that are never the blank, class 0."""
    shape = (rows, FRAMES, width)
    if settings.definition.prediction is LOG_PROBABILITY:
        prediction = _log_distribution((rows * FRAMES, width), dtype).reshape(shape)
    else:
        prediction = _inside(settings.definition.prediction, shape, dtype, 0)
    return Data(prediction, np.random.default_rng(1).integers(1, width, (rows, SPELLED)))


def _groups(rows: int, width: int, dtype: str) -> Data:
    """Unit vectors, a few to a group."""
    vectors = np.random.default_rng(0).standard_normal((rows, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Data(vectors.astype(dtype), np.random.default_rng(1).integers(0, max(1, rows // 4), rows))


def _lists(rows: int, width: int) -> NDArray[np.int64]:
    """Different classes, some of each row, ended by -1."""
    random = np.random.default_rng(1)
    lists = np.argsort(random.random((rows, width)), axis=1)
    lists[np.arange(rows), random.integers(1, width, rows)] = -1
    return lists


def _draw(settings: Settings, rows: int, width: int, dtype: str, soft: bool) -> Data:
    """Without further inputs."""
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
    return Data(prediction, _target(settings, shape, dtype, soft))


def _target(settings: Settings, shape: tuple[int, ...], dtype: str, soft: bool) -> Array:
    loss = settings.loss
    if loss.target_kind is TargetKind.LABELS:
        return _lists(*shape)
    if loss.target_kind is TargetKind.INDEX:
        return _index(*shape)
    if loss.target_kind is TargetKind.DISTRIBUTION:
        soft = soft or loss.name in COMPARE_DISTRIBUTIONS
        return _distribution(shape, dtype, 1) if soft else _one_hot(shape, dtype)
    labels = loss.target.labels
    if (loss.target.low, loss.target.high) == (0.0, 1.0) and not soft:
        labels = (0.0, 1.0)
    if labels:
        return _labels(labels, shape, dtype)
    found = _inside(loss.target, shape, dtype, 1)
    return np.copysign(np.abs(found) + AWAY_FROM_0, found) if loss.name in DIVIDE_BY_TARGETS else found


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
