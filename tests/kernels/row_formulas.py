"""Losses of rows and of whole data sets in mpmath; see `formulas.py`. A data set has one weight for each value."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
from mpmath import mpf

from tests.kernels.array_formulas import multilabel_margin, simplex_maximum, sparsemax
from tests.kernels.formulas import (
    Number,
    Options,
    Row,
    guard,
    guarded_log,
    is_on,
    log_ratio,
    log_unit,
    logarithm,
    parameter,
    softplus,
)
from tests.kernels.sequence_formulas import ctc

# ---- a row against a row


def cosine(a: Row, b: Row, options: Options) -> Number:
    eps = mpf(options.get("eps", 0))
    norms = [mpmath.sqrt(mpmath.fsum(x * x for x in row)) for row in (a, b)]
    if 0 in norms:
        return mpf(0)
    dot = mpmath.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / max(norms[0], eps) / max(norms[1], eps)


def softmax_logs(row: Row) -> Row:
    """Logarithms of the softmax of a row of logits."""
    peak = max(row)
    total = mpmath.log(mpmath.fsum(mpmath.exp(z - peak) for z in row))
    return [z - peak - total for z in row]


def log_probabilities(prediction: Row, options: Options, default: str = "prob") -> Row:
    """What the options make of a row: its logarithms, normalised and guarded."""
    form = options.get("input", default)
    if form != "prob":
        return softmax_logs(prediction) if form == "logit" else prediction
    total = mpmath.fsum(prediction) if options.get("normalize") else mpf(1)
    return [guarded_log(guard(p / total, options), options) for p in prediction]


def smoothed(target: Row, options: Options) -> Row:
    share, classes = mpf(options.get("label_smoothing", 0)), len(target)
    if options.get("smoothing_mode") == "others":
        # A one-hot row becomes 1 - share at its class and share / (C - 1) elsewhere; between one-hot rows, linear.
        off = share / (classes - 1)
        return [y * (1 - share - off) + off for y in target]
    return [y * (1 - share) + share / classes for y in target]


def cross_entropy(prediction: Row, target: Row, options: Options, default: str = "prob") -> Number:
    logs = log_probabilities(prediction, options, default)
    factors = [mpf(w) for w in options.get("class_weight", [1] * len(prediction))]
    weights = [w * y for w, y in zip(factors, smoothed(target, options), strict=True)]
    return -mpmath.fsum(w * log for w, log in zip(weights, logs, strict=True) if w != 0) / log_unit(options)


def gce(prediction: Row, target: Row, options: Options) -> Number:
    q = mpf(options["q"])
    log = log_probabilities(prediction, options)[target.index(1)]
    return (1 - mpmath.exp(q * log)) / q


def categorical_focal(prediction: Row, target: Row, options: Options) -> Number:
    alpha, gamma = options.get("alpha", (1,)), parameter(options, "gamma", 2)
    factors = [mpf(a) for a in alpha] * (len(target) if len(alpha) == 1 else 1)
    logs = log_probabilities(prediction, options)
    floored = options.get("eps_mode") == "log_floor" and options.get("input", "prob") == "prob"
    total = mpmath.fsum(prediction) if options.get("normalize") else mpf(1)
    probabilities = [p / total for p in prediction] if floored else [mpmath.exp(log) for log in logs]
    eps = parameter(options, "softmax_eps", 0)
    if eps:
        probabilities = [min(max(p, eps), 1 - eps) for p in probabilities]
        logs = [mpmath.log(p) for p in probabilities]
    terms = zip(factors, probabilities, logs, smoothed(target, options), strict=True)
    return mpmath.fsum(-a * (1 - p) ** gamma * y * log for a, p, log, y in terms if a * y != 0) / log_unit(options)


def poly1(prediction: Row, target: Row, options: Options) -> Number:
    shares = [mpmath.exp(log) for log in softmax_logs(prediction)]
    missed = mpmath.fsum(y * (1 - p) for p, y in zip(shares, smoothed(target, options), strict=True))
    return cross_entropy(prediction, target, options, "logit") + parameter(options, "epsilon", 2) * missed


def brier_multiclass(prediction: Row, target: Row, options: Options) -> Number:
    is_logit = options.get("input") == "logit"
    shares = [mpmath.exp(log) for log in softmax_logs(prediction)] if is_logit else prediction
    value = mpmath.fsum((p - y) ** 2 for p, y in zip(shares, target, strict=True))
    half = options.get("scale_by_half", "auto")
    return value / 2 if half == "on" or (half == "auto" and len(target) == 2) else value


def fenchel_young(prediction: Row, target: Row, options: Options) -> Number:
    mean = mpmath.fsum(y * s for s, y in zip(prediction, target, strict=True))
    if options.get("max_fun") == "max":
        return max(prediction) - mean
    if options.get("max_fun") == "sparsemax":
        return simplex_maximum(prediction) - mean
    return mpmath.log(mpmath.fsum(mpmath.exp(s) for s in prediction)) - mean


def categorical_hinge(prediction: Row, target: Row, _: Options) -> Number:
    others = max((1 - y) * s for s, y in zip(prediction, target, strict=True))
    return max(1 + others - mpmath.fsum(y * s for s, y in zip(prediction, target, strict=True)), mpf(0))


def shortfalls(prediction: Row, target: Row, options: Options) -> Row:
    right = target.index(1)
    return [parameter(options, "margin", 1) - prediction[right] + s for j, s in enumerate(prediction) if j != right]


def multi_margin(prediction: Row, target: Row, options: Options) -> Number:
    weight = mpf(options.get("class_weight", [1] * len(target))[target.index(1)])
    powers = [max(h, mpf(0)) ** parameter(options, "p", 1) for h in shortfalls(prediction, target, options)]
    return weight * mpmath.fsum(powers) / len(target)


def multilabel_soft_margin(prediction: Row, target: Row, options: Options) -> Number:
    factors = options.get("class_weight", [1] * len(target))
    entropies = [y * softplus(-z) + (1 - y) * softplus(z) for z, y in zip(prediction, target, strict=True)]
    return mpmath.fsum(mpf(w) * entropy for w, entropy in zip(factors, entropies, strict=True)) / len(target)


def divergence(p: Number, log_p: Number, y: Number, log_y: Number, generalized: bool) -> Number:
    value = y * (log_y - log_p) if y else mpf(0)
    return value - y + p if generalized else value


def kl_divergence(prediction: Row, target: Row, options: Options, generalized: bool = False) -> Number:
    form, eps = options.get("input", "prob"), parameter(options, "eps", 0)
    if options.get("target") == "log_prob":
        target = [mpmath.exp(log) for log in target]
    if form == "prob":
        prediction, target = [max(p, eps) for p in prediction], [max(y, eps) for y in target]
        logs = [logarithm(p) for p in prediction]
    else:
        logs = softmax_logs(prediction) if form == "logit" else prediction
    shares = [mpmath.exp(log) for log in logs]
    terms = zip(shares, logs, target, strict=True)
    return mpmath.fsum(divergence(p, log, y, logarithm(y), generalized) for p, log, y in terms) / log_unit(options)


def js_divergence(prediction: Row, target: Row, options: Options) -> Number:
    middle = [(p + y) / 2 for p, y in zip(prediction, target, strict=True)]
    sides = [
        mpmath.fsum(divergence(m, logarithm(m), x, logarithm(x), False) for x, m in zip(row, middle, strict=True))
        for row in (prediction, target)
    ]
    return mpmath.fsum(sides) / 2 / log_unit(options)


def probabilities(prediction: Row, options: Options) -> Row:
    return [1 / (1 + mpmath.exp(-z)) for z in prediction] if options.get("input") == "logit" else prediction


def tversky(prediction: Row, target: Row, weights: Row, options: Options) -> Number:
    data = list(zip(probabilities(prediction, options), target, weights, strict=True))
    overlap = mpmath.fsum(w * p * y for p, y, w in data)
    factors = parameter(options, "alpha", 0.5), parameter(options, "beta", 0.5)
    alpha, beta = reversed(factors) if is_on(options, "swapped") else factors
    extra = alpha * mpmath.fsum(w * p * (1 - y) for p, y, w in data)
    lost = beta * mpmath.fsum(w * y * (1 - p) for p, y, w in data)
    smooth, eps = parameter(options, "smooth", 0), parameter(options, "eps", 0)
    index = (overlap + smooth) / (overlap + extra + lost + smooth + eps)
    return (1 - index) ** parameter(options, "focal_exponent", 1)


def label_ranking(prediction: Row, target: Row, _: Options) -> Number:
    right = [s for s, y in zip(prediction, target, strict=True) if y == 1]
    others = [s for s, y in zip(prediction, target, strict=True) if y == 0]
    misordered = sum(a <= b for a in right for b in others)
    return mpf(misordered) / max(len(right) * len(others), 1)


def coverage_error(prediction: Row, target: Row, _: Options) -> Number:
    """The rank of the right class that is found last, the best score first; equal ones have the last of their ranks."""
    ranks = [sum(other >= s for other in prediction) for s, y in zip(prediction, target, strict=True) if y == 1]
    return mpf(max(ranks, default=0))


ROWWISE: dict[str, Callable[[Row, Row, Options], Number]] = {
    "ctc": ctc,
    "cce": cross_entropy,
    "scce": cross_entropy,
    "nll": lambda p, y, o: cross_entropy(p, y, o, "log_prob"),
    "ranking_softmax": lambda p, y, o: cross_entropy(p, y, o, "logit"),
    "gce": gce,
    "categorical_focal": categorical_focal,
    "poly1": poly1,
    "brier_multiclass": brier_multiclass,
    "fenchel_young": fenchel_young,
    "categorical_hinge": categorical_hinge,
    "multiclass_hinge": lambda p, y, o: max(*shortfalls(p, y, o), mpf(0)),
    "multiclass_perceptron": lambda p, y, _: max(p) - p[y.index(1)],
    "multi_margin": multi_margin,
    "multilabel_soft_margin": multilabel_soft_margin,
    "multilabel_margin": multilabel_margin,
    "label_ranking": label_ranking,
    "coverage_error": coverage_error,
    "sparsemax": sparsemax,
    "kl_divergence": kl_divergence,
    "generalized_kl": lambda p, y, o: kl_divergence(p, y, o, True),
    "js_divergence": js_divergence,
    "cosine_similarity": lambda a, b, o: mpf(o.get("sign", -1)) * cosine(a, b, o),
    "cosine_distance": lambda a, b, o: 1 - cosine(a, b, o),
    # One class of one sample; `tests/runs/test_masks.py` has the mean over them.
    "generalized_dice": lambda p, y, o: tversky(p, y, [mpf(1)] * len(y), {"smooth": 1, **o}),
}


# ---- all numbers against all numbers


def root_mean_square(prediction: Row, target: Row, weights: Row, _: Options) -> Number:
    squares = mpmath.fsum(w * (p - y) ** 2 for p, y, w in zip(prediction, target, weights, strict=True))
    return mpmath.sqrt(squares / mpmath.fsum(weights))


def root_mean_square_of_logs(prediction: Row, target: Row, weights: Row, options: Options) -> Number:
    logs = [log_ratio(p, y, options) for p, y in zip(prediction, target, strict=True)]
    return root_mean_square(logs, [mpf(0)] * len(logs), weights, options)


def relative_error(prediction: Row, target: Row, weights: Row, _: Options) -> Number:
    errors = mpmath.fsum(w * abs(p - y) for p, y, w in zip(prediction, target, weights, strict=True))
    return errors / mpmath.fsum(w * abs(y) for y, w in zip(target, weights, strict=True))


def dice(prediction: Row, target: Row, weights: Row, options: Options) -> Number:
    data = list(zip(probabilities(prediction, options), target, weights, strict=True))
    power = 2 if options.get("denominator") == "squared" else 1
    sizes = mpmath.fsum(w * (p**power + y**power) for p, y, w in data)
    smooth, eps = parameter(options, "smooth", 0), parameter(options, "eps", 0)
    return 1 - (2 * mpmath.fsum(w * p * y for p, y, w in data) + smooth) / (sizes + smooth + eps)


DATASET: dict[str, Callable[[Row, Row, Row, Options], Number]] = {
    "rmse": root_mean_square,
    "rmsle": root_mean_square_of_logs,
    "wape": relative_error,
    "max_error": lambda p, y, _, __: max(abs(a - b) for a, b in zip(p, y, strict=True)),
    "tversky": tversky,
    "dice": dice,
    "cosine_global": lambda p, y, _, o: mpf(o.get("sign", -1)) * cosine(p, y, o),
}
