"""Passes over an array that row functions leave to the compiler: on processors they are vector code.

A loop that calls the C library for each number, or adds to one number in order, stays as slow as it looks. These are
written as they are meant by `row_vector_code.py`; elsewhere they run as they stand here. Sums are the same to rounding.
"""

from __future__ import annotations

import math
from typing import Any


def largest_of(values: Any) -> float:
    """The largest of one number or more."""
    largest = float(values[0])
    for k in range(1, values.size):
        value = float(values[k])
        largest = value if value > largest else largest
    return largest


def exponentials(values: Any, largest: float, factor: float, found: Any) -> None:
    """found[k] = factor e**(values[k] - largest), with exponents of at most 709; both may be one array."""
    for k in range(values.size):
        found[k] = factor * math.exp(float(values[k]) - largest)


def sum_of_others(values: Any, largest: float) -> float:
    """The sum of e**(values[k] - largest), less 1: that of the largest itself, so that small sums keep their digits."""
    total, as_large = 0.0, -1.0
    for k in range(values.size):
        x = float(values[k]) - largest
        if x == 0.0:
            as_large += 1.0
        else:
            total += math.exp(x)
    return total + as_large


# ---- tiles of pairs: [dimension, lane] of anchors and [reference, lane] of pairs, lanes side by side


def meet(anchors: Any, lanes: int, references: Any, factors: Any, start: int, stop: int, similarities: Any) -> None:
    """Scalar products of the anchors with the references from `start` to `stop`, each times its factor."""
    for j in range(start, stop):
        for lane in range(lanes):
            product = 0.0
            for d in range(references.shape[1]):
                product += float(references[j, d]) * factors[j - start] * anchors[d * lanes + lane]
            similarities[(j - start) * lanes + lane] = product


def pull(slopes: Any, lanes: int, references: Any, factors: Any, start: int, stop: int, pairs: Any) -> None:
    """Adds to the slope of each anchor the references, each times its factor and the slope of its pair."""
    for d in range(references.shape[1]):
        for lane in range(lanes):
            slope = slopes[d * lanes + lane]
            for j in range(start, stop):
                slope += float(references[j, d]) * factors[j - start] * pairs[(j - start) * lanes + lane]
            slopes[d * lanes + lane] = slope


def add_exponentials(pairs: Any, lanes: int, references: int, largest: Any, totals: Any) -> None:
    """Adds e**x of each pair to the sum of its lane, which is held as its largest exponent and a total over that."""
    for lane in range(lanes):
        most = largest[lane]
        for j in range(references):
            most = max(most, pairs[j * lanes + lane])
        if most > -math.inf:
            total = totals[lane] * math.exp(largest[lane] - most)
            for j in range(references):
                total += math.exp(pairs[j * lanes + lane] - most)
            largest[lane], totals[lane] = most, total
