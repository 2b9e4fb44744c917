"""Quantiles of Student's t distribution, which an interval of a mean is made of; SciPy would take longer to load."""

from __future__ import annotations

import math

_TINY = 1e-300
_MOST_STEPS = 200
# From here on two terms of the expansion about the normal quantile (Fisher, Cornish 1960) have all the digits.
_NORMAL_DEGREES = 10_000


def student_quantile(probability: float, degrees: float) -> float:
    """The number below which a t variable with `degrees` > 0 lies with `probability`, between 0.5 and 1, not 1.

    Accurate to about ten digits.
    """
    if probability == 0.5:
        return 0.0
    tail = 1.0 - probability
    # Imported here: it is slow to load, and most commands need no interval.
    from statistics import NormalDist

    normal = -NormalDist().inv_cdf(tail)
    if degrees >= _NORMAL_DEGREES:
        second = (5.0 * normal**5 + 16.0 * normal**3 + 3.0 * normal) / 96.0
        return normal + ((normal**3 + normal) / 4.0 + second / degrees) / degrees
    low, high = 0.0, max(2.0 * normal, 1.0)
    while _upper_tail(high, degrees) > tail:
        low, high = high, 2.0 * high
    while high - low > 1e-14 * high:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if _upper_tail(middle, degrees) > tail:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def _upper_tail(t: float, degrees: float) -> float:
    """The probability of more than t >= 0: half of the regularised incomplete beta function I_x(degrees/2, 1/2)."""
    x, rest = degrees / (degrees + t * t), t * t / (degrees + t * t)
    if t == 0.0:
        return 0.5
    a, b = 0.5 * degrees, 0.5
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - a * math.log1p(t * t / degrees)
    front = math.exp(log_front + b * math.log(rest))
    if x < (a + 1.0) / (a + b + 2.0):
        return 0.5 * front * _continued_fraction(x, a, b) / a
    return 0.5 * (1.0 - front * _continued_fraction(rest, b, a) / b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """Of the incomplete beta function, by Lentz's method (Press et al., Numerical Recipes, 6.4)."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    product = d
    for m in range(1, _MOST_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            product *= c * d
        if abs(c * d - 1.0) < 1e-15:
            break
    return product


def _away_from_zero(number: float) -> float:
    return number if abs(number) > _TINY else _TINY
