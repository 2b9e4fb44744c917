"""Targets that are labels and not numbers: which are wrong, and how a backend gets the others.

Each kind of target has its own rule. What is wrong is refused before a backend sees it, so that no kernel reads outside
an array; what stands behind the end of a list is nothing at all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import UsageError
from lossctl.sources.base import Array
from lossctl_kernels import Plan
from lossctl_kernels.conversions import LARGEST_EXACT
from lossctl_kernels.domains import TargetKind

Mask = NDArray[np.bool_]
Labels = NDArray[np.int64]

END_OF_LIST = -1
LENGTHS = {"input_lengths": "prediction", "target_lengths": "target"}
"""Of sequences: the further arrays that say how much of each row there is, and of what."""


def are_numbers(kind: TargetKind) -> bool:
    """Whether targets are numbers, one for each prediction."""
    return kind in (TargetKind.SAME, TargetKind.DISTRIBUTION)


def check_blank(plan: Plan, classes: int) -> None:
    """Raises UsageError where the class that separates the labels of a sequence is none of the classes."""
    blank = plan.numbers.get("blank", 0.0)
    if plan.settings.loss.target_kind is TargetKind.SEQUENCE and blank >= classes:
        raise UsageError(
            f"{plan.settings.loss.name}: blank={blank:g} is no class of predictions with {classes} classes",
            hint=f"blank is from 0 to {classes - 1}",
        )


# ---- whole numbers


def class_labels(array: Array) -> Labels:
    """Class indices as int64, shape (rows,). Floats are labels where they are whole numbers; see `not_whole`."""
    return whole_numbers(array.reshape(len(array)))


def whole_numbers(array: Array) -> Labels:
    """The numbers as int64, in their shape; those beyond it, NaN among them, become others that are beyond any use."""
    if array.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(array) < LARGEST_EXACT, array, -(LARGEST_EXACT)).astype(np.int64)
    if array.dtype == np.uint64:
        array = np.minimum(array, np.uint64(LARGEST_EXACT))
    return array.astype(np.int64, copy=False)


def not_whole(array: Array) -> Mask:
    """Where floats are not whole numbers, NaN and infinities among them."""
    if array.dtype.kind != "f":
        return np.zeros(array.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(~np.isfinite(array) | (array != np.floor(array)))


def inexact(array: Array) -> Mask:
    """Where floats are not whole numbers that each stand for themselves alone: from 2**53 on they stand for others."""
    if array.dtype.kind != "f":
        return np.zeros(array.shape, np.bool_)
    return np.asarray(not_whole(array) | (np.abs(array) >= LARGEST_EXACT))


def integers(array: Array) -> Labels:
    """Numbers of which none is `inexact` as int64, C-contiguous: different ones stay different.

    Those of 64 bits without a sign are read as if they had one: they are labels, which are only compared.
    """
    return np.ascontiguousarray(whole_numbers(array) if array.dtype.kind == "f" else array, np.int64)


# ---- what a backend gets


def label_rows(plan: Plan, chunk: Mapping[str, Array]) -> Labels:
    """The labels of a chunk as int64: shape (rows,), or (rows, labels) of lists and sequences; none of them `wrong`."""
    target, kind = chunk["target"], plan.settings.loss.target_kind
    if kind is TargetKind.GROUP:
        return integers(target.reshape(len(target)))
    if kind is TargetKind.INDEX:
        return class_labels(target)
    rows = whole_numbers(target.reshape(len(target), -1))
    filler = END_OF_LIST if kind is TargetKind.LABELS else int(plan.numbers["blank"])
    return np.ascontiguousarray(np.where(_counted(plan, chunk), rows, filler))


def _counted(plan: Plan, chunk: Mapping[str, Array]) -> Mask:
    """Which labels of lists and sequences come before the end of their row."""
    rows = whole_numbers(chunk["target"].reshape(len(chunk["target"]), -1))
    if plan.settings.loss.target_kind is TargetKind.LABELS:
        return np.logical_not(np.logical_or.accumulate(rows == END_OF_LIST, axis=1))
    if "target_lengths" in chunk:
        lengths = whole_numbers(chunk["target_lengths"].reshape(-1, 1))
        return np.asarray(np.arange(rows.shape[1]) < lengths)
    padding = np.logical_and.accumulate((rows == int(plan.numbers["blank"]))[:, ::-1], axis=1)[:, ::-1]
    return np.logical_not(padding)


# ---- what is wrong


def wrong(plan: Plan, chunk: Mapping[str, Array]) -> Mask:
    """Where labels are no whole numbers, or name no class: shape (rows,), or (rows, labels) of lists and sequences."""
    target, kind = chunk["target"], plan.settings.loss.target_kind
    if kind is TargetKind.GROUP:
        return inexact(target.reshape(len(target)))
    if kind is TargetKind.INDEX:
        labels = class_labels(target)
        outside = (labels < 0) | (labels >= plan.width)
        ignored = plan.settings["ignore_index"]
        if ignored is not None:
            outside &= labels != ignored
        return np.asarray(outside | not_whole(target.reshape(len(target))))
    rows = whole_numbers(target.reshape(len(target), -1))
    outside = (rows < 0) | (rows >= chunk["prediction"].shape[-1])
    if kind is TargetKind.SEQUENCE:
        outside |= rows == int(plan.numbers["blank"])
    return np.asarray((outside | not_whole(target.reshape(rows.shape))) & _counted(plan, chunk))
