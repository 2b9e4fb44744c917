"""Gradients against differences of the losses themselves: of fourth order, and one-sided where there is a kink."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lossctl_kernels import LOSSES
from lossctl_kernels.batch import Array
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.spec import Scope
from tests.kernels.cases import (
    Case,
    Floats,
    backend_of,
    draw,
    each,
    for_each_loss,
    sample_gradients,
    sample_losses,
    variants,
)
from tests.kernels.finite_differences import Slopes, fault, slopes

TOLERANCE = 1e-6
ROWS = 12
DENSE = (TargetKind.SAME, TargetKind.DISTRIBUTION, TargetKind.INDEX)


def has_slopes(case: Case) -> bool:
    """Whether rows have losses of their own, with a derivative, of predictions and targets and nothing else."""
    loss = LOSSES[case.loss]
    if loss.inputs or loss.target_kind not in DENSE or not loss.has_gradient or "grad_wrt" in case.options:
        return False
    return case.plan().scope in (Scope.ELEMENT, Scope.ROW)


CASES = [case for case in variants() if has_slopes(case)]


def slopes_of(case: Case, prediction: Array, target: Array, position: int) -> Slopes:
    """Derivatives of the losses of rows by the value at `position` in each."""
    plan, engine = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1), backend_of("python")

    def function(points: Floats) -> Floats:
        rounds = len(points) // len(prediction)
        moved = np.concatenate([prediction] * rounds)
        moved[(slice(None), position) if moved.ndim > 1 else slice(None)] = points
        return sample_losses(engine, plan, moved, np.concatenate([target] * rounds))

    with np.errstate(all="ignore"):
        return slopes(function, prediction[:, position] if prediction.ndim > 1 else prediction)


def check(case: Case, prediction: Array, target: Array) -> None:
    plan = case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)
    gradients = sample_gradients(backend_of("python"), plan, prediction, target).reshape(len(prediction), -1)
    for position in range(gradients.shape[1]):
        wrong = fault(gradients[:, position], slopes_of(case, prediction, target, position), TOLERANCE)
        assert wrong is None, f"column {position}: {wrong}"


@for_each_loss(CASES)
def test_gradients_are_the_slopes_of_the_losses(cases: list[Case]) -> None:
    def check_case(case: Case) -> None:
        prediction, target = draw(case, ROWS, 3 if case.plan().scope is Scope.ROW else 1, seed=23)
        domain = case.plan().prediction_domain
        if math.isfinite(domain.low):  # differences need room on both sides
            prediction = np.maximum(prediction, domain.low + 0.03)
        check(case, prediction, target)

    each(cases, check_case)


# ---- at kinks: (case, predictions, targets), where the slope from the left is not that from the right

KINKS: list[tuple[Case, list[float], list[float]]] = [
    (Case("mae"), [2.0, -1.0, 0.0], [2.0, -1.0, 0.0]),
    (Case("mape"), [2.0, -1.0, 3.0], [2.0, -1.0, 3.0]),
    (Case("quantile", {"q": 0.9}), [2.0, 0.0, -1.0], [2.0, 0.0, -1.0]),
    (Case("epsilon_insensitive", {"epsilon": 0.5}), [0.5, -0.5, 1.5], [0.0, 0.0, 1.0]),
    (Case("hinge"), [1.0, -1.0], [1.0, -1.0]),
    (Case("perceptron"), [0.0, 0.0], [1.0, -1.0]),
    (Case("hinge_embedding"), [1.0], [-1.0]),
]
ROW_KINKS: list[tuple[Case, list[list[float]], list[int]]] = [
    (Case("multi_margin"), [[1.0, 0.0, -2.0], [0.5, 1.5, 0.5]], [0, 1]),
    (Case("multiclass_hinge"), [[1.0, 0.0, -2.0], [2.0, 2.0, 1.0]], [0, 2]),
    (Case("multiclass_perceptron"), [[1.0, 1.0, -2.0], [2.0, 2.0, 1.0]], [0, 2]),
    (Case("categorical_hinge"), [[1.0, 0.0, -2.0], [2.0, 2.0, 1.0]], [0, 2]),
]
SUBGRADIENTS = ("torch", "flat", "steep", "half")


@pytest.mark.parametrize("kink", SUBGRADIENTS)
@pytest.mark.parametrize(("case", "prediction", "target"), KINKS, ids=[str(case) for case, _, _ in KINKS])
def test_at_a_kink_the_gradient_is_one_of_both_sides(
    case: Case, prediction: list[float], target: list[float], kink: str
) -> None:
    points, goal = np.array(prediction), np.array(target)
    found = slopes_of(case, points, goal, 0)
    assert not found.smooth(1e-3).any()
    gradient = sample_gradients(backend_of("python"), (case | {"kink": kink}).plan(1), points, goal)
    assert fault(gradient, found, TOLERANCE) is None
    sides = np.stack([found.left, found.right])
    if kink == "half":
        np.testing.assert_allclose(gradient, sides.mean(axis=0), atol=1e-9)
    if kink in ("flat", "steep"):
        assert (np.abs(sides - gradient).min(axis=0) < 1e-9).all()


@pytest.mark.parametrize("kink", SUBGRADIENTS)
@pytest.mark.parametrize(("case", "prediction", "target"), ROW_KINKS, ids=[str(case) for case, _, _ in ROW_KINKS])
def test_at_a_kink_of_a_row_the_gradient_is_between_both_sides(
    case: Case, prediction: list[list[float]], target: list[int], kink: str
) -> None:
    rows, index = np.array(prediction), np.array(target)
    plan = (case | {"kink": kink} if "kink" in LOSSES[case.loss].options else case).plan()
    goal = index if plan.sparse else np.eye(3)[index]
    gradient = sample_gradients(backend_of("python"), plan, rows, goal)
    kinks = 0
    for position in range(3):
        found = slopes_of(case, rows, goal, position)
        kinks += int((~found.smooth(1e-3)).sum())
        assert fault(gradient[:, position], found, TOLERANCE) is None
    assert kinks >= 2


def test_every_loss_with_a_kink_is_tried_at_one() -> None:
    tried = {case.loss for case, _, _ in (*KINKS, *ROW_KINKS)}
    dense = {case.loss for case in CASES}
    assert {name for name in dense if "kink" in LOSSES[name].options} <= tried


# ---- the helpers, which must be able to fail


def test_differences_are_of_fourth_order() -> None:
    points = np.array([0.3, 1.0, -2.0])
    errors = [np.abs(slopes(np.exp, points, step).centre - np.exp(points)).max() for step in (0.1, 0.05)]
    assert 12.0 < errors[0] / errors[1] < 20.0
    for side in ("left", "right"):
        errors = [np.abs(getattr(slopes(np.exp, points, h), side) - np.exp(points)).max() for h in (0.1, 0.05)]
        assert 10.0 < errors[0] / errors[1] < 24.0


def test_both_sides_of_a_kink() -> None:
    found = slopes(np.abs, np.array([0.0, 1.0]))
    np.testing.assert_allclose(found.left, [-1.0, 1.0])
    np.testing.assert_allclose(found.right, [1.0, 1.0])
    assert found.smooth(1e-6).tolist() == [False, True]


@pytest.mark.parametrize("factor", [1.0 + 1e-4, -1.0, 0.0])
def test_a_wrong_gradient_is_seen(factor: float) -> None:
    points = np.array([0.5, 2.0])
    found = slopes(np.square, points)
    assert fault(2.0 * points, found, TOLERANCE) is None
    assert "differences are" in str(fault(2.0 * points * [1.0, factor], found, TOLERANCE))


@pytest.mark.parametrize(
    ("gradient", "is_right"), [(0.0, True), (-1.0, True), (1.0, True), (1.01, False), (-3.0, False)]
)
def test_a_gradient_at_a_kink_lies_between_the_slopes(gradient: float, is_right: bool) -> None:
    found = slopes(np.abs, np.array([0.0]))
    assert (fault(np.array([gradient]), found, TOLERANCE) is None) is is_right
    assert fault(np.array([math.nan]), found, TOLERANCE) is not None
