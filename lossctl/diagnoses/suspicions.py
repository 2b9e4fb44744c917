"""What can be computed and is hardly meant: said as a warning, with what to do if it is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lossctl.diagnoses.agreement import is_other_way_round, is_softmax_of_shares, other_order
from lossctl.errors import visible
from lossctl.sources.base import Array, ArrayInfo, option
from lossctl.values.labels import are_numbers
from lossctl.values.preparation import dimensions
from lossctl_kernels import Plan
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.reduce import tree_sum

_LOOKED_AT = 4096
_LOOKED_AT_VALUES = 1 << 18
# Of fewer values, chance makes anything.
_FEWEST = 10

_SHARE_INPUTS = ("prob", "logit", "log_prob")
_LARGEST_TWICE = 1.0 / (1.0 + np.exp(-1.0)) + 1e-3
"""What sigmoid makes of 1, and a little for rounding."""


def suspicions(plan: Plan, chunk: Mapping[str, Array], arrays: Mapping[str, ArrayInfo]) -> Iterator[str]:
    """What is odd about the beginning of the data, or about the columns of `arrays` that they come from."""
    yield from _of_numbers(plan, chunk, arrays["prediction"].path)
    yield from _of_columns(plan, arrays)
    yield from _of_agreement(plan, chunk, arrays["prediction"].path)


def _of_numbers(plan: Plan, chunk: Mapping[str, Array], path: str) -> Iterator[str]:
    loss = plan.settings.loss
    given = chunk["prediction"][:_LOOKED_AT]
    if not given.size:
        return
    if plan.settings.input == "logit" and _are_probabilities(plan, given):
        yield (
            f"{path}: the logits of {loss.name} all look like probabilities; if they are, use "
            f"{loss.name}:input=prob, without --from-logits"
        )
    if not are_numbers(loss.target_kind) or given.size < _FEWEST:
        return
    target = chunk["target"][:_LOOKED_AT]
    if plan.settings.input == "prob" and _are_labels(given) and _are_shares(target) and not _are_labels(target):
        yield f"{path}: the predictions of {loss.name} are all 0 or 1, and the targets are not; are the files swapped?"
    if loss.target_kind is not TargetKind.SAME:
        return
    if plan.settings.input == "logit" and (given < 0).all() and target.mean() > 0.5 and _are_shares(target):
        yield (
            f"{path}: the logits of {loss.name} are all negative, and most targets are not; if they are "
            "log-probabilities, take their exp() and leave out --from-logits"
        )


def _of_columns(plan: Plan, arrays: Mapping[str, ArrayInfo]) -> Iterator[str]:
    """Whether columns that are numbered stand in another order than those, or the classes, that they are held to."""
    kind = plan.settings.loss.target_kind
    if kind not in (TargetKind.INDEX, TargetKind.DISTRIBUTION, TargetKind.SAME):
        return
    columns = {role: arrays[role].columns for role in ("prediction", "target")}
    if max(map(len, columns.values())) < 2:
        return
    from lossctl.values.class_names import numbers_of

    orders = {role: numbers_of(names) for role, names in columns.items()}
    role = "target" if orders["prediction"] is None else "prediction"
    order, other = orders[role], orders["target"] if role == "prediction" else None
    if order is None or order == (sorted(order) if other is None else other):
        return
    sorted_names = [name for _, name in sorted(zip(order, columns[role], strict=True))]
    held_to = "classes" if kind is TargetKind.INDEX else "targets" if role == "prediction" else "predictions"
    yield (
        f"{arrays[role].path}: the {role} columns {_listed(columns[role])} are not in the order of their numbers, and "
        f"the {held_to} may be; name them one by one in the order that is meant, with {option(role, 'col')} "
        f"{visible(','.join(sorted_names), 400)}"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(visible(name, 40) for name in names[:4]) + (", …" if len(names) > 4 else "")


def _of_agreement(plan: Plan, chunk: Mapping[str, Array], path: str) -> Iterator[str]:
    """Whether predictions are sure of what the targets say is not so."""
    loss, form = plan.settings.loss, plan.settings.input
    if form not in _SHARE_INPUTS or chunk["prediction"].ndim > 2:
        return
    width = chunk["prediction"].shape[-1] if chunk["prediction"].ndim == 2 else 1
    rows = min(_LOOKED_AT, _LOOKED_AT_VALUES // width)
    given, target = chunk["prediction"][:rows], chunk["target"][:rows]
    if given.size < _FEWEST or not (np.isfinite(given) | (given == -np.inf)).all():
        return
    if loss.target_kind is TargetKind.SAME and _are_labels(target):
        yield from _of_labels(loss.name, form, given.reshape(-1), target.reshape(-1), path)
    elif given.ndim == 2 and (loss.target_kind is TargetKind.INDEX or _are_labels(target)):
        if form == "prob" and is_softmax_of_shares(given):
            yield (
                f"{path}: the predictions of {loss.name} look as if softmax had been taken of probabilities; take it "
                "once"
            )
        labels = target.reshape(-1) if loss.target_kind is TargetKind.INDEX else target.argmax(axis=1)
        found = other_order(given, labels)
        if found is not None:
            label, column = next(each for each in found.items() if each[0] != each[1])
            yield (
                f"{path}: the columns of the predictions and the classes of the targets look as if they were in "
                f"different orders: most rows of class {label} have their largest value in column {column}; give both "
                "in one order, counted from 0"
            )


def _of_labels(name: str, form: str, given: Array, target: Array, path: str) -> Iterator[str]:
    if form != "log_prob" and is_other_way_round(given > (0.5 if form == "prob" else 0.0), target):
        yield (
            f"{path}: the predictions of {name} are high where the targets are 0, and low where they are 1; are they "
            "those of the other class?"
        )
    if form == "prob" and (given >= 0.5).all() and (given <= _LARGEST_TWICE).all() and target.mean() < 0.4:
        yield (
            f"{path}: the predictions of {name} are all from 0.5 to 0.731, as if sigmoid had been taken of "
            "probabilities; take it once"
        )


def _are_probabilities(plan: Plan, given: Array) -> bool:
    """Whether all are in [0, 1], and rows of classes sum to 1."""
    if not _are_shares(given):
        return False
    if plan.settings.loss.target_kind is TargetKind.SAME:
        return True
    rows = given.reshape(-1, given.shape[-1]) if dimensions(plan.settings.loss) > 2 else given.reshape(len(given), -1)
    return bool((np.abs(tree_sum(rows.astype(np.float64)) - 1.0) <= plan.tolerance).all())


def _are_shares(array: Array) -> bool:
    return bool(((array >= 0.0) & (array <= 1.0)).all())


def _are_labels(array: Array) -> bool:
    return bool(((array == 0.0) | (array == 1.0)).all())
