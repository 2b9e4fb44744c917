"""The one road: a feed, through a backend, to results. The command line and the Python API both take it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.backends import choose, compiler_faults, usable_threads
from lossctl.dataset_runs import make_run
from lossctl.diagnosis import check_weights, looks_like_probabilities
from lossctl.errors import DataError, UsageError
from lossctl.feed import Feed
from lossctl.loss_spec import LossSpec, settle
from lossctl.preparation import check_shapes, check_weights_shape, compute_dtype, exact, precision, row_shapes
from lossctl.results import InputInfo, RunResult
from lossctl.runs import Run
from lossctl.sources.base import Array
from lossctl_kernels import Plan, SpecificationError
from lossctl_kernels.reduce import block_rows

__all__ = ["Evaluation", "Request"]

CHUNK_BYTES = 16 << 20
"""Of one array: large enough that the work of a chunk hides its overhead, small enough for any machine."""

TABLE_CHUNK_BYTES = 4 << 20
"""The same where chunks are put together from what was decoded: so much is still in the cache when it is used."""

# A text row holds about this many bytes for each number.
TEXT_BYTES = 12


@dataclass(frozen=True)
class Request:
    """What to compute: losses, options that hold for all of them, and how."""

    specs: Sequence[LossSpec]
    flags: Mapping[str, Any] = field(default_factory=dict)
    reduction: str = "mean"
    backend: str = "auto"
    threads: int | None = None
    chunk_rows: int | None = None
    gradient: bool = False
    """Whether a gradient will be asked for when the values are known."""

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise UsageError(f"reduction must be mean or sum, found {self.reduction}")
        if self.chunk_rows is not None and self.chunk_rows < 1:
            raise UsageError(f"--chunk-rows must be 1 or more, found {self.chunk_rows}")
        if not self.specs:
            raise UsageError("no loss was asked for", hint="name one, such as --loss bce; `lossctl list` shows them")


class Evaluation:
    """One evaluation of a feed: `run` the values, then `gradient` where asked.

    `progress` is called with the rows done after each chunk.
    """

    def __init__(self, feed: Feed, request: Request, progress: Callable[[int], None] | None = None) -> None:
        self.feed, self.request, self.progress = feed, request, progress or (lambda rows: None)
        self.started = time.perf_counter()
        prediction, target = feed.arrays["prediction"], feed.arrays["target"]
        shapes = row_shapes(prediction, target)
        if "weights" in feed.arrays:
            check_weights_shape(feed.arrays["weights"])
        self.chunk_rows = self._chunk_rows(shapes.width)
        settled = [(spec, settle(spec, request.flags, shapes)) for spec in request.specs]
        for _, settings in settled:
            check_shapes(settings.loss, shapes, prediction, target)
        plans = [self._plan(settings, shapes.width) for _, settings in settled]
        self.backend = choose(request.backend, self._values(shapes.width), request.threads, plans, request.gradient)
        self.runs = [
            make_run(spec, plan, self.backend, feed, dtype, request.reduction, self.chunk_rows)
            for (spec, _), (plan, dtype) in zip(settled, plans, strict=True)
        ]
        self.rows = 0

    def _plan(self, settings: Any, width: int) -> tuple[Plan, str]:
        """What is computed, and the dtype that predictions are converted to for it."""
        prediction, target = self.feed.arrays["prediction"], self.feed.arrays["target"]
        loss = settings.loss
        names = [np.dtype(info.dtype).newbyteorder("=").name for info in (prediction, target)]
        dtype = compute_dtype(loss.target_kind, loss.target.high == 1.0, *names)
        try:
            return Plan(settings, width, precision(prediction.dtype).name), dtype
        except SpecificationError as error:
            raise UsageError(str(error), hint=error.hint) from None

    def _chunk_rows(self, width: int) -> int:
        """Whole blocks: the sums of blocks do not depend on where chunks begin."""
        block = block_rows(width)
        as_it_is = self.feed.arrays["prediction"].format in ("npy", "memory")
        wanted = self.request.chunk_rows or (CHUNK_BYTES if as_it_is else TABLE_CHUNK_BYTES) // (8 * width)
        return max(1, -(-wanted // block)) * block

    def _values(self, width: int) -> int:
        """About how many predicted values there are; known, or guessed from the size of a text file."""
        if self.feed.rows is not None:
            return self.feed.rows * width
        try:
            return os.path.getsize(self.feed.arrays["prediction"].path) // TEXT_BYTES
        except OSError:
            return 0

    # ---- values

    @compiler_faults()
    def run(self, per_sample: Callable[[NDArray[np.float64]], None] | None = None) -> RunResult:
        """All losses in one pass. Raises DataError.

        `per_sample` gets the losses of each chunk: shape (rows,), or (rows, losses) of several.
        """
        waiting = list(self.runs)
        first_pass = True
        while waiting:
            self._pass(waiting, per_sample if first_pass else None, first_pass)
            waiting = [run for run in waiting if run.needs_another_pass()]
            first_pass = False
        results = tuple(run.result() for run in self.runs)
        return RunResult(
            version=__version__,
            inputs=self._inputs(),
            results=results,
            backend=self.backend.name,
            threads=self._threads(),
            seconds=time.perf_counter() - self.started,
            warnings=tuple(warning for run in self.runs for warning in run.warnings),
        )

    def _pass(self, runs: list[Run], per_sample: Callable[[NDArray[np.float64]], None] | None, first: bool) -> None:
        rows = 0
        any_weight = False
        for chunk in self.feed.chunks(self.chunk_rows):
            weights = self._weights(chunk, rows)
            any_weight = any_weight or weights is None or bool(weights.any())
            if first and rows == 0:
                for run in runs:
                    self._warn_of_probabilities(run, chunk)
            self._consume(runs, chunk, weights, per_sample)
            rows += len(chunk["prediction"])
            self.progress(rows)
        self.rows = rows
        if not rows:
            prediction = self.feed.arrays["prediction"]
            raise DataError(f"{prediction.path} has no rows: there is nothing to average", hint="check what wrote it")
        if not any_weight:
            raise DataError(f"all weights of {self.feed.arrays['weights'].path} are 0", hint="some sample must count")

    def _consume(
        self,
        runs: list[Run],
        chunk: dict[str, Array],
        weights: NDArray[np.float64] | None,
        per_sample: Callable[[NDArray[np.float64]], None] | None,
    ) -> None:
        """Gives one chunk to each loss in turn."""
        wanted = per_sample is not None
        losses = np.empty((len(chunk["prediction"]), len(runs))) if wanted and len(runs) > 1 else None
        converted: dict[tuple[str, str], Array] = {}
        for column, run in enumerate(runs):
            found = run.consume(self._converted(run, chunk, converted), weights, wanted)
            if losses is not None:
                losses[:, column] = found
            elif per_sample is not None:
                per_sample(found)
        if losses is not None and per_sample is not None:
            per_sample(losses)

    def _converted(self, run: Run, chunk: dict[str, Array], done: dict[tuple[str, str], Array]) -> dict[str, Array]:
        """The chunk in the dtype that a loss takes; `done` holds what others have converted, by role and dtype."""
        roles = ("prediction",) if run.plan.sparse else ("prediction", "target")
        for role in roles:
            if (role, run.dtype) not in done:
                done[role, run.dtype] = exact(chunk[role], run.dtype, run.paths[role])
        return chunk | {role: done[role, run.dtype] for role in roles}

    def _weights(self, chunk: dict[str, Array], first_row: int) -> NDArray[np.float64] | None:
        if "weights" not in chunk:
            return None
        check_weights(self.feed, chunk["weights"], first_row)
        # A copy: what is mapped from a file is read-only, and compiled code takes arrays of one kind.
        return np.array(chunk["weights"].reshape(-1), np.float64)

    def _warn_of_probabilities(self, run: Run, chunk: dict[str, Array]) -> None:
        head = chunk["prediction"][:4096]
        if looks_like_probabilities(run.plan, head.reshape(len(head), -1) if run.plan.width > 1 else head):
            found = f"{run.paths['prediction']}: the logits of {run.settings.loss.name} all look like probabilities"
            run.warnings.append(f"{found}; if they are, use input=prob")

    def _inputs(self) -> tuple[InputInfo, ...]:
        return tuple(
            InputInfo(
                role,
                info.path,
                info.format,
                (self.rows, *(int(n or 0) for n in info.shape[1:])),
                info.dtype,
                info.columns,
            )
            for role, info in self.feed.arrays.items()
        )

    def _threads(self) -> int:
        return 1 if self.backend.name == "python" else self.request.threads or usable_threads()

    # ---- gradients

    def check_gradient(self, run: Run) -> None:
        """Raises UsageError for a loss that has no gradient."""
        if run.plan.definition.gradient is None:
            raise UsageError(
                f"{run.settings.loss.name} has no gradient", hint="`lossctl list` shows which losses have one"
            )

    @compiler_faults()
    def gradient(self, run: Run, write: Callable[[Array], None]) -> None:
        """Gives `write` the gradient of one loss, chunk by chunk, after `run`."""
        rows = 0
        for chunk in self.feed.chunks(self.chunk_rows):
            write(run.gradient(chunk, self._weights(chunk, rows)))
            rows += len(chunk["prediction"])
            self.progress(rows)
