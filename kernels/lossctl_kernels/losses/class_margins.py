"""Losses of a row of class scores by the distance between the right class and the others, and of labels in parallel."""

import math
from typing import Annotated

from ..domains import LOGIT, PROBABILITY, TargetKind
from ..scalar import absolute, difference, exp, maximum, power_of_two_scale, square, where
from ..shares import log1p_of_share
from ..softmax import largest
from ..spec import Monoid, Parameter, Scope, fold, gradient_of, loss
from .binary import excess
from .multiclass import gap, mass
from .parts import KERAS, KINKED_KERAS, step, surcharge

OPTIONS = ("denom", "empty", "kink", "grad_scale", "preset")
INDEX_OPTIONS = ("ignore_index", *OPTIONS)
PRESETS = {"keras": KINKED_KERAS, "torch": {}, "optax": {"kink": "half"}, "sklearn": {"kink": "steep"}}
Margin = Annotated[float, Parameter("what the right class must be ahead by")]


@fold(Monoid.TARGET_SUM)
def own_score(prediction: float, target: float) -> float:
    """The score of the right class; of a distribution the mean over it."""
    return where(target == 0.0, 0.0, target * prediction)


@fold(Monoid.TARGET_SUM)
def class_score(prediction: float, target: float) -> float:
    """The score of the class of an index, whatever its weight."""
    return where(target == 0.0, 0.0, prediction)


def ahead(other: float, own: float, margin: float) -> float:
    """m + s_j - s_y, with what the difference lost by rounding: next to the margin little else is left."""
    apart, lost = difference(other, own)
    return (margin + apart) + lost


# ---- against the best of the others


# A NaN does not become the largest: the counts of what is as large carry it, and so they go into the losses.


@fold(Monoid.MAX)
def best_remainder(prediction: float, target: float) -> float:
    return (1.0 - target) * prediction


@fold(Monoid.SUM)
def remainder_ties(prediction: float, target: float, best_remainder: float) -> float:
    return where((1.0 - target) * prediction == best_remainder, 1.0, 0.0 * prediction)


@loss(
    scope=Scope.ROW,
    folds=(best_remainder, remainder_ties, own_score),
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    formula="max(1 + max (1 - y) s - Σ y s, 0)",
    gradient_formula="(1 - y) at the best of the others, -y, if the loss is above 0; tied classes share it",
    options=OPTIONS,
    aliases={"keras": ("CategoricalHinge",)},
    presets=PRESETS,
)
def categorical_hinge(best_remainder: float, remainder_ties: float, own_score: float) -> float:
    """Hinge of the right class against the best of the others, as in Keras.

    The maximum over the others includes a 0 for the right class, so that negative scores everywhere cost something;
    `multiclass_hinge` is without it. The mean over a soft target is right to some 1e-16 of the scores, and so is a loss
    far smaller than they are.
    """
    return maximum(ahead(best_remainder, own_score, 1.0), 0.0) + 0.0 * remainder_ties


@gradient_of(categorical_hinge)
def categorical_hinge_gradient(
    prediction: float,
    target: float,
    best_remainder: float,
    remainder_ties: float,
    own_score: float,
    kink: float = 0.0,
) -> float:
    tied = where((1.0 - target) * prediction == best_remainder, (1.0 - target) / remainder_ties, 0.0)
    return step(ahead(best_remainder, own_score, 1.0), kink) * (tied - target)


@fold(Monoid.MAX)
def rival(prediction: float, target: float) -> float:
    return where(target == 0.0, prediction, -math.inf)


@fold(Monoid.SUM)
def rivals(prediction: float, target: float, rival: float) -> float:
    return where((target == 0.0) & (prediction == rival), 1.0, 0.0 * prediction)


@loss(
    scope=Scope.ROW,
    folds=(rival, rivals, class_score),
    target_kind=TargetKind.INDEX,
    formula="max(m + max of the other scores - s_y, 0)",
    gradient_formula="1 at the best of the others, -1 at y, if the loss is above 0; tied classes share it",
    options=INDEX_OPTIONS,
    aliases={"optax": ("multiclass_hinge_loss",), "sklearn": ("hinge_loss",), "other": ("crammer_singer",)},
    presets=PRESETS,
    source="Crammer and Singer (2001), On the algorithmic implementation of multiclass kernel-based vector machines",
)
def multiclass_hinge(rival: float, rivals: float, class_score: float, margin: Margin = 1.0) -> float:
    """What the right class is short of being ahead of the best of the others by the margin."""
    return maximum(ahead(rival, class_score, margin), 0.0) + 0.0 * rivals


@gradient_of(multiclass_hinge)
def multiclass_hinge_gradient(
    prediction: float,
    target: float,
    rival: float,
    rivals: float,
    class_score: float,
    margin: float,
    kink: float = 0.0,
) -> float:
    direction = where(target == 0.0, where(prediction == rival, 1.0 / rivals, 0.0), -1.0)
    return step(ahead(rival, class_score, margin), kink) * direction


@fold(Monoid.SUM)
def winners(prediction: float, largest: float) -> float:
    """How many classes share the largest score; NaN is not among them, and comes through."""
    return where(prediction == largest, 1.0, 0.0 * prediction)


@loss(
    scope=Scope.ROW,
    folds=(largest, winners, gap),
    target_kind=TargetKind.INDEX,
    formula="max s - s_y",
    gradient_formula="1 at the best class, -1 at y; tied classes share the 1",
    options=tuple(option for option in INDEX_OPTIONS if option != "kink"),
    aliases={"optax": ("multiclass_perceptron_loss",)},
    presets={"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}},
)
def multiclass_perceptron(gap: float, winners: float) -> float:
    """How far the right class is behind the best."""
    return gap + 0.0 * winners


@gradient_of(multiclass_perceptron)
def multiclass_perceptron_gradient(prediction: float, target: float, largest: float, winners: float) -> float:
    return where(prediction == largest, 1.0 / winners, 0.0) - target


# ---- against each of the others


def shortfall(prediction: float, target: float, class_score: float, margin: float) -> float:
    """What the right class is short of being ahead of another one; minus infinity for itself."""
    return where(target == 0.0, ahead(prediction, class_score, margin), -math.inf)


def share_of(width: float) -> float:
    """A power of two below 1/C: shares of the largest shortfalls have a sum, as their mean is a number."""
    return 0.5 * power_of_two_scale(width)


def share_of_value(p: float, width: float) -> float:
    """Squares are too large anyway where their sum is; their shares might be too small."""
    return where(p == 1.0, share_of(width), 1.0)


@fold(Monoid.SUM)
def shortfalls(
    prediction: float, target: float, class_score: float, p: float, margin: float, width: float = 1.0
) -> float:
    part = share_of_value(p, width)
    h = maximum(shortfall(part * prediction, target, part * class_score, part * margin), 0.0)
    return where(p == 1.0, h, square(h))


@fold(Monoid.SUM, "shortfall_slopes")
def shortfall_slope(
    prediction: float, target: float, class_score: float, p: float, margin: float, width: float = 1.0, kink: float = 0.0
) -> float:
    part = share_of(width)
    h = shortfall(part * prediction, target, part * class_score, part * margin)
    return where(p == 1.0, part * step(h, kink), 2.0 * maximum(h, 0.0))


@loss(
    scope=Scope.ROW,
    folds=(class_score, mass, shortfalls, shortfall_slope),
    target_kind=TargetKind.INDEX,
    formula="w_y/C Σ max(m - s_y + s_j, 0)^p over the other classes j",
    gradient_formula="w_y/C p max(m - s_y + s_j, 0)^(p - 1) at j, minus their sum at y",
    options=("class_weight", *INDEX_OPTIONS),
    aliases={"torch": ("MultiMarginLoss", "multi_margin_loss"), "other": ("weston_watkins",)},
    presets={**PRESETS, "torch": {"denom": "count"}},
    source="Weston and Watkins (1999), Support vector machines for multi-class pattern recognition",
)
def multi_margin(
    shortfalls: float,
    mass: float,
    p: Annotated[float, Parameter("exponent of each shortfall", choices=(1.0, 2.0))] = 1.0,
    margin: Margin = 1.0,
    width: float = 1.0,
) -> float:
    """What the right class is short of being ahead of each of the others by the margin, summed, over the classes."""
    weighted = mass * shortfalls / (width * share_of_value(p, width))
    # NaN comes through; squares that are too large do not count.
    return where((mass == 0.0) & (shortfalls == math.inf), 0.0, weighted)


@gradient_of(multi_margin)
def multi_margin_gradient(
    prediction: float,
    target: float,
    class_score: float,
    mass: float,
    shortfall_slopes: float,
    p: float,
    margin: float,
    width: float = 1.0,
    kink: float = 0.0,
) -> float:
    slope = shortfall_slope(prediction, target, class_score, p, margin, width, kink)
    return mass / (width * share_of(width)) * where(target == 0.0, slope, -shortfall_slopes)


# ---- labels in parallel


@fold(Monoid.SUM)
def label_losses(prediction: float, target: float, class_weight: float) -> float:
    wrong = where(prediction > 0.0, 1.0 - target, target)
    return class_weight * (log1p_of_share(exp(-absolute(prediction))) + surcharge(prediction, wrong))


@loss(
    scope=Scope.ROW,
    input="logit",
    folds=(label_losses,),
    prediction=LOGIT,
    target=PROBABILITY,
    formula="1/C Σ w [y ln(1 + exp(-z)) + (1 - y) ln(1 + exp(z))]",
    gradient_formula="w (σ(z) - y) / C",
    options=("input", "class_weight", "denom", "empty", "grad_scale", "preset"),
    aliases={"torch": ("MultiLabelSoftMarginLoss", "multilabel_soft_margin_loss")},
    presets={"keras": KERAS, "torch": {"denom": "count"}, "optax": {}, "sklearn": {}},
    infinite=True,
)
def multilabel_soft_margin(label_losses: float, width: float = 1.0) -> float:
    """Mean over the labels of a row of the binary cross-entropy of each logit."""
    return label_losses / width


@gradient_of(multilabel_soft_margin)
def multilabel_soft_margin_gradient(prediction: float, target: float, class_weight: float, width: float = 1.0) -> float:
    return class_weight * excess(prediction, target) / width
