"""One loss over a stream of chunks: what it has summed so far, and the result when the stream ends.

A run is fed every chunk in order. Losses of values and rows need one pass; a loss of the whole data set asks for
another where magnitudes turn out to be extreme. Gradients are a pass of their own, when the value is known.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl._version import __version__
from lossctl.diagnosis import bad_labels, diagnose, diagnose_labels
from lossctl.errors import DataError, UsageError
from lossctl.feed import Feed
from lossctl.loss_spec import LossSpec
from lossctl.preparation import Prepared, prepare
from lossctl.results import LossResult, signature
from lossctl.sources.base import Array
from lossctl_kernels import Plan, Scope, Settings
from lossctl_kernels.batch import Backend, Batch, Column
from lossctl_kernels.options import OPTIONS
from lossctl_kernels.reduce import ExactSum, block_sums
from lossctl_kernels.scales import safe_scale
from lossctl_kernels.spec import Monoid

__all__ = ["DatasetRun", "Run", "SampleRun", "make_run"]

Floats = NDArray[np.float64]
BAD = (Column.BAD_PREDICTIONS, Column.BAD_TARGETS, Column.BAD_PREDICTION_ROWS, Column.BAD_TARGET_ROWS)


class Run(ABC):
    """One loss on one feed. `dtype` is what predictions and dense targets are converted to."""

    def __init__(
        self, spec: LossSpec, plan: Plan, backend: Backend, feed: Feed, dtype: str, reduction: str, chunk_rows: int
    ) -> None:
        self.spec, self.plan, self.backend, self.feed = spec, plan, backend, feed
        self.dtype, self.reduction, self.chunk_rows = dtype, reduction, chunk_rows
        self.paths = {role: info.path for role, info in feed.arrays.items()}
        self.rows = 0
        self.warnings: list[str] = []

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
    def gradient(self, chunk: dict[str, Array], weights: Floats | None) -> Array:
        """The gradient of a chunk, shaped and typed like its predictions, after `result`."""

    def _prepare(self, chunk: dict[str, Array], weights: Floats | None) -> Prepared:
        if self.plan.sparse and bad_labels(self.plan, chunk["target"]).any():
            raise diagnose_labels(self.feed, self.plan, self.chunk_rows)
        return prepare(self.plan, self.dtype, chunk, weights, self.paths)

    def _refuse_bad(self, report: Floats) -> None:
        if report[:, BAD].any():
            raise diagnose(self.feed, self.plan, self.chunk_rows)

    def _refuse_endless(self, weight: float) -> None:
        if math.isinf(weight):
            raise DataError("the sum of the weights exceeds float64", hint="rescale them: only their ratios matter")

    def _overflow(self, what: str) -> DataError:
        return DataError(
            f"{self.paths['prediction']}: {what} of {self.settings.loss.name} exceeds float64",
            hint="rescale predictions and targets",
        )

    def _like_prediction(self, gradient: Array, chunk: dict[str, Array]) -> Array:
        given = chunk["prediction"]
        dtype = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
        return gradient.reshape(given.shape).astype(dtype, copy=False)

    def _row_scales(self, prepared: Prepared, weights: Floats | None, denominator: float) -> Floats:
        """What each row's gradient is multiplied by, as `grad_scale` says."""
        scale = self.settings["grad_scale"]
        if scale == "reported":
            scale = self.reduction
        each = np.ones(prepared.batch.rows)
        if scale != "sample" and weights is not None:
            each = weights.copy()
        if scale == "mean":
            each = each / denominator if denominator else np.zeros_like(each)
        if self.settings["row"] == "mean" and self.plan.scope is Scope.ELEMENT:
            each /= self.plan.width
        each /= self.settings.value_divisor
        return each if prepared.batch.keep is None else np.where(prepared.batch.keep, each, 0.0)

    @property
    def changed(self) -> tuple[str, ...]:
        """The options that are not what the loss has by default."""
        loss, options = self.settings.loss, self.settings.options
        defaults = {name: OPTIONS[name].default if name in OPTIONS else None for name in options}
        defaults |= {name: default for name, (default, _) in loss.parameters.items()}
        defaults |= {"input": next(iter(loss.forms)), "eps_mode": options.get("eps_mode")}
        return tuple(name for name, value in options.items() if value != defaults[name])

    def _result(self, **numbers: Any) -> LossResult:
        loss, options = self.settings.loss, dict(self.settings.options)
        return LossResult(
            loss=loss.name,
            options=options,
            reduction=self.reduction,
            unit=self.settings.unit,
            signature=signature(loss.name, _of_the_value(options), reduction=self.reduction, version=__version__),
            changed=self.changed,
            **numbers,
        )


def _sums_of_weights(weights: Floats, rows: int) -> Floats:
    """Block sums, infinite where they exceed float64."""
    with np.errstate(over="ignore"):
        return block_sums(weights, rows)


def _of_the_value(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a value depends on; a guard of 0 has no mode."""
    left_out = {"grad_wrt", "grad_scale", "preset"}
    if not options.get("eps"):
        left_out.add("eps_mode")
    return {name: value for name, value in options.items() if name not in left_out and value is not None}


class SampleRun(Run):
    """A loss with a value for each row, reduced to a sum or a mean."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sum, self.shares = ExactSum(), ExactSum()
        self.weighted = False
        self.kept = self.positive = self.nonfinite = self.degenerate = self.clipped = 0

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        prepared = self._prepare(chunk, weights)
        batch = prepared.batch
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
            self.shares.add(_sums_of_weights(prepared.shares, self.plan.block_rows))
        if self.plan.degenerate is not None:
            counted, _ = self.backend.losses(self.plan.degenerate, Batch(batch.prediction, batch.target), False)
            self.degenerate += int(counted[:, Column.SUM].sum())
        self.clipped += self._count_clipped(batch)
        return losses

    def _nonfinite_sums(self, batch: Batch) -> Floats:
        """Block sums of a batch with infinite losses: right answers for some losses, an overflow for others."""
        _, losses = self.backend.losses(self.plan, batch, True)
        kept = np.ones(batch.rows, np.bool_) if batch.keep is None else batch.keep
        undefined = np.isnan(losses) & kept
        if undefined.any():
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
            row = self.rows + int(np.argmax(infinite))
            raise self._overflow(f"the loss at row {row}")
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

    def result(self) -> LossResult:
        denominator = self.denominator
        weight = denominator.value if isinstance(denominator, ExactSum) else float(denominator)
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
            self.warnings.append(f"{self.settings.loss.name}: {self.degenerate} rows hold a zero vector")
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

    def gradient(self, chunk: dict[str, Array], weights: Floats | None) -> Array:
        prepared = self._prepare(chunk, weights)
        denominator = self.denominator
        number = denominator.value if isinstance(denominator, ExactSum) else float(denominator)
        scales = self._row_scales(prepared, weights, number)
        gradient = self.backend.gradient(self.plan, prepared.batch, scales, {})
        if not scales.all():
            gradient[scales == 0.0] = 0.0  # a sample that is absent has no slope, an infinite one neither
        return self._like_prediction(gradient, chunk)


class DatasetRun(Run):
    """A loss with one value for all the data: its folds are the state. `multioutput=columns` keeps one a column."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if self.reduction == "sum":
            raise UsageError(
                f"{self.settings.loss.name} is one number for all the data: it has no sum", hint="use the mean"
            )
        self.by_column = self.settings["multioutput"] == "columns" and self.plan.width > 1
        self.groups = self.plan.width if self.by_column else 1
        self.group_plan = Plan(self.settings, 1, self.plan.prediction_dtype) if self.by_column else self.plan
        self.scales = [dict.fromkeys(self.plan.scales, 1.0) for _ in range(self.groups)]
        self._start()

    def _start(self) -> None:
        folds = self.plan.definition.folds
        self.rows = 0
        self.weight = ExactSum()
        self.sums = [[ExactSum() for _ in folds] for _ in range(self.groups)]
        self.largest = [[0.0 for _ in folds] for _ in range(self.groups)]

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        if wanted:
            raise UsageError(
                f"{self.settings.loss.name} is one number for all the data: it has no per-sample losses",
                hint="use a loss of single samples",
            )
        prepared = self._prepare(chunk, weights)
        for group, batch in enumerate(self._batches(prepared.batch)):
            report, states = self.backend.folds(self.group_plan, batch, self.scales[group])
            self._refuse_bad(report)
            for position, fold in enumerate(self.plan.definition.folds):
                if fold.monoid is Monoid.SCALE:
                    self.largest[group][position] = max(self.largest[group][position], float(states[:, position].max()))
                else:
                    self.sums[group][position].add(states[:, position])
        self.rows += prepared.batch.rows
        self.weight.add(
            np.array([float(prepared.batch.rows)])
            if weights is None
            else _sums_of_weights(weights, self.plan.block_rows)
        )
        return np.empty(0)

    def _batches(self, batch: Batch) -> list[Batch]:
        if not self.by_column:
            return [batch]
        return [
            Batch(np.ascontiguousarray(batch.prediction[:, c]), np.ascontiguousarray(batch.target[:, c]), batch.weights)
            for c in range(self.groups)
        ]

    def needs_another_pass(self) -> bool:
        """The scales were taken to be 1. Where they are not, the sums are wrong, and the scales are known now."""
        found = [
            {
                fold.name: float(safe_scale(np.float64(largest)))
                for fold, largest in zip(self.plan.definition.folds, group, strict=True)
                if fold.monoid is Monoid.SCALE
            }
            for group in self.largest
        ]
        if found == self.scales:
            return False
        self.scales = found
        self._start()
        return True

    def _totals(self, group: int) -> dict[str, float]:
        names = [fold.name for fold in self.plan.definition.folds]
        totals = {name: total.value for name, total in zip(names, self.sums[group], strict=True)}
        totals |= self.scales[group]
        totals["weight"] = self.weight.value * self.group_plan.width
        return totals

    def result(self) -> LossResult:
        self._refuse_endless(self.weight.value)
        function, wanted = self.plan.definition.function, self.plan.definition.arguments()
        values, degenerate = [], 0
        with np.errstate(all="ignore"):
            for group in range(self.groups):
                known = {
                    name: np.float64(number) for name, number in {**self.plan.numbers, **self._totals(group)}.items()
                }
                values.append(float(function(**{name: known[name] for name in wanted})))
                if self.plan.definition.degenerate:
                    names = ("prediction_square", "target_square")
                    degenerate += bool(self.plan.definition.degenerate(**{name: known[name] for name in names}))
        value = math.fsum(values) / len(values)
        if not math.isfinite(value):
            raise self._overflow("the value")
        if degenerate:
            self.warnings.append(f"{self.settings.loss.name}: one side is a zero vector")
        return self._result(
            value=value, sum=math.nan, weight=self.weight.value, samples=self.rows, degenerate=degenerate
        )

    def gradient(self, chunk: dict[str, Array], weights: Floats | None) -> Array:
        prepared = self._prepare(chunk, weights)
        scales = (np.ones(prepared.batch.rows) if weights is None else weights) / self.groups
        parts = [
            self.backend.gradient(self.group_plan, batch, scales, self._totals(group))
            for group, batch in enumerate(self._batches(prepared.batch))
        ]
        return self._like_prediction(np.stack(parts, axis=1) if self.by_column else parts[0], chunk)


def make_run(spec: LossSpec, plan: Plan, *arguments: Any) -> Run:
    """The run of a plan; `arguments` are those of `Run` after the plan."""
    kind = DatasetRun if plan.scope is Scope.DATASET else SampleRun
    return kind(spec, plan, *arguments)
