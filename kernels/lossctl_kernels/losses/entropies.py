"""How far a target is from a positive mean, or from one given by its logarithm: y is the target, μ the mean."""

import math

from ..rare import rarely
from ..scalar import LN2_HIGH, absolute, exp, where
from ..shares import log_of_quotient
from ..wide_exp import log_over_exp, times_power_of_two, wide_exp

# How far from a number one is next to it, as a share of it.
NEAR = 2.0**-11


def relative_entropy(target: float, mean: float) -> float:
    """y ln(y/μ) - y + μ for μ > 0. Near y = μ, with t = y - μ, it is t s + y (2 atanh(s) - 2 s): nothing cancels."""
    k, s, rest = log_of_quotient(target, mean)
    difference = target - mean
    far = target * (k * LN2_HIGH + (2.0 * s + rest)) - difference
    return where(k == 0.0, difference * s + target * rest, far)


def relative_entropy_of_log(target: float, log_mean: float, log_mean_low: float = 0.0) -> float:
    """The same given ln μ, in two parts where it is known to more digits than one has."""
    k, s, rest = log_over_exp(target, log_mean, log_mean_low)
    mean = exp(log_mean)
    far = target * (k * LN2_HIGH + (2.0 * s + rest)) - (target - mean)
    value = where(k == 0.0, (target + mean) * s * s + target * rest, far)
    # Of a target of 0 there is no logarithm; next to an infinite mean no term counts.
    return where((target == 0.0) | (mean == math.inf), mean, value)


def mean_less(target: float, log_mean: float) -> float:
    """μ - y, given ln μ."""
    mean = exp(log_mean)
    is_near = absolute(mean - target) < NEAR * mean
    return rarely(is_near, mean_less_next_to, mean - target, target, log_mean)


def mean_less_next_to(target: float, log_mean: float) -> float:
    k, high, low = wide_exp(log_mean)
    return (times_power_of_two(high, k) - target) + times_power_of_two(low, k)


def excess(k: float, s: float) -> float:
    """v = y/μ - 1, from ln(y/μ)."""
    inverse = 1.0 / (1.0 - s)
    return where(k == 0.0, 2.0 * s * inverse, times_power_of_two((1.0 + s) * inverse, k) - 1.0)
