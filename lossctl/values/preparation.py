"""From what a file holds to what a backend takes: shapes that fit, dtypes that lose nothing, labels, weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.catalogue.loss_spec import Shapes
from lossctl.errors import DataError
from lossctl.sources import ArrayInfo
from lossctl.sources.base import Array
from lossctl.values.conversion import exact
from lossctl.values.labels import are_numbers, integers, label_rows
from lossctl.values.list_items import of_items
from lossctl_kernels import Loss, Plan, Scope
from lossctl_kernels.batch import Batch
from lossctl_kernels.domains import PROBABILITY, TargetKind
from lossctl_kernels.facts import Pooling
from lossctl_kernels.records import Record
from lossctl_kernels.spec import Input, InputShape

SMALL_INTEGERS = {"bool", "int8", "uint8", "int16", "uint16"}


def row_shapes(prediction: ArrayInfo, target: ArrayInfo) -> Shapes:
    """The shapes of one row, (N, 1) taken as (N,)."""
    return Shapes(_row(prediction), _row(target))


def _row(info: ArrayInfo) -> tuple[int, ...]:
    row = tuple(int(size) for size in info.shape[1:] if size is not None)
    return () if row == (1,) else row


def check_shapes(loss: Loss, shapes: Shapes, prediction: ArrayInfo, target: ArrayInfo) -> None:
    """Raises DataError, with both shapes and the likely remedy, unless a loss can take predictions and targets so."""
    found = f"predictions {_described(prediction)} and targets {_described(target)}"
    axes = len(shapes.prediction)
    unfit = axes == 0 if takes_masks(loss) else axes != dimensions(loss) - 1
    any_shape = "row" in loss.options  # it is one of values, of which a row holds one or many
    if unfit and loss.scope in (Scope.ROW, Scope.PAIRS) and not any_shape:
        wanted = "rows of values, (rows, values)"
        if dimensions(loss) > 2:
            wanted = "predictions of three dimensions, (rows, frames, classes)"
        raise DataError(f"{loss.name} needs {wanted}: found {found}", hint=_row_remedy(loss, shapes))
    if are_numbers(loss.target_kind):
        if shapes.target != shapes.prediction:
            raise DataError(
                f"{loss.name} needs targets shaped like the predictions: found {found}", hint=_remedy(loss, shapes)
            )
    elif len(shapes.target) > _TARGET_AXES[loss.target_kind]:
        needed = loss.target_kind.value.partition(":")[0]
        raise DataError(f"{loss.name} needs {needed}: found {found}", hint=_label_remedy(loss, shapes))


_TARGET_AXES = {TargetKind.INDEX: 0, TargetKind.GROUP: 0, TargetKind.LABELS: 1, TargetKind.SEQUENCE: 1}
"""Of a row of labels, at most."""


def dimensions(loss: Loss) -> int:
    """Of the array of predictions of a loss of rows."""
    function = next(iter(loss.forms.values())).row_function
    return 2 if function is None else function.dimensions


def takes_masks(loss: Loss) -> bool:
    """Whether a row may have any number of axes: what it holds is pooled, the last axis perhaps class by class."""
    return "scope" in loss.options or loss.pooling is Pooling.BY_FREQUENCY


def check_input_shapes(loss: Loss, shapes: Shapes, arrays: Mapping[str, ArrayInfo]) -> None:
    """Raises DataError unless the further arrays of a loss lie next to its predictions as it needs them."""
    for name, facts in loss.inputs.items():
        if name not in arrays:
            continue
        found = f"{name} {_described(arrays[name])} and predictions {_described(arrays['prediction'])}"
        row, whole = _row(arrays[name]), facts.shape is InputShape.WHOLE
        if facts.shape is InputShape.ONE_A_ROW or (whole and facts.integer):
            if row != ():
                raise DataError(f"{loss.name} needs one {name} a row: found {found}", hint=f"save {name} as (rows,)")
        elif row != shapes.prediction:
            like, hint = "rows of {} as wide as" if whole else "{} shaped like", "save both in one shape"
            if row == () and len(shapes.prediction) == 1 and not whole:
                hint = f"for one of each row: numpy.repeat({name}.reshape(-1, 1), {shapes.prediction[0]}, axis=1)"
            raise DataError(
                f"{loss.name} needs {like.format(name)} the predictions: found {found}",
                hint=f"nothing is broadcast: {hint}",
            )


def _described(info: ArrayInfo) -> str:
    path = "" if info.format == "memory" else f"{info.path} "  # which is called by its role
    return f"{path}{info.shape_text} {info.dtype}"


def _label_remedy(loss: Loss, shapes: Shapes) -> str:
    if loss.target_kind is TargetKind.INDEX and shapes.target == shapes.prediction:
        return "for one-hot or soft targets use cce (--loss cce)"
    return f"save them as {'(rows, labels)' if _TARGET_AXES[loss.target_kind] else 'a column, (rows,)'}"


def _row_remedy(loss: Loss, shapes: Shapes) -> str:
    if dimensions(loss) > 2:
        return "of a single sequence: array[None]" if len(shapes.prediction) == 1 else "save the scores of all frames"
    if loss.scope is Scope.ROW and not shapes.prediction and shapes.target:
        return "are the files swapped? the predictions come first"
    if loss.scope is Scope.PAIRS:
        return "save one embedding a row"
    if "scope" in loss.options:
        return "for one long column use scope=all"
    return _column_remedy(loss) if loss.target_kind is TargetKind.SAME else "for one probability a row use bce"


def _column_remedy(loss: Loss) -> str:
    """Where targets are shaped like predictions, and both are a column."""
    if loss.target.labels:
        return "save the scores of all classes, and a 0 or 1 for each"
    if loss.target == PROBABILITY:
        return "for one logit a row use bce:input=logit"
    if "cosine" in loss.name:
        return "for whole columns as two long vectors use cosine_global"
    return "save what belongs together side by side, in one row"


def _remedy(loss: Loss, shapes: Shapes) -> str:
    if loss.target_kind is TargetKind.DISTRIBUTION and shapes.target == ():
        takes_indices = "index" in loss.variants.get("labels", {})
        return f"the targets look like class indices: {'labels=index' if takes_indices else 'use scce (--loss scce)'}"
    if shapes.target == () and loss.scope is Scope.ROW and loss.target.labels:
        return "save targets as rows of 0 and 1, one for each class"
    if shapes.target == () and len(shapes.prediction) == 1:
        return "the targets look like class indices: use scce (--loss scce); nothing is broadcast"
    if shapes.target == tuple(reversed(shapes.prediction)):
        return "one side looks transposed: save array.T"
    return "nothing is broadcast: save both in one shape"


def precision(dtype: str) -> np.dtype[Any]:
    """The precision that predictions of a dtype come in, and their gradients go out: float64 but for shorter floats."""
    given = np.dtype(dtype)
    return np.dtype(np.float32) if given.kind == "f" and given.itemsize < 8 else np.dtype(np.float64)


def compute_dtype(
    target_kind: TargetKind,
    bounded_target: bool,
    prediction: str,
    target: str,
    inputs: Iterable[tuple[Input, str]] = (),
) -> str:
    """The dtype that all arrays of numbers are converted to, exactly: float32 where it holds every value of each.

    Arithmetic is in float64 either way. `inputs` are the further arrays, each with its dtype. Targets that must lie in
    [0, 1] are whole numbers that float32 holds, or wrong in either dtype; what large integers lose in float64 is
    refused elsewhere.
    """
    if prediction not in ("float32", "float16"):
        return "float64"
    if are_numbers(target_kind) and not _held_by_single(target, bounded_target):
        return "float64"
    held = all(facts.integer or _held_by_single(dtype, facts.domain.high == 1.0) for facts, dtype in inputs)
    return "float32" if held else "float64"


def _held_by_single(dtype: str, bounded: bool) -> bool:
    return dtype in ("float32", "float16") or dtype in SMALL_INTEGERS or (bounded and not dtype.startswith("float"))


class Prepared(Record):
    """A batch, and what the denominator of the mean needs."""

    batch: Batch
    shares: NDArray[np.float64] | None
    """Each row's share in the denominator: sample weight times class weight, 0 for rows not kept; None is 1 for each of
    those kept."""
    kept: int


def prepare(
    plan: Plan, dtype: str, chunk: dict[str, Array], weights: NDArray[np.float64] | None, paths: dict[str, str]
) -> Prepared:
    """One chunk for one plan; `paths` names the file of each role. Raises DataError for integers that are too large.

    The chunk holds predictions, targets and, under their names, the further arrays of the loss.

    Class indices outside the classes are left to the caller's check: they are clipped into range here, so that no
    kernel reads outside the row.
    """
    prediction = _prediction(plan, _dtype(plan, dtype, chunk), chunk, paths)
    rows, kind = len(prediction), plan.settings.loss.target_kind
    inputs = _inputs(plan, prediction, chunk, paths)
    if are_numbers(kind):
        target = exact(chunk["target"], prediction.dtype.name, paths["target"], "target").reshape(prediction.shape)
        batch, shares = of_items(Batch(prediction, target, weights, inputs=inputs)), weights
        if plan.settings["class_weight"] is not None:
            by_class = batch.target.astype(np.float64) @ plan.class_weights
            shares = by_class if weights is None else by_class * weights
        if batch.keep is None:
            return Prepared(batch, shares, rows)
        shares = None if shares is None else np.where(batch.keep, shares, 0.0)
        return Prepared(batch, shares, int(np.count_nonzero(batch.keep)))
    labels = label_rows(plan, chunk)
    if kind is not TargetKind.INDEX:
        return Prepared(Batch(prediction, labels, weights, inputs=inputs), weights, rows)
    keep = None
    ignored = plan.settings["ignore_index"]
    if ignored is not None:
        keep = labels != ignored
        labels = np.where(keep, labels, 0)
    kept = rows if keep is None else int(np.count_nonzero(keep))
    safe = labels if _all_inside(labels, plan.width) else np.clip(labels, 0, plan.width - 1)
    shares = weights
    if plan.settings["class_weight"] is not None:
        by_class = plan.class_weights[safe]
        shares = by_class if weights is None else by_class * weights
    if keep is not None and shares is not None:
        shares = np.where(keep, shares, 0.0)
    return Prepared(Batch(prediction, safe, weights, keep, inputs=inputs), shares, kept)


def _dtype(plan: Plan, dtype: str, chunk: dict[str, Array]) -> str:
    """float64 in place of `dtype` where whole numbers of a text table have gone over into decimals."""
    loss = plan.settings.loss
    numbers = [name for name, facts in loss.inputs.items() if name in chunk and not facts.integer]
    numbers += ["target"] if are_numbers(loss.target_kind) else []
    return "float64" if any(chunk[name].dtype == np.float64 for name in numbers) else dtype


def _prediction(plan: Plan, dtype: str, chunk: dict[str, Array], paths: dict[str, str]) -> Array:
    """The predictions in the shape that a backend takes them in."""
    given = exact(chunk["prediction"], dtype, paths["prediction"], "prediction")
    if dimensions(plan.settings.loss) > 2:
        return given
    wide = plan.width > 1 or plan.scope in (Scope.ROW, Scope.PAIRS)
    return given.reshape((len(given), plan.width) if wide else (len(given),))


def _inputs(plan: Plan, prediction: Array, chunk: dict[str, Array], paths: dict[str, str]) -> dict[str, Array]:
    """The further arrays of a chunk, as `Batch.inputs` has them."""
    shapes = {InputShape.LIKE_PREDICTION: prediction.shape, InputShape.ONE_A_ROW: prediction.shape[:1]}
    found = {}
    for name, facts in plan.settings.loss.inputs.items():
        if name in chunk:
            array = chunk[name]
            numbers = integers(array) if facts.integer else exact(array, prediction.dtype.name, paths[name], name)
            whole = (len(array),) if facts.integer else array.shape
            found[name] = numbers.reshape(shapes.get(facts.shape, whole))
    return found


def _all_inside(labels: NDArray[np.int64], classes: int) -> bool:
    return bool(labels.min(initial=0) >= 0 and labels.max(initial=0) < classes)


def check_weights_shape(info: ArrayInfo) -> None:
    """Raises DataError unless there is one weight a row."""
    if any(size != 1 for size in info.shape[1:]):
        raise DataError(f"weights need one value a row: found {_described(info)}", hint="save them as (rows,)")
