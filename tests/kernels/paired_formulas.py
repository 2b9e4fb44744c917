"""Losses with a further input in mpmath; see `formulas.py`. One loss a row: each input is a row, or one number."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mpmath
from mpmath import mpf

from tests.kernels.formulas import Number, Options, Row, is_on, parameter

Inputs = Mapping[str, Row]


def gaussian_nll(prediction: Number, target: Number, var: Number, options: Options) -> Number:
    held = options.get("var_input", "var")
    variance = {"var": var, "log_var": mpmath.exp(var), "std": var**2}[held]
    variance = max(variance, parameter(options, "eps", 0))
    constant = mpmath.log(2 * mpmath.pi) / 2 if is_on(options, "full") else mpf(0)
    return (mpmath.log(variance) + (prediction - target) ** 2 / variance) / 2 + constant


def margin_ranking(prediction: Number, target: Number, sign: Number, options: Options) -> Number:
    return max(parameter(options, "margin", 0) - sign * (prediction - target), mpf(0))


def each_value(function: Callable[[Number, Number, Number, Options], Number], name: str) -> Callable[..., Number]:
    """The mean, or sum, of an elementwise loss over a row."""

    def row(prediction: Row, target: Row, inputs: Inputs, options: Options) -> Number:
        data = zip(prediction, target, inputs[name], strict=True)
        values = [function(p, y, x, options) for p, y, x in data]
        return mpmath.fsum(values) / (1 if options.get("row") == "sum" else len(values))

    return row


def cosine(a: Row, b: Row, eps: Number) -> Number:
    squares = [mpmath.fsum(x * x for x in row) + eps for row in (a, b)]
    dot = mpmath.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / mpmath.sqrt(squares[0] * squares[1]) if 0 not in squares else mpf(0)


def cosine_embedding(prediction: Row, target: Row, inputs: Inputs, options: Options) -> Number:
    c = cosine(prediction, target, parameter(options, "eps", 0))
    return 1 - c if inputs["sign"][0] > 0 else max(c - parameter(options, "margin", 0), mpf(0))


def distance(a: Row, b: Row, options: Options) -> Number:
    family, eps = options.get("distance", "lp"), parameter(options, "eps", 0)
    if family == "cosine":
        return 1 - cosine(a, b, mpf(0))
    is_shift = options.get("eps_mode", "shift") == "shift"
    norm = mpf(2) if family == "sqeuclidean" else parameter(options, "norm", 2)
    total = mpmath.fsum(abs(x - y + (eps if is_shift else 0)) ** norm for x, y in zip(a, b, strict=True))
    total += 0 if is_shift else eps
    return total if family == "sqeuclidean" else total ** (1 / norm)


def triplet_margin(prediction: Row, target: Row, inputs: Inputs, options: Options) -> Number:
    negative = distance(prediction, inputs["negative"], options)
    if options.get("swap"):
        negative = min(negative, distance(target, inputs["negative"], options))
    return max(parameter(options, "margin", 1) + distance(prediction, target, options) - negative, mpf(0))


PAIRED: dict[str, Callable[[Row, Row, Inputs, Options], Number]] = {
    "gaussian_nll": each_value(gaussian_nll, "var"),
    "margin_ranking": each_value(margin_ranking, "sign"),
    "cosine_embedding": cosine_embedding,
    "triplet_margin": triplet_margin,
}
