"""This project's side of the kernel benchmark: what the tool does with one batch of arrays, without reading them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from lossctl.backends import choose
from lossctl.catalogue.typical_data import Data
from lossctl_kernels import Plan, Scope, Settings
from lossctl_kernels.batch import Backend, Batch, Column
from lossctl_kernels.row_functions import shares
from lossctl_kernels.scales import safe_scale
from lossctl_kernels.selection import Medians
from lossctl_kernels.spec import Monoid, Pooling


class Engine:
    """One loss on arrays of one shape, compiled unless another `backend` is given; `threads` None is all there are."""

    def __init__(
        self, settings: Settings, data: Data, threads: int | None = None, backend: Backend | None = None
    ) -> None:
        self.plan = Plan(settings, data.width, data.prediction.dtype.name)
        self.backend = backend or choose("cpu", data.prediction.size, threads)

    def value(self, data: Data) -> Callable[[], float]:
        """A task that gives the mean loss of the rows, or the loss of all of them."""
        if self.plan.scope is Scope.DATASET:
            return lambda: self._finish(self._totals(_batch(data)))
        batch = _batch(data)
        if self.plan.settings.loss.pooling is Pooling.MEDIAN:
            return lambda: self._median(batch)
        rows = self._denominator(batch)
        return lambda: math.fsum(self.backend.losses(self.plan, batch, False)[0][:, Column.SUM].tolist()) / rows

    def gradient(self, data: Data) -> Callable[[], Any] | None:
        """A task that gives the gradient of what `value` gives; None for a loss that has none."""
        if self.plan.definition.gradient is None:
            return None
        batch, whole = _batch(data), self.plan.scope is Scope.DATASET
        totals = self._totals(batch) if whole else {}
        scales = np.broadcast_to(1.0 if whole else 1.0 / self._denominator(batch), batch.rows)
        return lambda: self.backend.gradient(self.plan, batch, scales, totals)

    def _median(self, batch: Batch) -> float:
        medians = Medians(1)
        more = True
        while more:
            losses = self.backend.losses(self.plan, batch, True)[1]
            medians.add(losses.reshape(-1, 1), None)
            more = medians.end_pass()
        return float(medians.values[0])

    def _denominator(self, batch: Batch) -> float:
        """Of the mean: the rows, or what each of them has a share in."""
        each = shares(self.plan, batch) if self.plan.scope is Scope.PAIRS else None
        return batch.rows if each is None else float(each.sum())

    def _totals(self, batch: Batch) -> dict[str, float]:
        """The folds over the data set, whose magnitudes are not extreme here."""
        states = self.backend.folds(self.plan, batch, dict.fromkeys(self.plan.scales, 1.0))[1]
        totals = {"weight": float(batch.rows)}
        for fold, column in zip(self.plan.definition.folds, states.T, strict=True):
            if fold.monoid is Monoid.SCALE:
                totals[fold.name] = float(safe_scale(column.max()))
            else:
                totals[fold.name] = float(column.max() if fold.monoid is Monoid.MAX else column.sum())
        return totals

    def _finish(self, totals: dict[str, float]) -> float:
        known = {**self.plan.numbers, **totals}
        definition = self.plan.definition
        return float(definition.function(**{name: known[name] for name in definition.arguments()}))


def _batch(data: Data) -> Batch:
    return Batch(data.prediction, data.target, inputs=data.inputs)
