"""How far two rows of a triplet are apart by a plain sum, of squares or of magnitudes; see `triplets.py`."""

from __future__ import annotations

from ..scalar import absolute, sign, square
from ..spec import Monoid, fold
from .parts import counted
from .triplet_norms import added, difference


@fold(Monoid.ONCE, "positive_distance")
def sum_of_positive(positive_sum: float, eps: float, eps_mode: float) -> float:
    return positive_sum + added(eps, eps_mode)


@fold(Monoid.ONCE, "direct_distance")
def sum_of_direct(direct_sum: float, eps: float, eps_mode: float) -> float:
    return direct_sum + added(eps, eps_mode)


@fold(Monoid.ONCE, "swapped_distance")
def sum_of_swapped(swapped_sum: float, eps: float, eps_mode: float) -> float:
    return swapped_sum + added(eps, eps_mode)


# ---- squares


@fold(Monoid.SUM, "positive_sum")
def square_of_positive(prediction: float, target: float, eps: float, eps_mode: float) -> float:
    return square(difference(prediction, target, eps, eps_mode))


@fold(Monoid.SUM, "direct_sum")
def square_of_direct(prediction: float, negative: float, eps: float, eps_mode: float) -> float:
    return square(difference(prediction, negative, eps, eps_mode))


@fold(Monoid.SUM, "swapped_sum")
def square_of_swapped(target: float, negative: float, eps: float, eps_mode: float) -> float:
    return square(difference(target, negative, eps, eps_mode))


def squared_by_anchor(
    prediction: float, target: float, negative: float, active: float, direct_weight: float, eps: float, eps_mode: float
) -> float:
    positive, direct = difference(prediction, target, eps, eps_mode), difference(prediction, negative, eps, eps_mode)
    return 2.0 * (counted(active, positive) - counted(direct_weight, direct))


def squared_by_positive(
    prediction: float, target: float, negative: float, active: float, swapped_weight: float, eps: float, eps_mode: float
) -> float:
    positive, swapped = difference(prediction, target, eps, eps_mode), difference(target, negative, eps, eps_mode)
    return -2.0 * (counted(active, positive) + counted(swapped_weight, swapped))


def squared_by_negative(
    prediction: float,
    target: float,
    negative: float,
    direct_weight: float,
    swapped_weight: float,
    eps: float,
    eps_mode: float,
) -> float:
    direct, swapped = difference(prediction, negative, eps, eps_mode), difference(target, negative, eps, eps_mode)
    return 2.0 * (counted(direct_weight, direct) + counted(swapped_weight, swapped))


SQUARED = (square_of_positive, square_of_direct, sum_of_positive, sum_of_direct)
SWAPPED_SQUARED = (*SQUARED, square_of_swapped, sum_of_swapped)
SQUARED_GRADIENTS = squared_by_anchor, squared_by_positive, squared_by_negative


# ---- magnitudes


@fold(Monoid.SUM, "positive_sum")
def size_of_positive(prediction: float, target: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(prediction, target, eps, eps_mode))


@fold(Monoid.SUM, "direct_sum")
def size_of_direct(prediction: float, negative: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(prediction, negative, eps, eps_mode))


@fold(Monoid.SUM, "swapped_sum")
def size_of_swapped(target: float, negative: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(target, negative, eps, eps_mode))


def manhattan_by_anchor(
    prediction: float, target: float, negative: float, active: float, direct_weight: float, eps: float, eps_mode: float
) -> float:
    positive, direct = difference(prediction, target, eps, eps_mode), difference(prediction, negative, eps, eps_mode)
    return active * sign(positive) - direct_weight * sign(direct)


def manhattan_by_positive(
    prediction: float, target: float, negative: float, active: float, swapped_weight: float, eps: float, eps_mode: float
) -> float:
    positive, swapped = difference(prediction, target, eps, eps_mode), difference(target, negative, eps, eps_mode)
    return -active * sign(positive) - swapped_weight * sign(swapped)


def manhattan_by_negative(
    prediction: float,
    target: float,
    negative: float,
    direct_weight: float,
    swapped_weight: float,
    eps: float,
    eps_mode: float,
) -> float:
    direct, swapped = difference(prediction, negative, eps, eps_mode), difference(target, negative, eps, eps_mode)
    return direct_weight * sign(direct) + swapped_weight * sign(swapped)


MANHATTAN = (size_of_positive, size_of_direct, sum_of_positive, sum_of_direct)
SWAPPED_MANHATTAN = (*MANHATTAN, size_of_swapped, sum_of_swapped)
MANHATTAN_GRADIENTS = manhattan_by_anchor, manhattan_by_positive, manhattan_by_negative
