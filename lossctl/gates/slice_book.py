"""The slices of a run and of a baseline, looked up by what a gate says of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from lossctl.errors import DataError, UsageError, visible
from lossctl.gates.trees import Measure
from lossctl.gates.vocabulary import GAP
from lossctl.results import LossResult
from lossctl.slices.results import SliceResult, SliceTable, harmless, spread
from lossctl.slices.slicing import MISSING, spelled_key, spelled_value

Key: TypeAlias = Mapping[str, str | None]
"""A slice: the value of each column, None where it is missing."""

Frozen: TypeAlias = frozenset[tuple[str, str | None]]

SHOWN = 20
_ADVICE = "make the baseline anew, of a run with the same --by"


class SliceBook:
    """The slices of the results of a run, and of the entries of a baseline for them, None for what is not compared."""

    def __init__(self, results: Sequence[LossResult], base: Sequence[Mapping[str, Any] | None] | None) -> None:
        self._results, self._base = results, base or ()
        self._found: dict[tuple[int, frozenset[str]], dict[Frozen, SliceResult]] = {}
        self._of_base: dict[tuple[int, frozenset[str]], dict[Frozen, Mapping[str, Any]]] = {}

    def table(self, measure: Measure, position: int | None = None) -> SliceTable:
        """The slices of a loss by the columns of a measure."""
        result = self._results[(measure.loss or 0) if position is None else position]
        found = next((table for table in result.slices if set(table.by) == set(measure.by)), None)
        if found is None:
            raise UsageError(
                f"a gate asks for {visible(measure)}, and this command has no slices", hint="`lossctl eval` has them"
            )
        return found

    def keys(self, measure: Measure) -> Iterator[Key]:
        """The slices that a pattern stands for, the worst first."""
        table = self.table(measure)
        wanted = [(name, value) for name, value in zip(measure.by, measure.at, strict=True) if value is not None]
        for each in table.slices:
            key = dict(zip(table.by, each.key, strict=True))
            if all(_is(key[name], value) for name, value in wanted):
                yield key

    def entries(self, measure: Measure, bound: Key | None) -> list[tuple[int, SliceResult | None]]:
        """The slice of a measure in the result of its loss, or of every loss, None where there is none.

        `bound` is the slice that a pattern stands for.
        """
        positions = range(len(self._results)) if measure.loss is None else [measure.loss]
        return [(position, self._entry(position, measure, bound)) for position in positions]

    def of_base(self, measure: Measure, bound: Key | None) -> float:
        """What the baseline has for a measure of slices. Raises DataError where it has nothing."""
        if measure.function == GAP:
            gap = spread(
                [_number(each.get("value")) for each in self._base_slices(measure.loss or 0, measure).values()]
            )
            if math.isnan(gap):
                raise DataError(f"the baseline has no {visible(measure)}", hint=_ADVICE)
            return gap
        positions = range(len(self._base)) if measure.loss is None else [measure.loss]
        numbers = [self._base_number(position, measure, bound) for position in positions]
        return min(numbers) if measure.function == "samples" else max(numbers)

    def told_missing(self, measure: Measure) -> str:
        """That a slice is not there, and which are."""
        table = self.table(measure)
        by = ",".join(spelled_value(name) for name in table.by)
        if not table.slices:
            return f"there is no slice by {by} of {table.least} samples or more"
        if measure.function == GAP:
            return "not every slice has a finite value"
        known = [spelled_key(table.by, each.key) for each in table.slices[:SHOWN]]
        more = len(table.slices) - len(known)
        small = f"; {table.small} of fewer than {table.least} samples are left out" if table.small else ""
        listed = harmless("; ".join(known))
        return f"there is no such slice; there are {listed}{f' and {more} more' if more else ''}{small}"

    def _entry(self, position: int, measure: Measure, bound: Key | None) -> SliceResult | None:
        place = position, frozenset(measure.by)
        if place not in self._found:
            table = self.table(measure, position)
            self._found[place] = {frozenset(zip(table.by, each.key, strict=True)): each for each in table.slices}
        found: SliceResult | None = _look_up(self._found[place], _wanted(measure, bound))
        return found

    def _base_number(self, position: int, measure: Measure, bound: Key | None) -> float:
        wanted = _wanted(measure, bound)
        found = _look_up(self._base_slices(position, measure), wanted)
        if found is None:
            raise DataError(
                f"the baseline has no slice {visible(spelled_key(list(wanted), list(wanted.values())))}", hint=_ADVICE
            )
        reduced = (self._base[position] or {}).get("reduction")
        name = {"": "value", "mean": "value", "count": "samples"}.get(measure.function, measure.function)
        number = _number(found.get(name))
        if measure.function == "mean" and reduced == "sum":
            weight = _number(found.get("weight"))
            number = _number(found.get("sum")) / weight if weight else math.nan
        if math.isnan(number):
            raise DataError(f"the baseline has no finite {visible(measure)}", hint=_ADVICE)
        return number

    def _base_slices(self, position: int, measure: Measure) -> dict[Frozen, Mapping[str, Any]]:
        place = position, frozenset(measure.by)
        if place not in self._of_base:
            self._of_base[place] = _slices_of(self._base[position] or {}, measure)
        return self._of_base[place]


def _slices_of(entry: Mapping[str, Any], measure: Measure) -> dict[Frozen, Mapping[str, Any]]:
    """The slices in an entry of a result document, whose form nobody has looked at."""
    tables = entry.get("slices")
    for table in tables if isinstance(tables, list) else ():
        by, slices = (table.get("by"), table.get("slices")) if isinstance(table, dict) else (None, None)
        if not isinstance(by, list) or not isinstance(slices, list) or set(map(str, by)) != set(measure.by):
            continue
        if not all(isinstance(each, dict) and isinstance(each.get("key"), dict) for each in slices):
            raise DataError("the baseline has slices that are none", hint=_ADVICE)
        return {
            frozenset((str(name), None if value is None else str(value)) for name, value in each["key"].items()): each
            for each in slices
        }
    by_name = ",".join(spelled_value(name) for name in measure.by)
    raise DataError(f"the baseline has no slices by {by_name} of {visible(entry.get('loss'))}", hint=_ADVICE)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _wanted(measure: Measure, bound: Key | None) -> Key:
    """The slice that a measure is of."""
    if measure.is_pattern:
        return bound or {}
    return dict(zip(measure.by, measure.at, strict=True))


def _look_up(found: Mapping[Frozen, Any], wanted: Key) -> Any:
    """A slice by its values as gates spell them: what is missing has a name, and an open interval three points."""
    exact = found.get(frozenset(wanted.items()))
    if exact is not None:
        return exact
    read = {name: None if value == MISSING else value and value.replace("...", "…") for name, value in wanted.items()}
    return found.get(frozenset(read.items()))


def _is(value: str | None, spelled: str) -> bool:
    return spelled in (MISSING if value is None else value, "" if value is None else value.replace("…", "..."))
