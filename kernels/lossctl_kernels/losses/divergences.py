"""Divergences between a row of predicted and a row of true shares. p is the prediction, y the target.

Where p is near y, the terms y ln(y/p) cancel in the sum. Each is y - p, whose sum is small, and a rest that is small by
itself: with s = (y - p)/(y + p), of which ln(y/p) is 2 atanh(s), that is (y - p) s + y (2 atanh(s) - 2 s).
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..domains import CLASS_PROBABILITY, LOG_PROBABILITY, LOGIT, NONNEGATIVE, PROBABILITY, TargetKind
from ..scalar import (
    LN2_HIGH,
    SMALLEST_NORMAL,
    absolute,
    exp,
    log1p,
    maximum,
    square,
    where,
)
from ..shares import log_of_quotient, split_log
from ..softmax import largest, tail, ties
from ..spec import Loss, Monoid, Parameter, Scope, TargetTransform, define, fold, form_of, gradient_of, loss
from .entropies import mean_less, relative_entropy, relative_entropy_of_log
from .multiclass import cce_from_logits_gradient, mass
from .near_shares import (
    below_grid,
    departure,
    entropies_of_logits,
    inverse_total,
    is_small,
    kl_rest_of_log,
    kl_rest_of_logs,
    kl_term_of_log,
    kl_terms_of_logits,
    log_total,
    on_grid,
    surplus_of_log,
    whole,
)
from .parts import KERAS

LOG_TWO = math.log(2.0)
REDUCED = ("denom", "empty", "grad_scale", "preset")


def exponential_of_target(target: float) -> float:
    return exp(target)


TARGETS: dict[str, dict[str, dict[str, Any]]] = {
    "target": {
        "prob": {},
        "log_prob": {
            "target_kind": TargetKind.SAME,
            "target": LOG_PROBABILITY,
            "target_transform": TargetTransform("exponential_of_target", exponential_of_target),
        },
    }
}


# ---- Kullback-Leibler


def of_logarithms_alone(loss: Loss, options: Mapping[str, Any]) -> dict[str, Any]:
    """Where both sides are logarithms, those of the targets are not rounded to shares first."""
    if options["target"] != "log_prob" or options["input"] != "log_prob":
        return {}
    return {"forms": {**loss.forms, "log_prob": OF_LOG_TARGETS}, "target_transform": None}


@fold(Monoid.SUM)
def kl_terms(prediction: float, target: float, eps: float) -> float:
    """y ln(y/p), without what the other folds have of it."""
    p, y = held(prediction, eps), held(target, eps)
    k, s, rest = log_of_quotient(y, p)
    leading = where(k == 0.0, (y - p) * s, 2.0 * y * s)
    # A number for NaN comes out of the logarithm.
    value = leading + y * rest + y * (k * LN2_HIGH) + 0.0 * p
    return where((p == 0.0) & (y > 0.0), math.inf, value)


@fold(Monoid.SUM, "kl_surplus")
def difference_next_to(prediction: float, target: float, eps: float) -> float:
    p, y = held(prediction, eps), held(target, eps)
    return where(log_of_quotient(y, p)[0] == 0.0, y - p, 0.0)


@fold(Monoid.ONCE)
def rounded_divergence(kl_terms: float, kl_surplus: float) -> float:
    return kl_terms + kl_surplus


# Where they cancel, the differences y - p are summed again in two parts, of which the first is exact.


@fold(Monoid.SUM, when=is_small)
def kl_grid(prediction: float, target: float, eps: float) -> float:
    return on_grid(difference_next_to(prediction, target, eps))


@fold(Monoid.SUM, when=is_small)
def kl_remnant(prediction: float, target: float, eps: float) -> float:
    return below_grid(difference_next_to(prediction, target, eps))


def held(share: float, eps: float) -> float:
    """The number at or above `eps`; NaN stays NaN."""
    return where(share < eps, eps, share)


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(kl_terms, difference_next_to, rounded_divergence, kl_grid, kl_remnant),
    prediction=CLASS_PROBABILITY,
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    variants=TARGETS,
    adapt=of_logarithms_alone,
    formula="Σ y ln(y/p) over the row, 0 ln 0 = 0",
    gradient_formula="-y/p; by ln p -y; by the logits (Σ y) softmax(z) - y",
    unit="nat",
    options=("input", "target", "eps_mode", "log_base", "grad_wrt", *REDUCED),
    aliases={
        "keras": ("KLDivergence", "kullback_leibler_divergence", "kld", "KLD"),
        "torch": ("KLDivLoss:input=log_prob", "kl_div:input=log_prob"),
        "optax": ("kl_divergence_with_log_targets:input=log_prob,target=log_prob",),
    },
    presets={
        "keras": {**KERAS, "prob": {"eps": 1e-7}},
        "torch": {"input": "log_prob", "denom": "elements"},
        "optax": {"input": "log_prob"},
        "sklearn": {},
    },
    source="Kullback and Leibler (1951), On information and sufficiency",
)
def kl_divergence(
    kl_terms: float,
    kl_surplus: float,
    rounded_divergence: float,
    kl_grid: float,
    kl_remnant: float,
    eps: Annotated[float, Parameter("prediction and target are held at or above this", at_least=0.0)] = 0.0,
) -> float:
    """Kullback-Leibler divergence of the prediction from the target, both distributions over the classes.

    Exact where both are nearly equal, of logarithms and logits, too: of these to some 1e-30, of which divergences below
    1e-18 see something. Only in the gradient by logits, and where targets alone are logarithms, which are rounded to
    shares first, it is right to some 1e-16 of p and y. The mean is over rows, which is PyTorch's `batchmean` of arrays
    of two axes; its `mean` divides by the number of values as well (`denom=elements`). Keras holds both sides at 1e-7.
    `generalized_kl` takes rows of any sum.
    """
    return kl_terms + where(is_small(rounded_divergence), kl_grid + kl_remnant, kl_surplus)


@gradient_of(kl_divergence)
def kl_divergence_gradient(prediction: float, target: float, eps: float) -> float:
    y = maximum(target, eps)
    return where((y == 0.0) | (prediction < eps), 0.0 * prediction, -y / prediction)


@fold(Monoid.SUM, "rounded_divergence")
def kl_terms_of_logs(prediction: float, target: float) -> float:
    return kl_term_of_log(prediction, target)


@fold(Monoid.SUM, when=is_small)
def kl_rest(prediction: float, target: float) -> float:
    return kl_rest_of_log(prediction, target)


@fold(Monoid.SUM, when=is_small)
def kl_surplus_of_logs(prediction: float, target: float) -> float:
    return surplus_of_log(prediction, target)


@form_of("kl_divergence", "log_prob", LOG_PROBABILITY, (kl_terms_of_logs, kl_rest, kl_surplus_of_logs))
def kl_divergence_of_logs(rounded_divergence: float, kl_rest: float, kl_surplus_of_logs: float) -> float:
    return where(is_small(rounded_divergence), kl_rest + kl_surplus_of_logs, rounded_divergence)


@gradient_of(kl_divergence_of_logs)
def kl_divergence_of_logs_gradient(target: float) -> float:
    return 0.0 - target


# Of logarithms of both sides.


@fold(Monoid.SUM, "rounded_divergence")
def kl_terms_of_log_targets(prediction: float, target: float) -> float:
    return kl_term_of_log(prediction, exp(target))


@fold(Monoid.SUM, "kl_rest", when=is_small)
def kl_rest_of_log_targets(prediction: float, target: float) -> float:
    return kl_rest_of_logs(prediction, target)


@fold(Monoid.SUM, "kl_surplus_of_logs", when=is_small)
def kl_surplus_of_log_targets(prediction: float, target: float) -> float:
    return surplus_of_log(prediction, exp(target))


def kl_divergence_of_log_targets(rounded_divergence: float, kl_rest: float, kl_surplus_of_logs: float) -> float:
    return kl_divergence_of_logs(rounded_divergence, kl_rest, kl_surplus_of_logs)


OF_LOG_TARGETS = define(
    kl_divergence_of_log_targets,
    LOG_PROBABILITY,
    Scope.ROW,
    (kl_terms_of_log_targets, kl_rest_of_log_targets, kl_surplus_of_log_targets),
)


@gradient_of(kl_divergence_of_log_targets)
def kl_divergence_of_log_targets_gradient(target: float) -> float:
    return 0.0 - exp(target)


@form_of(
    "kl_divergence",
    "logit",
    LOGIT,
    (
        largest,
        ties,
        tail,
        log_total,
        inverse_total,
        mass,
        kl_terms_of_logits,
        entropies_of_logits,
        whole,
        departure,
    ),
)
def kl_divergence_of_logits(
    rounded_divergence: float, entropies_of_logits: float, whole: float, departure: float
) -> float:
    """Σ y ln(y/p); where small, Σ [y ln(y/q) - y + q] + ε + ε η - η²/2 with p = q/(1 + η), Σ y = 1 + ε."""
    # That is Σ y ln(y/q) + Σ y ln(1 + η), without what is far below it: of the first sum's Σ q nothing is left.
    surplus = whole - 1.0
    error = surplus + departure
    small = entropies_of_logits + (surplus + error * (surplus - 0.5 * error))
    return where(is_small(rounded_divergence), small, rounded_divergence)


gradient_of(kl_divergence_of_logits)(cce_from_logits_gradient)


# ---- of shares that need not sum to 1


@fold(Monoid.SUM)
def generalized_kl_terms(prediction: float, target: float) -> float:
    return where((prediction == 0.0) & (target > 0.0), math.inf, relative_entropy(target, prediction))


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(generalized_kl_terms,),
    prediction=NONNEGATIVE,
    target=NONNEGATIVE,
    formula="Σ [y ln(y/p) - y + p] over the row, 0 ln 0 = 0",
    gradient_formula="1 - y/p; by ln p p - y",
    unit="nat",
    options=("input", "log_base", "grad_wrt", *REDUCED),
    aliases={"optax": ("generalized_kl_divergence:input=log_prob", "convex_kl_divergence:input=log_prob")},
    presets={"keras": KERAS, "torch": {}, "optax": {"input": "log_prob"}, "sklearn": {}},
    source="Csiszár (1991), Why least squares and maximum entropy?",
)
def generalized_kl(generalized_kl_terms: float) -> float:
    """Kullback-Leibler divergence of amounts that need not sum to 1: every term is at least 0, and 0 where p = y."""
    return generalized_kl_terms


@gradient_of(generalized_kl)
def generalized_kl_gradient(prediction: float, target: float) -> float:
    return where(target == 0.0, 1.0 + 0.0 * prediction, (prediction - target) / prediction)


@fold(Monoid.SUM)
def generalized_kl_terms_of_logs(prediction: float, target: float) -> float:
    return relative_entropy_of_log(target, prediction)


@form_of("generalized_kl", "log_prob", LOGIT, (generalized_kl_terms_of_logs,))
def generalized_kl_of_logs(generalized_kl_terms_of_logs: float) -> float:
    return generalized_kl_terms_of_logs


@gradient_of(generalized_kl_of_logs)
def generalized_kl_of_logs_gradient(prediction: float, target: float) -> float:
    return mean_less(target, prediction)


# ---- Jensen-Shannon


@fold(Monoid.SUM)
def js_terms(prediction: float, target: float) -> float:
    """y ln(y/m) + p ln(p/m), m = (p + y)/2; with u = (p - y)/(p + y) it is m [a ln a + b ln b], a, b = 1 ∓ u."""
    middle = 0.5 * (prediction + target)
    inverse = 1.0 / where(middle < SMALLEST_NORMAL, 1.0, middle)
    a, b, u = target * inverse, prediction * inverse, 0.5 * (prediction - target) * inverse
    (k, f, rest), (m, g, other_rest) = split_log(a, -u), split_log(b, u)
    # (1 - u)(-u) + (1 + u) u is 2 u², without the terms that cancel.
    leading = where((k == 0.0) & (m == 0.0), 2.0 * square(u), a * f + b * g)
    return middle * (leading + (a * k + b * m) * LN2_HIGH - (a * rest + b * other_rest))


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(js_terms,),
    prediction=CLASS_PROBABILITY,
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    formula="½ Σ [y ln(y/m) + p ln(p/m)] over the row, m = (p + y)/2",
    gradient_formula="½ ln(p/m)",
    unit="nat",
    options=("input", "log_base", *REDUCED),
    aliases={"other": ("JensenShannonDivergence", "jensen_shannon_divergence")},
    presets={"keras": KERAS, "torch": {}, "optax": {}, "sklearn": {}},
    source="Lin (1991), Divergence measures based on the Shannon entropy",
)
def js_divergence(js_terms: float) -> float:
    """Jensen-Shannon divergence, the mean divergence of both rows from their mean: from 0 to ln 2.

    Its root is SciPy's `jensenshannon`. Of terms below 2e-308 no digits are right.
    """
    return 0.5 * js_terms


@gradient_of(js_divergence)
def js_divergence_gradient(prediction: float, target: float) -> float:
    total = prediction + target
    u = (prediction - target) / total
    k, s, rest = log_of_quotient(2.0 * prediction, total)
    far = where(prediction == 0.0, -math.inf, k * LN2_HIGH + (2.0 * s + rest))
    slope = where(absolute(u) < 0.5, log1p(u), far)
    # With a target of 0 the term is p ln 2, also at p = 0.
    return 0.5 * where(target == 0.0, LOG_TWO + 0.0 * prediction, slope)
