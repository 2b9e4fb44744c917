"""One minus the cosine between two rows of a triplet, and how that changes with each of them; see `triplets.py`.

It is half the squared distance of the unit vectors. A zero vector has a norm of infinity here: its unit vector is 0,
its distance 1, and nothing changes with it.
"""

from __future__ import annotations

import numpy as np

from ..scalar import sqrt, square, where
from ..spec import Monoid, fold
from .parts import counted
from .similarity import prediction_scale, prediction_square, target_scale, target_square


@fold(Monoid.SCALE)
def negative_scale(negative: float) -> float:
    return negative


@fold(Monoid.SUM)
def negative_square(negative: float, negative_scale: float) -> float:
    return square(negative * negative_scale)


def norm_of(square_sum: float) -> float:
    return where(square_sum == 0.0, np.inf, sqrt(square_sum))


@fold(Monoid.ONCE)
def anchor_norm(prediction_square: float) -> float:
    return norm_of(prediction_square)


@fold(Monoid.ONCE)
def positive_norm(target_square: float) -> float:
    return norm_of(target_square)


@fold(Monoid.ONCE)
def negative_norm(negative_square: float) -> float:
    return norm_of(negative_square)


@fold(Monoid.SUM)
def positive_gap(
    prediction: float,
    target: float,
    prediction_scale: float,
    target_scale: float,
    anchor_norm: float,
    positive_norm: float,
) -> float:
    return square(prediction * prediction_scale / anchor_norm - target * target_scale / positive_norm)


@fold(Monoid.SUM)
def direct_gap(
    prediction: float,
    negative: float,
    prediction_scale: float,
    negative_scale: float,
    anchor_norm: float,
    negative_norm: float,
) -> float:
    return square(prediction * prediction_scale / anchor_norm - negative * negative_scale / negative_norm)


@fold(Monoid.SUM)
def swapped_gap(
    target: float,
    negative: float,
    target_scale: float,
    negative_scale: float,
    positive_norm: float,
    negative_norm: float,
) -> float:
    return square(target * target_scale / positive_norm - negative * negative_scale / negative_norm)


def from_gap(gap: float, norm: float, other_norm: float) -> float:
    return where((norm == np.inf) | (other_norm == np.inf), 1.0, 0.5 * gap)


@fold(Monoid.ONCE, "positive_distance")
def cosine_of_positive(positive_gap: float, anchor_norm: float, positive_norm: float) -> float:
    return from_gap(positive_gap, anchor_norm, positive_norm)


@fold(Monoid.ONCE, "direct_distance")
def cosine_of_direct(direct_gap: float, anchor_norm: float, negative_norm: float) -> float:
    return from_gap(direct_gap, anchor_norm, negative_norm)


@fold(Monoid.ONCE, "swapped_distance")
def cosine_of_swapped(swapped_gap: float, positive_norm: float, negative_norm: float) -> float:
    return from_gap(swapped_gap, positive_norm, negative_norm)


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
    anchor_norm: float,
    positive_norm: float,
    negative_norm: float,
    positive_distance: float,
    direct_distance: float,
    active: float,
    direct_weight: float,
) -> float:
    unit = prediction * prediction_scale / anchor_norm
    positive = slope(unit, target * target_scale / positive_norm, positive_distance)
    direct = slope(unit, negative * negative_scale / negative_norm, direct_distance)
    return (counted(active, positive) - counted(direct_weight, direct)) / anchor_norm * prediction_scale


def cosine_by_positive(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    anchor_norm: float,
    positive_norm: float,
    negative_norm: float,
    positive_distance: float,
    swapped_distance: float,
    active: float,
    swapped_weight: float,
) -> float:
    unit = target * target_scale / positive_norm
    positive = slope(unit, prediction * prediction_scale / anchor_norm, positive_distance)
    swapped = slope(unit, negative * negative_scale / negative_norm, swapped_distance)
    return (counted(active, positive) - counted(swapped_weight, swapped)) / positive_norm * target_scale


def cosine_by_negative(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    anchor_norm: float,
    positive_norm: float,
    negative_norm: float,
    direct_distance: float,
    swapped_distance: float,
    direct_weight: float,
    swapped_weight: float,
) -> float:
    unit = negative * negative_scale / negative_norm
    direct = slope(unit, prediction * prediction_scale / anchor_norm, direct_distance)
    swapped = slope(unit, target * target_scale / positive_norm, swapped_distance)
    return -(counted(direct_weight, direct) + counted(swapped_weight, swapped)) / negative_norm * negative_scale


COSINE = (
    *(prediction_scale, target_scale, negative_scale, prediction_square, target_square, negative_square),
    *(anchor_norm, positive_norm, negative_norm, positive_gap, direct_gap, cosine_of_positive, cosine_of_direct),
)
SWAPPED_COSINE = (*COSINE, swapped_gap, cosine_of_swapped)
COSINE_GRADIENTS = cosine_by_anchor, cosine_by_positive, cosine_by_negative
