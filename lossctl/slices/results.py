"""What slices and worst rows of a run are, as part of its results: plain, frozen, picklable values.

Like `results`, this imports neither NumPy nor anything that does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lossctl.errors import visible
from lossctl.results import finite_or_none, status_of
from lossctl.slices.slicing import spelled_key

if TYPE_CHECKING:
    from lossctl.results import LossResult, Status

MOST_LISTED = 100
"""Slices that the entry of a gate lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """One loss of the rows of one slice: what an evaluation of these rows alone would find.

    `key` has the value of each column of the slicing, None where it is missing. `difference` is the value less that of
    all rows. `std_error` is None where no statistics were asked for, `ci_low` and `ci_high` where no interval was.
    """

    key: tuple[str | None, ...]
    value: float
    difference: float
    sum: float
    weight: float
    samples: int
    nonfinite: int = 0
    std_error: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None

    @property
    def status(self) -> Status:
        """Whether `value` is a finite number, and if not, which other."""
        return status_of(self.value)

    def to_document(self, by: Sequence[str]) -> dict[str, Any]:
        """The entry of a slice in the result document; `by` are the columns of the slicing."""
        document: dict[str, Any] = {
            "key": dict(zip(by, self.key, strict=True)),
            "value": finite_or_none(self.value),
            "difference": finite_or_none(self.difference),
            "sum": finite_or_none(self.sum),
            "weight": finite_or_none(self.weight),
            "samples": self.samples,
            "nonfinite": self.nonfinite,
        }
        for name in ("std_error", "ci_low", "ci_high"):
            number = getattr(self, name)
            if number is not None:
                document[name] = finite_or_none(number)
        return document | {"status": self.status}


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceTable:
    """One loss by the slices of one slicing, the worst first: NaN, then from the largest value down.

    `by` are the columns that are crossed. `small` counts the slices of fewer than `least` samples, which are not there,
    and `small_samples` the samples in them. `confidence` is the level of the intervals. `shown` is how many of the
    slices people are shown, None for all.
    """

    by: tuple[str, ...]
    slices: tuple[SliceResult, ...]
    least: int = 1
    small: int = 0
    small_samples: int = 0
    confidence: float | None = None
    shown: int | None = None

    @property
    def gap(self) -> float:
        """The largest value less the smallest; NaN where one of them is not finite, or there is none."""
        return spread([each.value for each in self.slices])

    def to_document(self) -> dict[str, Any]:
        """The entry of a slicing in the result document."""
        document: dict[str, Any] = {
            "by": list(self.by),
            "gap": finite_or_none(self.gap),
            "min_slice": self.least,
            "small": self.small,
            "small_samples": self.small_samples,
        }
        if self.confidence is not None:
            document["confidence"] = self.confidence
        return document | {"slices": [each.to_document(self.by) for each in self.slices]}


@dataclass(frozen=True, slots=True)
class SliceVerdict:
    """What a gate says of one slice, whose `key` has each column with its value: see `GateResult`."""

    key: tuple[tuple[str, str | None], ...]
    value: float
    limit: float
    verdict: str

    @property
    def name(self) -> str:
        """ "country=DE" """
        return spelled_key([name for name, _ in self.key], [value for _, value in self.key])

    def to_document(self) -> dict[str, Any]:
        """The entry of a slice in that of a gate."""
        numbers = {"value": finite_or_none(self.value), "limit": finite_or_none(self.limit)}
        return {"key": dict(self.key), **numbers, "verdict": self.verdict}


@dataclass(frozen=True, slots=True)
class GateSlices:
    """What a gate about every slice says of each, the worst first; `by` are the columns that it names."""

    by: tuple[str, ...]
    verdicts: tuple[SliceVerdict, ...]

    def count(self, verdict: str) -> int:
        """The slices of which it says this."""
        return sum(each.verdict == verdict for each in self.verdicts)

    def told(self) -> str:
        """The worst slice and how many fail, in a line."""
        if not self.verdicts:
            return ""
        failed, unclear = self.count("fail"), self.count("inconclusive")
        counts = [f"{failed} of {len(self.verdicts)} {'slice' if len(self.verdicts) == 1 else 'slices'} failed"]
        counts += [f"{unclear} cannot be decided"] if unclear else []
        return f"{', '.join(counts)}; worst {harmless(visible(self.verdicts[0].name, 200))}"

    def to_document(self) -> dict[str, Any]:
        """The `slices` of a gate in the result document: what does not pass is listed, as far as that is not long."""
        counts = {name: self.count(name) for name in ("pass", "fail", "inconclusive")}
        listed = [each for each in self.verdicts if each.verdict != "pass"][:MOST_LISTED] or self.verdicts[:1]
        return {"by": list(self.by), **counts, "listed": [each.to_document() for each in listed]}


@dataclass(frozen=True, slots=True)
class WorstRow:
    """A row with one of the largest losses: where it stands in the file of the predictions, from 0, and its loss.

    `ids` are the values of the columns that say which it is; `prediction` and `target` are there where each is one
    number a row. Where each place of a row is a sample, `place` is its index in the row.
    """

    row: int
    loss: float
    ids: Mapping[str, str | None]
    prediction: float | None = None
    target: float | int | bool | None = None
    place: tuple[int, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """The entry of a row in the result document."""
        document: dict[str, Any] = {"row": self.row, "loss": finite_or_none(self.loss), "status": status_of(self.loss)}
        if self.place:
            document["place"] = list(self.place)
        if self.ids:
            document["ids"] = dict(self.ids)
        for name in ("prediction", "target"):
            number = getattr(self, name)
            if number is not None:
                document[name] = number if isinstance(number, int) else finite_or_none(number)
        return document


def harmless(text: str) -> str:
    """Text of the data that no CI host takes for a command of its first form, wherever it stands in a line."""
    return text.replace("##[", "## [")


def spread(values: Sequence[float]) -> float:
    """The largest of values less the smallest; NaN where one is not finite, or there is none."""
    if not values or not all(math.isfinite(value) for value in values):
        return math.nan
    return max(values) - min(values)


def slices_frame(results: Sequence[LossResult]) -> Any:
    """The slices of results as a pandas DataFrame: a row a loss and slice, with a column for each that makes slices.

    Numbers are floats and counts whole numbers. A column that is not of a row's slicing is missing there, and so is a
    value that is; `by` names the slicing.
    """
    import pandas as pd

    rows = [
        {
            "loss": result.loss,
            "signature": result.signature,
            "by": ",".join(table.by),
            **dict(zip(table.by, each.key, strict=True)),
            "value": each.value,
            "difference": each.difference,
            "sum": each.sum,
            "weight": each.weight,
            "samples": each.samples,
            "nonfinite": each.nonfinite,
            "std_error": each.std_error,
            "ci_low": each.ci_low,
            "ci_high": each.ci_high,
        }
        for result in results
        for table in result.slices
        for each in table.slices
    ]
    frame = pd.DataFrame(rows)
    numbers = [name for name in ("std_error", "ci_low", "ci_high") if name in frame]
    return frame.astype(dict.fromkeys(numbers, "float64"))
