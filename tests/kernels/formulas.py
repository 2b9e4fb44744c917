"""Losses of single values in mpmath, straight from their formulas: slow, at any precision, independent of the kernels.

A function takes the prediction and the target of one loss, and the options by name as in a specification; what is not
given has the documented default. Losses of rows and data sets are in `row_formulas.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
from mpmath import mpf

Options = Mapping[str, Any]
Number = Any  # mpf, of a package without types
Row = list[Number]

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


def parameter(options: Options, name: str, default: float) -> Number:
    return mpf(options.get(name, default))


def is_on(options: Options, name: str) -> bool:
    return str(options.get(name, "false")) == "true"


def with_labels(target: Number, options: Options, default: str) -> Number:
    """-1 or 1 for either spelling of two labels."""
    if options.get("labels") == "auto-batch":
        return target if target else mpf(-1)
    return target if options.get("labels", default) == "pm1" else 2 * target - 1


def percentage(error: Number, size: Number, options: Options) -> Number:
    if error == 0:
        return mpf(0)
    size = max(size, parameter(options, "eps", 0))
    return parameter(options, "scale", 100) * error / size if size else mpf("inf")


def log_ratio(prediction: Number, target: Number, options: Options) -> Number:
    eps = parameter(options, "eps", 0)
    if eps:
        prediction, target = max(prediction, eps), max(target, eps)
    return mpmath.log((1 + prediction) / (1 + target))


def smooth_l1(prediction: Number, target: Number, options: Options) -> Number:
    error, beta = abs(prediction - target), parameter(options, "beta", 1)
    return error**2 / (2 * beta) if error < beta else error - beta / 2


def pseudo_huber(prediction: Number, target: Number, options: Options) -> Number:
    delta = parameter(options, "delta", 1)
    return delta**2 * (mpmath.sqrt(1 + ((prediction - target) / delta) ** 2) - 1)


def quantile(prediction: Number, target: Number, options: Options) -> Number:
    q = parameter(options, "q", 0.5)
    return max(q * (target - prediction), (q - 1) * (target - prediction))


def tube(prediction: Number, target: Number, options: Options) -> Number:
    return max(abs(prediction - target) - parameter(options, "epsilon", 0.1), mpf(0))


def log_of_factorial(target: Number, options: Options) -> Number:
    full = options.get("full", "no")
    if full == "exact":
        return mpmath.loggamma(target + 1)
    if full == "no" or target <= 1:
        return mpf(0)
    return target * mpmath.log(target) - target + mpmath.log(2 * mpmath.pi * target) / 2


def poisson(prediction: Number, target: Number, options: Options) -> Number:
    log = mpmath.log(prediction + parameter(options, "eps", 0)) if target else mpf(0)
    return prediction - target * log + log_of_factorial(target, options)


def poisson_nll(prediction: Number, target: Number, options: Options) -> Number:
    return mpmath.exp(prediction) - target * prediction + log_of_factorial(target, options)


def tweedie(prediction: Number, target: Number, options: Options, power: Any = None) -> Number:
    p = mpf(options["power"] if power is None else power)
    mean = mpmath.exp(prediction) if options.get("link") == "log" else prediction
    if p == 0:
        half = (mean - target) ** 2 / 2
    elif p == 1:
        half = (target * mpmath.log(target / mean) if target else mpf(0)) - target + mean
    elif p == 2:
        half = mpmath.log(mean / target) + target / mean - 1
    else:
        own = target ** (2 - p) / ((1 - p) * (2 - p)) if target > 0 else mpf(0)
        half = own - target * mean ** (1 - p) / (1 - p) + mean ** (2 - p) / (2 - p)
    if options.get("drop_constant") and p != 0:
        half -= constant_of_tweedie(target, p)
    return half if is_on(options, "half") else 2 * half


def constant_of_tweedie(target: Number, power: Number) -> Number:
    """What of half the deviance does not depend on the prediction."""
    if power == 1:
        return target * mpmath.log(target) - target if target else mpf(0)
    if power == 2:
        return -mpmath.log(target) - 1
    return target ** (2 - power) / ((1 - power) * (2 - power)) if target > 0 else mpf(0)


def binary_focal(prediction: Number, target: Number, options: Options) -> Number:
    smoothing, eps = parameter(options, "label_smoothing", 0), parameter(options, "eps", 0)
    y = target * (1 - smoothing) + smoothing / 2
    is_logit = options.get("input") == "logit"
    p = 1 / (1 + mpmath.exp(-prediction)) if is_logit else prediction
    rest = 1 / (1 + mpmath.exp(prediction)) if is_logit else 1 - prediction
    held, held_rest = (min(max(x, eps), 1 - eps) for x in (p, rest))
    positive = y * logarithm(held) if y else mpf(0)
    entropy = -positive - ((1 - y) * logarithm(held_rest) if y != 1 else mpf(0))
    alpha = options.get("alpha")
    balance = mpf(1) if alpha is None else mpf(alpha) * y + (1 - mpf(alpha)) * (1 - y)
    wrong = y * rest + (1 - y) * p
    return balance * wrong ** parameter(options, "gamma", 2) * entropy / log_unit(options)


def brier(prediction: Number, target: Number, options: Options) -> Number:
    p = 1 / (1 + mpmath.exp(-prediction)) if options.get("input") == "logit" else prediction
    return (p - target) ** 2


def hinge(prediction: Number, target: Number, options: Options) -> Number:
    return max(parameter(options, "margin", 1) - with_labels(target, options, "pm1") * prediction, mpf(0))


def modified_huber(prediction: Number, target: Number, options: Options) -> Number:
    u = with_labels(target, options, "pm1") * prediction
    return max(1 - u, mpf(0)) ** 2 if u >= -1 else -4 * u


def exponential(prediction: Number, target: Number, options: Options) -> Number:
    y = (target + 1) / 2 if options.get("labels") == "pm1" else target
    return y * mpmath.exp(-prediction) + (1 - y) * mpmath.exp(prediction)


def hinge_embedding(prediction: Number, target: Number, options: Options) -> Number:
    is_alike = with_labels(target, options, "pm1") == 1
    return prediction if is_alike else max(parameter(options, "margin", 1) - prediction, mpf(0))


def binary_sparsemax(prediction: Number, target: Number, options: Options) -> Number:
    v = -with_labels(target, options, "01") * prediction
    return v if v >= 1 else max(v + 1, mpf(0)) ** 2 / 4


def contrastive(prediction: Number, target: Number, options: Options) -> Number:
    y = 1 - target if options.get("labels") == "inverted" else target
    shortfall = max(parameter(options, "margin", 1) - prediction, mpf(0))
    value = y * prediction**2 + (1 - y) * shortfall**2
    return value if options.get("half") == "false" else value / 2


ELEMENTWISE: dict[str, Callable[[Number, Number, Options], Number]] = {
    "mse": lambda p, y, _: (p - y) ** 2,
    "half_mse": lambda p, y, _: (p - y) ** 2 / 2,
    "mae": lambda p, y, _: abs(p - y),
    "median_ae": lambda p, y, _: abs(p - y),  # of which the median is taken elsewhere
    "mape": lambda p, y, o: percentage(abs(p - y), abs(y), o),
    "smape": lambda p, y, o: 2 * percentage(abs(p - y), abs(p) + abs(y), o),
    "msle": lambda p, y, o: log_ratio(p, y, o) ** 2,
    "huber": huber,
    "smooth_l1": smooth_l1,
    "pseudo_huber": pseudo_huber,
    "quantile": quantile,
    "epsilon_insensitive": tube,
    "squared_epsilon_insensitive": lambda p, y, o: tube(p, y, o) ** 2,
    "log_cosh": lambda p, y, _: log_cosh(p - y),
    "poisson": poisson,
    "poisson_nll": poisson_nll,
    "poisson_deviance": lambda p, y, o: tweedie(p, y, o, 1),
    "gamma_deviance": lambda p, y, o: tweedie(p, y, o, 2),
    "tweedie_deviance": tweedie,
    "bce": binary_cross_entropy,
    "binary_focal": binary_focal,
    "brier": brier,
    "hinge": hinge,
    "squared_hinge": lambda p, y, o: hinge(p, y, o) ** 2,
    "modified_huber": modified_huber,
    "perceptron": lambda p, y, o: max(-with_labels(y, o, "pm1") * p, mpf(0)),
    "soft_margin": lambda p, y, o: softplus(-with_labels(y, o, "pm1") * p),
    "exponential": exponential,
    "hinge_embedding": hinge_embedding,
    "binary_sparsemax": binary_sparsemax,
    "contrastive": contrastive,
    "zero_one": lambda p, y, _: mpf(p != y),
    "hamming": lambda p, y, _: mpf(p != y),
}
