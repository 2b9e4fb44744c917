"""Work on the items of a stream by threads that run a little ahead of the one who takes the results, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from lossctl_kernels.processors import usable_processors

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["reading_threads", "worked_ahead"]

# More would wait for the one thread that reads the file for them, and hold memory.
_MOST_THREADS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


def reading_threads() -> int:
    """How many threads work ahead of a reader."""
    return min(_MOST_THREADS, usable_processors())


def worked_ahead(
    work: Callable[[Item], Result], items: Iterator[Item], threads: int, ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Each item and its result, in the order of the items; at most `ahead` are begun and not taken.

    What `items` or `work` raises is raised in the place of the result that it is about. `items` is asked for the next
    one by the thread that takes the results.
    """
    # It takes some milliseconds to load, which small inputs do without.
    from concurrent.futures import ThreadPoolExecutor

    waiting: deque[tuple[Item, Future[Result]]] = deque()
    failure: Exception | None = None
    more = True
    pool = ThreadPoolExecutor(threads)
    try:
        while True:
            while more and len(waiting) < ahead:
                try:
                    item = next(items)
                except StopIteration:
                    more = False
                except Exception as error:  # noqa: BLE001 - raised below, after the results of the items before it
                    more, failure = False, error
                else:
                    waiting.append((item, pool.submit(work, item)))
            if not waiting:
                break
            item, result = waiting.popleft()
            yield item, result.result()
    finally:
        pool.shutdown(cancel_futures=True)
    if failure is not None:
        raise failure
