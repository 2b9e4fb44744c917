"""Overlaps of predicted and true masks: Tversky and Jaccard. The folds run over what `scope` says.

With I = Σ p y, FP = Σ p (1 - y) and FN = Σ y (1 - p), each loss is what is missing from the overlap over the whole, so
that a nearly perfect mask keeps its digits.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from ..domains import LOGIT, PROBABILITY
from ..records import replace
from ..scalar import sigmoid, square, where
from ..spec import Loss, Monoid, Parameter, Scope, degenerate_for, fold, form_of, gradient_of, loss
from .binary import excess
from .parts import KERAS, power

Smooth = Annotated[float, Parameter("added to the overlap and to the whole", at_least=0.0)]
Guard = Annotated[float, Parameter("added to the whole alone", at_least=0.0, modes=("add",))]
OPTIONS = ("input", "scope", "eps_mode", "denom", "empty", "grad_scale", "preset")
SCOPES: dict[str, dict[str, Any]] = {"all": {}, "sample": {}, "class": {}, "sample-class": {}}
EMPTY = "two empty masks"
KERAS_SUM = {**KERAS, "eps": 1e-7}


def over_scope(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """The folds over rows where each sample has a loss; over the data set they are those of each class or of all."""
    if options["scope"] not in ("sample", "sample-class"):
        return {"idle": ("denom", "empty", "grad_scale")}
    return {"forms": {name: replace(form, scope=Scope.ROW) for name, form in loss.forms.items()}}


# ---- folds, of probabilities and of logits


@fold(Monoid.SUM)
def overlap(prediction: float, target: float) -> float:
    return prediction * target


@fold(Monoid.SUM)
def false_positive(prediction: float, target: float) -> float:
    return prediction * (1.0 - target)


@fold(Monoid.SUM)
def false_negative(prediction: float, target: float) -> float:
    return target * (1.0 - prediction)


@fold(Monoid.SUM)
def square_difference(prediction: float, target: float) -> float:
    return square(prediction - target)


@fold(Monoid.SUM)
def square_total(prediction: float, target: float) -> float:
    return square(prediction) + square(target)


@fold(Monoid.SUM, "overlap")
def overlap_of_logits(prediction: float, target: float) -> float:
    return target * sigmoid(prediction)


@fold(Monoid.SUM, "false_positive")
def false_positive_of_logits(prediction: float, target: float) -> float:
    return (1.0 - target) * sigmoid(prediction)


@fold(Monoid.SUM, "false_negative")
def false_negative_of_logits(prediction: float, target: float) -> float:
    return target * sigmoid(-prediction)


@fold(Monoid.SUM, "square_difference")
def square_difference_of_logits(prediction: float, target: float) -> float:
    return square(excess(prediction, target))


@fold(Monoid.SUM, "square_total")
def square_total_of_logits(prediction: float, target: float) -> float:
    return square(sigmoid(prediction)) + square(target)


COUNTS = (overlap, false_positive, false_negative)
COUNTS_OF_LOGITS = (overlap_of_logits, false_positive_of_logits, false_negative_of_logits)
SQUARES = (overlap, square_difference, square_total)
SQUARES_OF_LOGITS = (overlap_of_logits, square_difference_of_logits, square_total_of_logits)


def ratio(part: float, whole: float) -> float:
    """part / whole; 0/0 is 0: two empty masks agree."""
    return where(whole == 0.0, 0.0 * part, part / where(whole == 0.0, 1.0, whole))


def slope_of_sigmoid(prediction: float) -> float:
    return sigmoid(prediction) * sigmoid(-prediction)


# ---- Tversky


def missing(
    overlap: float, false_positive: float, false_negative: float, alpha: float, beta: float, smooth: float, eps: float
) -> float:
    """1 - (I + s) / (I + α FP + β FN + s + ε)."""
    wrong = alpha * false_positive + beta * false_negative
    return ratio(wrong + eps, overlap + wrong + smooth + eps)


def missing_slope(
    target: float,
    overlap: float,
    false_positive: float,
    false_negative: float,
    alpha: float,
    beta: float,
    smooth: float,
    eps: float,
) -> float:
    """Its derivative by a probability."""
    # With the index R = 1 - L: [α R (1 - y) - (β R + L) y] / M, where neither R nor L is left of a difference. What is
    # over M last is a number where M is so small that parts of it would not be.
    whole = overlap + alpha * false_positive + beta * false_negative + smooth + eps
    value = missing(overlap, false_positive, false_negative, alpha, beta, smooth, eps)
    index = ratio(overlap + smooth, whole)
    return ratio(alpha * index * (1.0 - target) - (beta * index + value) * target, whole)


def power_slope(value: float, exponent: float) -> float:
    """The derivative of value**exponent; 0 at 0, where it has none."""
    return where(exponent == 1.0, 1.0, where(value == 0.0, 0.0, exponent * power(value, exponent - 1.0)))


@loss(
    input="prob",
    scope=Scope.DATASET,
    folds=COUNTS,
    prediction=PROBABILITY,
    target=PROBABILITY,
    variants={"scope": SCOPES},
    adapt=over_scope,
    formula="(1 - (I + s)/(I + α FP + β FN + s + ε))^f, 0/0 = 0",
    gradient_formula="f L^(1 - 1/f) [(I + s)/M² (y (1 - α - β) + α) - y/M], M the denominator",
    options=OPTIONS,
    aliases={
        "keras": ("Tversky",),
        "optax": (
            "dice_loss:input=logit,smooth=1,scope=sample-class",
            "binary_dice_loss:input=logit,smooth=1,scope=sample",
        ),
        "other": ("jaccard:alpha=1,beta=1", "iou:alpha=1,beta=1"),
    },
    presets={
        "keras": {**KERAS_SUM, "swapped": "true"},
        "torch": {},
        "optax": {"input": "logit", "smooth": 1.0, "scope": "sample-class"},
        "sklearn": {},
    },
    source="Salehi, Erdogmus and Gholipour (2017), Tversky loss function for image segmentation",
)
def tversky(
    overlap: float,
    false_positive: float,
    false_negative: float,
    alpha: Annotated[float, Parameter("weight of false positives", at_least=0.0)] = 0.5,
    beta: Annotated[float, Parameter("weight of false negatives", at_least=0.0)] = 0.5,
    smooth: Smooth = 0.0,
    eps: Guard = 0.0,
    focal_exponent: Annotated[float, Parameter("exponent f of the loss", above=0.0)] = 1.0,
    swapped: Annotated[float, Parameter("α weighs false negatives, β false positives", words=("false", "true"))] = 0.0,
) -> float:
    """One minus the Tversky index of two masks; with α = β = 1 the Jaccard distance, with 1/2 the Dice loss.

    α weighs false positives, as in the paper; Keras up to 3.15 swaps α and β, and so does its preset. Two empty masks
    agree. With `scope=sample` each row has a loss; `class` is the mean over the classes (the last axis), each over all
    rows; `sample-class` has a loss for each class of each sample, and that of the sample is their mean, as in optax.
    Logits go through sigmoid, or through softmax over the classes where the scope tells them apart. Products of masks
    below 1e-154 are too small for numbers: they count as 0. A slope that is next to 0 because its terms cancel is right
    to about 1e-16 of them.
    """
    a, b = where(swapped > 0.0, beta, alpha), where(swapped > 0.0, alpha, beta)
    value = missing(overlap, false_positive, false_negative, a, b, smooth, eps)
    return where(focal_exponent == 1.0, value, power(value, focal_exponent))


@gradient_of(tversky)
def tversky_gradient(
    target: float,
    overlap: float,
    false_positive: float,
    false_negative: float,
    alpha: float,
    beta: float,
    smooth: float,
    eps: float,
    focal_exponent: float,
    swapped: float,
) -> float:
    a, b = where(swapped > 0.0, beta, alpha), where(swapped > 0.0, alpha, beta)
    value = missing(overlap, false_positive, false_negative, a, b, smooth, eps)
    slope = missing_slope(target, overlap, false_positive, false_negative, a, b, smooth, eps)
    return power_slope(value, focal_exponent) * slope


@form_of("tversky", "logit", LOGIT, COUNTS_OF_LOGITS)
def tversky_of_logits(
    overlap: float,
    false_positive: float,
    false_negative: float,
    alpha: float,
    beta: float,
    smooth: float,
    eps: float,
    focal_exponent: float,
    swapped: float,
) -> float:
    return tversky(overlap, false_positive, false_negative, alpha, beta, smooth, eps, focal_exponent, swapped)


@gradient_of(tversky_of_logits)
def tversky_of_logits_gradient(
    prediction: float,
    target: float,
    overlap: float,
    false_positive: float,
    false_negative: float,
    alpha: float,
    beta: float,
    smooth: float,
    eps: float,
    focal_exponent: float,
    swapped: float,
) -> float:
    return slope_of_sigmoid(prediction) * tversky_gradient(
        target, overlap, false_positive, false_negative, alpha, beta, smooth, eps, focal_exponent, swapped
    )


@degenerate_for(tversky, EMPTY)
@degenerate_for(tversky_of_logits, EMPTY)
def has_empty_masks(
    overlap: float, false_positive: float, false_negative: float, alpha: float, beta: float, smooth: float, eps: float
) -> bool:
    return overlap + alpha * false_positive + beta * false_negative + smooth + eps == 0.0
