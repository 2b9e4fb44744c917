"""How far two rows of a triplet are apart by a norm, and how that changes with each of them; see `triplets.py`."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from ..scalar import absolute, maximum, sign, square, where
from ..spec import Monoid, Parameter, fold
from .parts import counted, power, scaled_root

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


def size_of(largest: float, eps_root: float) -> float:
    size = maximum(largest, eps_root)
    return where((size > 0.0) & (size < np.inf), size, 1.0)


@fold(Monoid.ONCE, "eps_root")
def no_eps_root() -> float:
    """Where nothing is added to the sum: each power is much to compile."""
    return 0.0


def norm_of(total: float, size: float, norm: float) -> float:
    return size * power(total, 1.0 / norm)


def guarded_norm_of(total: float, size: float, eps_root: float, norm: float) -> float:
    return norm_of(total + power(eps_root / size, norm), size, norm)


def norm_slope(difference: float, distance: float, norm: float) -> float:
    return sign(difference) * power(absolute(difference) / where(distance == 0.0, 1.0, distance), norm - 1.0)


@fold(Monoid.MAX)
def positive_largest(prediction: float, target: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(prediction, target, eps, eps_mode))


@fold(Monoid.MAX)
def direct_largest(prediction: float, negative: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(prediction, negative, eps, eps_mode))


@fold(Monoid.MAX)
def swapped_largest(target: float, negative: float, eps: float, eps_mode: float) -> float:
    return absolute(difference(target, negative, eps, eps_mode))


@fold(Monoid.ONCE)
def positive_size(positive_largest: float, eps_root: float) -> float:
    return size_of(positive_largest, eps_root)


@fold(Monoid.ONCE)
def direct_size(direct_largest: float, eps_root: float) -> float:
    return size_of(direct_largest, eps_root)


@fold(Monoid.ONCE)
def swapped_size(swapped_largest: float, eps_root: float) -> float:
    return size_of(swapped_largest, eps_root)


@fold(Monoid.SUM)
def positive_total(
    prediction: float, target: float, positive_size: float, eps_mode: float, norm: Norm = 2.0, eps: Guard = 0.0
) -> float:
    return power(absolute(difference(prediction, target, eps, eps_mode)) / positive_size, norm)


@fold(Monoid.SUM)
def direct_total(
    prediction: float, negative: float, direct_size: float, norm: float, eps: float, eps_mode: float
) -> float:
    return power(absolute(difference(prediction, negative, eps, eps_mode)) / direct_size, norm)


@fold(Monoid.SUM)
def swapped_total(
    target: float, negative: float, swapped_size: float, norm: float, eps: float, eps_mode: float
) -> float:
    return power(absolute(difference(target, negative, eps, eps_mode)) / swapped_size, norm)


@fold(Monoid.ONCE, "positive_distance")
def norm_of_positive(positive_total: float, positive_size: float, norm: float) -> float:
    return norm_of(positive_total, positive_size, norm)


@fold(Monoid.ONCE, "direct_distance")
def norm_of_direct(direct_total: float, direct_size: float, norm: float) -> float:
    return norm_of(direct_total, direct_size, norm)


@fold(Monoid.ONCE, "swapped_distance")
def norm_of_swapped(swapped_total: float, swapped_size: float, norm: float) -> float:
    return norm_of(swapped_total, swapped_size, norm)


@fold(Monoid.ONCE, "positive_distance")
def guarded_norm_of_positive(positive_total: float, positive_size: float, eps_root: float, norm: float) -> float:
    return guarded_norm_of(positive_total, positive_size, eps_root, norm)


@fold(Monoid.ONCE, "direct_distance")
def guarded_norm_of_direct(direct_total: float, direct_size: float, eps_root: float, norm: float) -> float:
    return guarded_norm_of(direct_total, direct_size, eps_root, norm)


@fold(Monoid.ONCE, "swapped_distance")
def guarded_norm_of_swapped(swapped_total: float, swapped_size: float, eps_root: float, norm: float) -> float:
    return guarded_norm_of(swapped_total, swapped_size, eps_root, norm)


def norm_by_anchor(
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
    positive = norm_slope(difference(prediction, target, eps, eps_mode), positive_distance, norm)
    direct = norm_slope(difference(prediction, negative, eps, eps_mode), direct_distance, norm)
    return counted(active, positive) - counted(direct_weight, direct)


def norm_by_positive(
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
    positive = norm_slope(difference(prediction, target, eps, eps_mode), positive_distance, norm)
    swapped = norm_slope(difference(target, negative, eps, eps_mode), swapped_distance, norm)
    return -counted(active, positive) - counted(swapped_weight, swapped)


def norm_by_negative(
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
    direct = norm_slope(difference(prediction, negative, eps, eps_mode), direct_distance, norm)
    swapped = norm_slope(difference(target, negative, eps, eps_mode), swapped_distance, norm)
    return counted(direct_weight, direct) + counted(swapped_weight, swapped)


LARGEST = (positive_largest, direct_largest, positive_size, direct_size, positive_total, direct_total)
SWAPPED_LARGEST = (*LARGEST, swapped_largest, swapped_size, swapped_total)
NORM = (no_eps_root, *LARGEST, norm_of_positive, norm_of_direct)
SWAPPED_NORM = (no_eps_root, *SWAPPED_LARGEST, norm_of_positive, norm_of_direct, norm_of_swapped)
GUARDED = (eps_root, *LARGEST, guarded_norm_of_positive, guarded_norm_of_direct)
SWAPPED_GUARDED = (
    *(eps_root, *SWAPPED_LARGEST),
    *(guarded_norm_of_positive, guarded_norm_of_direct, guarded_norm_of_swapped),
)
NORM_GRADIENTS = norm_by_anchor, norm_by_positive, norm_by_negative


# ---- the Euclidean norm; the scales are exact powers of two, so that no square overflows or vanishes


def root_of(square_sum: float, scale: float, eps: float, eps_mode: float) -> float:
    return scaled_root(square_sum, scale, added(eps, eps_mode)) / scale


def slope(difference: float, distance: float) -> float:
    return difference / where(distance == 0.0, 1.0, distance)


@fold(Monoid.SCALE)
def positive_scale(prediction: float, target: float, eps: float, eps_mode: float) -> float:
    return difference(prediction, target, eps, eps_mode)


@fold(Monoid.SCALE)
def direct_scale(prediction: float, negative: float, eps: float, eps_mode: float) -> float:
    return difference(prediction, negative, eps, eps_mode)


@fold(Monoid.SCALE)
def swapped_scale(target: float, negative: float, eps: float, eps_mode: float) -> float:
    return difference(target, negative, eps, eps_mode)


@fold(Monoid.SUM)
def positive_square(prediction: float, target: float, positive_scale: float, eps: float, eps_mode: float) -> float:
    return square(difference(prediction, target, eps, eps_mode) * positive_scale)


@fold(Monoid.SUM)
def direct_square(prediction: float, negative: float, direct_scale: float, eps: float, eps_mode: float) -> float:
    return square(difference(prediction, negative, eps, eps_mode) * direct_scale)


@fold(Monoid.SUM)
def swapped_square(target: float, negative: float, swapped_scale: float, eps: float, eps_mode: float) -> float:
    return square(difference(target, negative, eps, eps_mode) * swapped_scale)


@fold(Monoid.ONCE, "positive_distance")
def root_of_positive(positive_square: float, positive_scale: float, eps: float, eps_mode: float) -> float:
    return root_of(positive_square, positive_scale, eps, eps_mode)


@fold(Monoid.ONCE, "direct_distance")
def root_of_direct(direct_square: float, direct_scale: float, eps: float, eps_mode: float) -> float:
    return root_of(direct_square, direct_scale, eps, eps_mode)


@fold(Monoid.ONCE, "swapped_distance")
def root_of_swapped(swapped_square: float, swapped_scale: float, eps: float, eps_mode: float) -> float:
    return root_of(swapped_square, swapped_scale, eps, eps_mode)


def euclidean_by_anchor(
    prediction: float,
    target: float,
    negative: float,
    positive_distance: float,
    direct_distance: float,
    active: float,
    direct_weight: float,
    eps: float,
    eps_mode: float,
) -> float:
    positive = slope(difference(prediction, target, eps, eps_mode), positive_distance)
    direct = slope(difference(prediction, negative, eps, eps_mode), direct_distance)
    return counted(active, positive) - counted(direct_weight, direct)


def euclidean_by_positive(
    prediction: float,
    target: float,
    negative: float,
    positive_distance: float,
    swapped_distance: float,
    active: float,
    swapped_weight: float,
    eps: float,
    eps_mode: float,
) -> float:
    positive = slope(difference(prediction, target, eps, eps_mode), positive_distance)
    swapped = slope(difference(target, negative, eps, eps_mode), swapped_distance)
    return -counted(active, positive) - counted(swapped_weight, swapped)


def euclidean_by_negative(
    prediction: float,
    target: float,
    negative: float,
    direct_distance: float,
    swapped_distance: float,
    direct_weight: float,
    swapped_weight: float,
    eps: float,
    eps_mode: float,
) -> float:
    direct = slope(difference(prediction, negative, eps, eps_mode), direct_distance)
    swapped = slope(difference(target, negative, eps, eps_mode), swapped_distance)
    return counted(direct_weight, direct) + counted(swapped_weight, swapped)


EUCLIDEAN = (positive_scale, direct_scale, positive_square, direct_square, root_of_positive, root_of_direct)
SWAPPED_EUCLIDEAN = (*EUCLIDEAN, swapped_scale, swapped_square, root_of_swapped)
EUCLIDEAN_GRADIENTS = euclidean_by_anchor, euclidean_by_positive, euclidean_by_negative
