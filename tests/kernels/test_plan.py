"""Plans: what is computed for one loss on data of one shape."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan, Scope, SpecificationError, resolve
from lossctl_kernels.domains import (
    ABOVE_MINUS_ONE,
    CLASS_PROBABILITY,
    LOG_PROBABILITY,
    LOGIT,
    NONNEGATIVE,
    POSITIVE,
    PROBABILITY,
    REAL,
)
from lossctl_kernels.losses.binary import TORCH_FLOOR
from tests.kernels.cases import Case, definitions, each, for_each_loss, forms, is_row_function


def plan(loss: str, width: int = 3, dtype: str = "float64", **options: Any) -> Plan:
    return Plan(resolve(LOSSES[loss], options), width, dtype)


@pytest.mark.parametrize("weights", [(1.0, 2.0), (1.0, 2.0, 3.0, 4.0)])
def test_there_is_one_class_weight_for_each_class(weights: tuple[float, ...]) -> None:
    with pytest.raises(SpecificationError, match=rf"class_weight has {len(weights)} weights for 3 classes") as caught:
        plan("cce", class_weight=weights)
    assert caught.value.hint == "give one weight for each class"


def test_factors_of_classes_are_their_weights() -> None:
    assert plan("categorical_focal", alpha="0.25").class_weights.tolist() == [0.25] * 3
    assert plan("categorical_focal", alpha="0.5|1|2").class_weights.tolist() == [0.5, 1.0, 2.0]
    with pytest.raises(SpecificationError, match="alpha has 2 weights for 3 classes"):
        plan("categorical_focal", alpha="0.5|1")


def test_class_weights_are_ones_where_none_are_given() -> None:
    assert plan("cce").class_weights.tolist() == [1.0, 1.0, 1.0]
    assert plan("scce", class_weight="0|1|2.5").class_weights.tolist() == [0.0, 1.0, 2.5]


@pytest.mark.parametrize(
    ("case", "domain", "row_sums"),
    [
        (Case("mse"), REAL, False),
        (Case("bce"), PROBABILITY, False),
        (Case("bce", {"input": "logit"}), LOGIT, False),
        (Case("cce"), CLASS_PROBABILITY, True),
        (Case("kl_divergence", {"target": "log_prob"}), CLASS_PROBABILITY, True),
        (Case("dice", {"scope": "sample"}), PROBABILITY, False),
        (Case("generalized_kl"), NONNEGATIVE, False),
        (Case("poisson"), POSITIVE, False),
        (Case("poisson", {"eps": 1e-7}), NONNEGATIVE, False),
        (Case("msle"), ABOVE_MINUS_ONE, False),
        (Case("msle", {"preset": "keras"}), REAL, False),
        (Case("tweedie_deviance", {"power": 0}), REAL, False),
        (Case("tweedie_deviance", {"power": 3, "link": "log"}), REAL, False),
        (Case("scce", {"normalize": True}), NONNEGATIVE, False),
        (Case("cce", {"input": "logit"}), LOGIT, False),
        (Case("cce", {"input": "log_prob"}), LOG_PROBABILITY, False),
        (Case("cce", {"preset": "keras"}), NONNEGATIVE, False),
        (Case("cosine_distance"), REAL, False),
    ],
    ids=str,
)
def test_what_predictions_must_be(case: Case, domain: Any, row_sums: bool) -> None:
    assert case.plan().prediction_domain is domain
    assert case.plan().rows_sum_to_one == row_sums


def test_what_targets_must_be() -> None:
    assert [plan(loss).targets_sum_to_one for loss in ("cce", "scce", "bce", "mse")] == [True, False, False, False]
    assert [plan(loss).sparse for loss in ("cce", "scce", "bce")] == [False, True, False]
    assert plan("scce").at_target_only
    assert not plan("scce", label_smoothing=0.1).at_target_only
    assert not plan("cce").at_target_only


@pytest.mark.parametrize(("dtype", "tolerance", "spacing"), [("float64", 1e-6, 2.0**-52), ("float32", 1e-3, 2.0**-23)])
def test_what_depends_on_the_dtype(dtype: str, tolerance: float, spacing: float) -> None:
    assert plan("cce", dtype=dtype).tolerance == tolerance
    assert plan("cce", dtype=dtype, eps="machine").eps == spacing
    assert plan("cce", dtype=dtype, eps="1e-5").eps == 1e-5
    assert plan("mse", dtype=dtype).eps == 0.0


@pytest.mark.parametrize(("width", "rows"), [(1, 4096), (128, 4096), (129, 2048), (1 << 19, 1), (1 << 24, 1)])
def test_blocks_hold_half_a_million_values_at_most(width: int, rows: int) -> None:
    assert plan("mse", width).block_rows == rows


# ---- numbers


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (plan("huber", delta=2.5), {"delta": 2.5}),
        (plan("bce"), {"pos_weight": 1.0, "log_floor": -math.inf, "variance_floor": 0.0}),
        (plan("bce", preset="torch"), {"pos_weight": 1.0, "log_floor": -100.0, "variance_floor": TORCH_FLOOR}),
        (plan("bce", eps=1e-7), {"pos_weight": 1.0, "log_floor": -math.inf, "variance_floor": 0.0, "eps": 1e-7}),
        (plan("cce", label_smoothing=0.3), {"log_floor": -math.inf, "smoothing_keep": 0.7, "smoothing_offset": 0.1}),
        (
            plan("cce", label_smoothing=0.3, smoothing_mode="others"),
            {"log_floor": -math.inf, "smoothing_keep": 0.55, "smoothing_offset": 0.15},
        ),
        (plan("cce", 5, label_smoothing=1.0), {"log_floor": -math.inf, "smoothing_keep": 0.0, "smoothing_offset": 0.2}),
        (
            plan("bce", 7, label_smoothing=0.1),
            {
                "pos_weight": 1.0,
                "log_floor": -math.inf,
                "variance_floor": 0.0,
                "smoothing_keep": 0.9,
                "smoothing_offset": 0.05,
            },
        ),
        (plan("cosine_similarity", preset="torch"), {"sign": 1.0, "eps": 1e-8, "clamped_slope": 1.0}),
        (plan("mse"), {}),
        (plan("mae"), {"kink": 0.5}),
        (plan("mae", kink="steep"), {"kink": 1.0}),
        (plan("hinge"), {"margin": 1.0, "kink": 0.0}),
        (plan("hinge", preset="keras"), {"margin": 1.0, "kink": 0.5}),
        (plan("hinge_embedding"), {"margin": 1.0, "kink": 1.0}),
        (plan("multi_margin", 7, p=2), {"p": 2.0, "margin": 1.0, "width": 7.0, "kink": 0.0}),
        (plan("tweedie_deviance", power=1.5, half=True), {"power": 1.5, "half": 1.0}),
        (
            plan("tversky", preset="keras", alpha=0.3, eps=1e-5),
            {"alpha": 0.3, "beta": 0.5, "smooth": 0.0, "eps": 1e-5, "focal_exponent": 1.0, "swapped": 1.0},
        ),
    ],
)
def test_numbers_of_a_plan(made: Plan, expected: dict[str, float]) -> None:
    assert made.numbers == pytest.approx(expected, rel=1e-15)


def test_others_need_another_class() -> None:
    with pytest.raises(SpecificationError, match="needs two classes or more"):
        _ = plan("cce", 1, label_smoothing=0.1, smoothing_mode="others").numbers


def test_a_vector_is_in_the_order_of_its_program() -> None:
    made = plan("rmse")
    program = made.gradient
    known = {name: float(position) for position, name in enumerate(program.numbers)}
    assert made.vector(program, known).tolist() == [float(position) for position in range(len(program.numbers))]
    assert made.vector(plan("huber", delta=2.0).value, {"delta": 3.0}).tolist() == [3.0]


def test_a_number_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError, match="weight"):
        plan("rmse").vector(plan("rmse").gradient)


# ---- programs


@for_each_loss(case for case in definitions() if not is_row_function(case))
def test_programs_are_made_once(cases: list[Case]) -> None:
    each(cases, assert_programs_are_made_once)


def assert_programs_are_made_once(case: Case) -> None:
    made = case.plan()
    if LOSSES[case.loss].has_gradient:
        assert made.gradient is made.gradient
    program = made.folds if made.scope is Scope.DATASET else made.value
    assert program is (made.folds if made.scope is Scope.DATASET else made.value)
    assert program.numbers[: len(made.numbers)] == tuple(made.numbers)


def keys(made: Plan) -> dict[str, str]:
    first = made.folds if made.scope is Scope.DATASET else made.value
    return {program.kind: program.key for program in (first, made.gradient)}


def test_equal_keys_mean_equal_programs() -> None:
    """Numbers are no part of a program; what is applied around the definition is."""
    assert keys(plan("huber", delta=1.0)) == keys(plan("huber", 7, "float32", delta=9.0))
    different: list[dict[str, Any]] = [
        {}, {"eps": 0.1}, {"eps": 0.1, "eps_mode": "floor"}, {"eps": 0.1, "eps_mode": "add"}, {"normalize": True},
        {"normalize": True, "eps": 0.1}, {"label_smoothing": 0.1}, {"class_weight": (1, 2, 3)}, {"input": "logit"},
        {"label_smoothing": 0.1, "class_weight": (1, 2, 3)}, {"input": "log_prob"},
    ]  # fmt: skip
    for kind in ("value", "gradient"):
        assert len({keys(plan("cce", **options))[kind] for options in different}) == len(different)
    conversions: list[dict[str, Any]] = [
        {}, {"grad_wrt": "logit"}, {"input": "logit"}, {"input": "logit", "grad_wrt": "prob"},
    ]  # fmt: skip
    gradients = {plan("bce", **options).gradient.key for options in conversions}
    assert len(gradients) == 4


@pytest.mark.parametrize("case", [case for case in forms() if case.plan().scope is Scope.ROW], ids=str)
def test_a_gradient_by_the_form_that_was_given_is_the_plain_one(case: Case) -> None:
    if "grad_wrt" in LOSSES[case.loss].options:
        assert (case | {"grad_wrt": case.options["input"]}).plan().gradient.key == case.plan().gradient.key


def test_only_rows_of_vectors_can_be_degenerate() -> None:
    whole = {"circle", "ctc", "ntxent", "generalized_dice"}
    vectors = {"cosine_similarity", "cosine_distance", "cosine_embedding"}
    assert {case.loss for case in forms() if case.plan().degenerate} == vectors | whole
    assert plan("dice", scope="sample").degenerate
    made = plan("cosine_similarity").degenerate
    assert made == replace(plan("cosine_similarity"), counts_degenerate=True)
    assert made is not None
    assert made.degenerate is None


def test_scales_of_a_loss_over_the_data_set() -> None:
    assert plan("rmse").scales == ("error_scale",)
    assert plan("cosine_global").scales == ("prediction_scale", "target_scale")
    assert np.isfinite([*plan("cosine_global").numbers.values()]).all()
