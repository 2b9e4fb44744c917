"""Numbered tasks, done by processes that take the next one from a queue that they share, a pipe.

A process that does not begin, or does not come to its end, is no reason to fail: what none has done is left to be done
by the one that began them, which then says what is wrong.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

from lossctl.process import ending_signals

# So few bytes go through a pipe together, however many write and read them.
_NUMBER = struct.Struct("<I")

# In the queue: no more than a pipe holds, which would wait for those that wait to be heard.
_AHEAD = 256

_HOLDS_SIGNALS = hasattr(signal, "pthread_sigmask")
_ENDING = set(ending_signals())


def done_by(processes: int, code: str, tasks: Sequence[int]) -> Generator[int, None, None]:
    """The tasks that are done, each once it is, by processes of Python that run `code`: it calls `work_through`.

    The processes end with the generator, or with this process, however that ends.
    """
    queue, feed = os.pipe()
    answers, done = os.pipe()
    workers: list[subprocess.Popen[bytes]] = []
    command = [sys.executable, "-P", "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
    try:
        with _signals_held(), suppress(OSError):
            for _ in range(processes):
                workers.append(subprocess.Popen(command, stdin=queue, stdout=done, stderr=subprocess.DEVNULL))
        os.close(queue)
        os.close(done)
        with open(feed, "wb", buffering=0) as numbers:
            waiting = map(_NUMBER.pack, tasks)
            given = b"".join(islice(waiting, _AHEAD))
            while True:
                if given:
                    with suppress(BrokenPipeError):  # that no process is left, the answers say as well
                        numbers.write(given)
                    given = next(waiting, b"")
                if not given:  # they are not to wait for more
                    numbers.close()
                if not (answer := os.read(answers, _NUMBER.size)):
                    break
                yield _NUMBER.unpack(answer)[0]
    finally:
        os.close(answers)
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


@contextmanager
def _signals_held() -> Iterator[None]:
    """No signal comes between the start of a process and its being known; those started have it from here."""
    if not _HOLDS_SIGNALS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# ---- in the processes that work


def work_through(run: Callable[[int], object]) -> None:
    """Has tasks done by `run` until there are no more."""
    if _HOLDS_SIGNALS:  # but for an interrupt: it is for the process that began this one, and ends it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING - {signal.SIGINT})
    queue, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # what is run may read and print
        os.dup2(nothing, standard)
    if hasattr(select, "poll"):
        threading.Thread(target=_end_with_reader, args=(answers,), daemon=True).start()
    while number := os.read(queue, _NUMBER.size):
        run(_NUMBER.unpack(number)[0])
        os.write(answers, number)


def _end_with_reader(answers: int) -> None:
    """Ends this process once nobody waits for what it does."""
    poll = select.poll()
    poll.register(answers, 0)  # that a pipe has no reader is told unasked
    poll.poll()
    os._exit(1)
