"""Sigmoids, and logarithms of sums of two exponentials. Written as `scalar.py` says."""

from __future__ import annotations

from .exponentials import exp_pair, reduced_exp
from .logarithms import log1p_remainder, log1p_slope
from .primitives import LN2_HIGH, LN2_LOW, LOG2_E, SIGN_MASK, bits_of, float_of, leading_half, power_of_two, where


def tanh(x: float) -> float:
    """Hyperbolic tangent, any x; below 1 ulp. tanh(±0) = ±0, ±1 from |x| = 19.07 on.

    |x| < 0.625: x + x³ P(x²)/Q(x²) (coefficients of Cephes). Otherwise 1 - 2/(e**2|x| + 1), where the quotient is at
    most 0.45 and what the sum loses is restored. Both share one division.
    """
    size = abs(x)
    small = size < 0.625
    z = x * x
    p = (-9.64399179425052238628e-01 * z - 9.92877231001918586564e01) * z - 1.61468768441708447952e03
    q = ((z + 1.12811678491632931402e02) * z + 2.23548839060100448583e03) * z + 4.84406305325125486048e03
    doubled = 2.0 * where(size > 22.0, 22.0, size)
    shifted, r, low, t = reduced_exp(doubled, doubled * LOG2_E)
    scale = power_of_two(shifted)
    power = scale * (1.0 + r)
    power_low = scale * (((1.0 - (1.0 + r)) + r) + (t - low))
    # Here power >= 2.4.
    total = power + 1.0
    total_low = ((power - total) + 1.0) + power_low
    high = total + total_low
    rest = (total - high) + total_low
    quotient = where(small, p, 2.0) / where(small, q, high)
    large = 1.0 - quotient
    large = large + (((1.0 - large) - quotient) + 0.5 * quotient * quotient * rest)
    magnitude = where(small, size + size * (z * quotient), large)
    return float_of(bits_of(magnitude) | (bits_of(x) & SIGN_MASK))


def sigmoid(x: float) -> float:
    """1 / (1 + e**-x), any x; below 1 ulp, subnormal results (x < -708) included.

    With E = e**-|x|: 1/(1 + E) for x >= 0 and E/(1 + E) below, E and 1 + E as unevaluated sums. The quotient is cut
    to 26 bits, so that its remainder is exact and gives the rest.
    """
    size = abs(x)
    power, power_low = exp_pair(-where(size > 746.0, 746.0, size))
    total = 1.0 + power
    total_low = ((1.0 - total) + power) + power_low
    negative = x < 0.0
    numerator = where(negative, power, 1.0)
    numerator_low = where(negative, power_low, 0.0)
    inverse = 1.0 / total
    quotient = leading_half(numerator * inverse)
    total_half = leading_half(total)
    remainder = (numerator - quotient * total_half) - quotient * (total - total_half)
    return quotient + (remainder + (numerator_low - quotient * total_low)) * inverse


def _log_cosh_series(z: float) -> float:
    """q(z) with log cosh e = z/2 + z² q(z), z = e² <= 0.390625 (own minimax polynomial, relative error 2**-60)."""
    q = -7.177639877747594e-07
    q = q * z + 3.6135517532767136e-06
    q = q * z - 1.1531539002058149e-05
    q = q * z + 3.26298764433928e-05
    q = q * z - 9.095441949403827e-05
    q = q * z + 2.5657499730534695e-04
    q = q * z - 7.386023791599439e-04
    q = q * z + 2.186948815327552e-03
    q = q * z - 6.7460317445640254e-03
    q = q * z + 2.2222222222194124e-02
    return q * z - 8.333333333333315e-02


def softplus(x: float) -> float:
    """log(1 + e**x), any x; below 1 ulp, subnormal results (x < -708) included. inf at inf, 0 at -inf.

    |x| < 1: x/2 + ln 2 + log cosh(x/2). Otherwise max(x, 0) + log1p(E), E = e**-|x| <= 0.37 as an unevaluated sum; the
    sum max(x, 0) + E is made first and keeps its rounding error.
    """
    size = abs(x)
    power, power_low = exp_pair(-where(size > 746.0, 746.0, size))
    positive = where(x > 0.0, x, 0.0)
    total = positive + power
    total_low = (positive - total) + power
    far = total + (total_low - log1p_remainder(power, power_low * log1p_slope(power)))
    half = 0.5 * x
    z = half * half
    middle = LN2_HIGH + half
    middle_low = ((LN2_HIGH - middle) + half) + LN2_LOW
    near = middle + (z * (0.5 + z * _log_cosh_series(z)) + middle_low)
    # From 64 on E is negligible, and the rounding error of an infinite sum is NaN; NaN itself comes out as x.
    return where(size < 1.0, near, where(x < 64.0, far, x))


def log_sigmoid(x: float) -> float:
    """log(sigmoid(x)) = -softplus(-x), any x; below 1 ulp."""
    return -softplus(-x)


def log_cosh(x: float) -> float:
    """log(cosh(x)), any x; below 1 ulp. No overflow: |x| - ln 2 for large |x|.

    |x| < 0.625: x²/2 + x⁴ q(x²), x² with its rounding error. Otherwise |x| - ln 2 + log1p(E), E = e**-2|x| <= 0.29 as
    an unevaluated sum.
    """
    size = abs(x)
    leading = leading_half(size)
    trailing = size - leading
    # Both products and the first sum are exact enough for size² in two parts, fused or not.
    cross = (2.0 * leading + trailing) * trailing
    square_high = leading * leading + cross
    square_low = (leading * leading - square_high) + cross
    near = 0.5 * square_high + (0.5 * square_low + square_high * square_high * _log_cosh_series(square_high))
    power, power_low = exp_pair(-2.0 * where(size > 373.0, 373.0, size))
    base = size - LN2_HIGH
    base_low = (size - base) - LN2_HIGH
    total = base + power
    total_low = (base - total) + power
    far = total + (total_low + (base_low - log1p_remainder(power, power_low * log1p_slope(power) - LN2_LOW)))
    return where(size < 0.625, near, where(size < 2.0**60, far, size))
