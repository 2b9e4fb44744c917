"""The cosine of two rows of `cosine_embedding`, what it is short of 1 or -1, and how it changes with either row.

`eps` is the square of one more element of each row, in a column of its own. A zero vector has a root of infinity: its
unit vector, cosine and gradient are 0.
"""

import numpy as np

from ..scalar import absolute, sqrt, square, where
from ..spec import Monoid, fold
from .parts import scaled_root
from .similarity import aside, distance_of, is_mostly, residual_along, residual_square, rest_of


def root_of(square_sum: float, scale: float, eps: float) -> float:
    root = scaled_root(square_sum, scale, eps)
    return where(root == 0.0, np.inf, root)


@fold(Monoid.ONCE)
def prediction_root(prediction_square: float, prediction_scale: float, eps: float) -> float:
    return root_of(prediction_square, prediction_scale, eps)


@fold(Monoid.ONCE)
def target_root(target_square: float, target_scale: float, eps: float) -> float:
    return root_of(target_square, target_scale, eps)


@fold(Monoid.ONCE)
def alignment(dot: float, prediction_root: float, target_root: float) -> float:
    return dot / prediction_root / target_root


# The residuals of `similarity.py`, of either side: what the roots hold besides the rows is added to their sums.


def multiple_of(dot: float, square_sum: float, scale: float, eps: float) -> float:
    total = square_sum + square(sqrt(eps) * scale)
    return where(total == 0.0, 0.0, dot / total)


@fold(Monoid.ONCE)
def multiple_of_prediction(dot: float, prediction_square: float, prediction_scale: float, eps: float) -> float:
    return multiple_of(dot, prediction_square, prediction_scale, eps)


@fold(Monoid.ONCE)
def multiple_of_target(dot: float, target_square: float, target_scale: float, eps: float) -> float:
    return multiple_of(dot, target_square, target_scale, eps)


@fold(Monoid.SUM)
def target_residual_along(
    prediction: float, target: float, prediction_scale: float, target_scale: float, multiple_of_prediction: float
) -> float:
    return residual_along(prediction, target, prediction_scale, target_scale, multiple_of_prediction)


@fold(Monoid.SUM)
def target_residual_square(
    prediction: float, target: float, prediction_scale: float, target_scale: float, multiple_of_prediction: float
) -> float:
    return residual_square(prediction, target, prediction_scale, target_scale, multiple_of_prediction)


@fold(Monoid.SUM)
def prediction_residual_along(
    prediction: float, target: float, prediction_scale: float, target_scale: float, multiple_of_target: float
) -> float:
    return residual_along(target, prediction, target_scale, prediction_scale, multiple_of_target)


def along(residual_along: float, multiple: float, root: float, scale: float, eps: float) -> float:
    """The part of the residual along a unit vector: what rounding the multiple left there."""
    added = sqrt(eps) * scale
    return residual_along / root - multiple * added * (added / root)


def mostly_rounded(
    multiple_of_prediction: float,
    target_residual_along: float,
    target_residual_square: float,
    prediction_root: float,
    prediction_scale: float,
    eps: float,
) -> bool:
    """Whether the residual is mostly what rounding the multiple has left of the prediction; see `similarity.py`."""
    rounded = along(target_residual_along, multiple_of_prediction, prediction_root, prediction_scale, eps)
    return is_mostly(square(rounded), target_residual_square)


@fold(Monoid.SUM, when=mostly_rounded)
def target_aside_square(
    prediction: float,
    target: float,
    prediction_scale: float,
    target_scale: float,
    multiple_of_prediction: float,
    target_residual_along: float,
    prediction_root: float,
    eps: float,
) -> float:
    rounded = along(target_residual_along, multiple_of_prediction, prediction_root, prediction_scale, eps)
    share = rounded / prediction_root
    return square(aside(prediction, target, prediction_scale, target_scale, multiple_of_prediction, share))


def short_of_parallel(
    alignment: float,
    multiple_of_prediction: float,
    target_residual_along: float,
    target_residual_square: float,
    target_aside_square: float,
    prediction_root: float,
    target_root: float,
    prediction_scale: float,
    target_scale: float,
    eps: float,
) -> float:
    """1 - |c|, by the square of the sine."""
    own_one_more, one_more = sqrt(eps) * prediction_scale, sqrt(eps) * target_scale / target_root
    rounded = along(target_residual_along, multiple_of_prediction, prediction_root, prediction_scale, eps)
    rest = rest_of(target_residual_square, square(rounded), target_aside_square)
    squares = rest / target_root / target_root + square(one_more)
    squares += square(multiple_of_prediction * own_one_more / target_root)
    return distance_of(absolute(alignment), squares)


def above_margin(alignment: float, short: float, margin: float) -> float:
    """c - m; next to 1 and -1 by what the cosine is short of them."""
    next_to = where(alignment > 0.0, (1.0 - margin) - short, short - (1.0 + margin))
    return where(short < 0.5, next_to, alignment - margin)


def residual_slope(
    own: float,
    other: float,
    own_scale: float,
    other_scale: float,
    own_root: float,
    other_root: float,
    multiple: float,
    residual_along: float,
    eps: float,
) -> float:
    """The derivative of the cosine by one of the rows: (b/|b| - c a/|a|) / |a|."""
    rounded = along(residual_along, multiple, own_root, own_scale, eps) / own_root
    direction = aside(own, other, own_scale, other_scale, multiple, rounded)
    # In this order: the roots of faint rows next to a large eps are as large as the scales, and so are both.
    return direction * (1.0 / other_root) * own_scale * (1.0 / own_root)
