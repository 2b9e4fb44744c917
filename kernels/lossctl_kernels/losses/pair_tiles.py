"""All pairs of embeddings, met tile by tile: what losses of pairs share.

No array of all pairs is made. A few anchors at a time meet the references tile by tile; what is kept of each anchor is
the logarithm of a sum of exponentials, and the gradient is a second pass with those.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

TILE = 32
"""References that the anchors meet at once."""


# ---- tiles: [dimension, lane] of anchors and [reference, lane] of pairs, lanes side by side


def scratch_of_pairs(prediction: tuple[int, ...], lanes: int) -> int:
    """Anchors, slopes, similarities of a tile, the factors of its references, and two sums for each lane."""
    return lanes * (2 * prediction[1] + TILE + 4) + TILE


def meet(anchors: Any, lanes: int, references: Any, factors: Any, start: int, stop: int, similarities: Any) -> None:
    """Scalar products of the anchors with the references of a tile, each times its factor."""
    width = references.shape[1]
    whole = width - width % 4
    for j in range(start, stop):
        reference, factor = references[j], factors[j - start]
        at = (j - start) * lanes
        products = similarities[at : at + lanes]
        for lane in range(lanes):
            products[lane] = 0.0
        for d in range(0, whole, 4):
            # Four at once, so that the sums are read and written a quarter as often.
            r0, r1 = float(reference[d]) * factor, float(reference[d + 1]) * factor
            r2, r3 = float(reference[d + 2]) * factor, float(reference[d + 3]) * factor
            a0, a1 = anchors[d * lanes : (d + 1) * lanes], anchors[(d + 1) * lanes : (d + 2) * lanes]
            a2, a3 = anchors[(d + 2) * lanes : (d + 3) * lanes], anchors[(d + 3) * lanes : (d + 4) * lanes]
            for lane in range(lanes):
                products[lane] += (r0 * a0[lane] + r1 * a1[lane]) + (r2 * a2[lane] + r3 * a3[lane])
        for d in range(whole, width):
            r0 = float(reference[d]) * factor
            a0 = anchors[d * lanes : (d + 1) * lanes]
            for lane in range(lanes):
                products[lane] += r0 * a0[lane]


def pull(slopes: Any, lanes: int, references: Any, factors: Any, start: int, stop: int, pairs: Any) -> None:
    """Adds to the slope of each anchor the references of a tile, each times the slope of its pair."""
    whole = stop - (stop - start) % 4
    for j in range(start, whole, 4):
        at = (j - start) * lanes
        c0, c1 = pairs[at : at + lanes], pairs[at + lanes : at + 2 * lanes]
        c2, c3 = pairs[at + 2 * lanes : at + 3 * lanes], pairs[at + 3 * lanes : at + 4 * lanes]
        f0, f1, f2, f3 = factors[j - start], factors[j - start + 1], factors[j - start + 2], factors[j - start + 3]
        for d in range(references.shape[1]):
            r0, r1 = float(references[j, d]) * f0, float(references[j + 1, d]) * f1
            r2, r3 = float(references[j + 2, d]) * f2, float(references[j + 3, d]) * f3
            sums = slopes[d * lanes : (d + 1) * lanes]
            for lane in range(lanes):
                sums[lane] += (r0 * c0[lane] + r1 * c1[lane]) + (r2 * c2[lane] + r3 * c3[lane])
    for j in range(whole, stop):
        at = (j - start) * lanes
        c0 = pairs[at : at + lanes]
        for d in range(references.shape[1]):
            r0 = float(references[j, d]) * factors[j - start]
            sums = slopes[d * lanes : (d + 1) * lanes]
            for lane in range(lanes):
                sums[lane] += r0 * c0[lane]


def add_exponential(sums: Any, at: int, x: float) -> None:
    """Adds exp(x) to a sum that is held as (largest exponent, sum relative to that)."""
    largest = sums[at]
    if x > largest:
        sums[at + 1] = sums[at + 1] * math.exp(largest - x) + 1.0
        sums[at] = x
    else:
        sums[at + 1] += math.exp(x - largest)


def log_of(sums: Any, at: int) -> float:
    """The logarithm of such a sum; minus infinity for one of nothing."""
    return sums[at] + math.log(sums[at + 1]) if sums[at + 1] > 0.0 else -math.inf


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
