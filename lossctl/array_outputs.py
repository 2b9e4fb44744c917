"""The arrays that an evaluation may write besides its result: per-sample losses, gradients, and their statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.errors import UsageError, visible
from lossctl.evaluation import Evaluation
from lossctl.results import GradientResult, GradientStatistics, signature, stated
from lossctl.runs.run import Run
from lossctl.values.preparation import precision
from lossctl.writers import ArrayWriter, open_array_writer
from lossctl_kernels.reduce import ExactSum, block_rows, block_sums

CACHED_VALUES = 1 << 16
"""Looked at together: few enough to stay in the cache from the first look at them to the last."""


def per_sample_writer(path: str, evaluation: Evaluation) -> ArrayWriter:
    """Writes float64 losses: one a row, of several losses a column each."""
    runs = evaluation.runs
    if len(runs) == 1:
        return open_array_writer(path, (), np.dtype(np.float64), ("loss",))
    return open_array_writer(path, (len(runs),), np.dtype(np.float64), _loss_names(runs))


def _loss_names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The names of the losses, or their SPECs where two have one name."""
    names = tuple(run.settings.loss.name for run in runs)
    if len(set(names)) < len(names):
        names = tuple(run.spec.text for run in runs)
    twice = next((name for position, name in enumerate(names) if name in names[:position]), None)
    if twice is not None:
        raise UsageError(f"two columns of --per-sample would be called '{visible(twice)}'", hint="give each loss once")
    return names


@contextmanager
def gradient_writers(files: Mapping[str, str], evaluation: Evaluation) -> Iterator[dict[str, ArrayWriter]]:
    """A writer for each gradient of the first loss, by what it is with respect to; `files` are their names, so too."""
    with ExitStack() as stack:
        yield {of: stack.enter_context(gradient_writer(path, evaluation, of)) for of, path in files.items()}


def gradient_writer(path: str, evaluation: Evaluation, of: str = "prediction") -> ArrayWriter:
    """Writes the gradient of the first loss with respect to an array, in its shape."""
    evaluation.check_gradient(of)
    info = evaluation.feed.given[of]
    tail = tuple(int(size) for size in info.shape[1:] if size is not None)
    return open_array_writer(path, tail, precision(info.dtype), tuple(f"grad_{name}" for name in info.columns))


class GradientSummary:
    """Statistics of a gradient, chunk by chunk; `write` passes the chunk on."""

    def __init__(self, writer: ArrayWriter) -> None:
        self._writer = writer
        width = math.prod(writer.shape_tail)
        self._block = block_rows(width) * width
        self._sum, self._squares = ExactSum(), ExactSum()
        self._count = self._zeros = self._nonfinite = 0
        self._low, self._high = math.inf, -math.inf

    def write(self, gradient: NDArray[Any]) -> None:
        """Takes the next chunk, of whole blocks but for the last one."""
        self._writer.write(gradient)
        entries = gradient.reshape(-1)
        step = max(1, CACHED_VALUES // self._block) * self._block
        for start in range(0, entries.size, step):
            self._look(entries[start : start + step].astype(np.float64))

    def _look(self, values: NDArray[np.float64]) -> None:
        self._zeros += values.size - int(np.count_nonzero(values))
        finite = np.isfinite(values)
        count = int(np.count_nonzero(finite))
        self._count += count
        self._nonfinite += values.size - count
        if not count:
            return
        kept = values if count == values.size else values[finite]
        self._low, self._high = min(self._low, float(kept.min())), max(self._high, float(kept.max()))
        if count < values.size:
            values[~finite] = 0.0
        self._sum.add(block_sums(values, self._block))
        with np.errstate(over="ignore"):
            self._squares.add(block_sums(values * values, self._block))

    def result(self, evaluation: Evaluation, of: str = "prediction") -> GradientResult:
        """What was found in the gradient of the first loss with respect to `of`."""
        run = evaluation.runs[0]
        settings = run.settings
        scale = settings["grad_scale"]
        info = evaluation.feed.given[of]
        options = run.options
        return GradientResult(
            loss=settings.loss.name,
            options=options,
            wrt=(settings["grad_wrt"] or settings.input) if of == "prediction" else of,
            scale=scale,
            path=self._writer.path,
            shape=tuple(int(size or 0) for size in info.shape),
            dtype=precision(info.dtype).name,
            stats=GradientStatistics(
                min=self._low if self._count else math.nan,
                max=self._high if self._count else math.nan,
                mean=self._sum.over(self._count),
                norm=math.sqrt(self._squares.value),
                zeros=self._zeros,
                nonfinite=self._nonfinite,
            ),
            signature=signature(
                settings.loss.name,
                stated(options, gradient=True),
                reduction=evaluation.request.reduction,
                version=__version__,
            ),
            changed=(*run.changed, *run.task.data_options),
        )
