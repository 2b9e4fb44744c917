"""Errors over the whole data set: a root, a ratio, a largest. e = prediction - target throughout."""

import math

from ..domains import ABOVE_MINUS_ONE
from ..rare import rarely
from ..scalar import absolute, maximum, minimum, sign, sqrt, square, where
from ..spec import Monoid, Pooling, Scope, fold, gradient_of, loss
from .relative import log_ratio

ALIKE: dict[str, dict[str, str]] = {"keras": {}, "torch": {}, "optax": {}, "sklearn": {}}
PRESETS = {**ALIKE, "sklearn": {"multioutput": "columns"}}


LARGEST = 2.0**1023


def scaled_error(prediction: float, target: float, scale: float) -> float:
    """The error times a power of two, where the error itself may be too large for a number."""
    error = prediction - target
    return rarely(absolute(error) == math.inf, difference_of_scaled, error * scale, prediction, target, scale)


def difference_of_scaled(prediction: float, target: float, scale: float) -> float:
    return prediction * scale - target * scale


@fold(Monoid.SCALE)
def error_scale(prediction: float, target: float) -> float:
    return minimum(absolute(prediction - target), LARGEST)


@fold(Monoid.SUM)
def squared_errors(prediction: float, target: float, error_scale: float) -> float:
    return square(scaled_error(prediction, target, error_scale))


@loss(
    scope=Scope.DATASET,
    folds=(error_scale, squared_errors),
    formula="sqrt(Σ w e² / Σ w)",
    gradient_formula="w e / (Σ w · RMSE), 0 where RMSE = 0",
    options=("multioutput", "empty", "preset"),
    aliases={"sklearn": ("root_mean_squared_error",), "keras": ("RootMeanSquaredError",)},
    presets=PRESETS,
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
    error = scaled_error(prediction, target, error_scale)
    return where(root == 0.0, 0.0, error / (where(root == 0.0, 1.0, root) * weight))


@fold(Monoid.SCALE)
def log_ratio_scale(prediction: float, target: float) -> float:
    return log_ratio(prediction, target)


@fold(Monoid.SUM)
def squared_log_ratios(prediction: float, target: float, log_ratio_scale: float) -> float:
    return square(log_ratio(prediction, target) * log_ratio_scale)


@loss(
    scope=Scope.DATASET,
    folds=(log_ratio_scale, squared_log_ratios),
    prediction=ABOVE_MINUS_ONE,
    target=ABOVE_MINUS_ONE,
    formula="sqrt(Σ w d² / Σ w), d = ln((1 + ŷ)/(1 + y))",
    gradient_formula="w d / ((1 + ŷ) Σ w · RMSLE), 0 where RMSLE = 0",
    options=("multioutput", "empty", "preset"),
    aliases={"sklearn": ("root_mean_squared_log_error",)},
    presets=PRESETS,
)
def rmsle(squared_log_ratios: float, log_ratio_scale: float, weight: float) -> float:
    """Root of the mean squared difference of the logarithms of one plus prediction and target.

    Two-dimensional input is one long column, unless `multioutput=columns` takes the mean of the columns' roots.
    """
    return sqrt(squared_log_ratios / weight) / log_ratio_scale


@gradient_of(rmsle)
def rmsle_gradient(
    prediction: float, target: float, squared_log_ratios: float, log_ratio_scale: float, weight: float
) -> float:
    root = sqrt(squared_log_ratios / weight)
    slope = log_ratio(prediction, target) * log_ratio_scale / (1.0 + prediction)
    return where(root == 0.0, 0.0, slope / (where(root == 0.0, 1.0, root) * weight))


@fold(Monoid.SCALE)
def size_scale(prediction: float, target: float) -> float:
    return maximum(absolute(prediction), absolute(target))


@fold(Monoid.SUM)
def error_sizes(prediction: float, target: float, size_scale: float) -> float:
    return absolute(scaled_error(prediction, target, size_scale))


@fold(Monoid.SUM)
def target_sizes(target: float, size_scale: float) -> float:
    return absolute(target * size_scale)


@loss(
    scope=Scope.DATASET,
    folds=(size_scale, error_sizes, target_sizes),
    formula="Σ w |e| / Σ w |y|",
    gradient_formula="w sgn(e) / Σ w |y|",
    options=("empty", "preset"),
    aliases={
        "other": ("WeightedMeanAbsolutePercentageError", "weighted_mean_absolute_percentage_error", "wmape"),
    },
    presets=ALIKE,
)
def wape(error_sizes: float, target_sizes: float) -> float:
    """Sum of the absolute errors as a fraction of the sum of the targets' sizes; 0/0 is 0."""
    return where(error_sizes == 0.0, 0.0, error_sizes / target_sizes)


@gradient_of(wape)
def wape_gradient(prediction: float, target: float, target_sizes: float, size_scale: float) -> float:
    slope = sign(prediction - target)
    return where(slope == 0.0, 0.0, slope / target_sizes * size_scale)


@fold(Monoid.MAX)
def largest_error(prediction: float, target: float) -> float:
    return absolute(prediction - target)


@loss(
    scope=Scope.DATASET,
    folds=(largest_error,),
    formula="max |e| over the whole data set",
    gradient_formula="none: it would be that of one sample",
    options=("empty", "preset"),
    aliases={"sklearn": ("max_error",)},
    presets=ALIKE,
)
def max_error(largest_error: float) -> float:
    """Largest absolute error. Samples of weight 0 are absent, other weights change nothing. It has no gradient."""
    return largest_error


@loss(
    pooling=Pooling.MEDIAN,
    formula="median of |e| over the whole data set; weighted, the mean of the two about one half of the weight",
    gradient_formula="none: it would be that of one or two samples",
    options=("multioutput", "empty", "preset"),
    aliases={"sklearn": ("median_absolute_error",)},
    presets=PRESETS,
)
def median_ae(prediction: float, target: float) -> float:
    """Median of the absolute errors, exact for any number of them. It has no gradient.

    Of an even count it is the mean of the two in the middle. With weights it is the error at which half of the weight
    is reached, or the mean of two where that is so between them; samples of weight 0 are absent. Two-dimensional input
    is one long column, unless `multioutput=columns` takes the mean of the columns' medians. Above a million errors the
    data is read two to five times; memory stays what a chunk and a million numbers take.
    """
    return absolute(prediction - target)
