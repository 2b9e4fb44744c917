"""One loss over a stream of chunks: what it has summed so far, and the result when the stream ends.

A run is fed every chunk in order. What all kinds of runs have in common is here; each kind is a module of its own, and
`kinds.py` says which one a loss has. Gradients are a pass of their own, when the value is known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.catalogue.loss_spec import LossSpec
from lossctl.diagnoses.diagnosis import (
    check_input,
    check_lengths,
    diagnose,
    diagnose_labels,
    has_bad_labels,
    placing_integers,
)
from lossctl.errors import DataError
from lossctl.results import LossResult, signature, stated
from lossctl.rows.feed import Feed
from lossctl.rows.nonfinite import Mask
from lossctl.sources.base import Array
from lossctl.values.preparation import Prepared, prepare
from lossctl_kernels import Plan, Settings
from lossctl_kernels.batch import Backend, Column
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.options import default_of
from lossctl_kernels.records import Record

if TYPE_CHECKING:
    from lossctl.observers import Observer
    from lossctl.sample_statistics import SampleStatistics

Floats = NDArray[np.float64]
BAD = slice(Column.BAD_PREDICTIONS, Column.BAD_TARGET_ROWS + 1)
"""The columns of a report that count what lies outside its domain."""


class Task(Record):
    """What a run computes, of what and by which engine.

    `dtype` is what predictions and dense targets are converted to. `data_options` say how the data was read where that
    is not the default: they belong to the signature.
    """

    spec: LossSpec
    plan: Plan
    backend: Backend
    feed: Feed
    dtype: str
    reduction: str
    chunk_rows: int
    data_options: Mapping[str, Any]


class Run(ABC):
    """One loss on one feed."""

    has_samples: ClassVar[bool] = True
    """Whether each sample has a loss of its own."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.spec, self.plan, self.backend, self.feed = task.spec, task.plan, task.backend, task.feed
        self.dtype, self.reduction, self.chunk_rows = task.dtype, task.reduction, task.chunk_rows
        self.paths = {role: info.path for role, info in task.feed.arrays.items()}
        self.rows = 0
        self.poisoned = 0
        """Rows that make the value NaN: they are not finite, and are propagated."""
        self.warnings: list[str] = []
        self.statistics: SampleStatistics | None = None
        """Takes the losses of single samples, where somebody asks for their statistics."""
        self.observers: list[Observer] = []

    def begun_anew(self) -> Run:
        """A run of the same task, which has seen nothing yet."""
        return type(self)(self.task)

    @property
    def settings(self) -> Settings:
        return self.plan.settings

    @abstractmethod
    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        """Adds the next chunk; returns its per-sample losses where they are wanted. Raises DataError."""

    @abstractmethod
    def end_pass(self) -> bool:
        """Ends a pass: whether the chunks must come again, from the first one."""

    @abstractmethod
    def result(self) -> LossResult:
        """The result, when no other pass is needed. Raises DataError where there is none."""

    @abstractmethod
    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        """The gradient of a chunk with respect to one of its arrays, shaped and typed like that, after `result`."""

    def propagate(
        self, chunk: dict[str, Array], weights: Floats | None, wanted: bool, odd: Mask, given: dict[str, Array]
    ) -> Floats:
        """`consume`, of a chunk whose `odd` rows are not finite: stand-ins are in their place, and they are `given`.

        The value of a loss that takes all rows together is NaN with them.
        """
        losses = self.consume(chunk, weights, wanted)
        self.poisoned += int(np.count_nonzero(odd))
        return np.where(odd, np.nan, losses) if wanted else losses

    def odd_gradient(
        self, chunk: dict[str, Array], weights: Floats | None, of: str, odd: Mask, given: dict[str, Array]
    ) -> Array:
        """`gradient`, of such a chunk: all that a value depends on is NaN with it."""
        return np.full_like(self.gradient(chunk, weights, of), np.nan)

    def check_inputs(self, chunk: dict[str, Array]) -> None:
        """Raises DataError where a further array of the loss holds, in this chunk, what it may not."""
        loss = self.settings.loss
        for name in loss.inputs:
            if name in chunk:
                check_input(self.feed, loss, name, chunk[name], self.chunk_rows)

    def _prepare(self, chunk: dict[str, Array], weights: Floats | None) -> Prepared:
        if self.settings.loss.target_kind is TargetKind.SEQUENCE:
            check_lengths(self.feed, self.plan, chunk, self.chunk_rows)
        if has_bad_labels(self.plan, chunk):
            raise diagnose_labels(self.feed, self.plan, self.chunk_rows)
        with placing_integers(self.feed, self.chunk_rows):
            return prepare(self.plan, self.dtype, chunk, weights, self.paths)

    def _refuse_bad(self, report: Floats) -> None:
        if report[:, BAD].any():
            raise diagnose(self.feed, self.plan, self.chunk_rows)

    def _refuse_endless(self, weight: float) -> None:
        if math.isinf(weight):
            raise DataError(
                f"{self.paths.get('weights', self.paths['prediction'])}: the sum of the weights exceeds float64",
                hint="rescale them: only their ratios matter",
            )

    def _overflow(self, what: str, place: str | None = None) -> DataError:
        return DataError(
            f"{place or self.paths['prediction']}: {what} of {self.settings.loss.name} exceeds float64",
            hint="rescale predictions and targets",
        )

    def _warn_degenerate(self, rows: int) -> None:
        if rows:
            name, held = self.settings.loss.name, self.plan.definition.degenerate_means
            self.warnings.append(f"{name}: {'1 row holds' if rows == 1 else f'{rows} rows hold'} {held}")

    def _like(self, given: Array, gradient: Array) -> Array:
        """The gradient in the shape and the precision of the array that it is with respect to."""
        dtype = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
        return gradient.reshape(given.shape).astype(dtype, copy=False)

    @property
    def changed(self) -> tuple[str, ...]:
        """The options that are not what the loss has by default."""
        loss, options = self.settings.loss, self.settings.options
        defaults = {name: default_of(loss, name) for name in options} | {"eps_mode": options.get("eps_mode")}
        return tuple(name for name, value in options.items() if value != defaults[name])

    @property
    def options(self) -> dict[str, Any]:
        """All that were decided, and how the data was read."""
        return {**self.settings.options, **self.task.data_options}

    def _result(self, **numbers: Any) -> LossResult:
        loss, options = self.settings.loss, self.options
        if self.poisoned:
            numbers |= {"value": math.nan, "sum": math.nan}
            numbers["nonfinite"] = numbers.get("nonfinite", 0) + self.poisoned
        if self.statistics is not None:
            numbers["stats"] = self.statistics.result(numbers["value"], numbers["weight"], self.reduction)
        return LossResult(
            loss=loss.name,
            options=options,
            reduction=self.reduction,
            unit=self.settings.unit,
            signature=signature(loss.name, stated(options), reduction=self.reduction, version=__version__),
            changed=(*self.changed, *self.task.data_options),
            skipped=self.feed.skipped,
            **numbers,
        )
