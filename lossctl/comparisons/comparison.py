"""Several files of predictions against the same targets, row by row, in one pass over all of them.

Every system has an evaluation of its own on a view of one feed, so that a value here has the bits that `eval` prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.backends import compiler_faults, usable_threads
from lossctl.comparisons.results import ComparisonResult, Inference
from lossctl.comparisons.statistics import PairedRows
from lossctl.errors import DataError, UsageError, visible
from lossctl.evaluation import Evaluation, Request
from lossctl.feed import Feed
from lossctl.inputs import InputFiles, open_feed
from lossctl.preparation import prepare
from lossctl.requests import samples_of
from lossctl.results import InputInfo, is_gain
from lossctl.runs import Run
from lossctl.short_paths import short_paths
from lossctl.sources import ArrayInfo
from lossctl.sources.base import Array
from lossctl.suspicions import suspicions
from lossctl_kernels.records import replace

__all__ = ["MOST_SYSTEMS", "Comparison", "check_systems", "open_systems"]

MOST_SYSTEMS = 26
"""As many as there are letters; all files are open at once."""

SYSTEM = "system "
"""What the roles of the predictions of all systems but the first begin with."""

Floats = NDArray[np.float64]


def check_systems(paths: Sequence[str]) -> None:
    """Raises UsageError unless there are several files, and not too many."""
    if not 2 <= len(paths) <= MOST_SYSTEMS:
        raise UsageError(
            f"compare takes from 2 to {MOST_SYSTEMS} files of predictions, found {len(paths)}",
            hint="lossctl compare a.npy b.npy --targets labels.npy --loss bce",
        )
    twice = next((path for position, path in enumerate(paths) if path in paths[:position]), None)
    if twice is not None:
        raise UsageError(f"'{visible(twice)}' is given twice", hint="name each file of predictions once")


def _role(position: int) -> str:
    """The role of a system's predictions in the feed of all: the first one's are those of every command."""
    return f"{SYSTEM}{position + 1}" if position else "prediction"


@contextmanager
def open_systems(paths: Sequence[str], files: InputFiles, whole: Sequence[str] = ()) -> Iterator[Feed]:
    """One feed of all systems and of what `files` names beside them; columns and formats are those of its predictions.

    Raises UsageError and DataError.
    """
    roles = {_role(position): path for position, path in enumerate(paths) if position}
    columns = {} if files.pred_columns is None else dict.fromkeys(roles, files.pred_columns)
    formats = {} if files.pred_format is None else dict.fromkeys(roles, files.pred_format)
    feed = open_feed(
        replace(
            files,
            predictions=paths[0],
            inputs={**files.inputs, **roles},
            input_columns={**files.input_columns, **columns},
            input_formats={**files.input_formats, **formats},
        ),
        whole,
    )
    try:
        yield feed
    finally:
        feed.close()


class SystemFeed(Feed):
    """One system's view of the feed of all: its predictions are the predictions, and there are no others."""

    def __init__(self, feed: Feed, position: int) -> None:
        self._feed, self._own = feed, _role(position)
        super().__init__(feed.readers, feed.whole_readers, feed.warnings)

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        return self._own_view(self._feed.arrays)

    @property
    def given(self) -> dict[str, ArrayInfo]:
        return self._own_view(self._feed.given)

    def _own_view(self, arrays: dict[str, ArrayInfo]) -> dict[str, ArrayInfo]:
        found = {role: info for role, info in arrays.items() if not role.startswith(SYSTEM)}
        return found | {"prediction": arrays[self._own]}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._feed.place(self._own if role == "prediction" else role, row, column)

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return (self.view(chunk) for chunk in self._feed.chunks(rows))

    def view(self, chunk: dict[str, Array]) -> dict[str, Array]:
        """What this system takes of a chunk of all."""
        found = {role: array for role, array in chunk.items() if not role.startswith(SYSTEM)}
        return found | {"prediction": chunk[self._own]}


class Member:
    """One system: an evaluation that is fed from outside, so that all of them go through the data together."""

    def __init__(self, feed: SystemFeed, request: Request) -> None:
        self.feed, self._evaluation = feed, Evaluation(feed, request)
        self.runs = self._evaluation.runs
        self.backend, self.chunk_rows = self._evaluation.backend.name, self._evaluation.chunk_rows

    def weights(self, chunk: dict[str, Array]) -> Floats | None:
        """Those of the next rows, which all systems share, checked; None where there are none. Raises DataError."""
        return self._evaluation.weights(chunk, self._evaluation.rows)

    def take(self, chunk: dict[str, Array], weights: Floats | None) -> list[Floats]:
        """The losses of the next rows: shape (rows,), for each loss."""
        chunk, losses = self.feed.view(chunk), []
        for run in self.runs:
            if not self._evaluation.rows:
                run.warnings.extend(suspicions(run.plan, chunk, run.paths["prediction"]))
            run.check_inputs(chunk)
            losses.append(run.consume(chunk, weights, True))
        self._evaluation.rows += len(chunk["prediction"])
        return losses

    def shares(self, chunk: dict[str, Array], weights: Floats | None) -> list[Floats]:
        """What each row counts in the weighted mean of each loss: a matter of targets and weights, not of a system."""
        return [_shares(run, self.feed.view(chunk), weights) for run in self.runs]

    @property
    def inputs(self) -> tuple[InputInfo, ...]:
        """What was read, when it was."""
        return self._evaluation.inputs


def _shares(run: Run, chunk: dict[str, Array], weights: Floats | None) -> Floats:
    """What each row counts where the mean is weighted: 0 for rows that are left out."""
    prepared = prepare(run.plan, run.dtype, chunk, weights, run.paths)
    if prepared.shares is not None:
        return prepared.shares
    keep = prepared.batch.keep
    return np.ones(prepared.batch.rows) if keep is None else keep.astype(np.float64)


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
            threads=1 if backend == "python" else self.request.threads or usable_threads(),
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
