"""How far two rows of a triplet are apart by a norm, and how that changes with each of them; see `triplets.py`."""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from ..exponentials import normal_exp
from ..logarithms import log_of_positive
from ..scalar import absolute, maximum, sign, square, where
from ..spec import Monoid, Parameter, Scalar, fold
from .parts import counted, power, scaled_root
from .triplet_pairs import of_pairs

Norm = Annotated[float, Parameter("degree of the norm", at_least=1.0)]
Guard = Annotated[
    float,
    Parameter("added to each difference, or to the sum of their powers", at_least=0.0, modes=("shift", "sq_add")),
]


def difference(first: float, second: float, eps: float, eps_mode: float) -> float:
    return first - second + where(eps_mode == 0.0, eps, 0.0)


def added(eps: float, eps_mode: float) -> float:
    return where(eps_mode == 0.0, 0.0, eps)


# ---- norms of any degree: the powers are those of shares of the largest difference, so that none overflows


@fold(Monoid.ONCE)
def eps_root(norm: float, eps: float, eps_mode: float) -> float:
    """The difference that one more column would have for what is added to the sum."""
    return power(added(eps, eps_mode), 1.0 / norm)


@fold(Monoid.ONCE, "eps_root")
def no_eps_root() -> float:
    """Where nothing is added to the sum: each power is much to compile."""
    return 0.0


def power_of_share(share: float, exponent: float) -> float:
    """share**exponent for a share of the largest, exponent >= 1: 0 below e**-700, which adds nothing to a sum with 1.

    As `parts.power`, with a third less to compile and to compute. Infinity and NaN stay what they are.
    """
    logarithm = exponent * log_of_positive(share)
    seen = logarithm > -700.0
    return where(share < np.inf, where(seen, normal_exp(where(seen, logarithm, 0.0)), 0.0), share)


def root(total: float, norm: float) -> float:
    """total**(1/norm), norm >= 1, for a sum of such powers: 0, or at least 1; infinity and NaN stay what they are."""
    return where((total > 0.0) & (total < np.inf), normal_exp(log_of_positive(total) / norm), total)


@of_pairs(Monoid.MAX)
def largest(first: float, second: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(first, second, eps, eps_mode))


@of_pairs(Monoid.ONCE)
def size(own_largest: float, eps_root: float) -> float:
    size = maximum(own_largest, eps_root)
    return where((size > 0.0) & (size < np.inf), size, 1.0)


@of_pairs(Monoid.SUM)
def total(first: float, second: float, own_size: float, eps_mode: float, norm: Norm = 2.0, eps: Guard = 0.0) -> float:
    return power_of_share(absolute(difference(first, second, eps, eps_mode)) / own_size, norm)


@of_pairs(Monoid.ONCE, "distance")
def norm(own_total: float, own_size: float, norm: float) -> float:
    return own_size * root(own_total, norm)


@of_pairs(Monoid.ONCE, "distance")
def guarded_norm(own_total: float, own_size: float, eps_root: float, norm: float) -> float:
    return own_size * root(own_total + power_of_share(eps_root / own_size, norm), norm)


def norm_slope(difference: float, distance: float, norm: float) -> float:
    return sign(difference) * power(absolute(difference) / where(distance == 0.0, 1.0, distance), norm - 1.0)


def gradients(slope: Callable[[float, float, float], float]) -> tuple[Scalar, Scalar, Scalar]:
    """By the anchor, the positive and the negative, of a distance whose `slope` by the difference this is."""

    def by_anchor(
        prediction: float,
        target: float,
        negative: float,
        positive_distance: float,
        direct_distance: float,
        active: float,
        direct_weight: float,
        norm: float,
        eps: float,
        eps_mode: float,
    ) -> float:
        positive = slope(difference(prediction, target, eps, eps_mode), positive_distance, norm)
        direct = slope(difference(prediction, negative, eps, eps_mode), direct_distance, norm)
        return counted(active, positive) - counted(direct_weight, direct)

    def by_positive(
        prediction: float,
        target: float,
        negative: float,
        positive_distance: float,
        swapped_distance: float,
        active: float,
        swapped_weight: float,
        norm: float,
        eps: float,
        eps_mode: float,
    ) -> float:
        positive = slope(difference(prediction, target, eps, eps_mode), positive_distance, norm)
        swapped = slope(difference(target, negative, eps, eps_mode), swapped_distance, norm)
        return -counted(active, positive) - counted(swapped_weight, swapped)

    def by_negative(
        prediction: float,
        target: float,
        negative: float,
        direct_distance: float,
        swapped_distance: float,
        direct_weight: float,
        swapped_weight: float,
        norm: float,
        eps: float,
        eps_mode: float,
    ) -> float:
        direct = slope(difference(prediction, negative, eps, eps_mode), direct_distance, norm)
        swapped = slope(difference(target, negative, eps, eps_mode), swapped_distance, norm)
        return counted(direct_weight, direct) + counted(swapped_weight, swapped)

    return by_anchor, by_positive, by_negative


NORM = largest, size, total, norm
GUARDED = largest, size, total, guarded_norm
NORM_GRADIENTS = gradients(norm_slope)


# ---- the Euclidean norm; the scales are exact powers of two, so that no square overflows or vanishes


def slope(difference: float, distance: float, norm: float) -> float:
    return difference / where(distance == 0.0, 1.0, distance)


@of_pairs(Monoid.SCALE)
def scale(first: float, second: float, eps: float, eps_mode: float) -> float:
    return difference(first, second, eps, eps_mode)


@of_pairs(Monoid.SUM, "square")
def scaled_square(first: float, second: float, own_scale: float, eps: float, eps_mode: float) -> float:
    return square(difference(first, second, eps, eps_mode) * own_scale)


@of_pairs(Monoid.ONCE, "distance")
def euclidean(own_square: float, own_scale: float, eps: float, eps_mode: float) -> float:
    return scaled_root(own_square, own_scale, added(eps, eps_mode)) / own_scale


EUCLIDEAN = scale, scaled_square, euclidean
EUCLIDEAN_GRADIENTS = gradients(slope)
