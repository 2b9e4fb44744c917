"""Circle loss of embeddings: positives of an anchor should lie near, negatives far, each pulled by what it lacks."""

import math
from typing import Annotated, Any

from ..domains import TargetKind
from ..facts import Input, InputShape
from ..row_vectors import add_exponentials, exponentials, meet, pull
from ..spec import Parameter, Scope, degenerate_for, gradient_of, loss, row_function
from .pair_tiles import (
    TILE,
    add_exponential,
    counts_of,
    load,
    log_of,
    nothing_added,
    scratch_of_pairs,
    sigmoid_of,
    softplus_of,
    store,
    tiles_of,
)

UNIT_TOLERANCE = 1e-3
"""How far the square of the length may be from 1."""


def circle_shares(target: Any, reference_labels: Any, remove_diagonal: float) -> Any:
    """1 for each anchor that has a positive and a negative reference, 0 for the others: their loss is 0."""
    alike = counts_of(target, reference_labels)
    positives = alike.copy()
    if remove_diagonal:
        both = min(len(target), len(reference_labels))
        positives[:both] -= target[:both] == reference_labels[:both]
    return (positives > 0) & (alike < len(reference_labels))


def distance_of(similarity: float) -> float:
    """1 - cosine, held at 0 where rounding makes the cosine exceed 1."""
    return 0.0 if similarity > 1.0 else 1.0 - similarity


def circle_exponent(distance: float, positive: bool, gamma: float, margin: float) -> float:
    if positive:
        return gamma * (distance + margin) * (distance - margin)
    weight = 1.0 + margin - distance
    return gamma * (weight if weight > 0.0 else 0.0) * (1.0 - margin - distance)


def circle_slope(similarity: float, positive: bool, gamma: float, margin: float, detach_weights: float) -> float:
    """Of the exponent, by the similarity."""
    distance = distance_of(similarity)
    weight = margin + distance if positive else 1.0 + margin - distance
    if similarity > 1.0 or weight <= 0.0:
        return 0.0
    if detach_weights != 0.0:
        return -gamma * weight if positive else gamma * weight
    return -2.0 * gamma * distance if positive else 2.0 * gamma * (1.0 - distance)


def circle_sums(
    first: int,
    last: int,
    prediction: Any,
    target: Any,
    reference: Any,
    reference_labels: Any,
    scratch: Any,
    state: Any,
    gamma: float,
    margin: float,
    remove_diagonal: float,
) -> None:
    """State: the logarithms of the sums over positives and negatives, and the slope of the loss by either."""
    lanes, count = last - first, reference.shape[0]
    anchors, _, pairs, sums, factors = tiles_of(scratch, lanes, prediction.shape[1])
    alike, alike_totals, unlike, unlike_totals = sums[:lanes], sums[lanes:], sums[2 * lanes :], sums[3 * lanes :]
    load(prediction, first, last, anchors)
    factors[:TILE] = 1.0
    nothing_added(alike[:lanes], alike_totals)
    nothing_added(unlike[:lanes], unlike_totals)
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        meet(anchors, lanes, reference, factors, start, stop, pairs)
        for j in range(start, stop):
            for lane in range(lanes):
                at = (j - start) * lanes + lane
                distance, positive = distance_of(pairs[at]), target[first + lane] == reference_labels[j]
                if not positive:
                    pairs[at] = circle_exponent(distance, False, gamma, margin)
                    continue
                pairs[at] = -math.inf
                if not (remove_diagonal != 0.0 and j == first + lane):
                    add_exponential(alike, alike_totals, lane, circle_exponent(distance, True, gamma, margin))
        add_exponentials(pairs, lanes, stop - start, unlike, unlike_totals)
    for lane in range(lanes):
        row = first + lane
        state[row, 0] = log_of(alike[lane], alike_totals[lane])
        state[row, 1] = log_of(unlike[lane], unlike_totals[lane])
        state[row, 2] = sigmoid_of(state[row, 0] + state[row, 1])


@loss(
    scope=Scope.PAIRS,
    target_kind=TargetKind.GROUP,
    inputs={
        "reference": Input("embeddings that the anchors are compared with", InputShape.WHOLE, optional=True),
        "reference_labels": Input("their labels", InputShape.WHOLE, optional=True, integer=True),
    },
    formula="ln(1 + Σ_P exp(γ(d² - m²)) Σ_Q exp(γ max(1 + m - d, 0) (1 - m - d))), d = 1 - cos",
    gradient_formula="σ(.) times the shares of each pair in its sum times 2γd of positives and -2γ(1 - d) of negatives",
    options=("denom", "empty", "grad_scale", "preset"),
    aliases={"keras": ("Circle",)},
    presets={"keras": {"denom": "nonzero", "empty": "zero"}, "torch": {}, "optax": {}, "sklearn": {}},
    source="Sun et al. (2020), Circle loss: a unified perspective of pair similarity optimization",
)
@row_function(
    scratch=scratch_of_pairs,
    states=(circle_sums,),
    state_columns=3,
    shares=circle_shares,
    instead={"reference": "prediction", "reference_labels": "target"},
)
def circle(
    row: int,
    state: Any,
    scratch: Any,
    gamma: Annotated[float, Parameter("scale of the similarities", above=0.0)] = 80.0,
    margin: Annotated[float, Parameter("relaxation of both circles", at_least=0.0, at_most=1.0)] = 0.4,
    remove_diagonal: Annotated[
        float, Parameter("whether row i of the references is no positive of anchor i", words=("false", "true"))
    ] = 1.0,
    detach_weights: Annotated[
        float, Parameter("whether the gradient takes the weights of the pairs as constants", words=("false", "true"))
    ] = 0.0,
) -> float:
    """Circle loss of each anchor with all positives P (of its label) and all negatives Q (of others).

    Embeddings are vectors of length 1: they are compared as they are, and those of another length are counted. Without
    a `reference` set the embeddings themselves are the references. An anchor without a positive or without a negative
    has loss 0 and is left out of the mean. It needs memory for the embeddings and for three numbers a row. The distance
    1 - cosine of embeddings that are nearly the same is right to about 1e-16, and so is what such a pair is pulled by.
    """
    return softplus_of(state[row, 0] + state[row, 1])


@gradient_of(circle)
def circle_gradient(
    first: int,
    last: int,
    prediction: Any,
    target: Any,
    reference: Any,
    reference_labels: Any,
    state: Any,
    scales: Any,
    scratch: Any,
    gradient: Any,
    gamma: float,
    margin: float,
    remove_diagonal: float,
    detach_weights: float,
    reference_given: float,
) -> None:
    """An anchor is pulled as the one of its own pairs, and as a reference of others, of which it then is one."""
    lanes, count = last - first, reference.shape[0]
    anchors, slopes, pairs, _, factors = tiles_of(scratch, lanes, prediction.shape[1])
    size = lanes * TILE
    similarities, own, others = pairs[:size], pairs[size : 2 * size], pairs[2 * size :]
    load(prediction, first, last, anchors)
    factors[:TILE] = 1.0
    slopes[:] = 0.0
    for start in range(0, count, TILE):
        stop = min(start + TILE, count)
        met = (stop - start) * lanes
        meet(anchors, lanes, reference, factors, start, stop, similarities)
        for j in range(start, stop):
            for lane in range(lanes):
                row, at = first + lane, (j - start) * lanes + lane
                positive = target[row] == reference_labels[j]
                own[at], others[at] = -math.inf, -math.inf
                if not (positive and remove_diagonal != 0.0 and j == row):
                    x = circle_exponent(distance_of(similarities[at]), positive, gamma, margin)
                    own[at] = behind(state, row, positive, x)
                    if reference_given == 0.0:
                        others[at] = behind(state, j, positive, x)
        exponentials(own[:met], 0.0, 1.0, own)
        exponentials(others[:met], 0.0, 1.0, others)
        for j in range(start, stop):
            for lane in range(lanes):
                row, at = first + lane, (j - start) * lanes + lane
                share = scales[row] * state[row, 2] * own[at]
                if reference_given == 0.0:
                    share += scales[j] * state[j, 2] * others[at]
                positive = target[row] == reference_labels[j]
                similarities[at] = share * circle_slope(similarities[at], positive, gamma, margin, detach_weights)
        pull(slopes, lanes, reference, factors, start, stop, similarities)
    store(slopes, first, last, gradient)


def behind(state: Any, anchor: int, positive: bool, x: float) -> float:
    """The exponent of one of the pairs of an anchor, less the logarithm of the sum that it is in."""
    return x - (state[anchor, 0] if positive else state[anchor, 1]) if state[anchor, 2] > 0.0 else -math.inf


@degenerate_for(circle, "a vector that is not of length 1")
def is_no_unit_vector(row: int, prediction: Any, scratch: Any) -> float:
    squares = 0.0
    for d in range(prediction.shape[1]):
        squares += float(prediction[row, d]) * float(prediction[row, d])
    return 0.0 if abs(squares - 1.0) <= UNIT_TOLERANCE else 1.0
