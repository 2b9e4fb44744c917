"""What an evaluation may write besides its result: per-sample losses, gradients, and their statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.evaluation import Evaluation
from lossctl.preparation import precision
from lossctl.results import GradientResult, GradientStatistics, signature
from lossctl.runs import Run
from lossctl.writers import ArrayWriter, open_array_writer
from lossctl_kernels.reduce import ExactSum

__all__ = ["GradientSummary", "gradient_writer", "per_sample_writer"]


def per_sample_writer(path: str) -> ArrayWriter:
    """Writes one float64 loss a row."""
    return open_array_writer(path, (), np.dtype(np.float64), ("loss",))


def gradient_writer(path: str, evaluation: Evaluation) -> ArrayWriter:
    """Writes the gradient of the first loss, in the shape of the predictions."""
    evaluation.check_gradient(evaluation.runs[0])
    info = evaluation.feed.arrays["prediction"]
    tail = tuple(int(size) for size in info.shape[1:] if size is not None)
    return open_array_writer(path, tail, precision(info.dtype), _column_names(info.columns, tail))


def _column_names(columns: tuple[str, ...], tail: tuple[int, ...]) -> tuple[str, ...]:
    if columns:
        return tuple(f"grad_{name}" for name in columns)
    return ("grad",) if tail in ((), (1,)) else tuple(f"grad_{c}" for c in range(tail[0]))


class GradientSummary:
    """Statistics of a gradient, chunk by chunk; `write` passes the chunk on."""

    def __init__(self, writer: ArrayWriter) -> None:
        self._writer = writer
        self._sum, self._squares = ExactSum(), ExactSum()
        self._count = self._zeros = self._nonfinite = 0
        self._low, self._high = math.inf, -math.inf

    def write(self, gradient: NDArray[Any]) -> None:
        self._writer.write(gradient)
        values = gradient.reshape(-1).astype(np.float64)
        finite = values[np.isfinite(values)]
        self._nonfinite += values.size - finite.size
        self._zeros += int(np.count_nonzero(values == 0.0))
        self._count += finite.size
        if finite.size:
            self._low, self._high = min(self._low, float(finite.min())), max(self._high, float(finite.max()))
            self._sum.add(finite)
            self._squares.add(finite * finite)

    def result(self, evaluation: Evaluation, run: Run, path: str) -> GradientResult:
        settings = run.settings
        scale = settings["grad_scale"]
        info = evaluation.feed.arrays["prediction"]
        options = dict(settings.options)
        named = {name: value for name, value in options.items() if value is not None}
        return GradientResult(
            loss=settings.loss.name,
            options=options,
            wrt=settings["grad_wrt"] or settings.input,
            scale=scale,
            path=path,
            shape=(evaluation.rows, *(int(size) for size in info.shape[1:] if size is not None)),
            dtype=precision(info.dtype).name,
            stats=GradientStatistics(
                min=self._low if self._count else math.nan,
                max=self._high if self._count else math.nan,
                mean=self._sum.over(self._count),
                norm=math.sqrt(self._squares.value),
                zeros=self._zeros,
                nonfinite=self._nonfinite,
            ),
            signature=signature(settings.loss.name, named, reduction=evaluation.request.reduction, version=__version__),
            changed=run.changed,
        )
