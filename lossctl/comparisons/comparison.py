"""Several files of predictions against the same targets, row by row, in one pass over all of them.

Every system has an evaluation of its own on a view of one feed, so that a value here has the bits that `eval` prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.backends import compiler_faults, usable_threads
from lossctl.comparisons.results import ComparisonResult, Inference
from lossctl.comparisons.statistics import PairedRows
from lossctl.comparisons.systems import Member, SystemFeed
from lossctl.errors import DataError, UsageError, visible
from lossctl.plans import samples_of
from lossctl.requests import Request
from lossctl.results import InputInfo, is_gain
from lossctl.rows.feed import Feed
from lossctl.runs.run import Run
from lossctl.short_paths import short_paths

Floats = NDArray[np.float64]


class Comparison:
    """Systems on one feed, compared by every loss of a request. Raises UsageError for losses without rows."""

    def __init__(
        self,
        feed: Feed,
        paths: Sequence[str],
        request: Request,
        inference: Inference,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        feed, layout = samples_of(feed, request)
        self._samples_a_row = 1 if layout is None else layout.samples
        self.feed, self.paths, self.request, self.inference = feed, list(paths), request, inference
        self.progress = progress or (lambda rows: None)
        self.started = time.perf_counter()
        if request.nonfinite != "error":
            raise UsageError("compare takes finite data only", hint="leave out --nonfinite")
        self.members = [Member(SystemFeed(feed, position), request) for position in range(len(paths))]
        for run in self.members[0].runs:
            _check_comparable(run)
        weighted = "weights" in feed.arrays
        self.rows = [
            PairedRows([member.runs[position] for member in self.members], weighted, inference)
            for position in range(len(request.specs))
        ]

    @property
    def chunk_rows(self) -> int:
        """Whole blocks of every system, and together about as much memory as one evaluation takes."""
        block = max(run.plan.block_rows for member in self.members for run in member.runs)
        wanted = min(member.chunk_rows for member in self.members) // len(self.members)
        return max(1, wanted // block) * block

    @compiler_faults()
    def run(self) -> ComparisonResult:
        """All systems and all losses in one pass. Raises DataError."""
        done = 0
        for chunk in self.feed.chunks(self.chunk_rows):
            weights = self.members[0].weights(chunk)
            taken = [member.take(chunk, weights) for member in self.members]
            for position, shares in enumerate(self.members[0].shares(chunk, weights)):
                losses = np.stack([found[position] for found in taken])
                self._refuse_infinite(position, losses, shares, done)
                self.rows[position].add(losses, shares, weights)
            done += len(chunk["prediction"])
            self.progress(done // self._samples_a_row)
        if done < 2:
            raise DataError(
                f"{self.paths[0]} has {done} rows: a comparison needs at least two", hint="check what wrote it"
            )
        names, backend = short_paths(self.paths), self.members[0].backend
        comparisons = tuple(rows.result(names) for rows in self.rows)
        return ComparisonResult(
            version=__version__,
            inputs=self._inputs(),
            inference=self.inference,
            comparisons=comparisons,
            backend=backend,
            threads=1 if backend == "python" else usable_threads(self.request.threads),
            seconds=time.perf_counter() - self.started,
            warnings=(*self.feed.warnings, *self._warnings()),
        )

    def _inputs(self) -> tuple[InputInfo, ...]:
        """The predictions of each system, then what they share."""
        every = [member.inputs for member in self.members]
        own = [info for inputs in every for info in inputs if info.role == "prediction"]
        return (*own, *(info for info in every[0] if info.role != "prediction"))

    def _warnings(self) -> list[str]:
        return [
            f"{visible(path)}: {warning}"
            for path, member in zip(self.paths, self.members, strict=True)
            for run in member.runs
            for warning in run.warnings
        ]

    def _refuse_infinite(self, position: int, losses: Floats, shares: Floats, first_row: int) -> None:
        wrong = np.isinf(losses) & (shares > 0.0)
        if not wrong.any():
            return
        system, row = (int(each) for each in np.argwhere(wrong)[0])
        member = self.members[system]
        run = member.runs[position]
        guard = "give the loss a guard, such as eps=1e-7" if "eps" in run.settings.loss.options else "look at that row"
        place = member.feed.place("prediction", first_row + row)
        raise DataError(
            f"{place}: {run.settings.loss.name} is infinite, and nothing can be said of its mean", hint=guard
        )


def _check_comparable(run: Run) -> None:
    """Raises UsageError for a loss without rows, and for what is better when it is larger."""
    name = run.settings.loss.name
    if is_gain(run.options):
        raise UsageError(
            f"{name} with sign=1 is better when it is larger: compare takes losses",
            hint=f"--loss {name}:sign=-1 is the same with the other sign",
        )
    if not run.has_samples:
        raise UsageError(
            f"{name} is one number for all the data: it has no losses of rows to compare",
            hint={"rmse": "mse ranks systems as rmse does", "rmsle": "msle ranks systems as rmsle does"}.get(
                name, "compare by a loss of single samples"
            ),
        )
