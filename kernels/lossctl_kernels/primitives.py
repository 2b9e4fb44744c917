"""What elementary functions are made of: selections, bits, powers of two. Written as `scalar.py` says."""

from __future__ import annotations

import numpy as np

LOG2_E = 1.4426950408889634
LOG2_3_HALVES = 0.5849625007211562
# ln 2 in two parts; the low 32 bits of the first are zero, so that its product with any exponent is exact (fdlibm).
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10

HALF_LOG_TWO_PI = 0.9189385332046727

SHIFT = 6755399441055744.0
ONE_BITS = 0x3FF0000000000000
TWO_200_BITS = ONE_BITS + (200 << 52)
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
FRACTION_MASK = 0x000FFFFFFFFFFFFF
EXPONENT_MASK = 0x7FF0000000000000
SIGN_MASK = -(1 << 63)
LEADING_HALF_MASK = -(1 << 27)
TWO_52_BITS = 0x4330000000000000
SMALLEST_NORMAL = 2.2250738585072014e-308
TAIL_UNSCALE = 2.0**-200


# ---- primitives: the first six become one to three machine operations ----------------------------------------------
def where(condition: bool, if_true: float, if_false: float) -> float:
    """`if_true` where `condition` holds, else `if_false`; both are always computed."""
    return np.where(condition, if_true, if_false)[()]  # type: ignore[return-value]


def maximum(a: float, b: float) -> float:
    """The larger one; NaN if either is NaN. Of zeros of opposite sign, either."""
    return np.maximum(a, b)  # type: ignore[no-any-return]


def minimum(a: float, b: float) -> float:
    """The smaller one; NaN if either is NaN. Of zeros of opposite sign, either."""
    return np.minimum(a, b)  # type: ignore[no-any-return]


def sqrt(x: float) -> float:
    """Square root, correctly rounded; NaN below zero."""
    return np.sqrt(x)  # type: ignore[no-any-return]


def bits_of(x: float) -> int:
    """The 64 bits of a float64, as an integer."""
    return np.positive(x).view(np.int64)  # type: ignore[no-any-return]


def float_of(bits: int) -> float:
    """The float64 that has these 64 bits."""
    return np.positive(bits).view(np.float64)  # type: ignore[no-any-return]


def is_subnormal(x: float) -> bool:
    """Whether x is below the normal numbers: positive ones, 0 and what is negative. False for data stored in 32 bits.

    Those are normal in 64 bits, or of no interest: the compiler is told so, and leaves out what is done for others.
    """
    known = getattr(x, "is_subnormal", None)
    return x < SMALLEST_NORMAL if known is None else known()


def absolute(x: float) -> float:
    """|x|, exact."""
    return abs(x)


def square(x: float) -> float:
    """x², correctly rounded."""
    return x * x


def sign(x: float) -> float:
    """1 above zero, -1 below; ±0 and NaN are returned as they are."""
    return where(x > 0.0, 1.0, where(x < 0.0, -1.0, x))


def difference(a: float, b: float) -> tuple[float, float]:
    """(a - b, what it lost by rounding), exactly, without which is larger (Knuth); nothing where it is infinite."""
    rounded = a - b
    taken = rounded - a
    lost = (a - (rounded - taken)) - (b + taken)
    return rounded, where(abs(rounded) < np.inf, lost, 0.0)


def power_of_two_scale(x: float) -> float:
    """A power of two near 1/|x|, for norms that neither overflow nor underflow: multiplying by it rounds nothing.

    |x| * scale is in [1, 2) for normal numbers, in [2, 4) from 2**1023 on, and in [2**-51, 1) for subnormal numbers, so
    that the scale and its reciprocal stay finite. 1 for 0, infinities and NaN.
    """
    size = abs(x)
    exponent = bits_of(where(size < 2.0**1023, size, 2.0**1022)) & EXPONENT_MASK
    # The exponent fields of 2**e and 2**-e add up to 2046.
    scale = float_of((2046 << 52) - exponent)
    return where(size > 0.0, where(size < np.inf, scale, 1.0), 1.0)


def leading_half(x: float) -> float:
    """The leading 26 bits of x: products of two such numbers are exact."""
    return float_of(bits_of(x) & LEADING_HALF_MASK)


def power_of_two(shifted: float) -> float:
    """2**k for shifted = k + SHIFT, -1022 <= k <= 1023: the bit shift drops all but the low bits, which hold k."""
    return float_of((bits_of(shifted) << 52) + ONE_BITS)
