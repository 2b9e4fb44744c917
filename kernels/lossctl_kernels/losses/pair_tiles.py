"""All pairs of embeddings, met tile by tile: what losses of pairs share.

No array of all pairs is made. A few anchors at a time meet the references tile by tile; what is kept of each anchor is
the logarithm of a sum of exponentials, and the gradient is a second pass with those.
"""

import math
from typing import Any

import numpy as np

TILE = 32
"""References that the anchors meet at once."""


def scratch_of_pairs(prediction: tuple[int, ...], lanes: int) -> int:
    """Anchors, slopes, three numbers for each pair of a tile, the factors of its references, four sums a lane."""
    return lanes * (2 * prediction[1] + 3 * TILE + 4) + TILE


def tiles_of(scratch: Any, lanes: int, width: int) -> tuple[Any, Any, Any, Any, Any]:
    """Room for anchors and slopes, [dimension, lane] each, tiles of pairs, [reference, lane], sums and factors."""
    slopes, pairs = lanes * width, 2 * lanes * width
    sums = pairs + 3 * lanes * TILE
    factors = sums + 4 * lanes
    return scratch[:slopes], scratch[slopes:pairs], scratch[pairs:sums], scratch[sums:factors], scratch[factors:]


def nothing_added(largest: Any, totals: Any) -> None:
    """Sums of exponentials as `add_exponentials` holds them, of none yet."""
    for lane in range(largest.size):
        largest[lane], totals[lane] = -math.inf, 0.0


def add_exponential(largest: Any, totals: Any, lane: int, x: float) -> None:
    """Adds exp(x) to one such sum."""
    most = largest[lane]
    if x > most:
        totals[lane] = totals[lane] * math.exp(most - x) + 1.0
        largest[lane] = x
    else:
        totals[lane] += math.exp(x - most)


def log_of(largest: float, total: float) -> float:
    """The logarithm of such a sum; minus infinity for one of nothing."""
    return largest + math.log(total) if total > 0.0 else -math.inf


def softplus_of(x: float) -> float:
    return x + math.log1p(math.exp(-x)) if x > 0.0 else math.log1p(math.exp(x))


def sigmoid_of(x: float) -> float:
    if x > 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    power = math.exp(x)
    return power / (1.0 + power)


def counts_of(labels: Any, references: Any) -> Any:
    """How many references have each label."""
    known, count = np.unique(references, return_counts=True)
    at = np.minimum(np.searchsorted(known, labels), len(known) - 1)
    return np.where(known[at] == labels, count[at], 0)


def load(prediction: Any, first: int, last: int, anchors: Any) -> None:
    """The anchors, lanes side by side."""
    lanes = last - first
    for lane in range(lanes):
        for d in range(prediction.shape[1]):
            anchors[d * lanes + lane] = float(prediction[first + lane, d])


def store(slopes: Any, first: int, last: int, gradient: Any) -> None:
    lanes = last - first
    for lane in range(lanes):
        for d in range(gradient.shape[1]):
            gradient[first + lane, d] = slopes[d * lanes + lane]
