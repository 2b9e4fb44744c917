"""What a loss is: registration, parameters, domains, and facts that every entry of the registry must have."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator
from typing import Annotated, Any

import pytest

from lossctl_kernels import LOSSES, Definition, Loss, Parameter, Scope
from lossctl_kernels.arguments import argument_names
from lossctl_kernels.domains import LOG_PROBABILITY, LOGIT, NONNEGATIVE, PROBABILITY, REAL, Domain, TargetKind
from lossctl_kernels.options import OPTIONS
from lossctl_kernels.spec import (
    PEERS,
    Monoid,
    degenerate_for,
    fold,
    form_of,
    gradient_of,
    loss,
    share,
)

NAN, INF = math.nan, math.inf
LARGEST = 1.7976931348623157e308


@pytest.fixture
def _registry() -> Iterator[None]:
    """What a test registers is gone afterwards."""
    before = dict(LOSSES)
    yield
    LOSSES.clear()
    LOSSES.update(before)


# ---- parameters


@pytest.mark.parametrize(
    ("parameter", "allowed", "refused", "words"),
    [
        (Parameter("", above=0.0), [1e-300, INF], [0.0, -1.0, NAN], "> 0"),
        (Parameter("", at_least=0.0), [0.0, 3.0], [-1e-300, NAN], ">= 0"),
        (Parameter("", at_most=1.5), [1.5, -INF], [1.6, NAN], "<= 1.5"),
        (Parameter("", at_least=0.0, at_most=1.0), [0.0, 0.5, 1.0], [-0.1, 1.1, NAN], ">= 0 and <= 1"),
        (Parameter("", choices=(-1.0, 1.0)), [-1.0, 1.0], [0.0, 2.0, NAN], "one of -1, 1"),
        (Parameter("", at_least=0.0, whole=True), [0.0, 7.0], [0.5, 1e-300, -1.0, NAN], ">= 0 and whole"),
        (Parameter(""), [-1e300, 0.0], [NAN], "any number"),
    ],
)
def test_range_of_a_parameter(parameter: Parameter, allowed: list[float], refused: list[float], words: str) -> None:
    assert all(parameter.allows(value) for value in allowed)
    assert not any(parameter.allows(value) for value in refused)
    assert parameter.range() == words


# ---- domains


@pytest.mark.parametrize(
    ("domain", "inside", "outside", "text"),
    [
        (REAL, [-LARGEST, 0.0, LARGEST], [-INF, INF, NAN], "(-inf, inf)"),
        (NONNEGATIVE, [0.0, -0.0, LARGEST], [-5e-324, INF, NAN], "[0, inf)"),
        (PROBABILITY, [0.0, -0.0, 5e-324, 1.0], [-5e-324, 1.0 + 2.0**-52, NAN], "[0, 1]"),
        (LOGIT, [-INF, -LARGEST, LARGEST], [INF, NAN], "[-inf, inf)"),
        (LOG_PROBABILITY, [-INF, -1.0, 0.0], [5e-324, INF, NAN], "[-inf, 0]"),
    ],
    ids=lambda value: value.name if isinstance(value, Domain) else "",
)
def test_bounds_of_a_domain(domain: Domain, inside: list[float], outside: list[float], text: str) -> None:
    low, high = domain.bounds()
    assert all(low <= value <= high for value in inside)
    assert not any(low <= value <= high for value in outside)
    assert str(domain) == text


# ---- registration


@pytest.mark.usefixtures("_registry")
def test_a_loss_is_what_its_functions_say() -> None:
    @fold(Monoid.SUM)
    def total(prediction: float) -> float:
        return prediction

    @loss(scope=Scope.ROW, folds=(total,), formula="f", gradient_formula="g", unit="nat", options=("denom",))
    def excess(
        total: float, slope: Annotated[float, Parameter("steepness", above=0.0)] = 2.0, hidden: float = -1.0
    ) -> float:
        """The sum above one.

        More about it.
        """
        return slope * (total - 1.0) + hidden

    @gradient_of(excess)
    def excess_gradient(slope: float) -> float:
        return slope

    @gradient_of(excess, by="logit")
    def excess_gradient_by_logit(slope: float, total: float) -> float:
        return slope * total

    @degenerate_for(excess)
    def is_empty(total: float) -> bool:
        return total == 0.0

    @form_of("excess", "logit", LOGIT)
    def excess_from_logits(prediction: float) -> float:
        return prediction

    entry = LOSSES["excess"]
    assert list(entry.forms) == ["value", "logit"]
    assert entry.scope is entry.forms["logit"].scope is Scope.ROW
    assert (entry.summary, entry.unit, entry.may_be_infinite) == ("The sum above one", "nat", True)
    assert entry.description == "The sum above one.\n\nMore about it."
    assert entry.parameters == {"slope": (2.0, Parameter("steepness", above=0.0))}
    definition = entry.forms["value"]
    assert [(one.name, one.monoid) for one in definition.folds] == [("total", Monoid.SUM)]
    assert definition.gradient is excess_gradient
    assert definition.gradient_by == {"logit": excess_gradient_by_logit}
    assert definition.degenerate is is_empty
    assert definition.arguments() == ("total", "slope", "hidden")
    assert entry.forms["logit"].prediction is LOGIT
    assert entry.forms["logit"].gradient is None


@pytest.mark.usefixtures("_registry")
def test_a_shared_loss_differs_only_where_it_says() -> None:
    share(LOSSES["mae"], name="copy", description="A copy.", options=("row",))
    copy, owner = LOSSES["copy"], LOSSES["mae"]
    assert (copy.name, copy.description, copy.options) == ("copy", "A copy.", ("row",))
    assert copy.forms is owner.forms
    assert copy.formula == owner.formula
    assert owner.name == "mae"


# ---- every entry

losses = pytest.mark.parametrize("entry", LOSSES.values(), ids=list(LOSSES))
definitions = pytest.mark.parametrize(
    ("entry", "definition"),
    [(entry, definition) for entry in LOSSES.values() for definition in entry.forms.values()],
    ids=[f"{name}-{form}" for name, entry in LOSSES.items() for form in entry.forms],
)


def test_the_registry_holds_what_it_should() -> None:
    assert set(LOSSES) == {
        "mse", "half_mse", "mae", "rmse", "mape", "smape", "wape", "msle", "rmsle", "huber", "smooth_l1",
        "pseudo_huber", "log_cosh", "quantile", "epsilon_insensitive", "squared_epsilon_insensitive", "max_error",
        "poisson",
        "poisson_nll", "poisson_deviance", "gamma_deviance", "tweedie_deviance", "bce", "binary_focal", "hinge",
        "squared_hinge", "modified_huber", "perceptron", "soft_margin", "exponential", "hinge_embedding", "brier",
        "binary_sparsemax", "zero_one", "hamming", "contrastive", "cce", "scce", "nll", "gce", "categorical_focal",
        "poly1", "categorical_hinge", "multiclass_hinge", "multi_margin", "multiclass_perceptron", "brier_multiclass",
        "ranking_softmax", "fenchel_young", "multilabel_soft_margin", "kl_divergence", "generalized_kl",
        "js_divergence", "tversky", "dice", "cosine_similarity", "cosine_distance", "cosine_global", "sparsemax",
        "multilabel_margin", "circle", "ntxent", "gaussian_nll", "margin_ranking", "cosine_embedding", "triplet_margin",
        "ctc", "median_ae", "generalized_dice", "label_ranking", "coverage_error",
    }  # fmt: skip


@losses
def test_an_entry_is_documented(entry: Loss) -> None:
    assert entry.name == next(name for name, other in LOSSES.items() if other is entry)
    assert entry.formula
    assert entry.gradient_formula
    assert entry.summary
    assert "\n" not in entry.summary
    assert all(facts.description for _, facts in entry.parameters.values())


@losses
def test_options_and_parameters_of_an_entry_exist(entry: Loss) -> None:
    assert set(entry.options) <= set(OPTIONS)
    assert len(set(entry.options)) == len(entry.options)
    assert ("input" in entry.options) == (list(entry.forms) != ["value"])
    assert set(entry.presets) <= set(PEERS)
    assert ("preset" in entry.options) == bool(entry.presets)
    assert set(entry.aliases) <= {*PEERS, "other"}
    for name, (default, facts) in entry.parameters.items():
        assert facts.allows(facts.as_number(default if name not in entry.required else facts.example)) or facts.optional
    assert ("log_base" in entry.options) == (entry.unit == "nat")


def test_no_name_means_two_losses() -> None:
    """But for those of one framework that go by the shape of the data, such as log_loss."""
    owners: dict[tuple[str, str], set[str]] = {}
    for entry in LOSSES.values():
        for peer, names in entry.aliases.items():
            for name in names:
                owners.setdefault((peer, name), set()).add(entry.name)
    twice = {key for key, found in owners.items() if len(found) > 1}
    by_shape = {"log_loss", "CrossEntropyLoss", "cross_entropy", "brier_score_loss", "hinge_loss"}
    by_shape |= {"focal_loss", "FocalLoss"}
    assert {name.partition(":")[0] for _, name in twice} <= by_shape
    assert all(found == {name} for (_, name), found in owners.items() if name in LOSSES)


@definitions
def test_a_definition_asks_only_for_what_there_is(entry: Loss, definition: Definition) -> None:
    if definition.row_function:  # which has arguments of other kinds: see test_row_functions.py
        return
    known = {"prediction", "target", "index", "class_weight", *entry.inputs, *entry.parameters}
    known |= {"eps_mode"} if "eps" in entry.parameters and len(entry.parameters["eps"][1].modes) > 1 else set()
    for one in definition.folds:
        assert_known(one.term, known, entry)
        known.add(one.name)
    weight = {"weight"} if definition.scope is Scope.DATASET else set()
    assert_known(definition.function, known | weight, entry)
    if definition.gradient is not None:
        assert_known(definition.gradient, known | weight, entry)
    for function in (*definition.gradient_by.values(), *definition.input_gradients.values()):
        assert_known(function, known, entry)
    if definition.scope is Scope.ELEMENT:
        assert not definition.folds
    else:
        assert "prediction" not in argument_names(definition.function)


@definitions
def test_annotations_are_values_which_take_no_time_to_read(entry: Loss, definition: Definition) -> None:
    for function in definition.functions():
        assert not any(isinstance(hint, str) for hint in function.__annotations__.values()), (entry.name, function)


def test_what_has_no_gradient() -> None:
    without = {name for name, entry in LOSSES.items() if not entry.has_gradient}
    assert without == {"zero_one", "hamming", "max_error", "median_ae", "label_ranking", "coverage_error"}


def assert_known(function: Any, known: set[str], entry: Loss) -> None:
    """Every argument is known, or a number with a default that only a preset or a guard sets."""
    hidden = {
        name
        for name, argument in inspect.signature(function).parameters.items()
        if argument.default is not argument.empty
    }
    assert set(argument_names(function)) <= known | hidden, (entry.name, function.__name__)


@definitions
def test_domains_fit_the_kind_of_target(entry: Loss, definition: Definition) -> None:
    if entry.target_kind is not TargetKind.SAME:
        assert definition.scope is (Scope.PAIRS if entry.target_kind is TargetKind.GROUP else Scope.ROW)
    if entry.target_kind is TargetKind.DISTRIBUTION:
        assert entry.target is PROBABILITY
