"""What a loss is, and the registry of all. Imports no Numba and knows no arrays: here are the facts of definitions.

A *definition* is a plain scalar function with the folds that it asks for (`definition.py`). `gradient_of` adds the
derivative with respect to one prediction, or to one number of another array, given the folds. Nothing else is written
for a loss: kernels, validation, command-line options, reference and tests are derived.

A *loss* is what users name: one definition for each domain of the prediction (`forms`: `prob`, `logit`, …), the kind of
target, the options of `options.py` that it takes, and its names elsewhere. An option may make another loss of it, of
the same name: `variants` says with which facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from .arguments import REQUIRED, defaults_of
from .definition import Definition, Factored, Fold, Monoid, Scalar, Scope, TargetTransform
from .domains import REAL, Domain, TargetKind
from .facts import Input, InputShape, Parameter, Pooling, RowFunction
from .records import Record, field, replace

__all__ = [
    "LOSSES",
    "PEERS",
    "Definition",
    "Factored",
    "Fold",
    "Input",
    "InputShape",
    "Loss",
    "Monoid",
    "Parameter",
    "Pooling",
    "RowFunction",
    "Scalar",
    "Scope",
    "TargetTransform",
    "define",
    "definition_of",
    "degenerate_for",
    "factored_form_of",
    "fold",
    "form_of",
    "gradient_of",
    "is_gradient",
    "loss",
    "registering",
    "row_function",
    "share",
    "variant_of",
]

Function = TypeVar("Function", bound=Callable[..., Any])
PEERS = ("keras", "torch", "optax", "sklearn")


class Loss(Record, frozen=False):
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
    """Options by framework; those for one form, for means, or for one choice of an option under "prob", "mean" or
    "distance=lp".
    """
    source: str = ""
    docstring: str = ""
    parameters: dict[str, tuple[float | str | None, Parameter]] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    """Further arrays next to predictions and targets, by the name that definitions ask for them by."""
    variants: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """What an option changes: for each of its values, the default first, facts that replace those here."""
    adapt: Callable[[Loss, Mapping[str, Any]], dict[str, Any]] | None = None
    """What numbers change: the facts, given this loss and its options."""
    idle: tuple[str, ...] = ()
    """Options and parameters that mean nothing as this loss is settled: to give one is an error."""
    target_transform: TargetTransform | None = None
    infinite: bool = False
    pooling: Pooling = Pooling.MEAN
    origin: str = ""
    """Where a loss that is not built in was defined, in words."""

    @property
    def scope(self) -> Scope:
        return next(iter(self.forms.values())).scope

    @property
    def summary(self) -> str:
        return self.docstring.strip().partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        """What its definition says of it, without the indentation."""
        from inspect import cleandoc

        return cleandoc(self.docstring)

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
_REGISTRY: ContextVar[dict[str, Loss]] = ContextVar("_REGISTRY", default=LOSSES)
_DEFINITIONS: dict[Scalar, Definition] = {}
_FOLDS: dict[Scalar, Fold] = {}
_ROW_FUNCTIONS: dict[Scalar, RowFunction] = {}


@contextmanager
def registering(registry: dict[str, Loss]) -> Iterator[None]:
    """What this thread registers meanwhile goes into `registry`, and not into `LOSSES`."""
    token = _REGISTRY.set(registry)
    try:
        yield
    finally:
        _REGISTRY.reset(token)


def fold(
    monoid: Monoid, name: str | None = None, when: Callable[..., bool] | None = None
) -> Callable[[Scalar], Scalar]:
    """Makes a scalar function the term of a fold that has this name, or its own; `when` is the condition of `Fold`."""

    def decorate(term: Scalar) -> Scalar:
        _FOLDS[term] = Fold(name or term.__name__, monoid, term, when)
        return term

    return decorate


def row_function(*, scratch: Callable[..., int], **facts: Any) -> Callable[[Scalar], Scalar]:
    """Says that a function is one of a whole row, before it is made a definition: see `RowFunction`."""

    def decorate(function: Scalar) -> Scalar:
        _ROW_FUNCTIONS[function] = RowFunction(scratch, **facts)
        return function

    return decorate


def definition_of(function: Scalar) -> Definition:
    """The definition that a function is, or becomes: then of real numbers, value by value."""
    return _DEFINITIONS.get(function) or define(function, REAL, Scope.ELEMENT)


def define(function: Scalar, prediction: Domain, scope: Scope, folds: tuple[Scalar, ...] = ()) -> Definition:
    """A definition that no loss has by itself: a variant is made of it.

    Raises ValueError for a fold that has a condition and is no sum over a row.
    """
    terms = tuple(_FOLDS[term] for term in folds)
    for one in terms:
        if one.when is not None and (one.monoid is not Monoid.SUM or scope is not Scope.ROW):
            raise ValueError(f"{function.__name__}: the fold {one.name} is no sum over a row, and has a condition")
    definition = Definition(function.__name__, function, prediction, scope, terms)
    definition.row_function = _ROW_FUNCTIONS.get(function)
    _DEFINITIONS[function] = definition
    return definition


def loss(
    *,
    formula: str = "",
    gradient_formula: str = "none: it has no slope but jumps",
    input: str = "value",
    prediction: Domain = REAL,
    target_kind: TargetKind = TargetKind.SAME,
    target: Domain = REAL,
    scope: Scope = Scope.ELEMENT,
    folds: tuple[Scalar, ...] = (),
    options: tuple[str, ...] = (),
    unit: str = "",
    inputs: Mapping[str, Input] | None = None,
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    presets: Mapping[str, Mapping[str, Any]] | None = None,
    source: str = "",
    variants: dict[str, dict[str, dict[str, Any]]] | None = None,
    adapt: Callable[[Loss, Mapping[str, Any]], dict[str, Any]] | None = None,
    infinite: bool = False,
    pooling: Pooling = Pooling.MEAN,
) -> Callable[[Scalar], Scalar]:
    """Registers a function as the definition of a loss of its name, in its default form `input`."""

    def decorate(function: Scalar) -> Scalar:
        definition = define(function, prediction, scope, folds)
        _REGISTRY.get()[function.__name__] = Loss(
            name=function.__name__,
            forms={input: definition},
            target_kind=target_kind,
            target=target,
            options=options,
            formula=formula,
            gradient_formula=gradient_formula,
            unit=unit,
            aliases=aliases or {},
            presets=presets or {},
            source=source,
            docstring=function.__doc__ or "",
            parameters=dict(found for each in definition.functions() for found in _parameters(each)),
            inputs=inputs or {},
            variants=variants or {},
            adapt=adapt,
            infinite=infinite,
            pooling=pooling,
        )
        return function

    return decorate


def form_of(name: str, input: str, prediction: Domain, folds: tuple[Scalar, ...] = ()) -> Callable[[Scalar], Scalar]:
    """Registers a function as the form of the loss `name` for predictions that are an `input`."""

    def decorate(function: Scalar) -> Scalar:
        owner = _REGISTRY.get()[name]
        definition = owner.forms[input] = define(function, prediction, owner.scope, folds)
        for each in definition.functions():
            for parameter, facts in _parameters(each):
                owner.parameters.setdefault(parameter, facts)
        return function

    return decorate


def share(owner: Loss, *, name: str, description: str, **facts: Any) -> None:
    """Registers another loss on the definitions of `owner`: what is not given is the same."""
    _REGISTRY.get()[name] = replace(owner, name=name, docstring=description, **facts)


def gradient_of(definition: Scalar, by: str | None = None, of: str = "prediction") -> Callable[[Function], Function]:
    """Registers the derivative of a definition with respect to one prediction, or to what it is in the form `by`.

    `of` names another array that it is with respect to: a further input, or "target". A function that is no definition
    yet becomes one, of real numbers value by value.
    """

    owner = definition_of(definition)

    def decorate(function: Function) -> Function:
        if of != "prediction":
            owner.input_gradients[of] = function
        elif by is None:
            owner.gradient = function
        else:
            owner.gradient_by[by] = function
        return function

    return decorate


def is_gradient(function: object) -> bool:
    """Whether it is registered as the derivative of a definition."""
    return any(
        function is each
        for definition in _DEFINITIONS.values()
        for each in (definition.gradient, *definition.gradient_by.values(), *definition.input_gradients.values())
    )


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
    definition: Scalar,
    *,
    sign: float,
    hard_targets: bool = False,
    neutral: Mapping[str, float] | None = None,
    within: tuple[float, float] | None = None,
    cancels: bool = False,
) -> Callable[[Callable[..., tuple[float, float, float]]], Callable[..., tuple[float, float, float]]]:
    """Registers a function as the factored form of a definition: see `Factored`."""

    def decorate(function: Callable[..., tuple[float, float, float]]) -> Callable[..., tuple[float, float, float]]:
        _DEFINITIONS[definition].factored = Factored(function, sign, hard_targets, neutral or {}, within, cancels)
        return function

    return decorate


def variant_of(
    name: str, option: str, value: str, prediction: Domain, folds: tuple[Scalar, ...] = ()
) -> Callable[[Scalar], Scalar]:
    """Registers a function as the definition of the loss `name` where `option` has this value."""

    def decorate(function: Scalar) -> Scalar:
        owner = _REGISTRY.get()[name]
        form = next(iter(owner.forms))
        owner.variants[option][value] = {"forms": {form: define(function, prediction, owner.scope, folds)}}
        return function

    return decorate


def _parameters(function: Scalar) -> list[tuple[str, tuple[float | str | None, Parameter]]]:
    hints = function.__annotations__
    if any(isinstance(hint, str) for hint in hints.values()):  # as `from __future__ import annotations` leaves them
        hints = get_type_hints(function, include_extras=True)
    found = []
    for name, default in defaults_of(function).items():
        hint = hints.get(name)
        if get_origin(hint) is Annotated:
            facts = next(part for part in get_args(hint) if isinstance(part, Parameter))
            found.append((name, (facts.as_option(None if default is REQUIRED else float(default)), facts)))
    return found
