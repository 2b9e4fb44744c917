"""Names that are no loss here: what was probably meant, or what else does it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

# What the path of a loss in a framework begins with, as in torch.nn.BCELoss, F.mse_loss and tf.keras.losses.Huber.
_FRAMEWORKS = {
    "F": "torch",
    "keras": "keras",
    "nn": "torch",
    "optax": "optax",
    "sklearn": "sklearn",
    "tensorflow": "keras",
    "tf": "keras",
    "torch": "torch",
}

_KERAS_METRICS = {"denom": "weight", "sign": "1"}
"""Unlike losses of Keras, its metrics are divided by the weights, and the cosine grows as rows are more alike."""

_REDUCTION = "the option --reduction, in Python reduction="
_WEIGHTS = "the option --weights"
_CLASSES = "the option --classes"
_CLASS_AXIS = "the option --class-axis"
_ARGUMENTS = (
    ("axis", "", _CLASS_AXIS),
    ("dim", "", _CLASS_AXIS),
    ("reduction", "", _REDUCTION),
    ("size_average", "", _REDUCTION),
    ("reduce", "", _REDUCTION),
    ("normalize", "", _REDUCTION),
    ("weight", "class_weight", "class_weight"),
    ("weight", "", _WEIGHTS),
    ("sample_weight", "", _WEIGHTS),
    ("labels", "", _CLASSES),
    ("pos_label", "", _CLASSES),
    ("multioutput", "row", "row=mean for the mean over the columns; for one of them, name it with --pred-col"),
    ("squared", "", "the loss rmse"),
    ("log_input", "", "the loss: poisson takes rates, poisson_nll their logarithms"),
    ("from_logits", "", "input=logit"),
    ("apply_softmax", "input", "input: prob or logit"),
    ("apply_sigmoid", "input", "input: prob or logit"),
    ("apply_class_balancing", "alpha", "alpha, which Keras has at 0.25"),
    ("log_target", "target", "target=log_prob"),
    ("ignore_class", "ignore_index", "ignore_index"),
    ("p", "norm", "norm"),
    ("norm_degree", "norm", "norm"),
    ("alpha", "q", "q"),
    ("quantile", "q", "q"),
    ("epsilon", "eps", "eps; of cosines optax takes its square"),
    ("log_epsilon", "infeasible", "infeasible, the loss of what has no alignment"),
)
"""Arguments of frameworks, the option that a loss needs to have for this to be said of it, and what they are here."""

_SCORE = "a score is 1 - L / L of a constant prediction: evaluate both, as with mse"
_ACCURACY = "it is 1 - zero_one"
_OWN_PARAMETERS = "it has parameters of its own: save its logits and use scce:input=logit"
_ACCURACY_OF_SCORES = "save the labels that are predicted: it is 1 - zero_one of them"
_TOP_K = "save whether the class of a row is among its best: it is 1 - zero_one of that and 1"
_OF_ALL_ROWS = "it is of all rows together, and no mean of losses"
_TOOL = "it makes losses and is none: name the loss itself, such as keras.losses.Huber"
_OTHERWISE = {
    "smooth_labels": "it is an option of a loss, as in cce:label_smoothing=0.1",
    "mean_with_sample_weight": "it is how a mean is taken: denom=weight, as in mse:denom=weight",
    "sum_over_batch_size": "it is how a mean is taken: denom=count, as in mse:denom=count",
    "AdaptiveLogSoftmaxWithLoss": _OWN_PARAMETERS,
    "LinearCrossEntropyLoss": _OWN_PARAMETERS,
    "linear_cross_entropy": _OWN_PARAMETERS,
    "accuracy_score": _ACCURACY,
    "accuracy": _ACCURACY,
    "binary_accuracy": _ACCURACY_OF_SCORES,
    "categorical_accuracy": _ACCURACY_OF_SCORES,
    "sparse_categorical_accuracy": _ACCURACY_OF_SCORES,
    "sparse_top_k_categorical_accuracy": _TOP_K,
    "top_k_accuracy": _TOP_K,
    "top_k_accuracy_score": _TOP_K,
    "top_k_categorical_accuracy": _TOP_K,
    "auc": _OF_ALL_ROWS,
    "average_precision": _OF_ALL_ROWS,
    "average_precision_score": _OF_ALL_ROWS,
    "balanced_accuracy": _OF_ALL_ROWS,
    "balanced_accuracy_score": _OF_ALL_ROWS,
    "f1": _OF_ALL_ROWS,
    "f1_score": _OF_ALL_ROWS,
    "fbeta_score": _OF_ALL_ROWS,
    "matthews_corrcoef": _OF_ALL_ROWS,
    "precision": _OF_ALL_ROWS,
    "precision_score": _OF_ALL_ROWS,
    "recall": _OF_ALL_ROWS,
    "recall_score": _OF_ALL_ROWS,
    "roc_auc": _OF_ALL_ROWS,
    "roc_auc_score": _OF_ALL_ROWS,
    "Loss": _TOOL,
    "LossFunctionWrapper": _TOOL,
    "deserialize": _TOOL,
    "get": _TOOL,
    "serialize": _TOOL,
    "r2_score": _SCORE,
    "r2": _SCORE,
    "explained_variance_score": _SCORE,
    "explained_variance": _SCORE,
    "d2_absolute_error_score": _SCORE,
    "d2_brier_score": _SCORE,
    "d2_log_loss_score": _SCORE,
    "d2_pinball_score": _SCORE,
    "d2_tweedie_score": _SCORE,
}


def in_framework(path: str) -> tuple[dict[str, str], str]:
    """The options that the path of a name implies, and the name: ({"preset": "torch"}, "BCELoss") of torch.nn.BCELoss.

    No options, and the path itself, where it is in no framework.
    """
    module, _, name = path.rpartition(".")
    parts = module.split(".")
    framework = _FRAMEWORKS.get(parts[0])
    if framework is None:
        return {}, path
    of_metrics = _KERAS_METRICS if framework == "keras" and "metrics" in parts else {}
    return {"preset": framework, **of_metrics}, name


def argument(name: str, options: Collection[str]) -> str | None:
    """What an argument of a framework is here, for a loss with these options; None for one of them."""
    if name in options:
        return None
    return next((meant for each, needed, meant in _ARGUMENTS if each == name and needed in ("", *options)), None)


def guess(name: str, known: Iterable[str]) -> str:
    """A hint for a name that nothing has, "did you mean X? " or what does it instead; empty where nothing is close.

    A name that only differs in case, hyphens, underscores and the word "loss" is closer than any other.
    """
    otherwise = next((hint for each, hint in _OTHERWISE.items() if _bare(each) == _bare(name)), None)
    if otherwise:
        return f"{otherwise}; "
    names = list(known)
    alike = [each for each in names if _core(each) == _core(name)]
    by_letters = {_letters(each): each for each in alike or names}
    from difflib import get_close_matches

    close = get_close_matches(_letters(name), list(by_letters), n=1, cutoff=0.0 if alike else 0.6)
    if not close:
        return ""
    meant = by_letters[close[0]]
    if alike and _is_scorer(name):
        return f"a scorer is minus the loss: use {_in_scikit_learn(meant)}; "
    return f"did you mean {meant}? "


def _letters(name: str) -> str:
    return name.lower().replace("-", "_")


def _bare(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _is_scorer(name: str) -> bool:
    """Whether scikit-learn calls a scorer so: the larger, the better."""
    return name.startswith("neg_")


def _in_scikit_learn(name: str) -> str:
    """With the path that implies the conventions of scikit-learn, where it has the name: its MAPE is no percentage."""
    from lossctl_kernels import LOSSES

    theirs = (alias for loss in LOSSES.values() for alias in loss.aliases.get("sklearn", ()))
    return f"sklearn.metrics.{name}" if name in {alias.partition(":")[0] for alias in theirs} else name


def _core(name: str) -> str:
    """Without what frameworks put around a name."""
    return _bare(name).removeprefix("neg").removesuffix("loss").removesuffix("score") or _bare(name)
