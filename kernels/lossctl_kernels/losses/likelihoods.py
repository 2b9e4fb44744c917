"""Deviances without the terms that do not depend on the prediction: what is left of a negative log-likelihood.

Their gradients are those of the deviances. scikit-learn's losses with a logarithmic link have these values.
"""

import math
from collections.abc import Mapping
from typing import Any

from ..domains import POSITIVE, REAL
from ..rare import rarely
from ..records import replace
from ..scalar import absolute, exp, log, where
from ..spec import Definition, Loss, Scope, define
from ..wide_exp import rounded_exp, times_power_of_two
from .parts import scaled


def xlog(target: float, log_mean: float) -> float:
    """y ln μ, and 0 for y = 0."""
    return where(target == 0.0, 0.0, target * log_mean)


def poisson_likelihood(prediction: float, target: float, half: float) -> float:
    return scaled(prediction - xlog(target, log(prediction)), half)


def poisson_likelihood_of_log(prediction: float, target: float, half: float) -> float:
    mean, amount = exp(prediction), xlog(target, prediction)
    is_large = (mean == math.inf) | (amount == math.inf)
    return scaled(rarely(is_large, poisson_of_large_log, mean - amount, prediction, target), half)


def poisson_of_large_log(log_mean: float, target: float) -> float:
    """Where only the difference may be small enough for a number; infinite if the mean is too large and it is not."""
    k, high, low = rounded_exp(log_mean)
    mean = times_power_of_two(high, k - 4.0), times_power_of_two(low, k - 4.0)
    value = 16.0 * ((mean[0] - (0.0625 * target) * log_mean) + mean[1])
    return where((absolute(value) < math.inf) | (exp(log_mean) < math.inf), value, math.inf)


def gamma_likelihood(prediction: float, target: float, half: float) -> float:
    return scaled(log(prediction) + target / prediction, half)


def gamma_likelihood_of_log(prediction: float, target: float, half: float) -> float:
    return scaled(prediction + exp(log(target) - prediction), half)


def power_over(log_mean: float, exponent: float) -> float:
    """μ^a / a."""
    return exp(exponent * log_mean) / exponent


def amount_by_power_over(target: float, log_mean: float, exponent: float) -> float:
    """y μ^a / a. By the root of the power, which may be too large or too small for a number itself."""
    root = exp(0.5 * exponent * log_mean)
    return where(target == 0.0, 0.0, target * root * root / exponent)


def tweedie_likelihood(prediction: float, target: float, power: float, half: float) -> float:
    return tweedie_likelihood_of_log(log(prediction), target, power, half)


def tweedie_likelihood_of_log(prediction: float, target: float, power: float, half: float) -> float:
    """μ^(2 - p)/(2 - p) - y μ^(1 - p)/(1 - p)."""
    a = 1.0 - power
    value = power_over(prediction, a + 1.0) - amount_by_power_over(target, prediction, a)
    return scaled(rarely(value != value, tweedie_of_large, value, prediction, target, a), half)


def tweedie_of_large(log_mean: float, target: float, a: float) -> float:
    """μ^a (μ a/(a + 1) - y)/a, where both products are too large for a number."""
    root, difference = exp(0.5 * a * log_mean), exp(log_mean) * (a / (a + 1.0)) - target
    return where(difference == 0.0, 0.0, difference * root * root / a)


LIKELIHOODS: Mapping[str, Mapping[str, Definition]] = {
    "poisson_deviance": {
        "identity": define(poisson_likelihood, POSITIVE, Scope.ELEMENT),
        "log": define(poisson_likelihood_of_log, REAL, Scope.ELEMENT),
    },
    "gamma_deviance": {
        "identity": define(gamma_likelihood, POSITIVE, Scope.ELEMENT),
        "log": define(gamma_likelihood_of_log, REAL, Scope.ELEMENT),
    },
    "tweedie_deviance": {
        "identity": define(tweedie_likelihood, POSITIVE, Scope.ELEMENT),
        "log": define(tweedie_likelihood_of_log, REAL, Scope.ELEMENT),
    },
}


# Where 1 - p or 2 - p is 0 there is no power to divide by it, but a logarithm.
OF_POWER = {1.0: "poisson_deviance", 2.0: "gamma_deviance"}


def without_constant(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """The value without its constant where that is asked for. The derivative is that of the deviance."""
    if not options["drop_constant"]:
        return {}
    (form,), name = loss.forms.values(), OF_POWER.get(options.get("power", 0.0), loss.name)
    return {"forms": {"value": replace(LIKELIHOODS[name][options["link"]], gradient=form.gradient)}}
