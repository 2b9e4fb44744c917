"""From what a file holds to what a backend takes: shapes that fit, dtypes that lose nothing, labels, weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError
from lossctl.loss_spec import Shapes
from lossctl.sources import ArrayInfo
from lossctl.sources.arrays import LARGEST_EXACT
from lossctl.sources.base import Array
from lossctl_kernels import Loss, Plan, Scope
from lossctl_kernels.batch import Batch
from lossctl_kernels.domains import TargetKind

__all__ = ["Prepared", "check_shapes", "compute_dtype", "exact", "precision", "prepare", "row_shapes"]

_CACHED_VALUES = 1 << 15
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
    if loss.scope is Scope.ROW and len(shapes.prediction) != 1:
        raise DataError(
            f"{loss.name} needs rows of values, (rows, values): found {found}", hint=_row_remedy(loss, shapes)
        )
    if loss.target_kind is TargetKind.INDEX:
        if shapes.target != ():
            raise DataError(
                f"{loss.name} needs one class index for each row: found {found}",
                hint="for one-hot or soft targets use cce"
                if shapes.target == shapes.prediction
                else "save a column of indices",
            )
    elif shapes.target != shapes.prediction:
        raise DataError(
            f"{loss.name} needs targets shaped like the predictions: found {found}", hint=_remedy(loss, shapes)
        )


def _described(info: ArrayInfo) -> str:
    shape = ", ".join("?" if size is None else str(size) for size in info.shape)
    comma = "," if len(info.shape) == 1 else ""
    return f"{info.path} ({shape}{comma}) {info.dtype}"


def _row_remedy(loss: Loss, shapes: Shapes) -> str:
    if len(shapes.prediction) > 1:
        return f"reshape both to two dimensions first: array.reshape(-1, {shapes.prediction[-1]})"
    if loss.target_kind is TargetKind.SAME:
        return "for whole columns as two long vectors use cosine_global"
    return "for one probability a row use bce"


def _remedy(loss: Loss, shapes: Shapes) -> str:
    if loss.target_kind is TargetKind.DISTRIBUTION and shapes.target == ():
        takes_indices = "index" in loss.variants.get("labels", {})
        return f"the targets look like class indices: {'labels=index' if takes_indices else 'use scce'}"
    if shapes.target == () and len(shapes.prediction) == 1:
        return "the targets look like class indices: use scce; nothing is broadcast"
    if shapes.target == tuple(reversed(shapes.prediction)):
        return "one side looks transposed: save array.T"
    return "nothing is broadcast: save both in one shape"


def precision(dtype: str) -> np.dtype[Any]:
    """The precision that predictions of a dtype come in, and their gradients go out: float64 but for shorter floats."""
    given = np.dtype(dtype)
    return np.dtype(np.float32) if given.kind == "f" and given.itemsize < 8 else np.dtype(np.float64)


def compute_dtype(plan_target: TargetKind, bounded_target: bool, prediction: str, target: str) -> str:
    """The dtype that both arrays are converted to, exactly: float32 where it holds every value of both.

    Arithmetic is in float64 either way. Targets that must lie in [0, 1] are whole numbers that float32 holds, or wrong
    in either dtype; what large integers lose in float64 is refused elsewhere.
    """
    if prediction not in ("float32", "float16"):
        return "float64"
    if plan_target is TargetKind.INDEX or target in ("float32", "float16") or target in SMALL_INTEGERS:
        return "float32"
    return "float32" if bounded_target and not target.startswith("float") else "float64"


@dataclass(frozen=True)
class Prepared:
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

    Class indices outside the classes are left to the caller's check: they are clipped into range here, so that no
    kernel reads outside the row.
    """
    rows = len(chunk["prediction"])
    if not plan.sparse and chunk["target"].dtype == np.float64:
        dtype = "float64"  # whole numbers of a text table may have gone over into decimals
    wide = plan.width > 1 or plan.scope is Scope.ROW
    prediction = exact(chunk["prediction"], dtype, paths["prediction"]).reshape((rows, plan.width) if wide else (rows,))
    if not plan.sparse:
        target = exact(chunk["target"], dtype, paths["target"]).reshape(prediction.shape)
        shares = weights
        if plan.settings["class_weight"] is not None:
            by_class = target.astype(np.float64) @ plan.class_weights
            shares = by_class if weights is None else by_class * weights
        return Prepared(Batch(prediction, target, weights), shares, rows)
    labels = class_labels(chunk["target"])
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
    return Prepared(Batch(prediction, safe, weights, keep), shares, kept)


def _all_inside(labels: NDArray[np.int64], classes: int) -> bool:
    return bool(labels.min(initial=0) >= 0 and labels.max(initial=0) < classes)


def exact(array: Array, dtype: str, path: str) -> Array:
    """The array in a float dtype, C-contiguous, with every value unchanged. Raises DataError for integers too large."""
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8:
        return np.ascontiguousarray(array, dtype=dtype)
    given, converted = array.reshape(-1), np.empty(array.size, dtype)
    # In pieces that stay in a core's cache between the look and the conversion.
    for start in range(0, given.size, _CACHED_VALUES):
        piece = given[start : start + _CACHED_VALUES]
        low, high = int(piece.min()), int(piece.max())  # Python's integers: neither sign nor width can wrap
        if low < -LARGEST_EXACT or high > LARGEST_EXACT:
            found = high if high > LARGEST_EXACT else low
            raise DataError(
                f"{path}: integers beyond 2**53 are not exact in float64, found {found}",
                hint="rescale them, or save floating-point numbers",
            )
        converted[start : start + _CACHED_VALUES] = piece
    return converted.reshape(array.shape)


def class_labels(array: Array) -> NDArray[np.int64]:
    """Class indices as int64, shape (rows,). Floats are labels where they are whole numbers; see `not_whole`."""
    labels = array.reshape(len(array))
    if labels.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(labels) < LARGEST_EXACT, labels, -(LARGEST_EXACT)).astype(np.int64)
    if labels.dtype == np.uint64:
        labels = np.minimum(labels, np.uint64(LARGEST_EXACT))
    return labels.astype(np.int64, copy=False)


def not_whole(array: Array) -> NDArray[np.bool_]:
    """Where float labels are not whole numbers, NaN and infinities among them."""
    labels = array.reshape(len(array))
    if labels.dtype.kind != "f":
        return np.zeros(len(labels), np.bool_)
    with np.errstate(invalid="ignore"):
        return np.asarray(~np.isfinite(labels) | (labels != np.floor(labels)))


def check_weights_shape(info: ArrayInfo) -> None:
    """Raises DataError unless there is one weight a row."""
    if any(size != 1 for size in info.shape[1:]):
        raise DataError(f"weights need one value a row: found {_described(info)}", hint="save them as (rows,)")
