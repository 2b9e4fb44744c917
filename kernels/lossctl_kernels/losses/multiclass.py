"""Losses of a row of C class scores against a distribution over the classes or a class index.

The folds take a target of one number for each class. With a class index it is 1 at that class and 0 elsewhere, so `cce`
and `scce` are one set of definitions: where a fold is a `TARGET_SUM`, the index alone says which term is left.
"""

import math

from ..domains import BINARY_LABEL, CLASS_PROBABILITY, LOG_PROBABILITY, LOGIT, NONNEGATIVE, PROBABILITY, TargetKind
from ..scalar import exp, log1p, where
from ..shares import log_of_share
from ..softmax import largest, others, relative_exp, tail, ties
from ..spec import LOSSES, Input, InputShape, Monoid, Scope, fold, form_of, gradient_of, loss, share
from .amounts import OF_AMOUNTS, divided_in_place

CROSS_ENTROPY_OPTIONS = (
    "input",
    "eps",
    "eps_mode",
    "normalize",
    "label_smoothing",
    "smoothing_mode",
    "class_weight",
    "log_base",
    "denom",
    "empty",
    "grad_wrt",
    "grad_scale",
    "preset",
)
KERAS = {"prob": {"eps": 1e-7, "eps_mode": "clip", "normalize": True}, "denom": "count", "empty": "zero"}
SKLEARN = {"prob": {"eps": "machine", "eps_mode": "clip"}}


# ---- probabilities


@fold(Monoid.TARGET_SUM)
def surprise(prediction: float, target: float, log_floor: float = -math.inf) -> float:
    """-y ln p, and 0 where y = 0 whatever p is."""
    logarithm = log_of_share(prediction)
    return where(target == 0.0, 0.0, 0.0 - target * where(logarithm < log_floor, log_floor, logarithm))


@loss(
    input="prob",
    scope=Scope.ROW,
    folds=(surprise,),
    prediction=CLASS_PROBABILITY,
    target_kind=TargetKind.DISTRIBUTION,
    target=PROBABILITY,
    formula="-Σ w y ln p over the classes, 0 ln 0 = 0",
    gradient_formula="-w y/p; by the logits (Σ w y) softmax(z) - w y, which is p - y for one-hot rows without weights",
    unit="nat",
    options=CROSS_ENTROPY_OPTIONS,
    aliases={
        "keras": ("CategoricalCrossentropy", "categorical_crossentropy"),
        "torch": ("CrossEntropyLoss:input=logit", "cross_entropy:input=logit"),
        "optax": ("softmax_cross_entropy:input=logit", "safe_softmax_cross_entropy:input=logit"),
        "sklearn": ("log_loss",),
    },
    presets={
        "keras": KERAS,
        "torch": {"input": "logit", "denom": "count"},
        "optax": {"input": "logit"},
        "sklearn": SKLEARN,
    },
    adapt=divided_in_place(OF_AMOUNTS),
    source="Good (1952), Rational decisions",
)
def cce(surprise: float) -> float:
    """Categorical cross-entropy of a row of probabilities with a distribution, one-hot or soft.

    Never negative. Rows are not renormalised (`normalize=true` does, value and gradient) and not clipped (`eps` does;
    1 - eps and p + eps are rounded as p is). The gradient by logits is p - y of a rounded p: next to a soft target it
    is right to some 1e-16 of either.
    """
    return surprise


@gradient_of(cce)
def cce_gradient(prediction: float, target: float, log_floor: float = -math.inf) -> float:
    return where((target == 0.0) | (prediction < exp(log_floor)), 0.0, -target / prediction)


# ---- logits


@fold(Monoid.TARGET_SUM)
def gap(prediction: float, target: float, largest: float) -> float:
    """How far the targets lie below the largest logit, weighted; a target of 0 may have a logit of minus infinity."""
    # A share of a difference that is too large may not be.
    return where(target == 0.0, 0.0, 2.0 * (target * (0.5 * largest - 0.5 * prediction)))


@fold(Monoid.TARGET_SUM)
def mass(target: float) -> float:
    return target


@form_of("cce", "logit", LOGIT, folds=(largest, ties, tail, gap, mass))
def cce_from_logits(gap: float, mass: float, ties: float, tail: float) -> float:
    """Σ y (lse(z) - z), with lse(z) = max + log1p(sum of the others)."""
    return gap + mass * log1p(others(ties, tail))


@gradient_of(cce_from_logits)
def cce_from_logits_gradient(
    prediction: float, target: float, largest: float, ties: float, tail: float, mass: float
) -> float:
    """mass softmax(z) - y over one denominator: 1 - p of the right class is the sum of the others, not a difference."""
    rest = others(ties, tail)
    # The inverse is the same along the row: one division.
    return ((mass * relative_exp(prediction, largest) - target) - target * rest) * (1.0 / (1.0 + rest))


# ---- log-probabilities


@fold(Monoid.TARGET_SUM)
def log_surprise(prediction: float, target: float) -> float:
    return where(target == 0.0, 0.0, 0.0 - target * prediction)


@form_of("cce", "log_prob", LOG_PROBABILITY, folds=(log_surprise,))
def cce_from_log_probs(log_surprise: float) -> float:
    return log_surprise


@gradient_of(cce_from_log_probs)
def cce_from_log_probs_gradient(target: float) -> float:
    return 0.0 - target


share(
    LOSSES["cce"],
    name="scce",
    target_kind=TargetKind.INDEX,
    options=(*CROSS_ENTROPY_OPTIONS, "ignore_index"),
    formula="-w_y ln p_y; smoothed -Σ w y' ln p with y' = (1 - ε) one_hot(y) + ε/C",
    gradient_formula="-w_y/p_y at the class y; by the logits w_y (softmax(z) - one_hot(y))",
    aliases={
        "keras": ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"),
        "torch": ("CrossEntropyLoss:input=logit", "cross_entropy:input=logit"),
        "optax": ("softmax_cross_entropy_with_integer_labels:input=logit",),
        "sklearn": ("log_loss", "HalfMultinomialLoss:input=logit"),
    },
    presets={
        "keras": {**KERAS, "denom": "valid"},
        "torch": {"input": "logit", "ignore_index": -100, "denom": "weight"},
        "optax": {"input": "logit"},
        "sklearn": SKLEARN,
    },
    description="""Categorical cross-entropy with a class index as target.

    An index outside [0, C) is an error unless `ignore_index` names it: those rows leave sum and denominator.""",
)

share(
    LOSSES["scce"],
    name="nll",
    forms={"log_prob": LOSSES["scce"].forms["log_prob"]},
    options=("input", "class_weight", "ignore_index", "log_base", "denom", "empty", "grad_scale", "preset"),
    formula="-w_y x_y, x the log-probabilities",
    gradient_formula="-w_y at the class y, 0 elsewhere",
    aliases={"torch": ("NLLLoss", "nll_loss", "NLLLoss2d"), "other": ("negative_log_likelihood",)},
    presets={
        "keras": {"denom": "count", "empty": "zero"},
        "torch": {"ignore_index": -100, "denom": "weight"},
        "optax": {},
        "sklearn": {},
    },
    description="""Minus the log-probability of the class of each row, as a network that ends in log-softmax gives it.

    `scce` with `input=log_prob`, under the name that PyTorch has for it.""",
)

share(
    LOSSES["cce"],
    name="ranking_softmax",
    forms={"logit": LOSSES["cce"].forms["logit"]},
    target_kind=TargetKind.SAME,
    target=NONNEGATIVE,
    unit="",
    infinite=True,
    options=("input", "class_weight", "denom", "empty", "grad_scale", "preset"),
    formula="-Σ w r ln softmax(z) over the list, r the relevance",
    gradient_formula="(Σ w r) softmax(z) - w r",
    inputs={
        "mask": Input(
            "0 for items that are left out, 1 for the others", InputShape.LIKE_PREDICTION, BINARY_LABEL, optional=True
        ),
        "item_weight": Input(
            "what the relevance of each item is multiplied by", InputShape.LIKE_PREDICTION, NONNEGATIVE, optional=True
        ),
    },
    aliases={"optax": ("ranking_softmax_loss",), "other": ("listnet", "softmax_loss")},
    presets={"keras": {"denom": "count", "empty": "zero"}, "torch": {}, "optax": {"denom": "valid"}, "sklearn": {}},
    source="Cao et al. (2007), Learning to rank: from pairwise approach to listwise approach",
    description="""Cross-entropy of the softmax over a list of items with their relevances, which need not sum to 1.

    Each row is a list; `class_weight` weighs its places. Items that the input `mask` has a 0 for have no share in the
    softmax, and a list without items does not count; the input `item_weight` weighs relevances.""",
)
