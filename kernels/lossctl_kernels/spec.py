"""What a loss is. Imports no Numba and knows no arrays: definitions are plain scalar functions, here are their facts.

A *definition* is a function whose argument names say what it needs: `prediction`, `target`, `index` (of the class or
column), parameters, and *folds*. A fold combines a scalar term over a scope (a row, or the data set) with a monoid, and
may use the folds before it. A definition without folds is elementwise. `gradient_of` adds the derivative with respect
to one prediction, given the folds. Nothing else is written for a loss: kernels, validation, command-line options,
reference and tests are derived.

A *loss* is what users name: one definition for each domain of the prediction (`forms`: `prob`, `logit`, …), the kind of
target, the options of `options.py` that it takes, and its names elsewhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from .domains import REAL, Domain, TargetKind

__all__ = [
    "LOSSES",
    "Definition",
    "Fold",
    "Loss",
    "Monoid",
    "Parameter",
    "Scope",
    "fold",
    "form_of",
    "gradient_of",
    "loss",
]

Scalar = Callable[..., float]
PEERS = ("keras", "torch", "optax", "sklearn")


class Scope(Enum):
    """What the folds of a definition run over."""

    ELEMENT = "element"
    ROW = "row"
    DATASET = "dataset"


class Monoid(Enum):
    """How the terms of a fold combine."""

    SUM = "sum"
    TARGET_SUM = "target_sum"
    """A sum of terms that are 0 where the target is 0: with a class index only the target class is touched."""
    MAX = "max"
    SCALE = "scale"
    """The exact power of two that brings the largest magnitude near 1; 1 where squares of it are safe anyway."""


@dataclass(frozen=True)
class Fold:
    """A term and how its values combine; `name` is how definitions ask for the result."""

    name: str
    monoid: Monoid
    term: Scalar


@dataclass(frozen=True)
class Parameter:
    """The facts of a number that a loss takes: what it is, and the values that are allowed."""

    description: str
    above: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    choices: tuple[float, ...] = ()

    def allows(self, value: float) -> bool:
        return (
            value == value
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (not self.choices or value in self.choices)
        )

    def range(self) -> str:
        """The allowed values in words: "> 0", "one of -1, 1"."""
        if self.choices:
            return "one of " + ", ".join(f"{choice:g}" for choice in self.choices)
        parts = [
            f"{sign} {bound:g}"
            for sign, bound in ((">", self.above), (">=", self.at_least), ("<=", self.at_most))
            if bound is not None
        ]
        return " and ".join(parts) or "any number"


@dataclass
class Definition:
    """One function of folds, predictions, targets and parameters, with its derivative."""

    name: str
    function: Scalar
    prediction: Domain
    scope: Scope = Scope.ELEMENT
    folds: tuple[Fold, ...] = ()
    gradient: Scalar | None = None
    gradient_by: dict[str, Scalar] = field(default_factory=dict)
    """Derivatives by another form of the prediction, where going through that form would lose digits."""
    degenerate: Scalar | None = None

    def arguments(self) -> tuple[str, ...]:
        return argument_names(self.function)


@dataclass
class Loss:
    """A loss as users name it."""

    name: str
    forms: dict[str, Definition]
    target_kind: TargetKind
    target: Domain
    options: tuple[str, ...]
    formula: str
    gradient_formula: str
    unit: str = ""
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    source: str = ""
    description: str = ""
    parameters: dict[str, tuple[float, Parameter]] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        return next(iter(self.forms.values())).scope

    @property
    def summary(self) -> str:
        return self.description.partition("\n")[0].rstrip(".")

    @property
    def may_be_infinite(self) -> bool:
        """Whether infinity is a right answer (the log score of an impossible event), not an overflow."""
        return self.unit == "nat"


LOSSES: dict[str, Loss] = {}
_DEFINITIONS: dict[Scalar, Definition] = {}
_FOLDS: dict[Scalar, Fold] = {}


def argument_names(function: Scalar) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def fold(monoid: Monoid) -> Callable[[Scalar], Scalar]:
    """Makes a scalar function the term of a fold that is named after it."""

    def decorate(term: Scalar) -> Scalar:
        _FOLDS[term] = Fold(term.__name__, monoid, term)
        return term

    return decorate


def _define(function: Scalar, prediction: Domain, scope: Scope, folds: tuple[Scalar, ...]) -> Definition:
    definition = Definition(function.__name__, function, prediction, scope, tuple(_FOLDS[term] for term in folds))
    _DEFINITIONS[function] = definition
    return definition


def loss(
    *,
    formula: str,
    gradient_formula: str,
    input: str = "value",
    prediction: Domain = REAL,
    target_kind: TargetKind = TargetKind.SAME,
    target: Domain = REAL,
    scope: Scope = Scope.ELEMENT,
    folds: tuple[Scalar, ...] = (),
    options: tuple[str, ...] = (),
    unit: str = "",
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    source: str = "",
) -> Callable[[Scalar], Scalar]:
    """Registers a function as the definition of a loss of its name, in its default form `input`."""

    def decorate(function: Scalar) -> Scalar:
        LOSSES[function.__name__] = Loss(
            name=function.__name__,
            forms={input: _define(function, prediction, scope, folds)},
            target_kind=target_kind,
            target=target,
            options=options,
            formula=formula,
            gradient_formula=gradient_formula,
            unit=unit,
            aliases=aliases or {},
            presets=presets or {},
            source=source,
            description=inspect.cleandoc(function.__doc__ or ""),
            parameters=dict(_parameters(function)),
        )
        return function

    return decorate


def form_of(name: str, input: str, prediction: Domain, folds: tuple[Scalar, ...] = ()) -> Callable[[Scalar], Scalar]:
    """Registers a function as the form of the loss `name` for predictions that are an `input`."""

    def decorate(function: Scalar) -> Scalar:
        owner = LOSSES[name]
        owner.forms[input] = _define(function, prediction, owner.scope, folds)
        return function

    return decorate


def share(owner: Loss, *, name: str, description: str, **facts: Any) -> None:
    """Registers another loss on the definitions of `owner`: what is not given is the same."""
    LOSSES[name] = replace(owner, name=name, description=inspect.cleandoc(description), **facts)


def gradient_of(definition: Scalar, by: str | None = None) -> Callable[[Scalar], Scalar]:
    """Registers the derivative of a definition with respect to one prediction, or to what it is in the form `by`."""

    def decorate(function: Scalar) -> Scalar:
        if by is None:
            _DEFINITIONS[definition].gradient = function
        else:
            _DEFINITIONS[definition].gradient_by[by] = function
        return function

    return decorate


def degenerate_for(definition: Scalar) -> Callable[[Scalar], Scalar]:
    """Registers the condition under which a row has no defined loss and takes a conventional one: it is counted."""

    def decorate(function: Scalar) -> Scalar:
        _DEFINITIONS[definition].degenerate = function
        return function

    return decorate


def _parameters(function: Scalar) -> list[tuple[str, tuple[float, Parameter]]]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for name, argument in inspect.signature(function).parameters.items():
        hint = hints.get(name)
        if get_origin(hint) is Annotated:
            facts = next(part for part in get_args(hint) if isinstance(part, Parameter))
            found.append((name, (float(argument.default), facts)))
    return found
