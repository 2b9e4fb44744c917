"""One minus the cosine between two rows of a triplet, and how that changes with each of them; see `triplets.py`.

It is half the squared distance of the unit vectors. A zero vector has a norm of infinity here: its unit vector is 0,
its distance 1, and nothing changes with it.
"""

import numpy as np

from ..scalar import sqrt, square, where
from ..spec import Monoid, fold
from .parts import counted
from .similarity import prediction_scale, prediction_square, target_scale, target_square
from .triplet_pairs import of_pairs


@fold(Monoid.SCALE)
def negative_scale(negative: float) -> float:
    return negative


@fold(Monoid.SUM)
def negative_square(negative: float, negative_scale: float) -> float:
    return square(negative * negative_scale)


def norm_of(square_sum: float) -> float:
    return where(square_sum == 0.0, np.inf, sqrt(square_sum))


@fold(Monoid.ONCE)
def prediction_norm(prediction_square: float) -> float:
    return norm_of(prediction_square)


@fold(Monoid.ONCE)
def target_norm(target_square: float) -> float:
    return norm_of(target_square)


@fold(Monoid.ONCE)
def negative_norm(negative_square: float) -> float:
    return norm_of(negative_square)


@of_pairs(Monoid.SUM)
def gap(
    first: float, second: float, first_scale: float, second_scale: float, first_norm: float, second_norm: float
) -> float:
    return square(first * first_scale / first_norm - second * second_scale / second_norm)


@of_pairs(Monoid.ONCE, "distance")
def cosine(own_gap: float, first_norm: float, second_norm: float) -> float:
    return where((first_norm == np.inf) | (second_norm == np.inf), 1.0, 0.5 * own_gap)


def slope(unit: float, other: float, distance: float) -> float:
    """The derivative of the distance by a vector of norm 1: c a/|a| - b/|b|, where c = 1 - distance."""
    return unit - other - distance * unit


def cosine_by_anchor(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    prediction_norm: float,
    target_norm: float,
    negative_norm: float,
    positive_distance: float,
    direct_distance: float,
    active: float,
    direct_weight: float,
) -> float:
    unit = prediction * prediction_scale / prediction_norm
    positive = slope(unit, target * target_scale / target_norm, positive_distance)
    direct = slope(unit, negative * negative_scale / negative_norm, direct_distance)
    return (counted(active, positive) - counted(direct_weight, direct)) / prediction_norm * prediction_scale


def cosine_by_positive(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    prediction_norm: float,
    target_norm: float,
    negative_norm: float,
    positive_distance: float,
    swapped_distance: float,
    active: float,
    swapped_weight: float,
) -> float:
    unit = target * target_scale / target_norm
    positive = slope(unit, prediction * prediction_scale / prediction_norm, positive_distance)
    swapped = slope(unit, negative * negative_scale / negative_norm, swapped_distance)
    return (counted(active, positive) - counted(swapped_weight, swapped)) / target_norm * target_scale


def cosine_by_negative(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    prediction_norm: float,
    target_norm: float,
    negative_norm: float,
    direct_distance: float,
    swapped_distance: float,
    direct_weight: float,
    swapped_weight: float,
) -> float:
    unit = negative * negative_scale / negative_norm
    direct = slope(unit, prediction * prediction_scale / prediction_norm, direct_distance)
    swapped = slope(unit, target * target_scale / target_norm, swapped_distance)
    return -(counted(direct_weight, direct) + counted(swapped_weight, swapped)) / negative_norm * negative_scale


UNIT_VECTORS = (
    *(prediction_scale, target_scale, negative_scale, prediction_square, target_square, negative_square),
    *(prediction_norm, target_norm, negative_norm),
)
COSINE = gap, cosine
COSINE_GRADIENTS = cosine_by_anchor, cosine_by_positive, cosine_by_negative
