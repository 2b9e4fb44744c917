"""The losses of `formulas.py` and `row_formulas.py` over arrays, and their derivatives.

`losses` and `dataset_loss` give values, `gradients` and `dataset_gradient` differentiate those numerically. Options are
by name as in a specification; what is not given has the documented default. Arrays are (rows,) or (rows, width).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf
from numpy.typing import NDArray

from lossctl_kernels import LOSSES, resolve
from lossctl_kernels.domains import TargetKind
from tests.kernels.array_formulas import PAIRWISE
from tests.kernels.formulas import ELEMENTWISE, Number, Options, Row
from tests.kernels.further import drawn_inputs
from tests.kernels.paired_formulas import PAIRED, Inputs
from tests.kernels.row_formulas import DATASET, ROWWISE

Array = NDArray[Any]

DIGITS = 60

# Options that the reference gives a meaning to. The others are about whole data sets, files or reductions.
UNDERSTOOD = {
    "alpha", "beta", "blank", "class_weight", "delta", "denominator", "distance", "drop_constant", "eps", "eps_mode",
    "epsilon", "focal_exponent", "full", "gamma", "grad_wrt", "half", "infeasible", "input", "label_smoothing",
    "labels", "length_normalize", "link", "log_base", "margin", "max_fun", "norm", "normalize", "p", "pos_weight",
    "power", "q", "remove_diagonal", "row", "scale", "scale_by_half", "scope", "sign", "smooth", "smoothing_mode",
    "softmax_eps", "swap", "swapped", "target", "temperature", "var_input", "zero_infinity",
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
    if LOSSES[loss].target_kind is TargetKind.SEQUENCE:
        return [(numbers(p), numbers(y)) for p, y in zip(predictions, target, strict=True)]
    if np.ndim(target) < np.ndim(prediction):
        return [
            (numbers(p), [mpf(int(c == label)) for c in range(p.size)])
            for p, label in zip(predictions, target, strict=True)
        ]
    targets = np.asarray(target).reshape(predictions.shape)
    return [(numbers(p), numbers(y)) for p, y in zip(predictions, targets, strict=True)]


def input_rows(loss: str, options: Options, prediction: Array, inputs: Mapping[str, Array]) -> list[Inputs]:
    """The further inputs of each row, one number of those that have one a row: as the tests draw them, or as given."""
    if loss not in PAIRED:
        return [{}] * len(prediction)
    arrays = {**drawn_inputs(resolve(LOSSES[loss], options).loss, prediction), **inputs}
    return [{name: numbers(values[row]) for name, values in arrays.items()} for row in range(len(prediction))]


def row_loss(loss: str, options: Options, prediction: Row, target: Row, inputs: Inputs | None = None) -> Number:
    if loss in PAIRED:
        return PAIRED[loss](prediction, target, inputs or {}, options)
    if loss in DATASET:
        return DATASET[loss](prediction, target, [mpf(1)] * len(target), options)
    if loss in ROWWISE:
        return ROWWISE[loss](prediction, target, options)
    values = [ELEMENTWISE[loss](p, y, options) for p, y in zip(prediction, target, strict=True)]
    total = mpmath.fsum(values)
    return {"sum": total, "any": mpmath.mpf(total > 0)}.get(options.get("row", "mean"), total / len(values))


def losses(loss: str, options: Options, prediction: Array, target: Array, digits: int = DIGITS, **inputs: Array) -> Row:
    """One number a row."""
    with mpmath.workdps(digits):
        if loss in PAIRWISE:
            return PAIRWISE[loss]([numbers(p) for p in prediction], [int(y) for y in target], options)
        further = input_rows(loss, options, prediction, inputs)
        rows = zip(_rows(loss, prediction, target), further, strict=True)
        return [row_loss(loss, options, p, y, more) for (p, y), more in rows]


def derivative(function: Callable[[Row], Number], point: Sequence[Number], position: int) -> Number:
    """Central difference with a step a third of the digits below the number itself: as many are left, and right."""
    centre, small = point[position], mpf(10) ** -(mpmath.mp.dps // 3)
    step = small * abs(centre) if centre else small
    high, low = list(point), list(point)
    high[position], low[position] = centre + step, centre - step
    return (function(high) - function(low)) / (2 * step)


def gradients(loss: str, options: Options, prediction: Array, target: Array, digits: int = DIGITS) -> list[Row]:
    """Derivative of each row's loss by its prediction, or by the form that `grad_wrt` names.

    Of a loss of all pairs, the derivative of the sum of all losses.
    """
    if loss in PAIRWISE:
        return pairwise_gradients(loss, options, prediction, target, digits)
    source = options.get("input", "prob")
    form = options.get("grad_wrt", source)
    converted = {**options, "input": form} if "grad_wrt" in options else options
    with mpmath.workdps(digits):
        found = []
        further = input_rows(loss, options, prediction, {})
        for (p, y), more in zip(_rows(loss, prediction, target), further, strict=True):
            point = convert(loss, p, source, form)

            def value(row: Row, y: Row = y, more: Inputs = more) -> Number:
                return row_loss(loss, converted, row, y, more)

            found.append([derivative(value, point, i) for i in range(len(point))])
        return found


def pairwise_gradients(loss: str, options: Options, prediction: Array, target: Array, digits: int) -> list[Row]:
    """Of the sum of the losses of all pairs, by each number."""
    rows, width = prediction.shape
    with mpmath.workdps(digits):
        labels = [int(y) for y in target]

        def total(point: Row) -> Number:
            parts = [point[i * width : (i + 1) * width] for i in range(rows)]
            return mpmath.fsum(PAIRWISE[loss](parts, labels, options))

        point = numbers(prediction)
        return [[derivative(total, point, i * width + j) for j in range(width)] for i in range(rows)]


def gradients_of(
    of: str, loss: str, options: Options, prediction: Array, target: Array, digits: int = DIGITS, **inputs: Array
) -> list[Row]:
    """Derivative of each row's loss by the row of another array: "target", or a further input."""
    with mpmath.workdps(digits):
        found = []
        further = input_rows(loss, options, prediction, inputs)
        for (p, y), more in zip(_rows(loss, prediction, target), further, strict=True):

            def value(row: Row, p: Row = p, y: Row = y, more: Inputs = more) -> Number:
                return row_loss(loss, options, p, row if of == "target" else y, {**more, of: row})

            point = y if of == "target" else more[of]
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
