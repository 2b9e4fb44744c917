"""One minus the cosine between two rows of a triplet, and how that changes with each of them; see `triplets.py`.

By the residuals of `similarity.py`, of either row of each pair. The distance of a zero vector is 1, and nothing changes
with it.
"""

from ..scalar import sqrt, square, where
from ..spec import Monoid, fold
from .parts import counted
from .similarity import (
    aside,
    cosine_distance,
    dot,
    multiple,
    nearly_parallel,
    prediction_scale,
    prediction_square,
    residual_along,
    residual_square,
    target_scale,
    target_square,
)
from .triplet_pairs import of_each_pair, of_pairs


@fold(Monoid.SCALE)
def negative_scale(negative: float) -> float:
    return negative


@fold(Monoid.SUM)
def negative_square(negative: float, negative_scale: float) -> float:
    return square(negative * negative_scale)


@of_pairs(Monoid.SUM, "dot")
def product(first: float, second: float, first_scale: float, second_scale: float) -> float:
    return dot(first, second, first_scale, second_scale)


@of_each_pair
def near(own_dot: float, first_square: float, second_square: float) -> bool:
    return nearly_parallel(own_dot, first_square, second_square)


# The multiple of either row that is nearest to the other one, and the multiple that rounding it left.


@of_pairs(Monoid.ONCE, "multiple")
def first_multiple(own_dot: float, first_square: float) -> float:
    return multiple(own_dot, first_square)


@of_pairs(Monoid.SUM, "along", near)
def along_first(first: float, second: float, first_scale: float, second_scale: float, own_multiple: float) -> float:
    return residual_along(first, second, first_scale, second_scale, own_multiple)


@of_pairs(Monoid.ONCE, "rounded")
def first_rounded(own_along: float, first_square: float) -> float:
    return multiple(own_along, first_square)


@of_pairs(Monoid.ONCE, "other_multiple")
def second_multiple(own_dot: float, second_square: float) -> float:
    return multiple(own_dot, second_square)


@of_pairs(Monoid.SUM, "other_along", near)
def along_second(
    first: float, second: float, first_scale: float, second_scale: float, own_other_multiple: float
) -> float:
    return residual_along(second, first, second_scale, first_scale, own_other_multiple)


@of_pairs(Monoid.ONCE, "other_rounded")
def second_rounded(own_other_along: float, second_square: float) -> float:
    return multiple(own_other_along, second_square)


@of_pairs(Monoid.SUM, when=near)
def rest_square(first: float, second: float, first_scale: float, second_scale: float, own_multiple: float) -> float:
    return residual_square(first, second, first_scale, second_scale, own_multiple)


@of_pairs(Monoid.ONCE, "distance")
def cosine(
    own_dot: float,
    first_square: float,
    second_square: float,
    first_scale: float,
    second_scale: float,
    own_along: float,
    own_rest_square: float,
) -> float:
    return cosine_distance(
        own_dot, first_square, second_square, first_scale, second_scale, own_along, own_rest_square, 0.0
    )


@of_pairs(Monoid.ONCE, "inverse")
def inverse_norms(first_square: float, second_square: float) -> float:
    """The reciprocal of both norms; 0 if either is that of a zero vector."""
    squares = first_square * second_square
    return where(squares == 0.0, 0.0, 1.0 / sqrt(where(squares == 0.0, 1.0, squares)))


# By how much the slope of each distance counts, over both norms.


@fold(Monoid.ONCE)
def positive_pull(active: float, positive_inverse: float) -> float:
    return counted(active, positive_inverse)


@fold(Monoid.ONCE)
def direct_pull(direct_weight: float, direct_inverse: float) -> float:
    return counted(direct_weight, direct_inverse)


@fold(Monoid.ONCE)
def swapped_pull(swapped_weight: float, swapped_inverse: float) -> float:
    return counted(swapped_weight, swapped_inverse)


def cosine_by_anchor(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    positive_multiple: float,
    positive_rounded: float,
    positive_pull: float,
    direct_multiple: float,
    direct_rounded: float,
    direct_pull: float,
) -> float:
    positive = aside(prediction, target, prediction_scale, target_scale, positive_multiple, positive_rounded)
    direct = aside(prediction, negative, prediction_scale, negative_scale, direct_multiple, direct_rounded)
    return (counted(direct_pull, direct) - counted(positive_pull, positive)) * prediction_scale


def cosine_by_positive(
    prediction: float,
    target: float,
    prediction_scale: float,
    target_scale: float,
    positive_other_multiple: float,
    positive_other_rounded: float,
    positive_pull: float,
) -> float:
    positive = aside(
        target, prediction, target_scale, prediction_scale, positive_other_multiple, positive_other_rounded
    )
    return 0.0 - counted(positive_pull, positive) * target_scale


def cosine_by_positive_or_swapped(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    positive_other_multiple: float,
    positive_other_rounded: float,
    positive_pull: float,
    swapped_multiple: float,
    swapped_rounded: float,
    swapped_pull: float,
) -> float:
    positive = cosine_by_positive(
        prediction, target, prediction_scale, target_scale,
        positive_other_multiple, positive_other_rounded, positive_pull,
    )  # fmt: skip
    swapped = aside(target, negative, target_scale, negative_scale, swapped_multiple, swapped_rounded)
    return counted(swapped_pull, swapped) * target_scale + positive


def cosine_by_negative(
    prediction: float,
    negative: float,
    prediction_scale: float,
    negative_scale: float,
    direct_other_multiple: float,
    direct_other_rounded: float,
    direct_pull: float,
) -> float:
    direct = aside(negative, prediction, negative_scale, prediction_scale, direct_other_multiple, direct_other_rounded)
    return counted(direct_pull, direct) * negative_scale


def cosine_by_negative_or_swapped(
    prediction: float,
    target: float,
    negative: float,
    prediction_scale: float,
    target_scale: float,
    negative_scale: float,
    direct_other_multiple: float,
    direct_other_rounded: float,
    direct_pull: float,
    swapped_other_multiple: float,
    swapped_other_rounded: float,
    swapped_pull: float,
) -> float:
    direct = cosine_by_negative(
        prediction, negative, prediction_scale, negative_scale,
        direct_other_multiple, direct_other_rounded, direct_pull,
    )  # fmt: skip
    swapped = aside(negative, target, negative_scale, target_scale, swapped_other_multiple, swapped_other_rounded)
    return direct + counted(swapped_pull, swapped) * negative_scale


SCALED = prediction_scale, target_scale, negative_scale, prediction_square, target_square, negative_square
COSINE = (
    *(product, first_multiple, second_multiple, along_first, along_second, rest_square, cosine),
    *(first_rounded, second_rounded, inverse_norms),
)
PULLS = positive_pull, direct_pull, swapped_pull
COSINE_GRADIENTS = cosine_by_anchor, cosine_by_positive, cosine_by_negative
SWAPPED_COSINE_GRADIENTS = cosine_by_anchor, cosine_by_positive_or_swapped, cosine_by_negative_or_swapped
