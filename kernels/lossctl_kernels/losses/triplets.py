"""An anchor, something like it and something unlike it: the prediction, the target and the input `negative`.

Each family of distances says how far two rows are apart, and how that changes with each row. What is common stands
here: the distance of the negative, which with `swap` is the smaller one of those to the anchor and to the positive; and
by how much the gradient of each distance counts.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from ..domains import REAL
from ..scalar import maximum, minimum, where
from ..spec import (
    LOSSES,
    Definition,
    Input,
    InputShape,
    Loss,
    Monoid,
    Parameter,
    Scalar,
    Scope,
    define,
    fold,
    gradient_of,
    loss,
)
from .parts import KERAS, MEAN_PRESETS, step
from .triplet_cosines import COSINE, COSINE_GRADIENTS, PULLS, SCALED, SWAPPED_COSINE_GRADIENTS
from .triplet_norms import EUCLIDEAN, EUCLIDEAN_GRADIENTS, GUARDED, NORM, NORM_GRADIENTS, eps_root, no_eps_root
from .triplet_pairs import Three
from .triplet_sums import MANHATTAN, MANHATTAN_GRADIENTS, SQUARED, SQUARED_GRADIENTS

Gradients = tuple[Scalar, Scalar, Scalar]
Margin = Annotated[float, Parameter("how much farther the negative should be than the positive", at_least=0.0)]


@fold(Monoid.ONCE)
def negative_distance(direct_distance: float, swapped_distance: float) -> float:
    return minimum(direct_distance, swapped_distance)


@fold(Monoid.ONCE)
def active(positive_distance: float, negative_distance: float, margin: float, kink: float = 1.0) -> float:
    """How far the loss follows the distances: 0 where the negative is far enough."""
    return step(margin + (positive_distance - negative_distance), kink)


def follows(distance: float, other: float) -> float:
    """How far the smaller of two distances follows this one; a half where both are the same."""
    return where(distance < other, 1.0, where(distance > other, 0.0, 0.5))


@fold(Monoid.ONCE)
def direct_weight(active: float, direct_distance: float, swapped_distance: float) -> float:
    return active * follows(direct_distance, swapped_distance)


@fold(Monoid.ONCE)
def swapped_weight(active: float, direct_distance: float, swapped_distance: float) -> float:
    return active * follows(swapped_distance, direct_distance)


COMMON = (negative_distance, active, direct_weight, swapped_weight)


@fold(Monoid.ONCE, "swapped_distance")
def never_nearer() -> float:
    """The distance from the positive to the negative where it does not count."""
    return np.inf


class Family(NamedTuple):
    """What is needed first, the folds of each pair of rows, the gradients without a swap and with one, and what they
    ask for of the weights, that of the swapped pair at the end."""

    first: tuple[Scalar, ...]
    of_pairs: tuple[Three, ...]
    gradients: Gradients
    swapped_gradients: Gradients
    last: tuple[Scalar, ...] = ()


FAMILIES = {
    "lp": Family((no_eps_root,), NORM, NORM_GRADIENTS, NORM_GRADIENTS),
    "guarded": Family((eps_root,), GUARDED, NORM_GRADIENTS, NORM_GRADIENTS),
    "euclidean": Family((), EUCLIDEAN, EUCLIDEAN_GRADIENTS, EUCLIDEAN_GRADIENTS),
    "manhattan": Family((), MANHATTAN, MANHATTAN_GRADIENTS, MANHATTAN_GRADIENTS),
    "sqeuclidean": Family((), SQUARED, SQUARED_GRADIENTS, SQUARED_GRADIENTS),
    "cosine": Family(SCALED, COSINE, COSINE_GRADIENTS, SWAPPED_COSINE_GRADIENTS, PULLS),
}


def folds_of(name: str, swap: bool) -> tuple[Scalar, ...]:
    family = FAMILIES[name]
    pairs = [fold for three in family.of_pairs for fold in (three.positive, three.direct)]
    swapped = [three.swapped for three in family.of_pairs] if swap else [never_nearer]
    last = family.last if swap else family.last[:-1]
    return (*family.first, *pairs, *swapped, *COMMON, *last)


SIMPLER_NORMS = {1.0: "manhattan", 2.0: "euclidean"}


def as_options_say(settled: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """The definition of the family; norms of degree 1 and 2, or without an addend, have simpler ones of their own."""
    family = options["distance"]
    if family == "lp":
        is_guarded = options["eps"] and options["eps_mode"] == "sq_add"
        family = SIMPLER_NORMS.get(options["norm"], "guarded" if is_guarded else family)
    return {"forms": {"value": FORMS[family, bool(options["swap"])]}}


@loss(
    scope=Scope.ROW,
    folds=folds_of("lp", False),
    inputs={"negative": Input("the row that should be far from the anchor", InputShape.LIKE_PREDICTION)},
    formula="max(m + d(a, p) - d(a, n), 0); with swap min(d(a, n), d(p, n)) for d(a, n)",
    gradient_formula="d'(a, p) - d'(a, n) where the loss is not 0; d' = sgn(δ) |δ|^(q-1) / d^(q-1), 0 where d is 0",
    options=("distance", "swap", "eps_mode", "denom", "empty", "kink", "grad_scale", "preset"),
    variants={
        "distance": {
            "lp": {},
            "sqeuclidean": {"idle": ("norm",)},
            "cosine": {"idle": ("norm", "eps", "eps_mode")},
        }
    },
    adapt=as_options_say,
    aliases={
        "torch": (
            "TripletMarginLoss",
            "TripletMarginWithDistanceLoss",
            "triplet_margin_loss",
            "triplet_margin_with_distance_loss",
        ),
        "optax": ("triplet_margin_loss",),
    },
    presets={
        **MEAN_PRESETS,
        "keras": {**KERAS, "kink": "half"},
        "torch": {"distance=lp": {"eps": 1e-6, "eps_mode": "shift"}},
        "optax": {"distance=lp": {"eps": 1e-6, "eps_mode": "sq_add"}, "kink": "half"},
    },
    source="Balntas et al. (2016), Learning local feature descriptors with triplets",
)
def triplet_margin(positive_distance: float, negative_distance: float, margin: Margin = 1.0) -> float:
    """What the negative is short of being farther from the anchor than the positive is, by a margin.

    The prediction is the anchor, the target the positive. Without `eps` the norm is the true one, with gradient 0 at
    distance 0; PyTorch adds 1e-6 to each difference (`eps_mode=shift`), optax to the sum of squares (`sq_add`). The
    distance is a norm, its square without the root (`sqeuclidean`), or one minus the cosine. Where margin and distances
    cancel, what is left is right to about 1e-16 of them. Two squared distances that are both too large for numbers
    leave none, and with `swap` distances that round to the same share the slope. Distances below 2e-308 have
    fewer digits, and so have their slopes.
    """
    return maximum(margin + (positive_distance - negative_distance), 0.0)


def has_zero_vector(prediction_square: float, target_square: float, negative_square: float) -> bool:
    return (prediction_square == 0.0) | (target_square == 0.0) | (negative_square == 0.0)


def definition_of(family: str, swap: bool) -> Definition:
    """The definition of the loss with these distances."""
    made = define(triplet_margin, REAL, Scope.ROW, folds_of(family, swap))
    gradients = FAMILIES[family].swapped_gradients if swap else FAMILIES[family].gradients
    for name, gradient in zip(("prediction", "target", "negative"), gradients, strict=True):
        gradient_of(triplet_margin, of=name)(gradient)
    return made


FORMS = {(family, swap): definition_of(family, swap) for family in FAMILIES for swap in (False, True)}
LOSSES["triplet_margin"].forms["value"] = FORMS["lp", False]
for swap in (False, True):
    FORMS["cosine", swap].degenerate = has_zero_vector
