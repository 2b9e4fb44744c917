"""Relatives of the cross-entropy: other functions of the probabilities of the classes, or of their logits."""

import math
from typing import Annotated, Any

from ..domains import CLASS_PROBABILITY, LOGIT, PROBABILITY, TargetKind
from ..scalar import absolute, exp, expm1, log, log1p, log1p_gap, maximum, minimum, where
from ..softmax import SOFTMAX, others, probability, probability_of_others
from ..spec import Monoid, Parameter, Scope, define, fold, form_of, gradient_of, loss
from .amounts import SURPRISE, amounts_below, cce_of_amounts, divided_in_place, share_of_others
from .focal_amounts import FOCAL_OF_AMOUNTS, through_power
from .multiclass import CROSS_ENTROPY_OPTIONS, cce_from_logits_gradient, gap, mass
from .multiclass import KERAS as KERAS_ROWS
from .parts import KERAS, power

REDUCED = ("denom", "empty", "grad_wrt", "grad_scale", "preset")
NO_PRESETS: dict[str, dict[str, Any]] = {"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}}
DENSE_OR_INDEX: dict[str, dict[str, dict[str, Any]]] = {
    "labels": {"dense": {}, "index": {"target_kind": TargetKind.INDEX}}
}


# ---- generalized cross-entropy

TINY_EXPONENT = 2.0**-54


def generalized(log_probability: float, q: float) -> float:
    """(1 - p^q)/q; of the smallest exponents -ln p, whose product with q may be too small for its digits."""
    exponent = q * log_probability
    return 0.0 - where(absolute(exponent) < TINY_EXPONENT, log_probability, expm1(exponent) / q)


def gce_of_amounts(
    rounded_surprise: float,
    target_mass: float,
    row_total: float,
    minor_amounts: float,
    largest_amount: float,
    target_of_largest: float,
    q: float,
) -> float:
    of_certain = minor_amounts, largest_amount, target_of_largest
    return generalized(-cce_of_amounts(rounded_surprise, target_mass, row_total, *of_certain), q)


def gce_of_amounts_gradient(
    prediction: float, target: float, rounded_surprise: float, row_total: float, amounts_below: float, q: float
) -> float:
    """(p/Σp)^q/Σp, and at y minus that times Σp/p - 1: next to certainty a rounded power will do."""
    at_target = exp((1.0 - q) * rounded_surprise) * share_of_others(prediction, row_total, amounts_below)
    return where(target == 0.0, exp(-q * rounded_surprise), 0.0 - at_target) / row_total


GCE_OF_AMOUNTS = define(gce_of_amounts, CLASS_PROBABILITY, Scope.ROW, (*SURPRISE, amounts_below))
gradient_of(gce_of_amounts)(gce_of_amounts_gradient)


@fold(Monoid.TARGET_SUM)
def generalized_surprise(prediction: float, target: float, q: float, log_floor: float = -math.inf) -> float:
    return where(target == 0.0, 0.0, generalized(maximum(log(prediction), log_floor), q))


@fold(Monoid.TARGET_SUM)
def slope_at_target(prediction: float, target: float, q: float, log_floor: float = -math.inf) -> float:
    """One power a row: no other class has a slope."""
    flat = (target == 0.0) | (prediction < exp(log_floor))
    return where(flat, 0.0, -power(prediction, q - 1.0))


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(generalized_surprise, slope_at_target),
    prediction=CLASS_PROBABILITY,
    target_kind=TargetKind.INDEX,
    formula="(1 - p_y^q)/q",
    gradient_formula="-p_y^(q - 1) at y; by the logits p_y^q (softmax(z) - one_hot(y))",
    options=("input", "eps", "eps_mode", "normalize", "ignore_index", *REDUCED),
    aliases={"keras": ("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy")},
    presets={**NO_PRESETS, "keras": {**KERAS, "q": 0.5}},
    adapt=divided_in_place(GCE_OF_AMOUNTS),
    source="Zhang and Sabuncu (2018), Generalized cross entropy loss for training with noisy labels",
)
def gce(
    generalized_surprise: float,
    q: Annotated[float, Parameter("0 would be cross-entropy, 1 the error", above=0.0, below=1.0, example=0.7)],
) -> float:
    """Between cross-entropy and the mean absolute error: wrong labels count less."""
    return generalized_surprise


@gradient_of(gce)
def gce_gradient(target: float, slope_at_target: float) -> float:
    return where(target == 0.0, 0.0, slope_at_target)


@form_of("gce", "logit", LOGIT, (*SOFTMAX, gap))
def gce_from_logits(gap: float, ties: float, tail: float, q: float) -> float:
    return generalized(-(gap + log1p(others(ties, tail))), q)


@gradient_of(gce_from_logits)
def gce_from_logits_gradient(
    prediction: float, target: float, largest: float, ties: float, tail: float, gap: float, q: float
) -> float:
    share = exp(-q * (gap + log1p(others(ties, tail))))
    return share * cce_from_logits_gradient(prediction, target, largest, ties, tail, 1.0)


# ---- focal loss

KERAS_FOCAL = {**KERAS_ROWS, "alpha": (0.25,), "logit": {"softmax_eps": 1e-7}}
Gamma = Annotated[float, Parameter("exponent of the probability of the other classes", at_least=0.0)]


@fold(Monoid.TARGET_SUM)
def focal_surprise(
    prediction: float, target: float, class_weight: float, gamma: float, log_floor: float = -math.inf
) -> float:
    surprise = 0.0 - maximum(log(prediction), log_floor)
    value = class_weight * power(1.0 - prediction, gamma) * (target * surprise)
    return where((target == 0.0) | (class_weight == 0.0) | (surprise == 0.0), 0.0, value)


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(focal_surprise,),
    prediction=CLASS_PROBABILITY,
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    variants=DENSE_OR_INDEX,
    formula="-Σ α y (1 - p)^γ ln p over the classes",
    gradient_formula="h = α y [γ (1 - p)^(γ - 1) ln p - (1 - p)^γ/p]; by the logits p (h - Σ h p)",
    unit="nat",
    options=("labels", "alpha", *(o for o in CROSS_ENTROPY_OPTIONS if o != "class_weight")),
    aliases={
        "keras": ("CategoricalFocalCrossentropy", "categorical_focal_crossentropy"),
        "other": ("focal_loss", "FocalLoss"),
    },
    presets={**NO_PRESETS, "keras": KERAS_FOCAL, "optax": {"input": "logit"}},
    adapt=divided_in_place(FOCAL_OF_AMOUNTS),
    source="Lin et al. (2017), Focal loss for dense object detection",
)
def categorical_focal(focal_surprise: float, gamma: Gamma = 2.0) -> float:
    """Cross-entropy that counts easy samples less: times the probability of the other classes to the power γ.

    `alpha` is a factor, or one for each class; Keras has 0.25, which only scales the loss, and clips the softmax of
    logits, too. Targets are distributions, or class indices with `labels=index`. The gradient by logits, or
    through `normalize`, is a difference of slopes: next to a soft target it is right to some 1e-16 of them.
    """
    return focal_surprise


@gradient_of(categorical_focal)
def categorical_focal_gradient(
    prediction: float, target: float, class_weight: float, gamma: float, log_floor: float = -math.inf
) -> float:
    rest = 1.0 - prediction
    factor = class_weight * power(rest, gamma)
    of_logarithm = where(prediction < exp(log_floor), 0.0, target / prediction)
    of_power = target * through_power(maximum(log(prediction), log_floor), rest, gamma)
    return where((target == 0.0) | (class_weight == 0.0), 0.0 * prediction, factor * (of_power - of_logarithm))


SoftmaxEps = Annotated[
    float, Parameter("the softmax of logits is held in [softmax_eps, 1 - softmax_eps]", at_least=0.0, below=0.5)
]


def half_surprise(prediction: float, largest: float, ties: float, tail: float) -> float:
    """Half of -ln p: the whole of it may be too large for a number where a share of it is not."""
    return (0.5 * largest - 0.5 * prediction) + 0.5 * log1p(others(ties, tail))


def held_rest(rest: float, eps: float) -> float:
    """1 - p where p is held in [eps, 1 - eps]; its least is of the rest of a rounded 1 - eps, as in Keras."""
    return minimum(maximum(rest, 1.0 - (1.0 - eps)), 1.0 - eps)


@fold(Monoid.TARGET_SUM)
def focal_surprise_of_logits(
    prediction: float,
    target: float,
    class_weight: float,
    largest: float,
    ties: float,
    tail: float,
    gamma: float,
    softmax_eps: SoftmaxEps = 0.0,
) -> float:
    half = half_surprise(prediction, largest, ties, tail)
    half = minimum(maximum(half, -0.5 * log1p(-softmax_eps)), -0.5 * log(softmax_eps))
    rest = held_rest(probability_of_others(prediction, largest, ties, tail), softmax_eps)
    value = 2.0 * (class_weight * power(rest, gamma) * (target * half))
    return where((target == 0.0) | (class_weight == 0.0), 0.0, value)


@fold(Monoid.TARGET_SUM, "focal_slopes")
def focal_slopes_at(
    prediction: float,
    target: float,
    class_weight: float,
    largest: float,
    ties: float,
    tail: float,
    gamma: float,
    softmax_eps: float,
) -> float:
    """α y p times the derivative by the probability; 0 where that is held."""
    p, rest = probability(prediction, largest, ties, tail), probability_of_others(prediction, largest, ties, tail)
    logarithm = (prediction - largest) - log1p(others(ties, tail))
    # Where p is 0, so is its product with ln p.
    of_power = where(p == 0.0, 0.0, p * through_power(logarithm, rest, gamma))
    slope = power(rest, gamma) * (of_power - 1.0)
    flat = (target == 0.0) | (class_weight == 0.0) | (p < softmax_eps) | (rest < softmax_eps)
    return where(flat, 0.0, target * class_weight * slope)


@form_of("categorical_focal", "logit", LOGIT, (*SOFTMAX, focal_surprise_of_logits, focal_slopes_at))
def categorical_focal_from_logits(focal_surprise_of_logits: float) -> float:
    return focal_surprise_of_logits


@gradient_of(categorical_focal_from_logits)
def categorical_focal_from_logits_gradient(
    prediction: float,
    target: float,
    class_weight: float,
    largest: float,
    ties: float,
    tail: float,
    focal_slopes: float,
    gamma: float,
    softmax_eps: float,
) -> float:
    """h p (1 - p) less p times the sum over the other classes, so that nothing cancels at a class alone."""
    own = focal_slopes_at(prediction, target, class_weight, largest, ties, tail, gamma, softmax_eps)
    rest = probability_of_others(prediction, largest, ties, tail)
    return own * rest - probability(prediction, largest, ties, tail) * (focal_slopes - own)


# ---- the first term of the expansion of cross-entropy, with a weight of its own


@fold(Monoid.TARGET_SUM)
def miss(prediction: float, target: float, largest: float, ties: float, tail: float) -> float:
    """Σ y (1 - p)."""
    return where(target == 0.0, 0.0, target * probability_of_others(prediction, largest, ties, tail))


@fold(Monoid.TARGET_SUM)
def poly_surprise(prediction: float, target: float, largest: float, ties: float, tail: float, epsilon: float) -> float:
    """y (-ln p + ε (1 - p)); with m = 1 - p near 0, -ln p is m and a gap that ε = -1 leaves alone."""
    m = probability_of_others(prediction, largest, ties, tail)
    half = half_surprise(prediction, largest, ties, tail) + 0.5 * epsilon * m
    value = where(m < 0.5, target * ((1.0 + epsilon) * m + log1p_gap(-m)), 2.0 * (target * half))
    return where(target == 0.0, 0.0, value)


@loss(
    input="logit",
    scope=Scope.ROW,
    folds=(*SOFTMAX, mass, miss, poly_surprise),
    prediction=LOGIT,
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    formula="-Σ y ln p + ε Σ y (1 - p), p = softmax(z)",
    gradient_formula="(Σ y) p - y - ε p (y - Σ y p)",
    options=("input", "label_smoothing", "smoothing_mode", "denom", "empty", "grad_scale", "preset"),
    aliases={"optax": ("poly_loss_cross_entropy",)},
    presets=NO_PRESETS,
    source="Leng et al. (2022), PolyLoss",
    infinite=True,
)
def poly1(
    poly_surprise: float,
    epsilon: Annotated[float, Parameter("weight ε of the probability of the other classes")] = 2.0,
) -> float:
    """Cross-entropy and ε times the probability of the wrong classes.

    The gradient is that of a rounded p: next to a soft target it is right to some 1e-16 of either.
    """
    return poly_surprise


@gradient_of(poly1)
def poly1_gradient(
    prediction: float,
    target: float,
    largest: float,
    ties: float,
    tail: float,
    mass: float,
    miss: float,
    epsilon: float,
) -> float:
    """(Σ y) p - y - ε p y + ε p Σ y p, by Σ y (1 - p) and 1 - p instead, so that ε = -1 cancels."""
    p, rest = probability(prediction, largest, ties, tail), probability_of_others(prediction, largest, ties, tail)
    cross_entropy = cce_from_logits_gradient(prediction, target, largest, ties, tail, mass)
    # p Σ y (1 - p) - y (1 - p), of the smaller of both p and 1 - p.
    beyond = where(p < 0.5, p * miss - target * rest, (miss - target * rest) - rest * miss)
    return (1.0 + epsilon) * cross_entropy - epsilon * beyond
