"""Cosines between predictions and targets: of each row, or of the whole data set as two long vectors."""

from typing import Annotated

from ..scalar import absolute, maximum, sqrt, square, where
from ..spec import Monoid, Parameter, Scope, degenerate_for, fold, gradient_of, loss
from .parts import less_multiple

Sign = Annotated[float, Parameter("-1: the loss falls as the vectors align; 1: the cosine itself", choices=(-1.0, 1.0))]
NormFloor = Annotated[float, Parameter("each norm is held at or above this", at_least=0.0)]
NEAR = 2.0**-8  # of a multiple to 1


# The scales are exact powers of two, so that no square overflows or vanishes.


@fold(Monoid.SCALE)
def prediction_scale(prediction: float) -> float:
    return prediction


@fold(Monoid.SCALE)
def target_scale(target: float) -> float:
    return target


@fold(Monoid.SUM)
def prediction_square(prediction: float, prediction_scale: float) -> float:
    return square(prediction * prediction_scale)


@fold(Monoid.SUM)
def target_square(target: float, target_scale: float) -> float:
    return square(target * target_scale)


@fold(Monoid.SUM)
def dot(prediction: float, target: float, prediction_scale: float, target_scale: float) -> float:
    return (prediction * prediction_scale) * (target * target_scale)


NORMS = (prediction_scale, target_scale, prediction_square, target_square)


# Nearly parallel vectors differ by a residual: what the target b is besides the multiple k a of the prediction that is
# nearest to it. Of that no digits are lost, and the sine of the angle is its length over that of b. What rounding k
# leaves of a in the residual is measured, and taken off.


@fold(Monoid.ONCE)
def multiple(dot: float, prediction_square: float) -> float:
    return where(prediction_square == 0.0, 0.0, dot / prediction_square)


def residual(prediction: float, target: float, prediction_scale: float, target_scale: float, multiple: float) -> float:
    return less_multiple(target * target_scale, multiple, prediction * prediction_scale)


def nearly_parallel(dot: float, prediction_square: float, target_square: float) -> bool:
    """Within 30 degrees of each other or of opposites: beyond, no digits are lost without residuals."""
    return dot * dot > 0.75 * prediction_square * target_square


@fold(Monoid.SUM, when=nearly_parallel)
def residual_along(
    prediction: float, target: float, prediction_scale: float, target_scale: float, multiple: float
) -> float:
    rest = residual(prediction, target, prediction_scale, target_scale, multiple)
    return rest * (prediction * prediction_scale)


@fold(Monoid.SUM, when=nearly_parallel)
def residual_square(
    prediction: float, target: float, prediction_scale: float, target_scale: float, multiple: float
) -> float:
    return square(residual(prediction, target, prediction_scale, target_scale, multiple))


def aside(own: float, other: float, own_scale: float, other_scale: float, multiple: float, rounded: float) -> float:
    """What the other vector has besides its part along this one; `rounded` is what rounding the multiple left of it."""
    return residual(own, other, own_scale, other_scale, multiple) - rounded * (own * own_scale)


# Of rows that differ in their last bits the residual is mostly what rounding the multiple has left of the prediction:
# that is taken off each number then, not off the sum of squares, which would have few digits left.


def is_mostly(along: float, residual_square: float) -> bool:
    """Whether a squared residual is mostly the square of what is along the vector."""
    return along > 0.75 * residual_square


def mostly_rounded(residual_along: float, residual_square: float, prediction_square: float) -> bool:
    return is_mostly(residual_along * (residual_along / prediction_square), residual_square)


@fold(Monoid.SUM, when=mostly_rounded)
def aside_square(
    prediction: float,
    target: float,
    prediction_scale: float,
    target_scale: float,
    multiple: float,
    residual_along: float,
    prediction_square: float,
) -> float:
    rounded = residual_along / prediction_square
    return square(aside(prediction, target, prediction_scale, target_scale, multiple, rounded))


def rest_of(residual_square: float, along: float, aside_square: float) -> float:
    """What of a squared residual is not along the vector; 0 where less is left than the numbers are rounded by."""
    exact = where(aside_square < 2.0**-80 * residual_square, 0.0, aside_square)
    return where(is_mostly(along, residual_square), exact, residual_square - along)


def distance_of(cosine: float, sine_square: float) -> float:
    """1 - cosine; of acute angles by the sine, where the difference would have no digits left."""
    return where(cosine > 0.0, sine_square / (1.0 + maximum(cosine, 0.0)), 1.0 - cosine)


def norm(square_sum: float, scale: float, eps: float) -> float:
    """The scaled norm, held at or above `eps`; 1 for a zero vector, so that it divides nothing by 0."""
    held = maximum(sqrt(square_sum), eps * scale)
    return where(held == 0.0, 1.0, held)


def cosine(
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    eps: float,
) -> float:
    return dot / norm(prediction_square, prediction_scale, eps) / norm(target_square, target_scale, eps)


def cosine_gradient(
    prediction: float,
    target: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    multiple: float,
    residual_along: float,
    eps: float,
    clamped_slope: float,
) -> float:
    """∂c/∂a = (b/|b| - c a/|a|) / |a|: the residual, over both norms; 0 for a zero vector.

    A norm that is held at `eps` is a constant, or with `clamped_slope` changes as if it were not held, as in PyTorch.
    """
    prediction_norm = norm(prediction_square, prediction_scale, eps)
    target_norm = norm(target_square, target_scale, eps)
    length = sqrt(prediction_square)
    own, other = prediction * prediction_scale, target * target_scale
    rounded = residual_along / where(length == 0.0, 1.0, prediction_square)
    free = aside(prediction, target, prediction_scale, target_scale, multiple, rounded)
    held = other - clamped_slope * (multiple * own) * (length / prediction_norm)
    is_held, zero = length < eps * prediction_scale, (length == 0.0) & (eps == 0.0)
    direction = where(is_held, held, free)
    # Reciprocals, which are the same for the whole row: none of them overflows, as their product may.
    inverse, scale = where(is_held, 1.0 / eps, 1.0 / prediction_norm), where(is_held, 1.0, prediction_scale)
    return where(zero, 0.0, direction * (1.0 / target_norm) * inverse * scale)


@loss(
    scope=Scope.ROW,
    folds=(*NORMS, dot, multiple, residual_along),
    formula="-a·b / (|a| |b|), 0 for a zero vector",
    gradient_formula="-(b/|b| - c a/|a|) / |a|, c the cosine",
    options=("eps_mode", "denom", "empty", "grad_scale", "preset"),
    aliases={
        "keras": ("CosineSimilarity",),
        "torch": ("CosineSimilarity", "cosine_similarity"),
        "optax": ("cosine_similarity",),
        "other": ("cosine_proximity",),
    },
    presets={
        "keras": {"sign": -1.0, "eps": 1e-7, "denom": "count", "empty": "zero"},
        "torch": {"sign": 1.0, "eps": 1e-8, "clamped_slope": 1.0},
        "optax": {"sign": 1.0},
        "sklearn": {"sign": 1.0},
    },
)
def cosine_similarity(
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    sign: Sign = -1.0,
    eps: NormFloor = 0.0,
) -> float:
    """Cosine of the angle between the rows, negative by default so that smaller is better, as in Keras.

    optax and PyTorch return the cosine itself: `sign=1`. A zero vector has cosine 0 and gradient 0, and is counted.
    The `epsilon` of optax is for squares of the norms: `eps` is its root. Below `eps` PyTorch's gradient, and that of
    its preset, takes the norm as if it were not held. The cosine of rows at nearly right angles is right to about
    1e-16, not relative to itself.
    """
    return sign * cosine(dot, prediction_square, target_square, prediction_scale, target_scale, eps)


@gradient_of(cosine_similarity)
def cosine_similarity_gradient(
    prediction: float,
    target: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    multiple: float,
    residual_along: float,
    sign: float,
    eps: float,
    clamped_slope: float = 0.0,
) -> float:
    return sign * cosine_gradient(
        prediction, target, prediction_square, target_square, prediction_scale, target_scale,
        multiple, residual_along, eps, clamped_slope,
    )  # fmt: skip


@degenerate_for(cosine_similarity)
def has_zero_vector(prediction_square: float, target_square: float) -> bool:
    return (prediction_square == 0.0) | (target_square == 0.0)


@loss(
    scope=Scope.ROW,
    folds=(*NORMS, dot, multiple, residual_along, residual_square, aside_square),
    formula="1 - a·b / (|a| |b|), 1 for a zero vector",
    gradient_formula="-(b/|b| - c a/|a|) / |a|, c the cosine",
    options=("eps_mode", "denom", "empty", "grad_scale", "preset"),
    aliases={"optax": ("cosine_distance",)},
    presets={"keras": {"denom": "count", "empty": "zero"}, "torch": {}, "optax": {}, "sklearn": {}},
)
def cosine_distance(
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    residual_along: float,
    residual_square: float,
    aside_square: float,
    eps: NormFloor = 0.0,
) -> float:
    """One minus the cosine of the angle between the rows; of acute angles by the square of the sine over 1 + cosine.

    That form keeps its digits for nearly parallel rows, where 1 - cosine has none left.
    """
    held = (sqrt(prediction_square) < eps * prediction_scale) | (sqrt(target_square) < eps * target_scale)
    c = cosine(dot, prediction_square, target_square, prediction_scale, target_scale, eps)
    along = residual_along * (residual_along / prediction_square)
    sine_square = rest_of(residual_square, along, aside_square) / target_square
    is_near = nearly_parallel(dot, prediction_square, target_square)
    return where(held, 1.0 - c, where(is_near, distance_of(c, sine_square), 1.0 - c))


@gradient_of(cosine_distance)
def cosine_distance_gradient(
    prediction: float,
    target: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    multiple: float,
    residual_along: float,
    eps: float,
) -> float:
    return 0.0 - cosine_gradient(
        prediction, target, prediction_square, target_square, prediction_scale, target_scale,
        multiple, residual_along, eps, 0.0,
    )  # fmt: skip


degenerate_for(cosine_distance)(has_zero_vector)


# Of the whole data set the nearest multiple is not known before the numbers have been read. What the targets have
# besides the predictions takes the place of the residual: of nearly equal columns no digits are lost.


def nearly_one(prediction_scale: float, target_scale: float) -> float:
    """The multiple 1 of vectors with these scales; 0 where they are so different that it says nothing."""
    ratio = target_scale / prediction_scale
    return where((ratio < 8.0) & (ratio > 0.125), ratio, 0.0)


def difference(prediction: float, target: float, prediction_scale: float, target_scale: float) -> float:
    return target * target_scale - nearly_one(prediction_scale, target_scale) * (prediction * prediction_scale)


@fold(Monoid.SUM)
def difference_along(prediction: float, target: float, prediction_scale: float, target_scale: float) -> float:
    return difference(prediction, target, prediction_scale, target_scale) * (prediction * prediction_scale)


@loss(
    scope=Scope.DATASET,
    folds=(*NORMS, dot, difference_along),
    formula="-Σ ŷy / (|ŷ| |y|) over the whole data set",
    gradient_formula="-(y/|y| - c ŷ/|ŷ|) / |ŷ|, c the cosine",
    options=("empty", "preset"),
    presets={"keras": {}, "torch": {}, "optax": {}, "sklearn": {}},
)
def cosine_global(
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    sign: Sign = -1.0,
    eps: NormFloor = 0.0,
) -> float:
    """Cosine of the angle between all predictions and all targets, each as one long vector.

    This is the "cosine proximity" of tutorials that take whole columns; Keras means `cosine_similarity`, row by row.
    The gradient that those tutorials print is that of +cosine times the norm of the predictions. Where one column is
    nearly a multiple of the other it is next to 0, and right to about 1e-16 over their norms, but for nearly equal
    columns, of which no digits are lost.
    """
    return sign * cosine(dot, prediction_square, target_square, prediction_scale, target_scale, eps)


@gradient_of(cosine_global)
def cosine_global_gradient(
    prediction: float,
    target: float,
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    difference_along: float,
    sign: float,
    eps: float,
) -> float:
    """The residual, of a multiple next to 1 by the differences; of others without what rounding them leaves in it."""
    is_near = absolute(difference_along) < NEAR * prediction_square
    nearest = where(is_near, nearly_one(prediction_scale, target_scale), multiple(dot, prediction_square))
    return sign * cosine_gradient(
        prediction, target, prediction_square, target_square, prediction_scale, target_scale,
        nearest, where(is_near, difference_along, 0.0), eps, 0.0,
    )  # fmt: skip


degenerate_for(cosine_global)(has_zero_vector)
