"""The `python` backend: the definitions as they are, run by NumPy on whole blocks. No compiler is imported.

For small inputs, where loading one costs more than the work, and as the oracle for the other backends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .batch import Array, Batch, Column, Floats, input_arrays
from .plan import Plan
from .program import Program, Step
from .reduce import tree_sum
from .reports import blocks, report, table, weighted
from .scales import safe_scale
from .spec import Monoid, Scope


class Interpreter:
    """See `batch.Backend`."""

    name = "python"

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        if plan.definition.row_function:
            from . import row_functions  # which few losses need

            return row_functions.losses(plan, batch, row_functions.interpret)
        losses = np.empty(batch.rows)
        reports = []
        for block in blocks(batch, plan.block_rows):
            values = block_losses(plan, block)
            reports.append(report(plan, block, values))
            losses[len(reports) * plan.block_rows - plan.block_rows :][: block.rows] = values
        return table(reports, len(Column)), losses

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        program, vector = plan.folds, plan.vector(plan.folds, scales)
        reports, states = [], []
        for block in blocks(batch, plan.block_rows):
            prediction, target = flat(block.prediction), flat(block.target)
            weights = None if block.weights is None else np.repeat(block.weights, plan.width)
            with np.errstate(all="ignore"):
                environment = (prediction, target, 0.0, 1.0, *vector)
                terms = [full(step.term(environment), prediction.shape) for step in program.steps]
                states.append(
                    [state(step.monoid, term, weights) for step, term in zip(program.steps, terms, strict=True)]
                )
            reports.append(report(plan, block, np.zeros(block.rows)))
        return table(reports, len(Column)), table(states, len(program.steps))

    def gradient(
        self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float], of: str = "prediction"
    ) -> Array:
        if plan.definition.row_function:
            from . import row_functions

            return row_functions.gradient(plan, batch, row_scales, row_functions.interpret, of)
        result = np.empty_like(batch.prediction)
        program = plan.gradient_program_of(of)
        vector, inputs = plan.vector(program, totals), input_arrays(plan, batch)
        for start in range(0, batch.rows, plan.block_rows):
            part = slice(start, start + plan.block_rows)
            data = batch.prediction[part], batch.target[part]
            with np.errstate(all="ignore"):
                gradient = evaluate(plan, program, *data, vector, [values[part] for values in inputs])
                scales = row_scales[part].reshape(-1, *[1] * (result.ndim - 1))
                result[part] = gradient.reshape(result[part].shape) * scales
        return result


def state(monoid: Monoid, terms: Floats, weights: Floats | None) -> Any:
    """One fold over a block of a data set; only sums are weighted."""
    if monoid is Monoid.SCALE:
        return np.abs(terms).max()
    return terms.max() if monoid is Monoid.MAX else tree_sum(weighted(terms, weights))


def flat(array: Array) -> Floats:
    """The values in one row, as float64."""
    return array.astype(np.float64).reshape(-1)


def full(values: Any, shape: tuple[int, ...]) -> Floats:
    """A definition that does not use its arguments gives one number: one for each place."""
    return np.broadcast_to(np.asarray(values, np.float64), shape)


def block_losses(plan: Plan, block: Batch) -> Floats:
    """One loss a row; NaN for rows that are not kept."""
    with np.errstate(all="ignore"):
        inputs = input_arrays(plan, block)
        values = evaluate(plan, plan.value, block.prediction, block.target, plan.vector(plan.value), inputs)
        losses = values if values.ndim == 1 else row_values(plan, values)
        losses = losses / plan.settings.value_divisor
    return losses if block.keep is None else np.where(block.keep, losses, np.nan)


def row_values(plan: Plan, values: Floats) -> Floats:
    """(rows, width) elementwise losses to one a row."""
    sums = tree_sum(values)
    return sums if plan.settings["row"] == "sum" else sums / plan.width


def evaluate(
    plan: Plan, program: Program, prediction: Array, target: Array, vector: Floats, inputs: Sequence[Array] = ()
) -> Floats:
    """The result of a program: (rows,) for a loss of rows, the shape of the prediction for an elementwise function."""
    further = [values.astype(np.float64) for values in inputs]
    if prediction.ndim > 1:
        further = [values[:, None] if values.ndim == 1 else values for values in further]
    if plan.scope is not Scope.ROW:
        of_column = plan.class_weights if plan.by_column else 1.0
        environment = (prediction.astype(np.float64), target.astype(np.float64), 0.0, of_column, *further, *vector)
        return np.array(full(program.finish(environment), prediction.shape))
    rows, width = prediction.shape
    index = np.arange(width, dtype=np.float64)
    dense = (target[:, None] == np.arange(width)).astype(np.float64) if plan.sparse else target.astype(np.float64)
    leading = (prediction.astype(np.float64), dense, index, plan.class_weights, *further)
    folds: tuple[Floats, ...] = ()
    for step in program.steps:
        if step.monoid is Monoid.ONCE:
            folds += (full(step.term((*leading, *vector, *folds)), (rows, 1)),)
        elif step.monoid is Monoid.TARGET_SUM and plan.at_target_only:
            picked = (
                np.take_along_axis(leading[0], target[:, None], axis=1),
                np.ones((rows, 1)),
                target[:, None].astype(np.float64),
                plan.class_weights[target][:, None],
                *(
                    np.take_along_axis(values, target[:, None], axis=1) if values.shape[1] > 1 else values
                    for values in further
                ),
            )
            picked_folds = (*picked, *vector, *folds)
            folds += (full(step.term(picked_folds), (rows, 1)),)
        else:
            folds += (row_fold(step, (*leading, *vector, *folds), rows, width),)
    result = program.finish((*leading, *vector, *folds))
    if program.kind == "value":
        return np.array(full(result, (rows, 1))[:, 0])
    return np.array(full(result, (rows, width)))


def row_fold(step: Step, environment: Sequence[Any], rows: int, width: int) -> Floats:
    """(rows, 1) results of one fold; 0 for rows that do not meet its condition, whose terms are not computed."""
    if step.when is None:
        return combine(step.monoid, full(step.term(tuple(environment)), (rows, width)))[:, None]
    wanted = np.flatnonzero(full(step.when(tuple(environment)), (rows, 1)))
    of_wanted = tuple(values[wanted] if np.ndim(values) == 2 else values for values in environment)
    results = np.zeros((rows, 1))
    results[wanted, 0] = combine(step.monoid, full(step.term(of_wanted), (wanted.size, width)))
    return results


def combine(monoid: Monoid, terms: Floats) -> Floats:
    """Over the last axis."""
    if monoid is Monoid.MAX:
        return np.asarray(terms.max(axis=-1))
    if monoid is Monoid.SCALE:
        return np.asarray(safe_scale(np.abs(terms).max(axis=-1)))
    return tree_sum(terms)
