"""Losses of an error in relation to the size of what is predicted. e = prediction - target throughout."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..domains import ABOVE_MINUS_ONE, REAL
from ..records import replace
from ..scalar import LN2_HIGH, absolute, maximum, sign, square, where
from ..shares import log_rest, split_quotient
from ..spec import Loss, Parameter, gradient_of, loss
from .parts import KERAS, KINKED, MEAN_PRESETS, PER_ELEMENT
from .regression import EITHER_SIDE, sign_at

Scale = Annotated[float, Parameter("factor of the loss: 100 for percent, 1 for a fraction", above=0.0)]


def unless_too_large(prediction: float, target: float) -> float:
    """1, or a quarter where the sum of both sizes overflows: a ratio is the same of both by that."""
    return where(absolute(prediction) + absolute(target) < math.inf, 1.0, 0.25)


@loss(
    formula="scale |e| / max(|y|, ε), 0 at e = 0",
    gradient_formula="scale sgn(e) / max(|y|, ε)",
    options=("eps_mode", *KINKED),
    aliases={
        "keras": ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", "MAPE"),
        "sklearn": ("mean_absolute_percentage_error",),
    },
    presets={
        **EITHER_SIDE,
        "keras": {**KERAS, "eps": 1e-7, "kink": "half"},
        "sklearn": {"scale": 1.0, "eps": 2.0**-52, "kink": "steep"},
    },
    infinite=True,
)
def mape(
    prediction: float,
    target: float,
    scale: Scale = 100.0,
    eps: Annotated[float, Parameter("|y| is held at or above this", at_least=0.0)] = 0.0,
) -> float:
    """Absolute error in percent of the target.

    A target of 0 that is missed has an infinite loss. Keras divides by 1e-7 at least, scikit-learn by 2.2e-16, and
    scikit-learn returns a fraction.
    """
    k = unless_too_large(prediction, target)
    error = absolute(k * prediction - k * target)
    return where(error == 0.0, 0.0, scale * (error / maximum(k * absolute(target), k * eps)))


@gradient_of(mape)
def mape_gradient(prediction: float, target: float, scale: float, eps: float, kink: float = 0.5) -> float:
    slope = sign_at(prediction - target, kink)
    return where(slope == 0.0, 0.0, scale * slope / maximum(absolute(target), eps))


@loss(
    formula="2 scale |e| / max(|ŷ| + |y|, ε), 0 at e = 0",
    gradient_formula="2 scale sgn(e) (|y| + y sgn ŷ) / (|ŷ| + |y|)²",
    options=("eps_mode", *PER_ELEMENT),
    aliases={
        "other": (
            "SymmetricMeanAbsolutePercentageError:scale=1",
            "symmetric_mean_absolute_percentage_error:scale=1",
        ),
    },
    presets=MEAN_PRESETS,
    source="Makridakis (1993), Accuracy measures",
)
def smape(
    prediction: float,
    target: float,
    scale: Scale = 100.0,
    eps: Annotated[float, Parameter("|ŷ| + |y| is held at or above this", at_least=0.0)] = 0.0,
) -> float:
    """Absolute error in percent of the mean of the sizes of prediction and target, from 0 to 200.

    torchmetrics returns a fraction from 0 to 2 (`scale=1`); some papers halve the percentage (`scale=50`). The gradient
    takes sgn 0 = 0.
    """
    k = unless_too_large(prediction, target)
    error = absolute(k * prediction - k * target)
    size = maximum(k * absolute(prediction) + k * absolute(target), k * eps)
    return where(error == 0.0, 0.0, 2.0 * scale * (error / size))


@gradient_of(smape)
def smape_gradient(prediction: float, target: float, scale: float, eps: float) -> float:
    k = unless_too_large(prediction, target)
    error, size = k * prediction - k * target, k * absolute(prediction) + k * absolute(target)
    free = k * ((k * absolute(target) + k * target * sign(prediction)) / size / size)
    return where(error == 0.0, 0.0, 2.0 * scale * sign(error) * where(size < k * eps, 1.0 / eps, free))


def any_number_above_a_floor(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """Where numbers are held at a floor they may be anything."""
    forms = {name: replace(form, prediction=REAL) for name, form in loss.forms.items()}
    return {"forms": forms, "target": REAL} if options["eps"] else {}


def held(x: float, eps: float) -> float:
    """The number at or above `eps`, where there is one."""
    floor = where(eps > 0.0, eps, -math.inf)
    return where(x < floor, floor, x)


def log_ratio(prediction: float, target: float) -> float:
    """ln((1 + ŷ) / (1 + y)). Near ŷ = y it is 2 atanh((ŷ - y)/(ŷ + y + 2)): of the difference no digits are lost."""
    error, a, b = prediction - target, 1.0 + prediction, 1.0 + target
    k, difference, total = split_quotient(a, b)
    near = k == 0.0
    s = where(near, 0.5 * error, difference) / where(near, 0.5 * a + 0.5 * b, total)
    # What is not finite is not seen in the logarithm.
    return where(absolute(error) < math.inf, k * LN2_HIGH + (2.0 * s + log_rest(k, s)), error)


@loss(
    prediction=ABOVE_MINUS_ONE,
    target=ABOVE_MINUS_ONE,
    formula="d², d = ln((1 + ŷ)/(1 + y))",
    gradient_formula="2d / (1 + ŷ)",
    options=("eps_mode", *PER_ELEMENT),
    aliases={
        "keras": ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "MSLE"),
        "sklearn": ("mean_squared_log_error",),
    },
    presets={**MEAN_PRESETS, "keras": {**KERAS, "eps": 1e-7}},
    adapt=any_number_above_a_floor,
)
def msle(
    prediction: float,
    target: float,
    eps: Annotated[float, Parameter("prediction and target are held at or above this", at_least=0.0)] = 0.0,
) -> float:
    """Squared difference of the logarithms of one plus prediction and target.

    Both are above -1. Keras holds both at 1e-7 or above instead, where a prediction of -5 scores like 0.
    """
    return square(log_ratio(held(prediction, eps), held(target, eps)))


@gradient_of(msle)
def msle_gradient(prediction: float, target: float, eps: float) -> float:
    value = held(prediction, eps)
    slope = 2.0 * log_ratio(value, held(target, eps)) / (1.0 + value)
    return where(value == prediction, slope, 0.0 * prediction)
