"""What several families share: slopes at kinks, powers, options of elementwise losses."""

from __future__ import annotations

from ..scalar import exp, log, where

PER_ELEMENT = ("row", "denom", "empty", "grad_scale", "preset")
KINKED = ("row", "denom", "empty", "kink", "grad_scale", "preset")
KERAS = {"denom": "count", "empty": "zero"}
KINKED_KERAS = {**KERAS, "kink": "half"}
MEAN_PRESETS = {"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}}
KINKED_PRESETS = {"keras": KINKED_KERAS, "torch": {}, "optax": {"kink": "half"}, "sklearn": {"kink": "steep"}}


def step(x: float, at_zero: float) -> float:
    """1 above 0, 0 below it, `at_zero` there; NaN for NaN."""
    return where(x > 0.0, 1.0, where(x < 0.0, 0.0, where(x == 0.0, at_zero, x)))


def power(base: float, exponent: float) -> float:
    """base**exponent, base >= 0, where 0**0 = 1; to about |exponent ln base| + 1 ulp."""
    return where(exponent == 0.0, 1.0 + 0.0 * base, exp(exponent * log(base)))
