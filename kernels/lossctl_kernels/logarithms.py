"""Logarithms. Written as `scalar.py` says."""

from __future__ import annotations

import numpy as np

from .primitives import (
    FRACTION_MASK,
    LN2_HIGH,
    LN2_LOW,
    ONE_BITS,
    SQRT_HALF_BITS,
    TWO_52_BITS,
    bits_of,
    float_of,
    is_subnormal,
    where,
)


def log1p_remainder(f: float, addend: float) -> float:
    """f - log(1 + f) - addend, for f in [sqrt(1/2) - 1, sqrt(2) - 1].

    With s = f / (2 + f): log(1 + f) = 2 atanh(s) = f - f²/2 + s (f²/2 + R(s²)), R fdlibm's polynomial, error 2**-58.
    """
    s = f / (2.0 + f)
    z = s * s
    p = 1.479819860511658591e-01
    p = p * z + 1.531383769920937332e-01
    p = p * z + 1.818357216161805012e-01
    p = p * z + 2.222219843214978396e-01
    p = p * z + 2.857142874366239149e-01
    p = p * z + 3.999999999940941908e-01
    p = p * z + 6.666666666666735130e-01
    half_square = 0.5 * f * f
    return half_square - (s * (half_square + z * p) + addend)


def log1p_slope(f: float) -> float:
    """1 / (1 + f) to 1 % over the same interval (own minimax parabola): what a rounding error of 1 + f is worth."""
    return 1.0049951120225056 + f * (0.9142390706250312 * f - 1.0806127678408468)


def log_of_positive(x: float) -> float:
    """Natural logarithm of 0 < x < inf; below 1 ulp. Elsewhere, for NaN as well, a finite number without a meaning.

    x = 2**k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)): k ln 2 + log(1 + f), as in fdlibm.
    """
    subnormal = is_subnormal(x)
    bits = bits_of(where(subnormal, x * 2.0**54, x)) + (ONE_BITS - SQRT_HALF_BITS)
    f = float_of((bits & FRACTION_MASK) + SQRT_HALF_BITS) - 1.0
    k = float_of(((bits >> 52) & 0xFFF) | TWO_52_BITS) - where(subnormal, 2.0**52 + 1077.0, 2.0**52 + 1023.0)
    return k * LN2_HIGH - (log1p_remainder(f, k * LN2_LOW) - f)


def log(x: float) -> float:
    """Natural logarithm; below 1 ulp. -inf at ±0, NaN below zero, inf at inf."""
    result = log_of_positive(x)
    result = where(x > 0.0, result, where(x == 0.0, -np.inf, np.nan))
    return where(x < np.inf, result, x)


def log1p(x: float) -> float:
    """log(1 + x), without cancellation near 0; below 1 ulp. log1p(±0) = ±0, -inf at -1, NaN below, inf at inf.

    1 + x = 2**k (1 + f) + error. In the interval around 0 where k = 0, f = x exactly; elsewhere the rounding error of
    1 + x counts to first order.
    """
    u = 1.0 + x
    bits = bits_of(u) + (ONE_BITS - SQRT_HALF_BITS)
    exponent = (bits >> 52) & 0xFFF
    k = float_of(exponent | TWO_52_BITS) - (2.0**52 + 1023.0)
    near = k == 0.0
    f = where(near, x, float_of((bits & FRACTION_MASK) + SQRT_HALF_BITS) - 1.0)
    lost = where(x > 1.0, 1.0 - (u - x), x - (u - 1.0)) * float_of((2046 - exponent) << 52)
    # Beyond 2**60 the error is negligible, and 2**-k soon has no normal exponent.
    lost = where(near, 0.0, where(x < 2.0**60, lost, 0.0))
    result = k * LN2_HIGH - (log1p_remainder(f, k * LN2_LOW + lost * log1p_slope(f)) - f)
    result = where(x > -1.0, result, where(x == -1.0, -np.inf, np.nan))
    result = where(x < np.inf, result, x)
    return where(abs(x) < 2.0**-54, x, result)


def log1p_gap(x: float) -> float:
    """x - log(1 + x), without the cancellation near 0; below 3 ulp. 0 at 0, inf at -1 and at inf, NaN below -1.

    As `log1p`: 1 + x = u + error, u = 2**k m. Then it is (u - m) - k ln 2 plus the same of m, and the error counts to
    first order, 1 - 1/u of it.
    """
    u = 1.0 + x
    bits = bits_of(u) + (ONE_BITS - SQRT_HALF_BITS)
    exponent = (bits >> 52) & 0xFFF
    k = float_of(exponent | TWO_52_BITS) - (2.0**52 + 1023.0)
    near = k == 0.0
    m = float_of((bits & FRACTION_MASK) + SQRT_HALF_BITS)
    f = where(near, x, m - 1.0)
    lost = where(x > 1.0, 1.0 - (u - x), x - (u - 1.0))
    lost = lost * (1.0 - float_of((2046 - exponent) << 52) * log1p_slope(f))
    lost = where(near, 0.0, where(x < 2.0**60, lost, 0.0))
    shift = where(near, 0.0, (u - m) - k * LN2_HIGH)
    result = shift + (log1p_remainder(f, k * LN2_LOW) + lost)
    result = where(x > -1.0, result, where(x == -1.0, np.inf, np.nan))
    return where(x < np.inf, result, x)


def split(x: float) -> tuple[float, int]:
    """(f, k) with x = 2**k f and f in [sqrt(1/2), sqrt(2)), for positive normal x; k is a whole number in 64 bits."""
    bits = bits_of(x) + (ONE_BITS - SQRT_HALF_BITS)
    return float_of((bits & FRACTION_MASK) + SQRT_HALF_BITS), (bits >> 52) - 1023


def log_of_product(fraction: float, exponent: float, excess: float) -> float:
    """log(2**exponent fraction), fraction in [sqrt(1/2), sqrt(2)); for exponent 0 it is log(1 + excess)."""
    f = where(exponent == 0.0, excess, fraction - 1.0)
    return exponent * LN2_HIGH - (log1p_remainder(f, exponent * LN2_LOW) - f)


def xlogy(x: float, y: float) -> float:
    """x log(y), and 0 where x = 0, whatever y is unless NaN; below 2 ulp (the product rounds once more)."""
    product = x * log(y)
    return where(x == 0.0, where(y == y, 0.0, y), product)
