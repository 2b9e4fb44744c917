"""A loss of the whole data set by slice: each slice has a run of its own, which is given the rows of the slice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError, visible
from lossctl.results import LossResult
from lossctl.runs.run import Run
from lossctl.slices.results import SliceResult
from lossctl.sources.base import Array

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation
    from lossctl.slices.codes import ChunkCodes

Floats = NDArray[np.float64]

MOST_POOLED = 1000
"""Slices of a loss that takes them one by one."""


class PooledSlices:
    """One loss, by every slicing: a run for each slice."""

    def __init__(self, run: Run, codes: ChunkCodes) -> None:
        self._run, self._codes = run, codes
        self._runs: list[dict[int, Run]] = [{} for _ in codes.slicings]

    def runs(self) -> list[Run]:
        """Those of all slices."""
        return [run for runs in self._runs for run in runs.values()]

    def add(
        self,
        evaluation: Evaluation,
        chunk: Mapping[str, Array],
        weights: Floats | None,
        only: Iterable[Run] | None,
    ) -> None:
        """Gives the rows of each slice to its run, or to those runs alone that are named."""
        chosen = None if only is None else {id(run) for run in only}
        for place, runs in enumerate(self._runs):
            codes, _ = self._codes.of(place)
            order = np.argsort(codes, kind="stable")
            found, starts = np.unique(codes[order], return_index=True)
            for code, rows in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
                run = runs.get(code) or self._started(place, code)
                if chosen is None or id(run) in chosen:
                    part = {
                        role: array if role in evaluation.feed.whole else array[rows] for role, array in chunk.items()
                    }
                    evaluation.consume(run, part, None if weights is None else weights[rows])

    def _started(self, place: int, code: int) -> Run:
        runs, run = self._runs[place], self._run
        if len(runs) == MOST_POOLED:
            by = visible(",".join(self._codes.slicings[place]))
            raise DataError(
                f"there are more than {MOST_POOLED} slices by {by}, and {run.settings.loss.name} takes them one by one",
                hint="name a coarser column, or a loss of single samples",
            )
        runs[code] = run.begun_anew()
        return runs[code]

    def result(
        self,
        place: int,
        code: int,
        key: tuple[str | None, ...],
        overall: LossResult,
        confidence: float | None,
    ) -> SliceResult:
        """What the run of one code found; NaN where its rows have no value."""
        try:
            found = self._runs[place][code].result()
        except DataError:
            rows = self._codes.rows(place).of(code)
            return SliceResult(key=key, value=math.nan, difference=math.nan, sum=math.nan, weight=0.0, samples=rows)
        return SliceResult(
            key=key,
            value=found.value,
            difference=found.value - overall.value,
            sum=found.sum,
            weight=found.weight,
            samples=found.samples,
            nonfinite=found.nonfinite,
        )
