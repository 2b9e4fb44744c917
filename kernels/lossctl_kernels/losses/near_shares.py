"""Shares that are given by their logarithms, next to those of the target: there y - p has few of their digits.

The exponential is then wanted to more digits than a number has. That takes several times as long as a rounded one,
which will do for most rows: a row is summed again only where the first sum is small, so that its terms nearly cancel.
Sums of differences of shares have two parts, of which the first is exact: its terms are multiples of 2**-51, and it
stays below 4.
"""

from ..rare import rarely
from ..scalar import absolute, difference, exp, log1p, where
from ..shares import log_of_share, log_rest
from ..spec import Monoid, fold
from ..wide_exp import times_power_of_two, wide_exp
from .multiclass import others, relative_exp

# How far from 0 the logarithm of a ratio is next to it.
NEAR = 2.0**-6

# The divergence of a row to which rounding its terms may matter: they add up to a few nats before they cancel.
SMALL = 2.0**-7


def on_grid(share: float) -> float:
    """A share, or a difference of two, to a multiple of 2**-51."""
    return (share + 3.0) - 3.0


def below_grid(share: float) -> float:
    """What is left of it, exactly."""
    return share - on_grid(share)


def is_small(divergence: float) -> bool:
    """Whether a row is to be summed again."""
    return divergence < SMALL


def is_next_to(log_ratio: float) -> bool:
    """Where the terms of two rows nearly cancel: elsewhere what rounding leaves is far smaller than the divergence."""
    return absolute(log_ratio) < NEAR


def excess_of_exp(log_share: float, log_share_low: float, target: float) -> tuple[float, float, float]:
    """(p - y in two parts, p) of p = e**(log_share + log_share_low) next to y."""
    k, high, low = wide_exp(log_share, log_share_low)
    share = times_power_of_two(high, k)
    return share - target, times_power_of_two(low, k), share


def entropy_next_to(log_share: float, log_share_low: float, target: float) -> float:
    """y ln(y/p) - y + p."""
    excess, rest, share = excess_of_exp(log_share, log_share_low, target)
    excess = excess + rest
    s = excess / (target + share)
    return excess * s - target * log_rest(0.0, s)


# ---- log-probabilities


def log_ratio_of_logs(log_share: float, target: float) -> float:
    return log_of_share(target) - log_share


def kl_term_of_log(log_share: float, target: float) -> float:
    """y ln(y/p)."""
    return where(target == 0.0, 0.0, target * log_ratio_of_logs(log_share, target))


def kl_rest_of_log(log_share: float, target: float) -> float:
    """y ln(y/p) less what `surplus_of_log` has of it."""
    excess, rest, _ = excess_of_exp(log_share, 0.0, target)
    value = entropy_next_to(log_share, 0.0, target) - ((excess + on_grid(target - exp(log_share))) + rest)
    is_near = is_next_to(log_ratio_of_logs(log_share, target))
    return where(is_near, value, kl_term_of_log(log_share, target))


def surplus_of_log(log_share: float, target: float) -> float:
    """Next to y, y - p to a multiple of 2**-51, or nearly so: the other term has what it lacks."""
    is_near = is_next_to(log_ratio_of_logs(log_share, target))
    return where(is_near, on_grid(target - exp(log_share)), 0.0 * target)


# ---- logits. q = e**(z - l), where l is their log-sum-exp but for its rounding error: the shares are q/(1 + η).


@fold(Monoid.ONCE)
def log_total(ties: float, tail: float) -> float:
    """The log-sum-exp of a row, less its largest logit."""
    return log1p(others(ties, tail))


@fold(Monoid.ONCE)
def inverse_total(ties: float, tail: float) -> float:
    """What turns exponentials relative to the largest into shares."""
    return 1.0 / (1.0 + others(ties, tail))


@fold(Monoid.SUM)
def whole(target: float) -> float:
    """Σ y, but for what is below the grid."""
    return on_grid(target)


def log_ratio(logit: float, target: float, largest: float, log_total: float) -> float:
    """ln(y/q); infinite for y = 0."""
    return log_of_share(target) - ((logit - largest) - log_total)


def log_share(logit: float, largest: float, log_total: float) -> tuple[float, float]:
    """ln q in two parts."""
    relative, relative_lost = difference(logit, largest)
    share, share_lost = difference(relative, log_total)
    return share, relative_lost + share_lost


def excess_of_logit(logit: float, target: float, largest: float, log_total: float) -> float:
    """q - y next to y."""
    share, low = log_share(logit, largest, log_total)
    excess, rest, _ = excess_of_exp(share, low, target)
    return excess + rest


def entropy_of_logit(logit: float, target: float, largest: float, log_total: float) -> float:
    share, low = log_share(logit, largest, log_total)
    return entropy_next_to(share, low, target)


@fold(Monoid.SUM)
def kl_terms_of_logits(prediction: float, target: float, largest: float, log_total: float) -> float:
    """y ln(y/q), rounded."""
    return where(target == 0.0, 0.0, target * log_ratio(prediction, target, largest, log_total))


def entropy_and_remnant(logit: float, target: float, largest: float, log_total: float, inverse_total: float) -> float:
    """y ln(y/q) - y + q, which is at least 0, and what `whole` lacks."""
    ratio = log_ratio(logit, target, largest, log_total)
    q = relative_exp(logit, largest) * inverse_total
    far = where(target == 0.0, q, target * ratio - (target - q))
    return where(is_next_to(ratio), entropy_of_logit(logit, target, largest, log_total), far) + below_grid(target)


@fold(Monoid.SUM)
def entropies_of_logits(
    prediction: float,
    target: float,
    largest: float,
    log_total: float,
    inverse_total: float,
    kl_terms_of_logits: float,
) -> float:
    again, nothing = is_small(kl_terms_of_logits), 0.0 * target
    return rarely(again, entropy_and_remnant, nothing, prediction, target, largest, log_total, inverse_total)


def difference_and_remnant(logit: float, target: float, largest: float, inverse_total: float) -> float:
    return (relative_exp(logit, largest) * inverse_total - target) + below_grid(target)


@fold(Monoid.SUM)
def departure(
    prediction: float, target: float, largest: float, inverse_total: float, kl_terms_of_logits: float
) -> float:
    """Σ (q - y) and what `whole` lacks: with it η less one, to the digits that a rounded q has."""
    again, nothing = is_small(kl_terms_of_logits), 0.0 * target
    return rarely(again, difference_and_remnant, nothing, prediction, target, largest, inverse_total)
