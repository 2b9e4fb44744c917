"""Oracles for the elementary functions: mpmath at 80 digits, errors in ulp, and arguments worth trying."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import mpmath
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LARGEST = mpmath.mpf(2) ** 1024


def _sigmoid(x: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.log1p(mpmath.exp(x))


def _log_cosh(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.log1p(2 * mpmath.sinh(x / 2) ** 2)


def _clipped(function: Callable[..., mpmath.mpf], low: float, high: float) -> Callable[..., mpmath.mpf]:
    """The function of an argument clipped to where float64 still tells values apart: beyond, mpmath crawls."""
    return lambda x: function(min(max(x, low), high))


# Each on its domain; beyond the clipping points float64 has one value, or (softplus, log_cosh) x to the last bit.
REFERENCES: dict[str, Callable[..., mpmath.mpf]] = {
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "exp": _clipped(mpmath.exp, -2000.0, 2000.0),
    "tail_exp": lambda x: mpmath.mpf(2) ** 200 * mpmath.exp(max(x, mpmath.mpf(-800))) if x < 0.0 else mpmath.mpf(0),
    "expm1": _clipped(mpmath.expm1, -2000.0, 2000.0),
    "tanh": _clipped(mpmath.tanh, -2000.0, 2000.0),
    "sigmoid": _clipped(_sigmoid, -2000.0, 2000.0),
    "softplus": lambda x: x if x > 2000.0 else _softplus(max(x, -2000.0)),
    "log_sigmoid": lambda x: x if x < -2000.0 else -_softplus(max(-x, -2000.0)),
    "log_cosh": lambda x: _log_cosh(x) if abs(x) < 2000.0 else abs(x) - mpmath.ln2,
    "log1p_gap": lambda x: x - mpmath.log1p(x) if abs(x) > 1e-30 else x * x / 2 - x**3 / 3,
    "log_factorial": lambda x: mpmath.loggamma(1 + x) if x > 1e-30 else -mpmath.euler * x,
    "sqrt": mpmath.sqrt,
    "square": lambda x: x * x,
    "absolute": abs,
    "sign": mpmath.sign,
    "xlogy": lambda x, y: x * mpmath.log(y),
    "maximum": max,
    "minimum": min,
}
BINARY = ("xlogy", "maximum", "minimum")
# Where a function is defined: the lower end, excluded.
LOWER = {"log": 0.0, "log1p": -1.0, "log1p_gap": -1.0, "log_factorial": 0.0, "sqrt": 0.0}
# And the upper end.
UPPER = {"tail_exp": 0.0}
HARD_EXPM1 = (0.3481090453915511, 0.34962468333, 0.3526369504818568, 0.3561461842639686)
# Where the formulas change, inside and at the ends of the range; for expm1 also where rounding k to the nearest would
# be more than 1 ulp off.
THRESHOLDS: dict[str, tuple[float, ...]] = {
    "log": (math.sqrt(0.5), math.sqrt(2.0), 1.0, 2.0**-1022),
    "log1p": (math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0, 1.0, -1.0, 2.0**60, 2.0**-54),
    "exp": (-700.0, -708.3964185322641, -745.1332191019411, 709.782712893384, 0.34657359, -0.34657359),
    "tail_exp": (-800.0, -746.0, -708.3964185322641, -0.34657359),
    "expm1": (math.log(1.5), math.log(0.75), -40.0, -37.42, 709.782712893384, 2.0**-54, *HARD_EXPM1),
    "tanh": (0.625, -0.625, 19.0615, 22.0, -22.0),
    "sigmoid": (-700.0, -708.3964185322641, -745.1332191019411, 36.7, -36.7, 2.0**-54),
    "softplus": (1.0, -1.0, 64.0, 36.7, -36.7, -700.0, -708.3964185322641, -745.1332191019411),
    "log_sigmoid": (1.0, -1.0, -64.0, 36.7, 700.0, 745.1332191019411),
    "log_cosh": (0.625, -0.625, 373.0, 2.0**60),
    "log1p_gap": (math.sqrt(0.5) - 1.0, math.sqrt(2.0) - 1.0, 2.0 * math.sqrt(2.0) - 1.0, 2.0**60),
    "log_factorial": (1.0, 1.25, 4.0),
    "square": (1.0,),
}
# Where the errors are largest: just past a change of formula, and around the values that losses meet.
DENSE = (
    (-1.2, 1.2),
    (0.3, 0.75),
    (-0.75, -0.25),
    (0.62, 0.68),
    (-1.1, -0.9),
    (-40.0, 40.0),
    (36.5, 38.5),
    (-750.0, -690.0),
)


def ulp_error(value: float, exact: mpmath.mpf) -> float:
    """How far `value` is from `exact`, in units in the last place of `exact`; infinity counts as 2**1024."""
    if math.isnan(value):
        return math.inf
    exact = min(max(exact, -LARGEST), LARGEST)
    got = mpmath.sign(value) * LARGEST if math.isinf(value) else mpmath.mpf(value)
    exponent = min(max(mpmath.frexp(exact)[1], -1021), 1024)
    return float(abs(got - exact) * mpmath.mpf(2) ** (53 - exponent))


def every_binade(rng: np.random.Generator, each: int) -> Array:
    """`each` random numbers with every exponent, subnormal ones among them, both signs, and the ends of the range."""
    exponents = np.repeat(np.arange(-1074, 1024), each)
    sizes: Array = np.ldexp(rng.uniform(1.0, 2.0, exponents.size), exponents)
    sizes = np.concatenate([sizes, [2.0**-1074, 2.0**-1022, np.nextafter(2.0**-1022, 0.0), np.finfo(np.float64).max]])
    signs: Array = rng.choice([-1.0, 1.0], sizes.size)
    return sizes * signs


def neighbours(points: Iterable[float], steps: int = 8) -> Array:
    """The floats around each point, `steps` on either side."""
    offsets = np.arange(-steps, steps + 1)
    return np.concatenate([(np.float64(point).view(np.int64) + offsets).view(np.float64) for point in points])


def arguments(name: str, seed: int) -> Array:
    """Every binade, every threshold with its neighbours and dense ranges, within the function's domain."""
    rng = np.random.default_rng(seed)
    dense = [rng.uniform(low, high, 250) for low, high in DENSE]
    values: Array = np.concatenate([every_binade(rng, 2), neighbours(THRESHOLDS.get(name, ()) or (1.0,)), *dense])
    if name in LOWER:
        # Fold what is outside back in, so that each binade keeps its samples.
        values = np.where(values > LOWER[name], values, np.abs(values))
    values = np.where(values <= UPPER.get(name, math.inf), values, -np.abs(values))
    inside: Array = values[(values != 0.0) & (values != LOWER.get(name))]
    return inside
