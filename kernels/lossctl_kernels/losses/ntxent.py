"""Contrastive cross-entropy over the cosines of all pairs of embeddings."""

from __future__ import annotations

import math
from typing import Annotated, Any

from ..domains import TargetKind
from ..spec import Parameter, Scope, degenerate_for, gradient_of, loss, row_function
from .pair_tiles import TILE, add_exponential, counts_of, log_of, meet, pull, scratch_of_pairs, sigmoid_of, softplus_of
from .parts import KERAS


def ntxent_shares(target: Any) -> Any:
    """How many positives each anchor has."""
    return counts_of(target, target) - 1


def norms(row: int, prediction: Any, scratch: Any, state: Any) -> None:
    """State: a power of two that brings the largest magnitude near 1, and the reciprocal of the norm after it; 0 of a
    zero vector."""
    largest = 0.0
    for d in range(prediction.shape[1]):
        largest = max(largest, abs(float(prediction[row, d])))
    state[row, 0], state[row, 1] = 1.0, 0.0
    if largest > 0.0:
        # Two steps: 2**-exponent of a subnormal number would be infinite.
        exponent = min(max(-math.frexp(largest)[1], -1000), 1000)
        state[row, 0] = math.ldexp(1.0, exponent)
        squares = 0.0
        for d in range(prediction.shape[1]):
            scaled = float(prediction[row, d]) * state[row, 0]
            squares += scaled * scaled
        state[row, 1] = 1.0 / math.sqrt(squares)


def load_units(prediction: Any, first: int, last: int, state: Any, anchors: Any) -> None:
    """The anchors at length 1, lanes side by side."""
    lanes = last - first
    for lane in range(lanes):
        scale, inverse = state[first + lane, 0], state[first + lane, 1]
        for d in range(prediction.shape[1]):
            anchors[d * lanes + lane] = float(prediction[first + lane, d]) * scale * inverse


def meet_units(
    anchors: Any, lanes: int, prediction: Any, state: Any, start: int, stop: int, factors: Any, logits: Any, t: float
) -> None:
    """The cosines of the anchors with the embeddings of a tile, over the temperature."""
    for j in range(start, stop):
        factors[j - start] = state[j, 0]
    meet(anchors, lanes, prediction, factors, start, stop, logits)
    for j in range(start, stop):
        inverse = state[j, 1] / t
        for at in range((j - start) * lanes, (j - start + 1) * lanes):
            logits[at] *= inverse


def ntxent_sums(
    first: int, last: int, prediction: Any, target: Any, scratch: Any, state: Any, temperature: float
) -> None:
    """State: the logarithm of the sum over negatives, then the loss and its slope by that, summed over positives."""
    lanes, width, count = last - first, prediction.shape[1], prediction.shape[0]
    anchors, logits = scratch[: lanes * width], scratch[lanes * width : lanes * (width + TILE)]
    sums, factors = scratch[lanes * (width + TILE) : lanes * (width + TILE + 2)], scratch[scratch.size - TILE :]
    load_units(prediction, first, last, state, anchors)
    for lane in range(lanes):
        sums[2 * lane], sums[2 * lane + 1] = -math.inf, 0.0
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        meet_units(anchors, lanes, prediction, state, start, stop, factors, logits, temperature)
        for j in range(start, stop):
            for lane in range(lanes):
                if target[first + lane] != target[j]:
                    add_exponential(sums, 2 * lane, logits[(j - start) * lanes + lane])
    for lane in range(lanes):
        state[first + lane, 2] = log_of(sums, 2 * lane)
        state[first + lane, 3], state[first + lane, 4] = 0.0, 0.0
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        if not has_positive(target, first, last, start, stop):
            continue
        meet_units(anchors, lanes, prediction, state, start, stop, factors, logits, temperature)
        for j in range(start, stop):
            for lane in range(lanes):
                row = first + lane
                if target[row] == target[j] and row != j:
                    behind = state[row, 2] - logits[(j - start) * lanes + lane]
                    state[row, 3] += softplus_of(behind)
                    state[row, 4] += sigmoid_of(behind)


def has_positive(target: Any, first: int, last: int, start: int, stop: int) -> bool:
    """Whether any anchor has a positive in a tile."""
    for row in range(first, last):
        for j in range(start, stop):
            if target[row] == target[j] and row != j:
                return True
    return False


@loss(
    scope=Scope.PAIRS,
    target_kind=TargetKind.GROUP,
    formula="mean over positive pairs (i, j) of ln(1 + Σ_Q exp(cos_ik / τ) / exp(cos_ij / τ)), Q the negatives of i",
    gradient_formula="-σ(.) / τ by the cosine of a positive pair, Σ σ(.) softmax_Q / τ by that of a negative one",
    unit="nat",
    options=("log_base", "denom", "empty", "grad_scale", "preset"),
    aliases={"optax": ("ntxent",), "other": ("infonce", "simclr")},
    presets={"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}},
    source="Chen et al. (2020), A simple framework for contrastive learning of visual representations",
)
@row_function(scratch=scratch_of_pairs, states=(norms, ntxent_sums), state_columns=5, shares=ntxent_shares)
def ntxent(
    row: int,
    state: Any,
    scratch: Any,
    temperature: Annotated[float, Parameter("divides the cosines", above=0.0)] = 0.07,
) -> float:
    """Normalised temperature-scaled cross-entropy: of each anchor the sum over its positives, of all the mean by pairs.

    Rows of one label are positives of each other, all other rows are negatives; other positives are not in the
    denominator. Embeddings of any length are brought to length 1; a zero vector has cosine 0 with all others. It needs
    memory for the embeddings and for five numbers a row.
    """
    return float(state[row, 3])


@gradient_of(ntxent)
def ntxent_gradient(
    first: int,
    last: int,
    prediction: Any,
    target: Any,
    state: Any,
    scales: Any,
    scratch: Any,
    gradient: Any,
    temperature: float,
) -> None:
    """By the unit vectors, each anchor and reference, and from there through the normalisation."""
    lanes, width, count = last - first, prediction.shape[1], prediction.shape[0]
    anchors, logits = scratch[: lanes * width], scratch[lanes * width : lanes * (width + TILE)]
    slopes, factors = scratch[lanes * (width + TILE) : lanes * (2 * width + TILE)], scratch[scratch.size - TILE :]
    load_units(prediction, first, last, state, anchors)
    slopes[: lanes * width] = 0.0
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        meet_units(anchors, lanes, prediction, state, start, stop, factors, logits, temperature)
        for j in range(start, stop):
            for lane in range(lanes):
                row, at = first + lane, (j - start) * lanes + lane
                logit, positive = logits[at], target[row] == target[j]
                slope = 0.0
                if row != j:
                    slope = scales[row] * ntxent_slope(state, row, positive, logit)
                    slope += scales[j] * ntxent_slope(state, j, positive, logit)
                logits[at] = slope * state[j, 1] / temperature
        pull(slopes, lanes, prediction, factors, start, stop, logits)
    for lane in range(lanes):
        along, length = 0.0, state[first + lane, 0] * state[first + lane, 1]
        for d in range(width):
            along += slopes[d * lanes + lane] * anchors[d * lanes + lane]
        for d in range(width):
            gradient[first + lane, d] = (slopes[d * lanes + lane] - along * anchors[d * lanes + lane]) * length


def ntxent_slope(state: Any, anchor: int, positive: bool, logit: float) -> float:
    """Of the loss of an anchor by the logit of one of its pairs."""
    if positive:
        return -sigmoid_of(state[anchor, 2] - logit)
    return state[anchor, 4] * math.exp(logit - state[anchor, 2]) if state[anchor, 4] > 0.0 else 0.0


@degenerate_for(ntxent)
def is_zero_vector(row: int, prediction: Any, scratch: Any) -> float:
    for d in range(prediction.shape[1]):
        if float(prediction[row, d]) != 0.0:
            return 0.0
    return 1.0
