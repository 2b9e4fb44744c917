"""One loss over a stream of chunks: what it has summed so far, and the result when the stream ends.

A run is fed every chunk in order. Losses of values and rows, which are here, need one pass; those of the whole data set
are in `dataset_runs.py`. Gradients are a pass of their own, when the value is known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.diagnosis import (
    check_input,
    check_lengths,
    diagnose,
    diagnose_labels,
    has_bad_labels,
    placing_integers,
)
from lossctl.errors import DataError
from lossctl.feed import Feed
from lossctl.loss_spec import LossSpec
from lossctl.nonfinite import Mask
from lossctl.preparation import Prepared, prepare
from lossctl.propagation import chosen_batch, odd_gradients, odd_losses
from lossctl.results import LossResult, signature, stated
from lossctl.sources.base import Array
from lossctl_kernels import Plan, Scope, Settings
from lossctl_kernels.batch import Backend, Batch, Column
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.options import default_of
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import ExactSum, block_sums

if TYPE_CHECKING:
    from lossctl.observers import Observer
    from lossctl.sample_statistics import SampleStatistics

__all__ = ["Run", "SampleRun", "sums_of_weights"]

Floats = NDArray[np.float64]
BAD = slice(Column.BAD_PREDICTIONS, Column.BAD_TARGET_ROWS + 1)


class Run(ABC):
    """One loss on one feed. `dtype` is what predictions and dense targets are converted to.

    `data_options` say how the data was read where that is not the default: they belong to the signature.
    """

    has_samples: ClassVar[bool] = True
    """Whether each sample has a loss of its own."""

    def __init__(
        self,
        spec: LossSpec,
        plan: Plan,
        backend: Backend,
        feed: Feed,
        dtype: str,
        reduction: str,
        chunk_rows: int,
        data_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec, self.plan, self.backend, self.feed = spec, plan, backend, feed
        self.dtype, self.reduction, self.chunk_rows = dtype, reduction, chunk_rows
        self.paths = {role: info.path for role, info in feed.arrays.items()}
        self.data_options = dict(data_options or {})
        self.rows = 0
        self.poisoned = 0
        """Rows that make the value NaN: they are not finite, and are propagated."""
        self.warnings: list[str] = []
        self.statistics: SampleStatistics | None = None
        """Takes the losses of single samples, where somebody asks for their statistics."""
        self.observers: list[Observer] = []

    @property
    def settings(self) -> Settings:
        return self.plan.settings

    @abstractmethod
    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        """Adds the next chunk; returns its per-sample losses where they are wanted. Raises DataError."""

    @abstractmethod
    def needs_another_pass(self) -> bool:
        """Whether the chunks must come again, from the first one. Called at the end of each pass."""

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

    def _like(self, given: Array, gradient: Array) -> Array:
        """The gradient in the shape and the precision of the array that it is with respect to."""
        dtype = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
        return gradient.reshape(given.shape).astype(dtype, copy=False)

    def _row_scales(self, prepared: Prepared, weights: Floats | None, denominator: float) -> Floats:
        """What each row's gradient is multiplied by, as `grad_scale` says; where it is one number, of stride 0."""
        scale = self.settings["grad_scale"]
        if scale == "reported":
            scale = self.reduction
        each: Any = np.float64(1.0) if weights is None or scale == "sample" else weights
        if scale == "mean":
            each = each / denominator if denominator else each * 0.0
        if self.settings["row"] == "mean" and self.plan.scope is Scope.ELEMENT:
            each = each / self.plan.width
        each = each / self.settings.value_divisor
        keep = prepared.batch.keep
        return np.broadcast_to(each, prepared.batch.rows) if keep is None else np.where(keep, each, 0.0)

    @property
    def changed(self) -> tuple[str, ...]:
        """The options that are not what the loss has by default."""
        loss, options = self.settings.loss, self.settings.options
        defaults = {name: default_of(loss, name) for name in options} | {"eps_mode": options.get("eps_mode")}
        return tuple(name for name, value in options.items() if value != defaults[name])

    @property
    def options(self) -> dict[str, Any]:
        """All that were decided, and how the data was read."""
        return {**self.settings.options, **self.data_options}

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
            changed=(*self.changed, *self.data_options),
            skipped=self.feed.skipped,
            **numbers,
        )


def sums_of_weights(weights: Floats, rows: int) -> Floats:
    """Block sums, infinite where they exceed float64."""
    with np.errstate(over="ignore"):
        return block_sums(weights, rows)


class SampleRun(Run):
    """A loss with a value for each row, reduced to a sum or a mean."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sum, self.shares = ExactSum(), ExactSum()
        self.weighted = False
        self.kept = self.positive = self.nonfinite = self.degenerate = self.clipped = 0
        self.negative_labels: dict[int, int] = {}

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        if self.settings["labels"] == "auto-batch":
            self._refuse_mixed_labels(chunk["target"])
        prepared = self._prepare(chunk, weights)
        return self._observed(self._add(prepared, wanted), prepared)

    def _observed(self, losses: Floats, prepared: Prepared) -> Floats:
        if self.statistics is not None:
            self.statistics.add_rows(losses, prepared, self.settings["denom"])
        for observer in self.observers:
            observer.add_rows(losses, prepared, self.settings["denom"])
        return losses

    def propagate(
        self, chunk: dict[str, Array], weights: Floats | None, wanted: bool, odd: Mask, given: dict[str, Array]
    ) -> Floats:
        """An odd row has the loss that arithmetic gives it, NaN or infinite as a rule, on every backend the same."""
        if self.settings["labels"] == "auto-batch":
            self._refuse_mixed_labels(chunk["target"])
        prepared = self._prepare(chunk, weights)
        losses = self._add(prepared, wanted, odd)
        keep = prepared.batch.keep
        kept = odd if keep is None else odd & keep
        own = np.where(kept[odd], odd_losses(self.plan, given, odd, self.feed.whole, self._batch_of), np.nan)
        self.nonfinite += int(np.count_nonzero(kept[odd] & ~np.isfinite(own)))
        self.positive += int(np.count_nonzero(own > 0.0))
        each = np.ones(len(own)) if weights is None else weights[odd]
        present = kept[odd] & (each > 0.0)
        self.sum.add(own[present] * each[present])
        if wanted:
            losses = losses.copy()
            losses[odd] = own
        return self._observed(losses, prepared)

    def odd_gradient(
        self, chunk: dict[str, Array], weights: Floats | None, of: str, odd: Mask, given: dict[str, Array]
    ) -> Array:
        """Each row has its own gradient: that of an odd one is what arithmetic gives it, and 0 where it is absent."""
        gradient = self.gradient(chunk, weights, of)
        scales = self._row_scales(self._prepare(chunk, weights), weights, self._denominator())[odd]
        whole = self.feed.whole
        gradient[odd] = odd_gradients(self.plan, given, odd, whole, self._batch_of, scales, of, gradient)
        return gradient

    def _batch_of(self, chunk: dict[str, Array]) -> Batch:
        return prepare(self.plan, self.dtype, chunk, None, self.paths).batch

    def _refuse_mixed_labels(self, target: Array) -> None:
        """A 0 stands for -1 only where there is no -1 in all the data."""
        for label in (-1, 0):
            wrong = (target == label).reshape(len(target), -1).any(axis=1)
            if wrong.any():
                self.negative_labels.setdefault(label, self.rows + int(np.argmax(wrong)))
        if len(self.negative_labels) == 2:
            (other, first), (label, row) = sorted(self.negative_labels.items(), key=lambda item: item[1])
            place = self.feed.place("target", row)
            raise DataError(
                f"{place}: there is a label {label}, and at row {first} a label {other}",
                hint="labels are -1 and 1, or 0 and 1, in all the data",
            )

    def _add(self, prepared: Prepared, wanted: bool, odd: Mask | None = None) -> Floats:
        """Adds rows that are prepared; returns their losses where they are wanted.

        Those that are `odd` count in the denominator, and their losses are added elsewhere.
        """
        batch = replace(prepared.batch, first_row=self.rows)
        if odd is not None:
            batch = replace(batch, keep=~odd if batch.keep is None else batch.keep & ~odd)
        # Backends count the losses above 0 only where they deliver them.
        report, losses = self.backend.losses(self.plan, batch, wanted or self.settings["denom"] == "nonzero")
        self._refuse_bad(report)
        sums = report[:, Column.SUM]
        infinite = report[:, Column.NONFINITE] > 0.0
        if infinite.any():
            # Block by block, so that the bits of the others do not depend on which chunk they share.
            sums = np.where(infinite, self._nonfinite_sums(batch), sums)
        self.sum.add(sums)
        self.rows += batch.rows
        self.kept += prepared.kept
        self.positive += int(report[:, Column.POSITIVE].sum())
        if prepared.shares is not None:
            self.weighted = True
            self.shares.add(sums_of_weights(prepared.shares, self.plan.block_rows))
        if self.plan.degenerate is not None:
            alone = Batch(batch.prediction, batch.target, inputs=batch.inputs)
            if odd is not None:  # a stand-in is another row once more
                alone = chosen_batch(alone, ~odd, self.feed.whole)
            counted, _ = self.backend.losses(self.plan.degenerate, alone, False)
            self.degenerate += int(counted[:, Column.SUM].sum())
        self.clipped += self._count_clipped(batch)
        return losses

    def _nonfinite_sums(self, batch: Batch) -> Floats:
        """Block sums of a batch with infinite losses: right answers for some losses, an overflow for others."""
        _, losses = self.backend.losses(self.plan, batch, True)
        kept = np.ones(batch.rows, np.bool_) if batch.keep is None else batch.keep
        undefined = np.isnan(losses) & kept
        if undefined.any():
            if self.settings.loss.target.labels:
                raise diagnose(self.feed, self.plan, self.chunk_rows)
            row = self.rows + int(np.argmax(undefined))
            place = self.feed.place("prediction", row)
            if self.plan.scope is Scope.ROW and self.settings.input in ("logit", "log_prob"):
                raise DataError(
                    f"{place}: every class has a logit of minus infinity", hint="one class must be possible"
                )
            if self.plan.scope is Scope.ROW:
                raise DataError(
                    f"{place}: the row has no sum to divide by", hint="probabilities of a row must not all be 0"
                )
            raise DataError(f"{place}: {self.settings.loss.name} is not defined there", hint="rescale the data")
        infinite = np.isinf(losses) & kept
        if infinite.any() and not self.settings.loss.may_be_infinite:
            raise self._overflow("the loss", self.feed.place("prediction", self.rows + int(np.argmax(infinite))))
        self.nonfinite += int(np.count_nonzero(infinite))
        # A sample of weight 0 is absent, whatever its loss.
        weights = np.ones(batch.rows) if batch.weights is None else batch.weights
        present = kept & (weights > 0.0)
        return block_sums(np.where(present, losses, 0.0) * np.where(present, weights, 0.0), self.plan.block_rows)

    def _count_clipped(self, batch: Batch) -> int:
        """Rows with a probability that the guard changes."""
        eps, mode = self.plan.eps, self.settings["eps_mode"]
        if not eps or self.settings.input != "prob" or "eps" not in self.settings.loss.options:
            return 0
        values = batch.prediction.astype(np.float64)
        if self.settings["normalize"]:
            values = values / values.sum(axis=1, keepdims=True)
        low = math.exp(eps) if mode == "log_floor" else eps
        held = values < low
        if mode == "clip" or (mode == "log_floor" and values.ndim == 1):
            held |= values > 1.0 - low
        if mode == "add":
            return 0
        rows = held if held.ndim == 1 else held.any(axis=1)
        return int(np.count_nonzero(rows if batch.keep is None else rows & batch.keep))

    def needs_another_pass(self) -> bool:
        return False

    @property
    def denominator(self) -> ExactSum | int:
        counts = {
            "count": self.rows,
            "valid": self.kept,
            "nonzero": self.positive,
            "elements": self.kept * self.plan.width,
        }
        denom = self.settings["denom"]
        if denom == "weight":
            return self.shares if self.weighted else self.kept
        return counts[denom]

    def _denominator(self) -> float:
        denominator = self.denominator
        return denominator.value if isinstance(denominator, ExactSum) else float(denominator)

    def result(self) -> LossResult:
        denominator, weight = self.denominator, self._denominator()
        self._refuse_endless(weight)
        total = self.sum.value
        if self.reduction == "sum":
            value = total
        elif weight == 0.0:
            value = self._empty()
        else:
            value = self.sum.over(denominator)
        if math.isinf(value) and not self.nonfinite:
            raise self._overflow("the sum")
        if self.degenerate:
            self.warnings.append(
                f"{self.settings.loss.name}: {self.degenerate} rows hold {self.plan.definition.degenerate_means}"
            )
        return self._result(
            value=value,
            sum=total,
            weight=weight,
            samples=self.kept,
            nonfinite=self.nonfinite,
            clipped=self.clipped,
            degenerate=self.degenerate,
        )

    def _empty(self) -> float:
        name, empty = self.settings.loss.name, self.settings["empty"]
        if empty == "error":
            raise DataError(f"{name}: nothing is left to average", hint="every row is ignored or has no weight")
        self.warnings.append(
            f"{name}: nothing is left to average; the mean is {'0' if empty == 'zero' else 'not a number'}"
        )
        return 0.0 if empty == "zero" else math.nan

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        prepared = self._prepare(chunk, weights)
        scales = self._row_scales(prepared, weights, self._denominator())
        gradient = self.backend.gradient(self.plan, prepared.batch, scales, {}, of)
        absent = (scales[:1] if scales.strides == (0,) else scales) == 0.0
        if absent.any():  # a sample that is absent has no slope, an infinite one neither
            gradient[np.broadcast_to(absent, len(scales))] = 0.0
        return self._like(chunk[of], gradient)
