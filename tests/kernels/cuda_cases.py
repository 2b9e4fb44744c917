"""What the tests of the `cuda` backend run over: every loss of the registry, in every form, with each option."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossctl_kernels import LOSSES, Loss, Plan, Scope, resolve
from lossctl_kernels.batch import Array, Batch, Floats
from lossctl_kernels.domains import LOG_PROBABILITY, NONNEGATIVE, PROBABILITY, Domain
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.options import eps_modes

Given = dict[str, Any]

WIDTH = 3
NUMBERS = {"sign": 1.0}  # where twice the default is not allowed
OPTION_VALUES: dict[str, list[Given]] = {
    "label_smoothing": [{"label_smoothing": 0.1}],
    "smoothing_mode": [{"label_smoothing": 0.2, "smoothing_mode": "others"}],
    "class_weight": [{"class_weight": (0.5, 1.0, 2.0)}, {"class_weight": (0.5, 1.0, 2.0), "label_smoothing": 0.1}],
    "normalize": [{"normalize": True}, {"normalize": True, "eps": 1e-3}],
    "log_base": [{"log_base": "2"}],
    "row": [{"row": "sum"}],
}


def forms() -> list[tuple[str, Given]]:
    """(loss, options) for each form of each loss."""
    return [
        (name, {"input": form} if "input" in loss.options else {})
        for name, loss in LOSSES.items()
        for form in loss.forms
    ]


def variants() -> list[tuple[str, Given]]:
    """(loss, options) for each option of each form that changes what is computed, away from its default."""
    return [
        (name, {**given, **more})
        for name, given in forms()
        for option in dict.fromkeys((*LOSSES[name].options, *LOSSES[name].parameters))
        for more in _away_from_default(LOSSES[name], given.get("input", "prob"), option)
    ]


def _away_from_default(loss: Loss, input: str, option: str) -> list[Given]:
    if option in ("normalize", "eps_mode") and input != "prob":
        return []
    if option == "eps_mode":
        return [{"eps": 0.25, "eps_mode": mode} for mode in eps_modes(loss)]
    if option == "grad_wrt":
        return [{"grad_wrt": form} for form in loss.forms if form != input]
    if option == "preset":
        return [{"preset": preset} for preset in loss.presets]
    if option in loss.parameters:
        return [{option: NUMBERS.get(option, 2.0 * loss.parameters[option][0] + 0.5)}]
    return OPTION_VALUES.get(option, [])


def label(case: tuple[str, Given]) -> str:
    """A case as users write it: "bce:input=logit,row=sum"."""
    return f"{case[0]}:" + ",".join(f"{name}={value}" for name, value in case[1].items())


def plan_of(case: tuple[str, Given], width: int, dtype: str) -> Plan:
    """The plan of a case on rows of `width` values."""
    return Plan(resolve(LOSSES[case[0]], case[1]), width, dtype)


def batch_of(plan: Plan, rows: int, seed: int = 1) -> Batch:
    """Random valid rows for a plan, of two dimensions unless a row is one value of an elementwise loss."""
    random = np.random.default_rng(seed)
    shape = (rows, plan.width) if plan.scope is Scope.ROW or plan.width > 1 else (rows,)
    dtype = np.dtype(plan.prediction_dtype)
    if plan.sparse:
        target: Array = random.integers(0, plan.width, rows)
    elif plan.targets_sum_to_one:
        target = _draw(random, PROBABILITY, shape, distribution=True).astype(dtype)
        target[0] = np.eye(plan.width)[0]
    else:
        target = _draw(random, plan.settings.loss.target, shape).astype(dtype)
        target[::2] = np.round(target[::2])
    distribution = plan.scope is Scope.ROW and plan.prediction_domain in (PROBABILITY, LOG_PROBABILITY)
    return Batch(_draw(random, plan.prediction_domain, shape, distribution).astype(dtype), target)


def _draw(random: np.random.Generator, domain: Domain, shape: tuple[int, ...], distribution: bool = False) -> Floats:
    values = random.uniform(0.05, 0.95, shape)
    if distribution:
        values /= values.sum(axis=-1, keepdims=True)
    if domain is LOG_PROBABILITY:
        return np.asarray(np.log(values))
    if domain in (PROBABILITY, NONNEGATIVE):
        return values
    return random.normal(0.0, 3.0, shape)


def totals_of(plan: Plan, batch: Batch) -> dict[str, float]:
    """What the gradient of a loss over the data set needs to know of it."""
    if plan.scope is not Scope.DATASET:
        return {}
    ones = dict.fromkeys(plan.scales, 1.0)
    states = Interpreter().folds(plan, batch, ones)[1].sum(axis=0)
    names = (step.name for step in plan.folds.steps)
    return {**dict(zip(names, states.tolist(), strict=True)), **ones, "weight": float(batch.prediction.size)}
