"""The one road: a feed, through a backend, to results. The command line and the Python API both take it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.backends import choose, compiler_faults, usable_threads
from lossctl.catalogue.loss_spec import LossSpec, gradient_hint
from lossctl.diagnoses.diagnosis import check_weights, placing_integers
from lossctl.diagnoses.suspicions import suspicions
from lossctl.errors import DataError, UsageError
from lossctl.plans import planned, samples_of, work_of
from lossctl.process import reuse_memory
from lossctl.requests import Request
from lossctl.results import InputInfo, RunResult
from lossctl.rows.feed import Feed
from lossctl.rows.further_inputs import check_differentiable
from lossctl.rows.nonfinite import (
    FiniteFeed,
    Mask,
    Rows,
    SkippingFeed,
    Spread,
    infinity_takers,
    odd_rows,
    stand_ins,
)
from lossctl.runs.kinds import make_run, runs_for_statistics
from lossctl.runs.run import Run, Task
from lossctl.sources.base import Array, is_beside
from lossctl.values.conversion import exact
from lossctl.values.labels import are_numbers
from lossctl_kernels import Plan

if TYPE_CHECKING:
    from lossctl.observers import Watcher

Write: TypeAlias = Callable[[Array], None]


class Evaluation:
    """One evaluation of a feed: `run` the values, then `gradients` where asked.

    `progress` is called with the rows done after each chunk.
    """

    def __init__(self, feed: Feed, request: Request, progress: Callable[[int], None] | None = None) -> None:
        feed, self.layout = samples_of(feed, request)
        self.digests: dict[str, str] = {}
        if request.digests:
            from lossctl.digests import digested

            feed = digested(feed, self.digests, self._compiled_threads)
        self.feed, self.request, self.progress = feed, request, progress or (lambda rows: None)
        self.started = time.perf_counter()
        self.chunk_rows, plans = planned(feed, request)
        if request.nonfinite == "skip":
            self.feed = SkippingFeed(feed, infinity_takers([plan for plan, _ in plans]))
        feed.begin()  # while the backend is loaded
        reuse_memory()
        work = max(work_of(plan, self.feed) for plan, _ in plans)
        self.backend = choose(request.backend, work, request.threads, plans, bool(request.gradients))
        self.runs = [self._run_of(spec, plan, dtype) for spec, (plan, dtype) in zip(request.specs, plans, strict=True)]
        for of in request.gradients:
            self.check_gradient(of)
        self.rows = 0
        self.watchers: list[Watcher] = []
        """See every chunk of the first pass, before the losses and after them, and add to the results."""

    def _run_of(self, spec: LossSpec, plan: Plan, dtype: str) -> Run:
        nonfinite, data_options = self.request.nonfinite, dict(self.request.data_options)
        if nonfinite != "error":
            data_options["nonfinite"] = nonfinite
        feed = FiniteFeed(self.feed, plan) if nonfinite == "propagate" else self.feed
        reduction = self.request.reduction
        return make_run(Task(spec, plan, self.backend, feed, dtype, reduction, self.chunk_rows, data_options))

    # ---- values

    @compiler_faults()
    def run(self, per_sample: Callable[[NDArray[np.float64]], None] | None = None) -> RunResult:
        """All losses together: in one pass over the data, or as many as one of them needs. Raises DataError.

        `per_sample` gets the losses of each chunk: shape (rows,), or (rows, losses) of several.
        """
        waiting = list(self.runs)
        first_pass = True
        with self._results_alone_on_stdout():
            while waiting:
                self._pass(waiting, per_sample if first_pass else None, first_pass)
                waiting = [run for run in waiting if run.end_pass()]
                first_pass = False
            while waiting := runs_for_statistics(waiting or self.runs):
                self._pass(waiting, None, False)
        for watcher in self.watchers:
            watcher.finish(self)
        results = [run.result() for run in self.runs]
        for watcher in self.watchers:
            results = [watcher.added(position, result) for position, result in enumerate(results)]
        return RunResult(
            version=__version__,
            inputs=self.inputs,
            results=tuple(results),
            backend=self.backend.name,
            threads=self._threads(),
            seconds=time.perf_counter() - self.started,
            warnings=(*self.feed.warnings, *self._skipped(), *(each for run in self.runs for each in run.warnings)),
        )

    def _results_alone_on_stdout(self) -> AbstractContextManager[object]:
        """Where losses of one's own may be running: what interpreted code of theirs prints goes to stderr."""
        if not any(run.settings.loss.origin for run in self.runs):
            return nullcontext()
        from lossctl.own.prints import printing_aside

        return printing_aside

    def observe(self, confidence: float | None = None) -> list[Run]:
        """Asks for statistics of the samples, with an interval of the value at that level.

        Returns the runs that have none, since their losses have no samples.
        """
        from lossctl.sample_statistics import SampleStatistics

        for run in self.runs:
            if run.has_samples:
                run.statistics = SampleStatistics(confidence, run.plan.block_rows)
        return [run for run in self.runs if not run.has_samples]

    def _pass(self, runs: list[Run], per_sample: Write | None, first: bool) -> None:
        rows, any_weight = 0, False
        for run in runs:
            run.poisoned = 0
        with self._placing(per_sample, math.nan) as write:
            for positions, chunk in self._placed_chunks():
                weights = self.weights(chunk, rows)
                any_weight = any_weight or weights is None or bool(chunk["weights"].any())
                if first and rows == 0:
                    for run in runs:
                        run.warnings.extend(suspicions(run.plan, chunk, run.feed.arrays))
                for run in runs:
                    if run.statistics is not None:
                        run.statistics.positions = positions
                for watcher in self.watchers if first else ():
                    watcher.begin(positions, chunk)
                losses = self._consume(runs, chunk, weights, write is not None)
                if write is not None and losses is not None:
                    write(positions, losses)
                for watcher in self.watchers if first else ():
                    watcher.end(self, chunk, weights)
                rows += len(chunk["prediction"])
        if not rows:
            raise self._no_rows()
        if not any_weight:
            raise DataError(f"all weights of {self.feed.arrays['weights'].path} are 0", hint="some sample must count")

    def consume(self, run: Run, chunk: dict[str, Array], weights: NDArray[np.float64] | None) -> None:
        """Gives rows to a run that is none of those of the evaluation; `weights` as `weights` has them."""
        self._consume([run], chunk, weights, False)

    def again(self) -> Iterator[tuple[dict[str, Array], NDArray[np.float64] | None]]:
        """The chunks once more, each with its weights."""
        rows = 0
        for _, chunk in self._placed_chunks():
            yield chunk, self.weights(chunk, rows)
            rows += len(chunk["prediction"])

    def _placed_chunks(self) -> Iterator[tuple[Rows | None, dict[str, Array]]]:
        """The chunks, each with where in the files its rows stand, None where there are no others.

        `rows` counts those of the files that are passed, in the end all.
        """
        self.rows = 0
        if isinstance(self.feed, SkippingFeed):
            for positions, chunk in self.feed.numbered(self.chunk_rows):
                yield positions, chunk
                self.rows = int(positions[-1]) + 1
                self._tell_progress()
            self.rows = self.feed.all_rows
            return
        for chunk in self.feed.chunks(self.chunk_rows):
            yield None, chunk
            self.rows += len(chunk["prediction"])
            self._tell_progress()

    def _tell_progress(self) -> None:
        self.progress(self.rows if self.layout is None else self.rows // self.layout.samples)

    @contextmanager
    def _placing(self, write: Write | None, fill: float) -> Iterator[Callable[[Rows | None, Array], None] | None]:
        """What puts rows where they stand in the files, and `fill` in place of those that are skipped."""
        if write is None:
            yield None
        elif isinstance(self.feed, SkippingFeed):
            spread = Spread(write, self.chunk_rows, fill)
            yield lambda positions, values: None if positions is None else spread.put(positions, values)
            spread.finish(self.rows)
        else:
            yield lambda positions, values: write(values)

    def _no_rows(self) -> DataError:
        path = self.feed.arrays["prediction"].path
        if self.feed.skipped:
            return DataError(
                f"{path}: none of the {self.feed.skipped} rows is finite: nothing is left to average",
                hint="find out what made them",
            )
        return DataError(f"{path} has no rows: there is nothing to average", hint="check what wrote it")

    def _skipped(self) -> list[str]:
        if not self.feed.skipped:
            return []
        return [f"{self.feed.skipped} of {self.rows} rows are skipped: they hold NaN, infinities or nothing"]

    def _consume(
        self, runs: list[Run], chunk: dict[str, Array], weights: NDArray[np.float64] | None, wanted: bool
    ) -> NDArray[np.float64] | None:
        """Gives one chunk to each loss in turn; returns their losses where they are wanted."""
        losses = np.empty((len(chunk["prediction"]), len(runs))) if wanted and len(runs) > 1 else None
        converted: dict[tuple[str, str], Array] = {}
        found = None
        for column, run in enumerate(runs):
            odd = self._odd_rows(run, chunk)
            asked = wanted or run.statistics is not None or bool(run.observers)
            if odd is None:
                run.check_inputs(chunk)
                found = run.consume(self._converted(run, chunk, converted), weights, asked)
            else:
                found = self._propagate(run, chunk, weights, asked, odd)
            if losses is not None:
                losses[:, column] = found
        return (found if losses is None else losses) if wanted else None

    def _converted(self, run: Run, chunk: dict[str, Array], done: dict[tuple[str, str], Array]) -> dict[str, Array]:
        """The chunk in the dtype that a loss takes; `done` holds what others have converted, by role and dtype."""
        dense = are_numbers(run.settings.loss.target_kind)
        roles = ("prediction", "target") if dense else ("prediction",)
        for role in roles:
            if (role, run.dtype) not in done:
                with placing_integers(run.feed, self.chunk_rows):
                    done[role, run.dtype] = exact(
                        chunk[role], run.dtype, run.paths[role], role, self._compiled_threads()
                    )
        return chunk | {role: done[role, run.dtype] for role in roles}

    def weights(self, chunk: dict[str, Array], first_row: int) -> NDArray[np.float64] | None:
        """The weights of a chunk that begins at this row, checked; None where there are none. Raises DataError."""
        if "weights" not in chunk:
            return None
        with placing_integers(self.feed, self.chunk_rows):
            weights = exact(chunk["weights"].reshape(-1), "float64", self.feed.arrays["weights"].path, "weights")
        if self.request.nonfinite == "propagate":
            weights = np.where(np.isfinite(weights), weights, 0.0)
        check_weights(self.feed, weights, first_row)
        return weights

    @property
    def inputs(self) -> tuple[InputInfo, ...]:
        """What was read, when it was."""
        return tuple(
            InputInfo(
                role,
                info.path,
                info.format,
                tuple(int(size or 0) for size in info.shape),
                info.dtype,
                info.columns,
                self.digests.get(role, ""),
            )
            for role, info in self.feed.given.items()
            if not is_beside(role)
        )

    def _threads(self) -> int:
        return self._compiled_threads() or 1

    def _compiled_threads(self) -> int:
        """Those that run compiled code, 0 where all is interpreted."""
        return 0 if self.backend.name == "python" else usable_threads(self.request.threads)

    # ---- gradients

    def check_gradient(self, of: str = "prediction") -> None:
        """Raises UsageError unless the first loss has a gradient with respect to this."""
        name, known = self.runs[0].settings.loss.name, self.runs[0].plan.gradient_names
        if not known:
            raise UsageError(f"{name} has no gradient", hint=gradient_hint(self.runs[0].settings.loss))
        check_differentiable(name, known, of)

    @compiler_faults()
    def gradients(self, writes: Mapping[str, Callable[[Array], None]]) -> None:
        """Gives each of `writes` the gradient of the first loss with respect to what it is for, chunk by chunk.

        All of them in one pass, after `run`. That of a row that is skipped is 0.
        """
        if self.layout is None:
            self._write_gradients(writes)
            return
        from lossctl.rows.places import WholeRows

        joined = {of: WholeRows(write, self.layout, self.feed.given[of]) for of, write in writes.items()}
        self._write_gradients({of: rows.put for of, rows in joined.items()})
        for rows in joined.values():
            rows.finish()

    def _write_gradients(self, writes: Mapping[str, Callable[[Array], None]]) -> None:
        rows = 0
        with self._results_alone_on_stdout(), ExitStack() as stack:
            placed = {of: stack.enter_context(self._placing(write, 0.0)) for of, write in writes.items()}
            for positions, chunk in self._placed_chunks():
                weights = self.weights(chunk, rows)
                for of, write in placed.items():
                    if write is not None:
                        write(positions, self._gradient(self.runs[0], chunk, weights, of))
                rows += len(chunk["prediction"])

    def _gradient(self, run: Run, chunk: dict[str, Array], weights: NDArray[np.float64] | None, of: str) -> Array:
        odd = self._odd_rows(run, chunk)
        if odd is None:
            gradient = run.gradient(chunk, weights, of)
        else:
            gradient = run.odd_gradient(self._finite(run, chunk), weights, of, odd, chunk)
        return np.full_like(gradient, np.nan) if run.poisoned else gradient

    # ---- what is propagated

    def _odd_rows(self, run: Run, chunk: dict[str, Array]) -> Mask | None:
        """The rows that are propagated past the backend, None where there are none."""
        if self.request.nonfinite != "propagate":
            return None
        return odd_rows(chunk, chunk.keys() - self.feed.whole, infinity_takers([run.plan]))

    def _finite(self, run: Run, chunk: dict[str, Array]) -> dict[str, Array]:
        return stand_ins(run.plan, chunk, chunk.keys() - self.feed.whole)

    def _propagate(
        self, run: Run, chunk: dict[str, Array], weights: NDArray[np.float64] | None, wanted: bool, odd: Mask
    ) -> NDArray[np.float64]:
        """One chunk with rows that are not finite."""
        finite = self._finite(run, chunk)
        run.check_inputs(finite)
        found = run.propagate(self._converted(run, finite, {}), weights, wanted, odd, chunk)
        if "weights" in chunk:
            run.poisoned += int(np.count_nonzero(~np.isfinite(chunk["weights"])))
        return found
