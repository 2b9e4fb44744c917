"""Predictions that are sure of what is not so: the other way round, or with classes in another order than the targets.

Data of a bad model, or of none, are no such thing: what is said here hardly ever comes about by chance.
"""

from __future__ import annotations

import numpy as np

from lossctl.sources.base import Array

_LEAST_SHARE = 0.3
_DEVIATIONS = 6.0
_ROWS_A_CLASS = 10


def is_other_way_round(decided: Array, target: Array) -> bool:
    """Whether what is `decided`, of targets 0 and 1, is so much more often where the target is 0."""
    ones, zeros = decided[target == 1.0], decided[target == 0.0]
    if not ones.size or not zeros.size or ones.size + zeros.size < target.size:
        return False
    deviation = 0.5 * np.sqrt(1.0 / ones.size + 1.0 / zeros.size)
    return bool(zeros.mean() - ones.mean() > max(_LEAST_SHARE, _DEVIATIONS * deviation))


def other_order(values: Array, labels: Array) -> dict[int, int] | None:
    """The column that stands for each class, where rows of a class have their largest value in that of another.

    `values` have shape (rows, classes). None where the columns stand for themselves, or for nothing that can be told.
    """
    rows, classes = values.shape
    known = (labels >= 0) & (labels < classes)
    if classes < 2 or rows < _ROWS_A_CLASS * classes or not known.any():
        return None
    chosen, labels = values[known].argmax(axis=1), labels[known].astype(np.int64)
    counts = np.bincount(labels * classes + chosen, minlength=classes * classes).reshape(classes, classes)
    there = np.flatnonzero(counts.sum(axis=1))
    best = counts.argmax(axis=1)[there]
    agreeing, right = counts.max(axis=1).sum() / len(labels), np.trace(counts) / len(labels)
    is_sure = agreeing > 0.5 + 0.5 * _DEVIATIONS / np.sqrt(len(labels)) and right < agreeing / 4
    if len(there) < 2 or len(set(best.tolist())) < len(there) or not is_sure:
        return None
    return dict(zip(there.tolist(), best.tolist(), strict=True))


def is_softmax_of_shares(values: Array) -> bool:
    """Whether rows of three classes or more are softmax(q) of rows of probabilities q, of which some are sure."""
    if values.shape[1] < 3 or not (values > 0.0).all():
        return False
    logs = np.log(values.astype(np.float64))
    shares = logs + (1.0 - logs.sum(axis=1, keepdims=True)) / values.shape[1]
    return bool((shares > -1e-3).all() and shares.max() > 0.9)
