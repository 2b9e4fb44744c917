"""Contrastive cross-entropy over the cosines of all pairs of embeddings."""

import math
from typing import Annotated, Any

from ..domains import TargetKind
from ..row_vectors import add_exponentials, exponentials, meet, pull
from ..spec import Parameter, Scope, degenerate_for, gradient_of, loss, row_function
from .pair_tiles import (
    TILE,
    counts_of,
    log_of,
    nothing_added,
    scratch_of_pairs,
    sigmoid_of,
    softplus_of,
    tiles_of,
)
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
    lanes, count = last - first, prediction.shape[0]
    anchors, _, logits, sums, factors = tiles_of(scratch, lanes, prediction.shape[1])
    largest, totals = sums[:lanes], sums[lanes:]
    load_units(prediction, first, last, state, anchors)
    nothing_added(largest, totals)
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        meet_units(anchors, lanes, prediction, state, start, stop, factors, logits, temperature)
        for j in range(start, stop):
            for lane in range(lanes):
                if target[first + lane] == target[j]:
                    logits[(j - start) * lanes + lane] = -math.inf
        add_exponentials(logits, lanes, stop - start, largest, totals)
    for lane in range(lanes):
        state[first + lane, 2] = log_of(largest[lane], totals[lane])
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
    memory for the embeddings and for five numbers a row. Cosines are right to about 1e-16, exponents to that over the
    temperature: below 1e-3 the digits become fewer.
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
    anchors, slopes, pairs, _, factors = tiles_of(scratch, lanes, width)
    size = lanes * TILE
    logits, own, others = pairs[:size], pairs[size : 2 * size], pairs[2 * size :]
    load_units(prediction, first, last, state, anchors)
    slopes[:] = 0.0
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        met = (stop - start) * lanes
        meet_units(anchors, lanes, prediction, state, start, stop, factors, logits, temperature)
        for j in range(start, stop):
            for lane in range(lanes):
                row, at = first + lane, (j - start) * lanes + lane
                negative = target[row] != target[j]
                own[at] = logits[at] - state[row, 2] if negative else -math.inf
                others[at] = logits[at] - state[j, 2] if negative else -math.inf
        exponentials(own[:met], 0.0, 1.0, own)
        exponentials(others[:met], 0.0, 1.0, others)
        for j in range(start, stop):
            for lane in range(lanes):
                row, at = first + lane, (j - start) * lanes + lane
                slope = scales[row] * state[row, 4] * own[at] + scales[j] * state[j, 4] * others[at]
                if target[row] == target[j] and row != j:
                    slope = -scales[row] * sigmoid_of(state[row, 2] - logits[at])
                    slope -= scales[j] * sigmoid_of(state[j, 2] - logits[at])
                logits[at] = slope * state[j, 1] / temperature
        pull(slopes, lanes, prediction, factors, start, stop, logits)
    for lane in range(lanes):
        along, scale, inverse = 0.0, state[first + lane, 0], state[first + lane, 1]
        for d in range(width):
            along += slopes[d * lanes + lane] * anchors[d * lanes + lane]
        for d in range(width):
            across = slopes[d * lanes + lane] - along * anchors[d * lanes + lane]
            # In two steps: of a subnormal vector the product is infinite, and of a slope of 0 that would be no number.
            gradient[first + lane, d] = across * inverse * scale


@degenerate_for(ntxent)
def is_zero_vector(row: int, prediction: Any, scratch: Any) -> float:
    for d in range(prediction.shape[1]):
        if float(prediction[row, d]) != 0.0:
            return 0.0
    return 1.0
