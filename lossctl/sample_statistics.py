"""Statistics of the losses of single samples, streamed: how they are spread, and how sure that makes of their mean.

A mean is a ratio of two sums, A = sum(a) over B = sum(b): of weighted losses a = w*l, over shares b in the denominator.
Its standard error is that of a ratio of sums over n independent samples,

    sqrt(n / (n - 1) * sum((a - A/B * b)**2)) / B

(Cochran, Sampling Techniques, 1977, chapter 6). Without weights that is the usual s / sqrt(n); of a weighted mean,
where b = w, it is what Gatz and Smith (Atmospheric Environment 29, 1995) find closest to the bootstrap. A reduction to
a sum has sqrt(n) * s of its terms. The interval is Student's t with n - 1 degrees of freedom about the value.

Quantiles, minimum and maximum are of the losses themselves: each sample that has a weight counts once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import UsageError, visible
from lossctl.results import Statistics
from lossctl.values.preparation import Prepared
from lossctl_kernels.numerals import number_of
from lossctl_kernels.order_statistics import Quantiles
from lossctl_kernels.reduce import tree_sum

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

QUANTILES = (0.5, 0.9, 0.95, 0.99)

ROWS_A_PIECE = 1 << 16
"""Looked at together."""


def confidence_level(text: str | None) -> float | None:
    """ "0.95" or "95%" as a number between 0 and 1. Raises UsageError for another."""
    if text is None:
        return None
    number = text.strip()
    try:
        level = number_of(number.removesuffix("%")) / (100.0 if number.endswith("%") else 1.0)
    except ValueError:
        level = math.nan
    if not 0.0 < level < 1.0:
        raise UsageError(f"--confidence '{visible(text)}' is not between 0 and 1", hint="such as 0.95, or 95%")
    return level


class CountedRows(NamedTuple):
    """What the rows of a chunk count for.

    Those that are `present` have a loss and a weight, and those that are `counted` are among the samples that the error
    is of: None for all of them. `shares` is what each adds to the denominator, None for 1.
    """

    present: Mask | None
    counted: Mask | None
    shares: Floats | None


def counted_rows(losses: Floats, prepared: Prepared, denom: str) -> CountedRows:
    """That of rows with losses of shape (rows,), whose mean divides by what `denom` names."""
    weights, kept = prepared.batch.weights, prepared.batch.keep
    # A sample of weight 0 is absent, whatever its loss.
    there = None if weights is None or (weights > 0.0).all() else weights > 0.0
    present = kept if there is None else there if kept is None else kept & there
    shares = prepared.shares if denom == "weight" else None
    if denom == "nonzero":
        above = losses > 0.0
        shares = np.where(above if kept is None else kept & above, 1.0, 0.0)
    return CountedRows(present, {"count": None, "weight": present}.get(denom, kept), shares)


def standard_error(squares: float, count: int, divisor: float) -> float:
    """From the sum of the squares of what samples differ by; NaN of fewer than two, and where nothing is divided by."""
    if count < 2 or not divisor > 0.0:
        return math.nan
    # No rounding may make a variance negative.
    return math.sqrt(max(squares, 0.0) * (count / (count - 1))) / divisor


def interval_about(value: float, error: float, count: int, confidence: float | None) -> dict[str, float]:
    """`ci_low` and `ci_high` of a value with a standard error, of so many samples; nothing where no level is given."""
    if confidence is None:
        return {}
    half = math.nan
    if not math.isnan(error):
        from lossctl.student import student_quantile

        half = student_quantile(0.5 * (1.0 + confidence), count - 1) * error
    return {"ci_low": value - half, "ci_high": value + half}


class SampleStatistics:
    """Those of one loss: `add` every chunk in order, then `result`.

    `confidence` asks for an interval, None for none; `block_rows` are those of the blocks that sums are made of. Where
    `end_pass` says so, as it may of the quantiles of long streams, the same chunks have to come again.
    """

    def __init__(self, confidence: float | None, block_rows: int = 4096) -> None:
        self.confidence = confidence
        self.passes = 0
        self.positions: NDArray[np.int64] | None = None
        """Where in the files the rows that come next stand, None where there are no others."""
        self._block_rows = block_rows
        self._terms = _Spread(block_rows)
        self._quantiles = Quantiles(QUANTILES)
        self._low, self._high, self._argmax = math.inf, -math.inf, -1
        self._undefined = -1
        self._rows = self._chunk_rows = 0

    def add_rows(self, losses: Floats, prepared: Prepared, denom: str) -> None:
        """Adds the rows of a chunk, whose losses are of shape (rows,); `denom` is what their mean divides by."""
        rows = counted_rows(losses, prepared, denom)
        self.add(losses, prepared.batch.weights, rows.shares, rows.present, rows.counted)

    def add(
        self,
        losses: Floats,
        weights: Floats | None = None,
        shares: Floats | None = None,
        present: Mask | None = None,
        counted: Mask | None = None,
    ) -> None:
        """Adds the rows of a chunk, all of shape (rows,); weights and shares are 1 where they are not given.

        `shares`, `present` and `counted` are those of `CountedRows`; a row that is counted and not present has a loss
        of 0.
        """
        step = max(1, ROWS_A_PIECE // self._block_rows) * self._block_rows
        for start in range(0, losses.size, step):
            part = slice(start, start + step)
            self._add(
                losses[part],
                None if weights is None else weights[part],
                None if shares is None else shares[part],
                None if present is None else present[part],
                None if counted is None else counted[part],
            )
        self._chunk_rows = 0

    def _add(
        self, losses: Floats, weights: Floats | None, shares: Floats | None, present: Mask | None, counted: Mask | None
    ) -> None:
        """As `add`, of so few rows that all that is made of them stays in the cache."""
        values = losses if present is None else losses[present]
        undefined = np.isnan(values)
        if undefined.any():
            if self._undefined < 0:
                wrong = np.isnan(losses) if present is None else present & np.isnan(losses)
                self._undefined = self._row(int(np.argmax(wrong)))
            values = values[~undefined]
        self._quantiles.add(values)
        if self.passes:
            return
        if values.size:
            self._low = min(self._low, float(values.min()))
            high = float(values.max())
            if high > self._high or self._argmax < 0:
                self._high = high
                largest = losses == high if present is None else present & (losses == high)
                self._argmax = self._row(int(np.argmax(largest)))
        self._rows += losses.size
        self._chunk_rows += losses.size
        with np.errstate(over="ignore", invalid="ignore"):
            weighted = losses if weights is None else losses * weights
            self._terms.add(weighted if present is None else np.where(present, weighted, 0.0), shares, counted)

    def _row(self, row: int) -> int:
        """Where in the files a row of the piece at hand stands."""
        return self._rows + row if self.positions is None else int(self.positions[self._chunk_rows + row])

    def end_pass(self) -> bool:
        """Ends a pass: whether the chunks must come again, from the first one."""
        self.passes += 1
        return self._quantiles.end_pass()

    def result(self, value: float, denominator: float, reduction: str) -> Statistics | None:
        """What was found, about the value that was reported; NaN all of it where that of some sample is.

        None where no sample is present.
        """
        if max(self._argmax, self._undefined) < 0:
            return None
        error = self._error(value, denominator, reduction)
        undefined = self._undefined >= 0 or math.isnan(value)
        spread = [math.nan if undefined else number for number in (self._low, *self._quantiles.values.values())]
        low, p50, p90, p95, p99 = spread
        return Statistics(
            std_error=error,
            min=low,
            p50=p50,
            p95=p95,
            max=math.nan if undefined else self._high,
            argmax=self._undefined if self._undefined >= 0 else self._argmax,
            p90=p90,
            p99=p99,
            confidence=self.confidence,
            **interval_about(value, error, self._terms.count, self.confidence),
        )

    def _error(self, value: float, denominator: float, reduction: str) -> float:
        """NaN where it is not known: of fewer than two samples, and of losses that are not finite."""
        if not math.isfinite(value):
            return math.nan
        if reduction == "sum":
            return standard_error(self._terms.squares(0.0), self._terms.count, 1.0)
        return standard_error(self._terms.squares(value), self._terms.count, denominator)


class _Spread:
    """Means and centred products of pairs (a, b): blocks are merged in order, so that nothing large cancels.

    (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983.) Chunks are whole blocks but for the
    last one: the bits do not depend on them.
    """

    def __init__(self, block_rows: int) -> None:
        self._block_rows = block_rows
        self.count = 0
        self._means = (0.0, 0.0)
        self._products = (0.0, 0.0, 0.0)

    def add(self, a: Floats, b: Floats | None, counted: Mask | None) -> None:
        """Adds pairs, those that are `counted` alone where that is given; b is 1 where it is not."""
        if counted is not None or b is not None:
            counted = np.ones(a.size, np.bool_) if counted is None else counted
            a, b = np.where(counted, a, 0.0), np.where(counted, 1.0 if b is None else b, 0.0)
        rows = self._block_rows
        whole = a.size // rows * rows
        for part in (slice(0, whole), slice(whole, None)):
            if a[part].size:
                shape = (-1, min(rows, a[part].size))
                if b is None or counted is None:
                    self._add_plain_blocks(a[part].reshape(shape))
                else:
                    self._add_blocks(a[part].reshape(shape), b[part].reshape(shape), counted[part].reshape(shape))

    def _add_blocks(self, a: Floats, b: Floats, counted: Mask) -> None:
        counts = counted.sum(axis=1)
        divisors = np.maximum(counts, 1)
        mean_a, mean_b = tree_sum(a) / divisors, tree_sum(b) / divisors
        from_a = np.where(counted, a - mean_a[:, None], 0.0)
        from_b = np.where(counted, b - mean_b[:, None], 0.0)
        aa, ab, bb = (tree_sum(x * y) for x, y in ((from_a, from_a), (from_a, from_b), (from_b, from_b)))
        blocks = zip(*(each.tolist() for each in (counts, mean_a, mean_b, aa, ab, bb)), strict=True)
        for count, one, other, *products in blocks:
            self._merge(count, one, other, products)

    def _add_plain_blocks(self, a: Floats) -> None:
        """As `_add_blocks` of pairs (a, 1) that all count, to the bit."""
        count = a.shape[1]
        mean = tree_sum(a) / count
        from_mean = a - mean[:, None]
        np.multiply(from_mean, from_mean, out=from_mean)
        for one, squares in zip(mean.tolist(), tree_sum(from_mean).tolist(), strict=True):
            self._merge(count, one, 1.0, (squares, 0.0 * one, 0.0))  # NaN where the mean is not finite

    def _merge(self, count: int, mean_a: float, mean_b: float, products: Sequence[float]) -> None:
        if not count:
            return
        total = self.count + count
        step_a, step_b = mean_a - self._means[0], mean_b - self._means[1]
        share = self.count * (count / total)
        steps = (step_a * step_a, step_a * step_b, step_b * step_b)
        aa, ab, bb = (old + new + step * share for old, new, step in zip(self._products, products, steps, strict=True))
        self._products = aa, ab, bb
        self._means = self._means[0] + step_a * (count / total), self._means[1] + step_b * (count / total)
        self.count = total

    def squares(self, ratio: float) -> float:
        """The sum of the squares of a - ratio * b about its mean, which is 0 where `ratio` is that of the sums."""
        aa, ab, bb = self._products
        return aa - 2.0 * ratio * ab + ratio * ratio * bb
