"""How far two rows of a triplet are apart by a plain sum, of squares or of magnitudes; see `triplets.py`."""

from ..scalar import absolute, sign, square
from ..spec import Monoid
from .parts import counted
from .triplet_norms import added, difference
from .triplet_pairs import of_pairs


@of_pairs(Monoid.ONCE, "distance")
def plain_sum(own_sum: float, eps: float, eps_mode: float) -> float:
    return own_sum + added(eps, eps_mode)


# ---- squares


@of_pairs(Monoid.SUM, "sum")
def squared(first: float, second: float, eps: float, eps_mode: float) -> float:
    return square(difference(first, second, eps, eps_mode))


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


SQUARED = squared, plain_sum
SQUARED_GRADIENTS = squared_by_anchor, squared_by_positive, squared_by_negative


# ---- magnitudes


@of_pairs(Monoid.SUM, "sum")
def magnitude(first: float, second: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(first, second, eps, eps_mode))


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


MANHATTAN = magnitude, plain_sum
MANHATTAN_GRADIENTS = manhattan_by_anchor, manhattan_by_positive, manhattan_by_negative
