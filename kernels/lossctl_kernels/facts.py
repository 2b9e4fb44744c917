"""Facts of what a loss takes besides predictions and targets: its parameters, and its further arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from .domains import REAL, Domain
from .records import Record, field


class Pooling(Enum):
    """How a data set makes one number of the losses that a definition has."""

    MEAN = "their sum or mean, or what folds over the data set make"
    MEDIAN = "their median, of single values"
    BY_FREQUENCY = "their mean over samples and classes, where a class counts the more the rarer it is"


class InputShape(Enum):
    """How a further array lies next to the predictions."""

    LIKE_PREDICTION = "one number for each prediction"
    ONE_A_ROW = "one number for each row"
    WHOLE = "read at once, not row by row"


class Input(Record):
    """The facts of a further array that a loss takes. One that is `optional` and not given counts as 1 everywhere.

    `integer`: whole numbers, which reach a definition as int64.
    """

    description: str
    shape: InputShape
    domain: Domain = REAL
    optional: bool = False
    integer: bool = False


class RowFunction(Record):
    """The facts of a definition that is a function of a whole row, or of all rows: see `row_functions.py`."""

    scratch: Callable[..., int]
    """How many float64 numbers one call needs to work in, by the shapes of arrays and by `lanes`, how many
    rows a call has."""
    dimensions: int = 2
    """Of the array of predictions."""
    states: tuple[Callable[..., Any], ...] = ()
    """What fills `state`, a row each, before the losses: each sees what those before it have filled for all rows."""
    state_columns: int = 0
    shares: Callable[..., Any] | None = None
    """The share of each row in the denominator of the mean, by the names of arrays and parameters; None: 1 each."""
    instead: Mapping[str, str] = field(default_factory=dict)
    """Which array stands for an optional input that was not given."""
    reads: Callable[..., int] | None = None
    """How many of the predictions a loss reads, by the shapes of arrays, where those are few and the loss is NaN if one
    of them lies outside the domain: an engine may then leave others unread. None: it reads all, which are checked."""


class Parameter(Record):
    """The facts of a number that a loss takes: what it is, and the values that are allowed.

    `words` name the numbers 0, 1, … where users choose one of a few; "false" and "true" make a flag. `example` is a
    value that works, of a parameter that has no default; `optional` says that "none" is allowed, which a definition
    sees as NaN. `gap` is an open interval of numbers that are not allowed; of a `whole` parameter only whole numbers
    are. `modes` are the ways in which a parameter `eps` may guard (`eps_mode`). `by_column`: there may be one for each
    value of a row.
    """

    description: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    choices: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    gap: tuple[float, float] | None = None
    whole: bool = False
    example: float | None = None
    optional: bool = False
    modes: tuple[str, ...] = ("floor",)
    by_column: bool = False

    def allows(self, value: float) -> bool:
        """Whether a number is one that the loss takes; NaN never is."""
        return (
            value == value
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
            and (not self.choices or value in self.choices)
            and (self.gap is None or not self.gap[0] < value < self.gap[1])
            and not (self.whole and value % 1.0)
        )

    def range(self) -> str:
        """The allowed values in words: "> 0", "one of -1, 1"."""
        if self.words:
            return ", ".join(self.words)
        if self.choices:
            return "one of " + ", ".join(f"{choice:g}" for choice in self.choices)
        if self.gap is not None:
            return f"<= {self.gap[0]:g} or >= {self.gap[1]:g}"
        limits = ((">", self.above), (">=", self.at_least), ("<", self.below), ("<=", self.at_most))
        parts = [f"{sign} {bound:g}" for sign, bound in limits if bound is not None] + ["whole"] * self.whole
        also = ", or none" * self.optional + ", or one for each column, such as 1|2|0.5" * self.by_column
        return (" and ".join(parts) or "any number") + also

    def as_option(self, number: float | None) -> float | str | None:
        """How a default of the definition is spelled as an option."""
        if number is None or number != number:
            return None
        return self.words[int(number)] if self.words else float(number)

    def as_number(self, option: float | str | None) -> float:
        """What a definition is given for an option."""
        if option is None:
            return math.nan
        return float(self.words.index(str(option))) if self.words else float(option)
