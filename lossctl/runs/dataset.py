"""A loss of the whole data set over a stream of chunks: its folds are what is summed so far.

It asks for another pass where magnitudes turn out to be extreme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lossctl.errors import UsageError
from lossctl.results import LossResult
from lossctl.runs.class_masks import ClassMasks
from lossctl.runs.denominators import sums_of_weights
from lossctl.runs.run import BAD, Floats, Run, Task
from lossctl.sources.base import Array
from lossctl_kernels.arguments import argument_names
from lossctl_kernels.batch import Batch
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import ExactSum
from lossctl_kernels.scalar import power_of_two_scale
from lossctl_kernels.scales import safe_scale
from lossctl_kernels.spec import Monoid


class PooledRun(Run):
    """A loss with one value for all the data: there is no sum of it, and none of one sample."""

    has_samples = False

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        if self.reduction == "sum":
            raise UsageError(
                f"{self.settings.loss.name} is one number for all the data: it has no sum", hint="use the mean"
            )

    def _refuse_per_sample(self, wanted: bool) -> None:
        if wanted:
            raise UsageError(
                f"{self.settings.loss.name} is one number for all the data: it has no per-sample losses",
                hint="use a loss of single samples",
            )


class DatasetRun(PooledRun):
    """A loss of folds over all the data: they are the state. `multioutput=columns` keeps one a column."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.masks = self._masks()
        self.groups, self.group_plan, self.values = 1, self.plan, self.plan.width
        if self.masks is not None:
            self.groups, self.values = self.masks.classes, self.masks.places
            # Blocks of a column begin where those of the rows do.
            block = math.gcd(self.plan.block_rows * self.values, replace(self.plan, width=1).block_rows)
            self.group_plan = replace(self.plan, width=1, rows_a_block=block)
        self.scales = [dict.fromkeys(self.plan.scales, 1.0) for _ in range(self.groups)]
        self.weight_scale = 1.0
        self._start()

    def _masks(self) -> ClassMasks | None:
        """What each have a loss of their own: classes, or columns; None where all values are one."""
        masks = None
        if self.settings["scope"] == "class":
            masks = ClassMasks.of(self.feed.arrays["prediction"], self.plan)
        elif self.settings["multioutput"] == "columns":
            masks = ClassMasks(self.plan.width, 1)
        return masks if masks is not None and masks.classes > 1 else None

    def _start(self) -> None:
        folds = self.plan.definition.folds
        self.rows = 0
        self.weight = ExactSum()
        self.largest_weight = 0.0
        self.sums = [[ExactSum() for _ in folds] for _ in range(self.groups)]
        self.largest = [[0.0 for _ in folds] for _ in range(self.groups)]

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        self._refuse_per_sample(wanted)
        weights = self._scaled(weights)
        prepared = self._prepare(chunk, weights)
        for group, batch in enumerate(self._batches(prepared.batch)):
            report, states = self.backend.folds(self.group_plan, batch, self.scales[group])
            if self.masks is not None and report[:, BAD].any():
                self.masks.refuse_impossible(prepared.batch, self.feed, self.rows)
            self._refuse_bad(report)
            if batch.weights is not None and not batch.weights.all():
                states = self._without_absent(batch, group, states)
            for position, fold in enumerate(self.plan.definition.folds):
                if fold.monoid in (Monoid.SCALE, Monoid.MAX):
                    self.largest[group][position] = max(self.largest[group][position], float(states[:, position].max()))
                else:
                    self.sums[group][position].add(states[:, position])
        self.rows += prepared.batch.rows
        if weights is None:
            self.weight.add(float(prepared.batch.rows))
        else:
            self.weight.add(sums_of_weights(weights, self.plan.block_rows))
            self.largest_weight = max(self.largest_weight, float(weights.max()))
        return np.empty(0)

    def _scaled(self, weights: Floats | None) -> Floats | None:
        """The weights, near 1 where all were extreme: their products with squares are numbers with all digits."""
        return weights if weights is None or self.weight_scale == 1.0 else weights * self.weight_scale

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
        if self.masks is None:
            return [batch]
        weights = None if batch.weights is None else np.repeat(batch.weights, self.values)
        masks = zip(*self.masks.split(batch), strict=True)
        return [Batch(prediction.reshape(-1), target.reshape(-1), weights) for prediction, target in masks]

    def end_pass(self) -> bool:
        """The scales were taken to be 1. Where they are not, the sums are wrong, and the scales are known now."""
        found = [
            {
                fold.name: float(safe_scale(np.float64(largest)))
                for fold, largest in zip(self.plan.definition.folds, group, strict=True)
                if fold.monoid is Monoid.SCALE
            }
            for group in self.largest
        ]
        weight_scale = self.weight_scale * self._scale_of_weights()
        if found == self.scales and weight_scale == self.weight_scale:
            return False
        self.scales, self.weight_scale = found, weight_scale
        self._start()
        return True

    def _scale_of_weights(self) -> float:
        """What brings the largest weight near 1 if it is extreme, and if nothing but ratios of weights counts."""
        usual = 2.0**-100 <= self.largest_weight <= 2.0**100
        if usual or self.settings.loss.origin or any(self.plan.numbers.get(name) for name in ("smooth", "eps")):
            return 1.0
        return float(power_of_two_scale(np.float64(self.largest_weight)))

    def _totals(self, group: int) -> dict[str, float]:
        names = [fold.name for fold in self.plan.definition.folds]
        totals = {name: total.value for name, total in zip(names, self.sums[group], strict=True)}
        totals |= self.scales[group]
        largest = zip(self.plan.definition.folds, self.largest[group], strict=True)
        totals |= {fold.name: number for fold, number in largest if fold.monoid is Monoid.MAX}
        totals["weight"] = self.weight.value * self.values
        return totals

    def result(self) -> LossResult:
        weight = self.weight.value / self.weight_scale
        self._refuse_endless(weight)
        definition, values, degenerate = self.plan.definition, [], 0
        for group in range(self.groups):
            values.append(self._finished(group, definition.function, definition.arguments()))
            if definition.degenerate:
                degenerate += bool(self._finished(group, definition.degenerate, argument_names(definition.degenerate)))
        value = math.fsum(values) / len(values)
        if not math.isfinite(value):
            raise self._overflow("the value")
        if degenerate:
            self.warnings.append(f"{self.settings.loss.name}: the data holds {self.plan.definition.degenerate_means}")
        return self._result(value=value, sum=math.nan, weight=weight, samples=self.rows, degenerate=degenerate)

    def _finished(self, group: int, function: Callable[..., Any], wanted: Sequence[str]) -> float:
        """What a function makes of the folds and the parameters that it asks for."""
        known = {**self.plan.numbers, **self._totals(group)}
        with np.errstate(all="ignore"):
            return float(function(**{name: np.float64(known[name]) for name in wanted}))

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        weights = self._scaled(weights)
        prepared = self._prepare(chunk, weights)
        batches = self._batches(prepared.batch)
        each: Any = np.float64(1.0) if weights is None else batches[0].weights
        scales = np.broadcast_to(each / self.groups, batches[0].rows)
        parts = [
            self.backend.gradient(self.group_plan, batch, scales, self._totals(group), of)
            for group, batch in enumerate(batches)
        ]
        if self.masks is None:
            return self._like(chunk[of], parts[0])
        shape = (self.groups, prepared.batch.rows, self.values)
        predictions = np.stack([batch.prediction for batch in batches]).reshape(shape)
        return self._like(chunk[of], self.masks.join(np.stack(parts).reshape(shape), predictions))
