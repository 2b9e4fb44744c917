"""Many files of predictions against the same targets: each evaluated as `eval` does it, several at a time.

What is computed of a file does not depend on how many are evaluated at a time: its value has the bits of `eval`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from lossctl._version import __version__
from lossctl.backends import INTERPRETED_VALUES, INTERPRETED_VALUES_UNCOMPILED, usable_threads
from lossctl.batches.inputs import SharedInputs
from lossctl.batches.patterns import BatchFile, short_names
from lossctl.batches.results import Leaderboard, Row, failed_row, leaderboard, row_of
from lossctl.batches.resume import Earlier, state_of
from lossctl.errors import EnvironmentFault, LossctlError
from lossctl.evaluation import Evaluation
from lossctl.outputs.labels import labelled
from lossctl.plans import TEXT_BYTES
from lossctl.requests import Request
from lossctl.results import RunResult
from lossctl.rows.feed import Feed
from lossctl_kernels.records import replace

if TYPE_CHECKING:
    from lossctl.gates.gating import Gating

LEAVE_SECONDS = 0.2
"""How long an interrupt waits for evaluations to notice that nobody waits for them."""

KEEP_SECONDS = 60.0

# A value of float32: what a file of predictions holds at least, but for what is compressed.
_VALUE_BYTES = 4


class _Stopped(BaseException):
    """Nobody waits for this evaluation: the batch was interrupted, or has failed."""


class Batch:
    """Files, and what is asked of each: `run` evaluates those that `earlier` has no results for, `board` ranks them.

    `gating` has the gates of each file, None for none. `progress` is called with the number of files that are done.
    """

    def __init__(
        self,
        files: Sequence[BatchFile],
        shared: SharedInputs,
        request: Request,
        *,
        jobs: int = 1,
        earlier: Earlier | None = None,
        gating: Gating | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.shared, self.gating = shared, gating
        self.progress = progress or (lambda done: None)
        self.started = time.perf_counter()
        self._rows = [
            Row(path=file.path, name=name, fields=file.fields, state=state_of(file.path))
            for file, name in zip(files, short_names(files), strict=True)
        ]
        found = [None if earlier is None else earlier.row(row) for row in self._rows]
        self._done = {position: row for position, row in enumerate(found) if row is not None}
        self.taken = len(self._done)
        self.jobs = max(1, min(jobs, len(self._rows) - self.taken))
        self.threads = usable_threads(request.threads)
        self._request = replace(request, threads=max(1, self.threads // self.jobs))
        self._pays = sum(_file_size(row.path) for row in self._rows) > _VALUE_BYTES * INTERPRETED_VALUES_UNCOMPILED
        self._stop = Event()
        self._keep: Callable[[], None] | None = None
        self._kept = 0.0

    def run(self, keep: Callable[[], None] | None = None) -> None:
        """Evaluates every file that is not done. What an interrupt leaves undone is not among the rows of `board`.

        `keep` is called now and then between two files, for what cannot be interrupted in good order.
        """
        self._keep, self._kept = keep, time.monotonic()
        waiting = [position for position in range(len(self._rows)) if position not in self._done]
        self.progress(len(self._done))
        if self.jobs > 1 and len(waiting) > 1:
            self._in_threads(waiting)
            return
        for position in waiting:
            self._take(position, self._evaluate(self._rows[position]))

    def board(self, sort: int, **facts: Any) -> Leaderboard:
        """What is known by now, ranked by the loss of that place. `facts` are those of a Leaderboard."""
        return leaderboard(
            [self._done[position] for position in sorted(self._done)],
            sort,
            version=__version__,
            taken=self.taken,
            pending=len(self._rows) - len(self._done),
            jobs=self.jobs,
            threads=self.threads,
            seconds=time.perf_counter() - self.started,
            **facts,
        )

    def _take(self, position: int, row: Row) -> None:
        self._done[position] = row
        self.progress(len(self._done))
        if self._keep is not None and time.monotonic() - self._kept >= KEEP_SECONDS:
            self._keep()
            self._kept = time.monotonic()

    # ---- several at a time

    def _in_threads(self, waiting: Sequence[int]) -> None:
        """Raises what any of them raises that is no error of its file."""
        todo: SimpleQueue[int] = SimpleQueue()
        for position in waiting:
            todo.put(position)
        found: SimpleQueue[tuple[int, Row | Exception]] = SimpleQueue()
        # Of a thread that does not answer, an interrupted process need not wait for the end.
        threads = [
            Thread(target=self._serve, args=(todo, found), name=f"batch-{number + 1}", daemon=True)
            for number in range(self.jobs)
        ]
        try:
            for thread in threads:
                thread.start()
            for _ in waiting:
                position, row = found.get()
                if isinstance(row, Exception):
                    raise row
                self._take(position, row)
        finally:
            self._stop.set()
            deadline = time.monotonic() + LEAVE_SECONDS
            for thread in threads:
                if thread.is_alive():
                    thread.join(max(0.0, deadline - time.monotonic()))
            while not found.empty():  # what was done meanwhile
                position, row = found.get()
                if isinstance(row, Row):
                    self._take(position, row)

    def _serve(self, todo: SimpleQueue[int], found: SimpleQueue[tuple[int, Row | Exception]]) -> None:
        with suppress(Empty, _Stopped):
            while True:
                position = todo.get_nowait()
                try:
                    found.put((position, self._evaluate(self._rows[position])))
                except Exception as error:  # noqa: BLE001 - raised again by the thread that collects
                    found.put((position, error))

    def _go_on(self, rows: int) -> None:
        if self._stop.is_set():
            raise _Stopped

    # ---- one

    def _evaluate(self, row: Row) -> Row:
        try:
            run = self._run(row.path)
            labels = {result.signature: label for label, result in labelled(run).items()}
            return row_of(row, run, [labels[result.signature] for result in run.results])
        except LossctlError as error:
            return failed_row(row, error)
        except MemoryError:
            hint = "give --jobs or --chunk-rows a smaller number"
            return failed_row(row, EnvironmentFault("out of memory", hint=hint))

    def _run(self, path: str) -> RunResult:
        self._go_on(0)
        with closing(self.shared.feed(path)) as feed:
            evaluation = self._evaluation(feed, path)
            if self.gating is None:
                return evaluation.run()
            gating = replace(self.gating)  # which remembers what it was asked
            gating.prepare(evaluation)
            return gating.decide(evaluation.run())

    def _evaluation(self, feed: Feed, path: str) -> Evaluation:
        """As `eval` has it once the code is compiled, which many files repay sooner than one.

        Otherwise a file would be interpreted or not by whether another one has been compiled for by then.
        """
        evaluation = Evaluation(feed, self._request, self._go_on)
        if self._request.backend != "auto" or evaluation.backend.name != "python" or not self._pays:
            return evaluation
        rows, width = feed.rows, evaluation.runs[0].plan.width
        if (_file_size(path) // TEXT_BYTES if rows is None else rows * width) <= INTERPRETED_VALUES:
            return evaluation
        try:
            return Evaluation(feed, replace(self._request, backend="cpu"), self._go_on)
        except EnvironmentFault:  # no compiler
            return evaluation


def _file_size(path: str) -> int:
    with suppress(OSError, ValueError):
        return os.path.getsize(path)
    return 0
