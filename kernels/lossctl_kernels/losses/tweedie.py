"""The deviances of the Tweedie family: y is the target, μ its predicted mean, p the power with Var y ~ μ^p.

All are functions of ln(y/μ) times μ^(2 - p). The powers named most have closed forms, which take a fraction of the
time: 0 is the normal distribution, 1 Poisson, 1.5 a compound of Poisson and Gamma, 2 Gamma, 3 inverse Gaussian.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..definition import Scalar
from ..domains import NONNEGATIVE, POSITIVE, REAL
from ..rare import rarely
from ..records import replace
from ..scalar import LN2_HIGH, SMALLEST_NORMAL, absolute, exp, expm1, log, maximum, sqrt, square, where
from ..shares import log_of_quotient
from ..spec import Loss, Parameter, Scope, define, definition_of, gradient_of, loss, variant_of
from ..wide_exp import log_over_exp
from .entropies import excess, mean_less
from .likelihoods import without_constant
from .parts import scaled
from .rates import (
    DEVIANCE_PRESETS,
    WITH_LINK,
    Half,
    gamma_deviance,
    gamma_deviance_of_log,
    poisson_deviance,
    poisson_deviance_of_log,
)
from .regression import half_square

SERIES_REACH = 0.8
# Below this no power of y/μ of the exponents at hand overflows.
TURNING = 30.0


def compound(x: float, a: float) -> float:
    """(e**(a x) - 1) / a, which is x at a = 0."""
    return where(a == 0.0, x, expm1(a * x) / where(a == 0.0, 1.0, a))


def deviance_series(v: float, p: float) -> float:
    """Σ binom(-p, k) v**(k + 2) / ((k + 1)(k + 2)), by the quotients -(p + k - 1) v / (k + 2) of its terms."""
    total = 1.0 + 0.0 * v
    for k in (20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1):
        total = 1.0 - v * ((p + (k - 1.0)) / (k + 2.0)) * total
    return 0.5 * square(v) * total


def tweedie_terms(log_mean: float, ratio: float, target: float, v: float, quotient: float, p: float) -> float:
    """Half the deviance of power p, for every p but with no branch at 1 and 2; `ratio` is y/μ, `quotient` ln(y/μ).

    It is μ^(a + 1) [y/μ b(Λ, a) - b(Λ, a + 1)], with a = 1 - p, Λ = ln(y/μ) and b(x, a) = (e**(a x) - 1)/a.
    """
    a = 1.0 - p
    scale = exp((a + 1.0) * log_mean)
    apart = scale * (ratio * compound(quotient, a) - compound(quotient, a + 1.0))
    is_extreme = (target > 0.0) & (maximum(maximum(a * quotient, (a + 1.0) * quotient), quotient) > TURNING)
    apart = rarely(is_extreme, apart_by, apart, quotient, log_mean, a)
    is_near = absolute(v) * maximum(8.0, absolute(p)) < SERIES_REACH
    deviance = rarely(is_near, near_by, apart, scale, v, p)
    nothing = scale / where(a == -1.0, 1.0, a + 1.0) + 0.0 * target
    # Without a positive target there is no logarithm.
    nothing = rarely(target < 0.0, of_negative, nothing, nothing, log_mean, target, a)
    return where(target > 0.0, deviance, nothing)


def near_by(scale: float, v: float, p: float) -> float:
    return where(v == 0.0, 0.0, scale * deviance_series(v, p))


def of_negative(nothing: float, log_mean: float, target: float, a: float) -> float:
    """What a target of 0 has, and a term of the target; powers that allow it are 0 at most, so that a is positive."""
    return nothing - target * exp(a * log_mean) / a


def apart_by(quotient: float, log_mean: float, a: float) -> float:
    """y μ^a b(Λ, a) - μ^(a + 1) b(Λ, a + 1) with nothing in between that overflows.

    Where e**(a Λ) is large, it is turned around: y^(a + 1) [b(-Λ, a + 1) - b(-Λ, a)]. One product, so that what is too
    large is infinite; unless y/μ or its power a + 1 alone is too large, and 1 has no share in b any more.
    """
    log_target = log_mean + quotient
    is_turned = a * quotient > TURNING
    q = where(is_turned, -quotient, quotient)
    is_large = (a + 1.0) * q > 690.0
    own, following = compound(q, a), compound(q, a + 1.0)
    following = where(is_large, 1.0 / where(a == -1.0, 1.0, a + 1.0), following)
    base = where(is_turned, where(is_large, log_mean, log_target), where(is_large, log_target, log_mean))
    scale = exp((a + 1.0) * base)
    exceeds = q > 690.0
    factor = exp(where(exceeds, q + (a + 1.0) * log_mean, q)) * own
    beyond = where(factor < math.inf, factor - scale * following, factor)
    straight = where(exceeds, beyond, scale * (factor - following))
    return where(is_turned, scale * (following - where(is_large, 0.0, own)), straight)


def of_power(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a power needs: targets that such a distribution has, and its closed form."""
    p, link = options["power"], options["link"]
    if link in CLOSED_FORMS.get(p, {}):
        loss = replace(loss, forms={"value": definition_of(CLOSED_FORMS[p][link])})
    if p == 0.0:  # of which scikit-learn drops nothing
        return {"target": REAL, "forms": loss.forms}
    target = REAL if p < 0.0 else NONNEGATIVE if p < 2.0 else POSITIVE
    return {"target": target, "forms": loss.forms, **without_constant(loss, options)}


@loss(
    prediction=POSITIVE,
    formula="2 [max(y, 0)^(2 - p)/((1 - p)(2 - p)) - y μ^(1 - p)/(1 - p) + μ^(2 - p)/(2 - p)]",
    gradient_formula="2 (μ - y) μ^-p; by ln μ 2 (μ - y) μ^(1 - p)",
    options=WITH_LINK,
    aliases={
        "sklearn": (
            "mean_tweedie_deviance",
            "HalfTweedieLoss:half=true,link=log,drop_constant=true",
            "HalfTweedieLossIdentity:half=true",
        ),
    },
    presets=DEVIANCE_PRESETS,
    variants={"link": {"identity": {}}},
    adapt=of_power,
    source="Jørgensen (1987), Exponential dispersion models",
)
def tweedie_deviance(
    prediction: float,
    target: float,
    power: Annotated[float, Parameter("exponent p of the variance: Var y ~ μ^p", gap=(0.0, 1.0), example=1.5)],
    half: Half = 0.0,
) -> float:
    """Deviance of a distribution whose variance is a power of its mean.

    0 is the normal distribution, 1 Poisson, 2 Gamma, 3 inverse Gaussian. Exact for every power, also next to 1 and 2,
    where the textbook formula has lost its digits. Predictions are positive but for power 0; targets may be 0 below
    power 2, and negative up to power 0. `drop_constant=true` leaves out what does not depend on the prediction, as
    scikit-learn does with a logarithmic link; of power 0 nothing is left out.
    """
    k, s, rest = log_of_quotient(target, prediction)
    v = (target - prediction) / prediction
    # What is not finite is not seen in the logarithm.
    quotient = where(absolute(target - prediction) < math.inf, k * LN2_HIGH + (2.0 * s + rest), v)
    return scaled(tweedie_terms(log(prediction), target / prediction, target, v, quotient, power), half)


@gradient_of(tweedie_deviance)
def tweedie_deviance_gradient(prediction: float, target: float, power: float, half: float) -> float:
    # Of the error as a share of the mean there is less to overflow; of powers below 0 of the error itself.
    of_share, error = power > 0.0, prediction - target
    size = exp(where(of_share, 1.0 - power, -power) * log(prediction))
    return scaled(where(error == 0.0, 0.0, where(of_share, error / prediction, error) * size), half)


@variant_of("tweedie_deviance", "link", "log", REAL)
def tweedie_deviance_of_log(prediction: float, target: float, power: float, half: float) -> float:
    k, s, rest = log_over_exp(target, prediction)
    quotient = k * LN2_HIGH + (2.0 * s + rest)
    return scaled(tweedie_terms(prediction, exp(quotient), target, excess(k, s), quotient, power), half)


@gradient_of(tweedie_deviance_of_log)
def tweedie_deviance_of_log_gradient(prediction: float, target: float, power: float, half: float) -> float:
    error, size = mean_less(target, prediction), exp((1.0 - power) * prediction)
    is_extreme = (error == math.inf) | ((error < SMALLEST_NORMAL) & (target == 0.0))
    return scaled(rarely(is_extreme, slope_of_extreme, error * size, prediction, target, power, size), half)


def slope_of_extreme(log_mean: float, target: float, power: float, size: float) -> float:
    """Where the mean itself is too large for a number, or too small; infinite where the amount is too large as well."""
    amount = where(target == 0.0, 0.0, target * size)
    return where(amount == math.inf, math.inf, exp((2.0 - power) * log_mean) - amount)


# ---- closed forms. Those of ln μ would lose the digits of y - μ, where they are no losses of their own.


def compound_poisson_deviance(prediction: float, target: float, half: float) -> float:
    """2 (√y - √μ)²/√μ, half the deviance of power 1.5."""
    root, other = sqrt(prediction), sqrt(target)
    # The difference over the sum has all digits next to μ; what is infinite has none there.
    distance = where(target < math.inf, (target - prediction) / (root + other), other)
    return scaled(2.0 * distance * (distance / root), half)


def inverse_gaussian_deviance(prediction: float, target: float, half: float) -> float:
    """(y - μ)²/(2 μ² y), half the deviance of power 3."""
    v = (target - prediction) / prediction
    return scaled(0.5 * v * (v / target), half)


def normal_deviance(prediction: float, target: float, half: float) -> float:
    return scaled(half_square(prediction - target), half)


def normal_deviance_of_log(prediction: float, target: float, half: float) -> float:
    return scaled(half_square(mean_less(target, prediction)), half)


for form in (compound_poisson_deviance, inverse_gaussian_deviance):
    define(form, POSITIVE, Scope.ELEMENT)


@gradient_of(compound_poisson_deviance)
def compound_poisson_deviance_gradient(prediction: float, target: float, half: float) -> float:
    return scaled((prediction - target) / prediction / sqrt(prediction), half)


@gradient_of(inverse_gaussian_deviance)
def inverse_gaussian_deviance_gradient(prediction: float, target: float, half: float) -> float:
    return scaled((prediction - target) / prediction / prediction / prediction, half)


@gradient_of(normal_deviance)
def normal_deviance_gradient(prediction: float, target: float, half: float) -> float:
    return scaled(prediction - target, half)


@gradient_of(normal_deviance_of_log)
def normal_deviance_of_log_gradient(prediction: float, target: float, half: float) -> float:
    return scaled(mean_less(target, prediction) * exp(prediction), half)


CLOSED_FORMS: Mapping[float, Mapping[str, Scalar]] = {
    0.0: {"identity": normal_deviance, "log": normal_deviance_of_log},
    1.0: {"identity": poisson_deviance, "log": poisson_deviance_of_log},
    1.5: {"identity": compound_poisson_deviance},
    2.0: {"identity": gamma_deviance, "log": gamma_deviance_of_log},
    3.0: {"identity": inverse_gaussian_deviance},
}
