"""Losses by slice, while the data streams by: in one pass, and in memory for the slices alone.

A loss of single samples is summed by the codes of its rows. A loss of the whole data set has, for each slice, a run of
its own that is given the rows of the slice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import UsageError
from lossctl.results import LossResult, is_gain
from lossctl.slices.codes import ChunkCodes
from lossctl.slices.inputs import check_column
from lossctl.slices.pools import PooledSlices
from lossctl.slices.results import SliceResult, SliceTable
from lossctl.slices.samples import SampleSlices
from lossctl.sources.base import SLICE_ROLE, Array
from lossctl_kernels import Scope
from lossctl_kernels.records import replace

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation
    from lossctl.slices.levels import Bins, Levels
    from lossctl.slices.slicing import Slicing

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class SliceWatch:
    """The slices of all losses of an evaluation, which it is given to before it runs.

    `encoders` are what made the codes of each column. `statistics` asks for standard errors, `confidence` for intervals
    at that level; `shown` is how many slices of each table people are to see.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        slicing: Slicing,
        encoders: Mapping[str, Levels | Bins],
        *,
        statistics: bool = False,
        confidence: float | None = None,
        shown: int | None = None,
    ) -> None:
        for role, info in evaluation.feed.arrays.items():
            if role.startswith(SLICE_ROLE):
                check_column(info)
        self._slicing, self._shown, self._confidence = slicing, shown, confidence
        self._codes = ChunkCodes(slicing, encoders)
        self._samples: dict[int, SampleSlices] = {}
        self._pooled: dict[int, PooledSlices] = {}
        for position, run in enumerate(evaluation.runs):
            if run.has_samples:
                self._samples[position] = SampleSlices(run, self._codes, statistics)
                run.observers.append(self._samples[position])
            elif run.plan.scope is Scope.PAIRS:
                raise UsageError(
                    f"{run.settings.loss.name} is of all pairs of rows: it has no slices", hint="evaluate each alone"
                )
            else:
                self._pooled[position] = PooledSlices(run, self._codes)
        evaluation.watchers.append(self)

    def begin(self, positions: Rows | None, chunk: Mapping[str, Array]) -> None:
        """Looks at a chunk before the losses do."""
        self._codes.look(chunk)
        self._codes.count()

    def end(self, evaluation: Evaluation, chunk: Mapping[str, Array], weights: Floats | None) -> None:
        """Looks at it once more after them."""
        for pooled in self._pooled.values():
            pooled.add(evaluation, chunk, weights, None)
        given = chunk.get("weights")
        if given is not None and not (finite := np.isfinite(given.reshape(-1))).all():
            self._codes.poison(~finite)

    def finish(self, evaluation: Evaluation) -> None:
        """Passes over the data once more where a slice of a loss needs it."""
        waiting = [run for pooled in self._pooled.values() for run in pooled.runs()]
        while waiting := [run for run in waiting if run.end_pass()]:
            for run in waiting:
                run.poisoned = 0
            for chunk, weights in evaluation.again():
                self._codes.look(chunk)
                for pooled in self._pooled.values():
                    pooled.add(evaluation, chunk, weights, waiting)

    def added(self, position: int, result: LossResult) -> LossResult:
        """The result of a loss with its slices."""
        tables = tuple(self._table(place, position, result) for place in range(len(self._slicing.slicings)))
        return replace(result, slices=tables)

    def _table(self, place: int, position: int, overall: LossResult) -> SliceTable:
        kind = self._samples.get(position) or self._pooled[position]
        found = [
            kind.result(place, code, key, overall, self._confidence)
            for code, key in enumerate(self._codes.keys(place))
            if self._codes.rows(place).of(code)
        ]
        large = [each for each in found if each.samples >= self._slicing.least]
        return SliceTable(
            by=self._slicing.slicings[place],
            slices=tuple(sorted(large, key=lambda each: _badness(each, is_gain(overall.options)))),
            least=self._slicing.least,
            small=len(found) - len(large),
            small_samples=sum(each.samples for each in found) - sum(each.samples for each in large),
            confidence=self._confidence if position in self._samples else None,
            shown=self._shown,
        )


def _badness(found: SliceResult, gain: bool) -> tuple[bool, float, tuple[str, ...]]:
    """What is sorted by: NaN first, then the worst; of equal ones by what they are called."""
    undefined = math.isnan(found.value)
    value = 0.0 if undefined else found.value if gain else -found.value
    return not undefined, value, tuple("" if part is None else part for part in found.key)
