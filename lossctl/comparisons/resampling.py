"""Paired bootstrap and paired permutation (sign flips) of quotients of sums over groups of rows.

A value is a quotient N / D of two sums over rows: weighted losses and what the mean divides by. Random numbers are the
raw output of PCG64, whose bits are the same in every version of NumPy, on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BATCH = 16
"""Resamples that are drawn together: their counts stay in the cache."""

_BOOTSTRAP, _PERMUTATION = 1, 2

# Sums of the same numbers in another order are equal, though rounding parts them.
_SAME = 1.0 - 1e-12


def bootstrap(sums: Floats, resamples: int, seed: int) -> Floats:
    """Sums of groups that are drawn with replacement: (columns, groups) to (columns, resamples)."""
    columns, groups = sums.shape
    found = np.empty((resamples, columns))
    generator = _generator(seed, _BOOTSTRAP)
    for start in range(0, resamples, BATCH):
        counts = np.empty((min(BATCH, resamples - start), groups))
        for row in counts:
            raw = generator.random_raw(-(-groups // 2)).view(np.uint32)[:groups].astype(np.uint64)
            drawn = (raw * np.uint64(groups)) >> np.uint64(32)
            row[:] = np.bincount(drawn.view(np.int64), minlength=groups)
        found[start : start + len(counts)] = counts @ sums.T
    return found.T


def sign_flips(differences: Floats, resamples: int, seed: int) -> tuple[Floats, bool]:
    """Sums over the groups whose two systems change places, (columns, resamples), and whether these are all there are.

    `differences` has shape (columns, groups). Every way to change places is taken once where there are no more of
    them than `resamples`, else so many are drawn.
    """
    columns, groups = differences.shape
    if groups < 63 and 1 << groups <= resamples:
        patterns = (np.arange(1 << groups)[:, None] >> np.arange(groups)) & 1
        return (patterns.astype(np.float64) @ differences.T).T, True
    found = np.empty((resamples, columns))
    generator = _generator(seed, _PERMUTATION)
    words = -(-groups // 64)
    for start in range(0, resamples, BATCH):
        count = min(BATCH, resamples - start)
        raw = generator.random_raw(count * words).astype("<u8").reshape(count, words)
        flips = np.unpackbits(raw.view(np.uint8), axis=1, count=groups, bitorder="little")
        found[start : start + count] = flips.astype(np.float64) @ differences.T
    return found.T, False


def _generator(seed: int, purpose: int) -> np.random.PCG64:
    return np.random.PCG64(np.random.SeedSequence([seed, purpose]))


# ---- from resampled differences to what is said of one


def permutation_p(found: float, drawn: Floats, all_of_them: bool) -> float:
    """How often a difference is as large as the one found, on either side, where the systems are exchangeable."""
    extreme = int(np.count_nonzero(np.abs(drawn) >= abs(found) * _SAME))
    return extreme / len(drawn) if all_of_them else (1 + extreme) / (1 + len(drawn))


def bootstrap_p(found: float, drawn: Floats) -> float:
    """How often a resampled difference is as far from the one found as that is from 0."""
    drawn = drawn[np.isfinite(drawn)]
    return (1 + int(np.count_nonzero(np.abs(drawn - found) >= abs(found) * _SAME))) / (1 + len(drawn))


def margin_p(found: float, drawn: Floats, margin: float) -> tuple[float, float]:
    """One-sided p-values that the difference is above -margin, and that it is below +margin.

    The second is that of non-inferiority, the larger of both that of equivalence (two one-sided tests).
    """
    noise = drawn[np.isfinite(drawn)] - found
    above = (1 + int(np.count_nonzero(noise >= found + margin))) / (1 + len(noise))
    below = (1 + int(np.count_nonzero(noise <= found - margin))) / (1 + len(noise))
    return above, below


@dataclass(frozen=True)
class ConfidenceInterval:
    """Of a difference."""

    low: float
    high: float


def interval(found: float, drawn: Floats, left_out: Floats, confidence: float) -> ConfidenceInterval:
    """The bias-corrected and accelerated bootstrap interval (Efron 1987).

    `drawn` are resampled differences, and `left_out` those without one group each (the jackknife).
    """
    drawn = drawn[np.isfinite(drawn)]
    if not drawn.size or drawn.min() == drawn.max():
        return ConfidenceInterval(found, found)
    normal = NormalDist()
    below = (np.count_nonzero(drawn < found) + np.count_nonzero(drawn <= found)) / 2.0
    # Where all lie on one side the share is not 0, but less than can be seen.
    share = min(max(below, 0.5), len(drawn) - 0.5) / len(drawn)
    bias, acceleration = normal.inv_cdf(share), _acceleration(left_out)
    bounds = []
    for tail in ((1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0):
        shifted = bias + normal.inv_cdf(tail)
        bounds.append(normal.cdf(bias + shifted / (1.0 - acceleration * shifted)))
    low, high = np.quantile(drawn, bounds)
    return ConfidenceInterval(float(low), float(high))


def _acceleration(left_out: Floats) -> float:
    deviations = left_out[np.isfinite(left_out)]
    deviations = deviations.mean() - deviations
    largest = float(np.abs(deviations).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    deviations = deviations / largest  # cubes of small numbers would vanish
    return float((deviations**3).sum() / (6.0 * math.pow(float((deviations**2).sum()), 1.5)))
