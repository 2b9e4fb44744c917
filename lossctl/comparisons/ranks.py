"""The signed-rank test, the correction for several comparisons, and letters that tell which systems differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXACT_UP_TO = 50
"""Differences: of more, the normal approximation has more digits than anyone reads."""


def wilcoxon_p(differences: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; differences of 0 are left out.

    Exact for up to 50 different sizes, else by the normal approximation, corrected for ties.
    """
    differences = differences[differences != 0.0]
    count = differences.size
    if not count:
        return 1.0
    sizes = np.abs(differences)
    order = np.argsort(sizes)
    in_order = sizes[order]
    first = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
    ties = np.diff(first, append=count)
    rank = np.repeat(first + (ties + 1) / 2.0, ties)  # the mean of the places that equal sizes share
    positive = float(rank[differences[order] > 0.0].sum())
    if count <= EXACT_UP_TO and ties.size == count:
        return _exact(int(positive), count)
    variance = count * (count + 1) * (2 * count + 1) / 24.0 - float((ties.astype(np.float64) ** 3 - ties).sum()) / 48.0
    deviation = abs(positive - count * (count + 1) / 4.0) / math.sqrt(variance)
    return math.erfc(deviation / math.sqrt(2.0))


def _exact(positive: int, count: int) -> float:
    """Of the sum of the ranks 1 to `count` with random signs: every sum is counted."""
    ways = [1] + [0] * (count * (count + 1) // 2)
    for rank in range(1, count + 1):
        for total in range(len(ways) - 1, rank - 1, -1):
            ways[total] += ways[total - rank]
    tail = sum(ways[: min(positive, len(ways) - 1 - positive) + 1])
    return min(1.0, 2 * tail / (1 << count))


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for how many there are (Holm 1979), in their order."""
    found, largest = [0.0] * len(values), 0.0
    for done, position in enumerate(sorted(range(len(values)), key=lambda position: values[position])):
        largest = max(largest, min(1.0, (len(values) - done) * values[position]))
        found[position] = largest
    return found


def ranks(values: Sequence[float]) -> list[int]:
    """1 for the smallest; equal values share a rank."""
    return [1 + sum(other < value for other in values) for value in values]


def letters(order: Sequence[int], different: Collection[tuple[int, int]]) -> dict[int, str]:
    """The letters of each system: two that share one are not told apart (Piepho 2004, insert and absorb).

    `order` are the systems from the best on, which gets "a"; `different` are the pairs that are told apart.
    """
    groups = [frozenset(order)]
    for first, second in different:
        split: list[frozenset[int]] = []
        for group in groups:
            split += [group - {first}, group - {second}] if {first, second} <= group else [group]
        split = list(dict.fromkeys(split))
        groups = [group for group in split if not any(group < other for other in split)]
    place = {system: position for position, system in enumerate(order)}
    groups.sort(key=lambda group: sorted(place[system] for system in group))
    return {
        system: "".join(_letter(number) for number, group in enumerate(groups) if system in group) for system in order
    }


def _letter(number: int) -> str:
    """a to z, then a1, b1 and so on."""
    turn, letter = divmod(number, 26)
    return chr(ord("a") + letter) + (str(turn) if turn else "")
