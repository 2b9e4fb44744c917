"""Losses of positive means against counts and amounts: Poisson and Gamma. μ is the mean, y the target.

Of a deviance everything is a function of v = (y - μ)/μ and of ln(y/μ) = ln(1 + v). Near v = 0, where the terms of the
textbook formulas cancel, it is a series in v or a product with s = (y - μ)/(y + μ), of which ln(y/μ) is 2 atanh(s).
With the logarithmic link μ is an exponential, and a rounded one would have lost the digits of y - μ.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..domains import NONNEGATIVE, POSITIVE, REAL
from ..rare import rarely
from ..records import replace
from ..scalar import (
    HALF_LOG_TWO_PI,
    LN2_HIGH,
    exp,
    factorial_excess,
    log_of_positive,
    where,
)
from ..shares import log_of_quotient
from ..spec import Loss, Parameter, factored_form_of, gradient_of, loss, variant_of
from ..wide_exp import log_over_exp
from .entropies import excess, mean_less, relative_entropy, relative_entropy_of_log
from .likelihoods import poisson_of_large_log, without_constant
from .parts import KERAS, MEAN_PRESETS, PER_ELEMENT, scaled

Half = Annotated[float, Parameter("half of it, whose gradient has no factor 2", words=("false", "true"))]
WITH_LINK = ("link", "drop_constant", *PER_ELEMENT)
DEVIANCE_PRESETS = {**MEAN_PRESETS, "sklearn": {}}


# ---- negative log-likelihoods. `full` adds what depends on the target alone. As ln y! is y ln y - y and an excess, the
# sum is half a deviance and that excess: the terms of the textbook formula cancel where counts are large.


def stirling_excess(target: float) -> float:
    """What Stirling's formula for ln y! has besides y ln y - y."""
    return 0.5 * log_of_positive(target) + HALF_LOG_TWO_PI


def from_zero_on_if_guarded(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """A rate of 0 has a logarithm where something is added to it."""
    forms = {name: replace(form, prediction=NONNEGATIVE) for name, form in loss.forms.items()}
    return {"forms": forms} if options["eps"] else {}


@loss(
    prediction=POSITIVE,
    target=NONNEGATIVE,
    formula="ŷ - y ln(ŷ + ε)",
    gradient_formula="1 - y/(ŷ + ε)",
    options=("full", "eps_mode", *PER_ELEMENT),
    aliases={"keras": ("Poisson",)},
    presets={**MEAN_PRESETS, "keras": {**KERAS, "eps": 1e-7}, "torch": {"eps": 1e-8}},
    variants={"full": {"no": {}}},
    adapt=from_zero_on_if_guarded,
)
def poisson(
    prediction: float,
    target: float,
    eps: Annotated[float, Parameter("added to the rate inside the logarithm", at_least=0.0, modes=("add",))] = 0.0,
) -> float:
    """Negative log-likelihood of a count, given its rate, without the constant ln y!.

    Keras adds 1e-7 inside the logarithm, PyTorch (`log_input=False`) 1e-8. Not the deviance: that is twice this and a
    term of y alone, so that it is 0 at ŷ = y.
    """
    return prediction - target * log_of_positive(prediction + eps)


@gradient_of(poisson)
def poisson_gradient(prediction: float, target: float, eps: float) -> float:
    return (prediction - target + eps) / (prediction + eps)


@variant_of("poisson", "full", "exact", POSITIVE)
def poisson_exact(prediction: float, target: float, eps: float) -> float:
    return above_entropy(prediction, target, eps) + factorial_excess(target)


@variant_of("poisson", "full", "stirling", POSITIVE)
def poisson_stirling(prediction: float, target: float, eps: float) -> float:
    """PyTorch adds Stirling's formula above 1 only."""
    full = above_entropy(prediction, target, eps) + stirling_excess(target)
    return where(target > 1.0, full, poisson(prediction, target, eps))


def above_entropy(rate: float, target: float, eps: float) -> float:
    """y ln y - y and the loss of a rate to which ε is added inside the logarithm."""
    return where(target == 0.0, rate, relative_entropy(target, rate + eps) - eps)


gradient_of(poisson_exact)(poisson_gradient)
gradient_of(poisson_stirling)(poisson_gradient)


@loss(
    target=NONNEGATIVE,
    formula="exp(ŷ) - y ŷ, ŷ the logarithm of the rate",
    gradient_formula="exp(ŷ) - y",
    options=("full", *PER_ELEMENT),
    aliases={"torch": ("PoissonNLLLoss", "poisson_nll_loss"), "sklearn": ("HalfPoissonLoss",)},
    presets=MEAN_PRESETS,
    variants={"full": {"no": {}}},
)
def poisson_nll(prediction: float, target: float) -> float:
    """Negative log-likelihood of a count, given the logarithm of its rate, without the constant ln y!.

    `full=exact` adds ln y!, `full=stirling` what PyTorch adds: Stirling's formula, for y > 1 only.
    """
    rate = exp(prediction)
    amount = target * prediction
    is_large = (rate == math.inf) | (amount == math.inf)
    return rarely(is_large, poisson_of_large_log, rate - amount, prediction, target)


@gradient_of(poisson_nll)
def poisson_nll_gradient(prediction: float, target: float) -> float:
    return mean_less(target, prediction)


@variant_of("poisson_nll", "full", "exact", REAL)
def poisson_nll_exact(prediction: float, target: float) -> float:
    return relative_entropy_of_log(target, prediction) + factorial_excess(target)


@variant_of("poisson_nll", "full", "stirling", REAL)
def poisson_nll_stirling(prediction: float, target: float) -> float:
    full = relative_entropy_of_log(target, prediction) + stirling_excess(target)
    return where(target > 1.0, full, poisson_nll(prediction, target))


gradient_of(poisson_nll_exact)(poisson_nll_gradient)
gradient_of(poisson_nll_stirling)(poisson_nll_gradient)


# ---- deviances. With the logarithmic link the prediction is ln μ.


@loss(
    prediction=POSITIVE,
    target=NONNEGATIVE,
    formula="2 [y ln(y/μ) - y + μ]",
    gradient_formula="2 (1 - y/μ); by ln μ 2 (μ - y)",
    options=WITH_LINK,
    aliases={"sklearn": ("mean_poisson_deviance",)},
    presets=DEVIANCE_PRESETS,
    variants={"link": {"identity": {}}},
    adapt=without_constant,
    source="McCullagh and Nelder (1989), Generalized linear models",
)
def poisson_deviance(prediction: float, target: float, half: Half = 0.0) -> float:
    """Deviance of a count from its predicted mean; 0 where they are equal.

    `drop_constant=true` leaves out what does not depend on the prediction, which is then y ln y - y.
    """
    return scaled(relative_entropy(target, prediction), half)


@gradient_of(poisson_deviance)
def poisson_deviance_gradient(prediction: float, target: float, half: float) -> float:
    return scaled((prediction - target) / prediction, half)


@variant_of("poisson_deviance", "link", "log", REAL)
def poisson_deviance_of_log(prediction: float, target: float, half: float) -> float:
    return scaled(relative_entropy_of_log(target, prediction), half)


@gradient_of(poisson_deviance_of_log)
def poisson_deviance_of_log_gradient(prediction: float, target: float, half: float) -> float:
    return scaled(mean_less(target, prediction), half)


@loss(
    prediction=POSITIVE,
    target=POSITIVE,
    formula="2 [ln(μ/y) + y/μ - 1]",
    gradient_formula="2 (μ - y)/μ²; by ln μ 2 (1 - y/μ)",
    options=WITH_LINK,
    aliases={"sklearn": ("mean_gamma_deviance", "HalfGammaLoss:half=true,link=log,drop_constant=true")},
    presets=DEVIANCE_PRESETS,
    variants={"link": {"identity": {}}},
    adapt=without_constant,
    source="McCullagh and Nelder (1989), Generalized linear models",
)
def gamma_deviance(prediction: float, target: float, half: Half = 0.0) -> float:
    """Deviance of a positive amount from its predicted mean; it does not change if both are rescaled.

    `drop_constant=true` leaves out what does not depend on the prediction, -ln y - 1, as scikit-learn does.
    """
    k, s, rest = log_of_quotient(target, prediction)
    v = (target - prediction) / prediction
    # v - 2 s = v s where s is that of v itself, and not of 2**-k (1 + v).
    leading = where(k == 0.0, v * s, v - 2.0 * s)
    return scaled(leading - rest - k * LN2_HIGH, half)


@factored_form_of(gamma_deviance, sign=-2.0, neutral={"half": 0.0}, within=(2.0**-120, 2.0**120), cancels=True)
def gamma_deviance_factored(prediction: float, target: float) -> tuple[float, float, float]:
    """2 v - 2 ln(1 + v). Four quotients of numbers of this size have a product that neither overflows nor vanishes."""
    inverse = 1.0 / prediction
    v = (target - prediction) * inverse
    return 2.0 * v, target * inverse, v


@gradient_of(gamma_deviance)
def gamma_deviance_gradient(prediction: float, target: float, half: float) -> float:
    return scaled((prediction - target) / prediction / prediction, half)


@variant_of("gamma_deviance", "link", "log", REAL)
def gamma_deviance_of_log(prediction: float, target: float, half: float) -> float:
    k, s, rest = log_over_exp(target, prediction)
    v = excess(k, s)
    return scaled(where(k == 0.0, v * s, v - 2.0 * s) - rest - k * LN2_HIGH, half)


@gradient_of(gamma_deviance_of_log)
def gamma_deviance_of_log_gradient(prediction: float, target: float, half: float) -> float:
    k, s, _ = log_over_exp(target, prediction)
    return scaled(0.0 - excess(k, s), half)
