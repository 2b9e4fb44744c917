"""Losses of a probability or logit against a 0/1 or soft label."""

from __future__ import annotations

import math
from typing import Annotated

from ..domains import LOGIT, PROBABILITY
from ..scalar import exp, log, log1p, maximum, sigmoid, softplus, where
from ..spec import Parameter, form_of, gradient_of, loss


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
        "keras": ("BinaryCrossentropy", "binary_crossentropy"),
        "torch": (
            "BCELoss",
            "binary_cross_entropy",
            "BCEWithLogitsLoss:input=logit",
            "binary_cross_entropy_with_logits:input=logit",
        ),
        "optax": ("sigmoid_binary_cross_entropy:input=logit",),
        "sklearn": ("log_loss",),
        "other": ("logistic",),
    },
    presets={
        "keras": {"prob": {"eps": 1e-7, "eps_mode": "clip"}, "denom": "count", "empty": "zero"},
        "torch": {"prob": {"eps": -100.0, "eps_mode": "log_floor", "variance_floor": 1e-12}, "denom": "count"},
        "optax": {"input": "logit"},
        "sklearn": {"prob": {"eps": "machine", "eps_mode": "clip"}},
    },
    source="Good (1952), Rational decisions",
)
def bce(
    prediction: float,
    target: float,
    pos_weight: Annotated[float, Parameter("factor ω of the positive term", above=0.0)] = 1.0,
    log_floor: float = -math.inf,
) -> float:
    """Binary cross-entropy of a probability.

    An impossible event (p = 0 and y > 0) has an infinite loss; Keras, scikit-learn and PyTorch clip, each elsewhere:
    the presets do so too. Probabilities near 1 have lost the digits of 1 - p: prefer logits where you have them.
    """
    positive = pos_weight * target * maximum(log(prediction), log_floor)
    negative = (1.0 - target) * maximum(log1p(-prediction), log_floor)
    return 0.0 - (where(target == 0.0, 0.0, positive) + where(target == 1.0, 0.0, negative))


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
    numerator = (prediction - target) + (1.0 - pos_weight) * target * complement
    together = numerator / maximum(prediction * complement, variance_floor)
    soft = (target > 0.0) & (target < 1.0) & (prediction >= lowest) & (complement >= lowest)
    return where(soft | (variance_floor > 0.0), together, separate)


@form_of("bce", "logit", LOGIT)
def bce_from_logits(
    prediction: float,
    target: float,
    pos_weight: Annotated[float, Parameter("factor ω of the positive term", above=0.0)] = 1.0,
) -> float:
    """ω y softplus(-z) + (1 - y) softplus(z): two terms, so that the tail of the right answer keeps its digits."""
    positive = where(target == 0.0, 0.0, pos_weight * target * softplus(-prediction))
    negative = where(target == 1.0, 0.0, (1.0 - target) * softplus(prediction))
    return positive + negative


@gradient_of(bce_from_logits)
def bce_from_logits_gradient(prediction: float, target: float, pos_weight: float) -> float:
    return (1.0 - target) * sigmoid(prediction) - pos_weight * target * sigmoid(-prediction)


@gradient_of(bce_from_logits, by="prob")
def bce_from_logits_gradient_by_probability(prediction: float, target: float, pos_weight: float) -> float:
    """(1 - y)/(1 - p) - ω y/p with 1 - p = σ(-z): as a difference it is 0 from z = 37 on."""
    negative = where(target == 1.0, 0.0, (1.0 - target) / sigmoid(-prediction))
    return negative - where(target == 0.0, 0.0, pos_weight * target / sigmoid(prediction))
