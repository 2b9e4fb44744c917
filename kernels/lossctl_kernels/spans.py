"""Threads that run the compiled loop of a block function over spans of consecutive blocks.

The threads are kept and wait without spinning, so that several processes share the processors fairly. Spans are handed
out as threads come for them, large ones first; what a block computes does not depend on who runs it. A span is short
enough for Python to notice an interrupt between two of them.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .addresses import address_of

Loop = Callable[[int, int, int, int, int, int], object]

LARGEST_SPAN = 1 << 20
SMALLEST_SPAN = 1 << 16
"""Values: at a nanosecond or less each, what repays a call from Python; and at the slowest, some 50 milliseconds."""


def run_spans(
    loop: Loop,
    rows: int,
    width: int,
    block: int,
    places: NDArray[np.int64],
    threads: int,
    arrays: tuple[Any, ...] = (),
    work: int | None = None,
    alone: int = SMALLEST_SPAN,
) -> None:
    """Runs all blocks with a compiled loop, on the calling thread and up to `threads` - 1 others.

    See `kernels.py` for the loop and its arguments; `arrays` own the memory behind `places`. `work`: as how many values
    a row counts, where it is fewer than there are; `alone`: so many values are done by the calling thread, sooner than
    others have begun.
    """
    blocks, values = -(-rows // block), block * min(work or width, width)
    smallest = -(-SMALLEST_SPAN // values)
    arguments = rows, width, block, address_of(places)
    if blocks <= -(-alone // values):
        if blocks:
            loop(0, blocks, *arguments)
        return
    sizes = smallest, max(smallest, LARGEST_SPAN // values)
    job = _Job(loop, blocks, arguments, sizes, threads, (places, arrays))
    try:
        _pool.lend(job, min(threads, job.most_spans) - 1)
        job.work()
    except BaseException:
        job.cancelled = True
        raise
    finally:
        job.close()
    if job.error is not None:
        raise job.error


class _Job:
    """One run of a loop. It holds the arrays: no thread writes into memory that is gone."""

    def __init__(
        self,
        loop: Loop,
        blocks: int,
        arguments: tuple[int, int, int, int],
        sizes: tuple[int, int],
        threads: int,
        held: Any,
    ) -> None:
        """`sizes`: of the smallest and of the largest span, in blocks."""
        self._loop, self._blocks, self._arguments, self._held = loop, blocks, arguments, held
        self._smallest, self._largest = sizes
        self._shares = 2 * threads
        self._lock = threading.Lock()
        self._next = self._helpers = 0
        self._closed = self.cancelled = False
        self._left_alone = threading.Lock()
        self._left_alone.acquire()
        self.error: BaseException | None = None

    @property
    def most_spans(self) -> int:
        return -(-self._blocks // self._smallest)

    def work(self) -> None:
        """Runs spans until none is left."""
        while not self.cancelled:
            with self._lock:
                first = self._next
                share = (self._blocks - first) // self._shares
                self._next = last = min(first + max(self._smallest, min(share, self._largest)), self._blocks)
            if first == last:
                return
            self._loop(first, last, *self._arguments)

    def help(self) -> None:
        """`work`, on a lent thread."""
        with self._lock:
            if self._closed:
                return
            self._helpers += 1
        try:
            self.work()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that asked
            self.error, self.cancelled = error, True
        with self._lock:
            self._helpers -= 1
            if self._closed and not self._helpers:
                self._left_alone.release()

    def close(self) -> None:
        """Waits for the threads that still run a span; none begins after this."""
        with self._lock:
            self._closed = True
            busy = self._helpers > 0
        if busy:
            self._left_alone.acquire()


class _Pool:
    """Threads that wait for jobs: as many as were ever asked for at once."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._lock = threading.Lock()
        self._size = 0

    def lend(self, job: _Job, helpers: int) -> None:
        with self._lock:
            while self._size < helpers:
                threading.Thread(target=self._serve, name=f"lossctl-{self._size + 1}", daemon=True).start()
                self._size += 1
        for _ in range(helpers):
            self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            self._jobs.get().help()


_pool = _Pool()


def _forget_threads() -> None:
    """A process that was forked has none of them."""
    global _pool  # noqa: PLW0603 - there is one pool a process
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
