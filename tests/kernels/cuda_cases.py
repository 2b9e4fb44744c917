"""What the tests of the `cuda` backend run over: every loss of the registry, in every form, with each option."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np

from lossctl_kernels import LOSSES, Loss, Plan, Scope, resolve
from lossctl_kernels.batch import Array, Batch, Floats
from lossctl_kernels.domains import LOG_PROBABILITY, Domain
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.options import SpecificationError, allowed_choices, eps_modes
from lossctl_kernels.program import Program
from lossctl_kernels.spec import Monoid, Parameter
from tests.kernels.cases import drawn
from tests.kernels.further import drawn_inputs

Given = dict[str, Any]
Case = tuple[str, Given]

WIDTH = 3
OPTION_VALUES: dict[str, list[Given]] = {
    "label_smoothing": [{"label_smoothing": 0.1}],
    "smoothing_mode": [{"label_smoothing": 0.2, "smoothing_mode": "others"}],
    "class_weight": [{"class_weight": (0.5, 1.0, 2.0)}, {"class_weight": (0.5, 1.0, 2.0), "label_smoothing": 0.1}],
    "normalize": [{"normalize": True}, {"normalize": True, "eps": 1e-3}],
    "log_base": [{"log_base": "2"}],
    "row": [{"row": "sum"}],
    "swap": [{"swap": True}],
}
# Tried in this order where twice the default and a half more is not allowed.
NUMBERS = (1.0, 0.5, 0.25, 0.1, 1.5, 3.0, -1.0, 0.01, 10.0, 0.0, 1e-4)


def forms() -> list[Case]:
    """(loss, options) for each form of each loss."""
    return [
        (name, {**loss.required, **({"input": form} if "input" in loss.options else {})})
        for name, loss in LOSSES.items()
        for form in loss.forms
    ]


def variants() -> list[Case]:
    """(loss, options) for each option that changes what is computed, away from its default, with each structure."""
    found: dict[Any, Case] = {}
    for name, given in forms():
        for option in dict.fromkeys((*LOSSES[name].options, *LOSSES[name].parameters)):
            for more in _away_from_default(LOSSES[name], given.get("input", "prob"), option):
                case = name, {**given, **more}
                # Some options exclude each other.
                with suppress(SpecificationError):
                    found.setdefault((structure(case), *more), case)
    return list(found.values())


def structures() -> list[Case]:
    """Forms that have between them all that kernels are put together from, each with something new."""
    chosen, seen = [], set[Any]()
    for case in forms():
        if plan_of(case, WIDTH, "float64").definition.row_function:
            continue
        found = features(case)
        if not found <= seen:
            seen |= found
            chosen.append(case)
    return chosen


def features(case: Case) -> set[Any]:
    """The parts of the kernels of a case: how data is read and checked, and each kind of fold, early or late."""
    scope, sparse, picked, (prediction_sums, target_sums), *_ = structure(case)
    plan = plan_of(case, WIDTH, "float64")
    data = {(scope, sparse), ("picked", sparse, picked), ("sums", prediction_sums, target_sums)}
    data |= {("inputs", *plan.row_inputs)}
    steps = [step for program in programs(plan) for step in program.steps]
    return data | {(scope, step.monoid, step.level > 0, step.when is None) for step in steps}


def programs(plan: Plan) -> list[Program]:
    """What is computed for the value and for the gradients, if there are any; nothing where row functions do that."""
    if plan.definition.row_function:
        return []
    value = plan.folds if plan.scope is Scope.DATASET else plan.value
    return [value, *map(plan.gradient_program_of, plan.gradient_names)]


def structure(case: Case) -> tuple[Any, ...]:
    """What decides which code a kernel consists of, apart from the functions of the loss."""
    plan = plan_of(case, WIDTH, "float64")
    if plan.definition.row_function:
        return (plan.definition.name,)
    steps = tuple(
        tuple((step.monoid, step.level, step.when is None) for step in program.steps) for program in programs(plan)
    )
    numbers = tuple(len(program.numbers) > 0 for program in programs(plan))
    sums = plan.rows_sum_to_one, plan.targets_sum_to_one
    return plan.scope, plan.sparse, plan.at_target_only, sums, numbers, steps, plan.by_column


def _away_from_default(loss: Loss, input: str, option: str) -> list[Given]:
    if option in loss.parameters:
        default, facts = loss.parameters[option]
        return [{option: another(default, facts)}, *([{option: (0.5, 1.0, 2.0)}] if facts.by_column else [])]
    if option in ("normalize", "eps_mode") and input != "prob":
        return []
    choices: dict[str, list[Given]] = {
        "eps_mode": [{"eps": 0.25, "eps_mode": mode} for mode in eps_modes(loss)],
        "grad_wrt": [{"grad_wrt": form} for form in loss.forms if form != input],
        "preset": [{"preset": preset} for preset in loss.presets],
    }
    if option in loss.variants or option == "kink":
        choices[option] = [{option: choice} for choice in allowed_choices(loss, option)[1:]]
    has = {*loss.options, *loss.parameters}
    return choices.get(option) or [given for given in OPTION_VALUES.get(option, []) if has.issuperset(given)]


def another(default: Any, facts: Parameter) -> Any:
    """A value of a parameter that is not its default."""
    if facts.words:
        return next(word for word in facts.words if word != default)
    first = () if default is None else (2.0 * default + 0.5,)
    return next(number for number in (*first, *facts.choices, *NUMBERS) if facts.allows(number) and number != default)


def label(case: Case) -> str:
    """A case as users write it: "bce:input=logit,row=sum"."""
    return f"{case[0]}:" + ",".join(f"{name}={value}" for name, value in case[1].items())


def plan_of(case: Case, width: int, dtype: str) -> Plan:
    """The plan of a case on rows of `width` values."""
    return Plan(resolve(LOSSES[case[0]], case[1]), width, dtype)


def batch_of(plan: Plan, rows: int, seed: int = 1) -> Batch:
    """Random valid rows for a plan, of two dimensions unless a row is one value of an elementwise loss."""
    if plan.definition.row_function:
        found = drawn(plan, rows, seed)
        return Batch(*found, inputs=drawn_inputs(plan.settings.loss, found[0]))
    random = np.random.default_rng(seed)
    shape = (rows, plan.width) if plan.scope is Scope.ROW or plan.width > 1 else (rows,)
    dtype = np.dtype(plan.prediction_dtype)
    if plan.sparse:
        target: Array = random.integers(0, plan.width, rows)
    elif plan.targets_sum_to_one:
        target = _distribution(random, shape).astype(dtype)
        target[:1] = np.eye(plan.width)[0]
    else:
        target = _draw(random, plan.settings.loss.target, shape).astype(dtype)
        if not plan.settings.loss.target.low_open:
            target[::2] = np.round(target[::2])
    if plan.rows_sum_to_one:
        prediction = _distribution(random, shape)
    elif plan.prediction_domain is LOG_PROBABILITY and plan.scope is Scope.ROW:
        prediction = np.log(_distribution(random, shape))
    else:
        prediction = _draw(random, plan.prediction_domain, shape)
    prediction = prediction.astype(dtype)
    return Batch(prediction, target, inputs=drawn_inputs(plan.settings.loss, prediction))


def _distribution(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    values = random.uniform(0.05, 0.95, shape)
    return np.asarray(values / values.sum(axis=-1, keepdims=True))


def _draw(random: np.random.Generator, domain: Domain, shape: tuple[int, ...]) -> Floats:
    if domain.labels:
        return random.choice(np.array(domain.labels), shape)
    if math.isfinite(domain.low):
        return random.uniform(domain.low + 0.05, min(domain.high, domain.low + 1.0) - 0.05, shape)
    if math.isfinite(domain.high):
        return domain.high - random.uniform(0.05, 3.0, shape)
    return random.normal(0.0, 3.0, shape)


def totals_of(plan: Plan, batch: Batch) -> dict[str, float]:
    """What the gradient of a loss over the data set needs to know of it."""
    if plan.scope is not Scope.DATASET:
        return {}
    ones = dict.fromkeys(plan.scales, 1.0)
    states = Interpreter().folds(plan, batch, ones)[1]
    totals = {
        step.name: float(column.max() if step.monoid is Monoid.MAX else column.sum())
        for step, column in zip(plan.folds.steps, states.T, strict=True)
    }
    return {**totals, **ones, "weight": float(batch.prediction.size)}
