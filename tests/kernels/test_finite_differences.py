"""Gradients against differences of the losses themselves: of fourth order, and one-sided where there is a kink."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan
from lossctl_kernels.batch import Array, Batch
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.spec import Scope
from tests.kernels.cases import Case, Floats, draw, each, for_each_loss, variants
from tests.kernels.engines import backend_of, dataset_gradients, dataset_value, sample_gradients, sample_losses
from tests.kernels.finite_differences import Slopes, fault, slopes
from tests.kernels.further import drawn_inputs

TOLERANCE = 1e-6
ROWS = 12
FEW_ROWS = 5
"""Where a row counts for others, so that each number is moved alone."""

Arrays = dict[str, Array]
"""What a loss is computed of: its prediction and target, and each further input by name."""


def has_slopes(case: Case) -> bool:
    return LOSSES[case.loss].has_gradient and "grad_wrt" not in case.options


def is_alone(case: Case) -> bool:
    """Whether rows have losses of their own, of nothing but their own numbers."""
    return case.plan().scope in (Scope.ELEMENT, Scope.ROW)


CASES = [case for case in variants() if has_slopes(case)]


def plan_for(case: Case, prediction: Array) -> Plan:
    return case.plan(prediction.shape[-1] if prediction.ndim > 1 else 1)


def arrays_of(case: Case, rows: int, width: int) -> Arrays:
    """Data with room on both sides of each number, and every further input, the optional ones too."""
    prediction, target = draw(case, rows, width, seed=23)
    domain = case.plan().prediction_domain
    if math.isfinite(domain.low):
        prediction = np.maximum(prediction, domain.low + 0.03)
    return {"prediction": prediction, "target": target, **drawn_inputs(LOSSES[case.loss], prediction)}


def losses_of(plan: Plan, arrays: Arrays) -> Floats:
    """One loss a row, or that of all rows together."""
    inputs = dict(arrays)
    data, engine = (inputs.pop("prediction"), inputs.pop("target")), backend_of("python")
    if plan.scope is Scope.DATASET:
        return np.array([dataset_value(engine, plan, Batch(*data))])
    losses = sample_losses(engine, plan, *data, **inputs)
    return losses.sum(keepdims=True) if plan.scope is Scope.PAIRS else losses


def gradients_of(plan: Plan, arrays: Arrays, of: str) -> Floats:
    """Shape (rows, numbers of a row)."""
    inputs = dict(arrays)
    data, engine = (inputs.pop("prediction"), inputs.pop("target")), backend_of("python")
    if plan.scope is Scope.DATASET:
        found = dataset_gradients(engine, plan, Batch(*data))
    else:
        found = sample_gradients(engine, plan, *data, of=of, **inputs)
    return np.asarray(found.reshape(len(data[0]), -1))


def slopes_of(plan: Plan, arrays: Arrays, of: str, position: int) -> Slopes:
    """Derivatives of the losses of rows by the number at `position` in each row of one array."""
    rows = len(arrays[of])

    def function(points: Floats) -> Floats:
        moved = {name: np.concatenate([array] * (len(points) // rows)) for name, array in arrays.items()}
        moved[of].reshape(len(points), -1)[:, position] = points
        return losses_of(plan, moved)

    with np.errstate(all="ignore"):
        return slopes(function, arrays[of].reshape(rows, -1)[:, position])


def slopes_of_all(plan: Plan, arrays: Arrays, of: str, index: int) -> Slopes:
    """The derivative of the loss of all rows by one number of an array."""

    def function(points: Floats) -> Floats:
        found = []
        for point in points:
            moved = arrays[of].copy()
            moved.reshape(-1)[index] = point
            found.append(losses_of(plan, arrays | {of: moved}))
        return np.concatenate(found)

    with np.errstate(all="ignore"):
        return slopes(function, arrays[of].reshape(-1)[index : index + 1])


def check(case: Case, arrays: Arrays) -> None:
    """By each array that there is a gradient by."""
    plan = plan_for(case, arrays["prediction"])
    for of in plan.gradient_names:
        gradients = gradients_of(plan, arrays, of)
        if is_alone(case):
            for position in range(gradients.shape[1]):
                wrong = fault(gradients[:, position], slopes_of(plan, arrays, of, position), TOLERANCE)
                assert wrong is None, f"{of}, column {position}: {wrong}"
            continue
        for index, gradient in enumerate(gradients.reshape(-1)):
            wrong = fault(np.array([gradient]), slopes_of_all(plan, arrays, of, index), TOLERANCE)
            assert wrong is None, f"{of}, number {index}: {wrong}"


@for_each_loss(CASES)
def test_gradients_are_the_slopes_of_the_losses(cases: list[Case]) -> None:
    sloping: list[Case] = []

    def check_case(case: Case) -> None:
        scope = case.plan().scope
        width = {Scope.ELEMENT: 1, Scope.DATASET: 1, Scope.ROW: 3, Scope.PAIRS: 2}[scope]
        arrays = arrays_of(case, ROWS if is_alone(case) else FEW_ROWS, width)
        check(case, arrays)
        if gradients_of(plan_for(case, arrays["prediction"]), arrays, "prediction").any():
            sloping.append(case)

    each(cases, check_case)
    assert len(sloping) > len(cases) // 2  # a margin may be too wide for the data, and a weight 0


def test_every_loss_with_a_gradient_is_differentiated_by_every_array() -> None:
    assert {case.loss for case in CASES} == {name for name, loss in LOSSES.items() if loss.has_gradient}
    names = {name for case in CASES for name in case.plan().gradient_names}
    assert names == {"prediction", "target", "var", "negative"}


@pytest.mark.parametrize("of", ["prediction", "target", "negative"])
def test_a_wrong_gradient_by_any_array_is_seen(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("triplet_margin")
    arrays, right = arrays_of(case, ROWS, 3), gradients_of
    check(case, arrays)
    monkeypatch.setattr(
        sys.modules[__name__],
        "gradients_of",
        lambda plan, arrays, name: right(plan, arrays, name) * (1.0 + 1e-4 * (name == of)),
    )
    with pytest.raises(AssertionError, match=of):
        check(case, arrays)


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
    (Case("multilabel_margin"), [[1.0, 0.0, -2.0], [0.5, 1.5, 0.5]], [0, 1]),
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
    found = slopes_of(case.plan(1), {"prediction": points, "target": goal}, "prediction", 0)
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
    if plan.settings.loss.target_kind is TargetKind.LABELS:
        goal: Array = np.stack([index, [-1, -1], [-1, -1]], axis=1)
    else:
        goal = index if plan.sparse else np.eye(3)[index]
    gradient = sample_gradients(backend_of("python"), plan, rows, goal)
    kinks = 0
    for position in range(3):
        found = slopes_of(plan, {"prediction": rows, "target": goal}, "prediction", position)
        kinks += int((~found.smooth(1e-3)).sum())
        assert fault(gradient[:, position], found, TOLERANCE) is None
    assert kinks >= 2


def test_every_loss_with_a_kink_is_tried_at_one() -> None:
    tried = {case.loss for case, _, _ in (*KINKS, *ROW_KINKS)}
    tried |= {"margin_ranking", "cosine_embedding", "triplet_margin"}  # in `test_further_inputs.py`
    assert {case.loss for case in CASES if "kink" in LOSSES[case.loss].options} <= tried


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
