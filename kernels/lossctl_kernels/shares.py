"""Logarithms of shares and of quotients: what losses take where an argument is known to be of a part of the range.

They leave out what `scalar.py` does for other arguments, and are written as it says. Errors are in ulp; the tests hold
them.
"""

from __future__ import annotations

import numpy as np

from .scalar import (
    FRACTION_MASK,
    LN2_HIGH,
    LN2_LOW,
    ONE_BITS,
    SHIFT,
    SQRT_HALF_BITS,
    TWO_52_BITS,
    bits_of,
    exp,
    float_of,
    is_subnormal,
    log1p_remainder,
    log_of_positive,
    where,
)

SHIFT_BITS = 0x4338000000000000
HALF_EXPONENT = 1 << 51


# ---- shares
def sigmoids(x: float) -> tuple[float, float]:
    """(sigmoid(x), sigmoid(-x)), any x; below 3 ulp, subnormal results included."""
    power = exp(-abs(x))
    larger = 1.0 / (1.0 + power)
    smaller = power * larger
    positive = x > 0.0
    return where(positive, larger, smaller), where(positive, smaller, larger)


def log_of_share(x: float) -> float:
    """Natural logarithm of a share, or of any finite x >= 0; below 1 ulp. -inf at ±0, NaN for NaN."""
    return where(x > 0.0, log_of_positive(x), x - np.inf)


def log_of_complement(x: float) -> float:
    """log(1 - x) of a share x, 0 <= x <= 1; below 3 ulp. -inf at 1, NaN for NaN."""
    complement = 1.0 - x
    k, f, rest = split_log(complement, -x)
    return where(complement > 0.0, k * LN2_HIGH - (rest - f), complement - np.inf)


def log1p_of_share(x: float) -> float:
    """log(1 + x) of a share x, 0 <= x <= 1; below 2 ulp. NaN for NaN.

    (1 + x)/2 - 1 = (x - 1)/2 is exact where it takes the place of x.
    """
    near = x < 0.4142135623730951
    f = where(near, x, 0.5 * x - 0.5)
    return where(near, 0.0, LN2_HIGH) - (log1p_remainder(f, where(near, 0.0, LN2_LOW)) - f)


def split_log(x: float, excess: float) -> tuple[float, float, float]:
    """(k, f, rest) with log x = k * LN2_HIGH + (f - rest), for positive normal x; `excess` is x - 1 without rounding.

    As `log_of_positive`, but for k = 0 f is the excess: the rest is f - log(1 + f), nearly f²/2.
    """
    bits = bits_of(x) + (ONE_BITS - SQRT_HALF_BITS)
    k = float_of(((bits >> 52) & 0xFFF) | TWO_52_BITS) - (2.0**52 + 1023.0)
    f = where(k == 0.0, excess, float_of((bits & FRACTION_MASK) + SQRT_HALF_BITS) - 1.0)
    return k, f, log1p_remainder(f, k * LN2_LOW)


# ---- quotients
def split_quotient(a: float, b: float) -> tuple[float, float, float]:
    """(k, q b' - b', q b' + b') with a / b = 2**k q, for positive normal a and b; b' is b, brought to [1, 2).

    q is in [2/3, 3/2], k is 0 wherever a / b is in [3/4, 4/3]. The difference over the sum is s = (q - 1)/(q + 1), so
    that log q = 2 atanh(s), and the difference is exact (Sterbenz). Of 0, infinity and NaN all three are finite.

    As integers, bits of floats grow nearly as their logarithms do: the difference, to the nearest whole number of
    exponents, is k, and what is left takes b' to q b'.
    """
    b_bits = bits_of(b)
    difference = bits_of(a) - b_bits + HALF_EXPONENT
    base = float_of((b_bits & FRACTION_MASK) | ONE_BITS)
    other = float_of((difference & FRACTION_MASK) + (bits_of(base) - HALF_EXPONENT))
    k = float_of((difference >> 52) + SHIFT_BITS) - SHIFT
    return k, other - base, other + base


def log_rest(k: float, s: float) -> float:
    """2 atanh(s) - 2 s + k * LN2_LOW, for |s| <= 1/5: with 2 s and k * LN2_HIGH it is log(2**k (1 + s)/(1 - s)).

    s z P(z), z = s², P an own minimax polynomial: of 2 atanh(s) the relative error is 2**-56.
    """
    z = s * s
    p = 0.15364081695574935
    p = p * z + 0.1525078750366326
    p = p * z + 0.18186321523350119
    p = p * z + 0.2222213949868798
    p = p * z + 0.28571429380361446
    p = p * z + 0.39999999996268765
    p = p * z + 0.6666666666667244
    return s * (z * p) + k * LN2_LOW


def log_of_quotient(a: float, b: float) -> tuple[float, float, float]:
    """(k, s, rest) with log(a / b) = k * LN2_HIGH + (2 s + rest), for positive finite a and b, however far apart.

    As `split_quotient` and `log_rest` have them; 2 s + rest is below 2 ulp where k = 0, however near a and b are.
    """
    a_subnormal, b_subnormal = is_subnormal(a), is_subnormal(b)
    a, b = where(a_subnormal, a * 2.0**54, a), where(b_subnormal, b * 2.0**54, b)
    k, difference, total = split_quotient(a, b)
    k = k - (where(a_subnormal, 54.0, 0.0) - where(b_subnormal, 54.0, 0.0))
    s = difference / total
    return k, s, log_rest(k, s)
