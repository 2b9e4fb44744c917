"""A loss as a function of predictions alone, on data drawn for it: what a check differentiates and compares.

Losses of values and rows are functions of each row; of a loss of all the data, a row here is a data set of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.checks.points import draw, draw_input, draw_targets
from lossctl.errors import UsageError
from lossctl_kernels import Plan, Scope
from lossctl_kernels.batch import Backend, Batch
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.facts import Pooling
from lossctl_kernels.interpreted import Interpreter, combine, full
from lossctl_kernels.records import Record, replace
from lossctl_kernels.spec import InputShape

Floats = NDArray[np.float64]

VALUES, ROWS, DATA_SETS = 256, 48, 6
ROWS_OF_A_DATA_SET = 5


class Objective(Record, ABC):
    """A plan, and data for it: predictions of shape (rows,) or (rows, width), and what belongs to each row."""

    plan: Plan
    predictions: Floats
    targets: NDArray[Any]
    inputs: Mapping[str, NDArray[Any]]
    backend: Backend

    @property
    def width(self) -> int:
        return 1 if self.predictions.ndim == 1 else int(self.predictions.shape[1])

    @property
    def has_gradient(self) -> bool:
        return self.plan.definition.gradient is not None

    @abstractmethod
    def values(self, predictions: Floats) -> Floats:
        """The loss of each row, shape (rows,), of other predictions than those drawn."""

    @abstractmethod
    def gradient(self) -> Floats:
        """The derivative of each row's loss by each of its predictions, shape (rows, width)."""

    def on(self, backend: Backend) -> Objective:
        """The same on another backend."""
        return replace(self, backend=backend)

    def columns(self) -> Iterator[tuple[int, Floats]]:
        """The predictions of each place in a row, shape (rows,)."""
        yield from enumerate(self.predictions.reshape(len(self.predictions), -1).T)

    def values_along(self, column: int, numbers: Floats) -> Floats:
        """The losses with these numbers in place of one prediction of each row."""
        predictions = self.predictions.copy()
        predictions.reshape(len(predictions), -1)[:, column] = numbers
        return self.values(predictions)

    def largest(self) -> Floats:
        """The largest magnitude among each row's predictions and targets."""
        rows = len(self.predictions)
        both = (np.abs(each).reshape(rows, -1).max(axis=1) for each in (self.predictions, self.targets))
        return np.asarray(np.maximum(*both))

    def row(self, at: int) -> tuple[Any, Any, dict[str, Any]]:
        """Prediction, target and further inputs of a row, as Python numbers."""
        inputs = {name: array[at].tolist() for name, array in self.inputs.items()}
        return self.predictions[at].tolist(), self.targets[at].tolist(), inputs


class _OfRows(Objective):
    def values(self, predictions: Floats) -> Floats:
        return np.asarray(self.backend.losses(self.plan, self._batch(predictions), True)[1])

    def gradient(self) -> Floats:
        scales = np.full(len(self.predictions), 1.0 / self.plan.settings.value_divisor)
        found = self.backend.gradient(self.plan, self._batch(self.predictions), scales, {})
        return found.reshape(len(found), -1)

    def _batch(self, predictions: Floats) -> Batch:
        return Batch(np.ascontiguousarray(predictions), self.targets, inputs=self.inputs)


class _OfDataSets(Objective):
    """Moderate numbers: no fold over the data needs a scale."""

    def values(self, predictions: Floats) -> Floats:
        function, wanted = self.plan.definition.function, self.plan.definition.arguments()
        with np.errstate(all="ignore"):
            known: dict[str, Any] = {**self.plan.numbers, **self._totals(predictions)}
            found = function(**{name: known[name] for name in wanted})
        return np.array(np.broadcast_to(found, len(predictions)))

    def gradient(self) -> Floats:
        totals, found = self._totals(self.predictions), []
        for at, prediction in enumerate(self.predictions):
            batch = Batch(prediction.copy(), self.targets[at].copy())
            own = {name: float(total[at]) for name, total in totals.items()}
            found.append(self.backend.gradient(self.plan, batch, np.ones(batch.rows), own))
        return np.array(found)

    def _totals(self, predictions: Floats) -> dict[str, Floats]:
        """The folds over each of the data sets, and their weights. Interpreted it is one step for all of them."""
        sets, rows = predictions.shape
        scales, ones = dict.fromkeys(self.plan.scales, 1.0), np.ones(sets)
        if isinstance(self.backend, Interpreter):
            program = self.plan.folds
            environment = (predictions, self.targets, 0.0, 1.0, *self.plan.vector(program, scales))
            with np.errstate(all="ignore"):
                terms = [full(step.term(environment), predictions.shape) for step in program.steps]
            states = [combine(step.monoid, term) for step, term in zip(program.steps, terms, strict=True)]
        else:
            batch = Batch(predictions.reshape(-1), self.targets.reshape(-1))
            states = list(self.backend.folds(replace(self.plan, rows_a_block=rows), batch, scales)[1].T)
        totals = dict(zip((fold.name for fold in self.plan.definition.folds), states, strict=True))
        return {**totals, **dict.fromkeys(scales, ones), "weight": rows * ones}


def objective_of(plan: Plan, seed: int) -> Objective:
    """A loss on data of its own domain, the same for the same seed. Raises UsageError where none can be drawn."""
    loss, row_function = plan.settings.loss, plan.definition.row_function
    of_data = plan.scope is Scope.DATASET
    strange = plan.scope is Scope.PAIRS or (row_function is not None and row_function.dimensions != 2)
    strange |= any(each.shape is InputShape.WHOLE for each in loss.inputs.values() if not each.optional)
    strange |= loss.target_kind in (TargetKind.SEQUENCE, TargetKind.GROUP)
    if strange or loss.pooling is Pooling.BY_FREQUENCY or (of_data and loss.target_kind is not TargetKind.SAME):
        raise UsageError(
            f"{loss.name} cannot be checked: no data are drawn for its kind", hint="check losses of values or rows"
        )
    random = np.random.default_rng(seed)
    if of_data:
        shape: tuple[int, ...] = (DATA_SETS, ROWS_OF_A_DATA_SET)
    else:
        shape = (VALUES,) if plan.scope is Scope.ELEMENT else (ROWS, plan.width)
    predictions = draw(plan.prediction_domain, shape, random)
    if of_data:
        predictions = np.clip(predictions, -8.0, 8.0)
    targets = draw_targets(loss, predictions, random)
    drawn = {name: draw_input(facts, predictions, random) for name, facts in loss.inputs.items() if not facts.optional}
    inputs = {name: array for name, array in drawn.items() if array is not None}
    kind = _OfDataSets if of_data else _OfRows
    return kind(plan, predictions, targets, inputs, Interpreter())
