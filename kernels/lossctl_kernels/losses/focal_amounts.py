"""The focal loss of amounts, whose shares are meant (`normalize`): see `amounts.py`."""

from ..domains import CLASS_PROBABILITY
from ..scalar import log, log1p, minimum, where
from ..spec import Monoid, Scope, define, fold, gradient_of
from .amounts import amounts_below, has_the_most, row_total, share_of_others
from .parts import power


def through_power(logarithm: float, rest: float, gamma: float) -> float:
    """γ ln p / (1 - p), which (1 - p)^γ makes the slope of the power of the focal loss; 0 at p = 1 and for γ = 0."""
    nothing = (rest == 0.0) | (gamma == 0.0)
    return where(nothing, 0.0, gamma * logarithm / where(rest == 0.0, 1.0, rest))


def surprise_of_amount(amount: float, row_total: float, rest: float) -> float:
    """-ln p of a share of which `rest` is that of the others, where it has more than they."""
    near = 0.0 - log1p(0.0 - minimum(rest, 0.5))
    return where(has_the_most(amount, row_total), near, log(row_total) - log(amount))


@fold(Monoid.TARGET_SUM)
def focal_surprise_of_amounts(
    prediction: float, target: float, class_weight: float, row_total: float, amounts_below: float, gamma: float
) -> float:
    rest = share_of_others(prediction, row_total, amounts_below)
    value = class_weight * power(rest, gamma) * (target * surprise_of_amount(prediction, row_total, rest))
    return where((target == 0.0) | (class_weight == 0.0) | (rest == 0.0), 0.0, value)


@fold(Monoid.TARGET_SUM, "focal_slopes_of_amounts")
def focal_slope_of_amounts(
    prediction: float, target: float, class_weight: float, row_total: float, amounts_below: float, gamma: float
) -> float:
    """α y times the slope by the share and the share itself."""
    rest = share_of_others(prediction, row_total, amounts_below)
    surprise = surprise_of_amount(prediction, row_total, rest)
    of_power = where(prediction == 0.0, 0.0, prediction / row_total * through_power(0.0 - surprise, rest, gamma))
    slope = power(rest, gamma) * (of_power - 1.0)
    return where((target == 0.0) | (class_weight == 0.0), 0.0, target * class_weight * slope)


def focal_of_amounts(focal_surprise_of_amounts: float) -> float:
    return focal_surprise_of_amounts


def focal_of_amounts_gradient(
    prediction: float,
    target: float,
    class_weight: float,
    row_total: float,
    amounts_below: float,
    focal_slopes_of_amounts: float,
    gamma: float,
) -> float:
    """The own slope by the share of the others, less those of the others: nothing cancels at a class alone."""
    own = focal_slope_of_amounts(prediction, target, class_weight, row_total, amounts_below, gamma)
    of_own = where(own == 0.0, 0.0, own * share_of_others(prediction, row_total, amounts_below) / prediction)
    return of_own - (focal_slopes_of_amounts - own) / row_total


FOCAL_OF_AMOUNTS = define(
    focal_of_amounts,
    CLASS_PROBABILITY,
    Scope.ROW,
    (row_total, amounts_below, focal_surprise_of_amounts, focal_slope_of_amounts),
)
gradient_of(focal_of_amounts)(focal_of_amounts_gradient)
