"""How far a target is from a positive mean, or from one given by its logarithm: y is the target, μ the mean."""

import math

from ..rare import rarely
from ..scalar import LN2_HIGH, absolute, exp, where
from ..shares import log_of_quotient
from ..wide_exp import log_over_exp, times_power_of_two, wide_exp

# How far from a number one is next to it, as a share of it.
NEAR = 2.0**-11
# Of means whose logarithm is larger than this the distance from every number is too large for one.
LARGEST_LOG = 711.0


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
    value = entropy_by_logarithm(target, mean, k, s, rest)
    # Of a target of 0 there is no logarithm; next to an infinite mean no term counts.
    value = where((target == 0.0) | (mean == math.inf), mean, value)
    is_just_large = is_just_too_large(mean, target, log_mean)
    return rarely(is_just_large, entropy_of_large, value, target, log_mean, k, s, rest)


def entropy_by_logarithm(target: float, mean: float, k: float, s: float, rest: float) -> float:
    """y ln(y/μ) - y + μ, given ln(y/μ) as `log_over_exp` has it."""
    far = target * (k * LN2_HIGH + (2.0 * s + rest)) - (target - mean)
    return where(k == 0.0, (target + mean) * s * s + target * rest, far)


def entropy_of_large(target: float, log_mean: float, k: float, s: float, rest: float) -> float:
    """The same of sixteenths of both numbers, where only the mean itself is too large for one."""
    exponent, high, _ = wide_exp(log_mean)
    return 16.0 * entropy_by_logarithm(0.0625 * target, times_power_of_two(high, exponent - 4.0), k, s, rest)


def is_just_too_large(mean: float, target: float, log_mean: float) -> bool:
    """Whether a mean is too large for a number, but not by so much that its distance from any target is."""
    return (mean == math.inf) & (log_mean < LARGEST_LOG) & (target < math.inf)


def mean_less(target: float, log_mean: float) -> float:
    """μ - y, given ln μ."""
    mean = exp(log_mean)
    is_near = (absolute(mean - target) < NEAR * mean) | is_just_too_large(mean, target, log_mean)
    return rarely(is_near, mean_less_next_to, mean - target, target, log_mean)


def mean_less_next_to(target: float, log_mean: float) -> float:
    k, high, low = wide_exp(log_mean)
    # Of the largest means sixteenths, which are numbers where the mean is none.
    is_large = k > 1000.0
    k, share = where(is_large, k - 4.0, k), where(is_large, 0.0625, 1.0)
    return ((times_power_of_two(high, k) - share * target) + times_power_of_two(low, k)) * where(is_large, 16.0, 1.0)


def excess(k: float, s: float) -> float:
    """v = y/μ - 1, from ln(y/μ)."""
    inverse = 1.0 / (1.0 - s)
    return where(k == 0.0, 2.0 * s * inverse, times_power_of_two((1.0 + s) * inverse, k) - 1.0)
