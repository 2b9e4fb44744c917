"""Losses that are functions of whole rows, or of all pairs of rows, in mpmath; see `formulas.py`."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
from mpmath import mpf

from tests.kernels.formulas import Number, Options, Row, log_unit, parameter, softplus


def simplex_threshold(scores: Row) -> tuple[Number, Row]:
    """(τ, the scores above it) with Σ max(s - τ, 0) = 1, by the sorted scores."""
    ordered = sorted(scores, reverse=True)
    for count in range(len(ordered), 0, -1):
        tau = (mpmath.fsum(ordered[:count]) - 1) / count
        if ordered[count - 1] > tau:
            return tau, ordered[:count]
    raise ValueError("a row of no scores")


def simplex_maximum(scores: Row) -> Number:
    """The largest p·s - |p|²/2 over distributions p, and 1/2."""
    tau, support = simplex_threshold(scores)
    return mpmath.fsum(s * s - tau * tau for s in support) / 2 + mpf(1) / 2


def sparsemax(prediction: Row, target: Row, _: Options) -> Number:
    return simplex_maximum(prediction) - prediction[target.index(1)]


def multilabel_margin(prediction: Row, target: Row, options: Options) -> Number:
    if options.get("labels") == "dense":
        listed = [j for j, y in enumerate(target) if y == 1]
    else:
        listed = [int(y) for y in target[: target.index(-1) if -1 in target else len(target)]]
    others = [j for j in range(len(prediction)) if j not in listed]
    pairs = [max(1 - (prediction[a] - prediction[b]), mpf(0)) for a in listed for b in others]
    return mpmath.fsum(pairs) / len(prediction)


# ---- all pairs: predictions and labels of all rows, one loss a row

Pairwise = Callable[[list[Row], list[int], Options], Row]


def log_sum_exp(values: Row) -> Number:
    return mpmath.log(mpmath.fsum(mpmath.exp(value) for value in values)) if values else mpf("-inf")


def dot(a: Row, b: Row) -> Number:
    return mpmath.fsum(x * y for x, y in zip(a, b, strict=True))


def circle(predictions: list[Row], labels: list[int], options: Options) -> Row:
    return circle_against(predictions, labels, predictions, labels, options)


def circle_against(
    predictions: list[Row], labels: list[int], references: list[Row], reference_labels: list[int], options: Options
) -> Row:
    gamma, m = parameter(options, "gamma", 80), parameter(options, "margin", 0.4)
    found = []
    for i, (anchor, label) in enumerate(zip(predictions, labels, strict=True)):
        positives, negatives = [], []
        for j, (reference, other) in enumerate(zip(references, reference_labels, strict=True)):
            d = max(1 - dot(anchor, reference), mpf(0))
            if label != other:
                negatives.append(gamma * max(1 + m - d, mpf(0)) * (1 - m - d))
            elif i != j or options.get("remove_diagonal") == "false":
                positives.append(-gamma * (m + d) * (m - d))
        exists = positives and negatives
        found.append(softplus(log_sum_exp(positives) + log_sum_exp(negatives)) if exists else mpf(0))
    return found


def ntxent(predictions: list[Row], labels: list[int], options: Options) -> Row:
    temperature = parameter(options, "temperature", 0.07)
    norms = [mpmath.sqrt(dot(row, row)) or mpf(1) for row in predictions]
    units = [[x / norm for x in row] for row, norm in zip(predictions, norms, strict=True)]
    found = []
    for i, anchor in enumerate(units):
        logits = [dot(anchor, unit) / temperature for unit in units]
        others = [logit for logit, label in zip(logits, labels, strict=True) if label != labels[i]]
        alike = [logit for j, logit in enumerate(logits) if labels[j] == labels[i] and j != i]
        total = log_sum_exp(others)
        pairs = [softplus(total - logit) for logit in alike] if others else []
        found.append(mpmath.fsum(pairs) / log_unit(options))
    return found


PAIRWISE: dict[str, Pairwise] = {"circle": circle, "ntxent": ntxent}
