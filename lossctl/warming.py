"""Compiling ahead: every block function that a loss can need, and the drivers, into the cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lossctl.errors import EnvironmentFault
from lossctl.loss_spec import LossSpec, Shapes, find, parse, settle
from lossctl_kernels import LOSSES, Plan, Scope
from lossctl_kernels.batch import Batch
from lossctl_kernels.domains import TargetKind

__all__ = ["every_spec", "warm"]


def every_spec() -> list[LossSpec]:
    """Every loss in every form."""
    return [
        parse(f"{loss.name}:input={form}" if "input" in loss.options else loss.name)
        for loss in LOSSES.values()
        for form in loss.forms
    ]


def warm(specs: Sequence[LossSpec]) -> tuple[int, int, Path]:
    """(functions compiled, functions found, the folder). Raises EnvironmentFault where nothing can be kept."""
    from lossctl_kernels.cache import KernelCache, cache_folder
    from lossctl_kernels.cpu import Cpu

    folder = cache_folder()
    if folder is None:
        raise EnvironmentFault(
            "compiled code cannot be kept: no cache folder can be written", hint="set LOSSCTL_CACHE_DIR"
        )
    before = KernelCache.misses, KernelCache.hits
    backend = Cpu()
    for plan, batch in _small_work(specs):
        if plan.scope is Scope.DATASET:
            scales = dict.fromkeys(plan.scales, 1.0)
            backend.folds(plan, batch, scales)
            totals = {fold.name: 1.0 for fold in plan.definition.folds} | {"weight": 1.0}
        else:
            backend.losses(plan, batch)
            totals = {}
        backend.gradient(plan, batch, np.ones(batch.rows), totals)
    return KernelCache.misses - before[0], KernelCache.hits - before[1], folder


def _small_work(specs: Sequence[LossSpec]) -> Iterator[tuple[Plan, Batch]]:
    """Each loss in both dtypes and every layout."""
    from lossctl_kernels.rows import ACROSS_WIDTH

    for spec in specs:
        for loss, _ in find(spec.name):
            narrow_and_wide = (2, ACROSS_WIDTH + 1)
            widths = {Scope.ROW: narrow_and_wide, Scope.ELEMENT: (1, *narrow_and_wide), Scope.DATASET: (1,)}
            for width in widths[loss.scope]:
                row = (width,) if width > 1 else ()
                target_row = () if loss.target_kind is TargetKind.INDEX else row
                settings = settle(spec, {}, Shapes(row, target_row))
                weights = settings["class_weight"]
                if weights is not None and len(weights) != width:
                    continue
                for dtype in ("float32", "float64"):
                    prediction = np.full((1, *row), 1.0 / width, dtype)
                    target = np.zeros(1, np.int64) if target_row == () and row else prediction
                    yield Plan(settings, width, dtype), Batch(prediction, target)
