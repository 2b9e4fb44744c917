"""A loss of single samples by slice: what `SampleRun` and `SampleStatistics` sum of all rows, by the codes of each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossctl.results import LossResult
from lossctl.runs.run import Run
from lossctl.sample_statistics import counted_rows, interval_about, standard_error
from lossctl.slices.results import SliceResult
from lossctl.slices.sums import GroupCounts, GroupMoments, GroupSums, Ratio
from lossctl.values.preparation import Prepared

if TYPE_CHECKING:
    from lossctl.slices.codes import ChunkCodes

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


class _Rows(NamedTuple):
    """The rows of a chunk: weighted losses, 0 of those that are not there; what each adds to the denominator, None for
    1 or 0; which are samples, and which the error is of, None for all; which are not finite, None for none."""

    terms: Floats
    shares: Floats | None
    kept: Mask | None
    counted: Mask | None
    odd: Mask | None


def _rows_of(losses: Floats, prepared: Prepared, denom: str) -> _Rows:
    weights, kept = prepared.batch.weights, prepared.batch.keep
    rows = counted_rows(losses, prepared, denom)
    with np.errstate(over="ignore", invalid="ignore"):
        terms = losses if weights is None else losses * weights
    terms = terms if rows.present is None else np.where(rows.present, terms, 0.0)
    finite = np.isfinite(losses)
    odd = None if finite.all() else ~finite if kept is None else kept & ~finite
    return _Rows(terms, rows.shares, kept, rows.counted, odd)


class SampleSlices:
    """One loss, by every slicing: an observer of its run. `statistics` asks for standard errors."""

    def __init__(self, run: Run, codes: ChunkCodes, statistics: bool) -> None:
        self._run, self._codes = run, codes
        self._sums = [_SliceSums(statistics) for _ in codes.slicings]
        self._weighted = False

    def add_rows(self, losses: Floats, prepared: Prepared, denom: str) -> None:
        """Takes the losses of a chunk, shape (rows,)."""
        rows = _rows_of(losses, prepared, denom)
        self._weighted = self._weighted or rows.shares is not None
        for place, sums in enumerate(self._sums):
            sums.add(*self._codes.of(place), rows)

    def result(
        self, place: int, code: int, key: tuple[str | None, ...], overall: LossResult, confidence: float | None
    ) -> SliceResult:
        """What was found of one code."""
        sums = self._sums[place]
        fraction, value = self._divisor(place, code), math.nan
        divisor = fraction[0] / fraction[1]
        if self._codes.poisoned(place, code):
            total = math.nan
        else:
            total = sums.terms.of(code)
            if overall.reduction == "sum":
                value = total
            elif divisor:
                value = sums.terms.over(code, fraction)
            elif self._run.settings["empty"] == "zero":
                value = 0.0
        error = sums.error(code, value, divisor, overall.reduction)
        interval = {} if error is None else interval_about(value, error, sums.counted(code), confidence)
        return SliceResult(
            key=key,
            value=value,
            difference=value - overall.value,
            sum=total,
            weight=divisor,
            samples=sums.kept.of(code),
            nonfinite=sums.odd.of(code),
            std_error=error,
            **interval,
        )

    def _divisor(self, place: int, code: int) -> Ratio:
        """What the mean of a slice divides by: the `Denominator` of its rows."""
        denom, sums = self._run.settings["denom"], self._sums[place]
        if denom == "count":
            return self._codes.rows(place).of(code), 1
        if denom == "elements":
            return sums.kept.of(code) * self._run.plan.width, 1
        return sums.shares.ratio(code) if self._weighted else (sums.kept.of(code), 1)


class _SliceSums:
    """The sums of one loss by the codes of one slicing."""

    def __init__(self, statistics: bool) -> None:
        self.terms, self.shares = GroupSums(), GroupSums()
        self.kept, self.odd = GroupCounts(), GroupCounts()
        self._moments = GroupMoments() if statistics else None

    def add(self, codes: Codes, groups: int, rows: _Rows) -> None:
        self.terms.add(codes, rows.terms, groups)
        self.kept.add(codes, groups, rows.kept)
        if rows.odd is not None:
            self.odd.add(codes, groups, rows.odd)
        if rows.shares is not None:
            self.shares.add(codes, rows.shares, groups)
        if self._moments is not None:
            terms = rows.terms
            shares = np.ones(terms.size) if rows.shares is None else rows.shares
            if rows.counted is not None:
                codes, terms, shares = codes[rows.counted], terms[rows.counted], shares[rows.counted]
            self._moments.add(codes, terms, shares, groups)

    def counted(self, code: int) -> int:
        """The samples that the error is of."""
        return 0 if self._moments is None else self._moments.of(code, 0.0)[0]

    def error(self, code: int, value: float, divisor: float, reduction: str) -> float | None:
        """The standard error as `SampleStatistics` has it; None where nobody asked."""
        if self._moments is None:
            return None
        if not math.isfinite(value):
            return math.nan
        summed = reduction == "sum"
        count, squares = self._moments.of(code, 0.0 if summed else value)
        return standard_error(squares, count, 1.0 if summed else divisor)
