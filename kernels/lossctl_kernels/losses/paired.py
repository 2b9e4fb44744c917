"""Losses that take a further array: a variance next to the mean, or a sign that says how two sides should compare."""

import math
import sys
from collections.abc import Mapping
from typing import Annotated, Any

from ..domains import NONNEGATIVE, POSITIVE, REAL, SIGN_LABEL
from ..rare import rarely
from ..scalar import absolute, difference, exp, log, maximum, minimum, sqrt, where
from ..spec import (
    LOSSES,
    Input,
    InputShape,
    Loss,
    Monoid,
    Parameter,
    Scope,
    degenerate_for,
    fold,
    gradient_of,
    loss,
    variant_of,
)
from .binary import TORCH_FLOOR
from .embedding_cosines import (
    above_margin,
    alignment,
    multiple_of_prediction,
    multiple_of_target,
    prediction_residual_along,
    prediction_root,
    residual_slope,
    short_of_parallel,
    target_aside_square,
    target_residual_along,
    target_residual_square,
    target_root,
)
from .parts import KERAS, KINKED, MEAN_PRESETS, PER_ELEMENT, counted, step
from .regression import half_square, multiple_of_error
from .similarity import dot, has_zero_vector, prediction_scale, prediction_square, target_scale, target_square

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
LARGEST = sys.float_info.max
BELOW_ONE = 1.0 - 2.0**-53
KINKED_OPTIONS = ("denom", "empty", "kink", "grad_scale", "preset")
# PyTorch has these itself, with the full slope at the kink; Keras and JAX would take the mean of both.
PRESETS = {**MEAN_PRESETS, "keras": {**KERAS, "kink": "half"}, "optax": {"kink": "half"}}
SIGN = "1 where the prediction should be the larger one, -1 where the target should"


# ---- a normal distribution: eps holds the variance, whatever `var` holds of it

Full = Annotated[float, Parameter("add the constant ln(2π) / 2", words=("false", "true"))]
VarianceFloor = Annotated[float, Parameter("the variance is held at or above this", at_least=0.0)]


def var_of(description: str, domain: Any) -> dict[str, Input]:
    return {"var": Input(description, InputShape.LIKE_PREDICTION, domain)}


def from_zero_on_if_held(settled: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """A variance of 0 is one below the floor."""
    var = settled.inputs["var"]
    return {"inputs": var_of(var.description, NONNEGATIVE)} if options["eps"] and var.domain is POSITIVE else {}


def half_likelihood(log_variance: float, score: float, full: float) -> float:
    """Half of the logarithm of the variance and of the squared error in standard deviations, with the constant."""
    return 0.5 * log_variance + half_square(score) + full * HALF_LOG_2PI


def error_over(prediction: float, target: float, divisor: float) -> float:
    """e/d for d > 0, where e alone may be too large for a number."""
    error = prediction - target
    return rarely(absolute(error) == math.inf, multiple_of_error, error / divisor, 1.0 / divisor, prediction, target)


def error_times(prediction: float, target: float, factor: float) -> float:
    """The same of a factor."""
    error = prediction - target
    return rarely(absolute(error) == math.inf, multiple_of_error, error * factor, factor, prediction, target)


def half_excess_over(score: float, divisor: float) -> float:
    """(1 - r²)/2d; of a square that is too large only the quotient may be a number."""
    half = half_square(score)
    return where(half < math.inf, (0.5 - half) / divisor, -0.5 * score * (score / divisor))


def slope_below(inside: bool, slope: float, clamped_slope: float) -> float:
    """The slope by a variance: where the floor holds it, 0, or as PyTorch has it, that at the floor."""
    return where(inside, slope, counted(clamped_slope, slope))


@loss(
    inputs=var_of("the variance of each prediction", POSITIVE),
    formula="(ln v + (ŷ - y)²/v) / 2, and ln(2π)/2 with `full`",
    gradient_formula="(ŷ - y)/v; by v: (1 - (ŷ - y)²/v) / 2v; by ln v: (1 - (ŷ - y)²/v) / 2",
    options=("var_input", "eps_mode", *PER_ELEMENT),
    variants={"var_input": {"var": {}}},
    adapt=from_zero_on_if_held,
    aliases={"torch": ("GaussianNLLLoss", "gaussian_nll_loss")},
    presets={**MEAN_PRESETS, "torch": {"eps": 1e-6, "clamped_slope": 1.0}},
    source="Nix and Weigend (1994), Estimating the mean and variance of the target probability distribution",
)
def gaussian_nll(prediction: float, target: float, var: float, full: Full = 0.0, eps: VarianceFloor = 0.0) -> float:
    """Negative log-likelihood of a normal distribution whose mean and variance are both predicted.

    `var` is the variance; its logarithm or the standard deviation with `var_input`. PyTorch holds the variance at 1e-6
    and leaves its gradient as if it were not held: the preset does the same. Without `eps` it has to be positive. Where
    the squared error is next to the variance, the slope by the variance is next to 0, and right to about 1e-16 / v.
    """
    held = maximum(var, eps)
    return half_likelihood(log(held), error_over(prediction, target, sqrt(held)), full)


@gradient_of(gaussian_nll)
def gaussian_nll_gradient(prediction: float, target: float, var: float, eps: float) -> float:
    return error_over(prediction, target, maximum(var, eps))


@gradient_of(gaussian_nll, of="var")
def gaussian_nll_by_var(prediction: float, target: float, var: float, eps: float, clamped_slope: float = 0.0) -> float:
    held = maximum(var, eps)
    slope = half_excess_over(error_over(prediction, target, sqrt(held)), held)
    return slope_below(var >= eps, slope, clamped_slope)


def held_logarithm(var: float, eps: float) -> float:
    return maximum(var, log(eps))


def root_of_inverse_deviation(log_variance: float) -> float:
    """1/√σ, a number where 1/σ is none; the largest one where an error of any size, times its square, is beyond all."""
    root = exp(-0.25 * log_variance)
    return where(root == math.inf, LARGEST, root)


def score_by(prediction: float, target: float, root: float) -> float:
    """e/σ, given 1/√σ."""
    return error_times(prediction, target, root) * root


@variant_of("gaussian_nll", "var_input", "log_var", REAL)
def gaussian_nll_log_var(prediction: float, target: float, var: float, full: float, eps: float) -> float:
    held = held_logarithm(var, eps)
    return half_likelihood(held, score_by(prediction, target, root_of_inverse_deviation(held)), full)


@gradient_of(gaussian_nll_log_var)
def gaussian_nll_log_var_gradient(prediction: float, target: float, var: float, eps: float) -> float:
    root = root_of_inverse_deviation(held_logarithm(var, eps))
    return score_by(prediction, target, root) * root * root


@gradient_of(gaussian_nll_log_var, of="var")
def gaussian_nll_by_log_var(
    prediction: float, target: float, var: float, eps: float, clamped_slope: float = 0.0
) -> float:
    held = held_logarithm(var, eps)
    slope = 0.5 - half_square(score_by(prediction, target, root_of_inverse_deviation(held)))
    return slope_below(var >= held, slope, clamped_slope)


@variant_of("gaussian_nll", "var_input", "std", REAL)
def gaussian_nll_std(prediction: float, target: float, var: float, full: float, eps: float) -> float:
    held = maximum(var, sqrt(eps))
    return half_likelihood(2.0 * log(held), error_over(prediction, target, held), full)


@gradient_of(gaussian_nll_std)
def gaussian_nll_std_gradient(prediction: float, target: float, var: float, eps: float) -> float:
    held = maximum(var, sqrt(eps))
    return error_over(prediction, target, held) / held


@gradient_of(gaussian_nll_std, of="var")
def gaussian_nll_by_std(prediction: float, target: float, var: float, eps: float, clamped_slope: float = 0.0) -> float:
    held = maximum(var, sqrt(eps))
    slope = 2.0 * half_excess_over(error_over(prediction, target, held), held)
    return slope_below(var >= held, slope, clamped_slope)


_VARIANCES = LOSSES["gaussian_nll"].variants["var_input"]
_VARIANCES["log_var"]["inputs"] = var_of("the logarithm of the variance of each prediction", REAL)
_VARIANCES["std"]["inputs"] = var_of("the standard deviation of each prediction", POSITIVE)


# ---- which of two scores should be larger

Margin = Annotated[float, Parameter("by how much the right one should be larger")]


@loss(
    inputs={"sign": Input(SIGN, InputShape.LIKE_PREDICTION, SIGN_LABEL)},
    formula="max(m - t (ŷ - y), 0), t the sign",
    gradient_formula="-t if t (ŷ - y) <= m, else 0; by the target: t",
    options=KINKED,
    aliases={"torch": ("MarginRankingLoss", "margin_ranking_loss")},
    presets=PRESETS,
)
def margin_ranking(prediction: float, target: float, sign: float, margin: Margin = 0.0) -> float:
    """What one score is short of being larger than another, the target, by a margin.

    `sign` is 1 where the prediction should be the larger one and -1 where the target should.
    """
    return maximum(lacking(prediction, target, sign, margin), 0.0)


def lacking(prediction: float, target: float, sign: float, margin: float) -> float:
    """m - t e, with what the difference e lost by rounding: next to the margin little else is left."""
    error, lost = difference(prediction, target)
    return (margin - sign * error) - sign * lost


def ranking_step(prediction: float, target: float, sign: float, margin: float, kink: float) -> float:
    return sign * step(lacking(prediction, target, sign, margin), kink)


@gradient_of(margin_ranking)
def margin_ranking_gradient(prediction: float, target: float, sign: float, margin: float, kink: float = 1.0) -> float:
    return -ranking_step(prediction, target, sign, margin, kink)


@gradient_of(margin_ranking, of="target")
def margin_ranking_by_target(prediction: float, target: float, sign: float, margin: float, kink: float = 1.0) -> float:
    return ranking_step(prediction, target, sign, margin, kink)


# ---- which rows should align

Added = Annotated[float, Parameter("added to the sum of squares of each row", at_least=0.0, modes=("sq_add",))]
CosineMargin = Annotated[
    float, Parameter("the cosine up to which rows that should not align cost nothing", at_least=-1.0, at_most=1.0)
]


@fold(Monoid.ONCE)
def alignment_slope(alignment: float, dot: float, sign: float, margin: float, kink: float = 1.0) -> float:
    """The slope of the loss by the cosine, which rounding takes neither to 1 nor to -1, nor beyond.

    A cosine too small for a number is still on one side of 0.
    """
    inside = minimum(maximum(alignment, -BELOW_ONE), BELOW_ONE)
    return where(sign > 0.0, -1.0, step(where(margin == 0.0, dot, inside - margin), kink))


@loss(
    scope=Scope.ROW,
    folds=(
        *(prediction_scale, target_scale, prediction_square, target_square, dot),
        *(prediction_root, target_root, multiple_of_prediction, multiple_of_target, alignment),
        *(target_residual_along, target_residual_square, prediction_residual_along, alignment_slope),
        target_aside_square,
    ),
    inputs={"sign": Input("1 for rows that should align, -1 for others", InputShape.ONE_A_ROW, SIGN_LABEL)},
    formula="1 - c for rows of the sign 1, else max(c - m, 0), c the cosine",
    gradient_formula="∓(b/|b| - c a/|a|) / |a|, 0 where c < m; by the target the same with a and b exchanged",
    options=("eps_mode", *KINKED_OPTIONS),
    aliases={"torch": ("CosineEmbeddingLoss", "cosine_embedding_loss")},
    presets={**PRESETS, "torch": {"eps": TORCH_FLOOR, "eps_mode": "sq_add"}},
)
def cosine_embedding(
    sign: float,
    alignment: float,
    multiple_of_prediction: float,
    target_residual_along: float,
    target_residual_square: float,
    target_aside_square: float,
    prediction_root: float,
    target_root: float,
    prediction_scale: float,
    target_scale: float,
    margin: CosineMargin = 0.0,
    eps: Added = 0.0,
) -> float:
    """One minus the cosine of rows that should align; for others what the cosine is above the margin.

    With `eps` the norms are those of rows with one more element √eps, as in PyTorch, whose 1e-12 is the float32 next
    to it. The distance of rows that align keeps its digits for nearly parallel ones, as in `cosine_distance`. A zero
    vector has cosine 0 and gradient 0, and is counted. What a cosine is above a margin between -1 and 1 is right to
    about 1e-16, not relative to itself.
    """
    short = short_of_parallel(
        alignment, multiple_of_prediction, target_residual_along, target_residual_square, target_aside_square,
        prediction_root, target_root, prediction_scale, target_scale, eps,
    )  # fmt: skip
    apart = where(alignment > 0.0, short, 1.0 - alignment)
    return where(sign > 0.0, apart, maximum(above_margin(alignment, short, margin), 0.0))


@gradient_of(cosine_embedding)
def cosine_embedding_gradient(
    prediction: float,
    target: float,
    prediction_scale: float,
    target_scale: float,
    prediction_root: float,
    target_root: float,
    multiple_of_prediction: float,
    target_residual_along: float,
    alignment_slope: float,
    eps: float,
) -> float:
    slope = residual_slope(
        prediction, target, prediction_scale, target_scale, prediction_root, target_root,
        multiple_of_prediction, target_residual_along, eps,
    )  # fmt: skip
    return counted(alignment_slope, slope)


@gradient_of(cosine_embedding, of="target")
def cosine_embedding_by_target(
    prediction: float,
    target: float,
    prediction_scale: float,
    target_scale: float,
    prediction_root: float,
    target_root: float,
    multiple_of_target: float,
    prediction_residual_along: float,
    alignment_slope: float,
    eps: float,
) -> float:
    slope = residual_slope(
        target, prediction, target_scale, prediction_scale, target_root, prediction_root,
        multiple_of_target, prediction_residual_along, eps,
    )  # fmt: skip
    return counted(alignment_slope, slope)


degenerate_for(cosine_embedding)(has_zero_vector)
