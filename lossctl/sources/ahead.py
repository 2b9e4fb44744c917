"""Work on the items of a stream by threads that run a little ahead of the one who takes the results, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Generic, TypeVar

from lossctl.process import asked_to_end
from lossctl_kernels.processors import usable_processors

if TYPE_CHECKING:
    from concurrent.futures import Future

# More would wait for the one thread that reads the file for them, and hold memory.
_MOST_THREADS = 8

_PATIENCE = 1.0
"""Seconds."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def reading_threads() -> int:
    """How many threads work ahead of a reader."""
    return min(_MOST_THREADS, usable_processors())


@cache
def can_start(threads: int) -> bool:
    """Whether the machine starts so many threads beside those that there are."""
    from threading import Event, Thread

    enough, started = Event(), []
    try:
        for _ in range(threads):
            thread = Thread(target=enough.wait)
            thread.start()
            started.append(thread)
    except RuntimeError:
        return False
    finally:
        enough.set()
        for thread in started:
            thread.join()
    return True


def worked(work: Callable[[Item], Result], items: Iterator[Item], threads: int) -> Iterable[tuple[Item, Result]]:
    """Each item and its result, in the order of the items; by no other thread where `threads` is 0."""
    if not threads:
        return ((item, work(item)) for item in items)
    return WorkedAhead(work, items, threads, 2 * threads + 1)


class WorkedAhead(Generic[Item, Result]):
    """Each item and its result, in the order of the items; at most `ahead` are begun and not taken.

    The first of them are begun at once. What `items` or `work` raises is raised in the place of the result that it is
    about. `items` is asked for the next one by the thread that takes the results.
    """

    def __init__(self, work: Callable[[Item], Result], items: Iterator[Item], threads: int, ahead: int) -> None:
        # It takes some milliseconds to load, which small inputs do without.
        from concurrent.futures import ThreadPoolExecutor

        self._work, self._items, self._ahead = work, items, ahead
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()
        self._failure: Exception | None = None
        self._more = True
        self._pool = ThreadPoolExecutor(threads)
        self._begin()

    def __iter__(self) -> Iterator[tuple[Item, Result]]:
        """Once; the threads end with it."""
        try:
            while self._waiting:
                self._waiting[0][1].result()  # until it is there, `close` waits for it as well
                item, result = self._waiting.popleft()
                yield item, result.result()
                self._begin()
        finally:
            self.close()
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Waits for what is being worked on, and begins no more.

        Not for long in a process that has been asked to end: a server may never answer.
        """
        from concurrent.futures import wait

        self._pool.shutdown(wait=asked_to_end() is None, cancel_futures=True)
        # One that has been cancelled before it began is never done.
        wait([result for _, result in self._waiting if not result.cancelled()], _PATIENCE)

    def _begin(self) -> None:
        while self._more and len(self._waiting) < self._ahead:
            try:
                item = next(self._items)
            except StopIteration:
                self._more = False
            except Exception as error:  # noqa: BLE001 - raised after the results of the items before it
                self._more, self._failure = False, error
            else:
                self._waiting.append((item, self._pool.submit(self._work, item)))
