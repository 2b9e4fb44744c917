"""Losses of a score or a distance against one of two labels, by the margin u = t s, t = ±1; labels against labels."""

from typing import Annotated, Any

import numpy as np

from ..domains import BINARY_LABEL, EITHER_LABEL, NONNEGATIVE, PROBABILITY, REAL, SIGN_LABEL
from ..scalar import absolute, exp, maximum, minimum, normal_exp, sigmoid, softplus, square, where
from ..spec import (
    LOSSES,
    Monoid,
    Parameter,
    Scope,
    TargetTransform,
    define,
    factored_form_of,
    fold,
    gradient_of,
    loss,
    share,
    variant_of,
)
from .parts import KERAS, KINKED, KINKED_PRESETS, MEAN_PRESETS, PER_ELEMENT, step

SMOOTH_OPTIONS, KINKED_OPTIONS = ("labels", *PER_ELEMENT), ("labels", *KINKED)
Margin = Annotated[float, Parameter("the margin from which on a right answer costs nothing")]


# ---- labels. What is not one of them becomes NaN: no bounds tell it apart, and the data is looked at again.


def sign_label(target: float) -> float:
    return where(absolute(target) == 1.0, target, np.nan)


def sign_of_binary(target: float) -> float:
    return where((target == 0.0) | (target == 1.0), 2.0 * target - 1.0, np.nan)


def sign_of_either(target: float) -> float:
    """Whether a 0 stands for -1 is that of the whole data: where there is a 0 there may be no -1."""
    label = where(target == 0.0, -1.0, target)
    return where(absolute(label) == 1.0, label, np.nan)


def binary_of_sign(target: float) -> float:
    return where(absolute(target) == 1.0, 0.5 * (target + 1.0), np.nan)


def labelled(name: str, apply: Any, domain: Any) -> dict[str, Any]:
    return {"target": domain, "target_transform": TargetTransform(name, apply)}


PM1 = {"labels": {
    "pm1": labelled("sign_label", sign_label, SIGN_LABEL),
    "01": labelled("sign_of_binary", sign_of_binary, BINARY_LABEL),
}}  # fmt: skip
# Keras takes labels for 0 and 1 where all of them are.
OR_AUTOMATIC = {"labels": {**PM1["labels"], "auto-batch": labelled("sign_of_either", sign_of_either, EITHER_LABEL)}}
KERAS_LABELS = {"labels": "auto-batch"}
ZERO_ONE = {"labels": {"01": PM1["labels"]["01"], "pm1": PM1["labels"]["pm1"]}}


# ---- scores


@loss(
    target=SIGN_LABEL,
    variants=OR_AUTOMATIC,
    formula="max(m - u, 0), u = t s",
    gradient_formula="-t if u < m, else 0",
    options=KINKED_OPTIONS,
    aliases={"keras": ("Hinge",), "optax": ("hinge_loss",), "sklearn": ("hinge_loss",)},
    presets={**KINKED_PRESETS, "keras": {**KINKED_PRESETS["keras"], **KERAS_LABELS}},
    source="Cortes and Vapnik (1995), Support-vector networks",
)
def hinge(prediction: float, target: float, margin: Margin = 1.0) -> float:
    """What a score is short of the margin on the side of its label.

    Labels are -1 and 1, or 0 and 1 with `labels=01`: they are never guessed from the data. Keras guesses, and so does
    `labels=auto-batch`: 0 and 1 where no label is -1. Both 0 and -1 are an error, where Keras would score a constant.
    """
    return maximum(margin - target * prediction, 0.0)


@gradient_of(hinge)
def hinge_gradient(prediction: float, target: float, margin: float, kink: float = 0.0) -> float:
    return -target * step(margin - target * prediction, kink)


@loss(
    target=SIGN_LABEL,
    variants=OR_AUTOMATIC,
    formula="max(m - u, 0)², u = t s",
    gradient_formula="-2 t max(m - u, 0)",
    options=SMOOTH_OPTIONS,
    aliases={"keras": ("SquaredHinge",)},
    presets={**MEAN_PRESETS, "keras": {**MEAN_PRESETS["keras"], **KERAS_LABELS}},
)
def squared_hinge(prediction: float, target: float, margin: Margin = 1.0) -> float:
    """Square of what a score is short of the margin.

    Labels are those of `hinge`; `labels=auto-batch` takes them for 0 and 1 where no label is -1, as Keras does.
    """
    return square(maximum(margin - target * prediction, 0.0))


@gradient_of(squared_hinge)
def squared_hinge_gradient(prediction: float, target: float, margin: float) -> float:
    return -2.0 * target * maximum(margin - target * prediction, 0.0)


@loss(
    target=SIGN_LABEL,
    variants=PM1,
    formula="0 if u >= 1, (1 - u)² if u >= -1, else -4u, u = t s",
    gradient_formula="0, -2 t (1 - u), -4 t",
    options=SMOOTH_OPTIONS,
    presets=MEAN_PRESETS,
    source="Zhang (2004), Solving large scale linear prediction problems",
)
def modified_huber(prediction: float, target: float) -> float:
    """Squared hinge that goes on as a line below -1, as in scikit-learn's SGDClassifier."""
    u = target * prediction
    return where(u >= -1.0, square(maximum(1.0 - u, 0.0)), -4.0 * u)


@gradient_of(modified_huber)
def modified_huber_gradient(prediction: float, target: float) -> float:
    return -target * minimum(2.0 * maximum(1.0 - target * prediction, 0.0), 4.0)


@loss(
    target=SIGN_LABEL,
    variants=PM1,
    formula="max(-u, 0), u = t s",
    gradient_formula="-t if u < 0, else 0",
    options=KINKED_OPTIONS,
    aliases={"optax": ("perceptron_loss",)},
    presets=KINKED_PRESETS,
    source="Rosenblatt (1958), The perceptron",
)
def perceptron(prediction: float, target: float) -> float:
    """How far a score is on the wrong side of 0."""
    return maximum(-target * prediction, 0.0)


@gradient_of(perceptron)
def perceptron_gradient(prediction: float, target: float, kink: float = 0.0) -> float:
    return -target * step(-target * prediction, kink)


@loss(
    target=SIGN_LABEL,
    variants=PM1,
    formula="ln(1 + exp(-u)), u = t s",
    gradient_formula="-t σ(-u)",
    options=SMOOTH_OPTIONS,
    aliases={"torch": ("SoftMarginLoss", "soft_margin_loss")},
    presets=MEAN_PRESETS,
)
def soft_margin(prediction: float, target: float) -> float:
    """Logistic loss of a score; that of PyTorch overflows for scores beyond 709 on the wrong side."""
    return softplus(-target * prediction)


@factored_form_of(soft_margin, sign=1.0, within=(-708.0, 708.0))
def soft_margin_factored(prediction: float, target: float) -> tuple[float, float, float]:
    """log(1 + e**-|u|), and |u| on the wrong side."""
    u = target * prediction
    excess = normal_exp(-absolute(u))
    return where(u < 0.0, -u, 0.0), 1.0 + excess, excess


@gradient_of(soft_margin)
def soft_margin_gradient(prediction: float, target: float) -> float:
    return -target * sigmoid(-target * prediction)


@loss(
    target=PROBABILITY,
    variants={"labels": {"01": {}, "pm1": labelled("binary_of_sign", binary_of_sign, SIGN_LABEL)}},
    formula="y exp(-s) + (1 - y) exp(s)",
    gradient_formula="(1 - y) exp(s) - y exp(-s)",
    options=SMOOTH_OPTIONS,
    aliases={"sklearn": ("ExponentialLoss",)},
    presets=MEAN_PRESETS,
    source="Freund and Schapire (1997), A decision-theoretic generalization of on-line learning",
)
def exponential(prediction: float, target: float) -> float:
    """Exponential of a score on the wrong side, as in AdaBoost; labels from 0 to 1, or ±1 with `labels=pm1`."""
    negative, positive = shares_of_exponentials(prediction, target)
    return negative + positive


def shares_of_exponentials(score: float, target: float) -> tuple[float, float]:
    """(1 - y) exp(s) and y exp(-s), by roots: the exponential may be too large for a number where a share is not."""
    root, complement = exp(0.5 * score), 1.0 - target
    inverse = 1.0 / root
    negative = where(complement == 0.0, 0.0, complement * root * root)
    return negative, where(target == 0.0, 0.0, target * inverse * inverse)


@gradient_of(exponential)
def exponential_gradient(prediction: float, target: float) -> float:
    negative, positive = shares_of_exponentials(prediction, target)
    return negative - positive


@loss(
    target=SIGN_LABEL,
    variants=ZERO_ONE,
    input="logit",
    formula="0 if v <= -1, v if v >= 1, else (v + 1)²/4, v = -t z",
    gradient_formula="-t clip((v + 1)/2, 0, 1)",
    options=("input", *SMOOTH_OPTIONS),
    aliases={"optax": ("sparsemax_loss",)},
    presets=MEAN_PRESETS,
    source="Martins and Astudillo (2016), From softmax to sparsemax",
)
def binary_sparsemax(prediction: float, target: float) -> float:
    """Sparsemax loss of two classes, a quadratic join of two lines; labels 0 and 1, or ±1 with `labels=pm1`."""
    v = -target * prediction
    return where(v >= 1.0, v, 0.25 * square(maximum(v + 1.0, 0.0)))


@gradient_of(binary_sparsemax)
def binary_sparsemax_gradient(prediction: float, target: float) -> float:
    return -target * minimum(maximum(0.5 * (1.0 - target * prediction), 0.0), 1.0)


# ---- distances


@loss(
    target=SIGN_LABEL,
    variants=PM1,
    formula="x if t = 1, max(m - x, 0) if t = -1",
    gradient_formula="1 if t = 1; -1 if t = -1 and x <= m, else 0",
    options=KINKED_OPTIONS,
    aliases={"torch": ("HingeEmbeddingLoss", "hinge_embedding_loss")},
    presets={**MEAN_PRESETS, "keras": {**KERAS, "kink": "half"}},
)
def hinge_embedding(
    prediction: float,
    target: float,
    margin: Annotated[float, Parameter("the distance from which on different things cost nothing")] = 1.0,
) -> float:
    """A distance, of things that are alike (label 1), or what it is short of a margin, of those that are not (-1)."""
    return where(target > 0.0, prediction, maximum(margin - prediction, 0.0) + 0.0 * target)


@gradient_of(hinge_embedding)
def hinge_embedding_gradient(prediction: float, target: float, margin: float, kink: float = 1.0) -> float:
    return where(target > 0.0, 1.0, -step(margin - prediction, kink))


@loss(
    prediction=NONNEGATIVE,
    target=PROBABILITY,
    variants={"labels": {"01": {}}},
    formula="[y d² + (1 - y) max(m - d, 0)²] / 2",
    gradient_formula="y d - (1 - y) max(m - d, 0)",
    options=SMOOTH_OPTIONS,
    presets=MEAN_PRESETS,
    source="Hadsell, Chopra and LeCun (2006), Dimensionality reduction by learning an invariant mapping",
)
def contrastive(
    prediction: float,
    target: float,
    margin: Annotated[float, Parameter("the distance from which on different things cost nothing")] = 1.0,
    half: Annotated[float, Parameter("half of it, as in the paper", words=("false", "true"))] = 1.0,
) -> float:
    """Squared distance of things that are alike (label 1), squared shortfall of a margin of those that are not (0).

    In the paper the label 0 means alike: `labels=inverted`. TensorFlow Addons do not halve it: `half=false`.
    """
    return squares_by_label(prediction, target, 1.0 - target, margin, half)


def squares_by_label(distance: float, alike: float, unlike: float, margin: float, half: float) -> float:
    scale, short = where(half > 0.0, 0.5, 1.0), maximum(margin - distance, 0.0)
    # From left to right: a square may be too large where a share of it is not. Without a share it does not count.
    near = where(alike == 0.0, 0.0, scale * alike * distance * distance)
    return near + where(unlike == 0.0, 0.0, scale * unlike * short * short)


def slope_by_label(distance: float, alike: float, unlike: float, margin: float, half: float) -> float:
    slope = alike * distance - unlike * maximum(margin - distance, 0.0)
    return where(half > 0.0, slope, 2.0 * slope)


@gradient_of(contrastive)
def contrastive_gradient(prediction: float, target: float, margin: float, half: float) -> float:
    return slope_by_label(prediction, target, 1.0 - target, margin, half)


# A label next to 0 is not taken from 1 and that from 1 again: nothing would be left of it.


@variant_of("contrastive", "labels", "inverted", NONNEGATIVE)
def contrastive_of_inverted(prediction: float, target: float, margin: float, half: float) -> float:
    return squares_by_label(prediction, 1.0 - target, target, margin, half)


@gradient_of(contrastive_of_inverted)
def contrastive_of_inverted_gradient(prediction: float, target: float, margin: float, half: float) -> float:
    return slope_by_label(prediction, 1.0 - target, target, margin, half)


# ---- labels against labels: values without a slope


@loss(
    prediction=REAL,
    formula="1 if ŷ ≠ y, else 0",
    options=("row", "denom", "empty", "preset"),
    variants={"row": {"mean": {}, "sum": {}}},
    aliases={"sklearn": ("zero_one_loss",)},
    presets={**MEAN_PRESETS, "sklearn": {"row": "any"}},
)
def zero_one(prediction: float, target: float) -> float:
    """Whether the predicted label is wrong; its mean is the error rate, 1 - accuracy. It has no gradient.

    A row of several labels counts as the share that is wrong, as in `hamming`; with `row=any` it is wrong if one of
    them is, as in scikit-learn.
    """
    return where(prediction == target, 0.0, 1.0 + 0.0 * prediction + 0.0 * target)


@fold(Monoid.SUM)
def wrong(prediction: float, target: float) -> float:
    return zero_one(prediction, target)


def zero_one_of_rows(wrong: float) -> float:
    return where(wrong > 0.0, 1.0, wrong)


share(
    LOSSES["zero_one"],
    name="hamming",
    variants={},
    aliases={"sklearn": ("hamming_loss",)},
    presets=MEAN_PRESETS,
    description="""Share of the labels of a row that are wrong. It has no gradient.

    As `zero_one`, under the name that multilabel predictions have for it.""",
)

LOSSES["zero_one"].variants["row"]["any"] = {"forms": {"value": define(zero_one_of_rows, REAL, Scope.ROW, (wrong,))}}
