"""Elementary functions on which every loss is built: at most 1 ulp, branch-free, one definition for every backend.

Each function is plain Python and runs unchanged in three ways: traced into machine code (`trace.py`), interpreted on
NumPy float64 arrays or scalars, and on CUDA devices. The annotations name the scalar form. An interpreter wraps its
calls in `numpy.errstate(all="ignore")`: overflow and NaN are answers here, not faults.

How they are written, so that LLVM turns a loop over them into vector code:
- no branch: all sides are computed and `where` selects; special values of IEEE 754 are selects at the end;
- no conversion between integers and floats (AVX2 has none for 64 bits): adding `SHIFT` = 1.5 * 2**52 rounds to an
  integer and leaves that integer in the low bits;
- every formula holds with and without fused multiply-add: error terms are only taken of sums, or of products made
  exact by clearing low bits (`leading_half`). No formula survives reassociation: never set that flag on them.

Errors are in units in the last place (ulp) of the true value; `ULP_BOUNDS`, at the end, is what the tests hold.
"""

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


# ---- shared parts ----------------------------------------------------------------------------------------------------
def leading_half(x: float) -> float:
    """The leading 26 bits of x: products of two such numbers are exact."""
    return float_of(bits_of(x) & LEADING_HALF_MASK)


def power_of_two(shifted: float) -> float:
    """2**k for shifted = k + SHIFT, -1022 <= k <= 1023: the bit shift drops all but the low bits, which hold k."""
    return float_of((bits_of(shifted) << 52) + ONE_BITS)


def _reduced_exp(x: float, multiple: float) -> tuple[float, float, float, float]:
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
    """(k + SHIFT, y) with exp(x) = 2**k y: the steps of `_reduced_exp`, for x - k ln 2 within ±0.3467."""
    shifted = x * LOG2_E + SHIFT
    k = shifted - SHIFT
    r = x - k * LN2_HIGH
    low = k * LN2_LOW
    return shifted, 1.0 + (r + (_exp_rest(r - low) - low))


def _exp_pair(x: float) -> tuple[float, float]:
    """exp(x) as an unevaluated sum (high, low) of about 56 bits, for -746 <= x <= 0; gradual underflow to 0."""
    shifted, r, low, t = _reduced_exp(x, x * LOG2_E)
    partial = 1.0 + r
    rest = ((1.0 - partial) + r) + (t - low)
    high = partial + rest
    high_low = (partial - high) + rest
    # Near the subnormal numbers 2**k is applied in two factors, so that only the last product rounds.
    tiny = x < -700.0
    scale = power_of_two(shifted + where(tiny, 64.0, 0.0))
    factor = where(tiny, 2.0**-64, 1.0)
    return high * scale * factor, high_low * scale * factor


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


def _log1p_slope(f: float) -> float:
    """1 / (1 + f) to 1 % over the same interval (own minimax parabola): what a rounding error of 1 + f is worth."""
    return 1.0049951120225056 + f * (0.9142390706250312 * f - 1.0806127678408468)


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


# ---- exponentials ----------------------------------------------------------------------------------------------------
def exp(x: float) -> float:
    """e**x, any x; below 1 ulp. Underflows gradually to 0 (x < -745.13), overflows to inf (x > 709.78)."""
    # Beyond these bounds the result is 0 or inf; NaN fails both comparisons and goes on.
    huge = x > 710.0
    x = where(huge, 710.0, x)
    x = where(x < -746.0, -746.0, x)
    shifted, r, low, t = _reduced_exp(x, x * LOG2_E)
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
    shifted, r, low, t = _reduced_exp(bounded, bounded * LOG2_E - (LOG2_3_HALVES - 0.5))
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
    shifted, r, low, t = _reduced_exp(doubled, doubled * LOG2_E)
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
    power, power_low = _exp_pair(-where(size > 746.0, 746.0, size))
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


# ---- logarithms ------------------------------------------------------------------------------------------------------
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
    result = k * LN2_HIGH - (log1p_remainder(f, k * LN2_LOW + lost * _log1p_slope(f)) - f)
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
    lost = lost * (1.0 - float_of((2046 - exponent) << 52) * _log1p_slope(f))
    lost = where(near, 0.0, where(x < 2.0**60, lost, 0.0))
    shift = where(near, 0.0, (u - m) - k * LN2_HIGH)
    result = shift + (log1p_remainder(f, k * LN2_LOW) + lost)
    result = where(x > -1.0, result, where(x == -1.0, np.inf, np.nan))
    return where(x < np.inf, result, x)


def _factorial_parts(x: float) -> tuple[float, float]:  # noqa: PLR0915 - the terms of three polynomials
    """(ln Γ(1 + x) for 0 <= x <= 4, what Stirling's formula lacks for x >= 4).

    Below 4 it is x (x - 1) times a polynomial, one up to 1.25 and one beyond it, so that its zeros at 0 and 1 keep
    their digits; the rest of Stirling's formula times x is a polynomial in (4/x)². All three are interpolated at the
    zeros of Chebyshev polynomials, relative errors 2**-54 and below.
    """
    t = 1.6 * x - 1.0
    p = -9.464334454479569e-11
    p = p * t + 2.472578992713468e-10
    p = p * t + -1.5040429259814036e-10
    p = p * t + 4.6197855873232734e-10
    p = p * t + -2.5101057299509634e-09
    p = p * t + 6.765254086129429e-09
    p = p * t + -1.69217516013913e-08
    p = p * t + 4.68422842043782e-08
    p = p * t + -1.3117065993155475e-07
    p = p * t + 3.648557756753008e-07
    p = p * t + -1.0196677110627935e-06
    p = p * t + 2.8693158016078853e-06
    p = p * t + -8.133800231749114e-06
    p = p * t + 2.3266151223242466e-05
    p = p * t + -6.73183788516336e-05
    p = p * t + 0.0001977247487565534
    p = p * t + -0.000592751542593674
    p = p * t + 0.0018298211605892111
    p = p * t + -0.0059068448317075774
    p = p * t + 0.020538838367352985
    p = p * t + -0.08223686955427129
    p = p * t + 0.46580963736232694
    u = (2.0 * x - 5.25) / 2.75
    q = 2.3648337924093397e-11
    q = q * u + -6.239097470142711e-11
    q = q * u + 3.4814513175365594e-11
    q = q * u + -1.0897817149623232e-10
    q = q * u + 6.426008174134708e-10
    q = q * u + -1.7428206038320738e-09
    q = q * u + 4.3345901266427626e-09
    q = q * u + -1.2077180383753517e-08
    q = q * u + 3.4082920026038206e-08
    q = q * u + -9.526491447896446e-08
    q = q * u + 2.6729471596326367e-07
    q = q * u + -7.546427095813951e-07
    q = q * u + 2.1438744982008395e-06
    q = q * u + -6.136248987072583e-06
    q = q * u + 1.772672654323063e-05
    q = q * u + -5.1809105809834966e-05
    q = q * u + 0.00015370241052739116
    q = q * u + -0.0004651191514980967
    q = q * u + 0.0014464627611103403
    q = q * u + -0.004680473216804941
    q = q * u + 0.016122494403126998
    q = q * u + -0.06217143260790934
    q = q * u + 0.3144708168365697
    small = x * (x - 1.0) * where(x < 1.25, p, q)
    far = where(x < 4.0, 4.0, x)
    w = square(4.0 / far)
    r = 8.713931088827409e-13
    r = r * w + -6.908647504729469e-12
    r = r * w + 2.937944108266597e-11
    r = r * w + -1.016704375715143e-10
    r = r * w + 3.7813133024051656e-10
    r = r * w + -1.8274536586169934e-09
    r = r * w + 1.284384862771275e-08
    r = r * w + -1.4532177079962954e-07
    r = r * w + 3.1001984108570113e-06
    r = r * w + -0.0001736111111110664
    r = r * w + 0.08333333333333333
    return small, r / far


def log_factorial(x: float) -> float:
    """ln Γ(1 + x), x >= 0; below 4 ulp. NaN below 0, inf at inf. From 4 on by Stirling's formula."""
    small, rest = _factorial_parts(x)
    far = where(x < 4.0, 4.0, x)
    large = ((far + 0.5) * log(far) - far) + (HALF_LOG_TWO_PI + rest)
    result = where(x < 4.0, small, large)
    return where(x >= 0.0, where(x < np.inf, result, x), np.nan)


def factorial_excess(x: float) -> float:
    """ln Γ(1 + x) - (x ln x - x), x >= 0; below 4 ulp. Nothing cancels: of a large x it is ln(2πx)/2. NaN for NaN."""
    small, rest = _factorial_parts(x)
    logarithm = log_of_positive(x)
    result = where(x < 4.0, small + (x - x * logarithm), 0.5 * logarithm + (HALF_LOG_TWO_PI + rest))
    return where(x < np.inf, result, x)


def softplus(x: float) -> float:
    """log(1 + e**x), any x; below 1 ulp, subnormal results (x < -708) included. inf at inf, 0 at -inf.

    |x| < 1: x/2 + ln 2 + log cosh(x/2). Otherwise max(x, 0) + log1p(E), E = e**-|x| <= 0.37 as an unevaluated sum; the
    sum max(x, 0) + E is made first and keeps its rounding error.
    """
    size = abs(x)
    power, power_low = _exp_pair(-where(size > 746.0, 746.0, size))
    positive = where(x > 0.0, x, 0.0)
    total = positive + power
    total_low = (positive - total) + power
    far = total + (total_low - log1p_remainder(power, power_low * _log1p_slope(power)))
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
    power, power_low = _exp_pair(-2.0 * where(size > 373.0, 373.0, size))
    base = size - LN2_HIGH
    base_low = (size - base) - LN2_HIGH
    total = base + power
    total_low = (base - total) + power
    far = total + (total_low + (base_low - log1p_remainder(power, power_low * _log1p_slope(power) - LN2_LOW)))
    return where(size < 0.625, near, where(size < 2.0**60, far, size))


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


# The most that each function is off, in ulp, over all float64 arguments, compiled and interpreted.
ULP_BOUNDS = {
    "log": 1.0,
    "log1p": 1.0,
    "exp": 1.0,
    "tail_exp": 1.0,
    "expm1": 1.0,
    "tanh": 1.0,
    "sigmoid": 1.0,
    "softplus": 1.0,
    "log_sigmoid": 1.0,
    "log_cosh": 1.0,
    "log1p_gap": 3.0,
    "log_factorial": 4.0,
    "xlogy": 2.0,
    "sqrt": 0.5,
    "square": 0.5,
    "absolute": 0.0,
    "sign": 0.0,
    "maximum": 0.0,
    "minimum": 0.0,
}
