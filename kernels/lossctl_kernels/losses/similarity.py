"""Cosines between predictions and targets: of each row, or of the whole data set as two long vectors."""

from typing import Annotated

from ..scalar import maximum, sqrt, square, where
from ..spec import Monoid, Parameter, Scope, degenerate_for, fold, gradient_of, loss

Sign = Annotated[float, Parameter("-1: the loss falls as the vectors align; 1: the cosine itself", choices=(-1.0, 1.0))]
NormFloor = Annotated[float, Parameter("each norm is held at or above this", at_least=0.0)]


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
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    eps: float,
) -> float:
    """∂c/∂a = (b/|b| - c a/|a|) / |a|; a norm that is held at `eps` is a constant; 0 for a zero vector."""
    prediction_norm = norm(prediction_square, prediction_scale, eps)
    target_norm = norm(target_square, target_scale, eps)
    unit_prediction = prediction * prediction_scale / prediction_norm
    unit_target = target * target_scale / target_norm
    value = dot / prediction_norm / target_norm
    held = sqrt(prediction_square) < eps * prediction_scale
    direction = unit_target - where(held, 0.0, value * unit_prediction)
    zero = (prediction_square == 0.0) & (eps == 0.0)
    return where(zero, 0.0, direction / prediction_norm * prediction_scale)


@loss(
    scope=Scope.ROW,
    folds=(*NORMS, dot),
    formula="-a·b / (|a| |b|), 0 for a zero vector",
    gradient_formula="-(b/|b| - c a/|a|) / |a|, c the cosine",
    options=("eps_mode", "denom", "empty", "grad_scale", "preset"),
    aliases={
        "keras": ("CosineSimilarity",),
        "torch": ("cosine_similarity",),
        "optax": ("cosine_similarity",),
        "other": ("cosine_proximity",),
    },
    presets={
        "keras": {"sign": -1.0, "eps": 1e-7, "denom": "count", "empty": "zero"},
        "torch": {"sign": 1.0, "eps": 1e-8},
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
    The `epsilon` of optax is for squares of the norms: `eps` is its root.
    """
    return sign * cosine(dot, prediction_square, target_square, prediction_scale, target_scale, eps)


@gradient_of(cosine_similarity)
def cosine_similarity_gradient(
    prediction: float,
    target: float,
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    sign: float,
    eps: float,
) -> float:
    return sign * cosine_gradient(
        prediction, target, dot, prediction_square, target_square, prediction_scale, target_scale, eps
    )


@degenerate_for(cosine_similarity)
def has_zero_vector(prediction_square: float, target_square: float) -> bool:
    return (prediction_square == 0.0) | (target_square == 0.0)


@fold(Monoid.SUM)
def unit_difference(
    prediction: float,
    target: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
) -> float:
    """(a/|a| - b/|b|)²: half its sum is 1 - cosine, without the cancellation."""
    unit_prediction = prediction * prediction_scale / norm(prediction_square, prediction_scale, 0.0)
    unit_target = target * target_scale / norm(target_square, target_scale, 0.0)
    return square(unit_prediction - unit_target)


@loss(
    scope=Scope.ROW,
    folds=(*NORMS, dot, unit_difference),
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
    unit_difference: float,
    eps: NormFloor = 0.0,
) -> float:
    """One minus the cosine of the angle between the rows, as half the squared distance of the unit vectors.

    That form keeps its digits for nearly parallel rows, where 1 - cosine has none left.
    """
    zero = (prediction_square == 0.0) | (target_square == 0.0)
    held = (sqrt(prediction_square) < eps * prediction_scale) | (sqrt(target_square) < eps * target_scale)
    subtracted = 1.0 - cosine(dot, prediction_square, target_square, prediction_scale, target_scale, eps)
    return where(zero, 1.0, where(held, subtracted, 0.5 * unit_difference))


@gradient_of(cosine_distance)
def cosine_distance_gradient(
    prediction: float,
    target: float,
    dot: float,
    prediction_square: float,
    target_square: float,
    prediction_scale: float,
    target_scale: float,
    eps: float,
) -> float:
    return 0.0 - cosine_gradient(
        prediction, target, dot, prediction_square, target_square, prediction_scale, target_scale, eps
    )


degenerate_for(cosine_distance)(has_zero_vector)


@loss(
    scope=Scope.DATASET,
    folds=(*NORMS, dot),
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
    The gradient that those tutorials print is that of +cosine times the norm of the predictions.
    """
    return sign * cosine(dot, prediction_square, target_square, prediction_scale, target_scale, eps)


gradient_of(cosine_global)(cosine_similarity_gradient)
degenerate_for(cosine_global)(has_zero_vector)
