"""What an expression of a gate means: a tree of conditions, comparisons and quantities.

`str` of a tree is text that means it: see `gate_grammar.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = [
    "And",
    "Arithmetic",
    "Base",
    "Comparison",
    "Condition",
    "Measure",
    "Negative",
    "Not",
    "Number",
    "Or",
    "Quantity",
    "comparisons",
    "measures",
    "quantities",
]


@dataclass(frozen=True, slots=True)
class Number:
    """A number that is written there, not negative."""

    value: float

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured: a function of a loss, "" for its value; a count of all losses together has no loss.

    `loss` is where the loss stands in the command, and `name` what the expression calls it.
    """

    function: str
    loss: int | None = None
    name: str = ""

    def __str__(self) -> str:
        quoted = self.name if re.fullmatch(r"[A-Za-z_]\w*", self.name) else _quoted(self.name)
        if self.loss is None:
            return self.function
        return f"{self.function}({quoted})" if self.function else quoted


@dataclass(frozen=True, slots=True)
class Base:
    """What the baseline has for a measure; None until it is known which, by the comparison that it stands in."""

    measure: Measure
    explicit: bool = True

    def __str__(self) -> str:
        return f"base({self.measure})" if self.explicit else "base"


@dataclass(frozen=True, slots=True)
class Negative:
    """-x"""

    operand: Quantity

    def __str__(self) -> str:
        return f"-{self.operand}"


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """x + y, x - y, x * y or x / y."""

    left: Quantity
    operator: str
    right: Quantity

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


Quantity: TypeAlias = Number | Measure | Base | Negative | Arithmetic


@dataclass(frozen=True, slots=True)
class Comparison:
    """x < y and its like. `texts` are the two sides as they were written."""

    left: Quantity
    operator: str
    right: Quantity
    texts: tuple[str, str] = field(default=("", ""), compare=False)

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class Not:
    """not x"""

    operand: Condition

    def __str__(self) -> str:
        return f"not ({self.operand})"


@dataclass(frozen=True, slots=True)
class And:
    """x and y"""

    left: Condition
    right: Condition

    def __str__(self) -> str:
        return f"({self.left}) and ({self.right})"


@dataclass(frozen=True, slots=True)
class Or:
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


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
