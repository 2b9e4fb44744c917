"""Losses of real predictions against real targets. e = prediction - target throughout."""

from __future__ import annotations

from typing import Annotated

from ..scalar import absolute, maximum, minimum, sign, sqrt, square, tanh, where
from ..scalar import log_cosh as log_cosh_function
from ..spec import Monoid, Parameter, Scope, fold, gradient_of, loss

PER_ELEMENT = ("row", "denom", "empty", "grad_scale", "preset")
MEAN_PRESETS = {"keras": {"denom": "count", "empty": "zero"}, "torch": {}, "optax": {}, "sklearn": {}}


@loss(
    formula="e²",
    gradient_formula="2e",
    options=PER_ELEMENT,
    aliases={
        "keras": ("MeanSquaredError", "mean_squared_error"),
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
    options=PER_ELEMENT,
    aliases={
        "keras": ("MeanAbsoluteError", "mean_absolute_error"),
        "torch": ("L1Loss", "l1_loss"),
        "sklearn": ("mean_absolute_error",),
        "other": ("l1",),
    },
    presets=MEAN_PRESETS,
)
def mae(prediction: float, target: float) -> float:
    """Absolute error; its mean is the mean absolute error.

    At e = 0 the gradient is 0, the middle of the subdifferential [-1, 1], as in PyTorch and Keras (JAX takes 1,
    scikit-learn -1).
    """
    return absolute(prediction - target)


@gradient_of(mae)
def mae_gradient(prediction: float, target: float) -> float:
    return sign(prediction - target)


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
    formula="ln cosh e",
    gradient_formula="tanh e",
    options=PER_ELEMENT,
    aliases={"keras": ("LogCosh",), "optax": ("log_cosh",)},
    presets=MEAN_PRESETS,
)
def log_cosh(prediction: float, target: float) -> float:
    """Logarithm of the hyperbolic cosine of the error: half its square near 0, |e| - ln 2 far away.

    Exact near 0, where the common forms (`softplus(-2e) + e - ln 2`, `logaddexp(e, -e) - ln 2`) return 0.
    """
    return log_cosh_function(prediction - target)


@gradient_of(log_cosh)
def log_cosh_gradient(prediction: float, target: float) -> float:
    return tanh(prediction - target)


@fold(Monoid.SCALE)
def error_scale(prediction: float, target: float) -> float:
    return prediction - target


@fold(Monoid.SUM)
def squared_errors(prediction: float, target: float, error_scale: float) -> float:
    return square((prediction - target) * error_scale)


@loss(
    scope=Scope.DATASET,
    folds=(error_scale, squared_errors),
    formula="sqrt(Σ w e² / Σ w)",
    gradient_formula="w e / (Σ w · RMSE), 0 where RMSE = 0",
    options=("multioutput", "empty", "preset"),
    aliases={"sklearn": ("root_mean_squared_error",)},
    presets={"sklearn": {"multioutput": "columns"}, "keras": {}, "torch": {}, "optax": {}},
)
def rmse(squared_errors: float, error_scale: float, weight: float) -> float:
    """Root of the mean squared error over the whole data set.

    Two-dimensional input is one long column, unless `multioutput=columns` takes the mean of the columns' roots.
    Errors are scaled by a power of two where their squares would overflow or vanish.
    """
    return sqrt(squared_errors / weight) / error_scale


@gradient_of(rmse)
def rmse_gradient(prediction: float, target: float, squared_errors: float, error_scale: float, weight: float) -> float:
    root = sqrt(squared_errors / weight)
    return where(root == 0.0, 0.0, (prediction - target) * error_scale / (where(root == 0.0, 1.0, root) * weight))
