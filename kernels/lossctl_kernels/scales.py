"""The value of a scale fold: what its largest magnitude is multiplied by before anything is squared."""

from __future__ import annotations

from .scalar import power_of_two_scale, where


def safe_scale(largest: float) -> float:
    """An exact power of two that brings `largest` near 1; 1 where no scaling is needed, and for 0 and NaN.

    Squares of magnitudes between 2**-400 and 2**400 neither overflow nor lose digits, nor do sums of 2**60 of them.
    """
    safe = (largest >= 2.0**-400) & (largest <= 2.0**400)
    return where(safe, 1.0, power_of_two_scale(largest))
