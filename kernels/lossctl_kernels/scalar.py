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

from .exponentials import exp, exp_pair, expm1, normal_exp, normal_expm1, reduced_exp, tail_exp
from .factorials import factorial_excess, log_factorial
from .hyperbolic import log_cosh, log_sigmoid, sigmoid, softplus, tanh
from .logarithms import (
    log,
    log1p,
    log1p_gap,
    log1p_remainder,
    log1p_slope,
    log_of_positive,
    log_of_product,
    split,
    xlogy,
)
from .primitives import (
    EXPONENT_MASK,
    FRACTION_MASK,
    HALF_LOG_TWO_PI,
    LEADING_HALF_MASK,
    LN2_HIGH,
    LN2_LOW,
    LOG2_3_HALVES,
    LOG2_E,
    ONE_BITS,
    SHIFT,
    SIGN_MASK,
    SMALLEST_NORMAL,
    SQRT_HALF_BITS,
    TAIL_UNSCALE,
    TWO_52_BITS,
    TWO_200_BITS,
    absolute,
    bits_of,
    difference,
    float_of,
    is_subnormal,
    leading_half,
    maximum,
    minimum,
    power_of_two,
    power_of_two_scale,
    sign,
    sqrt,
    square,
    where,
)

__all__ = [
    "EXPONENT_MASK",
    "FRACTION_MASK",
    "HALF_LOG_TWO_PI",
    "LEADING_HALF_MASK",
    "LN2_HIGH",
    "LN2_LOW",
    "LOG2_3_HALVES",
    "LOG2_E",
    "ONE_BITS",
    "SHIFT",
    "SIGN_MASK",
    "SMALLEST_NORMAL",
    "SQRT_HALF_BITS",
    "TAIL_UNSCALE",
    "TWO_52_BITS",
    "TWO_200_BITS",
    "ULP_BOUNDS",
    "absolute",
    "bits_of",
    "difference",
    "exp",
    "exp_pair",
    "expm1",
    "factorial_excess",
    "float_of",
    "is_subnormal",
    "leading_half",
    "log",
    "log1p",
    "log1p_gap",
    "log1p_remainder",
    "log1p_slope",
    "log_cosh",
    "log_factorial",
    "log_of_positive",
    "log_of_product",
    "log_sigmoid",
    "maximum",
    "minimum",
    "normal_exp",
    "normal_expm1",
    "power_of_two",
    "power_of_two_scale",
    "reduced_exp",
    "sigmoid",
    "sign",
    "softplus",
    "split",
    "sqrt",
    "square",
    "tail_exp",
    "tanh",
    "where",
    "xlogy",
]

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
