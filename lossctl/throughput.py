"""How fast this machine computes losses: typical data in memory, the one road of every evaluation, the median time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from lossctl.catalogue.loss_spec import LossSpec, Shapes, find, settle
from lossctl.catalogue.typical_data import draw
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.feed import Feed
from lossctl.sources import memory_reader
from lossctl.sources.base import Array
from lossctl_kernels import Loss, Scope
from lossctl_kernels.domains import TargetKind

CLASSES, VECTOR = 10, 256
"""The width of rows: of scores of classes, and of vectors."""

LEAST_RUNS, MOST_RUNS, ENOUGH_SECONDS = 3, 25, 0.25
"""A loss is run until it has taken so long, at least and at most so many times."""


@dataclass(frozen=True)
class Throughput:
    """Of one loss: `values` predicted values, `bytes` of all arrays that are read, and the median seconds.

    `gradient_seconds` are those of the value and then the gradient, None for a loss that has none.
    """

    spec: str
    values: int
    width: int
    bytes: int
    seconds: float
    gradient_seconds: float | None
    backend: str


def width_of(loss: Loss) -> int:
    """That of the rows that a loss is measured on."""
    if loss.scope not in (Scope.ROW, Scope.PAIRS):
        return 1
    return VECTOR if loss.target_kind in (TargetKind.SAME, TargetKind.GROUP) else CLASSES


def measure(spec: LossSpec, values: int, dtype: str, backend: str, threads: int | None) -> Throughput:
    """A loss on about so many predicted values; a number that it needs and `spec` leaves out is the usual one.

    Raises UsageError, DataError and EnvironmentFault as an evaluation does.
    """
    loss = find(spec.name)[0][0]
    width = width_of(loss)
    row = (width,) if width > 1 else ()
    needed = {name: str(value) for name, value in loss.required.items() if name not in spec.options}
    complete = LossSpec(spec.text, spec.name, {**needed, **spec.options})
    settings = settle(complete, {}, Shapes(row, () if loss.target_kind is TargetKind.INDEX else row))
    data = draw(settings, max(1, values // width), width, dtype)
    gradients = ("prediction",) if settings.definition.gradient is not None else ()
    request = Request([complete], backend=backend, threads=threads, gradients=gradients)
    arrays = {"prediction": data.prediction, "target": data.target, **data.inputs}
    feed = Feed([memory_reader({role: array}) for role, array in arrays.items()])

    def run() -> Evaluation:
        evaluation = Evaluation(feed, request)
        evaluation.run()
        return evaluation

    def run_with_gradient() -> None:
        run().gradients({"prediction": _forget})

    evaluation = run()  # compiles, and warms the caches
    seconds, both = _median(run), None
    if gradients:
        run_with_gradient()
        both = _median(run_with_gradient)
    return Throughput(
        spec=spec.text,
        values=data.prediction.size,
        width=width,
        bytes=sum(array.nbytes for array in data.arrays),
        seconds=seconds,
        gradient_seconds=both,
        backend=evaluation.backend.name,
    )


def _median(run: Callable[[], object]) -> float:
    found: list[float] = []
    while len(found) < LEAST_RUNS or (len(found) < MOST_RUNS and sum(found) < ENOUGH_SECONDS):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return statistics.median(found)


def _forget(gradient: Array) -> None:
    """Nobody wants it."""
