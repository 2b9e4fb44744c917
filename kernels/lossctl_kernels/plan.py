"""What to compute for one loss on data of one shape: programs and numbers, with nothing of a backend in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import REQUIRED, argument_names, defaults_of
from .domains import NONNEGATIVE, Domain, TargetKind
from .options import KINKS, Settings, SpecificationError
from .program import Program, fold_program, gradient_program, input_gradient_program, value_program
from .records import Record, replace
from .reduce import block_rows
from .spec import Definition, InputShape, Loss, Monoid, Scope, TargetTransform
from .transforms import CLASS_WEIGHT, CONVERSIONS, GUARDS, NORMALIZE, SMOOTH, Transform


class Plan(Record):
    """`settings` on rows of `width` values of `prediction_dtype`. The programs are made when they are asked for."""

    settings: Settings
    width: int
    prediction_dtype: str = "float64"
    counts_degenerate: bool = False
    rows_a_block: int | None = None
    """Where these rows are parts of longer ones, so many of which make a block; None is what the width says."""

    def __post_init__(self) -> None:
        for name in ("class_weight", "alpha"):
            weights = self._by_class(name)
            if weights is not None and len(weights) != self.width:
                raise SpecificationError(
                    f"{self.settings.loss.name}: {name} has {len(weights)} weights for {self.width} classes",
                    "give one weight for each class",
                )
        name = self.by_column or ""
        if name and len(self.settings.options[name]) != self.width:
            raise SpecificationError(
                f"{self.settings.loss.name}: {name} has {len(self.settings.options[name])} numbers for rows of "
                f"{self.width}",
                "give one number for each column, or one for all",
            )

    def _by_class(self, name: str) -> tuple[float, ...] | None:
        """The numbers of an option that has one for each class; of `alpha` one may stand for all."""
        weights = self.settings[name] if name in self.settings.loss.options else None
        return weights * self.width if name == "alpha" and weights and len(weights) == 1 else weights

    @cached_property
    def by_column(self) -> str | None:
        """The parameter that has a number for each value of a row, if one has."""
        parameters, options = self.settings.loss.parameters, self.settings.options
        return next((name for name in parameters if isinstance(options[name], tuple)), None)

    @cached_property
    def memory(self) -> dict[tuple[Any, ...], Any]:
        """What a backend keeps of what it has worked out for this plan: batches may be small, and come in thousands."""
        return {}

    @cached_property
    def definition(self) -> Definition:
        return self.settings.definition

    @cached_property
    def scope(self) -> Scope:
        return self.definition.scope

    @property
    def sparse(self) -> bool:
        """Whether the target is a class index."""
        return self.settings.loss.target_kind is TargetKind.INDEX

    @property
    def at_target_only(self) -> bool:
        """Whether target sums have the one term of the class index."""
        return self.sparse and self.zeros_add_nothing

    @property
    def zeros_add_nothing(self) -> bool:
        """Whether the terms of target sums are 0 where the target is 0, as it was given."""
        return not self.settings["label_smoothing"]

    @cached_property
    def block_rows(self) -> int:
        return self.rows_a_block or block_rows(self.width)

    @property
    def prediction_domain(self) -> Domain:
        """What predictions may be: any non-negative numbers where each row is divided by its sum."""
        return NONNEGATIVE if self.settings["normalize"] else self.definition.prediction

    @property
    def rows_sum_to_one(self) -> bool:
        """Whether each row of predictions must be a distribution."""
        return self.definition.prediction.rows_sum_to_one and not self.settings["normalize"]

    @property
    def targets_sum_to_one(self) -> bool:
        return self.settings.loss.target_kind is TargetKind.DISTRIBUTION

    @property
    def tolerance(self) -> float:
        """How far a row of probabilities may sum from 1: what rounding and printing leave in each dtype."""
        return 1e-6 if self.prediction_dtype == "float64" else 1e-3

    @property
    def eps(self) -> float:
        eps = self.settings.options.get("eps", 0.0)
        return float(np.finfo(self.prediction_dtype).eps) if eps == "machine" else float(eps)

    @cached_property
    def class_weights(self) -> NDArray[np.float64]:
        """One weight for each class, or what else is given for each column; ones where nothing is."""
        weights = self._by_class("class_weight") or self._by_class("alpha")
        if self.by_column:
            weights = self.settings.options[self.by_column]
        return np.ones(self.width) if weights is None else np.array(weights, np.float64)

    @property
    def gradient_names(self) -> tuple[str, ...]:
        """What a gradient may be with respect to: the prediction, "target", or a further input of its shape."""
        own = ("prediction",) if self.definition.gradient is not None else ()
        return own + tuple(name for name in self.definition.input_gradients if name != "target" or not self._targets)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The further arrays that the programs read row by row."""
        asked, facts = self.definition.asks_for(), self.settings.loss.inputs
        return tuple(name for name in facts if name in asked and facts[name].shape is not InputShape.WHOLE)

    @property
    def row_inputs(self) -> tuple[bool, ...]:
        """Of each of the `inputs`, whether it has one number for a row, and not one for each prediction."""
        return tuple(self.settings.loss.inputs[name].shape is InputShape.ONE_A_ROW for name in self.inputs)

    # ---- numbers

    @cached_property
    def numbers(self) -> Mapping[str, float]:
        """The parameters, what the transformations need, and what a preset sets in the definition."""
        options, values = self.settings.options, {}
        for name, (_, facts) in self.settings.loss.parameters.items():
            if name == self.by_column:
                continue
            values[name] = facts.as_number(options[name])
            if name == "eps" and len(facts.modes) > 1:
                values["eps_mode"] = float(facts.modes.index(self.settings["eps_mode"]))
        for name, default in _hidden_numbers(self.settings.loss).items():
            values[name] = float(self.settings.hidden.get(name, default))
        if "width" in values:
            values["width"] = float(self.width)
        if self.settings["kink"] in KINKS:
            values["kink"] = KINKS[self.settings["kink"]]
        if self._guard == "log_floor":
            values["log_floor"] = self.eps
        elif self._guard:
            values["eps"] = self.eps
        smoothing = self.settings["label_smoothing"]
        if smoothing:
            values["smoothing_keep"], values["smoothing_offset"] = self._smoothing(smoothing)
        return values

    def _smoothing(self, share: float) -> tuple[float, float]:
        classes = self.width if self.scope is Scope.ROW else 2
        if self.settings["smoothing_mode"] == "others":
            if classes < 2:
                raise SpecificationError(f"{self.settings.loss.name}: smoothing_mode=others needs two classes or more")
            return 1.0 - share - share / (classes - 1), share / (classes - 1)
        return 1.0 - share, share / classes

    def vector(self, program: Program, more: Mapping[str, float] | None = None) -> NDArray[np.float64]:
        """The numbers of a program in its order; `more` are those known only after a pass over the data."""
        known = {**self.numbers, **(more or {})}
        return np.array([known[name] for name in program.numbers], np.float64)

    # ---- transformations

    @property
    def _guard(self) -> str | None:
        """The guard of probabilities, where one is asked for; norms are held by a parameter of the definition."""
        if "eps" not in self.settings.loss.options or not self.eps or self.settings.input != "prob":
            return None
        return str(self.settings["eps_mode"])

    @property
    def _transforms(self) -> tuple[Transform, ...]:
        normalize = (NORMALIZE,) if self.settings["normalize"] and not self._divides_itself else ()
        guard = (GUARDS[self._guard],) if self._guard in GUARDS else ()
        return normalize + guard

    @property
    def _divides_itself(self) -> bool:
        """Whether the definition has the sum of the row, by which others see it divided."""
        return any(fold.name == NORMALIZE.folds[0].name for fold in self.definition.folds)

    @property
    def _targets(self) -> tuple[TargetTransform, ...]:
        transform = self.settings.loss.target_transform
        labels = () if transform is None else (transform,)
        smooth = (SMOOTH,) if self.settings["label_smoothing"] else ()
        weigh = (CLASS_WEIGHT,) if self.settings["class_weight"] is not None and not self._weighs_itself else ()
        return labels + smooth + weigh

    @property
    def _weighs_itself(self) -> bool:
        """Whether the definition asks for the weight of a class, which otherwise multiplies the target."""
        return any("class_weight" in argument_names(fold.term) for fold in self.definition.folds)

    # ---- programs

    @cached_property
    def value(self) -> Program:
        """The loss of a value or a row."""
        measured = self.definition.degenerate if self.counts_degenerate else None
        numbers = tuple(self.numbers)
        return value_program(
            self.definition, self._transforms, self._targets, numbers, measured, self.inputs, self.by_column
        )

    @cached_property
    def factored(self) -> Program | None:
        """The factored form of the loss, for sums alone, where the definition has one that these settings allow."""
        form = self.definition.factored
        if form is None or self.counts_degenerate or (form.hard_targets and (self._targets or self._transforms)):
            return None
        if any(self.numbers.get(name, number) != number for name, number in form.neutral.items()):
            return None
        numbers = tuple(self.numbers)
        program = value_program(self.definition, self._transforms, self._targets, numbers, form.function, self.inputs)
        return replace(program, kind="factored", form=form)

    @cached_property
    def folds(self) -> Program:
        """The terms of the folds over the data set."""
        return fold_program(self.definition, tuple(self.numbers))

    @cached_property
    def gradient(self) -> Program:
        """The derivative with respect to the prediction, or to the form that `grad_wrt` names."""
        wrt, numbers = self.settings["grad_wrt"], tuple(self.numbers)
        if not wrt or wrt == self.settings.input:
            transforms = self._transforms
            return gradient_program(
                self.definition, transforms, self._targets, numbers, None, self.inputs, self.by_column
            )
        direct = self.definition.gradient_by.get(wrt)
        if direct:
            return gradient_program(self.definition, (), self._targets, numbers, direct, self.inputs, self.by_column)
        kind = "row" if self.scope is Scope.ROW else "element"
        # None from log-probabilities to logits: they are logits.
        found = CONVERSIONS.get((kind, self.settings.input, wrt))
        conversion = () if found is None else (found,)
        other = self.settings.loss.forms[wrt]
        return gradient_program(other, conversion, self._targets, numbers, None, self.inputs, self.by_column)

    def gradient_program_of(self, name: str) -> Program:
        """The derivative with respect to one of the `gradient_names`."""
        if name == "prediction":
            return self.gradient
        numbers = tuple(self.numbers)
        return input_gradient_program(
            self.definition, name, self._transforms, self._targets, numbers, self.inputs, self.by_column
        )

    @cached_property
    def degenerate(self) -> Plan | None:
        """A plan whose "loss" is 1 for rows that have no defined loss, else 0; None where every row has one."""
        if self.definition.degenerate is None or self.scope not in (Scope.ROW, Scope.PAIRS) or self.counts_degenerate:
            return None
        return replace(self, counts_degenerate=True)

    @property
    def scales(self) -> tuple[str, ...]:
        """The folds over the data set that are scales: 1 unless magnitudes are extreme."""
        return tuple(fold.name for fold in self.definition.folds if fold.monoid is Monoid.SCALE)


def _hidden_numbers(loss: Loss) -> dict[str, float]:
    """Arguments of the definitions that have a plain default: numbers that only a preset or a guard sets."""
    found = {}
    for definition in loss.forms.values():
        for function in definition.functions():
            for name, default in defaults_of(function).items():
                if default is not REQUIRED and name not in loss.parameters:
                    found[name] = float(default)
    return found
