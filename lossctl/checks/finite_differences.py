"""Derivatives of a function by differences of its values, with an estimate of how far off they are.

Differences of fourth order, central and to either side, over steps that shrink by four. Of these the one is taken that
changes least from one step to the next: large steps leave out curvature, small ones drown in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CENTRAL = {-2: 1 / 12, -1: -8 / 12, 1: 8 / 12, 2: -1 / 12}
RIGHT = {0: -25 / 12, 1: 4.0, 2: -3.0, 3: 4 / 3, 4: -1 / 4}
LEFT = {-offset: -weight for offset, weight in RIGHT.items()}
LEVELS = 9
LARGEST_STEP = 2.0**-3
ROUNDING = 2.0**-51
"""What a value is taken to be off by, relative to itself."""


@dataclass(frozen=True)
class Slopes:
    """Slopes at some points, and what each may be off by, infinite where it is not known. All of shape (points,)."""

    central: Floats
    central_error: Floats
    left: Floats
    left_error: Floats
    right: Floats
    right_error: Floats


def slopes(function: Callable[[Floats], Floats], at: Floats, low: float, high: float) -> Slopes:
    """The slopes of `function`, from shape (points,) to the same, at these points within [low, high].

    Points should have few bits, such as those of float32, so that a step away from them is exact. Near an end of the
    interval steps are as small as it demands; at the end itself there is the slope on one side only.
    """
    room = np.minimum(at - low, high - at)
    near = np.where(room > 0.0, np.minimum(room, 1.0), 1.0)
    largest = LARGEST_STEP * np.minimum(np.maximum(np.abs(at), 1.0), near)
    with np.errstate(all="ignore"):
        steps = [np.exp2(np.floor(np.log2(largest))) * 4.0**-level for level in range(LEVELS)]
        values = [_values(function, at, step, low, high) for step in steps]
        found = [_best(weights, values, steps) for weights in (CENTRAL, LEFT, RIGHT)]
    return Slopes(*found[0], *found[1], *found[2])


def _values(
    function: Callable[[Floats], Floats], at: Floats, step: Floats, low: float, high: float
) -> dict[int, Floats]:
    """The values around the points, NaN outside the interval."""
    found = {}
    for offset in range(-4, 5):
        place = at + offset * step
        inside = (place >= low) & (place <= high)
        found[offset] = np.where(inside, function(np.where(inside, place, at)), np.nan)
    return found


def _best(weights: dict[int, float], values: list[dict[int, Floats]], steps: list[Floats]) -> tuple[Floats, Floats]:
    """(slope, error) by one formula, of the step where the error is smallest."""
    found, rounding = [], []
    for level, step in zip(values, steps, strict=True):
        found.append(sum(weight * level[offset] for offset, weight in weights.items()) / step)
        largest = np.max([np.abs(level[offset]) for offset in weights], axis=0)
        rounding.append(ROUNDING * largest / step)
    estimates = np.array(found)
    changes = np.abs(np.diff(estimates, axis=0))
    # Two steps may agree by chance; three hardly ever.
    errors = np.maximum(changes[:-1], changes[1:]) + np.array(rounding)[1:-1]
    errors = np.where(np.isfinite(errors), errors, np.inf)
    chosen = np.argmin(errors, axis=0)
    points = np.arange(estimates.shape[1])
    return estimates[1:-1][chosen, points], errors[chosen, points]
