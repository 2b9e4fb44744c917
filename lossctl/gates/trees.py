"""What an expression of a gate means: a tree of conditions, comparisons and quantities.

`str` of a tree is text that means it: see `grammar.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeAlias

from lossctl.gates.vocabulary import GAP, WORDS
from lossctl_kernels.records import Record, field


class Number(Record):
    """A number that is written there, not negative."""

    value: float

    def __str__(self) -> str:
        return repr(self.value)


class Measure(Record):
    """What is measured: a function of a loss, "" for its value; a count of all losses together has no loss.

    `loss` is where the loss stands in the command, and `name` what the expression calls it. What is measured of a slice
    has in `by` the columns that make it, and in `at` the value of each, None for all of them; a gap, which is between
    slices, has no `at`.
    """

    function: str
    loss: int | None = None
    name: str = ""
    by: tuple[str, ...] = ()
    at: tuple[str | None, ...] = ()

    def __str__(self) -> str:
        quoted = _named(self.name)
        if self.function == GAP:
            return f"{GAP}({quoted}, by={', '.join(map(_named, self.by))})"
        parts = [f"{_named(name)}={'*' if value is None else _valued(value)}" for name, value in self._slice]
        where = f"[{', '.join(parts)}]" if parts else ""
        if self.loss is None:
            return self.function + where
        return (f"{self.function}({quoted})" if self.function else quoted) + where

    @property
    def _slice(self) -> list[tuple[str, str | None]]:
        return list(zip(self.by, self.at, strict=True)) if self.at else []

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for several slices."""
        return None in self.at


class Base(Record):
    """What the baseline has for a measure; None until it is known which, by the comparison that it stands in."""

    measure: Measure
    explicit: bool = True

    def __str__(self) -> str:
        return f"base({self.measure})" if self.explicit else "base"


class Negative(Record):
    """-x"""

    operand: Quantity

    def __str__(self) -> str:
        return f"-{self.operand}"


class Arithmetic(Record):
    """x + y, x - y, x * y or x / y."""

    left: Quantity
    operator: str
    right: Quantity

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


Quantity: TypeAlias = Number | Measure | Base | Negative | Arithmetic


class Comparison(Record):
    """x < y and its like. `texts` are the two sides as they were written."""

    left: Quantity
    operator: str
    right: Quantity
    texts: tuple[str, str] = field(default=("", ""), compare=False)

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


class Not(Record):
    """not x"""

    operand: Condition

    def __str__(self) -> str:
        return f"not ({self.operand})"


class And(Record):
    """x and y"""

    left: Condition
    right: Condition

    def __str__(self) -> str:
        return f"({self.left}) and ({self.right})"


class Or(Record):
    """x or y"""

    left: Condition
    right: Condition

    def __str__(self) -> str:
        return f"({self.left}) or ({self.right})"


Condition: TypeAlias = Comparison | Not | And | Or


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Those of a condition, from left to right."""
    match condition:
        case Comparison():
            yield condition
        case Not(operand):
            yield from comparisons(operand)
        case And(left, right) | Or(left, right):
            yield from comparisons(left)
            yield from comparisons(right)


def quantities(quantity: Quantity) -> Iterator[Quantity]:
    """A quantity and all that it is made of."""
    yield quantity
    match quantity:
        case Negative(operand):
            yield from quantities(operand)
        case Arithmetic(left, _, right):
            yield from quantities(left)
            yield from quantities(right)


def measures(comparison: Comparison) -> list[Measure]:
    """What a comparison measures, each once, without what only the baseline has."""
    found = (each for side in (comparison.left, comparison.right) for each in quantities(side))
    return list(dict.fromkeys(each for each in found if isinstance(each, Measure)))


def _named(text: str) -> str:
    """A name as it is, or in quotes where it is not one of the grammar."""
    return text if re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII) and text not in WORDS else quoted(text)


def _valued(text: str) -> str:
    """A value of a slice likewise; digits need no quotes."""
    return text if re.fullmatch(r"-?[0-9]+", text, re.ASCII) else _named(text)


def quoted(text: str) -> str:
    """A text in quotes, those of its own doubled where it has both kinds."""
    if "'" in text and '"' not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"
