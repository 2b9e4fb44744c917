"""Whether a loss is what it says: a gradient that is the slope of its value, values over its whole domain, and the same
from interpreted and compiled code."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.backends import choose, compiler_faults
from lossctl.catalogue.loss_spec import LossSpec, Shapes, find, gradient_hint, settle
from lossctl.checks.finite_differences import Slopes, slopes
from lossctl.checks.objectives import Objective, objective_of
from lossctl.checks.points import parameter_sets
from lossctl.errors import EnvironmentFault, UsageError, visible
from lossctl.results import finite_or_none, plain, spelled
from lossctl_kernels import Plan, Scope, Settings
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.records import replace

Floats = NDArray[np.float64]

SCHEMA = "lossctl.check/1"
WIDTH = 3
TOLERANCE = 1e-5
"""Of the gradient, relative: differences of correct gradients are below 1e-8, wrong formulas far above."""
NOISE = 1e-8
"""Of a comparison: what is below says nothing about where it is worst."""
AGREEMENT = 1e-9
LARGEST_ORDINARY = 100.0
"""Beyond this, a value that overflows is reported, and is no fault."""


@dataclass(frozen=True)
class Place:
    """Where a loss was looked at; `column` says which prediction of the row, where it has several."""

    parameters: Mapping[str, Any]
    prediction: Any
    target: Any
    inputs: Mapping[str, Any]
    column: int | None

    def to_document(self) -> dict[str, Any]:
        """In JSON types."""
        document = {"parameters": {name: plain(value) for name, value in self.parameters.items()}}
        document |= {"prediction": plain(self.prediction), "target": plain(self.target)}
        document |= {"inputs": {name: plain(value) for name, value in self.inputs.items()}} if self.inputs else {}
        return document | ({} if self.column is None else {"column": self.column})

    def __str__(self) -> str:
        numbers = {"prediction": self.prediction, "target": self.target, **self.inputs, **self.parameters}
        text = ", ".join(f"{name}={spelled(value)}" for name, value in numbers.items())
        return text if self.column is None else f"{text}; by prediction {self.column}"


@dataclass(frozen=True)
class CrossCheck:
    """One number in two ways; `second` is the finite difference, or what the other backend has."""

    first: float
    second: float
    error: float
    """Relative to the larger one; of the gradient, 0 where it lies between the slopes on both sides of a kink."""
    place: Place


@dataclass(frozen=True)
class Check:
    """What was found of a loss. `gradient` is None where it has none, `backends` where there is nothing to compare."""

    loss: str
    source: str | None
    settings: int
    points: int
    undecided: int
    """Points where differences say nothing: at a jump, or where the value is infinite."""
    gradient: CrossCheck | None
    has_gradient: bool
    how_to_add: str
    """What to do for a gradient where there is none."""
    undefined: Place | None
    """Where the value is not a number, or infinite where it should not be."""
    overflow: Place | None
    backends: CrossCheck | None
    no_compiler: str | None

    @property
    def faults(self) -> tuple[str, ...]:
        """What does not hold, a line each."""
        found = []
        if self.undefined is not None:
            found.append(f"the value is not a finite number at {self.undefined}")
        if self.gradient is not None and not self.gradient.error <= TOLERANCE:
            numbers = f"{self.gradient.first:.10g} where differences give {self.gradient.second:.10g}"
            found.append(f"the gradient is {numbers}, at {self.gradient.place}")
        if self.has_gradient and self.gradient is None:
            found.append("the gradient could not be compared anywhere: the value has no slope at any point")
        if self.backends is not None and not self.backends.error <= AGREEMENT:
            numbers = f"{self.backends.first!r} interpreted and {self.backends.second!r} compiled"
            found.append(f"the loss is {numbers}, at {self.backends.place}")
        return tuple(found)

    def to_document(self) -> dict[str, Any]:
        """The document of `--format json`; a non-finite number is null."""
        document: dict[str, Any] = {"schema": SCHEMA, "loss": self.loss, "status": "fail" if self.faults else "ok"}
        document |= {} if self.source is None else {"source": self.source}
        document |= {"settings": self.settings, "points": self.points, "undecided": self.undecided}
        document["value"] = {
            "undefined": None if self.undefined is None else self.undefined.to_document(),
            "overflow": None if self.overflow is None else self.overflow.to_document(),
        }
        document["gradient"] = _compared(self.gradient, "gradient", "finite_difference")
        document["backends"] = _compared(self.backends, "python", "cpu")
        document |= {} if self.has_gradient else {"hint": self.how_to_add}
        return document | {"faults": list(self.faults)}


def _compared(found: CrossCheck | None, first: str, second: str) -> dict[str, Any] | None:
    if found is None:
        return None
    numbers = {first: found.first, second: found.second, "relative_error": found.error}
    return {name: finite_or_none(number) for name, number in numbers.items()} | found.place.to_document()


def check(spec: LossSpec) -> Check:
    """Looks at a loss at random and at awkward points, with several values of each parameter that the SPEC leaves open.

    Raises UsageError for a SPEC that is wrong, or of a loss that no data can be drawn for.
    """
    candidates = find(spec.name)
    if len(candidates) > 1:
        names = ", ".join(loss.name for loss, _ in candidates)
        raise UsageError(f"{visible(spec.name)} may be {names}", hint="name the one that you mean")
    if "grad_wrt" in spec.options:
        raise UsageError("check takes the derivative by the predictions as they are", hint="leave grad_wrt out")
    loss = candidates[0][0]
    objectives = [objective_of(plan, number) for number, plan in enumerate(_plans(spec))]
    seen = [_compare_gradient(each) for each in objectives if each.has_gradient]
    compared = [found for each in seen for found in each[0]]
    values = [(each, each.values(each.predictions)) for each in objectives]
    backends, no_compiler = _compare_backends(objectives)
    return Check(
        loss=loss.name,
        source=next(iter(loss.variants["source"]), None) if "source" in loss.variants else None,
        settings=len(objectives),
        points=sum(len(each.predictions) for each in objectives),
        undecided=sum(each[1] for each in seen),
        gradient=max(compared, key=lambda each: _rank(each.error) if not each.error <= NOISE else 0.0, default=None),
        has_gradient=loss.has_gradient,
        how_to_add=gradient_hint(loss),
        undefined=_first(_undefined(values)),
        overflow=_first(_overflowing(values)),
        backends=backends,
        no_compiler=no_compiler,
    )


def _rank(error: float) -> float:
    return math.inf if math.isnan(error) else error


def _first(places: Iterable[Place]) -> Place | None:
    return next(iter(places), None)


def _plans(spec: LossSpec) -> Iterator[Plan]:
    """The loss with each set of parameters that goes together with the options of the SPEC."""
    loss = find(spec.name)[0][0]
    width = len(str(spec.options.get("class_weight", "|" * (WIDTH - 1))).split("|"))
    row = (width,) if loss.scope is Scope.ROW else ()
    shapes = Shapes(row, () if loss.target_kind is TargetKind.INDEX else row)
    for number, parameters in enumerate(parameter_sets(loss, spec.options)):
        options = {**spec.options, **{name: spelled(value) for name, value in parameters.items()}}
        try:
            settings = settle(replace(spec, options=options), {}, shapes)
        except UsageError:
            if number == 0:  # what the user wrote
                raise
            continue
        yield Plan(settings, width if row else 1)


# ---- the gradient


def _compare_gradient(objective: Objective) -> tuple[list[CrossCheck], int]:
    """(the worst comparison, if any; how many points are undecided)."""
    domain = objective.plan.prediction_domain
    low, high = domain.low, domain.high
    compared, undecided = [], 0
    for column, points in objective.columns():
        found = slopes(partial(objective.values_along, column), points, low, high)
        gradient = objective.gradient()[:, column] if objective.width > 1 else objective.gradient().reshape(-1)
        nearest, error = _errors(gradient, found)
        undecided += int(np.count_nonzero(np.isneginf(error)))
        at = _worst(error, objective)
        if not np.isneginf(error[at]):
            place = _place(objective, at, column if objective.width > 1 else None)
            compared.append(CrossCheck(float(gradient[at]), float(nearest[at]), float(error[at]), place))
    return compared, undecided


def _worst(error: Floats, objective: Objective) -> int:
    """Where the error is largest; of those about as large, the point of the plainest numbers, for people to follow."""
    ranked = np.where(np.isnan(error), np.inf, error)
    close = ranked >= (0.9 * ranked.max() if ranked.max() > NOISE else 0.0)
    size = np.abs(np.log2(np.maximum(objective.largest(), 1e-9)))
    return int(np.argmin(np.where(close, size, np.inf)))


def _errors(gradient: Floats, found: Slopes) -> tuple[Floats, Floats]:
    """(the slope that a gradient is compared with, the relative error), the error -inf where nothing is known.

    Where the slopes on both sides differ, everything from the one to the other is right.
    """
    with np.errstate(all="ignore"):
        known_left, known_right = _known(found.left, found.left_error), _known(found.right, found.right_error)
        apart = np.abs(found.left - found.right) > 10.0 * (found.left_error + found.right_error) + TOLERANCE * (
            np.abs(found.left) + np.abs(found.right)
        )
        kink = known_left & known_right & apart
        one_sided = np.where(found.left_error < found.right_error, found.left, found.right)
        central = _known(found.central, found.central_error) & ~kink
        nearest = np.where(central, found.central, one_sided)
        low, high = np.minimum(found.left, found.right), np.maximum(found.left, found.right)
        nearest = np.where(kink, np.clip(gradient, low, high), nearest)
        nearest = np.where(kink & np.isnan(gradient), low, nearest)
        off_by = np.where(central, found.central_error, np.minimum(found.left_error, found.right_error))
        # A difference within what the slope is off by counts for a tenth of the tolerance.
        largest = np.maximum(np.maximum(np.abs(gradient), np.abs(nearest)), 10.0 * off_by / TOLERANCE)
        error = np.abs(gradient - nearest) / np.where(largest == 0.0, 1.0, largest)
        error = np.where(np.isfinite(gradient), error, np.inf)
    return nearest, np.where(central | known_left | known_right, error, -np.inf)


def _known(slope: Floats, error: Floats) -> NDArray[np.bool_]:
    """Whether a slope is known to four digits, or to be about 0."""
    return np.isfinite(slope) & (error <= 1e-4 * np.abs(slope) + 1e-7)


# ---- values


def _undefined(values: list[tuple[Objective, Floats]]) -> Iterator[Place]:
    for objective, found in values:
        ordinary = objective.largest() <= LARGEST_ORDINARY
        wrong = np.isnan(found)
        if not objective.plan.settings.loss.may_be_infinite:
            wrong |= np.isinf(found) & ordinary
        yield from (_place(objective, int(row), None) for row in np.flatnonzero(wrong))


def _overflowing(values: list[tuple[Objective, Floats]]) -> Iterator[Place]:
    for objective, found in values:
        if not objective.plan.settings.loss.may_be_infinite:
            beyond = np.isinf(found) & (objective.largest() > LARGEST_ORDINARY)
            yield from (_place(objective, int(row), None) for row in np.flatnonzero(beyond))


def _place(objective: Objective, row: int, column: int | None) -> Place:
    settings: Settings = objective.plan.settings
    parameters = {name: settings.options[name] for name in settings.loss.parameters}
    prediction, target, inputs = objective.row(row)
    return Place(parameters, prediction, target, inputs, column)


# ---- backends


def _compare_backends(objectives: list[Objective]) -> tuple[CrossCheck | None, str | None]:
    """(the worst comparison of interpreted with compiled values and gradients, why there is none)."""
    try:
        plans = [(each.plan, "float64") for each in objectives]
        with compiler_faults():
            backend = choose("cpu", 0, None, plans, gradient=True)
            found = [_compare(each, each.on(backend)) for each in objectives]
    except EnvironmentFault as error:
        return None, error.message
    return max(found, key=lambda each: _rank(each.error), default=None), None


def _compare(interpreted: Objective, compiled: Objective) -> CrossCheck:
    pairs = [(interpreted.values(interpreted.predictions), compiled.values(compiled.predictions))]
    if interpreted.has_gradient:
        pairs += list(zip(interpreted.gradient().T, compiled.gradient().T, strict=True))
    return max((_farthest(interpreted, *pair) for pair in pairs), key=lambda each: each.error)


def _farthest(objective: Objective, first: Floats, second: Floats) -> CrossCheck:
    """Where two results for the points of an objective are farthest apart, beside the sizes of the numbers."""
    with np.errstate(all="ignore"):
        size = np.maximum(np.maximum(np.abs(first), np.abs(second)), 1e-3 * (1.0 + objective.largest()))
        error = np.where((first == second) | (np.isnan(first) & np.isnan(second)), 0.0, np.abs(first - second) / size)
    error = np.where(np.isnan(error), np.inf, error)
    at = int(np.argmax(error))
    return CrossCheck(float(first[at]), float(second[at]), float(error[at]), _place(objective, at, None))
