"""What the numbers of an array look like: their range, and whether they are probabilities, logits or labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossctl.sources.base import Array
from lossctl_kernels.conversions import LARGEST_EXACT

_MOST_CLASSES = 100_000


@dataclass
class Measure:
    """What is known of an array after some chunks of it."""

    rows: int = 0
    total: int = 0
    values: int = 0
    missing: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    whole: bool = True
    sums_to_one: bool = True
    sums_to_hundred: bool = True
    exponentials_sum_to_one: bool = True
    one_hot: bool = True
    signs: bool = True
    two_dimensional: bool = False
    has_decimals: bool = False
    """Whether a chunk was of floats."""
    classes: set[int] = field(default_factory=set)

    def add(self, array: Array) -> None:
        self.rows += len(array)
        self.total += array.size
        self.has_decimals = self.has_decimals or array.dtype.kind == "f"
        numbers = array.astype(np.float64)
        present = numbers[~np.isnan(numbers)]
        self.missing += array.size - present.size
        self.values += present.size
        if not present.size:
            return
        self.lowest, self.highest = min(self.lowest, present.min()), max(self.highest, present.max())
        with np.errstate(invalid="ignore"):
            self.whole = self.whole and bool((np.isfinite(present) & (present == np.trunc(present))).all())
        self.signs = self.signs and bool((np.abs(present) == 1.0).all())
        if self.whole and len(self.classes) <= _MOST_CLASSES and np.abs(present).max() <= LARGEST_EXACT:
            self.classes.update(np.unique(present).astype(np.int64).tolist())
        if array.ndim > 1:
            self.two_dimensional = True
            self._add_rows(numbers.reshape(-1, array.shape[-1]), 1e-6 if array.dtype != np.float32 else 1e-3)

    def _add_rows(self, rows: Any, tolerance: float) -> None:
        with np.errstate(all="ignore"):
            sums = rows.sum(axis=1)
            self.sums_to_one = self.sums_to_one and bool((np.abs(sums - 1.0) <= tolerance).all())
            self.sums_to_hundred = self.sums_to_hundred and bool((np.abs(sums - 100.0) <= 100 * tolerance).all())
            exponentials = np.exp(np.minimum(rows, 1.0)).sum(axis=1)
            self.exponentials_sum_to_one = self.exponentials_sum_to_one and bool(
                (np.abs(exponentials - 1.0) <= tolerance).all()
            )
        self.one_hot = self.one_hot and bool(((rows == 1.0).sum(axis=1) == 1).all() and (sums == 1.0).all())

    def looks_like(self, dtype: str) -> str:
        """In words."""
        if not self.values:
            return "nothing: no values" if not self.total else "nothing: all NaN"
        if dtype == "bool":
            return "labels, true or false"
        return self._whole_numbers() if self.whole else self._decimals()

    def _whole_numbers(self) -> str:
        if self.signs and self.lowest < self.highest:
            return "labels, -1 and 1"
        if self.lowest >= 0 and self.highest <= 1:
            return "one-hot rows" if self.two_dimensional and self.one_hot else "labels, 0 and 1"
        first, last, count = int(self.lowest), int(self.highest), len(self.classes)
        if self.two_dimensional or count > _MOST_CLASSES or max(-first, last) > LARGEST_EXACT:
            return "whole numbers" + (", beyond 2**53" if max(-first, last) > LARGEST_EXACT else "")
        if count == self.values:
            return "whole numbers, each once: ids?"
        if first in (0, 1) and count == last - first + 1:
            return f"class indices, {first} to {last}" + ("" if first == 0 else ": count them from 0")
        return f"whole numbers, {count} different"

    def _decimals(self) -> str:
        if self.lowest >= 0 and self.highest <= 1:
            return "rows of probabilities" if self.two_dimensional and self.sums_to_one else "probabilities"
        if self.two_dimensional and self.highest <= 0 and self.exponentials_sum_to_one:
            return "rows of log-probabilities"
        if self.two_dimensional and self.lowest >= 0 and self.sums_to_hundred:
            return "rows of percentages: divide by 100"
        if self.lowest < 0 < self.highest:
            return "logits or scores" if self.two_dimensional else "real numbers, or logits"
        return "real numbers"
