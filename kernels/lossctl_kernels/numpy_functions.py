"""NumPy's functions on what is not a number yet: each is the elementary function of `scalar.py` that means the same.

Definitions of one's own may say `numpy.exp` where ours say `exp`. The interpreter calls NumPy's function, compiled code
holds ours: both are right to about 1 ulp.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import scalar

# Beyond it a product rounds too often to be called exact.
LARGEST_WHOLE_POWER = 64


class NoPower(TypeError):
    """An exponent that is neither a whole number nor 0.5."""


def whole_power(base: Any, exponent: Any) -> Any:
    """base**exponent for a constant exponent that is a whole number or 0.5. Raises NoPower for any other."""
    constant = isinstance(exponent, int | float)
    if constant and exponent == 0.5:
        return scalar.sqrt(base)
    if not constant or not abs(exponent) <= LARGEST_WHOLE_POWER or exponent != int(exponent):
        raise NoPower(f"an exponent that is not a whole number up to {LARGEST_WHOLE_POWER}")
    power, square, left = 1.0, base, abs(int(exponent))
    while left:
        if left & 1:
            power = square * power
        square, left = square * square, left >> 1
    return 1.0 / power if exponent < 0 else power


# The first argument of an operator may be a scalar of NumPy's, which would ask NumPy again: the second one answers.
FUNCTIONS: Mapping[np.ufunc, Callable[..., Any]] = {
    np.absolute: operator.abs,
    np.exp: scalar.exp,
    np.expm1: scalar.expm1,
    np.fabs: operator.abs,
    np.greater: lambda a, b: operator.lt(b, a),
    np.greater_equal: lambda a, b: operator.le(b, a),
    np.less: lambda a, b: operator.gt(b, a),
    np.less_equal: lambda a, b: operator.ge(b, a),
    np.log: scalar.log,
    np.log1p: scalar.log1p,
    np.logical_and: lambda a, b: b & a,
    np.logical_or: lambda a, b: b | a,
    np.negative: operator.neg,
    np.power: whole_power,
    np.sign: scalar.sign,
    np.square: scalar.square,
    np.tanh: scalar.tanh,
}
