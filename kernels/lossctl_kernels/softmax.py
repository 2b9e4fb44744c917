"""The softmax of a row of scores: the folds that it is made of, and the probabilities that they give.

The class with the largest score contributes exactly 1 to the sum of exponentials and is kept apart, so that a loss far
below 1e-16 keeps its digits.
"""

from .scalar import TAIL_UNSCALE, tail_exp, where
from .spec import Monoid, fold


@fold(Monoid.MAX)
def largest(prediction: float) -> float:
    """The largest score of the row."""
    return prediction


@fold(Monoid.SUM)
def ties(prediction: float, largest: float) -> float:
    """How many classes share the largest logit."""
    return where(prediction == largest, 1.0, 0.0)


@fold(Monoid.SUM)
def tail(prediction: float, largest: float) -> float:
    """The exponentials of all classes below the largest, relative to it, times 2**200."""
    return tail_exp(prediction - largest)


SOFTMAX = (largest, ties, tail)


def others(ties: float, tail: float) -> float:
    """The exponentials of all classes but one of the largest, relative to it."""
    return tail * TAIL_UNSCALE + (ties - 1.0)


def relative_exp(prediction: float, largest: float) -> float:
    """The exponential of one class relative to that of the largest: exactly 1 for that one."""
    return where(prediction == largest, 1.0, tail_exp(prediction - largest) * TAIL_UNSCALE)


def probability(prediction: float, largest: float, ties: float, tail: float) -> float:
    """Softmax."""
    return relative_exp(prediction, largest) * (1.0 / (1.0 + others(ties, tail)))


def probability_of_others(prediction: float, largest: float, ties: float, tail: float) -> float:
    """One minus softmax, of which no digits are lost where that is near 1."""
    rest = others(ties, tail)
    exponentials = where(prediction == largest, rest, 1.0 + rest - relative_exp(prediction, largest))
    return exponentials / (1.0 + rest)
