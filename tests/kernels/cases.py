"""What tests over the registry run over: every loss in every form with several values of each option, and its data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import LOSSES, Loss, Parameter, Plan, Scope, resolve
from lossctl_kernels.batch import Array
from lossctl_kernels.domains import LOG_PROBABILITY, REAL, Domain, TargetKind
from lossctl_kernels.options import eps_modes, option_names
from tests.kernels.sequence_formulas import FRAMES

Floats = NDArray[np.float64]
Options = dict[str, Any]

WIDTH = 3
# Decided where data sets are read and numbers are reported; presets have closed forms of their own in test_options.
OUTSIDE_THE_KERNELS = {
    *("denom", "detach_weights", "empty", "grad_scale", "ignore_background", "ignore_index"),
    *("kink", "multioutput", "preset"),
}
GUARD_VALUES = {
    "clip": (1e-7, 0.1, 0.25),
    "floor": (1e-7, 0.1, 0.25),
    "add": (1e-7, 1e-3, 5e-3),  # the largest probability drawn is 0.99
    "log_floor": (-100.0, -2.0, -0.5),
}
SMOOTHINGS = (0.05, 0.3, 1.0)
CLASS_WEIGHTS = ((0.5, 1.0, 2.0), (3.0, 3.0, 3.0), (0.0, 1.5, 0.25))
ALPHAS = ((0.25,), (0.5, 1.0, 2.0), (3.0, 0.0, 0.25))
POWERS = (-1.5, 0.0, 1.0, 1.0 + 1e-9, 1.3, 1.5, 2.0 - 1e-6, 2.0, 3.0)


@dataclass(frozen=True)
class Case:
    """A loss with options that differ from the defaults."""

    loss: str
    options: Options = field(default_factory=dict)

    def __str__(self) -> str:
        """As users write it: "bce:input=logit,row=sum"."""
        return ":".join([self.loss, *([",".join(f"{k}={v}" for k, v in self.options.items())] if self.options else [])])

    def plan(self, width: int = WIDTH, dtype: str = "float64") -> Plan:
        return Plan(resolve(LOSSES[self.loss], self.options), width, dtype)

    def __or__(self, more: Options) -> Case:
        return Case(self.loss, {**self.options, **more})


def each(cases: Iterable[Case], check: Callable[[Case], None]) -> None:
    """Checks every case in one test; what fails is told together, by case."""
    failures = []
    for case in cases:
        try:
            check(case)
        except AssertionError as failure:
            failures.append(f"{case}: {failure}")
    assert not failures, "\n".join(failures)


# One loss for each way in which a kernel is built, for what depends on nothing else.
REPRESENTATIVES = [
    Case("mae"),
    Case("bce"),
    Case("hinge", {"labels": "01"}),
    Case("cce"),
    Case("cce", {"input": "logit"}),
    Case("scce", {"input": "logit"}),
    Case("cosine_distance"),
    Case("rmse"),
    Case("max_error"),
]


def parametrize(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """A test for each case, named as users write it."""
    return pytest.mark.parametrize("case", cases, ids=str)


def forms() -> list[Case]:
    """Every form of every loss, with defaults."""
    return [
        Case(name, loss.required | ({"input": form} if "input" in loss.options else {}))
        for name, loss in LOSSES.items()
        for form in loss.forms
    ]


def definitions() -> list[Case]:
    """Every form of every loss in each of its variants: all that has a definition or targets of its own."""
    found = [
        case | {option: value}
        for case in forms()
        for option, values in LOSSES[case.loss].variants.items()
        for value in [*values][1:]
        if option != "scope" or value == "sample"
    ]
    dropped = [
        case | {"link": link, "drop_constant": True}
        for case in forms()
        if "drop_constant" in LOSSES[case.loss].options
        for link in LOSSES[case.loss].variants["link"]
    ]
    return [*forms(), *found, *dropped]


def variants() -> list[Case]:
    """Every form of every loss, with at least three values of each option where there are three."""
    found = [
        case | more
        for case in forms()
        for option in option_names(LOSSES[case.loss])
        for more in option_values(LOSSES[case.loss], str(case.options.get("input", "prob")), option)
    ]
    return [*forms(), *found]


def compiled_definitions() -> list[Case]:
    """What has a function of its own; another spelling of the targets is a transformation around it."""
    return [case for case in definitions() if not {"labels", "target"} & set(case.options)]


def compiled_options() -> list[Case]:
    """Every option around a probability and around a row of them: other losses have the same transformations."""
    around = {"bce": ("prob", "logit"), "scce": ("prob",)}
    return [case for case in variants() if case.options.get("input") in around.get(case.loss, ())]


def is_pooled(case: Case) -> bool:
    """Whether there is one loss for the whole data set."""
    return case.plan().scope is Scope.DATASET


def is_row_function(case: Case) -> bool:
    """Whether its definition is a function of arrays, which no program is made of."""
    return case.plan().definition.row_function is not None


def by_loss(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases of each loss."""
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(case.loss, []).append(case)
    return found


def for_each_loss(cases: Iterable[Case]) -> pytest.MarkDecorator:
    """A test for each loss, with all its cases."""
    found = by_loss(cases)
    return pytest.mark.parametrize("cases", found.values(), ids=list(found))


def option_values(loss: Loss, form: str, option: str) -> list[Options]:  # noqa: PLR0911 - one for each kind of option
    """Options to set, so that `option` is tried. A new option that this does not know is a KeyError."""
    if option in OUTSIDE_THE_KERNELS or option == "input":
        return []
    if option in loss.parameters:
        if option not in (loss.forms.get(form) or next(iter(loss.forms.values()))).asks_for():
            return []
        if option == "blank":
            return [{option: value} for value in (0, 1, WIDTH - 1)]
        if option == "power":
            return [{option: value} for value in POWERS]
        if option == "eps" and loss.forms.get(form, next(iter(loss.forms.values()))).prediction.high == 1.0:
            return [{option: value} for value in (1e-7, 0.1, 0.25)]
        more = {"alpha": 0.2} if option == "swapped" else {}
        return [{option: value, **more} for value in parameter_values(*loss.parameters[option])]
    if option == "scope":
        return [{option: "sample"}]
    if option in loss.variants:
        return [{option: value} for value in loss.variants[option]]
    if option == "eps_mode" and "eps" in loss.parameters and len(eps_modes(loss)) > 1:
        return [{"eps": eps, "eps_mode": mode} for mode in eps_modes(loss) for eps in (1e-6, 0.3, 2.0)]
    if option in ("eps", "eps_mode", "normalize") and (form != "prob" or "eps" in loss.parameters):
        return []
    guards = [{"eps": eps, "eps_mode": mode} for mode in eps_modes(loss) for eps in GUARD_VALUES.get(mode, ())]
    smoothings: list[Options] = [{"label_smoothing": share} for share in SMOOTHINGS]
    weights: list[Options] = [{"class_weight": vector} for vector in CLASS_WEIGHTS]
    values: dict[str, list[Options]] = {
        "eps": [],  # with its modes
        "eps_mode": guards,
        "normalize": [
            {"normalize": True, **more} for more in ({}, *(guards[1::3] if "normalize" in loss.options else ()))
        ],
        "label_smoothing": smoothings,
        "smoothing_mode": [{**share, "smoothing_mode": "others"} for share in smoothings],
        "alpha": [{"alpha": vector} for vector in ALPHAS],
        "drop_constant": [{"drop_constant": True, **more} for more in dropping(loss)],
        "class_weight": [*weights, *smoothed(loss, weights, smoothings)],
        "log_base": [{"log_base": base} for base in ("e", "2", "10")],
        "swap": [{"swap": swap} for swap in (False, True)],
        "row": [{"row": row} for row in ("mean", "sum")],
        "grad_wrt": [{"grad_wrt": other} for other in loss.forms],
    }
    return values[option]


def smoothed(loss: Loss, weights: list[Options], smoothings: list[Options]) -> list[Options]:
    """Both at once, where a loss has both."""
    both = [{**a, **b} for a, b in zip(weights, smoothings, strict=True)]
    return both if "label_smoothing" in loss.options else []


def dropping(loss: Loss) -> list[Options]:
    """What the constant of a deviance depends on: its power, and whether both links leave out the same."""
    links: list[Options] = [{"link": link} for link in loss.variants["link"]] if "drop_constant" in loss.options else []
    powers: list[Options] = [{"power": power} for power in POWERS] if "power" in loss.parameters else [{}]
    return [{**link, **power} for link in links for power in powers]


def parameter_values(default: Any, facts: Parameter) -> list[Any]:
    """The default and three more values that are allowed, an end that is included among them."""
    if facts.words or facts.choices:
        return list(facts.words or facts.choices)
    low = next((bound for bound in (facts.at_least, facts.above) if bound is not None), -4.0)
    high = next((bound for bound in (facts.at_most, facts.below) if bound is not None), low + 8.0)
    ends = [bound for bound in (facts.at_least, facts.at_most) if bound is not None]
    start = [] if default is None and not facts.optional else [default]
    return [*start, *(low + share * (high - low) for share in (0.1, 0.7, 0.9)), *ends]


# ---- data


def draw(case: Case, rows: int, width: int = WIDTH, dtype: str = "float64", seed: int = 1) -> tuple[Array, Array]:
    """(prediction, target) within the domains: (rows, width), or (rows,) where an elementwise row is one value."""
    return drawn(case.plan(width, dtype), rows, seed)


def drawn(plan: Plan, rows: int, seed: int = 1) -> tuple[Array, Array]:
    """The same for a plan."""
    width, dtype, random = plan.width, plan.prediction_dtype, np.random.default_rng(seed)
    shape: tuple[int, ...] = (rows, width) if plan.scope in (Scope.ROW, Scope.PAIRS) or width > 1 else (rows,)
    if plan.settings.loss.target_kind is TargetKind.SEQUENCE:
        shape = (rows, FRAMES, width)
    if plan.definition.gradient is None:
        targets = plan.settings.loss.target.labels or (0.0, 1.0, 2.0)
        return random.integers(0, 3, shape).astype(dtype), random.choice(targets, shape).astype(dtype)
    prediction = _predictions(plan, random, shape)
    kind = plan.settings.loss.target_kind
    if kind is TargetKind.SEQUENCE:
        return prediction.astype(dtype), _spelled(random, rows, width, int(plan.numbers["blank"]))
    if kind is TargetKind.GROUP:
        # Vectors of length 1, where that is what a loss takes.
        norms = np.linalg.norm(prediction, axis=-1, keepdims=True) if plan.settings.loss.name == "circle" else 1.0
        labels = random.integers(0, 2, rows)
        labels[:1] = 2  # a row that has no positive
        return (prediction / norms).astype(dtype), labels
    if kind is TargetKind.LABELS:
        lists = np.array([random.permutation(width) for _ in range(rows)])
        lists[np.arange(rows), random.integers(0, width, rows)] = -1
        return prediction.astype(dtype), lists
    if plan.sparse:
        return prediction.astype(dtype), random.integers(0, width, rows)
    if plan.targets_sum_to_one:
        target = _distribution(random, shape)
        target[::2] = np.eye(width)[random.integers(0, width, len(target[::2]))]
    else:
        target = _targets(plan.settings.loss.target, random, shape)
    return prediction.astype(dtype), target.astype(dtype)


def _spelled(random: np.random.Generator, rows: int, width: int, blank: int) -> NDArray[np.int64]:
    """None to two labels a row, which fit into the frames, with blanks behind them."""
    labels = random.choice([k for k in range(width) if k != blank] or [blank], (rows, 2))
    for row in range(rows):
        labels[row, row % 3 :] = blank
    return np.asarray(labels, np.int64)


def _targets(domain: Domain, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    if domain.labels:
        return random.choice(domain.labels, shape)
    if domain is REAL:
        return random.normal(0.0, 2.0, shape)
    if domain is LOG_PROBABILITY:
        return np.asarray(np.log(_distribution(random, shape)))
    target = _inside(random, domain, shape)
    if not domain.low_open:
        target[::2] = np.round(target[::2])
    return target


def _predictions(plan: Plan, random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    if plan.rows_sum_to_one:
        return _distribution(random, shape)
    if plan.prediction_domain is LOG_PROBABILITY:
        return np.asarray(np.log(_distribution(random, shape)))
    if math.isinf(plan.prediction_domain.low):
        return random.normal(0.0, 2.0, shape)
    return _inside(random, plan.prediction_domain, shape)


def _inside(random: np.random.Generator, domain: Domain, shape: tuple[int, ...]) -> Floats:
    high = domain.high if math.isfinite(domain.high) else domain.low + 2.5
    return random.uniform(domain.low + 0.01, high - 0.01, shape)


def _distribution(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    values = random.uniform(0.02, 1.0, shape)
    return np.asarray(values / values.sum(axis=-1, keepdims=True))
