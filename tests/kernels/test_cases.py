"""The helpers of these tests: the reference is right, comparisons can fail, and cases try what they say."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from lossctl_kernels import LOSSES, Parameter
from lossctl_kernels.batch import Batch
from lossctl_kernels.options import option_names
from tests.kernels import reference
from tests.kernels.cases import (
    OUTSIDE_THE_KERNELS,
    Case,
    Floats,
    draw,
    each,
    for_each_loss,
    forms,
    is_pooled,
    option_values,
    parameter_values,
    variants,
)
from tests.kernels.engines import assert_close, backend_of, dataset_value, sample_gradients, sample_losses


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workdps(reference.DIGITS):
        yield


# ---- comparison


@pytest.mark.parametrize(
    ("got", "exact"),
    [(1.0 + 2e-12, 1), (0.0, mpf("1e-300")), (math.nan, 1), (1.0, mpf("nan")), (math.inf, 1), (math.inf, mpf("-inf"))],
)
def test_a_difference_is_seen(got: float, exact: Any) -> None:
    with pytest.raises(AssertionError, match=r"\[1\]"):
        assert_close([0.0, got], [mpf(0), mpf(exact)], 1e-12)


@pytest.mark.parametrize(("got", "exact"), [(1.0 + 5e-13, 1), (math.nan, mpf("nan")), (-math.inf, mpf("-inf"))])
def test_what_is_close_passes(got: float, exact: Any) -> None:
    assert_close([got], [mpf(exact)], 1e-12)


def test_a_missing_number_is_seen() -> None:
    with pytest.raises(AssertionError):
        assert_close([1.0], [mpf(1), mpf(1)], 1e-12)


# ---- derivatives


def cube(row: list[Any]) -> Any:
    return row[0] ** 3 * row[1]


@pytest.mark.parametrize(
    ("wrong", "position"), [(lambda x, y: 3 * x * x, 0), (lambda x, y: -(x**3), 1), (lambda x, y: 0.0, 1)]
)
def test_a_wrong_gradient_is_seen(wrong: Any, position: int) -> None:
    point = [mpf(2), mpf("0.3")]
    exact = reference.derivative(cube, point, position)
    with pytest.raises(AssertionError):
        assert_close([wrong(2.0, 0.3)], [exact], 1e-6)
    assert_close([(3 * 4.0 * 0.3, 8.0)[position]], [exact], 1e-15)


@pytest.mark.parametrize("x", ["1e-9", "1", "-700", "1e200"])
def test_a_derivative_has_a_third_of_the_digits(x: str) -> None:
    found = reference.derivative(lambda row: mpmath.log(row[1] ** 2), [mpf(0), mpf(x)], 1)
    assert abs(found * mpf(x) / 2 - 1) < mpf(10) ** -20


# ---- the reference: numbers worked out by hand

BY_HAND: list[tuple[str, dict[str, Any], list[float], Any, float]] = [
    ("mse", {}, [3.0], [1.0], 4.0),
    ("half_mse", {}, [3.0], [1.0], 2.0),
    ("mae", {}, [-1.0], [1.0], 2.0),
    ("huber", {}, [3.0], [1.0], 1.5),
    ("huber", {"delta": 3.0}, [3.0], [1.0], 2.0),
    ("log_cosh", {}, [math.log(2.0)], [0.0], math.log(1.25)),
    ("bce", {}, [0.25], [1.0], math.log(4.0)),
    ("bce", {"pos_weight": 2.0}, [0.25], [1.0], 2.0 * math.log(4.0)),
    ("bce", {"label_smoothing": 0.5}, [0.25], [1.0], 0.75 * math.log(4.0) + 0.25 * math.log(4.0 / 3.0)),
    ("bce", {"input": "logit"}, [0.0], [0.3], math.log(2.0)),
    ("bce", {"eps": 0.25, "eps_mode": "clip"}, [0.0], [1.0], math.log(4.0)),
    ("bce", {"eps": 0.25, "eps_mode": "add"}, [0.25], [1.0], math.log(2.0)),
    ("bce", {"eps": -3.0, "eps_mode": "log_floor"}, [0.0], [1.0], 3.0),
    ("bce", {"log_base": "2"}, [0.25], [1.0], 2.0),
    ("cce", {}, [0.5, 0.25, 0.25], [0.0, 1.0, 0.0], math.log(4.0)),
    ("cce", {"normalize": True}, [1.0, 1.0, 2.0], [0.0, 1.0, 0.0], math.log(4.0)),
    ("cce", {"class_weight": (1.0, 3.0, 1.0)}, [0.5, 0.25, 0.25], [0.0, 1.0, 0.0], 3.0 * math.log(4.0)),
    ("cce", {"label_smoothing": 0.3}, [0.5, 0.25, 0.25], [0.0, 1.0, 0.0], 1.9 * math.log(2.0)),
    (
        "cce",
        {"label_smoothing": 0.3, "smoothing_mode": "others"},
        [0.5, 0.25, 0.25],
        [0.0, 1.0, 0.0],
        1.85 * math.log(2.0),
    ),
    ("cce", {"input": "logit"}, [0.0, math.log(3.0)], [1.0, 0.0], math.log(4.0)),
    ("cce", {"input": "log_prob"}, [-1.0, -2.0], [0.5, 0.5], 1.5),
    ("scce", {}, [0.5, 0.25, 0.25], 2, math.log(4.0)),
    ("cosine_similarity", {}, [3.0, 4.0], [1.0, 0.0], -0.6),
    ("cosine_similarity", {"sign": 1.0}, [3.0, 4.0], [1.0, 0.0], 0.6),
    ("cosine_similarity", {"eps": 10.0}, [3.0, 4.0], [1.0, 0.0], -0.03),
    ("cosine_distance", {}, [3.0, 4.0], [0.0, 1.0], 0.2),
]


@pytest.mark.parametrize(("loss", "options", "prediction", "target", "expected"), BY_HAND)
def test_the_reference_by_hand(
    loss: str, options: dict[str, Any], prediction: list[float], target: Any, expected: float
) -> None:
    found = reference.losses(loss, options, np.array([prediction]), np.array([target]))
    assert [float(value) for value in found] == [pytest.approx(expected, rel=1e-15)]


def test_the_reference_over_the_data_set_by_hand() -> None:
    prediction, target, weights = np.array([1.0, 5.0]), np.array([0.0, 1.0]), np.array([3.0, 1.0])
    assert float(reference.dataset_loss("rmse", {}, prediction, target, weights)) == pytest.approx(
        math.sqrt(19.0 / 4.0)
    )
    assert float(reference.dataset_loss("cosine_global", {}, prediction, target)) == pytest.approx(
        -5.0 / math.sqrt(26.0)
    )


@pytest.mark.parametrize(
    ("source", "to"), [("logit", "prob"), ("logit", "log_prob"), ("prob", "log_prob"), ("log_prob", "prob")]
)
def test_conversions_of_rows_keep_the_distribution(source: str, to: str) -> None:
    row = [mpf(p) / 10 for p in (2, 3, 5)]
    logs = [mpmath.log(p) for p in row]
    forms_of_row = {"prob": row, "log_prob": logs, "logit": [x + 7 for x in logs]}
    found = reference.convert("cce", forms_of_row[source], source, to)
    assert_close([float(x) for x in found], forms_of_row[to], 1e-15)


# ---- cases


def results(case: Case) -> tuple[float, ...]:
    """What the interpreter makes of a case: values and gradients."""
    plan, engine = case.plan(), backend_of("python")
    if is_pooled(case):
        return (dataset_value(engine, plan, Batch(*draw(case, 2))),)
    data = draw(case, 8)
    values = sample_losses(engine, plan, *data)
    slopes = sample_gradients(engine, plan, *data) if LOSSES[case.loss].has_gradient else values
    return (*values.tolist(), *slopes.ravel().tolist())


def option_groups(case: Case) -> dict[str, list[Case]]:
    """The cases of each option of a form."""
    loss, form = LOSSES[case.loss], str(case.options.get("input", "prob"))
    groups = {option: option_values(loss, form, option) for option in option_names(loss)}
    return {option: [case | more for more in values] for option, values in groups.items() if values}


# With more values than results: log-probabilities of a row and its logits may have one gradient, with three classes
# "auto" is "off", labels are drawn alike, however they are spelled, and those of sequences fit into their frames.
FEWER_RESULTS = {"grad_wrt": 2, "scale_by_half": 2, "labels": 1, "zero_infinity": 1, "infeasible": 1}


@for_each_loss(forms())
def test_the_values_of_an_option_differ(cases: list[Case]) -> None:
    """A case that changes nothing tests nothing."""
    each(cases, assert_options_differ)


def assert_options_differ(case: Case) -> None:
    for option, cases in option_groups(case).items():
        different = {results(one) for one in cases}
        assert len(different) >= FEWER_RESULTS.get(option, min(3, len(cases))), option


def test_every_option_of_the_kernels_has_values() -> None:
    tried = {option for case in forms() for option in option_groups(case)}
    known = {option for loss in LOSSES.values() for option in (*loss.options, *loss.parameters)}
    assert tried == known - OUTSIDE_THE_KERNELS - {"input"} - ({"eps"} - tried)


@pytest.mark.parametrize(
    "facts",
    [
        Parameter("", above=0.0), Parameter("", at_least=0.0), Parameter("", at_most=2.0), Parameter(""),
        Parameter("", at_least=0.0, at_most=1.0), Parameter("", choices=(-1.0, 1.0)),
        Parameter("", above=0.0, below=2.0),
    ],
    ids=Parameter.range,
)  # fmt: skip
def test_values_of_a_parameter_are_allowed_and_different(facts: Parameter) -> None:
    values = parameter_values(1.0, facts)
    assert all(facts.allows(value) for value in values)
    assert len(set(values)) >= (2 if facts.choices else 4)


@for_each_loss(variants())
def test_data_lies_in_the_domains(cases: list[Case]) -> None:
    each(cases, assert_data_in_domains)


def assert_data_in_domains(case: Case) -> None:
    prediction, target = draw(case, 8)
    plan = case.plan()
    low, high = plan.prediction_domain.bounds()
    assert ((prediction >= low) & (prediction <= high)).all()
    assert len(np.unique(prediction)) == prediction.size or not LOSSES[case.loss].has_gradient
    if plan.rows_sum_to_one:
        assert_sums_to_one(prediction)
    if plan.sparse:
        assert set(target.tolist()) <= {0, 1, 2}
        return
    domain = plan.settings.loss.target
    low, high = domain.bounds()
    assert ((target >= low) & (target <= high)).all()
    assert set(target.ravel().tolist()) <= set(domain.labels or target.ravel().tolist())
    if plan.targets_sum_to_one:
        assert_sums_to_one(target)


def assert_sums_to_one(rows: Floats) -> None:
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-15)


def test_cases_have_different_names() -> None:
    names = sorted(str(case) for case in variants())
    repeated = {name for name, group in groupby(names) if len(list(group)) > 1}
    # An end of a range that is its default as well.
    assert all(LOSSES[name.partition(":")[0]].parameters for name in repeated), repeated
