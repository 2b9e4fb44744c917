"""The losses of `formulas.py` and `row_formulas.py` over arrays, and their derivatives.

`losses` and `dataset_loss` give values, `gradients` and `dataset_gradient` differentiate those numerically. Options are
by name as in a specification; what is not given has the documented default. Arrays are (rows,) or (rows, width).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf
from numpy.typing import NDArray

from tests.kernels.formulas import ELEMENTWISE, Number, Options, Row
from tests.kernels.row_formulas import DATASET, ROWWISE

Array = NDArray[Any]

DIGITS = 60

# Options that the reference gives a meaning to. The others are about whole data sets, files or reductions.
UNDERSTOOD = {
    "alpha", "beta", "class_weight", "delta", "denominator", "eps", "eps_mode", "epsilon", "focal_exponent", "full",
    "gamma", "grad_wrt", "half", "input", "label_smoothing", "labels", "link", "log_base", "margin", "max_fun",
    "normalize", "p", "pos_weight", "power", "q", "row", "scale", "scale_by_half", "scope", "sign", "smooth",
    "smoothing_mode", "swapped", "target",
}  # fmt: skip


# ---- conversions of predictions, for gradients with respect to another form


def _softmax(row: Row) -> Row:
    powers = [mpmath.exp(z - max(row)) for z in row]
    return [power / mpmath.fsum(powers) for power in powers]


def _log_softmax(row: Row) -> Row:
    total = mpmath.log(mpmath.fsum(mpmath.exp(z - max(row)) for z in row))
    return [z - max(row) - total for z in row]


def convert(loss: str, row: Row, source: str, to: str) -> Row:
    """The same prediction in another form."""
    if source == to or (source, to) == ("log_prob", "logit"):
        return row
    if loss in ELEMENTWISE:
        if to == "prob":
            return [1 / (1 + mpmath.exp(-z)) for z in row]
        return [mpmath.log(p / (1 - p)) for p in row]
    if source == "logit":
        return _softmax(row) if to == "prob" else _log_softmax(row)
    return [mpmath.exp(x) for x in row] if source == "log_prob" else [mpmath.log(p) for p in row]


# ---- over arrays


def numbers(values: Array) -> Row:
    return [mpf(float(value)) for value in np.asarray(values).ravel()]


def _rows(loss: str, prediction: Array, target: Array) -> list[tuple[Row, Row]]:
    predictions = np.asarray(prediction).reshape(len(prediction), -1)
    if np.ndim(target) < np.ndim(prediction):
        return [
            (numbers(p), [mpf(int(c == label)) for c in range(p.size)])
            for p, label in zip(predictions, target, strict=True)
        ]
    targets = np.asarray(target).reshape(predictions.shape)
    return [(numbers(p), numbers(y)) for p, y in zip(predictions, targets, strict=True)]


def row_loss(loss: str, options: Options, prediction: Row, target: Row) -> Number:
    if loss in DATASET:
        return DATASET[loss](prediction, target, [mpf(1)] * len(target), options)
    if loss in ROWWISE:
        return ROWWISE[loss](prediction, target, options)
    values = [ELEMENTWISE[loss](p, y, options) for p, y in zip(prediction, target, strict=True)]
    total = mpmath.fsum(values)
    return total if options.get("row") == "sum" else total / len(values)


def losses(loss: str, options: Options, prediction: Array, target: Array, digits: int = DIGITS) -> Row:
    """One number a row."""
    with mpmath.workdps(digits):
        return [row_loss(loss, options, p, y) for p, y in _rows(loss, prediction, target)]


def derivative(function: Callable[[Row], Number], point: Sequence[Number], position: int) -> Number:
    """Central difference with a step a third of the digits below the number itself: as many are left, and right."""
    centre, small = point[position], mpf(10) ** -(mpmath.mp.dps // 3)
    step = small * abs(centre) if centre else small
    high, low = list(point), list(point)
    high[position], low[position] = centre + step, centre - step
    return (function(high) - function(low)) / (2 * step)


def gradients(loss: str, options: Options, prediction: Array, target: Array, digits: int = DIGITS) -> list[Row]:
    """Derivative of each row's loss by its prediction, or by the form that `grad_wrt` names."""
    source = options.get("input", "prob")
    form = options.get("grad_wrt", source)
    converted = {**options, "input": form} if "grad_wrt" in options else options
    with mpmath.workdps(digits):
        found = []
        for p, y in _rows(loss, prediction, target):
            point = convert(loss, p, source, form)

            def value(row: Row, y: Row = y) -> Number:
                return row_loss(loss, converted, row, y)

            found.append([derivative(value, point, i) for i in range(len(point))])
        return found


def dataset_loss(
    loss: str, options: Options, prediction: Array, target: Array, weights: Array | None = None, digits: int = DIGITS
) -> Number:
    """One number for all; one weight for each value, 1 by default."""
    with mpmath.workdps(digits):
        factors = numbers(np.ones(np.size(prediction)) if weights is None else weights)
        return DATASET[loss](numbers(prediction), numbers(target), factors, options)


def dataset_gradient(
    loss: str, options: Options, prediction: Array, target: Array, weights: Array | None = None, digits: int = DIGITS
) -> Row:
    """Its derivative by every prediction."""
    with mpmath.workdps(digits):
        factors = numbers(np.ones(np.size(prediction)) if weights is None else weights)
        y = numbers(target)
        point = numbers(prediction)
        return [derivative(lambda row: DATASET[loss](row, y, factors, options), point, i) for i in range(len(point))]
