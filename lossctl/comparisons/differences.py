"""Two files of predictions against each other, value by value, in one pass and bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import DataError
from lossctl.rows.feed import Feed
from lossctl.sources import ArrayInfo
from lossctl.sources.base import Array
from lossctl.values.preparation import row_shapes

SCHEMA = "lossctl.difference/1"

QUANTILES = (0.5, 0.9, 0.99, 0.999)
CHUNK_VALUES = 1 << 20

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tolerance:
    """How far two values may be apart: atol + rtol times the size of the first."""

    atol: float = 0.0
    rtol: float = 0.0


@dataclass(frozen=True)
class Place:
    """A value: how large what was looked for is there, where it stands in the first file, and what both files hold."""

    size: float
    row: int
    column: int | None
    first: float
    second: float

    def to_document(self) -> dict[str, Any]:
        """The `largest` and `largest_relative` of the document."""
        numbers = {"size": self.size, "first": self.first, "second": self.second}
        document: dict[str, Any] = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return document | {"row": self.row, "column": self.column}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What two files of predictions have in common and what not.

    `different` counts values that are not equal (two NaN are), `beyond` those that are further apart than the
    tolerance, in `rows_beyond` rows. `quantiles` are those of the sizes of all differences between numbers, within half
    a percent; `largest` and `largest_relative` the worst values, None where all are equal. `same_argmax` counts the
    rows whose largest value is in the same column, None where rows have one value. Infinities of one sign are equal.
    """

    arrays: tuple[ArrayInfo, ArrayInfo]
    rows: int
    values: int
    different: int
    beyond: int
    rows_beyond: int
    largest: Place | None
    largest_relative: Place | None
    quantiles: dict[float, float]
    nan_both: int
    nan_first: int
    nan_second: int
    same_argmax: int | None
    tolerance: Tolerance

    def to_document(self) -> dict[str, Any]:
        """JSON types only, every number finite."""
        return {
            "schema": SCHEMA,
            "inputs": [
                {"path": info.path, "format": info.format, "shape": [self.rows, *info.shape[1:]], "dtype": info.dtype}
                for info in self.arrays
            ],
            "rows": self.rows,
            "values": self.values,
            "different": self.different,
            "atol": self.tolerance.atol,
            "rtol": self.tolerance.rtol,
            "beyond": self.beyond,
            "rows_beyond": self.rows_beyond,
            "largest": None if self.largest is None else self.largest.to_document(),
            "largest_relative": None if self.largest_relative is None else self.largest_relative.to_document(),
            "quantiles": {
                f"p{100 * share:g}": value if math.isfinite(value) else None for share, value in self.quantiles.items()
            },
            "nan": {"both": self.nan_both, "first": self.nan_first, "second": self.nan_second},
            "same_argmax": self.same_argmax,
        }


def compare_files(feed: Feed, tolerance: Tolerance, progress: Callable[[int], None] | None = None) -> Difference:
    """The difference of the roles "prediction" and "target" of a feed. Raises DataError for shapes that differ."""
    first, second = feed.arrays["prediction"], feed.arrays["target"]
    shapes = row_shapes(first, second)
    if shapes.prediction != shapes.target:
        raise DataError(
            f"the shapes differ: {first.path} has rows of shape {shapes.prediction}, "
            f"{second.path} of shape {shapes.target}",
            hint="nothing is broadcast: save both in one shape",
        )
    found = _Differences(shapes.width, len(shapes.prediction), tolerance)
    for chunk in feed.chunks(max(1, CHUNK_VALUES // shapes.width)):
        found.add(chunk["prediction"], chunk["target"])
        if progress is not None:
            progress(found.rows)
    if not found.rows:
        raise DataError(f"{first.path} has no rows: there is nothing to compare", hint="check what wrote it")
    infos = feed.arrays  # a text table knows its types at its end
    return found.result((infos["prediction"], infos["target"]))


class _Differences:
    """What is known of the rows so far."""

    def __init__(self, width: int, axes: int, tolerance: Tolerance) -> None:
        self._width, self._tolerance = width, tolerance
        self._wide = axes > 0
        self.rows = self._different = self._beyond = self._rows_beyond = 0
        self._nan = [0, 0, 0]
        self._same_argmax = 0 if axes == 1 else None
        self._largest: Place | None = None
        self._largest_relative: Place | None = None
        self._quantiles = BinnedQuantiles()

    def add(self, first: Array, second: Array) -> None:
        """Takes the next rows of both."""
        rows = len(first)
        first, second = first.reshape(rows, -1), second.reshape(rows, -1)
        nan_first, nan_second = _is_nan(first), _is_nan(second)
        numbers = ~(nan_first | nan_second)
        a, b = first.astype(np.float64), second.astype(np.float64)
        sizes = np.where(numbers, _whole_sizes(first, second) if _are_whole(first, second) else _sizes(a, b), 0.0)
        one_sided = nan_first != nan_second
        self._different += int(np.count_nonzero((sizes > 0.0) | one_sided))
        with np.errstate(over="ignore", invalid="ignore"):
            limit = self._tolerance.atol + (self._tolerance.rtol * np.abs(a) if self._tolerance.rtol else 0.0)
            # An infinity is near to nothing but itself, whatever the tolerance.
            beyond = (sizes > limit) | (np.isinf(sizes) & numbers) | one_sided
        self._beyond += int(np.count_nonzero(beyond))
        self._rows_beyond += int(np.count_nonzero(beyond.any(axis=1)))
        counts = (nan_first & nan_second, nan_first & ~nan_second, nan_second & ~nan_first)
        self._nan = [held + int(np.count_nonzero(mask)) for held, mask in zip(self._nan, counts, strict=True)]
        self._largest = self._worse(self._largest, sizes, a, b)
        self._largest_relative = self._worse(self._largest_relative, _relative(sizes, a, b), a, b)
        self._quantiles.add(sizes[numbers])
        if self._same_argmax is not None:
            self._same_argmax += int(np.count_nonzero(_argmax(first, nan_first) == _argmax(second, nan_second)))
        self.rows += rows

    def _worse(self, held: Place | None, sizes: Floats, first: Floats, second: Floats) -> Place | None:
        """The first of the largest so far."""
        position = int(np.argmax(sizes))
        row, column = divmod(position, sizes.shape[1])
        size = float(sizes[row, column])
        if size <= (0.0 if held is None else held.size):
            return held
        place = column if self._wide else None
        return Place(size, self.rows + row, place, float(first[row, column]), float(second[row, column]))

    def result(self, arrays: tuple[ArrayInfo, ArrayInfo]) -> Difference:
        return Difference(
            arrays=arrays,
            rows=self.rows,
            values=self.rows * self._width,
            different=self._different,
            beyond=self._beyond,
            rows_beyond=self._rows_beyond,
            largest=self._largest,
            largest_relative=self._largest_relative,
            quantiles=self._quantiles.at(QUANTILES, math.nan if self._largest is None else self._largest.size),
            nan_both=self._nan[0],
            nan_first=self._nan[1],
            nan_second=self._nan[2],
            same_argmax=self._same_argmax,
            tolerance=self._tolerance,
        )


def _is_nan(values: Array) -> Mask:
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(values.shape, np.bool_)


def _sizes(first: Floats, second: Floats) -> Floats:
    """|second - first|; 0 where both are the same infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(first == second, 0.0, np.abs(second - first))


def _are_whole(first: Array, second: Array) -> bool:
    return first.dtype.kind in "iu" and second.dtype.kind in "iu"


def _whole_sizes(first: Array, second: Array) -> Floats:
    """|second - first| of whole numbers, exact before it is rounded to float64, so that different ones differ."""
    larger = np.where(first > second, first.astype(np.uint64), second.astype(np.uint64))
    smaller = np.where(first > second, second.astype(np.uint64), first.astype(np.uint64))
    sizes = (larger - smaller).astype(np.float64)  # what wraps around wraps back, but for 2**64
    return np.where((sizes == 0.0) & (first != second), 2.0**64, sizes)


def _relative(sizes: Floats, first: Floats, second: Floats) -> Floats:
    """The sizes of the differences beside the larger of both values."""
    largest = np.maximum(np.abs(first), np.abs(second))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(np.isinf(sizes), np.inf, sizes / largest)
    return np.where(sizes > 0.0, relative, 0.0)


def _argmax(values: Array, nan: Mask) -> NDArray[np.intp]:
    return np.asarray(np.argmax(np.where(nan, -np.inf, values) if nan.any() else values, axis=1))


class BinnedQuantiles:
    """Quantiles of numbers from 0 up, in bins of the same relative width: 1/128 of a number, whatever its size."""

    SHIFT = 45  # of the 52 bits of the mantissa 7 are kept, and the exponent
    BINS = 1 << 18

    def __init__(self) -> None:
        self._counts = np.zeros(self.BINS, np.int64)

    def add(self, values: Floats) -> None:
        """Counts numbers from 0 up, infinity among them, of shape (n,)."""
        bins = np.ascontiguousarray(values).view(np.int64) >> self.SHIFT
        self._counts += np.bincount(bins, minlength=self.BINS)

    def at(self, shares: Sequence[float], largest: float) -> dict[float, float]:
        """Each share's quantile: 0 and infinity as they are, others as the middle of their bin, at most `largest`."""
        ends = np.cumsum(self._counts)
        if not ends[-1]:
            return dict.fromkeys(shares, math.nan)
        found = {}
        for share in shares:
            number = int(np.searchsorted(ends, math.ceil(share * int(ends[-1])), side="left"))
            low = number << self.SHIFT
            start, middle = np.array([low, low | 1 << (self.SHIFT - 1)], np.int64).view(np.float64).tolist()
            found[share] = min(middle, largest) if number and math.isfinite(start) else start
        return found
