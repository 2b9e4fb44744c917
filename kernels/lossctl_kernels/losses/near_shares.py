"""Shares that are given by their logarithms, next to those of the target: there y - p has few of their digits.

The exponential is then wanted to more digits than a number has. That takes several times as long as a rounded one,
which will do for most rows: a row is summed again only where the first sum is small, so that its terms nearly cancel.
Sums of differences of shares have two parts, of which the first is exact: its terms are multiples of 2**-51, and it
stays below 4.
"""

import math

from ..rare import rarely
from ..scalar import LN2_HIGH, SMALLEST_NORMAL, absolute, difference, exp, log1p, where
from ..shares import log_of_quotient, log_of_share, log_rest
from ..softmax import others, relative_exp
from ..spec import Monoid, fold
from ..wide_exp import times_power_of_two, wide_exp

# The divergence of a row to which rounding its terms may matter: they add up to a few nats before they cancel.
SMALL = 2.0**-7


def on_grid(share: float) -> float:
    """A share, or a difference of two, to a multiple of 2**-51."""
    return (share + 3.0) - 3.0


def below_grid(share: float) -> float:
    """What is left of it, exactly."""
    return share - on_grid(share)


@fold(Monoid.SUM)
def targets_on_grid(target: float) -> float:
    """Σ y, but for what is below the grid."""
    return on_grid(target)


@fold(Monoid.SUM)
def targets_below_grid(target: float) -> float:
    """What that lacks: together they are Σ y to the digits of what it is short of 1."""
    return below_grid(target)


def is_small(rounded_divergence: float) -> bool:
    """Whether a row is to be summed again."""
    return rounded_divergence < SMALL


def wide_share(log_share: float, log_share_low: float = 0.0) -> tuple[float, float]:
    """e**(log_share + log_share_low) in two parts."""
    k, high, low = wide_exp(log_share, log_share_low)
    return times_power_of_two(high, k), times_power_of_two(low, k)


def log_ratio(log_share: float, target: float) -> float:
    """ln(y/p); infinite for y = 0."""
    return log_of_share(target) - log_share


def kl_term_of_log(log_share: float, target: float) -> float:
    """y ln(y/p), rounded."""
    return where(target == 0.0, 0.0, target * log_ratio(log_share, target))


def is_next_to(share: float, target: float) -> bool:
    """Where y - p is exact, and the terms of two rows may cancel."""
    return (absolute(target - share) < 0.25 * share) & (share >= SMALLEST_NORMAL)


def divergence_from(share: float, share_low: float, log_share: float, target: float, is_near: bool) -> float:
    """y ln(y/p) - y + p where y is next to p, of which there are two parts, and else y ln(y/p)."""
    k, s, rest = log_of_quotient(target, share)
    excess = (share - target) + share_low
    t = excess / (target + share)
    near = excess * t - target * log_rest(0.0, t)
    far = where(share < SMALLEST_NORMAL, log_ratio(log_share, target), k * LN2_HIGH + (2.0 * s + rest))
    return where(is_near, near, where(target == 0.0, 0.0, target * far))


# ---- log-probabilities


def kl_rest_of_log(log_share: float, target: float, target_low: float = 0.0) -> float:
    """y ln(y/p) less what `surplus_of_log` has of it; `target_low` is what y lacks where it is rounded."""
    rounded = exp(log_share)
    is_near = is_next_to(rounded, target)
    share, low = wide_share(log_share)
    low = low - target_low
    value = divergence_from(share, low, log_share, target, is_near)
    return value + where(is_near, ((target - share) - on_grid(target - rounded)) - low, 0.0)


def kl_rest_of_logs(log_share: float, log_target: float) -> float:
    """The same given ln y."""
    target = exp(log_target)
    high, low = wide_share(log_target)
    return kl_rest_of_log(log_share, target, (high - target) + low)


def surplus_of_log(log_share: float, target: float) -> float:
    """Next to y, y - p to a multiple of 2**-51, or nearly so: the other term has what it lacks."""
    rounded = exp(log_share)
    return where(is_next_to(rounded, target), on_grid(target - rounded), 0.0)


# ---- logits. q = e**(z - l), where l is their log-sum-exp but for its rounding error: the shares are q/(1 + η).


@fold(Monoid.ONCE)
def log_total(ties: float, tail: float) -> float:
    """The log-sum-exp of a row, less its largest logit."""
    return log1p(others(ties, tail))


@fold(Monoid.ONCE)
def inverse_total(ties: float, tail: float) -> float:
    """What turns exponentials relative to the largest into shares."""
    return 1.0 / (1.0 + others(ties, tail))


def log_share(logit: float, largest: float, log_total: float) -> tuple[float, float]:
    """ln q in two parts."""
    relative, relative_lost = difference(logit, largest)
    share, share_lost = difference(relative, log_total)
    return share, relative_lost + share_lost


def excess_of_logit(logit: float, target: float, largest: float, log_total: float) -> float:
    """q - y next to y."""
    share, low = wide_share(*log_share(logit, largest, log_total))
    return (share - target) + low


@fold(Monoid.SUM, "rounded_divergence")
def kl_terms_of_logits(prediction: float, target: float, largest: float, log_total: float) -> float:
    """y ln(y/q), rounded."""
    value = kl_term_of_log((prediction - largest) - log_total, target)
    return rarely(value == math.inf, kl_term_of_far_logit, value, prediction, target, largest)


def kl_term_of_far_logit(prediction: float, target: float, largest: float) -> float:
    """A share of a difference that is too large may not be; next to it the logarithm of the share is nothing."""
    return 2.0 * (target * (0.5 * largest - 0.5 * prediction))


@fold(Monoid.SUM, when=is_small)
def whole(target: float) -> float:
    """Σ y, but for what is below the grid."""
    return on_grid(target)


@fold(Monoid.SUM, when=is_small)
def entropies_of_logits(
    prediction: float, target: float, largest: float, log_total: float, inverse_total: float
) -> float:
    """y ln(y/q) - y + q, which is at least 0, and what `whole` lacks."""
    logarithm, logarithm_low = log_share(prediction, largest, log_total)
    share, low = wide_share(logarithm, logarithm_low)
    q = relative_exp(prediction, largest) * inverse_total
    is_near = is_next_to(share, target)
    value = divergence_from(share, low, logarithm, target, is_near)
    return where(is_near, value, value - (target - q)) + below_grid(target)


@fold(Monoid.SUM, when=is_small)
def departure(prediction: float, target: float, largest: float, inverse_total: float) -> float:
    """Σ (q - y) and what `whole` lacks: with it η less one, to the digits that a rounded q has."""
    return (relative_exp(prediction, largest) * inverse_total - target) + below_grid(target)
