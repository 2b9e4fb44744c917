"""Exponentials to some 80 bits, and how far a number is from one: what losses of a logarithm take where both are near.

The exponential of a number is rounded to 53 bits, and its difference from a number next to it has lost as many digits
as they share. Written as `scalar.py` says; products whose rounding errors count are made of halves of 26 bits.
"""

from __future__ import annotations

from .scalar import LN2_HIGH, LOG2_E, SHIFT, is_subnormal, leading_half, power_of_two, where
from .shares import log_rest, split_quotient

# ln 2 less LN2_HIGH, in two parts: the product of the first with any exponent is exact.
LN2_MIDDLE = 1.9082149291141208e-10
LN2_LAST = 1.564670158533888e-20
SIXTH_LOW = 9.25185853854297e-18
TWENTY_FOURTH_LOW = 2.3129646346357427e-18
FARTHEST = 1e4


def _sum(large: float, small: float) -> tuple[float, float]:
    """A sum and its rounding error, for |large| >= |small|."""
    total = large + small
    return total, (large - total) + small


def _next_term(high: float, low: float, x: float, x_low: float, term: float, term_low: float) -> tuple[float, float]:
    """term + x (high + low), for an x far below 1: all three are sums of two parts."""
    half, x_half = leading_half(high), leading_half(x)
    rest, x_rest = high - half, x - x_half
    product = half * x_half
    total = term + product
    cross = (half * x_rest + rest * x_half) + (rest * x_rest + (high * x_low + low * x))
    return total, ((term - total) + product) + (cross + term_low)


def _squared(high: float, low: float) -> tuple[float, float]:
    """(1 + u)² - 1 = 2 u + u², for u = high + low far below 1."""
    half = leading_half(high)
    rest = high - half
    product = half * half
    total = 2.0 * high + product
    cross = (2.0 * half * rest + rest * rest) + 2.0 * (low + high * low)
    return _sum(total, ((2.0 * high - total) + product) + cross)


def wide_exp(x: float) -> tuple[float, float, float]:
    """(k, high, low) with e**x = 2**k (high + low) to 2**-76 of it, for |x| <= 10,000; high is in [0.7, 1.42].

    e**((x - k ln 2)/8) - 1 by its series, whose terms up to the fourth have two parts, and squared three times.
    """
    k = (x * LOG2_E + SHIFT) - SHIFT
    first = x - k * LN2_HIGH
    middle = k * LN2_MIDDLE
    r = first - middle
    taken = r - first
    r_low = ((first - (r - taken)) - (middle + taken)) - k * LN2_LAST
    r, r_low = 0.125 * r, 0.125 * r_low
    p = 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    p = p * r + 1.388888888888889e-03
    p = p * r + 8.333333333333333e-03
    high, low = _sum(1.0 / 24.0, p * r)
    high, low = _next_term(high, low + TWENTY_FOURTH_LOW, r, r_low, 1.0 / 6.0, SIXTH_LOW)
    high, low = _next_term(high, low, r, r_low, 0.5, 0.0)
    high, low = _next_term(high, low, r, r_low, 1.0, 0.0)
    high, low = _next_term(high, low, r, r_low, 0.0, 0.0)
    high, low = _sum(high, low)
    for _ in range(3):
        high, low = _squared(high, low)
    high, rest = _sum(1.0, high)
    return k, high, rest + low


def times_power_of_two(x: float, k: float) -> float:
    """2**k x, for a whole k; of |k| beyond 2000 as of 2000."""
    k = where(k > 2000.0, 2000.0, where(k < -2000.0, -2000.0, k))
    half = (0.5 * k + SHIFT) - SHIFT
    return x * power_of_two(half + SHIFT) * power_of_two((k - half) + SHIFT)


def log_over_exp(a: float, x: float) -> tuple[float, float, float]:
    """(k, s, rest) with log(a) - x = k * LN2_HIGH + (2 s + rest), for positive finite a; as `log_of_quotient` has them.

    s = (a - e**x)/(a + e**x) where k = 0. Of 0 and infinity s is finite; NaN for an x that is.
    """
    near = where(x > FARTHEST, FARTHEST, where(x < -FARTHEST, -FARTHEST, x))
    exponent, high, low = wide_exp(near)
    subnormal = is_subnormal(a)
    k, difference, total = split_quotient(where(subnormal, a * 2.0**54, a), high)
    # The quotient has brought the exponential to [1, 2), without its lower part.
    low = where(high < 1.0, 2.0 * low, low)
    k = k - exponent - where(subnormal, 54.0, 0.0)
    s = (difference - low) / (total + low)
    return k, s, log_rest(k, s) - (x - near)
