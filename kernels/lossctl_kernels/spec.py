"""What a loss is. Imports no Numba and knows no arrays: definitions are plain scalar functions, here are their facts.

A *definition* is a function whose argument names say what it needs: `prediction`, `target`, `index` (of the class or
column), parameters, and *folds*. A fold combines a scalar term over a scope (a row, or the data set) with a monoid, and
may use the folds before it. A definition without folds is elementwise. `gradient_of` adds the derivative with respect
to one prediction, given the folds. Nothing else is written for a loss: kernels, validation, command-line options,
reference and tests are derived.

A *loss* is what users name: one definition for each domain of the prediction (`forms`: `prob`, `logit`, …), the kind of
target, the options of `options.py` that it takes, and its names elsewhere. An option may make another loss of it, of
the same name: `variants` says with which facts.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from .domains import REAL, Domain, TargetKind

__all__ = [
    "LOSSES",
    "Definition",
    "Factored",
    "Fold",
    "Loss",
    "Monoid",
    "Parameter",
    "Scope",
    "TargetTransform",
    "define",
    "factored_form_of",
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
class TargetTransform:
    """A function that the target goes through before the definition sees it."""

    name: str
    apply: Scalar


@dataclass(frozen=True)
class Parameter:
    """The facts of a number that a loss takes: what it is, and the values that are allowed.

    `words` name the numbers 0, 1, … where users choose one of a few; "false" and "true" make a flag. `example` is a
    value that works, of a parameter that has no default; `optional` says that "none" is allowed, which a definition
    sees as NaN. `gap` is an open interval of numbers that are not allowed. `modes` are the ways in which a parameter
    `eps` may guard (`eps_mode`).
    """

    description: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    choices: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    gap: tuple[float, float] | None = None
    example: float | None = None
    optional: bool = False
    modes: tuple[str, ...] = ("floor",)

    def allows(self, value: float) -> bool:
        return (
            value == value
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
            and (not self.choices or value in self.choices)
            and (self.gap is None or not self.gap[0] < value < self.gap[1])
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
        parts = [f"{sign} {bound:g}" for sign, bound in limits if bound is not None]
        return (" and ".join(parts) or "any number") + (", or none" if self.optional else "")

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


@dataclass(frozen=True)
class Factored:
    """Another way to add up a loss that is a logarithm: `rest ± log(factor)`, so that products need few logarithms.

    `function` returns (rest, factor, excess): the factor positive, the excess factor - 1 as exact as a number near 0
    can be, all of one sign where the factor is near 1. It holds where the parameters that it does not ask for are
    `neutral` and, if `hard_targets`, the targets 0 or 1.
    """

    function: Callable[..., tuple[float, float, float]]
    sign: float
    hard_targets: bool
    neutral: Mapping[str, float]


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
    degenerate_means: str = "a zero vector"
    factored: Factored | None = None

    def arguments(self) -> tuple[str, ...]:
        return argument_names(self.function)

    def asks_for(self) -> set[str]:
        """The arguments of all its functions."""
        functions = [self.function, *(one.term for one in self.folds), *([self.gradient] if self.gradient else [])]
        return {name for function in functions for name in argument_names(function)}


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
    parameters: dict[str, tuple[float | str | None, Parameter]] = field(default_factory=dict)
    variants: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """What an option changes: for each of its values, the default first, facts that replace those here."""
    adapt: Callable[[Loss, Mapping[str, Any]], dict[str, Any]] | None = None
    """What numbers change: the facts, given this loss and its options."""
    target_transform: TargetTransform | None = None
    infinite: bool = False

    @property
    def scope(self) -> Scope:
        return next(iter(self.forms.values())).scope

    @property
    def summary(self) -> str:
        return self.description.partition("\n")[0].rstrip(".")

    @property
    def may_be_infinite(self) -> bool:
        """Whether infinity is a right answer (the log score of an impossible event), not an overflow."""
        return self.infinite or self.unit == "nat"

    @property
    def has_gradient(self) -> bool:
        return all(definition.gradient is not None for definition in self.forms.values())

    @property
    def required(self) -> dict[str, float]:
        """The parameters that have no default, with values that work."""
        return {name: facts.example for name, (_, facts) in self.parameters.items() if facts.example is not None}

    def settled(self, options: Mapping[str, Any]) -> Loss:
        """This loss as these options make it."""
        facts: dict[str, Any] = {}
        for option, values in self.variants.items():
            facts |= values[str(options[option])]
        settled = replace(self, **facts) if facts else self
        if settled.adapt is not None:
            settled = replace(settled, **settled.adapt(settled, options))
        return settled


LOSSES: dict[str, Loss] = {}
_DEFINITIONS: dict[Scalar, Definition] = {}
_FOLDS: dict[Scalar, Fold] = {}


def argument_names(function: Scalar) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def fold(monoid: Monoid, name: str | None = None) -> Callable[[Scalar], Scalar]:
    """Makes a scalar function the term of a fold that has this name, or its own."""

    def decorate(term: Scalar) -> Scalar:
        _FOLDS[term] = Fold(name or term.__name__, monoid, term)
        return term

    return decorate


def define(function: Scalar, prediction: Domain, scope: Scope, folds: tuple[Scalar, ...] = ()) -> Definition:
    """A definition that no loss has by itself: a variant is made of it."""
    definition = Definition(function.__name__, function, prediction, scope, tuple(_FOLDS[term] for term in folds))
    _DEFINITIONS[function] = definition
    return definition


def loss(
    *,
    formula: str,
    gradient_formula: str = "none: it has no slope but jumps",
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
    variants: dict[str, dict[str, dict[str, Any]]] | None = None,
    adapt: Callable[[Loss, Mapping[str, Any]], dict[str, Any]] | None = None,
    infinite: bool = False,
) -> Callable[[Scalar], Scalar]:
    """Registers a function as the definition of a loss of its name, in its default form `input`."""

    def decorate(function: Scalar) -> Scalar:
        LOSSES[function.__name__] = Loss(
            name=function.__name__,
            forms={input: define(function, prediction, scope, folds)},
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
            variants=variants or {},
            adapt=adapt,
            infinite=infinite,
        )
        return function

    return decorate


def form_of(name: str, input: str, prediction: Domain, folds: tuple[Scalar, ...] = ()) -> Callable[[Scalar], Scalar]:
    """Registers a function as the form of the loss `name` for predictions that are an `input`."""

    def decorate(function: Scalar) -> Scalar:
        owner = LOSSES[name]
        owner.forms[input] = define(function, prediction, owner.scope, folds)
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


def degenerate_for(definition: Scalar, means: str = "a zero vector") -> Callable[[Scalar], Scalar]:
    """Registers the condition under which a row has no defined loss and takes a conventional one: it is counted.

    `means` is what such a row holds, in words.
    """

    def decorate(function: Scalar) -> Scalar:
        _DEFINITIONS[definition].degenerate = function
        _DEFINITIONS[definition].degenerate_means = means
        return function

    return decorate


def factored_form_of(
    definition: Scalar, *, sign: float, hard_targets: bool = False, neutral: Mapping[str, float] | None = None
) -> Callable[[Callable[..., tuple[float, float, float]]], Callable[..., tuple[float, float, float]]]:
    """Registers a function as the factored form of a definition: see `Factored`."""

    def decorate(function: Callable[..., tuple[float, float, float]]) -> Callable[..., tuple[float, float, float]]:
        _DEFINITIONS[definition].factored = Factored(function, sign, hard_targets, neutral or {})
        return function

    return decorate


def variant_of(
    name: str, option: str, value: str, prediction: Domain, folds: tuple[Scalar, ...] = ()
) -> Callable[[Scalar], Scalar]:
    """Registers a function as the definition of the loss `name` where `option` has this value."""

    def decorate(function: Scalar) -> Scalar:
        owner = LOSSES[name]
        form = next(iter(owner.forms))
        owner.variants[option][value] = {"forms": {form: define(function, prediction, owner.scope, folds)}}
        return function

    return decorate


def _parameters(function: Scalar) -> list[tuple[str, tuple[float | str | None, Parameter]]]:
    hints = get_type_hints(function, include_extras=True)
    found = []
    for name, argument in inspect.signature(function).parameters.items():
        hint = hints.get(name)
        if get_origin(hint) is Annotated:
            facts = next(part for part in get_args(hint) if isinstance(part, Parameter))
            default = None if argument.default is argument.empty else float(argument.default)
            found.append((name, (facts.as_option(default), facts)))
    return found
