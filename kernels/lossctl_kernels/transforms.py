"""Options that many losses share, as transformations around a definition: written once, value and chain rule.

A definition never mentions them. The numbers that a transformation needs reach it by argument name, like parameters.
"""

from __future__ import annotations

from collections.abc import Callable

from .records import Record
from .scalar import exp, log, log1p, maximum, minimum, sigmoid, where
from .softmax import largest, others, probability, tail, ties
from .spec import Fold, Monoid, TargetTransform

Scalar = Callable[..., float]


class Transform(Record):
    """A function that the prediction goes through before the definition sees it.

    `derivative` is its elementwise derivative. `pull_back` instead takes the gradient with respect to the transformed
    row to the one with respect to the row itself; `pulled` is the sum of gradient times transformed prediction over
    the row. A transformation with neither only changes where the gradient is taken.
    """

    name: str
    apply: Scalar
    folds: tuple[Fold, ...] = ()
    derivative: Scalar | None = None
    pull_back: Scalar | None = None


# ---- guards (`eps`, `eps_mode`): the gradient is that of the guarded function, 0 where the guard holds


def clip(prediction: float, eps: float) -> float:
    return minimum(maximum(prediction, eps), 1.0 - eps)


def clip_derivative(prediction: float, eps: float) -> float:
    return where((prediction >= eps) & (prediction <= 1.0 - eps), 1.0, 0.0)


def floor(prediction: float, eps: float) -> float:
    return maximum(prediction, eps)


def floor_derivative(prediction: float, eps: float) -> float:
    return where(prediction >= eps, 1.0, 0.0)


def add(prediction: float, eps: float) -> float:
    return prediction + eps


def add_derivative(prediction: float) -> float:
    return 1.0 + 0.0 * prediction


GUARDS = {
    "clip": Transform("clip", clip, derivative=clip_derivative),
    "floor": Transform("floor", floor, derivative=floor_derivative),
    "add": Transform("add", add, derivative=add_derivative),
}


# ---- normalize: each row divided by its sum


def row_total(prediction: float) -> float:
    return prediction


def divide_by_total(prediction: float, row_total: float) -> float:
    return prediction / row_total


def pull_back_through_total(gradient: float, pulled: float, row_total: float) -> float:
    return (gradient - pulled) / row_total


NORMALIZE = Transform(
    "normalize",
    divide_by_total,
    folds=(Fold("row_total", Monoid.SUM, row_total),),
    pull_back=pull_back_through_total,
)


# ---- conversions between the forms of a prediction (`grad_wrt`): the gradient is then with respect to the new one


def to_probability(prediction: float) -> float:
    return sigmoid(prediction)


def to_logit(prediction: float) -> float:
    return log(prediction) - log1p(-prediction)


def logarithm(prediction: float) -> float:
    return log(prediction)


def exponential(prediction: float) -> float:
    return exp(prediction)


def softmax(prediction: float, largest: float, ties: float, tail: float) -> float:
    return probability(prediction, largest, ties, tail)


def log_softmax(prediction: float, largest: float, ties: float, tail: float) -> float:
    return (prediction - largest) - log1p(others(ties, tail))


SOFTMAX_FOLDS = (
    Fold("largest", Monoid.MAX, largest),
    Fold("ties", Monoid.SUM, ties),
    Fold("tail", Monoid.SUM, tail),
)

# (one number or a row of classes, from, to). The logits of probabilities are their logarithms: softmax undoes them.
CONVERSIONS = {
    ("element", "logit", "prob"): Transform("to_probability", to_probability),
    ("element", "prob", "logit"): Transform("to_logit", to_logit),
    ("row", "logit", "prob"): Transform("softmax", softmax, SOFTMAX_FOLDS),
    ("row", "logit", "log_prob"): Transform("log_softmax", log_softmax, SOFTMAX_FOLDS),
    ("row", "prob", "logit"): Transform("logarithm", logarithm),
    ("row", "prob", "log_prob"): Transform("logarithm", logarithm),
    ("row", "log_prob", "prob"): Transform("exponential", exponential),
}


# ---- targets


def smooth(target: float, smoothing_keep: float, smoothing_offset: float) -> float:
    """y (1 - ε) + ε/C, or what `smoothing_mode` makes of it: affine in every mode."""
    return target * smoothing_keep + smoothing_offset


def weigh(target: float, class_weight: float) -> float:
    return target * class_weight


SMOOTH = TargetTransform("label_smoothing", smooth)
CLASS_WEIGHT = TargetTransform("class_weight", weigh)
