"""Losses of real predictions against real targets. e = prediction - target throughout."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..domains import ABOVE_MINUS_ONE, REAL
from ..records import replace
from ..scalar import LN2_HIGH, absolute, maximum, minimum, normal_expm1, sign, sqrt, square, tanh, where
from ..scalar import log_cosh as log_cosh_function
from ..shares import log_rest, split_quotient
from ..spec import Loss, Parameter, factored_form_of, gradient_of, loss
from .parts import KERAS, KINKED, MEAN_PRESETS, PER_ELEMENT, difference, step

LN2 = math.log(2.0)
Scale = Annotated[float, Parameter("factor of the loss: 100 for percent, 1 for a fraction", above=0.0)]
# At e = 0 the steep side of |e| is that of targets above the prediction.
EITHER_SIDE = {"keras": {**KERAS, "kink": "half"}, "torch": {}, "optax": {"kink": "flat"}, "sklearn": {"kink": "steep"}}


def sign_at(error: float, kink: float) -> float:
    """The sign of the error; at 0 it goes from 1 to -1 as `kink` goes from 0 to 1."""
    return where(error == 0.0, 1.0 - 2.0 * kink, sign(error))


@loss(
    formula="e²",
    gradient_formula="2e",
    options=PER_ELEMENT,
    aliases={
        "keras": ("MeanSquaredError", "mean_squared_error", "MSE"),
        "torch": ("MSELoss", "mse_loss"),
        "optax": ("squared_error",),
        "sklearn": ("mean_squared_error",),
        "other": ("l2",),
    },
    presets=MEAN_PRESETS,
    source="Gauss (1809), Theoria motus",
)
def mse(prediction: float, target: float) -> float:
    """Squared error; its mean is the mean squared error.

    The gradient of the mean over N values is 2e/N. The `e` that many introductory texts print is the gradient of
    `half_mse` of one value.
    """
    return square(prediction - target)


@gradient_of(mse)
def mse_gradient(prediction: float, target: float) -> float:
    return 2.0 * (prediction - target)


@loss(
    formula="e²/2",
    gradient_formula="e",
    options=PER_ELEMENT,
    aliases={"optax": ("l2_loss",), "sklearn": ("HalfSquaredError",)},
    presets=MEAN_PRESETS,
)
def half_mse(prediction: float, target: float) -> float:
    """Half the squared error, whose derivative is the error itself."""
    return 0.5 * square(prediction - target)


@gradient_of(half_mse)
def half_mse_gradient(prediction: float, target: float) -> float:
    return prediction - target


@loss(
    formula="|e|",
    gradient_formula="sgn(e), 0 at e = 0",
    options=KINKED,
    aliases={
        "keras": ("MeanAbsoluteError", "mean_absolute_error", "MAE"),
        "torch": ("L1Loss", "l1_loss"),
        "sklearn": ("mean_absolute_error", "AbsoluteError", "absolute_error"),
        "other": ("l1",),
    },
    presets=EITHER_SIDE,
)
def mae(prediction: float, target: float) -> float:
    """Absolute error; its mean is the mean absolute error.

    At e = 0 the gradient is 0, the middle of the subdifferential [-1, 1], as in PyTorch and Keras (JAX takes 1,
    scikit-learn -1).
    """
    return absolute(prediction - target)


@gradient_of(mae)
def mae_gradient(prediction: float, target: float, kink: float = 0.5) -> float:
    return sign_at(prediction - target, kink)


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
    error = absolute(prediction - target)
    return where(error == 0.0, 0.0, scale * (error / maximum(absolute(target), eps)))


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
    error, size = absolute(prediction - target), maximum(absolute(prediction) + absolute(target), eps)
    return where(error == 0.0, 0.0, 2.0 * scale * (error / size))


@gradient_of(smape)
def smape_gradient(prediction: float, target: float, scale: float, eps: float) -> float:
    error, size = prediction - target, absolute(prediction) + absolute(target)
    free = (absolute(target) + target * sign(prediction)) / size / size
    return where(error == 0.0, 0.0, 2.0 * scale * sign(error) * where(size < eps, 1.0 / eps, free))


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
    s = where(near, error, difference) / where(near, a + b, total)
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


@loss(
    formula="e²/2 if |e| <= δ, else δ(|e| - δ/2)",
    gradient_formula="clip(e, -δ, δ)",
    options=PER_ELEMENT,
    aliases={
        "keras": ("Huber",),
        "torch": ("HuberLoss", "huber_loss"),
        "optax": ("huber_loss",),
        "sklearn": ("HuberLoss",),
    },
    presets={**MEAN_PRESETS, "torch": {"denom": "count"}},
    source="Huber (1964), Robust estimation of a location parameter",
)
def huber(
    prediction: float,
    target: float,
    delta: Annotated[float, Parameter("the error at which the parabola turns into a line", above=0.0)] = 1.0,
) -> float:
    """Half the squared error up to `delta`, linear beyond it.

    Scaled as in all four peers; `smooth_l1` of PyTorch is this divided by its `beta`.
    """
    error = absolute(prediction - target)
    return where(error <= delta, 0.5 * square(error), delta * (error - 0.5 * delta))


@gradient_of(huber)
def huber_gradient(prediction: float, target: float, delta: float) -> float:
    return minimum(maximum(prediction - target, -delta), delta)


@loss(
    formula="e²/(2β) if |e| < β, else |e| - β/2",
    gradient_formula="clip(e/β, -1, 1)",
    options=PER_ELEMENT,
    aliases={"torch": ("SmoothL1Loss", "smooth_l1_loss")},
    presets=MEAN_PRESETS,
    source="Girshick (2015), Fast R-CNN",
)
def smooth_l1(
    prediction: float,
    target: float,
    beta: Annotated[
        float, Parameter("the error at which the parabola turns into a line; 0 is mae", at_least=0.0)
    ] = 1.0,
) -> float:
    """Absolute error with a parabola of width `beta` at its tip: `huber` with that delta, divided by it."""
    error = absolute(prediction - target)
    return where(error < beta, 0.5 * error * (error / beta), error - 0.5 * beta)


@gradient_of(smooth_l1)
def smooth_l1_gradient(prediction: float, target: float, beta: float) -> float:
    error = prediction - target
    return where(absolute(error) < beta, error / beta, sign(error))


@loss(
    formula="δ² (r - 1) = e²/(1 + r), r = sqrt(1 + (e/δ)²)",
    gradient_formula="e / r",
    options=PER_ELEMENT,
    aliases={"other": ("charbonnier",)},
    presets=MEAN_PRESETS,
    source="Charbonnier et al. (1994), Two deterministic half-quadratic regularization algorithms",
)
def pseudo_huber(
    prediction: float,
    target: float,
    delta: Annotated[float, Parameter("the error around which the parabola turns into a line", above=0.0)] = 1.0,
) -> float:
    """Smooth relative of `huber`: half the squared error near 0, δ|e| far away. SciPy's takes δ first."""
    error = absolute(prediction - target)
    return error * (error / (1.0 + hypotenuse(error / delta)))


@gradient_of(pseudo_huber)
def pseudo_huber_gradient(prediction: float, target: float, delta: float) -> float:
    error = prediction - target
    return error / hypotenuse(absolute(error) / delta)


def hypotenuse(x: float) -> float:
    """sqrt(1 + x²), x >= 0, without overflow."""
    return where(x > 1e100, x, sqrt(1.0 + square(x)))


@loss(
    formula="max(q (y - ŷ), (q - 1)(y - ŷ))",
    gradient_formula="1 - q if e > 0, -q if e < 0, 0 at e = 0",
    options=KINKED,
    aliases={"sklearn": ("mean_pinball_loss", "PinballLoss"), "other": ("pinball",)},
    presets=EITHER_SIDE,
    source="Koenker and Bassett (1978), Regression quantiles",
)
def quantile(
    prediction: float,
    target: float,
    q: Annotated[float, Parameter("which quantile; scikit-learn calls it alpha", at_least=0.0, at_most=1.0)] = 0.5,
) -> float:
    """Pinball loss: q times what the prediction is too low, 1 - q times what it is too high."""
    error = prediction - target
    return where(error > 0.0, (1.0 - q) * error, q * (target - prediction))


@gradient_of(quantile)
def quantile_gradient(prediction: float, target: float, q: float, kink: float = -1.0) -> float:
    error = prediction - target
    at_zero = where(kink < 0.0, 0.0, 1.0 - q - kink)
    return where(error > 0.0, 1.0 - q, where(error < 0.0, -q, where(error == 0.0, at_zero, error)))


@loss(
    formula="max(|e| - ε, 0)",
    gradient_formula="sgn(e) if |e| > ε, else 0",
    options=KINKED,
    presets={**EITHER_SIDE, "optax": {"kink": "half"}, "sklearn": {}},
    source="Vapnik (1995), The nature of statistical learning theory",
)
def epsilon_insensitive(
    prediction: float,
    target: float,
    epsilon: Annotated[float, Parameter("errors up to this cost nothing", at_least=0.0)] = 0.1,
) -> float:
    """Absolute error beyond a tube of width `epsilon`, as in support vector regression."""
    return maximum(beyond(prediction, target, epsilon), 0.0)


def beyond(prediction: float, target: float, epsilon: float) -> float:
    """|e| - ε, with what the error lost by rounding: at the rim of the tube little else is left."""
    error, lost = difference(prediction, target)
    return (absolute(error) - epsilon) + where(error < 0.0, -lost, lost)


@gradient_of(epsilon_insensitive)
def epsilon_insensitive_gradient(prediction: float, target: float, epsilon: float, kink: float = 0.0) -> float:
    return sign(prediction - target) * step(beyond(prediction, target, epsilon), kink)


@loss(
    formula="max(|e| - ε, 0)²",
    gradient_formula="2 sgn(e) max(|e| - ε, 0)",
    options=PER_ELEMENT,
    presets=MEAN_PRESETS,
)
def squared_epsilon_insensitive(
    prediction: float,
    target: float,
    epsilon: Annotated[float, Parameter("errors up to this cost nothing", at_least=0.0)] = 0.1,
) -> float:
    """Squared error beyond a tube of width `epsilon`, as in scikit-learn's LinearSVR."""
    return square(maximum(beyond(prediction, target, epsilon), 0.0))


@gradient_of(squared_epsilon_insensitive)
def squared_epsilon_insensitive_gradient(prediction: float, target: float, epsilon: float) -> float:
    return 2.0 * sign(prediction - target) * maximum(beyond(prediction, target, epsilon), 0.0)


@loss(
    formula="ln cosh e",
    gradient_formula="tanh e",
    options=PER_ELEMENT,
    aliases={"keras": ("LogCosh", "logcosh", "LogCoshError"), "optax": ("log_cosh",)},
    presets=MEAN_PRESETS,
)
def log_cosh(prediction: float, target: float) -> float:
    """Logarithm of the hyperbolic cosine of the error: half its square near 0, |e| - ln 2 far away.

    Exact near 0, where the common forms (`softplus(-2e) + e - ln 2`, `logaddexp(e, -e) - ln 2`) return 0.
    """
    return log_cosh_function(prediction - target)


@factored_form_of(log_cosh, sign=1.0)
def log_cosh_factored(prediction: float, target: float) -> tuple[float, float, float]:
    """The logarithm of cosh e, which is 1 + m²/(2 (1 + m)) with m = e**|e| - 1, and from |e| = 19 on e**|e|/2.

    A product of as many as there are to a logarithm is far from overflow.
    """
    size = absolute(prediction - target)
    near = size < 19.0
    m = normal_expm1(where(near, size, 0.0))
    excess = m * m / (2.0 + 2.0 * m)
    return where(near, 0.0, size - LN2), 1.0 + excess, excess


@gradient_of(log_cosh)
def log_cosh_gradient(prediction: float, target: float) -> float:
    return tanh(prediction - target)
