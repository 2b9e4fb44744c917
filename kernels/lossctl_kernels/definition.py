"""What a definition is: a plain scalar function, the folds that it asks for, and its derivatives.

The names of its arguments say what a function needs: `prediction`, `target`, `index` (of the class or column),
parameters, the loss's further `inputs`, and *folds*. A fold combines a scalar term over a scope (a row, or the data
set) with a monoid, and may use the folds before it. A definition without folds is elementwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from .arguments import argument_names
from .domains import Domain
from .facts import RowFunction
from .records import Record, field

Scalar = Callable[..., float]


class Scope(Enum):
    """What the folds of a definition run over."""

    ELEMENT = "element"
    ROW = "row"
    DATASET = "dataset"
    PAIRS = "pairs"
    """The loss of a row is of all rows: a row function sees the whole data set at once."""


class Monoid(Enum):
    """How the terms of a fold combine."""

    SUM = "sum"
    TARGET_SUM = "target_sum"
    """A sum of terms that are 0 where the target is 0: with a class index only the target class is touched."""
    MAX = "max"
    SCALE = "scale"
    """The exact power of two that brings the largest magnitude near 1; 1 where squares of it are safe anyway."""
    ONCE = "once"
    """No fold: one number of each row, made of the folds before it and of inputs that have one number a row."""


class Fold(Record):
    """A term and how its values combine; `name` is how definitions ask for the result.

    A sum over a row may have a condition, `when`, on what `ONCE` may ask for: rows that do not meet it are not read
    for this fold, whose result is then 0.
    """

    name: str
    monoid: Monoid
    term: Scalar
    when: Scalar | None = None


class TargetTransform(Record):
    """A function that the target goes through before the definition sees it."""

    name: str
    apply: Scalar


class Factored(Record):
    """Another way to add up a loss that is a logarithm: `rest ± log(factor)`, so that products need few logarithms.

    `function` returns (rest, factor, excess): the factor positive, the excess factor - 1 as exact as a number near 0
    can be, all of one sign where the factor is near 1 and the logarithm stands alone. It holds where the parameters
    that it does not ask for are `neutral`, predictions and targets lie `within` two bounds, if there are any, and, if
    `hard_targets`, the targets are 0 or 1. If it `cancels`, its two parts are nearly equal where the loss is small: a
    sum that is small next to them is not taken.
    """

    function: Callable[..., tuple[float, float, float]]
    sign: float
    hard_targets: bool
    neutral: Mapping[str, float]
    within: tuple[float, float] | None = None
    cancels: bool = False


class Definition(Record, frozen=False):
    """One function of folds, predictions, targets and parameters, with its derivative."""

    name: str
    function: Scalar
    prediction: Domain
    scope: Scope = Scope.ELEMENT
    folds: tuple[Fold, ...] = ()
    gradient: Scalar | None = None
    gradient_by: dict[str, Scalar] = field(default_factory=dict)
    """Derivatives by another form of the prediction, where going through that form would lose digits."""
    input_gradients: dict[str, Scalar] = field(default_factory=dict)
    """Derivatives by other arrays than the prediction: by name of the further input, or "target"."""
    degenerate: Scalar | None = None
    degenerate_means: str = "a zero vector"
    factored: Factored | None = None
    row_function: RowFunction | None = None
    """Where it is a function of arrays, not of numbers."""

    def arguments(self) -> tuple[str, ...]:
        return argument_names(self.function)

    def functions(self) -> list[Scalar]:
        """The loss, the terms of its folds, and its derivatives."""
        functions = [self.function, *(one.term for one in self.folds), *self.input_gradients.values()]
        functions += [one.when for one in self.folds if one.when is not None]
        functions += self.row_function.states if self.row_function else ()
        return functions + ([self.gradient] if self.gradient else [])

    def asks_for(self) -> set[str]:
        """The arguments of all its functions."""
        return {name for function in self.functions() for name in argument_names(function)}
