"""A loss of the whole data set over a stream of chunks: its folds are what is summed so far.

It asks for another pass where magnitudes turn out to be extreme.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossctl.errors import UsageError
from lossctl.loss_spec import LossSpec
from lossctl.results import LossResult
from lossctl.runs import Floats, Run, SampleRun, sums_of_weights
from lossctl.sources.base import Array
from lossctl_kernels import Plan, Scope
from lossctl_kernels.batch import Batch
from lossctl_kernels.reduce import ExactSum
from lossctl_kernels.scales import safe_scale
from lossctl_kernels.spec import Monoid, argument_names

__all__ = ["DatasetRun", "make_run"]


class DatasetRun(Run):
    """A loss with one value for all the data: its folds are the state. `multioutput=columns` keeps one a column."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if self.reduction == "sum":
            raise UsageError(
                f"{self.settings.loss.name} is one number for all the data: it has no sum", hint="use the mean"
            )
        by_class = self.settings["scope"] == "class"
        if by_class and len(self.feed.arrays["prediction"].shape) > 2:
            raise UsageError(
                f"{self.settings.loss.name}: scope=class needs an array of (rows, classes)",
                hint="reshape both sides first: array.reshape(-1, classes)",
            )
        by_column = by_class or self.settings["multioutput"] == "columns"
        self.by_column = by_column and self.plan.width > 1
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
            if batch.weights is not None and not batch.weights.all():
                states = self._without_absent(batch, group, states)
            for position, fold in enumerate(self.plan.definition.folds):
                if fold.monoid in (Monoid.SCALE, Monoid.MAX):
                    self.largest[group][position] = max(self.largest[group][position], float(states[:, position].max()))
                else:
                    self.sums[group][position].add(states[:, position])
        self.rows += prepared.batch.rows
        self.weight.add(
            np.array([float(prepared.batch.rows)])
            if weights is None
            else sums_of_weights(weights, self.plan.block_rows)
        )
        return np.empty(0)

    def _without_absent(self, batch: Batch, group: int, states: Floats) -> Floats:
        """The states with largest values of the samples that have a weight; sums are weighted anyway."""
        at = [i for i, fold in enumerate(self.plan.definition.folds) if fold.monoid is Monoid.MAX]
        present = np.asarray(batch.weights) > 0.0
        if not at or not present.any():
            return states
        counted = Batch(batch.prediction[present], batch.target[present])
        _, found = self.backend.folds(self.group_plan, counted, self.scales[group])
        states[:, at] = found[:, at].max(axis=0)
        return states

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
        largest = zip(self.plan.definition.folds, self.largest[group], strict=True)
        totals |= {fold.name: number for fold, number in largest if fold.monoid is Monoid.MAX}
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
                    names = argument_names(self.plan.definition.degenerate)
                    degenerate += bool(self.plan.definition.degenerate(**{name: known[name] for name in names}))
        value = math.fsum(values) / len(values)
        if not math.isfinite(value):
            raise self._overflow("the value")
        if degenerate:
            self.warnings.append(f"{self.settings.loss.name}: the data holds {self.plan.definition.degenerate_means}")
        return self._result(
            value=value, sum=math.nan, weight=self.weight.value, samples=self.rows, degenerate=degenerate
        )

    def gradient(self, chunk: dict[str, Array], weights: Floats | None) -> Array:
        prepared = self._prepare(chunk, weights)
        scales = np.broadcast_to((1.0 if weights is None else weights) / np.float64(self.groups), prepared.batch.rows)
        parts = [
            self.backend.gradient(self.group_plan, batch, scales, self._totals(group))
            for group, batch in enumerate(self._batches(prepared.batch))
        ]
        return self._like_prediction(np.stack(parts, axis=1) if self.by_column else parts[0], chunk)


def make_run(spec: LossSpec, plan: Plan, *arguments: Any) -> Run:
    """The run of a plan; `arguments` are those of `Run` after the plan."""
    kind = DatasetRun if plan.scope is Scope.DATASET else SampleRun
    return kind(spec, plan, *arguments)
