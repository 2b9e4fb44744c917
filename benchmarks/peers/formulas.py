"""The losses as one writes them with arrays: `xp` is `numpy`, or `jax.numpy` where optax has no function.

Predictions are p, s for scores, z for logits, q for log-probabilities; targets y, t for labels of -1 and 1, i for class
indices. Options are those that a loss has by default, or the example of the registry where it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.peers import Key

Formula = Callable[..., Any]

LN_2 = math.log(2.0)


# ---- what formulas share


def softplus(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


def sigmoid(xp: Any, x: Any) -> Any:
    return 1 / (1 + xp.exp(-x))


def softmax(xp: Any, z: Any) -> Any:
    exponentials = xp.exp(z - z.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def log_softmax(xp: Any, z: Any) -> Any:
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))


def at(xp: Any, rows: Any, index: Any) -> Any:
    """The value at the class, shape (N,)."""
    return rows[xp.arange(rows.shape[0]), index]


def is_class(xp: Any, rows: Any, index: Any) -> Any:
    """True at the class, shape (N, C)."""
    return xp.arange(rows.shape[1]) == index[:, None]


def xlogx(xp: Any, x: Any) -> Any:
    """x ln x, 0 at 0."""
    return x * xp.log(xp.where(x > 0, x, 1))


def hinge(xp: Any, x: Any) -> Any:
    return xp.maximum(x, 0)


def distance(xp: Any, a: Any, b: Any) -> Any:
    return xp.sqrt(xp.square(a - b).sum(axis=1))


def cosine(xp: Any, a: Any, b: Any) -> Any:
    return (a * b).sum(axis=-1) / xp.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))


# ---- losses that take more than a line


def huber(xp: Any, p: Any, y: Any) -> Any:
    error = xp.abs(p - y)
    return xp.where(error <= 1, 0.5 * error * error, error - 0.5).mean()


def modified_huber(xp: Any, s: Any, t: Any) -> Any:
    margin = s * t
    return xp.where(margin >= -1, xp.square(hinge(xp, 1 - margin)), -4 * margin).mean()


def binary_sparsemax(xp: Any, z: Any, y: Any) -> Any:
    v = (1 - 2 * y) * z
    return xp.where(v <= -1, 0, xp.where(v >= 1, v, xp.square(v + 1) / 4)).mean()


def binary_focal(xp: Any, p: Any, y: Any) -> Any:
    cross_entropy = -(y * xp.log(p) + (1 - y) * xp.log1p(-p))
    return (xp.square(y * (1 - p) + (1 - y) * p) * cross_entropy).mean()


def binary_focal_from_logits(xp: Any, z: Any, y: Any) -> Any:
    p = sigmoid(xp, z)
    return (xp.square(y * (1 - p) + (1 - y) * p) * (softplus(xp, z) - y * z)).mean()


def tweedie(xp: Any, p: Any, y: Any) -> Any:
    """Of power 1.5."""
    return 2 * (-4 * xp.sqrt(y) + 2 * y / xp.sqrt(p) + 2 * xp.sqrt(p)).mean()


def poly1(xp: Any, z: Any, y: Any) -> Any:
    log_p = log_softmax(xp, z)
    return (-(y * log_p).sum(axis=1) + 2 * (1 - (y * xp.exp(log_p)).sum(axis=1))).mean()


def multi_margin(xp: Any, s: Any, i: Any) -> Any:
    margins = hinge(xp, 1 - at(xp, s, i)[:, None] + s)
    return xp.where(is_class(xp, s, i), 0, margins).sum(axis=1).mean() / s.shape[1]


def multiclass_hinge(xp: Any, s: Any, i: Any) -> Any:
    others = xp.where(is_class(xp, s, i), -xp.inf, s).max(axis=1)
    return hinge(xp, 1 + others - at(xp, s, i)).mean()


def categorical_hinge(xp: Any, s: Any, y: Any) -> Any:
    return hinge(xp, 1 + ((1 - y) * s).max(axis=1) - (y * s).sum(axis=1)).mean()


def js_divergence(xp: Any, p: Any, y: Any) -> Any:
    m = 0.5 * (p + y)
    return 0.5 * (xlogx(xp, y) + xlogx(xp, p) - (y + p) * xp.log(m)).sum(axis=1).mean()


def kl(xp: Any, log_p: Any, y: Any) -> Any:
    return (xlogx(xp, y) - y * log_p).sum(axis=1).mean()


def dice(xp: Any, p: Any, y: Any) -> Any:
    return 1 - 2 * (p * y).sum() / (p.sum() + y.sum())


# ---- the tables


def sparsemax(xp: Any, s: Any, i: Any) -> Any:
    ordered = -xp.sort(-s, axis=1)
    counts = xp.arange(1, s.shape[1] + 1)
    sums = ordered.cumsum(axis=1)
    size = (1 + counts * ordered > sums).sum(axis=1)
    threshold = (at(xp, sums, size - 1) - 1) / size
    support = xp.where(s > threshold[:, None], xp.square(s) - xp.square(threshold)[:, None], 0)
    return (0.5 * support.sum(axis=1) + 0.5 - at(xp, s, i)).mean()


def gaussian_nll(xp: Any, p: Any, y: Any, var: Any) -> Any:
    return 0.5 * (xp.log(var) + xp.square(p - y) / var).mean()


def cosine_embedding(xp: Any, a: Any, b: Any, sign: Any) -> Any:
    c = cosine(xp, a, b)
    return xp.where(sign > 0, 1 - c, hinge(xp, c)).mean()


def triplet_margin(xp: Any, a: Any, p: Any, negative: Any) -> Any:
    return hinge(xp, 1 + distance(xp, a, p) - distance(xp, a, negative)).mean()


REGRESSION: Mapping[Key, Formula] = {
    ("mse", "value"): lambda xp, p, y: xp.square(p - y).mean(),
    ("half_mse", "value"): lambda xp, p, y: 0.5 * xp.square(p - y).mean(),
    ("mae", "value"): lambda xp, p, y: xp.abs(p - y).mean(),
    ("rmse", "value"): lambda xp, p, y: xp.sqrt(xp.square(p - y).mean()),
    ("mape", "value"): lambda xp, p, y: 100 * xp.abs((p - y) / y).mean(),
    ("smape", "value"): lambda xp, p, y: 200 * (xp.abs(p - y) / (xp.abs(p) + xp.abs(y))).mean(),
    ("wape", "value"): lambda xp, p, y: xp.abs(p - y).sum() / xp.abs(y).sum(),
    ("msle", "value"): lambda xp, p, y: xp.square(xp.log1p(p) - xp.log1p(y)).mean(),
    ("rmsle", "value"): lambda xp, p, y: xp.sqrt(xp.square(xp.log1p(p) - xp.log1p(y)).mean()),
    ("huber", "value"): huber,
    ("smooth_l1", "value"): huber,  # with beta = 1 it is the same
    ("pseudo_huber", "value"): lambda xp, p, y: (xp.sqrt(1 + xp.square(p - y)) - 1).mean(),
    ("log_cosh", "value"): lambda xp, p, y: (xp.abs(p - y) + xp.log1p(xp.exp(-2 * xp.abs(p - y)))).mean() - LN_2,
    ("quantile", "value"): lambda xp, p, y: xp.maximum(0.5 * (y - p), -0.5 * (y - p)).mean(),
    ("epsilon_insensitive", "value"): lambda xp, p, y: hinge(xp, xp.abs(p - y) - 0.1).mean(),
    ("squared_epsilon_insensitive", "value"): lambda xp, p, y: xp.square(hinge(xp, xp.abs(p - y) - 0.1)).mean(),
    ("poisson", "value"): lambda xp, p, y: (p - y * xp.log(p)).mean(),
    ("poisson_nll", "value"): lambda xp, z, y: (xp.exp(z) - y * z).mean(),
    ("poisson_deviance", "value"): lambda xp, p, y: 2 * (xlogx(xp, y) - y * xp.log(p) - y + p).mean(),
    ("gamma_deviance", "value"): lambda xp, p, y: 2 * (xp.log(p / y) + y / p - 1).mean(),
    ("tweedie_deviance", "value"): tweedie,
    ("max_error", "value"): lambda xp, p, y: xp.abs(p - y).max(),
    ("gaussian_nll", "value"): gaussian_nll,
    ("median_ae", "value"): lambda xp, p, y: xp.median(xp.abs(p - y)),
}
BINARY: Mapping[Key, Formula] = {
    ("bce", "prob"): lambda xp, p, y: -(y * xp.log(p) + (1 - y) * xp.log1p(-p)).mean(),
    ("bce", "logit"): lambda xp, z, y: (softplus(xp, z) - y * z).mean(),
    ("binary_focal", "prob"): binary_focal,
    ("binary_focal", "logit"): binary_focal_from_logits,
    ("brier", "prob"): lambda xp, p, y: xp.square(p - y).mean(),
    ("brier", "logit"): lambda xp, z, y: xp.square(sigmoid(xp, z) - y).mean(),
    ("hinge", "value"): lambda xp, s, t: hinge(xp, 1 - s * t).mean(),
    ("squared_hinge", "value"): lambda xp, s, t: xp.square(hinge(xp, 1 - s * t)).mean(),
    ("modified_huber", "value"): modified_huber,
    ("perceptron", "value"): lambda xp, s, t: hinge(xp, -s * t).mean(),
    ("soft_margin", "value"): lambda xp, s, t: softplus(xp, -s * t).mean(),
    ("exponential", "value"): lambda xp, s, y: (y * xp.exp(-s) + (1 - y) * xp.exp(s)).mean(),
    ("hinge_embedding", "value"): lambda xp, x, t: xp.where(t > 0, x, hinge(xp, 1 - x)).mean(),
    ("binary_sparsemax", "logit"): binary_sparsemax,
    ("zero_one", "value"): lambda xp, p, y: (p != y).mean(dtype=p.dtype),
    ("hamming", "value"): lambda xp, p, y: (p != y).mean(dtype=p.dtype),
    ("contrastive", "value"): lambda xp, d, y: 0.5 * (y * d * d + (1 - y) * xp.square(hinge(xp, 1 - d))).mean(),
}
MULTICLASS: Mapping[Key, Formula] = {
    ("cce", "prob"): lambda xp, p, y: -(y * xp.log(p)).sum(axis=1).mean(),
    ("cce", "logit"): lambda xp, z, y: -(y * log_softmax(xp, z)).sum(axis=1).mean(),
    ("cce", "log_prob"): lambda xp, q, y: -(y * q).sum(axis=1).mean(),
    ("scce", "prob"): lambda xp, p, i: -xp.log(at(xp, p, i)).mean(),
    ("scce", "logit"): lambda xp, z, i: -at(xp, log_softmax(xp, z), i).mean(),
    ("scce", "log_prob"): lambda xp, q, i: -at(xp, q, i).mean(),
    ("nll", "log_prob"): lambda xp, q, i: -at(xp, q, i).mean(),
    ("gce", "prob"): lambda xp, p, i: (1 - at(xp, p, i) ** 0.7).mean() / 0.7,
    ("gce", "logit"): lambda xp, z, i: (1 - at(xp, softmax(xp, z), i) ** 0.7).mean() / 0.7,
    ("categorical_focal", "prob"): lambda xp, p, y: -(xp.square(1 - p) * y * xp.log(p)).sum(axis=1).mean(),
    ("categorical_focal", "logit"): lambda xp, z, y: (
        -(xp.square(1 - softmax(xp, z)) * y * log_softmax(xp, z)).sum(axis=1).mean()
    ),
    ("poly1", "logit"): poly1,
    ("categorical_hinge", "value"): categorical_hinge,
    ("multiclass_hinge", "value"): multiclass_hinge,
    ("multi_margin", "value"): multi_margin,
    ("multiclass_perceptron", "value"): lambda xp, s, i: (s.max(axis=1) - at(xp, s, i)).mean(),
    ("kl_divergence", "prob"): lambda xp, p, y: kl(xp, xp.log(p), y),
    ("kl_divergence", "log_prob"): kl,
    ("kl_divergence", "logit"): lambda xp, z, y: kl(xp, log_softmax(xp, z), y),
    ("generalized_kl", "prob"): lambda xp, p, y: (xlogx(xp, y) - y * xp.log(p) - y + p).sum(axis=1).mean(),
    ("generalized_kl", "log_prob"): lambda xp, q, y: (xlogx(xp, y) - y * q - y + xp.exp(q)).sum(axis=1).mean(),
    ("js_divergence", "prob"): js_divergence,
    ("brier_multiclass", "prob"): lambda xp, p, y: xp.square(p - y).sum(axis=1).mean(),
    ("brier_multiclass", "logit"): lambda xp, z, y: xp.square(softmax(xp, z) - y).sum(axis=1).mean(),
    ("ranking_softmax", "logit"): lambda xp, z, y: -(y * log_softmax(xp, z)).sum(axis=1).mean(),
    ("fenchel_young", "value"): lambda xp, s, y: -(y * log_softmax(xp, s)).sum(axis=1).mean(),
    ("multilabel_soft_margin", "logit"): lambda xp, z, y: (softplus(xp, z) - y * z).mean(),
    ("sparsemax", "value"): sparsemax,
}
SIMILARITY: Mapping[Key, Formula] = {
    ("cosine_similarity", "value"): lambda xp, p, y: -cosine(xp, p, y).mean(),
    ("cosine_distance", "value"): lambda xp, p, y: 1 - cosine(xp, p, y).mean(),
    ("cosine_global", "value"): lambda xp, p, y: -cosine(xp, p, y),
    ("dice", "prob"): dice,
    ("dice", "logit"): lambda xp, z, y: dice(xp, sigmoid(xp, z), y),
    # With alpha = beta = 1/2 it is the same.
    ("tversky", "prob"): dice,
    ("tversky", "logit"): lambda xp, z, y: dice(xp, sigmoid(xp, z), y),
    ("cosine_embedding", "value"): cosine_embedding,
    ("margin_ranking", "value"): lambda xp, a, b, sign: hinge(xp, -sign * (a - b)).mean(),
    ("triplet_margin", "value"): triplet_margin,
}
FORMULAS: Mapping[Key, Formula] = {**REGRESSION, **BINARY, **MULTICLASS, **SIMILARITY}
