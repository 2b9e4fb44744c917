"""Fenchel-Young losses: a maximum of the class scores less their mean under the target.

That of sparsemax is of the projection of a row of scores onto the probability simplex, which gives most classes exactly
0: sparsemax(s) = max(s - τ, 0) with the threshold τ at which the sum is 1. The classes above it are the *support*.
"""

from typing import Any

from ..domains import PROBABILITY, REAL, TargetKind
from ..scalar import log1p, where
from ..softmax import SOFTMAX, largest, others
from ..spec import Scope, gradient_of, loss, row_function, variant_of
from .class_margins import INDEX_OPTIONS, winners
from .class_probabilities import NO_PRESETS
from .multiclass import cce_from_logits_gradient, gap
from .near_shares import targets_below_grid, targets_on_grid

# ---- of the log-sum-exp of the scores, and of their maximum


@loss(
    scope=Scope.ROW,
    folds=(*SOFTMAX, gap, targets_on_grid, targets_below_grid),
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    variants={"max_fun": {"logsumexp": {}}},
    formula="Ω*(s) - Σ y s, Ω* the log-sum-exp of the scores, their maximum, or that of p·s + (1 - |p|²)/2 over rows p",
    gradient_formula="∇Ω*(s) - y: softmax(s) - y, 1 at the largest score (tied classes share it) - y, sparsemax(s) - y",
    options=("max_fun", "denom", "empty", "grad_scale", "preset"),
    aliases={"optax": ("make_fenchel_young_loss",)},
    presets=NO_PRESETS,
    source="Blondel, Martins and Niculae (2020), Learning with Fenchel-Young losses",
)
def fenchel_young(
    gap: float, targets_on_grid: float, targets_below_grid: float, largest: float, ties: float, tail: float
) -> float:
    """Fenchel-Young loss of a row of scores: cross-entropy, with the maximum a perceptron, or `sparsemax`.

    A term of the targets alone is left out, which is 0 where they are one-hot. The slope of the log-sum-exp is p - y of
    a rounded p: next to a soft target it is right to some 1e-16 of either.
    """
    return gap + ((1.0 - targets_on_grid) - targets_below_grid) * largest + log1p(others(ties, tail))


@gradient_of(fenchel_young)
def fenchel_young_gradient(prediction: float, target: float, largest: float, ties: float, tail: float) -> float:
    return cce_from_logits_gradient(prediction, target, largest, ties, tail, 1.0)


@variant_of("fenchel_young", "max_fun", "max", REAL, (largest, winners, gap, targets_on_grid, targets_below_grid))
def fenchel_young_of_maximum(
    gap: float, targets_on_grid: float, targets_below_grid: float, largest: float, winners: float
) -> float:
    return gap + ((1.0 - targets_on_grid) - targets_below_grid) * largest + 0.0 * winners


@gradient_of(fenchel_young_of_maximum)
def fenchel_young_of_maximum_gradient(prediction: float, target: float, largest: float, winners: float) -> float:
    return where(prediction == largest, 1.0 / winners, 0.0) - target


# ---- of sparsemax

MOST_STEPS = 200
NEARLY_ALONE = 2.0**-8 - 1.0


def scratch_of_a_row(prediction: tuple[int, ...]) -> int:
    return prediction[1]


def largest_score(scores: Any) -> float:
    largest = float(scores[0])
    for j in range(1, scores.size):
        score = float(scores[j])
        largest = score if score > largest else largest
    return largest


def threshold(scores: Any, largest: float, scratch: Any) -> float:
    """τ - max(s), in [-1, 0), by Newton's method on Σ max(s - τ, 0) = 1 from below, which rises and ends exactly.

    Each step leaves out classes, and the excess of the sum times their number falls to a quarter or less: some 50 steps
    at most, whatever the width. Only classes less than 1 below the largest can be in the support.
    """
    # No step depends on a comparison by a branch: which classes are left is hard to foresee, and to mispredict it would
    # take longer than all of the arithmetic.
    count = 0
    for j in range(scores.size):
        score = float(scores[j]) - largest
        scratch[count] = score
        count += 1 if score > -1.0 else 0
    tau, before = -1.0, 0
    for _ in range(MOST_STEPS):
        total, lost, kept = 0.0, 0.0, 0
        for j in range(count):
            score = scratch[j]
            scratch[kept] = score
            kept += 1 if score > tau else 0
            term = score if score > tau else 0.0
            # The sum and what it loses by rounding, in whatever order of size they come (Knuth).
            new = total + term
            part = new - total
            lost += (total - (new - part)) + (term - part)
            total = new
        if kept == before:
            break
        tau = (total - 1.0 + lost) / kept
        count = before = kept
    return tau


def is_ahead(own: float, tau: float, largest: float) -> bool:
    """Whether a class has more than half, which is then what the others lack: the rest of it is not left as 1 - p."""
    return own - largest - tau > 0.5


def short_of(score: float, own: float) -> float:
    """What a class is short of being ahead of another one by 1, with what the difference loses by rounding (Knuth)."""
    apart = score - own
    taken = apart - score
    return (1.0 + apart) + ((score - (apart - taken)) - (own + taken))


def shortfall_of(scores: Any, label: int, tau: float, largest: float) -> float:
    """q = 1 - sparsemax(s)_y: what the other classes have, of which no digits are lost.

    With h = 1 + (s - s_y), `short_of`, it is the sum of h over the others in the support, divided by its size.
    """
    total, size, own = 0.0, 1.0, float(scores[label])
    if not is_ahead(own, tau, largest):
        return 1.0 - max(own - largest - tau, 0.0)
    for j in range(scores.size):
        score = float(scores[j])
        term, inside = short_of(score, own), (j != label) & (score - largest > tau)
        total += term if inside else 0.0
        size += 1.0 if inside else 0.0
    return total / size


@loss(
    scope=Scope.ROW,
    target_kind=TargetKind.INDEX,
    formula="1/2 Σ (s² - τ²) over the support + 1/2 - s_y",
    gradient_formula="sparsemax(s) - one_hot(y)",
    options=tuple(option for option in INDEX_OPTIONS if option != "kink"),
    aliases={"optax": ("multiclass_sparsemax_loss",)},
    presets=NO_PRESETS,
    source="Martins and Astudillo (2016), From softmax to sparsemax",
)
@row_function(scratch=scratch_of_a_row)
def sparsemax(row: int, prediction: Any, target: Any, scratch: Any) -> float:
    """The Fenchel-Young loss of sparsemax: 0 where the class y is ahead of all others by 1 or more.

    Half the sum of squares (1 - p_y)² + Σ p² over the other classes where y is in the support; that form keeps its
    digits near 0.
    """
    scores, label = prediction[row], target[row]
    largest = largest_score(scores)
    tau = threshold(scores, largest, scratch)
    own = float(scores[label])
    ahead, q = is_ahead(own, tau, largest), shortfall_of(scores, label, tau, largest)
    squares = 0.0
    for j in range(scores.size):
        score = float(scores[j])
        from_own, from_tau = short_of(score, own) - q, score - largest - tau
        inside, p = (j != label) & (from_tau > 0.0), from_own if ahead else from_tau
        p = p if inside else 0.0
        squares += p * p
    if own - largest > tau:
        return 0.5 * (q * q + squares)
    return 0.5 * squares + (tau + (largest - own)) + 0.5


@gradient_of(sparsemax)
def sparsemax_gradient(row: int, prediction: Any, target: Any, scale: float, scratch: Any, gradient: Any) -> None:
    scores, label = prediction[row], target[row]
    largest = largest_score(scores)
    tau = threshold(scores, largest, scratch)
    own = float(scores[label])
    ahead, q = is_ahead(own, tau, largest), shortfall_of(scores, label, tau, largest)
    for j in range(scores.size):
        score = float(scores[j])
        from_own, from_tau = short_of(score, own) - q, score - largest - tau
        slope = scale * (from_own if ahead else from_tau)
        gradient[row, j] = slope if from_tau > 0.0 else 0.0
    gradient[row, label] = scale * -q


def is_nearly_alone(tau: float) -> bool:
    """Whether one class has nearly all: what it lacks has lost digits as 1 - p, unless that is nothing."""
    return -1.0 < tau < NEARLY_ALONE


def shortfall_of_largest(scores: Any, tau: float, largest: float) -> float:
    """What the class with the largest score lacks to all."""
    best = 0
    for j in range(scores.size):
        best = j if float(scores[j]) == largest else best
    return shortfall_of(scores, best, tau, largest)


def share_less_target(score: float, y: float, largest: float, tau: float, q: float) -> float:
    """p - y of a class where one has nearly all: of that (1 - y) - q."""
    apart = (1.0 - y) - q if score == largest else (short_of(score, largest) - q) - y
    return apart if score - largest - tau > 0.0 else 0.0 - y


@variant_of("fenchel_young", "max_fun", "sparsemax", REAL)
@row_function(scratch=scratch_of_a_row)
def fenchel_young_of_sparsemax(row: int, prediction: Any, target: Any, scratch: Any) -> float:
    """1/2 + max over distributions p of (p·s - |p|²/2), less y·s; of a one-hot y it is `sparsemax`.

    As terms that are not negative where y sums to 1, Σ y (1 - y)/2 + |p - y|²/2 + Σ y (τ + p - s), and what y lacks to
    that times 1/2 + max(s) + τ.
    """
    scores, targets = prediction[row], target[row]
    largest = largest_score(scores)
    tau = threshold(scores, largest, scratch)
    distance, slack, spread, rest, lost = 0.0, 0.0, 0.0, 1.0, 0.0
    for j in range(scores.size):
        score, y = float(scores[j]) - largest, float(targets[j])
        p = score - tau if score > tau else 0.0
        distance += (p - y) * (p - y)
        # Half of it: the distance may be too large for a number where a share of it is not.
        slack += y * (0.5 * tau - (0.5 * float(scores[j]) - 0.5 * largest) if score <= tau else 0.0)
        spread += y * (1.0 - y)
        # 1 - Σ y, and what it loses by rounding (Knuth).
        new = rest - y
        part = new - rest
        lost += (rest - (new - part)) - (y + part)
        rest = new
    if is_nearly_alone(tau):
        q, distance = shortfall_of_largest(scores, tau, largest), 0.0
        for j in range(scores.size):
            apart = share_less_target(float(scores[j]), float(targets[j]), largest, tau, q)
            distance += apart * apart
    return 0.5 * spread + 0.5 * distance + 2.0 * slack + (0.5 + (largest + tau)) * (rest + lost)


@gradient_of(fenchel_young_of_sparsemax)
def fenchel_young_of_sparsemax_gradient(
    row: int, prediction: Any, target: Any, scale: float, scratch: Any, gradient: Any
) -> None:
    scores, targets = prediction[row], target[row]
    largest = largest_score(scores)
    tau = threshold(scores, largest, scratch)
    for j in range(scores.size):
        score = float(scores[j]) - largest
        p = score - tau if score > tau else 0.0
        gradient[row, j] = scale * (p - float(targets[j]))
    if is_nearly_alone(tau):
        q = shortfall_of_largest(scores, tau, largest)
        for j in range(scores.size):
            gradient[row, j] = scale * share_less_target(float(scores[j]), float(targets[j]), largest, tau, q)
