"""What follows from a request and the shapes of the data, before any of it is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from lossctl.catalogue.loss_spec import settle
from lossctl.errors import DataError, UsageError, visible
from lossctl.memory import check_room
from lossctl.rows.further_inputs import check_settled
from lossctl.sources.base import is_beside
from lossctl.values.labels import check_blank
from lossctl.values.preparation import (
    check_input_shapes,
    check_shapes,
    check_weights_shape,
    compute_dtype,
    precision,
    row_shapes,
)
from lossctl_kernels import Plan, Scope, Settings, SpecificationError
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import block_rows

if TYPE_CHECKING:
    from lossctl.requests import Request
    from lossctl.rows.feed import Feed
    from lossctl.rows.places import Layout

CHUNK_BYTES = 16 << 20
"""Of one array: large enough that the work of a chunk hides its overhead, small enough for any machine."""

TABLE_CHUNK_BYTES = 4 << 20
"""The same where chunks are put together from what was decoded: so much is still in the cache when it is used."""

# A step of a row function, which the interpreter runs as it is written, takes as long as so many values in NumPy.
STEP_VALUES = 7

ROLES = ("prediction", "target", "weights")
"""What every loss has; the further arrays of a loss have the roles that it names them by."""

# A text row holds about this many bytes for each number.
TEXT_BYTES = 12


def samples_of(feed: Feed, request: Request) -> tuple[Feed, Layout | None]:
    """(the feed of samples, how rows of the files are taken apart): the feed itself where each row is a sample.

    Raises UsageError and DataError for losses and arrays that do not fit.
    """
    if request.class_axis is None and len(feed.arrays["prediction"].shape) <= 2:
        return feed, None
    from lossctl.rows.places import by_places

    return by_places(feed, request.specs, request.class_axis)


def planned(feed: Feed, request: Request) -> tuple[int, list[tuple[Plan, str]]]:
    """(the rows of a chunk; what each loss computes, and the dtype that predictions are converted to for it).

    Raises UsageError, DataError and EnvironmentFault for what does not fit together, or not into memory.
    """
    prediction, target = feed.arrays["prediction"], feed.arrays["target"]
    shapes = row_shapes(prediction, target)
    if "weights" in feed.arrays:
        check_weights_shape(feed.arrays["weights"])
    chunk_rows = _chunk_rows(feed, request, shapes.width)
    settled = [settle(spec, request.flags, shapes, request.reduction) for spec in request.specs]
    losses = [settings.loss for settings in settled]
    check_settled(losses, [role for role in feed.arrays if role not in ROLES and not is_beside(role)])
    for loss in losses:
        check_shapes(loss, shapes, prediction, target)
        check_input_shapes(loss, shapes, feed.arrays)
    _check_class_weights(request, shapes.width)
    # Of rows without end, a chunk may not fit in memory.
    rows = min(chunk_rows, feed.rows or chunk_rows)
    check_room(f"{prediction.path}: a chunk of {rows} rows", rows * shapes.width)
    plans = [_plan(feed, settings, shapes.width) for settings in settled]
    for plan, _ in plans:
        check_blank(plan, shapes.prediction[-1] if shapes.prediction else 1)
    return chunk_rows, plans


def _check_class_weights(request: Request, classes: int) -> None:
    if request.class_weights_file is None:
        return
    found = len(request.flags["class_weight"])
    if found != classes:
        raise DataError(
            f"{visible(request.class_weights_file)} has {found} weights for {classes} classes",
            hint="give one weight for each class",
        )


def _chunk_rows(feed: Feed, request: Request, width: int) -> int:
    """Whole blocks: the sums of blocks do not depend on where chunks begin. As many as lie together, or a share."""
    block = block_rows(width)
    as_it_is = feed.arrays["prediction"].format in ("npy", "memory")
    wanted = request.chunk_rows or (CHUNK_BYTES if as_it_is else TABLE_CHUNK_BYTES) // (8 * width)
    part = feed.part_rows
    if part is not None and request.chunk_rows is None:
        shares = -(-part // wanted)
        if part % (shares * block) == 0:
            return part // shares
    return max(1, -(-wanted // block)) * block


def _plan(feed: Feed, settings: Settings, width: int) -> tuple[Plan, str]:
    arrays, loss = feed.arrays, settings.loss
    roles = ("prediction", "target", *(name for name in loss.inputs if name in arrays))
    names = [np.dtype(arrays[role].dtype).newbyteorder("=").name for role in roles]
    inputs = [(loss.inputs[role], name) for role, name in zip(roles[2:], names[2:], strict=True)]
    dtype = compute_dtype(loss.target_kind, loss.target.high == 1.0, names[0], names[1], inputs)
    try:
        return Plan(_with_spacing(settings, names[0]), width, precision(names[0]).name), dtype
    except SpecificationError as error:
        raise UsageError(str(error), hint=error.hint) from None


def _with_spacing(settings: Settings, dtype: str) -> Settings:
    """Of float16, which is computed with as float32: `machine` is the spacing of the numbers as they were given."""
    if dtype != "float16" or settings.options.get("eps") != "machine":
        return settings
    return replace(settings, options={**settings.options, "eps": float(np.finfo(np.float16).eps)})


def work_of(plan: Plan, feed: Feed) -> int:
    """How many predicted values of a plain loss take the interpreter as long as this one; 0 where nobody knows."""
    values = _values(feed, plan.width)
    if plan.definition.row_function is None:
        return values
    return STEP_VALUES * values * (values // plan.width if plan.scope is Scope.PAIRS else 1)


def _values(feed: Feed, width: int) -> int:
    """About how many predicted values there are; known, or guessed from the size of a text file."""
    if feed.rows is not None:
        return feed.rows * width
    try:
        return os.path.getsize(feed.arrays["prediction"].path) // TEXT_BYTES
    except OSError:
        return 0
