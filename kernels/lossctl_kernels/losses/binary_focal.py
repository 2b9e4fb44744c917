"""The focal loss of a probability or logit: cross-entropy B times a power of q, the probability of the wrong answer."""

import math
from typing import Annotated

from ..domains import LOGIT, PROBABILITY
from ..scalar import log, log1p, where
from ..shares import log_of_complement, log_of_share, sigmoids
from ..spec import Parameter, form_of, gradient_of, loss
from .binary import bce_from_logits_gradient_by_probability, bce_gradient, excess
from .parts import KERAS, PER_ELEMENT, counted, log_sigmoids, power

Gamma = Annotated[float, Parameter("exponent of the probability of the wrong answer", at_least=0.0)]
Alpha = Annotated[
    float, Parameter("weight of the label 1; that of 0 is the rest", at_least=0.0, at_most=1.0, optional=True)
]
LogClip = Annotated[
    float, Parameter("p is held in [eps, 1 - eps] inside the logarithms", at_least=0.0, below=0.5, modes=("clip",))
]


def balance(target: float, alpha: float) -> float:
    """α y + (1 - α)(1 - y); 1 where there is no α."""
    return where(alpha == alpha, alpha * target + (1.0 - alpha) * (1.0 - target), 1.0)


def clipped_log(logarithm: float, eps: float) -> float:
    """ln p where p is held in [eps, 1 - eps]."""
    return between(log(eps), logarithm, log1p(-eps))


def clipped_log_of_rest(logarithm: float, eps: float) -> float:
    """ln(1 - p) where p is held in [eps, 1 - eps]: its least is of the rest of a rounded 1 - eps, as in Keras."""
    return between(log(1.0 - (1.0 - eps)), logarithm, log1p(-eps))


def between(low: float, x: float, high: float) -> float:
    """The number held between two others; NaN stays NaN."""
    return where(x < low, low, where(x > high, high, x))


def entropy(target: float, log_right: float, log_wrong: float) -> float:
    """-[y ln p + (1 - y) ln(1 - p)], 0 ln 0 = 0."""
    positive = where(target == 0.0, 0.0, target * log_right)
    return 0.0 - (positive + where(target == 1.0, 0.0, (1.0 - target) * log_wrong))


def focal(weight: float, wrong: float, gamma: float, cross_entropy: float) -> float:
    """α_t q^γ B, where B may be infinite and the others 0."""
    value = where(cross_entropy < math.inf, weight * power(wrong, gamma) * cross_entropy, cross_entropy)
    return where((cross_entropy == 0.0) | (weight == 0.0), 0.0, value)


def focal_slope(wrong: float, gamma: float, cross_entropy: float, wrong_slope: float, entropy_slope: float) -> float:
    """The derivative of q^γ B; where q = 0, B is 0 or what `eps` holds it at, which counts for γ = 1 alone."""
    # Of a logit far away B is as large, and the slope of q is 0.
    through_power = gamma * (cross_entropy / where(wrong == 0.0, 1.0, wrong) * wrong_slope)
    certain = where((wrong == 0.0) & (gamma == 1.0), cross_entropy * wrong_slope, 0.0)
    return counted(power(wrong, gamma), where(wrong == 0.0, 0.0, through_power) + entropy_slope) + certain


@loss(
    input="prob",
    prediction=PROBABILITY,
    target=PROBABILITY,
    formula="α_t q^γ B, B = bce, q = y (1 - p) + (1 - y) p, α_t = α y + (1 - α)(1 - y) or 1",
    gradient_formula="α_t [γ q^(γ - 1) (1 - 2y) B + q^γ (p - y)/(p (1 - p))]",
    unit="nat",
    options=("input", "eps_mode", "label_smoothing", "log_base", *PER_ELEMENT[:-1], "grad_wrt", "preset"),
    aliases={
        "keras": ("BinaryFocalCrossentropy", "binary_focal_crossentropy"),
        "optax": ("sigmoid_focal_loss:input=logit",),
        "other": ("sigmoid_focal_loss:input=logit", "focal_loss", "FocalLoss"),
    },
    presets={"keras": {**KERAS, "eps": 1e-7}, "torch": {}, "optax": {"input": "logit"}, "sklearn": {}},
    source="Lin et al. (2017), Focal loss for dense object detection",
)
def binary_focal(
    prediction: float,
    target: float,
    gamma: Gamma = 2.0,
    alpha: Alpha = math.nan,
    eps: LogClip = 0.0,
) -> float:
    """Binary cross-entropy that counts easy samples less: times the probability of the wrong answer to the power γ.

    There is no α unless it is given, as in Keras and optax; torchvision always has 0.25. Keras clips inside the
    logarithms only, also the sigmoid of logits.
    """
    wrong, cross_entropy = parts_of_probability(prediction, target, eps)
    return focal(balance(target, alpha), wrong, gamma, cross_entropy)


def parts_of_probability(probability: float, target: float, eps: float) -> tuple[float, float]:
    """(q, B) of a probability p."""
    log_right = clipped_log(log_of_share(probability), eps)
    log_other = clipped_log_of_rest(log_of_complement(probability), eps)
    wrong = target * (1.0 - probability) + (1.0 - target) * probability
    return wrong, entropy(target, log_right, log_other)


@gradient_of(binary_focal)
def binary_focal_gradient(prediction: float, target: float, gamma: float, alpha: float, eps: float) -> float:
    wrong, cross_entropy = parts_of_probability(prediction, target, eps)
    held = (prediction < eps) | (prediction > 1.0 - eps)
    slope = where(held, 0.0, bce_gradient(prediction, target, 1.0))
    return counted(balance(target, alpha), focal_slope(wrong, gamma, cross_entropy, 1.0 - 2.0 * target, slope))


def parts_of_logit(logit: float, target: float, eps: float) -> tuple[float, float, float, float]:
    """(σ(z), σ(-z), q, B) of a logit z."""
    right, other = sigmoids(logit)
    log_right, log_other = log_sigmoids(logit)
    cross_entropy = entropy(target, clipped_log(log_right, eps), clipped_log_of_rest(log_other, eps))
    return right, other, target * other + (1.0 - target) * right, cross_entropy


@form_of("binary_focal", "logit", LOGIT)
def binary_focal_from_logits(prediction: float, target: float, gamma: float, alpha: float, eps: float) -> float:
    _, _, wrong, cross_entropy = parts_of_logit(prediction, target, eps)
    return focal(balance(target, alpha), wrong, gamma, cross_entropy)


@gradient_of(binary_focal_from_logits)
def binary_focal_from_logits_gradient(
    prediction: float, target: float, gamma: float, alpha: float, eps: float
) -> float:
    right, other, wrong, cross_entropy = parts_of_logit(prediction, target, eps)
    held = (right < eps) | (other < eps)
    slope = where(held, 0.0, excess(prediction, target))
    wrong_slope = (1.0 - 2.0 * target) * right * other
    return balance(target, alpha) * focal_slope(wrong, gamma, cross_entropy, wrong_slope, slope)


@gradient_of(binary_focal_from_logits, by="prob")
def binary_focal_from_logits_gradient_by_probability(
    prediction: float, target: float, gamma: float, alpha: float
) -> float:
    """As that of a probability, with 1 - p = σ(-z); `eps` holds probabilities and not logits: there is none."""
    _, _, wrong, cross_entropy = parts_of_logit(prediction, target, 0.0)
    slope = bce_from_logits_gradient_by_probability(prediction, target, 1.0)
    return counted(balance(target, alpha), focal_slope(wrong, gamma, cross_entropy, 1.0 - 2.0 * target, slope))
