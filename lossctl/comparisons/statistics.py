"""What is kept of the rows of one loss under several systems, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.comparisons.groups import ResamplingSums
from lossctl.comparisons.ranks import holm, letters, ranks, wilcoxon_p
from lossctl.comparisons.resampling import (
    ConfidenceInterval,
    bootstrap,
    bootstrap_p,
    interval,
    margin_p,
    permutation_p,
    sign_flips,
)
from lossctl.comparisons.results import Inference, LossComparison, Pair, System
from lossctl.errors import DataError, EnvironmentFault, UsageError
from lossctl.memory import available_bytes, spelled_bytes
from lossctl.results import LossResult
from lossctl.runs.run import Run

Floats = NDArray[np.float64]

MOST_RANKED = 45
"""Pairs whose differences are kept for the signed-rank test: those of ten systems."""


class PairedRows:
    """One loss, a run for each system. `add` takes rows, `result` comes at the end.

    Every value is a quotient of sums over rows times a factor: of weighted losses, and of what the mean divides by.
    """

    def __init__(self, runs: Sequence[Run], weighted: bool, inference: Inference) -> None:
        self._runs, self._inference = runs, inference
        self._settings, self._reduction = runs[0].settings, runs[0].reduction
        self._count = len(runs)
        self._pairs = list(combinations(range(self._count), 2))
        # Where rows without a loss do not count, what the mean divides by is another for each system.
        self._own_shares = self._settings["denom"] == "nonzero" and self._reduction == "mean"
        self._sums = ResamplingSums(self._count + (self._count if self._own_shares else 1), inference.seed)
        self._wins = np.zeros((len(self._pairs), 2), np.int64)
        self._kept = 0
        self._differences: list[Floats] | None = None
        if "wilcoxon" in inference.tests:
            if weighted:
                raise UsageError("the signed-rank test takes no weights", hint="--test bootstrap,permutation")
            if len(self._pairs) > MOST_RANKED:
                raise UsageError(
                    f"wilcoxon keeps the rows of each pair, and of {self._count} systems there are too many",
                    hint="--test bootstrap,permutation, or compare up to 10 systems",
                )
            self._differences = []

    def add(self, losses: Floats, shares: Floats, weights: Floats | None) -> None:
        """Takes the next rows: losses of shape (systems, rows), and what each row counts in a weighted mean."""
        each = np.ones(len(shares)) if weights is None else weights
        present = (shares > 0.0) & (each > 0.0)
        numbers = np.where(present, losses, 0.0) * np.where(present, each, 0.0)
        self._sums.add(np.vstack([numbers, self._divided_by(losses, shares)]))
        kept = losses if present.all() else losses[:, present]
        self._kept += kept.shape[1]
        for position, (first, second) in enumerate(self._pairs):
            self._wins[position, 0] += np.count_nonzero(kept[second] < kept[first])
            self._wins[position, 1] += np.count_nonzero(kept[second] > kept[first])
        if self._differences is not None:
            self._hold(np.stack([kept[second] - kept[first] for first, second in self._pairs]))

    def _divided_by(self, losses: Floats, shares: Floats) -> Floats:
        """What each row adds to the number that the mean divides by: shape (systems or 1, rows)."""
        denom = self._settings["denom"]
        if self._reduction == "sum" or denom == "count":
            return np.ones((1, len(shares)))
        if self._own_shares:
            return ((losses > 0.0) & (shares > 0.0)).astype(np.float64)
        return (shares if denom == "weight" else shares > 0.0).astype(np.float64)[None]

    def _hold(self, differences: Floats) -> None:
        room = available_bytes()
        if room is not None and 4 * differences.nbytes > room:
            raise EnvironmentFault(
                f"out of memory: the signed-rank test holds every difference, and {spelled_bytes(room)} are available",
                hint="--test bootstrap,permutation, which hold none",
            )
        if self._differences is not None:
            self._differences.append(differences)

    # ---- at the end

    def result(self, names: Sequence[str]) -> LossComparison:
        """The comparison. Raises DataError where a system has no finite value."""
        found = [run.result() for run in self._runs]
        for result, run in zip(found, self._runs, strict=True):
            if result.status != "ok":
                raise DataError(
                    f"{run.paths['prediction']}: {result.loss} is {result.value:g}: there is nothing to compare",
                    hint="every row is ignored or has no weight" if math.isnan(result.value) else "rescale the data",
                )
        drawn = self._values(bootstrap(self._sums.sums, self._inference.resamples, self._inference.seed))
        pairs = self._judged(found, names, drawn)
        values = [result.value for result in found]
        different = [place for place, pair in zip(self._pairs, pairs, strict=True) if pair.is_decided]
        order = sorted(range(self._count), key=lambda system: values[system])
        letter = letters(order, different)
        rank = ranks(values)
        return LossComparison(
            loss=found[0].loss,
            options=found[0].options,
            reduction=self._reduction,
            unit=found[0].unit,
            samples=found[0].samples,
            systems=tuple(System(names[i], values[i], rank[i], letter[i]) for i in range(self._count)),
            pairs=tuple(pairs),
            signature=f"{found[0].signature}|{self._inference.signature}",
        )

    def _values(self, sums: Floats) -> Floats:
        """The values of all systems, (systems, …), from sums of all columns, (columns, …)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[: self._count] / sums[self._count :] * self._factor)

    @property
    def _factor(self) -> float:
        if self._reduction == "sum":
            return float(self._sums.rows)
        return 1.0 / self._runs[0].plan.width if self._settings["denom"] == "elements" else 1.0

    def _judged(self, found: Sequence[LossResult], names: Sequence[str], drawn: Floats) -> list[Pair]:
        """Every pair, with p-values corrected for how many there are."""
        sums = self._sums.sums
        values = self._values(sums.sum(axis=1))
        left_out = self._values(sums.sum(axis=1, keepdims=True) - sums)
        permuted = self._permuted(sums) if "permutation" in self._inference.tests else None
        observed = [float(values[second] - values[first]) for first, second in self._pairs]
        p: dict[str, list[float]] = {test: [] for test in self._inference.tests}
        margins, intervals = [], []
        for position, (first, second) in enumerate(self._pairs):
            difference = drawn[second] - drawn[first]
            intervals.append(
                interval(observed[position], difference, left_out[second] - left_out[first], self._inference.confidence)
            )
            if "bootstrap" in p:
                p["bootstrap"].append(bootstrap_p(observed[position], difference))
            if permuted is not None:
                p["permutation"].append(permutation_p(observed[position], permuted[0][position], permuted[1]))
            if self._differences is not None:
                p["wilcoxon"].append(wilcoxon_p(np.concatenate([part[position] for part in self._differences])))
            if self._inference.margin is not None:
                size = self._inference.margin.beside(found[first].value)
                margins.append((size, *margin_p(observed[position], difference, size)))
        return self._pairs_of(found, names, intervals, p, margins)

    def _permuted(self, sums: Floats) -> tuple[Floats, bool]:
        """Differences of every pair where rows change places between its systems: (pairs, resamples)."""
        count = self._count
        columns = [sums[second] - sums[first] for first, second in self._pairs]
        if self._own_shares:
            columns += [sums[count + second] - sums[count + first] for first, second in self._pairs]
        moved, all_of_them = sign_flips(np.stack(columns), self._inference.resamples, self._inference.seed)
        totals = sums.sum(axis=1)
        found = np.empty((len(self._pairs), moved.shape[1]))
        for position, (first, second) in enumerate(self._pairs):
            shares = moved[len(self._pairs) + position] if self._own_shares else 0.0
            below = [totals[count + system] if self._own_shares else totals[count] for system in (first, second)]
            with np.errstate(divide="ignore", invalid="ignore"):
                swapped_first = (totals[first] + moved[position]) / (below[0] + shares)
                swapped_second = (totals[second] - moved[position]) / (below[1] - shares)
            found[position] = (swapped_second - swapped_first) * self._factor
        return found, all_of_them

    def _pairs_of(
        self,
        found: Sequence[LossResult],
        names: Sequence[str],
        intervals: Sequence[ConfidenceInterval],
        p: dict[str, list[float]],
        margins: Sequence[tuple[float, float, float]],
    ) -> list[Pair]:
        level = 1.0 - self._inference.confidence
        adjusted = {test: holm(values) for test, values in p.items()}
        limits = _limits(margins, level) if margins else [{} for _ in self._pairs]
        pairs = []
        for position, (first, second) in enumerate(self._pairs):
            difference = found[second].value - found[first].value
            base = abs(found[first].value)
            wins, losses = (int(count) for count in self._wins[position])
            told_apart = adjusted[self._inference.tests[0]][position] <= level
            pairs.append(
                Pair(
                    first=names[first],
                    second=names[second],
                    difference=difference,
                    relative=difference / base if base else math.nan,
                    low=intervals[position].low,
                    high=intervals[position].high,
                    p={test: values[position] for test, values in p.items()},
                    adjusted={test: values[position] for test, values in adjusted.items()},
                    wins=wins,
                    losses=losses,
                    ties=self._kept - wins - losses,
                    verdict=("better" if difference < 0.0 else "worse") if told_apart else "undecided",
                    **limits[position],
                )
            )
        return pairs


def _limits(margins: Sequence[tuple[float, float, float]], level: float) -> list[dict[str, Any]]:
    """What is known of each pair beside its margin, from (margin, p of being above it, p of being below it)."""
    equivalence = holm([max(above, below) for _, above, below in margins])
    non_inferiority = holm([below for _, _, below in margins])
    return [
        {
            "margin": margin,
            "p_equivalence": of_both,
            "equivalent": of_both <= level,
            "p_non_inferiority": of_one,
            "non_inferior": of_one <= level,
        }
        for (margin, _, _), of_both, of_one in zip(margins, equivalence, non_inferiority, strict=True)
    ]
