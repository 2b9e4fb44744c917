"""What several families share: slopes at kinks, powers, options of elementwise losses."""

from ..rare import rarely
from ..scalar import absolute, exp, leading_half, log, sqrt, square, where
from ..shares import log1p_of_share

PER_ELEMENT = ("row", "denom", "empty", "grad_scale", "preset")
KINKED = ("row", "denom", "empty", "kink", "grad_scale", "preset")
KERAS = {"denom": "count", "empty": "zero"}
KINKED_KERAS = {**KERAS, "kink": "half"}
MEAN_PRESETS = {"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}}
KINKED_PRESETS = {"keras": KINKED_KERAS, "torch": {}, "optax": {"kink": "half"}, "sklearn": {"kink": "steep"}}


def step(x: float, at_zero: float) -> float:
    """1 above 0, 0 below it, `at_zero` there; NaN for NaN."""
    return where(x > 0.0, 1.0, where(x < 0.0, 0.0, where(x == 0.0, at_zero, x)))


def less_multiple(a: float, factor: float, b: float) -> float:
    """a - factor b, where the product is exact: it may be next to a."""
    high, b_high = leading_half(factor), leading_half(b)
    low, b_low = factor - high, b - b_high
    return (((a - high * b_high) - high * b_low) - low * b_high) - low * b_low


def surcharge(logit: float, weight: float) -> float:
    """What the wrong label costs besides log(1 + e**-|z|): |z| times its weight, and nothing without weight."""
    return where(weight == 0.0, 0.0, weight * absolute(logit))


def log_sigmoids(logit: float) -> tuple[float, float]:
    """(ln σ(z), ln σ(-z)): log(1 + e**-|z|) is common to both."""
    common, size = log1p_of_share(exp(-absolute(logit))), absolute(logit)
    positive = logit > 0.0
    return 0.0 - where(positive, common, common + size), 0.0 - where(positive, common + size, common)


def power(base: float, exponent: float) -> float:
    """base**exponent, base >= 0, where 0**0 = 1; to about |exponent ln base| + 1 ulp, of 0, 1 and 2 rounded once."""
    plain = where(exponent == 2.0, square(base), where(exponent == 1.0, base, 1.0 + 0.0 * base))
    is_other = exponent * (exponent - 1.0) * (exponent - 2.0) != 0.0
    return rarely(is_other, exponential_power, plain, base, exponent)


def exponential_power(base: float, exponent: float) -> float:
    return exp(exponent * log(base))


def scaled(value: float, half: float) -> float:
    """Twice the value, unless half of that is asked for."""
    return where(half > 0.0, 1.0, 2.0) * value


def scaled_root(square_sum: float, scale: float, added: float) -> float:
    """scale * sqrt(Σx² + added), given the sum of (scale x)²; `added` may be far larger or smaller than the squares."""
    floor = sqrt(added) * scale
    return where(floor > 2.0**500, floor, sqrt(square_sum + square(floor)))


def counted(weight: float, slope: float) -> float:
    """A slope as far as it counts; where it does not, it may be anything."""
    return where(weight == 0.0, 0.0, weight * slope)
