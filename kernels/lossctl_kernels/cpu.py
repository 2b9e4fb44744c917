"""The `cpu` backend: compiled block functions, run by threads. See `roads.py` for where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .addresses import contiguous_address
from .batch import Array, Batch, Column, Floats, input_arrays
from .domains import Domain
from .plan import Plan
from .processors import usable_processors
from .program import Program
from .recipes import ACROSS_WIDTH, EXTREMES, SUM, Recipe, is_flat, recipe_of
from .records import Record, replace
from .reduce import LOOKED_AT_ONE_IN, rows_looked_at_first
from .roads import block_function
from .row_cpu import run_on_threads
from .row_functions import gradient as row_gradient
from .row_functions import losses as row_losses
from .spans import SMALLEST_SPAN
from .spec import Scope

_NOTHING: Floats = np.empty(0)
_NOWHERE = 0, 0
_COLUMNS = len(Column)
_FACTS = ("facts",)


def bounds_of(domain: Domain, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The bounds as numbers of the dtype that is compared: the largest float32 stands for the largest float64."""
    low, high = domain.bounds(dtype.name)
    if dtype == np.float32:
        largest = float(np.finfo(np.float32).max)
        low = max(low, -largest) if np.isfinite(low) else low
        high = min(high, largest)
    return low, high


class Cpu:
    """See `batch.Backend`. `threads` is how many to use; None is as many as this process may."""

    name = "cpu"

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or usable_processors()
        self._run_rows = partial(run_on_threads, threads=self.threads)

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        """Not `wanted` losses come back empty; what the report says of each loss may then be left out of it."""
        facts = _facts_of(plan)
        described = wanted or batch.keep is not None or facts.counts_positive
        if facts.is_row_function:
            return row_losses(plan, batch, self._run_rows, True, described)
        losses = _NOTHING
        if not described:
            reports = self._sums(plan, batch)
            described = not is_finite(reports[:, Column.SUM])
        if described:
            reports, losses = self._losses_and_sums(plan, batch)
        if facts.divisor != 1.0:
            with np.errstate(all="ignore"):
                reports[:, Column.SUM] /= facts.divisor
                losses /= facts.divisor
        if described:
            self._describe(plan, batch, losses, reports)
        return reports, losses if wanted else _NOTHING

    def _losses_and_sums(self, plan: Plan, batch: Batch) -> tuple[Floats, Floats]:
        """(report with the sum of each block, losses), undivided."""
        losses = np.empty(batch.rows)
        reports = self._reports(plan, plan.value, batch, losses)
        if batch.keep is not None:
            reports[:, Column.SUM] = self._block_sums(plan, batch, losses, batch.keep)
        elif (factored := self._factored(plan, batch)) is not None:
            _prefer(self._reports(plan, factored, batch), reports)
        return reports, losses

    def _sums(self, plan: Plan, batch: Batch) -> Floats:
        """The report with the sum of each block, undivided, as it is when the losses are asked for as well."""
        factored = self._factored(plan, batch)
        if factored is None:
            return self._reports(plan, plan.value, batch)
        sums = self._reports(plan, factored, batch)
        if is_finite(sums[:, Column.SUM]):
            return sums
        reports = self._reports(plan, plan.value, batch)
        _prefer(sums, reports)
        return reports

    def _factored(self, plan: Plan, batch: Batch) -> Program | None:
        """The program whose sums are taken where they hold: NaN says where they do not. See `products.py`."""
        return _facts_of(plan).factored if batch.weights is None else None

    def _reports(self, plan: Plan, program: Program, batch: Batch, losses: Floats | None = None) -> Floats:
        """What a program reports on each block; its sum is not there where rows are left out.

        The losses are stored where there is a place for them.
        """
        reports = np.zeros((-(-batch.rows // plan.block_rows), _COLUMNS))
        weights = batch.weights if batch.keep is None else None
        self._run(_call_of(plan, program, batch), plan, batch, scales=weights, result=losses, reports=reports)
        return reports

    def _block_sums(self, plan: Plan, batch: Batch, losses: Floats, keep: NDArray[np.bool_]) -> Floats:
        """The weighted sum of each block of losses, without those that are left out."""
        losses = np.where(keep, losses, 0.0)
        weights = None if batch.weights is None else np.where(keep, batch.weights, 0.0)
        sums = np.empty((-(-batch.rows // plan.block_rows), 1))
        self._run(_SUM, plan, Batch(losses, losses), scales=weights, states=sums)
        return sums[:, 0]

    def _describe(self, plan: Plan, batch: Batch, losses: Floats, reports: Floats) -> None:
        """Fills the columns of the report that come from each loss; those of rows that are left out become NaN."""
        if batch.keep is not None:
            losses[~batch.keep] = np.nan
        self._run(_EXTREMES, plan, Batch(losses, losses), reports=reports)
        if batch.keep is not None:
            starts = np.arange(0, batch.rows, plan.block_rows)
            reports[:, Column.NONFINITE] -= np.add.reduceat(~batch.keep, starts, dtype=np.int64)

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        blocks = -(-batch.rows // plan.block_rows)
        states, reports = np.zeros((blocks, len(plan.folds.steps))), np.zeros((blocks, _COLUMNS))
        weights = None if batch.weights is None else np.repeat(batch.weights, plan.width)
        self._run(
            _call_of(plan, plan.folds, batch, scales), plan, batch, scales=weights, states=states, reports=reports
        )
        return reports, states

    def gradient(
        self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float], of: str = "prediction"
    ) -> Array:
        """One scale for all rows is read once if it comes as `numpy.broadcast_to(scale, rows)`."""
        if plan.definition.row_function:
            return row_gradient(plan, batch, row_scales, self._run_rows, of)
        result, program = np.empty_like(batch.prediction), plan.gradient_program_of(of)
        repeated = plan.width if is_flat(plan) else 1
        one_scale = row_scales.strides == (0,)
        if one_scale:
            row_scales = np.full(plan.block_rows * repeated, row_scales[0])
        elif repeated > 1:
            row_scales = np.repeat(row_scales, repeated)
        call = _call_of(plan, program, batch, totals)
        # Nothing is summed: where a block is much work, several threads may share it.
        block = min(plan.block_rows, -(-SMALLEST_SPAN // plan.width))
        self._run(call, plan, batch, scales=row_scales, one_scale=one_scale, result=result, block=block)
        return result

    def _run(
        self,
        call: _Call,
        plan: Plan,
        batch: Batch,
        *,
        scales: Floats | None = None,
        one_scale: bool = False,
        result: Array | None = None,
        states: Floats | None = None,
        reports: Floats | None = None,
        block: int | None = None,
    ) -> None:
        """Runs a block function over the batch, in blocks of so many rows or of those that the plan says.

        `result` and `scales` go by rows, as further inputs do, `states` and `reports` by blocks.
        """
        width = plan.width if batch.prediction.ndim > 1 else 1
        rows, block = batch.rows, block or plan.block_rows
        scales = None if scales is None else np.ascontiguousarray(scales)
        scale_rows = 0 if scales is None or one_scale else block * (scales.size // rows)
        inputs = input_arrays(plan, batch) if call.takes_inputs else ()
        places = [
            *place(batch.prediction, block),
            *place(batch.target, block),
            *call.places,
            *place(scales, scale_rows),
            *(place(result, block) if states is None else place(states, 1)),
            *place(reports, 1),
        ]
        for values in inputs:
            places += place(values, block)
        arrays = (batch, call, scales, result, states, reports, inputs)
        block_function(call.recipe)(rows, width, block, np.array(places, np.int64), self.threads, arrays)


class _Call(Record):
    """What a block function is given with every batch: put together once, since a small batch takes no longer.

    `bounds` are those of predictions and targets, the tolerances of their row sums, and how many rows are looked at
    whole: one row of them for all blocks, or one for each. `takes_inputs`: whether it reads further inputs.
    """

    recipe: Recipe
    class_weights: Floats
    numbers: Floats
    bounds: Floats
    takes_inputs: bool = False

    @cached_property
    def places(self) -> tuple[int, ...]:
        by_block = place(self.bounds, 1 if len(self.bounds) > 1 else 0)
        return *place(self.class_weights, 0), *place(self.numbers, 0), *by_block


class _Facts(Record):
    """What is asked about a plan with every batch, worked out once as well.

    `factored` is the program whose sums are those of losses without weights, if there is one; `counts_positive`:
    whether the mean is over the losses above 0; `divisor` is what sums and losses are divided by; `rows_looked_at`: of
    the first rows and of each block, how many are looked at whole; None where all are.
    """

    is_row_function: bool
    factored: Program | None
    counts_positive: bool
    divisor: float
    rows_looked_at: tuple[int, int] | None


def _facts_of(plan: Plan) -> _Facts:
    facts: _Facts | None = plan.memory.get(_FACTS)
    if facts is None:
        settings, is_row_function = plan.settings, plan.definition.row_function is not None
        divisor = settings.value_divisor
        if plan.scope is Scope.ELEMENT and settings["row"] == "mean":
            divisor *= plan.width
        factored = plan.factored if is_flat(plan) and not is_row_function else None
        looked_at = None
        if plan.at_target_only and plan.width > ACROSS_WIDTH:
            looked_at = rows_looked_at_first(plan.width), -(-plan.block_rows // LOOKED_AT_ONE_IN)
        facts = _Facts(is_row_function, factored, settings["denom"] == "nonzero", divisor, looked_at)
        plan.memory[_FACTS] = facts
    return facts


_SUM, _EXTREMES = (_Call(recipe, _NOTHING, _NOTHING, _NOTHING) for recipe in (SUM, EXTREMES))


def _call_of(plan: Plan, program: Program, batch: Batch, more: Mapping[str, float] | None = None) -> _Call:
    """The call of a program; `more` are numbers that are known only after a pass over the data."""
    prediction, target = batch.prediction.dtype, batch.target.dtype
    first, fewest = _facts_of(plan).rows_looked_at or (0, plan.block_rows)
    left = max(0, first - batch.first_row) if program.kind == "value" else 0
    blocks = -(-batch.rows // plan.block_rows) if left else 1
    key = program.kind, program.key, prediction.char, target.char, left, blocks, bool(more)
    call: _Call | None = plan.memory.get(key)
    if call is None:
        numbers = _NOTHING if more else plan.vector(program)
        bounds = np.empty((blocks, 7))
        bounds[:, :4] = *bounds_of(plan.prediction_domain, prediction), *bounds_of(plan.settings.loss.target, target)
        bounds[:, 4:6] = plan.tolerance
        bounds[:, 6] = np.clip(left - plan.block_rows * np.arange(blocks), fewest, plan.block_rows)
        recipe = recipe_of(plan, program, prediction.name)
        call = _Call(recipe, plan.class_weights, numbers, bounds, bool(program.inputs))
        plan.memory[key] = call
    return replace(call, numbers=plan.vector(program, more)) if more else call


def is_finite(sums: Floats) -> bool:
    """Whether they add up to a finite number, as they do not where one of them is infinite or NaN."""
    # Plain Python: NumPy would warn.
    return math.isfinite(sum(sums.tolist()))


def _prefer(factored: Floats, reports: Floats) -> None:
    """Takes over the sums of the factored form, where they hold."""
    sums = factored[:, Column.SUM]
    reports[:, Column.SUM] = np.where(np.isnan(sums), reports[:, Column.SUM], sums)


def place(array: Array | None, rows: int) -> tuple[int, int]:
    """(address, how many bytes so many rows are); 0 where there is no array."""
    return _NOWHERE if array is None else (contiguous_address(array), rows * array.strides[0])
