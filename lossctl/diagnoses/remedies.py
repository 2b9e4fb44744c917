"""What to do about data that cannot be right: what they look like, and the option that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lossctl_kernels.domains import TargetKind

if TYPE_CHECKING:
    from lossctl_kernels import Plan

# Logits are hardly ever beyond it, and percentages hardly ever all within.
_LARGE_LOGIT = 20


def row_sum_remedy(plan: Plan, role: str, *, columns_sum_to_one: bool) -> str:
    """For rows that do not sum to 1."""
    if columns_sum_to_one:
        return f"each column sums to 1: the {role}s look transposed, save array.T"
    if role == "target":
        remedy = "each target row is a distribution: one-hot, or shares that sum to 1"
        if plan.settings.loss.name == "cce" and not plan.settings["label_smoothing"]:  # in proportion to the sum
            remedy += "; for others, as frameworks take them, divide each row by its sum, with denom=count and the "
            remedy += "sums as --weights"
        return remedy
    if plan.width == 1:
        return "name the columns of all classes"
    loss, remedies = plan.settings.loss, []
    if "logit" in loss.forms:
        remedies.append("--from-logits if these are logits")
    if "normalize" in loss.options:
        remedies.append(f"{loss.name}:normalize=true to divide each row by its sum")
    return ", or ".join(remedies) or "divide each row by its sum first"


def prediction_remedy(  # noqa: PLR0911 - one return for each remedy
    plan: Plan, low: float, high: float, *, whole: bool
) -> str:
    """For predictions from `low` to `high`, `whole` numbers or not, of which some are outside their domain."""
    forms = plan.settings.loss.forms
    logits = "--from-logits" if "logit" in forms else ""
    if plan.settings.input == "log_prob":
        if low >= 0 and high <= 1:
            return f"they look like probabilities: {'input=prob' if 'prob' in forms else 'take their log() first'}"
        return f"logarithms of probabilities are not above 0{f'; for logits use {logits}' if logits else ''}"
    if plan.settings.input != "prob" or plan.prediction_domain.high != 1.0:
        return f"predictions of {plan.settings.loss.name} lie in {plan.prediction_domain}"
    if low < 0 and high <= 0:
        remedy = "input=log_prob" if "log_prob" in forms else "take their exp() first"
        return f"they look like log-probabilities: {remedy}{f'; for logits use {logits}' if logits else ''}"
    if low >= 0 and 1 < high <= 100:
        also = f", or {logits} if these are logits" if logits and high <= _LARGE_LOGIT else ""
        return f"they look like percentages: divide them by 100{also}"
    if whole and low >= 0:
        return "they are whole numbers, such as ids: name the predictions"
    if logits:
        return "looks like logits: --from-logits"
    return f"predictions of {plan.settings.loss.name} lie in {plan.prediction_domain}"


def target_remedy(  # noqa: PLR0911 - one return for each remedy
    plan: Plan, low: float, high: float, *, whole: bool
) -> str:
    """For targets from `low` to `high`, `whole` numbers or not, of which some are outside their domain."""
    loss = plan.settings.loss
    if "labels" in plan.settings.options and whole and (low, high) in ((0, 1), (-1, 1)):
        return f"labels={'01' if low == 0 else 'pm1'} says what they are"
    if whole and low == 1 and high == 2:
        return "the labels look as if they count from 1: subtract 1"
    if loss.target.labels or loss.target.high != 1.0:
        return f"targets of {loss.name} lie in {loss.target}"
    if whole and low >= -1 and high <= 1:
        return "the labels look like -1 and 1: map them to 0 and 1"
    if whole and low >= 0:
        return "they look like class indices: give one prediction a class and use scce"
    if low >= 0 and _LARGE_LOGIT < high <= 100:
        return "they look like percentages: divide them by 100"
    return "targets of this loss are probabilities or 0/1 labels"


def whole_remedy(kind: TargetKind) -> str:
    """For labels that are no whole numbers."""
    if kind is TargetKind.GROUP:
        return "labels are whole numbers"
    soft = "; for soft targets use cce" if kind is TargetKind.INDEX else ""
    return f"class indices are whole numbers{soft}"


def label_remedy(plan: Plan, low: float, high: float, classes: int) -> str:
    """For labels from `low` to `high` of which some name none of so many classes."""
    if low == 1 and high == classes:
        return f"the labels look as if they count from 1: subtract 1 (the predictions have {classes} classes)"
    marks = next((each for each in (low, high) if each in (-1.0, -100.0, 255.0)), None)
    if marks is not None and "ignore_index" in plan.settings.options:
        also = ", or if the labels count from -1: add 1" if low == -1 and high == classes - 2 else ""
        return f"if {marks:g} marks rows to leave out: --ignore-index {marks:g}{also}"
    if plan.settings.loss.target_kind is TargetKind.LABELS:
        return f"the predictions have {classes} classes, one a column; -1 ends a list"
    return f"the predictions have {classes} classes, one a column"
