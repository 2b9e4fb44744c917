"""Losses of a probability or logit against a 0/1 or soft label."""

import math
from typing import Annotated

from ..domains import LOGIT, PROBABILITY
from ..rare import rarely
from ..scalar import absolute, difference, exp, maximum, normal_exp, square, where
from ..shares import log1p_of_share, log_of_complement, log_of_share, sigmoids
from ..spec import Parameter, factored_form_of, form_of, gradient_of, loss
from ..wide_exp import exact_product, times_power_of_two, wide_exp
from .parts import KERAS, PER_ELEMENT, surcharge

# How far two parts of a slope are from each other where they nearly cancel, as a share of one.
NEAR = 2.0**-10
TORCH_FLOOR = 9.999999960041972e-13  # 1e-12 in float32, which PyTorch takes it for in float64 as well


@loss(
    input="prob",
    prediction=PROBABILITY,
    target=PROBABILITY,
    formula="-[ω y ln p + (1 - y) ln(1 - p)], 0 ln 0 = 0",
    gradient_formula="(p - y)/(p (1 - p)) for ω = 1, else -ω y/p + (1 - y)/(1 - p); "
    "by the logit (1 - y) σ(z) - ω y σ(-z)",
    unit="nat",
    options=(
        "input",
        "eps",
        "eps_mode",
        "label_smoothing",
        "log_base",
        "row",
        "denom",
        "empty",
        "grad_wrt",
        "grad_scale",
        "preset",
    ),
    aliases={
        "keras": ("BinaryCrossentropy", "binary_crossentropy", "BCE"),
        "torch": (
            "BCELoss",
            "binary_cross_entropy",
            "BCEWithLogitsLoss:input=logit",
            "binary_cross_entropy_with_logits:input=logit",
        ),
        "optax": ("sigmoid_binary_cross_entropy:input=logit",),
        "sklearn": ("log_loss", "HalfBinomialLoss:input=logit"),
        "other": ("logistic",),
    },
    presets={
        "keras": {"prob": {"eps": 1e-7, "eps_mode": "clip"}, "denom": "count", "empty": "zero"},
        "torch": {"prob": {"eps": -100.0, "eps_mode": "log_floor", "variance_floor": TORCH_FLOOR}, "denom": "count"},
        "optax": {"input": "logit"},
        "sklearn": {"prob": {"eps": "machine", "eps_mode": "clip"}},
    },
    source="Good (1952), Rational decisions",
)
def bce(
    prediction: float,
    target: float,
    pos_weight: Annotated[float, Parameter("factor ω of the positive term", above=0.0, by_column=True)] = 1.0,
    log_floor: float = -math.inf,
) -> float:
    """Binary cross-entropy of a probability.

    An impossible event (p = 0 and y > 0) has an infinite loss; Keras, scikit-learn and PyTorch clip, each elsewhere:
    the presets do so too. Probabilities near 1 have lost the digits of 1 - p: prefer logits where you have them.
    """
    positive = pos_weight * target * at_least(log_of_share(prediction), log_floor)
    negative = (1.0 - target) * at_least(log_of_complement(prediction), log_floor)
    return 0.0 - (where(target == 0.0, 0.0, positive) + where(target == 1.0, 0.0, negative))


def at_least(logarithm: float, floor: float) -> float:
    """The larger one; NaN where the logarithm is."""
    return where(logarithm < floor, floor, logarithm)


@factored_form_of(bce, sign=-1.0, hard_targets=True, neutral={"pos_weight": 1.0, "log_floor": -math.inf})
def bce_factored(prediction: float, target: float) -> tuple[float, float, float]:
    """Of a 0/1 label one term is left: the logarithm of its probability, p or 1 - p; minus 1 that is exact near 1."""
    complement = 1.0 - prediction
    positive = target == 1.0
    return 0.0, where(positive, prediction, complement), where(positive, -complement, -prediction)


@gradient_of(bce)
def bce_gradient(
    prediction: float,
    target: float,
    pos_weight: float,
    log_floor: float = -math.inf,
    variance_floor: float = 0.0,
) -> float:
    """(p - y) / (p (1 - p)) for soft labels; the one term that is left for hard ones, which has no 0/0 at p = y.

    A term whose logarithm is held at `log_floor` has derivative 0. `variance_floor` > 0 is PyTorch's backward pass:
    p (1 - p) is kept above it, and the clipping of the value is ignored.
    """
    complement = 1.0 - prediction
    lowest = exp(log_floor)
    positive = where(prediction >= lowest, pos_weight * target / prediction, 0.0)
    negative = where(complement >= lowest, (1.0 - target) / complement, 0.0)
    separate = where(target == 1.0, 0.0, negative) - where(target == 0.0, 0.0, positive)
    together = weighted_excess(prediction, target, pos_weight) / maximum(prediction * complement, variance_floor)
    soft = (target > 0.0) & (target < 1.0) & (prediction >= lowest) & (complement >= lowest)
    return where(soft | (variance_floor > 0.0), together, separate)


def weighted_excess(prediction: float, target: float, pos_weight: float) -> float:
    """p (1 - y) - ω y (1 - p), which is p - y for ω = 1."""
    first, second = prediction * (1.0 - target), pos_weight * target * (1.0 - prediction)
    is_next = nearly_cancels(first, second) & (pos_weight != 1.0)
    weighted = rarely(is_next, weighted_excess_next_to, first - second, prediction, target, pos_weight)
    return where(pos_weight == 1.0, prediction - target, weighted)


def weighted_excess_next_to(prediction: float, target: float, pos_weight: float) -> float:
    """The same where both are nearly equal, of products and complements in two parts."""
    rest, rest_low = difference(1.0, target)
    complement, complement_low = difference(1.0, prediction)
    positive, positive_low = exact_product(pos_weight, target)
    first, first_low = exact_product(prediction, rest)
    second, second_low = exact_product(positive, complement)
    second_low = second_low + (positive_low * complement + positive * complement_low)
    return (first - second) + ((first_low + prediction * rest_low) - second_low)


@gradient_of(bce, by="logit")
def bce_gradient_by_logit(prediction: float, target: float, pos_weight: float) -> float:
    """p - y for ω = 1: p is given, and no logarithm of it is wanted."""
    return weighted_excess(prediction, target, pos_weight)


@form_of("bce", "logit", LOGIT)
def bce_from_logits(
    prediction: float,
    target: float,
    pos_weight: Annotated[float, Parameter("factor ω of the positive term", above=0.0, by_column=True)] = 1.0,
) -> float:
    """ω y softplus(-z) + (1 - y) softplus(z): both have log(1 + e**-|z|), that of the wrong label |z| besides.

    No term is negative, and the tail of the right answer keeps its digits.
    """
    positive, negative = pos_weight * target, 1.0 - target
    return (positive + negative) * log1p_of_share(exp(-absolute(prediction))) + surcharge(
        prediction, where(prediction > 0.0, negative, positive)
    )


@factored_form_of(bce_from_logits, sign=1.0, neutral={"pos_weight": 1.0}, within=(-708.0, 708.0))
def bce_from_logits_factored(prediction: float, target: float) -> tuple[float, float, float]:
    """The same with log(1 + e**-|z|) as the one logarithm."""
    excess = normal_exp(-absolute(prediction))
    wrong = where(prediction > 0.0, 1.0 - target, target)
    return wrong * absolute(prediction), 1.0 + excess, excess


@gradient_of(bce_from_logits)
def bce_from_logits_gradient(prediction: float, target: float, pos_weight: float) -> float:
    positive, negative = sigmoids(prediction)
    first, second = (1.0 - target) * positive, pos_weight * target * negative
    return rarely(nearly_cancels(first, second), slope_next_to, first - second, prediction, target, pos_weight)


def nearly_cancels(a: float, b: float) -> bool:
    """Where the difference has lost digits that count."""
    return absolute(a - b) < NEAR * a


def slope_next_to(logit: float, target: float, pos_weight: float) -> float:
    """(1 - y) σ(z) - ω y σ(-z) where both are nearly equal: both over σ(|z|), of which one has e**-|z| for a factor."""
    k, power, power_low = wide_exp(0.0 - absolute(logit))
    negative, negative_low = difference(1.0, target)
    positive, positive_low = exact_product(pos_weight, target)
    is_positive = logit > 0.0
    smaller, smaller_low = where(is_positive, negative, positive), where(is_positive, negative_low, positive_low)
    larger, larger_low = where(is_positive, positive, negative), where(is_positive, positive_low, negative_low)
    share, share_low = exact_product(larger, power)
    share_low = share_low + (larger * power_low + larger_low * power)
    rest = smaller - times_power_of_two(share, k)
    rest = rest + (smaller_low - times_power_of_two(share_low, k))
    return where(is_positive, rest, 0.0 - rest) * maximum(*sigmoids(logit))


@gradient_of(bce_from_logits, by="prob")
def bce_from_logits_gradient_by_probability(prediction: float, target: float, pos_weight: float) -> float:
    """(1 - y)/(1 - p) - ω y/p with 1 - p = σ(-z): as a difference it is 0 from z = 37 on."""
    right, other = sigmoids(prediction)
    negative = where(target == 1.0, 0.0, (1.0 - target) / other)
    positive = where(target == 0.0, 0.0, pos_weight * target / right)
    is_next = nearly_cancels(negative, positive)
    return rarely(is_next, slope_by_probability, negative - positive, prediction, target, pos_weight)


def slope_by_probability(logit: float, target: float, pos_weight: float) -> float:
    right, other = sigmoids(logit)
    return slope_next_to(logit, target, pos_weight) / (right * other)


@loss(
    input="prob",
    prediction=PROBABILITY,
    target=PROBABILITY,
    formula="(p - y)²",
    gradient_formula="2 (p - y); by the logit 2 (p - y) p (1 - p)",
    options=("input", *PER_ELEMENT[:-1], "grad_wrt", "preset"),
    aliases={"sklearn": ("brier_score_loss",)},
    presets={"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}},
    source="Brier (1950), Verification of forecasts expressed in terms of probability",
)
def brier(prediction: float, target: float) -> float:
    """Squared error of a probability, from 0 to 1; `brier_multiclass` is its sum over the classes."""
    return square(prediction - target)


@gradient_of(brier)
def brier_gradient(prediction: float, target: float) -> float:
    return 2.0 * (prediction - target)


@gradient_of(brier, by="logit")
def brier_gradient_by_logit(prediction: float, target: float) -> float:
    return 2.0 * (prediction - target) * prediction * (1.0 - prediction)


@form_of("brier", "logit", LOGIT)
def brier_from_logits(prediction: float, target: float) -> float:
    return square(excess(prediction, target))


@gradient_of(brier_from_logits)
def brier_from_logits_gradient(prediction: float, target: float) -> float:
    positive, negative = sigmoids(prediction)
    return 2.0 * excess(prediction, target) * positive * negative


@gradient_of(brier_from_logits, by="prob")
def brier_from_logits_gradient_by_probability(prediction: float, target: float) -> float:
    return 2.0 * excess(prediction, target)


def excess(prediction: float, target: float) -> float:
    """σ(z) - y, whose tail of the right answer keeps its digits; next to a target all of them.

    |z| < 1/2: (1/2 - y) + tanh(z/2)/2, of which the tangent is z times a polynomial in z² (own minimax approximation,
    relative error 2**-57).
    """
    positive, negative = sigmoids(prediction)
    w = square(prediction)
    q = -2.0092825254988013e-08
    q = q * w + 2.184011021466385e-07
    q = q * w - 2.1636988169891825e-06
    q = q * w + 2.135690176355008e-05
    q = q * w - 2.1081349075465617e-04
    q = q * w + 2.0833333332925122e-03
    q = q * w - 2.0833333333332846e-02
    near = (0.5 - target) + prediction * (q * w + 0.25)
    first, second = (1.0 - target) * positive, target * negative
    plain = where(w < 0.25, near, first - second)
    is_next = nearly_cancels(first, second) & (target != 0.5)
    return rarely(is_next, slope_next_to, plain, prediction, target, 1.0)
