"""The Brier score of a row of classes: how far their shares are from the target, squared."""

from typing import Annotated

from ..domains import CLASS_PROBABILITY, LOGIT, PROBABILITY, TargetKind
from ..scalar import absolute, maximum, square, where
from ..softmax import SOFTMAX, probability, probability_of_others
from ..spec import Monoid, Parameter, Scope, fold, form_of, gradient_of, loss
from .class_probabilities import DENSE_OR_INDEX, NO_PRESETS, REDUCED
from .near_shares import below_grid, excess_of_logit, log_total, on_grid

# How far a share is from a target next to it, as a part of that.
NEAR = 2.0**-9

# The score of a row to which the rounding of its misses may matter.
SMALL = 2.0**-16

ScaleByHalf = Annotated[float, Parameter("half of it; auto for two classes", words=("auto", "on", "off"))]


def halving(scale_by_half: float, width: float) -> float:
    """1/2 where it is asked for, or left open with two classes."""
    return where((scale_by_half == 1.0) | ((scale_by_half == 0.0) & (width == 2.0)), 0.5, 1.0)


@fold(Monoid.SUM)
def squared_misses(prediction: float, target: float) -> float:
    return square(prediction - target)


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(squared_misses,),
    prediction=CLASS_PROBABILITY,
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    variants=DENSE_OR_INDEX,
    formula="Σ (p - y)² over the classes",
    gradient_formula="2 (p - y); by the logits with g = 2 (p - y): p (g - Σ g p)",
    options=("input", "labels", *REDUCED),
    aliases={"sklearn": ("brier_score_loss",)},
    presets=NO_PRESETS,
    source="Brier (1950), Verification of forecasts expressed in terms of probability",
)
def brier_multiclass(squared_misses: float, scale_by_half: ScaleByHalf = 0.0, width: float = 1.0) -> float:
    """Squared distance of the probabilities from the target, from 0 to 2; with two classes half of it, as `brier`.

    Targets are distributions, or class indices with `labels=index`. The gradient by logits is of rounded
    probabilities: next to a soft target, or between classes nearly equal, it is right to some 1e-16 of them.
    """
    return halving(scale_by_half, width) * squared_misses


@gradient_of(brier_multiclass)
def brier_multiclass_gradient(prediction: float, target: float, scale_by_half: float, width: float = 1.0) -> float:
    return halving(scale_by_half, width) * 2.0 * (prediction - target)


def miss_of_logits(prediction: float, target: float, largest: float, ties: float, tail: float) -> float:
    """p - y, of the smaller of both p and 1 - p."""
    p, rest = probability(prediction, largest, ties, tail), probability_of_others(prediction, largest, ties, tail)
    return where(p > 0.5, (1.0 - target) - rest, p - target)


@fold(Monoid.SUM)
def squared_misses_of_logits(prediction: float, target: float, largest: float, ties: float, tail: float) -> float:
    return square(miss_of_logits(prediction, target, largest, ties, tail))


# Next to a soft target the miss is one of q = p (1 + η), as in `near_shares`; η is known when the row has been read.
# It is read once more for that where the rounded misses are small.


def is_small(squared_misses_of_logits: float) -> bool:
    """Whether the misses of a row may have lost digits that its score would show."""
    return squared_misses_of_logits < SMALL


def is_next_to(miss: float, target: float) -> bool:
    """Where a share is next to a target that is neither 0 nor 1, beside which a miss keeps its digits anyway."""
    return (absolute(miss) < NEAR * target) & (target < 1.0)


def exact_miss(prediction: float, target: float, largest: float, ties: float, tail: float, log_total: float) -> float:
    """q - y next to targets, elsewhere p - y."""
    miss = miss_of_logits(prediction, target, largest, ties, tail)
    exact = excess_of_logit(prediction, target, largest, log_total)
    return where(is_next_to(miss, target), exact, miss)


@fold(Monoid.SUM, when=is_small)
def exact_squares(
    prediction: float, target: float, largest: float, ties: float, tail: float, log_total: float
) -> float:
    return square(exact_miss(prediction, target, largest, ties, tail, log_total))


@fold(Monoid.SUM, when=is_small)
def total_of_targets(target: float) -> float:
    """Σ y, but for what is below the grid."""
    return on_grid(target)


@fold(Monoid.SUM, when=is_small)
def misses(prediction: float, target: float, largest: float, ties: float, tail: float, log_total: float) -> float:
    """Σ (q - y) and what `total_of_targets` lacks: with it η less one."""
    return exact_miss(prediction, target, largest, ties, tail, log_total) + below_grid(target)


@fold(Monoid.SUM, when=is_small)
def missed_shares(prediction: float, target: float, largest: float, ties: float, tail: float) -> float:
    """Σ q (q - y) next to targets, for which a rounded miss will do."""
    miss = miss_of_logits(prediction, target, largest, ties, tail)
    return where(is_next_to(miss, target), target * miss, 0.0)


@fold(Monoid.SUM, when=is_small)
def near_squares(prediction: float, target: float, largest: float, ties: float, tail: float) -> float:
    """Σ q² next to targets."""
    return where(is_next_to(miss_of_logits(prediction, target, largest, ties, tail), target), square(target), 0.0)


# The slope is 2 p (m - Σ p m) of the misses m. All are taken less that of the largest logit: it and its equals then
# have no part in the sum, which is small next to certainty, and where equal classes have all but little.


@fold(Monoid.TARGET_SUM)
def targets_of_largest(prediction: float, target: float, largest: float) -> float:
    return where(prediction == largest, target, 0.0)


@fold(Monoid.ONCE)
def miss_of_largest(ties: float, tail: float, targets_of_largest: float) -> float:
    """Of several that are equal, with the mean of their targets."""
    return miss_of_logits(0.0, targets_of_largest / ties, 0.0, ties, tail)


def miss_beyond(
    prediction: float, target: float, largest: float, ties: float, tail: float, miss_of_largest: float
) -> float:
    return miss_of_logits(prediction, target, largest, ties, tail) - miss_of_largest


@fold(Monoid.SUM)
def missed_beyond(
    prediction: float, target: float, largest: float, ties: float, tail: float, miss_of_largest: float
) -> float:
    beyond = miss_beyond(prediction, target, largest, ties, tail, miss_of_largest)
    return probability(prediction, largest, ties, tail) * beyond


@form_of(
    "brier_multiclass",
    "logit",
    LOGIT,
    (
        *SOFTMAX,
        log_total,
        squared_misses_of_logits,
        exact_squares,
        total_of_targets,
        misses,
        missed_shares,
        near_squares,
        targets_of_largest,
        miss_of_largest,
        missed_beyond,
    ),
)
def brier_multiclass_from_logits(
    squared_misses_of_logits: float,
    exact_squares: float,
    misses: float,
    missed_shares: float,
    near_squares: float,
    total_of_targets: float,
    scale_by_half: float,
    width: float = 1.0,
) -> float:
    error = (total_of_targets - 1.0) + misses
    exact = maximum(exact_squares - error * (2.0 * missed_shares - error * near_squares), 0.0)
    score = where(is_small(squared_misses_of_logits), exact, squared_misses_of_logits)
    return halving(scale_by_half, width) * score


@gradient_of(brier_multiclass_from_logits)
def brier_multiclass_from_logits_gradient(
    prediction: float,
    target: float,
    largest: float,
    ties: float,
    tail: float,
    miss_of_largest: float,
    missed_beyond: float,
    scale_by_half: float,
    width: float = 1.0,
) -> float:
    beyond = miss_beyond(prediction, target, largest, ties, tail, miss_of_largest) - missed_beyond
    return halving(scale_by_half, width) * 2.0 * probability(prediction, largest, ties, tail) * beyond
