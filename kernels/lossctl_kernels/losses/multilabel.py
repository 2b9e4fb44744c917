"""Losses of a row of class scores of which several classes are right, by lists of them or by 0/1 rows."""

import math
from typing import Any

from ..domains import BINARY_LABEL, REAL, TargetKind
from ..spec import LOSSES, Scope, define, gradient_of, loss, row_function
from .class_margins import PRESETS

SHARE = 2.0**-64
"""Of the largest scores: so much of all their pairs has a sum."""


def scratch_of_labels(prediction: tuple[int, ...]) -> int:
    """How often each class is listed, and the slope by its score."""
    return 2 * prediction[1]


def count_listed(labels: Any, counts: Any) -> None:
    """How often each class comes before the first -1 of a list."""
    counts[:] = 0.0
    for k in range(labels.size):
        if labels[k] < 0 or labels[k] >= counts.size:
            break
        counts[labels[k]] += 1.0


def count_marked(labels: Any, counts: Any) -> None:
    for j in range(counts.size):
        counts[j] = 1.0 if float(labels[j]) == 1.0 else 0.0


def short_of(own: float, margin: float) -> tuple[float, float]:
    """(m - s_a, what it lost by rounding): (s_b + the one) + the other has all digits of m - (s_a - s_b)."""
    rest = margin - own
    taken = rest - margin
    return rest, (margin - (rest - taken)) - (own + taken)


def shortfalls_of_labels(scores: Any, counts: Any, share: float) -> float:
    """A share of what right classes are short of being ahead of the others by 1, summed over all pairs."""
    total = 0.0
    for a in range(scores.size):
        if counts[a] > 0.0:
            rest, lost = short_of(share * float(scores[a]), share)
            short = 0.0
            for b in range(scores.size):
                h = (share * float(scores[b]) + rest) + lost
                short += h if counts[b] == 0.0 and h > 0.0 else 0.0
            total += counts[a] * short
    return total


def mean_of_shortfalls(scores: Any, counts: Any) -> float:
    """Their sum over the number of classes, which is a number where the sum may be none."""
    total = shortfalls_of_labels(scores, counts, 1.0)
    if total < math.inf:
        return total / float(scores.size)
    return shortfalls_of_labels(scores, counts, SHARE) / float(scores.size) / SHARE


def slopes_of_labels(scores: Any, counts: Any, slopes: Any, kink: float) -> None:
    """By each score: how often its class is ahead of a right one, less how often another is ahead of it."""
    slopes[:] = 0.0
    for a in range(scores.size):
        if counts[a] > 0.0:
            rest, lost = short_of(float(scores[a]), 1.0)
            active = 0.0
            for b in range(scores.size):
                h = (float(scores[b]) + rest) + lost
                if counts[b] == 0.0 and h >= 0.0:
                    slope = counts[a] * (1.0 if h > 0.0 else kink)
                    slopes[b] += slope
                    active += slope
            slopes[a] = -active


@loss(
    scope=Scope.ROW,
    target_kind=TargetKind.LABELS,
    variants={"labels": {"index": {}}},
    formula="1/C Σ max(1 - (s_a - s_b), 0) over the listed classes a and the others b",
    gradient_formula="for each pair with a loss above 0: -1/C at a, 1/C at b",
    options=("labels", "denom", "empty", "kink", "grad_scale", "preset"),
    aliases={"torch": ("MultiLabelMarginLoss", "multilabel_margin_loss")},
    presets=PRESETS,
)
@row_function(scratch=scratch_of_labels)
def multilabel_margin(row: int, prediction: Any, target: Any, scratch: Any) -> float:
    """What each right class is short of being ahead of each other class by 1, summed over the pairs, over the classes.

    The target is a list of class indices that ends at the first -1, as in PyTorch: what comes after it means nothing,
    and a class that is listed twice counts twice. `labels=dense` takes rows of 0 and 1 instead.
    """
    scores, counts = prediction[row], scratch[: prediction.shape[1]]
    count_listed(target[row], counts)
    return mean_of_shortfalls(scores, counts)


@gradient_of(multilabel_margin)
def multilabel_margin_gradient(
    row: int, prediction: Any, target: Any, scale: float, scratch: Any, gradient: Any, kink: float = 0.0
) -> None:
    scores, counts = prediction[row], scratch[: prediction.shape[1]]
    slopes = scratch[prediction.shape[1] : 2 * prediction.shape[1]]
    count_listed(target[row], counts)
    slopes_of_labels(scores, counts, slopes, kink)
    for j in range(scores.size):
        gradient[row, j] = scale * slopes[j] / scores.size


@row_function(scratch=scratch_of_labels)
def multilabel_margin_of_rows(row: int, prediction: Any, target: Any, scratch: Any) -> float:
    scores, counts = prediction[row], scratch[: prediction.shape[1]]
    count_marked(target[row], counts)
    return mean_of_shortfalls(scores, counts)


LOSSES["multilabel_margin"].variants["labels"]["dense"] = {
    "forms": {"value": define(multilabel_margin_of_rows, REAL, Scope.ROW)},
    "target_kind": TargetKind.SAME,
    "target": BINARY_LABEL,
}


@gradient_of(multilabel_margin_of_rows)
def multilabel_margin_of_rows_gradient(
    row: int, prediction: Any, target: Any, scale: float, scratch: Any, gradient: Any, kink: float = 0.0
) -> None:
    scores, counts = prediction[row], scratch[: prediction.shape[1]]
    slopes = scratch[prediction.shape[1] : 2 * prediction.shape[1]]
    count_marked(target[row], counts)
    slopes_of_labels(scores, counts, slopes, kink)
    for j in range(scores.size):
        gradient[row, j] = scale * slopes[j] / scores.size
