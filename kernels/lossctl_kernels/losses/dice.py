"""Dice losses: twice the overlap of two masks over the sum of their sizes, or of their squares.

With sums in the denominator it is Tversky's with weights of one half.
"""

from __future__ import annotations

from ..domains import LOGIT, PROBABILITY
from ..scalar import sigmoid
from ..spec import Scope, define, degenerate_for, form_of, gradient_of, loss
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


def dice_of_squares_gradient(
    prediction: float, target: float, overlap: float, square_total: float, smooth: float, eps: float
) -> float:
    whole = square_total + smooth + eps
    return 2.0 * ratio(prediction * ratio(2.0 * overlap + smooth, whole) - target, whole)


def dice_of_squared_logits(square_difference: float, square_total: float, smooth: float, eps: float) -> float:
    return dice_of_squares(square_difference, square_total, smooth, eps)


def dice_of_squared_logits_gradient(
    prediction: float, target: float, overlap: float, square_total: float, smooth: float, eps: float
) -> float:
    slope = dice_of_squares_gradient(sigmoid(prediction), target, overlap, square_total, smooth, eps)
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
        "optax": {"input": "logit", "smooth": 2.0, "scope": "sample"},
        "sklearn": {},
    },
    source="Milletari, Navab and Ahmadi (2016), V-Net",
)
def dice(overlap: float, false_positive: float, false_negative: float, smooth: Smooth = 0.0, eps: Guard = 0.0) -> float:
    """One minus the Dice coefficient of two masks, twice their overlap over the sum of their sizes.

    Two empty masks agree; Keras adds 1e-7 to the denominator alone, so that they disagree there. With `scope=sample`
    each row has a loss, `class` is the mean over the columns, each over all rows. Logits go through sigmoid.
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
