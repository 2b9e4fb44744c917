"""Softmax as sigmoid: the log-odds of a class against all the others take the place of its logit.

The sigmoid of the log-odds u of a class is its softmax, and that of -u what all the others share, so a definition
written for sigmoid keeps the digits of probabilities near 0 and near 1 alike.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Values worked on at a time: what is made of them stays in a core's cache.
_PIECE = 1 << 14


def log_odds(logits: Floats) -> Floats:
    """u = z - ln(Σ exp z of the other classes), shape (classes, places); of a single class u = z.

    At places where no class is possible, or a logit is NaN or infinity, it is NaN. It is held at the largest float64.
    """

    def of(piece: Floats) -> Floats:
        relative = piece - piece.max(axis=0)
        odds = relative - np.log(_sums_of_others(np.exp(relative)))
        return np.asarray(np.minimum(odds, np.finfo(np.float64).max))

    return logits if len(logits) == 1 else _by_pieces(of, logits)


def logit_gradient(gradient: Floats, odds: Floats) -> Floats:
    """The gradient with respect to the logits, given that with respect to their log-odds; all (classes, places).

    With p the sigmoid of the log-odds, du_k/dz_k = 1 and du_c/dz_k = -p_k / (1 - p_c).
    """

    def of(piece: Floats, at: Floats) -> Floats:
        # The smaller of p and 1 - p from its own exponential: neither is one minus the other.
        power = np.exp(-np.abs(at))
        larger = 1.0 / (1.0 + power)
        smaller = power * larger
        share, rest = np.where(at < 0.0, smaller, larger), np.where(at < 0.0, larger, smaller)
        # Where the others have no share of a class, none of them changes it.
        shares = np.divide(piece, rest, out=np.zeros_like(piece), where=rest > 0.0)
        return np.asarray(piece - share * _sums_of_others(shares))

    return gradient if len(odds) == 1 else _by_pieces(of, gradient, odds)


def _by_pieces(function: Callable[..., Floats], *arrays: Floats) -> Floats:
    """A function of places, a few places at a time."""
    result = np.empty_like(arrays[0], order="C")
    places = max(1, _PIECE // len(result))
    with np.errstate(all="ignore"):
        for start in range(0, result.shape[1], places):
            part = slice(start, start + places)
            result[:, part] = function(*(array[:, part] for array in arrays))
    return result


def _sums_of_others(values: Floats) -> Floats:
    """For each class the sum over all the others, from both ends, so that nothing is added that is taken away again."""
    sums = np.zeros_like(values)
    for order in (range(len(values)), reversed(range(len(values)))):
        so_far = np.zeros_like(values[0])
        for at in order:
            sums[at] += so_far
            so_far += values[at]
    return sums
