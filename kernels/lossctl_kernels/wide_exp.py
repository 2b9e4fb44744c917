"""Exponentials to some 96 bits, and how far a number is from one: what losses of a logarithm take where both are near.

The exponential of a number is rounded to 53 bits, and its difference from a number next to it has lost as many digits
as they share. Written as `scalar.py` says; products whose rounding errors count are made of halves of 26 bits.
"""

from __future__ import annotations

from .rare import rarely
from .scalar import (
    LN2_HIGH,
    LOG2_E,
    SHIFT,
    absolute,
    is_subnormal,
    leading_half,
    power_of_two,
    reduced_exp,
    where,
)
from .shares import log_rest, split_quotient

# ln 2 less LN2_HIGH, in two parts: the product of the first with any exponent is exact.
LN2_MIDDLE = 1.9082149291141208e-10
LN2_LAST = 1.564670158533888e-20
# 1/5!, 1/4! and 1/3! in two parts, and what is left of 1/6!.
FACTORIALS = (
    (1.0 / 120.0, 1.1564823173178714e-19),
    (1.0 / 24.0, 2.3129646346357427e-18),
    (1.0 / 6.0, 9.25185853854297e-18),
)
SIXTH_FACTORIAL_LOW = -5.300543954373577e-20
FARTHEST = 1e4
NEAR = 2.0**-8


def _sum(large: float, small: float) -> tuple[float, float]:
    """A sum and its rounding error, for |large| >= |small|."""
    total = large + small
    return total, (large - total) + small


def _next_term(high: float, low: float, x: float, x_low: float, term: float, term_low: float) -> tuple[float, float]:
    """term + x (high + low), for an x far below 1: all three are sums of two parts. To 2**-79 of the product."""
    half, x_half = leading_half(high), leading_half(x)
    rest, x_rest = high - half, x - x_half
    product = half * x_half
    total = term + product
    cross = (half * x_rest + rest * x_half) + (rest * x_rest + (high * x_low + low * x))
    return total, ((term - total) + product) + (cross + term_low)


def exact_product(a: float, b: float) -> tuple[float, float]:
    """a b in two parts, to 2**-105 of it: the products of halves are exact, and their sums keep what they round off."""
    a_half, b_half = leading_half(a), leading_half(b)
    a_rest, b_rest = a - a_half, b - b_half
    high, low = _sum(a_half * b_half, a_half * b_rest)
    high, rest = _sum(high, a_rest * b_half)
    return high, (low + rest) + a_rest * b_rest


def _last_term(high: float, low: float, x: float, x_low: float, term: float) -> tuple[float, float]:
    """As `_next_term`, to 2**-104 of the product."""
    product, product_low = exact_product(high, x)
    total, rest = _sum(term, product)
    return total, rest + (product_low + (high * x_low + low * x))


def _squared(high: float, low: float) -> tuple[float, float]:
    """(1 + u)² - 1 = 2 u + u², for u = high + low far below 1."""
    product, product_low = exact_product(high, high)
    total, rest = _sum(2.0 * high, product)
    return _sum(total, rest + (product_low + 2.0 * (low + high * low)))


def wide_exp(x: float, x_low: float = 0.0) -> tuple[float, float, float]:
    """(k, high, low) with e**(x + x_low) = 2**k (high + low) to 2**-96 of it, for |x| <= 10,000 and x_low far smaller.

    high is in [0.7, 1.42]. It is e**((x - k ln 2)/16) - 1 by its series, whose terms up to the sixth have two parts,
    and four times squared.
    """
    k = (x * LOG2_E + SHIFT) - SHIFT
    first = x - k * LN2_HIGH
    middle = k * LN2_MIDDLE
    r = first - middle
    taken = r - first
    r_low = ((first - (r - taken)) - (middle + taken)) + (x_low - k * LN2_LAST)
    r, r_low = 0.0625 * r, 0.0625 * r_low
    p = 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 1.984126984126984e-04
    high, low = _sum(1.0 / 720.0, p * r)
    low = low + SIXTH_FACTORIAL_LOW
    for term, term_low in FACTORIALS:
        high, low = _next_term(high, low, r, r_low, term, term_low)
    for term in (0.5, 1.0, 0.0):
        high, low = _last_term(high, low, r, r_low, term)
    high, low = _sum(high, low)
    for _ in range(4):
        high, low = _squared(high, low)
    high, rest = _sum(1.0, high)
    return k, high, rest + low


def times_power_of_two(x: float, k: float) -> float:
    """2**k x, for a whole k; of |k| beyond 2000 as of 2000."""
    k = where(k > 2000.0, 2000.0, where(k < -2000.0, -2000.0, k))
    half = (0.5 * k + SHIFT) - SHIFT
    return x * power_of_two(half + SHIFT) * power_of_two((k - half) + SHIFT)


# ---- next to a number


def exp_over_power(x: float, x_low: float, high: float) -> float:
    """What e**(x + x_low) has besides 2**k high, over 2**k, where high is the number nearest to it or next to that."""
    _, near, low = wide_exp(x, x_low)
    return (near - high) + low


def rounded_exp(x: float, x_low: float = 0.0) -> tuple[float, float, float]:
    """As `wide_exp`, to 2**-56, for all x: beyond ±10,000 as there."""
    x = held_exponent(x)
    shifted, r, r_low, t = reduced_exp(x, x * LOG2_E)
    partial = 1.0 + r
    rest = ((1.0 - partial) + r) + (t - (r_low - x_low))
    high = partial + rest
    return shifted - SHIFT, high, (partial - high) + rest


def held_exponent(x: float) -> float:
    """The number within ±10,000; NaN stays NaN."""
    return where(x > FARTHEST, FARTHEST, where(x < -FARTHEST, -FARTHEST, x))


def quotient_over_exp(a: float, x: float, x_low: float) -> tuple[float, float, float]:
    """(k, s, low) with a / e**(x + x_low) = 2**k (1 + s)/(1 - s), for positive finite a; `low` is that of the
    exponential, to 2**-96 where they differ by less than one in 128, elsewhere as `rounded_exp` has it.

    Both exponentials have the same k and nearly the same high part, which decides where a is next to them.
    """
    exponent, high, low = rounded_exp(x, x_low)
    subnormal = is_subnormal(a)
    k, distance, total = split_quotient(where(subnormal, a * 2.0**54, a), high)
    k = k - exponent - where(subnormal, 54.0, 0.0)
    is_near = (k == 0.0) & (absolute(distance) < NEAR * total)
    low = rarely(is_near, exp_over_power, low, held_exponent(x), x_low, high)
    # The quotient has brought the exponential to [1, 2), without its lower part.
    quotient_low = where(high < 1.0, 2.0 * low, low)
    return k, (distance - quotient_low) / (total + quotient_low), low


def log_over_exp(a: float, x: float, x_low: float = 0.0) -> tuple[float, float, float]:
    """(k, s, rest) with log(a) - (x + x_low) = k * LN2_HIGH + (2 s + rest), for positive finite a.

    As `log_of_quotient` has them; s = (a - e**x)/(a + e**x) where k = 0. Of 0 and infinity s is finite; NaN for an x
    that is.
    """
    k, s, _ = quotient_over_exp(a, x, x_low)
    return k, s, log_rest(k, s) - (x - held_exponent(x))
