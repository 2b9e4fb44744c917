"""Timing that is fair between rivals: they take turns, and are compared round by round."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Task = Callable[[], object]

REST_SECONDS = 0.003
"""Between two runs: the threads of the one before spin for a while before they sleep, and would be in the way."""

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""What is read before and after a run: the time that passes, or the processor time of all threads together, which
other work on the machine disturbs less."""

PATIENCE = 5.0


@dataclass(frozen=True)
class Times:
    """The seconds of each run of each contender, in the order of the rounds."""

    seconds: Mapping[str, list[float]]

    def __contains__(self, name: str) -> bool:
        return bool(self.seconds.get(name))

    def median(self, name: str) -> float:
        """NaN for a contender that did not run."""
        return statistics.median(self.seconds[name]) if name in self else math.nan

    def least(self, name: str) -> float:
        """NaN for a contender that did not run."""
        return min(self.seconds[name]) if name in self else math.nan

    def ratio(self, name: str, to: str) -> float:
        """How many times as long as `to` it takes: the median over the rounds in which both ran. NaN without any."""
        pairs = zip(self.seconds.get(name, []), self.seconds.get(to, []), strict=False)
        ratios = [time / other for time, other in pairs]
        return statistics.median(ratios) if ratios else math.nan


def race(
    tasks: Mapping[str, Task],
    rounds: int = 5,
    share: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
    before: Task | None = None,
) -> Times:
    """Runs every task once a round, forwards in one round and backwards in the next.

    `before` runs ahead of each of them and is not timed: what it leaves in the caches is what all of them find, instead
    of what the one before has left.

    A task that has used `share` seconds rests: a slow rival is measured fewer times, at least twice, or once if that
    takes longer than `PATIENCE` shares. Nothing is run to warm up: tasks come with their code compiled and their data
    in memory.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    order = list(tasks)
    for _ in range(rounds):
        for name in order:
            spent = sum(seconds[name])
            if spent >= share and (len(seconds[name]) > 1 or spent >= PATIENCE * share):
                continue
            if before:
                before()
            time.sleep(REST_SECONDS)
            start = clock()
            tasks[name]()
            seconds[name].append(clock() - start)
        order.reverse()
    return Times(seconds)


def geometric_mean(ratios: Iterable[float]) -> float:
    """Of those that are numbers; NaN of none."""
    known = [math.log(ratio) for ratio in ratios if ratio > 0.0]
    return math.exp(statistics.fmean(known)) if known else math.nan
