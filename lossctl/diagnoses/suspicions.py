"""What can be computed and is hardly meant: said as a warning, with what to do if it is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from lossctl.sources.base import Array
from lossctl.values.labels import are_numbers
from lossctl.values.preparation import dimensions
from lossctl_kernels import Plan
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.reduce import tree_sum

_LOOKED_AT = 4096
# Of fewer values, chance makes anything.
_FEWEST = 10


def suspicions(plan: Plan, chunk: Mapping[str, Array], path: str) -> Iterator[str]:
    """What is odd about the beginning of the data, whose predictions come from `path`."""
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
