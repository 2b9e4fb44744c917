"""Derivatives by differences of the function itself, in float64: of fourth order inside, from each side at a kink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

# Weights of f at multiples of the step, times 12: the error is of order step**4.
CENTRAL = {-2: 1.0, -1: -8.0, 1: 8.0, 2: -1.0}
FORWARD = {0: -25.0, 1: 48.0, 2: -36.0, 3: 16.0, 4: -3.0}
STEP = 2.0**-13
ULP = 2.0**-52


@dataclass(frozen=True)
class Slopes:
    """Derivatives of f(x) by x at each point, of fourth order: around it, and from the left and the right alone.

    `noise` is what the rounding of values of this size makes of them.
    """

    centre: Floats
    left: Floats
    right: Floats
    noise: Floats

    def smooth(self, tolerance: float) -> NDArray[np.bool_]:
        """Where both sides agree, so that no kink is near."""
        return np.asarray(np.abs(self.left - self.right) <= self.slack(tolerance))

    def slack(self, tolerance: float) -> Floats:
        """How far a derivative may be from these."""
        return np.asarray(tolerance * (1.0 + np.maximum(np.abs(self.left), np.abs(self.right))) + self.noise)


def slopes(function: Function, points: Floats, step: float = STEP) -> Slopes:
    """`function` takes any number of rounds of the points, each somewhat moved, to as many values."""
    moves = range(-4, 5)
    rounds = np.concatenate([points + k * step for k in moves])
    values = dict(zip(moves, function(rounds).reshape(len(moves), -1), strict=True))
    centre = sum(weight * values[k] for k, weight in CENTRAL.items())
    right = sum(weight * values[k] for k, weight in FORWARD.items())
    left = sum(-weight * values[-k] for k, weight in FORWARD.items())
    scale = 12.0 * step
    noise = 64.0 * ULP / step * np.max(np.abs([*values.values()]), axis=0)
    return Slopes(np.asarray(centre) / scale, np.asarray(left) / scale, np.asarray(right) / scale, np.asarray(noise))


def fault(gradient: Floats, found: Slopes, tolerance: float) -> str | None:
    """What is wrong with a gradient, if anything.

    Where the function is smooth it is the central difference; at a kink, of the function or of its slope, it lies
    between the slopes of the two sides.
    """
    low, high = np.minimum(found.left, found.right), np.maximum(found.left, found.right)
    slack = found.slack(tolerance)
    between = (gradient >= low - slack) & (gradient <= high + slack)
    right = between | (found.smooth(tolerance) & (np.abs(gradient - found.centre) <= slack))
    if right.all():
        return None
    worst = int(np.argmin(right))
    sides = f"{found.left[worst]!r} from the left, {found.right[worst]!r} from the right"
    return f"[{worst}] {gradient[worst]!r}, but differences are {found.centre[worst]!r}, {sides}"
