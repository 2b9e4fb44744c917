"""The losses in mpmath, straight from their formulas: slow, at any precision, and independent of the kernels.

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

Array = NDArray[Any]
Options = Mapping[str, Any]
Number = Any  # mpf, of a package without types
Row = list[Number]

DIGITS = 60

# Options that the reference gives a meaning to. The others are about whole data sets, files or reductions.
UNDERSTOOD = {
    "input", "eps", "eps_mode", "normalize", "label_smoothing", "smoothing_mode", "class_weight", "log_base", "row",
    "grad_wrt", "delta", "pos_weight", "sign",
}  # fmt: skip


# ---- elementary


def softplus(x: Number) -> Number:
    """ln(1 + e^x), for |x| where mpmath can still write e^x."""
    return x if x > 10_000 else mpmath.log1p(mpmath.exp(max(x, -10_000)))


def log_cosh(error: Number) -> Number:
    size = abs(error)
    return size - mpmath.ln2 if size > 10_000 else mpmath.log1p(2 * mpmath.sinh(size / 2) ** 2)


def logarithm(x: Number) -> Number:
    """ln x; NaN below 0, where mpmath would go on in the complex plane."""
    if x < 0:
        return mpf("nan")
    return mpmath.log(x) if x else mpf("-inf")


def guard(p: Number, options: Options) -> Number:
    eps, mode = mpf(options.get("eps", 0)), options.get("eps_mode", "clip")
    if not eps or mode == "log_floor":
        return p
    return {"clip": min(max(p, eps), 1 - eps), "floor": max(p, eps), "add": p + eps}[mode]


def guarded_log(p: Number, options: Options) -> Number:
    """ln p, held at eps where that is asked for."""
    held = options.get("eps_mode") == "log_floor" and options.get("eps", 0)
    return max(logarithm(p), mpf(options["eps"])) if held else logarithm(p)


def log_unit(options: Options) -> Number:
    """What a value in nats is divided by."""
    return {"e": mpf(1), "2": mpmath.log(2), "10": mpmath.log(10)}[str(options.get("log_base", "e"))]


# ---- one number against one number


def binary_cross_entropy(prediction: Number, target: Number, options: Options) -> Number:
    smoothing = mpf(options.get("label_smoothing", 0))
    y = target * (1 - smoothing) + smoothing / 2
    if options.get("input", "prob") == "logit":
        positive, negative = -softplus(-prediction), -softplus(prediction)
    else:
        p = guard(prediction, options)
        positive, negative = guarded_log(p, options), guarded_log(1 - p, options)
    first = mpf(options.get("pos_weight", 1)) * y * positive if y != 0 else mpf(0)
    second = (1 - y) * negative if y != 1 else mpf(0)
    return -(first + second) / log_unit(options)


def huber(prediction: Number, target: Number, options: Options) -> Number:
    error, delta = abs(prediction - target), mpf(options.get("delta", 1))
    return error**2 / 2 if error <= delta else delta * (error - delta / 2)


ELEMENTWISE: dict[str, Callable[[Number, Number, Options], Number]] = {
    "mse": lambda p, y, _: (p - y) ** 2,
    "half_mse": lambda p, y, _: (p - y) ** 2 / 2,
    "mae": lambda p, y, _: abs(p - y),
    "huber": huber,
    "log_cosh": lambda p, y, _: log_cosh(p - y),
    "bce": binary_cross_entropy,
}


# ---- a row against a row


def cross_entropy(prediction: Row, target: Row, options: Options) -> Number:
    classes = len(prediction)
    if options.get("normalize"):
        total = mpmath.fsum(prediction)
        prediction = [p / total for p in prediction]
    form = options.get("input", "prob")
    if form == "prob":
        logs = [guarded_log(guard(p, options), options) for p in prediction]
    elif form == "logit":
        peak = max(prediction)
        total = mpmath.fsum(mpmath.exp(z - peak) for z in prediction)
        logs = [z - peak - mpmath.log(total) for z in prediction]
    else:
        logs = prediction
    share = mpf(options.get("label_smoothing", 0))
    if options.get("smoothing_mode") == "others":
        # A one-hot row becomes 1 - share at its class and share / (C - 1) elsewhere; between one-hot rows, linear.
        off = share / (classes - 1)
        smoothed = [y * (1 - share - off) + off for y in target]
    else:
        smoothed = [y * (1 - share) + share / classes for y in target]
    factors = [mpf(w) for w in options.get("class_weight", [1] * classes)]
    weights = [w * y for w, y in zip(factors, smoothed, strict=True)]
    return -mpmath.fsum(w * log for w, log in zip(weights, logs, strict=True) if w != 0) / log_unit(options)


def cosine(a: Row, b: Row, options: Options) -> Number:
    eps = mpf(options.get("eps", 0))
    norms = [mpmath.sqrt(mpmath.fsum(x * x for x in row)) for row in (a, b)]
    if 0 in norms:
        return mpf(0)
    dot = mpmath.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / max(norms[0], eps) / max(norms[1], eps)


ROWWISE: dict[str, Callable[[Row, Row, Options], Number]] = {
    "cce": cross_entropy,
    "scce": cross_entropy,
    "cosine_similarity": lambda a, b, o: mpf(o.get("sign", -1)) * cosine(a, b, o),
    "cosine_distance": lambda a, b, o: 1 - cosine(a, b, o),
}


# ---- all numbers against all numbers


def root_mean_square(prediction: Row, target: Row, weights: Row, _: Options) -> Number:
    squares = mpmath.fsum(w * (p - y) ** 2 for p, y, w in zip(prediction, target, weights, strict=True))
    return mpmath.sqrt(squares / mpmath.fsum(weights))


DATASET: dict[str, Callable[[Row, Row, Row, Options], Number]] = {
    "rmse": root_mean_square,
    "cosine_global": lambda p, y, _, o: mpf(o.get("sign", -1)) * cosine(p, y, o),
}


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
    if loss == "scce":
        return [
            (numbers(p), [mpf(int(c == label)) for c in range(p.size)])
            for p, label in zip(predictions, target, strict=True)
        ]
    targets = np.asarray(target).reshape(predictions.shape)
    return [(numbers(p), numbers(y)) for p, y in zip(predictions, targets, strict=True)]


def row_loss(loss: str, options: Options, prediction: Row, target: Row) -> Number:
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
    with mpmath.workdps(digits):
        found = []
        for p, y in _rows(loss, prediction, target):
            point = convert(loss, p, source, form)

            def value(row: Row, y: Row = y) -> Number:
                return row_loss(loss, {**options, "input": form}, row, y)

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
