"""Losses of real predictions against real targets. e = prediction - target throughout."""

import math
from typing import Annotated

from ..scalar import absolute, difference, maximum, minimum, normal_expm1, sign, sqrt, square, tanh, where
from ..scalar import log_cosh as log_cosh_function
from ..spec import Parameter, factored_form_of, gradient_of, loss
from .parts import KERAS, KINKED, MEAN_PRESETS, PER_ELEMENT, step

LN2 = math.log(2.0)
# At e = 0 the steep side of |e| is that of targets above the prediction.
EITHER_SIDE = {"keras": {**KERAS, "kink": "half"}, "torch": {}, "optax": {"kink": "flat"}, "sklearn": {"kink": "steep"}}


def sign_at(error: float, kink: float) -> float:
    """The sign of the error; at 0 it goes from 1 to -1 as `kink` goes from 0 to 1."""
    return where(error == 0.0, 1.0 - 2.0 * kink, sign(error))


def multiple_of_error(factor: float, prediction: float, target: float) -> float:
    """factor e where only e itself is too large for a number."""
    return 2.0 * (factor * (0.5 * prediction - 0.5 * target))


def half_square(error: float) -> float:
    """e²/2, where e² alone may be too large for a number."""
    return 0.5 * error * error


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
    return half_square(prediction - target)


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
    of_large = absolute(multiple_of_error(delta, prediction, target))
    line = where(error < math.inf, delta * (error - 0.5 * delta), of_large)
    return where(error <= delta, half_square(error), line)


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
    value = error * (error / (1.0 + hypotenuse(error / delta)))
    return where(error < math.inf, value, absolute(multiple_of_error(delta, prediction, target)))


@gradient_of(pseudo_huber)
def pseudo_huber_gradient(prediction: float, target: float, delta: float) -> float:
    error = prediction - target
    return where(absolute(error) < math.inf, error / hypotenuse(absolute(error) / delta), delta * sign(error))


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
    share, size = where(error > 0.0, 1.0 - q, q), absolute(error)
    return where(size < math.inf, share * size, absolute(multiple_of_error(share, prediction, target)))


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
