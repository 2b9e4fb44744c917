"""Dice losses: twice the overlap of two masks over the sum of their sizes, or of their squares.

With sums in the denominator it is Tversky's with weights of one half.
"""

from ..domains import LOGIT, PROBABILITY
from ..spec import Pooling, Scope, define, degenerate_for, form_of, gradient_of, loss
from .binary import excess
from .segmentation import (
    COUNTS,
    COUNTS_OF_LOGITS,
    EMPTY,
    KERAS_SUM,
    OPTIONS,
    SCOPES,
    SQUARES,
    SQUARES_OF_LOGITS,
    Guard,
    Smooth,
    missing,
    missing_slope,
    over_scope,
    ratio,
    slope_of_sigmoid,
)


def dice_of_squares(square_difference: float, square_total: float, smooth: float, eps: float) -> float:
    return ratio(square_difference + eps, square_total + smooth + eps)


def squares_slope(
    error: float,
    target: float,
    overlap: float,
    square_difference: float,
    square_total: float,
    smooth: float,
    eps: float,
) -> float:
    """2 (p R - y) / M with R = 1 - L, as 2 (R (p - y) - L y) / M: neither R nor L is left of a difference."""
    whole = square_total + smooth + eps
    value, index = dice_of_squares(square_difference, square_total, smooth, eps), ratio(2.0 * overlap + smooth, whole)
    return 2.0 * ratio(index * error - value * target, whole)


def dice_of_squares_gradient(
    prediction: float,
    target: float,
    overlap: float,
    square_difference: float,
    square_total: float,
    smooth: float,
    eps: float,
) -> float:
    return squares_slope(prediction - target, target, overlap, square_difference, square_total, smooth, eps)


def dice_of_squared_logits(square_difference: float, square_total: float, smooth: float, eps: float) -> float:
    return dice_of_squares(square_difference, square_total, smooth, eps)


def dice_of_squared_logits_gradient(
    prediction: float,
    target: float,
    overlap: float,
    square_difference: float,
    square_total: float,
    smooth: float,
    eps: float,
) -> float:
    error = excess(prediction, target)
    slope = squares_slope(error, target, overlap, square_difference, square_total, smooth, eps)
    return slope_of_sigmoid(prediction) * slope


def has_no_squares(square_total: float, smooth: float, eps: float) -> bool:
    return square_total + smooth + eps == 0.0


SQUARED = {
    "prob": define(dice_of_squares, PROBABILITY, Scope.DATASET, SQUARES),
    "logit": define(dice_of_squared_logits, LOGIT, Scope.DATASET, SQUARES_OF_LOGITS),
}
gradient_of(dice_of_squares)(dice_of_squares_gradient)
gradient_of(dice_of_squared_logits)(dice_of_squared_logits_gradient)
degenerate_for(dice_of_squares, EMPTY)(has_no_squares)
degenerate_for(dice_of_squared_logits, EMPTY)(has_no_squares)


@loss(
    input="prob",
    scope=Scope.DATASET,
    folds=COUNTS,
    prediction=PROBABILITY,
    target=PROBABILITY,
    variants={
        "denominator": {"sum": {}, "squared": {"forms": SQUARED}},
        "scope": SCOPES,
    },
    adapt=over_scope,
    formula="1 - (2I + s)/(Σp + Σy + s + ε); squared 1 - (2I + s)/(Σp² + Σy² + s + ε); 0/0 = 0",
    gradient_formula="(2I + s)/M² - 2y/M; squared 2p (2I + s)/M² - 2y/M; M the denominator",
    options=("denominator", *OPTIONS),
    aliases={"keras": ("Dice",), "other": ("f1_soft",)},
    presets={
        "keras": KERAS_SUM,
        "torch": {},
        "optax": {"input": "logit", "smooth": 2.0, "scope": "sample-class"},
        "sklearn": {},
    },
    source="Milletari, Navab and Ahmadi (2016), V-Net",
)
def dice(overlap: float, false_positive: float, false_negative: float, smooth: Smooth = 0.0, eps: Guard = 0.0) -> float:
    """One minus the Dice coefficient of two masks, twice their overlap over the sum of their sizes.

    Two empty masks agree; Keras adds 1e-7 to the denominator alone, so that they disagree there. With `scope=sample`
    each row has a loss; `class` is the mean over the classes (the last axis), each over all rows; `sample-class` has a
    loss for each class of each sample, and that of the sample is their mean. Logits go through sigmoid, or through
    softmax over the classes where the scope tells them apart. Squares and products of masks below 1e-154 are too small
    for numbers: they count as 0. A slope that is next to 0 because its terms cancel is right to about 1e-16 of them.
    """
    return missing(overlap, false_positive, false_negative, 0.5, 0.5, 0.5 * smooth, 0.5 * eps)


@gradient_of(dice)
def dice_gradient(
    target: float, overlap: float, false_positive: float, false_negative: float, smooth: float, eps: float
) -> float:
    return missing_slope(target, overlap, false_positive, false_negative, 0.5, 0.5, 0.5 * smooth, 0.5 * eps)


@form_of("dice", "logit", LOGIT, COUNTS_OF_LOGITS)
def dice_of_logits(overlap: float, false_positive: float, false_negative: float, smooth: float, eps: float) -> float:
    return dice(overlap, false_positive, false_negative, smooth, eps)


@gradient_of(dice_of_logits)
def dice_of_logits_gradient(
    prediction: float,
    target: float,
    overlap: float,
    false_positive: float,
    false_negative: float,
    smooth: float,
    eps: float,
) -> float:
    slope = dice_gradient(target, overlap, false_positive, false_negative, smooth, eps)
    return slope_of_sigmoid(prediction) * slope


@degenerate_for(dice, EMPTY)
@degenerate_for(dice_of_logits, EMPTY)
def has_no_masks(overlap: float, false_positive: float, false_negative: float, smooth: float, eps: float) -> bool:
    return overlap + false_positive + false_negative + smooth + eps == 0.0


# ---- every class by itself, rare ones weighing more


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=COUNTS,
    prediction=PROBABILITY,
    target=PROBABILITY,
    pooling=Pooling.BY_FREQUENCY,
    formula="Σ ω_c L_bc / (B C), L = 1 - (I + s)/(I + (FP + FN)/2 + s), ω_c ∝ 1/(T_c² + 1e-7), Σ ω_c = C, T_c = Σ y",
    gradient_formula="ω_c/(B C) [(I + s)/(2M²) - y/M], M = I + (FP + FN)/2 + s; by the logits through the softmax",
    options=("input", "ignore_background", "preset"),
    aliases={
        "optax": ("multiclass_generalized_dice_loss:input=logit",),
        "other": ("generalized_dice_loss", "GeneralizedDiceLoss"),
    },
    presets={"keras": {}, "torch": {}, "optax": {"input": "logit"}, "sklearn": {}},
    source="Sudre et al. (2017), Generalised Dice overlap as a loss for highly unbalanced segmentations",
)
def generalized_dice(overlap: float, false_positive: float, false_negative: float, smooth: Smooth = 1.0) -> float:
    """Mean Dice loss of every class of every sample, where a class counts the more the less of it the targets hold.

    The last axis is that of the classes. Their weights come from the targets of the whole data set and sum to the
    number of classes; `ignore_background=true` leaves the first class out of the mean, not out of that sum, as optax
    does. Logits go through softmax over the classes.
    """
    return missing(overlap, false_positive, false_negative, 0.5, 0.5, smooth, 0.0)


@gradient_of(generalized_dice)
def generalized_dice_gradient(
    target: float, overlap: float, false_positive: float, false_negative: float, smooth: float
) -> float:
    return missing_slope(target, overlap, false_positive, false_negative, 0.5, 0.5, smooth, 0.0)


@form_of("generalized_dice", "logit", LOGIT, COUNTS_OF_LOGITS)
def generalized_dice_of_logits(overlap: float, false_positive: float, false_negative: float, smooth: float) -> float:
    return missing(overlap, false_positive, false_negative, 0.5, 0.5, smooth, 0.0)


@gradient_of(generalized_dice_of_logits)
def generalized_dice_of_logits_gradient(
    prediction: float, target: float, overlap: float, false_positive: float, false_negative: float, smooth: float
) -> float:
    slope = missing_slope(target, overlap, false_positive, false_negative, 0.5, 0.5, smooth, 0.0)
    return slope_of_sigmoid(prediction) * slope


@degenerate_for(generalized_dice, EMPTY)
@degenerate_for(generalized_dice_of_logits, EMPTY)
def has_nothing(overlap: float, false_positive: float, false_negative: float, smooth: float) -> bool:
    return overlap + false_positive + false_negative + smooth == 0.0
