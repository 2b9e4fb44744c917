"""What slices of the data a command asks for: `--by country`, `--by 'age:bins=0,30,60'`, crossed or one by one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

from lossctl.errors import UsageError, visible
from lossctl.gates.vocabulary import WORDS
from lossctl_kernels.numerals import number_of
from lossctl_kernels.records import Record

MISSING = "(missing)"
"""How the slice of rows without a value is called."""

MOST_CROSSED = 4
"""Columns that are crossed with each other."""

MOST_EDGES = 1000

_PLAIN = re.compile(r"[A-Za-z_]\w*|-?[0-9]+", re.ASCII)


class SliceColumn(Record):
    """A column whose values are slices, or, with `edges`, the intervals in which they lie.

    `spelled` are the edges as they were written.
    """

    name: str
    edges: tuple[float, ...] = ()
    spelled: tuple[str, ...] = ()


class Slicing(Record):
    """What is done about the slices: `slicings` are the names of the columns of each, which are crossed.

    Slices of fewer than `least` samples are only counted.
    """

    columns: tuple[SliceColumn, ...] = ()
    slicings: tuple[tuple[str, ...], ...] = ()
    least: int = 1

    @classmethod
    def of(cls, columns: Sequence[SliceColumn], cross: bool, least: int | None) -> Slicing:
        """Each column by itself, or with `cross` all together. Raises UsageError."""
        if least is not None and least < 1:
            raise UsageError(f"--min-slice must be 1 or more, found {least}", hint="leave it out for all slices")
        names = tuple(column.name for column in columns)
        if cross and len(names) < 2:
            raise UsageError("--cross is of two columns or more", hint="such as --by country --by sex --cross")
        slicings = (names,) if cross else tuple((name,) for name in names)
        return cls(tuple(columns), (), least or 1).with_slicings(slicings)

    def with_slicings(self, wanted: Sequence[tuple[str, ...]]) -> Slicing:
        """The same with these slicings too; a column that is new is one by its values. Raises UsageError."""
        columns, slicings = list(self.columns), list(self.slicings)
        for names in wanted:
            if len(names) > MOST_CROSSED:
                raise UsageError(
                    f"{len(names)} columns are crossed: {visible(', '.join(names))}",
                    hint=f"cross at most {MOST_CROSSED}",
                )
            for name in names:
                if all(column.name != name for column in columns):
                    columns.append(SliceColumn(name))
            if all(set(names) != set(known) for known in slicings):
                slicings.append(names)
        return Slicing(tuple(columns), tuple(slicings), self.least)

    def find(self, names: Sequence[str]) -> int:
        """Which of the slicings is by these columns, in any order."""
        return next(place for place, known in enumerate(self.slicings) if set(known) == set(names))


def parse_columns(texts: Sequence[str]) -> list[SliceColumn]:
    """What `--by` says, each column once. Raises UsageError."""
    found: list[SliceColumn] = []
    for text in texts:
        column = _parsed(text)
        if any(column.name == known.name for known in found):
            raise UsageError(f"--by names '{visible(column.name)}' twice", hint="give each column once")
        found.append(column)
    return found


def _parsed(text: str) -> SliceColumn:
    """ "country", or "age:bins=0,30,60"; a column may have a colon in its name."""
    name, mark, listed = text.rpartition(":bins=")
    if not mark:
        if not text.strip():
            raise UsageError("--by names no column", hint="is it a shell variable that is not set?")
        return SliceColumn(text)
    if not name.strip():
        raise UsageError(f"--by '{visible(text)}' names no column", hint="such as --by 'age:bins=0,30,60'")
    spelled = tuple(edge.strip() for edge in listed.split(","))
    edges = tuple(_edge(text, edge) for edge in spelled)
    if len(edges) > MOST_EDGES:
        raise UsageError(f"--by {visible(name)} has {len(edges)} edges", hint=f"at most {MOST_EDGES}")
    for (low, high), found in zip(pairwise(edges), spelled[1:], strict=True):
        if not low < high:
            raise UsageError(
                f"--by '{visible(text)}': the edge {visible(found)} is not above the one before it",
                hint="edges ascend, such as --by 'age:bins=0,30,60'",
            )
    return SliceColumn(name, edges, spelled)


def _edge(text: str, edge: str) -> float:
    try:
        number = number_of(edge)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(
            f"--by '{visible(text)}': '{visible(edge)}' is not a finite number",
            hint="edges are numbers, such as --by 'age:bins=0,30,60'",
        )
    return number


# ---- how a slice is written


def spelled_value(value: str | None) -> str:
    """A value as a gate spells it: DE, "New York", "(missing)"."""
    text = MISSING if value is None else value
    if _PLAIN.fullmatch(text) and text not in WORDS:
        return text
    return '"' + visible(text, 200).replace('"', '""') + '"'


def spelled_key(by: Sequence[str], key: Sequence[str | None]) -> str:
    """ "country=DE", "country=DE,sex=f"."""
    return ",".join(f"{spelled_value(name)}={spelled_value(value)}" for name, value in zip(by, key, strict=True))
