"""Cross-entropy of amounts, whose shares are meant (`normalize`): rows are divided by their sum inside the logarithm.

What a nearly certain row loses is the share of the classes beside the certain one, of which the rounded sum of the row
has few digits or none: such rows are read again for the amounts of those classes alone.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ..domains import CLASS_PROBABILITY
from ..scalar import LN2_HIGH, where
from ..shares import log_of_quotient
from ..spec import Definition, Loss, Monoid, Scope, define, fold, gradient_of

# The surprise of a row, as a part of its targets, to which the rounding of the row's sum may matter.
SMALL = 2.0**-10


@fold(Monoid.SUM)
def row_total(prediction: float) -> float:
    return prediction


@fold(Monoid.TARGET_SUM)
def target_mass(target: float) -> float:
    return target


@fold(Monoid.TARGET_SUM)
def rounded_surprise(prediction: float, target: float, row_total: float) -> float:
    """-y ln(p/Σp); NaN of a row that has no sum."""
    k, s, rest = log_of_quotient(row_total, prediction)
    value = where(prediction > 0.0, k * LN2_HIGH + (2.0 * s + rest), prediction / row_total + math.inf)
    return where(target == 0.0, 0.0, target * value)


def is_nearly_certain(rounded_surprise: float, target_mass: float) -> bool:
    """Whether one class has nearly all of a row, and of its target."""
    return rounded_surprise < SMALL * target_mass


def has_the_most(amount: float, row_total: float) -> bool:
    """Whether a class has more than all others together."""
    return amount > 0.5 * row_total


def minor(prediction: float, row_total: float) -> float:
    return where(has_the_most(prediction, row_total), 0.0, prediction)


@fold(Monoid.SUM, when=is_nearly_certain)
def minor_amounts(prediction: float, row_total: float) -> float:
    return minor(prediction, row_total)


@fold(Monoid.SUM, when=is_nearly_certain)
def largest_amount(prediction: float, row_total: float) -> float:
    return prediction - minor(prediction, row_total)


@fold(Monoid.SUM, when=is_nearly_certain)
def target_of_largest(prediction: float, target: float, row_total: float) -> float:
    return where(has_the_most(prediction, row_total), target, 0.0)


def cce_of_amounts(
    rounded_surprise: float,
    target_mass: float,
    row_total: float,
    minor_amounts: float,
    largest_amount: float,
    target_of_largest: float,
) -> float:
    # What rounding took from the sum of the row is so small a part of it that it is its own logarithm.
    lost = (minor_amounts - (row_total - largest_amount)) / row_total
    is_small = is_nearly_certain(rounded_surprise, target_mass)
    return where(is_small, rounded_surprise + target_of_largest * lost, rounded_surprise)


@fold(Monoid.SUM)
def amounts_below(prediction: float, row_total: float) -> float:
    return minor(prediction, row_total)


def share_of_others(amount: float, row_total: float, amounts_below: float) -> float:
    """What all classes but one have: no digits are lost where that is little."""
    return where(has_the_most(amount, row_total), amounts_below, row_total - amount) / row_total


def cce_of_amounts_gradient(
    prediction: float, target: float, row_total: float, target_mass: float, amounts_below: float
) -> float:
    """(Σ y - y Σp/p)/Σp, by the amount of the others: next to p = Σp both terms are nearly equal."""
    of_target = where(target == 0.0, 0.0, target * share_of_others(prediction, row_total, amounts_below) / prediction)
    return (target_mass - target) / row_total - of_target


SURPRISE = (row_total, target_mass, rounded_surprise, minor_amounts, largest_amount, target_of_largest)
OF_AMOUNTS = define(cce_of_amounts, CLASS_PROBABILITY, Scope.ROW, (*SURPRISE, amounts_below))
gradient_of(cce_of_amounts)(cce_of_amounts_gradient)


def divided_in_place(definition: Definition) -> Callable[[Loss, Mapping[str, Any]], dict[str, Any]]:
    """How `normalize` adapts a loss: rows are divided inside this definition, unless a guard has to see the shares."""

    def adapt(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
        if not options.get("normalize") or options["eps"]:
            return {}
        return {"forms": {**loss.forms, "prob": definition}}

    return adapt
