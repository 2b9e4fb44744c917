"""Spans of blocks on threads: every block once, whatever happens. The loops here are Python."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lossctl_kernels import spans
from lossctl_kernels.spans import run_spans

PLACES = np.zeros((8, 2), np.int64)


class Loop:
    """Counts how often each block was run, and remembers the spans and their threads."""

    def __init__(self, blocks: int) -> None:
        self.counts = np.zeros(blocks, np.int64)
        self.spans: list[tuple[int, int]] = []
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, first: int, last: int, rows: int, width: int, block: int, places: int) -> None:
        assert 0 <= first < last <= -(-rows // block)
        with self._lock:
            self.counts[first:last] += 1
            self.spans.append((first, last))
            self.threads.add(threading.get_ident())


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize(
    ("rows", "width", "block"),
    [(0, 1, 4096), (1, 1, 4096), (4097, 1, 4096), (10_000_000, 1, 4096), (70_000, 100, 4096), (40, 1 << 19, 2)],
)
def test_every_block_is_run_once(rows: int, width: int, block: int, threads: int) -> None:
    loop = Loop(-(-rows // block))
    run_spans(loop, rows, width, block, PLACES, threads)
    assert (loop.counts == 1).all()
    assert len(loop.threads) <= threads


def test_what_is_one_span_is_run_by_the_caller() -> None:
    loop = Loop(16)
    run_spans(loop, spans.SMALLEST_SPAN, 1, 4096, PLACES, 8)
    assert loop.spans == [(0, 16)]
    assert loop.threads == {threading.get_ident()}


def test_a_span_is_neither_long_nor_short() -> None:
    loop = Loop(10_000)
    run_spans(loop, 10_000 * 4096, 1, 4096, PLACES, 2)
    sizes = [(last - first) * 4096 for first, last in loop.spans]
    assert max(sizes) <= spans.LARGEST_SPAN
    assert min(sizes[:-1]) >= spans.SMALLEST_SPAN


def test_what_one_thread_has_done_before_others_begin_is_one_span() -> None:
    for blocks, is_one in ((32, True), (33, False)):
        loop = Loop(blocks)
        run_spans(loop, blocks * 4096, 1000, 4096, PLACES, 2, work=16, alone=32 * 16 * 4096)
        assert (loop.counts == 1).all()
        assert (len(loop.spans) == 1) == is_one


def test_rows_of_which_little_is_read_make_longer_spans() -> None:
    sizes = {}
    for work in (None, 24, 9999):
        loop = Loop(1000)
        run_spans(loop, 1000 * 1024, 1000, 1024, PLACES, 1, work=work)
        assert (loop.counts == 1).all()
        sizes[work] = max(last - first for first, last in loop.spans)
    assert sizes[24] * 1024 * 24 <= spans.LARGEST_SPAN
    assert sizes[24] > 10 * sizes[None]
    assert sizes[9999] == sizes[None]


def test_several_threads_share_the_work() -> None:
    """Each span waits until another thread has come, too."""
    both = threading.Barrier(2, timeout=60)
    seen: set[int] = set()

    def loop(*_: int) -> None:
        if len(seen) < 2:
            seen.add(threading.get_ident())
            both.wait()

    run_spans(loop, 2 * spans.SMALLEST_SPAN, 1, 4096, PLACES, 2)
    assert len(seen) == 2


def test_the_threads_are_kept() -> None:
    run_spans(Loop(1000), 1000 * 4096, 1, 4096, PLACES, 3)
    kept = set(threading.enumerate())
    for _ in range(20):
        run_spans(Loop(1000), 1000 * 4096, 1, 4096, PLACES, 3)
    assert set(threading.enumerate()) == kept


def test_callers_on_several_threads_at_once() -> None:
    def call(_: int) -> bool:
        loop = Loop(200)
        run_spans(loop, 200 * 4096, 1, 4096, PLACES, 2)
        return bool((loop.counts == 1).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(200)))


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_the_work_before_its_next_span(threads: int) -> None:
    """It is raised in the calling thread; where there is another one, it has ended its span when that is seen."""
    caller, running, begun, ended = threading.get_ident(), threading.Event(), [0], [0]

    def loop(*_: int) -> None:
        begun[0] += 1
        if threading.get_ident() == caller:
            assert threads == 1 or running.wait(60)
            raise KeyboardInterrupt
        running.set()
        threading.Event().wait(0.05)
        ended[0] += 1

    with pytest.raises(KeyboardInterrupt):
        run_spans(loop, 100 * spans.LARGEST_SPAN, 1, 4096, PLACES, threads)
    assert begun[0] < 20
    assert begun[0] == ended[0] + 1


def test_what_fails_on_another_thread_is_raised_by_the_caller() -> None:
    caller, failed = threading.get_ident(), threading.Event()

    def loop(*_: int) -> None:
        if threading.get_ident() == caller:
            assert failed.wait(60)
        else:
            failed.set()
            raise MemoryError("no more")

    with pytest.raises(MemoryError, match="no more"):
        run_spans(loop, 100 * spans.LARGEST_SPAN, 1, 4096, PLACES, 2)
    test_every_block_is_run_once(10_000_000, 1, 4096, 2)


FORK = """
import os
import numpy as np
from lossctl_kernels.spans import run_spans

def run():
    counts = np.zeros(1000, np.int64)
    def loop(first, last, *_):
        counts[first:last] += 1
    run_spans(loop, 1000 * 4096, 1, 4096, np.zeros((8, 2), np.int64), 2)
    assert (counts == 1).all()

run()
child = os.fork()
run()
if not child:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr
