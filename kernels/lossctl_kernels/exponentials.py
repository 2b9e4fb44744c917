"""Exponentials. Written as `scalar.py` says."""

from __future__ import annotations

import numpy as np

from .primitives import (
    LN2_HIGH,
    LN2_LOW,
    LOG2_3_HALVES,
    LOG2_E,
    SHIFT,
    TWO_200_BITS,
    bits_of,
    float_of,
    power_of_two,
    where,
)


def reduced_exp(x: float, multiple: float) -> tuple[float, float, float, float]:
    """(k + SHIFT, r, low, t) with exp(x) = 2**k (1 + (r - low) + t), for |x| <= 800; NaN where x is.

    k = round(multiple), near x / ln 2, so that x - k ln 2 is in [-0.3467, 0.4057]; r = x - k * LN2_HIGH, exact;
    low = k * LN2_LOW. With s = r - low, t = e**s - 1 - s, in [0, 0.1]: own minimax polynomial of degree 12 (Remez
    exchange), absolute error 2**-62.
    """
    shifted = multiple + SHIFT
    k = shifted - SHIFT
    r = x - k * LN2_HIGH
    low = k * LN2_LOW
    s = r - low
    p = 2.1524372860968794e-09
    p = p * s + 2.51107274664906e-08
    p = p * s + 2.755522964440525e-07
    p = p * s + 2.7557238056579265e-06
    p = p * s + 2.4801589772053252e-05
    p = p * s + 0.00019841269893781095
    p = p * s + 0.0013888888887664144
    p = p * s + 0.008333333333317903
    p = p * s + 0.04166666666666875
    p = p * s + 0.16666666666666682
    p = p * s + 0.5
    return shifted, r, low, s * s * p


def _exp_rest(s: float) -> float:
    """t = e**s - 1 - s for |s| <= 0.3467, where degree 11 will do (own minimax polynomial, absolute error 2**-58)."""
    # By pairs and fours (Estrin): ten operations in a chain of four, not nine in a chain of nine.
    z = s * s
    first = (0.5000000000000013 + 0.166666666666667 * s) + z * (0.0416666666665151 + 0.008333333333307161 * s)
    third = 2.4801489838827278e-05 + 2.7557216220461222e-06 * s
    second = (0.0013888888947108673 + 0.00019841269917475845 * s) + z * third
    last = 2.7631319571037584e-07 + 2.5117886033999235e-08 * s
    return z * (first + (z * z) * (second + (z * z) * last))


def _reduced_tail_exp(x: float) -> tuple[float, float]:
    """(k + SHIFT, y) with exp(x) = 2**k y: the steps of `reduced_exp`, for x - k ln 2 within ±0.3467."""
    shifted = x * LOG2_E + SHIFT
    k = shifted - SHIFT
    r = x - k * LN2_HIGH
    low = k * LN2_LOW
    return shifted, 1.0 + (r + (_exp_rest(r - low) - low))


def exp_pair(x: float) -> tuple[float, float]:
    """exp(x) as an unevaluated sum (high, low) of about 56 bits, for -746 <= x <= 0; gradual underflow to 0."""
    shifted, r, low, t = reduced_exp(x, x * LOG2_E)
    partial = 1.0 + r
    rest = ((1.0 - partial) + r) + (t - low)
    high = partial + rest
    high_low = (partial - high) + rest
    # Near the subnormal numbers 2**k is applied in two factors, so that only the last product rounds.
    tiny = x < -700.0
    scale = power_of_two(shifted + where(tiny, 64.0, 0.0))
    factor = where(tiny, 2.0**-64, 1.0)
    return high * scale * factor, high_low * scale * factor


def exp(x: float) -> float:
    """e**x, any x; below 1 ulp. Underflows gradually to 0 (x < -745.13), overflows to inf (x > 709.78)."""
    # Beyond these bounds the result is 0 or inf; NaN fails both comparisons and goes on.
    huge = x > 710.0
    x = where(huge, 710.0, x)
    x = where(x < -746.0, -746.0, x)
    shifted, r, low, t = reduced_exp(x, x * LOG2_E)
    # k goes from -1076 to 1024: 2**k in two factors, of which only the last one rounds, where the result is subnormal.
    tiny = x < -700.0
    scale = power_of_two(shifted + where(tiny, 64.0, -1.0))
    # The last product may fuse with a sum that it goes into, which must not hide that it is too large.
    return (1.0 + (r + (t - low))) * scale * where(tiny, 2.0**-64, where(huge, np.inf, 2.0))


def normal_exp(x: float) -> float:
    """e**x for -708 <= x <= 709, where nothing underflows or overflows; below 1 ulp. Beyond, a number of no meaning."""
    shifted, partial = _reduced_tail_exp(x)
    return partial * power_of_two(shifted)


def normal_expm1(x: float) -> float:
    """e**x - 1 for 0 <= x <= 36, without cancellation near 0; below 3 ulp. Beyond, a number of no meaning."""
    shifted = x * LOG2_E + SHIFT
    k = shifted - SHIFT
    r = x - k * LN2_HIGH
    low = k * LN2_LOW
    scale = power_of_two(shifted)
    return scale * (r + (_exp_rest(r - low) - low)) + (scale - 1.0)


def tail_exp(x: float) -> float:
    """2**200 e**x for x < 0, and 0 for x = 0; below 1 ulp. NaN for NaN.

    For sums of exponentials relative to the largest, which is 1 and kept apart. No term underflows, so the factor 2**k
    needs no care, and `TAIL_UNSCALE` takes the sum back with one rounding. Below -800 it stays at 2**200 e**-800, which
    scaled back is 0 in any sum of fewer than 2**78.
    """
    shifted, partial = _reduced_tail_exp(where(x < -800.0, -800.0, x))
    # Without the term at 0 here, and not by a select of the result, the product and the sum it goes into fuse.
    scale = where(x < 0.0, float_of((bits_of(shifted) << 52) + TWO_200_BITS), 0.0)
    return partial * scale


def expm1(x: float) -> float:
    """e**x - 1, any x, without cancellation near 0; below 1 ulp. expm1(±0) = ±0, -1 at -inf, inf at inf.

    2**k (r + t) + (2**k - 1), both sums with their rounding errors. k goes to 1 at log(1.5) and to -1 at log(0.75),
    where the result is 0.5 and -0.25, instead of at ±log(2)/2, where the error of t is twice as many of its ulps.
    """
    bounded = where(x > 710.0, 710.0, x)
    bounded = where(bounded < -40.0, -40.0, bounded)
    shifted, r, low, t = reduced_exp(bounded, bounded * LOG2_E - (LOG2_3_HALVES - 0.5))
    t = t - low
    # Half of everything, since 2**1024 is too large.
    scale = power_of_two(shifted - 1.0)
    fraction = r + t
    fraction_low = (r - fraction) + t
    offset = scale - 0.5
    offset_low = (scale - offset) - 0.5
    # |2**k (r + t)| <= |2**k - 1| for every k but 0, where offset = 0 makes the sum exact.
    product = scale * fraction
    total = offset + product
    total_low = (offset - total) + product
    result = 2.0 * (total + (total_low + (scale * fraction_low + offset_low)))
    # Halving rounds subnormal numbers, and k ln 2 loses the sign of -0.
    return where(abs(x) < 2.0**-54, x, result)
