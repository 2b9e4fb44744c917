"""Folds with a condition: rows that do not meet it are not read for them, on every engine, whatever rows are beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lossctl_kernels import Plan, Scope, resolve
from lossctl_kernels.batch import Batch
from lossctl_kernels.interpreted import row_fold
from lossctl_kernels.program import Step, value_program
from lossctl_kernels.scalar import square, where
from lossctl_kernels.spec import Loss, Monoid, define, definition_of, fold, gradient_of, loss, registering
from lossctl_kernels.writer import passes
from tests.kernels.engines import backend_of, backends

engines = pytest.mark.parametrize("backend", backends())
WIDTHS = pytest.mark.parametrize("width", [5, 40])  # across a tile of rows, and along each
ROWS = 37


@fold(Monoid.SUM)
def total(prediction: float) -> float:
    return prediction


def is_negative(total: float, limit: float) -> bool:
    return total < limit


@fold(Monoid.SUM, when=is_negative)
def squares(prediction: float, total: float) -> float:
    return square(prediction) + total


@fold(Monoid.SUM, when=is_negative)
def poison(prediction: float, target: float) -> float:
    """Not a number where nobody should look."""
    return where(target == 0.0, 0.0 * prediction, np.nan)


@fold(Monoid.SUM)
def after(prediction: float, squares: float) -> float:
    return prediction * squares


def declared() -> Loss:
    registry: dict[str, Loss] = {}
    with registering(registry):

        @loss(scope=Scope.ROW, folds=(total, squares, poison, after))
        def conditional(squares: float, poison: float, after: float, limit: float = 0.0) -> float:
            return squares + poison + after

        @gradient_of(conditional)
        def conditional_gradient(prediction: float, squares: float, poison: float) -> float:
            return prediction * squares + poison

    return registry["conditional"]


def drawn(width: int) -> tuple[Any, Any, Any]:
    """Rows of whole numbers, most of which meet no condition; targets are 0 in the others alone."""
    random = np.random.default_rng(width)
    prediction = random.integers(1, 9, (ROWS, width)).astype(np.float64)
    wanted = np.arange(ROWS) % 7 == 3
    prediction[wanted] *= -1.0
    return prediction, np.where(wanted[:, None], 0.0, 1.0) * np.ones(width), wanted


@engines
@WIDTHS
def test_only_rows_that_meet_the_condition_are_summed(width: int, backend: str) -> None:
    prediction, target, wanted = drawn(width)
    plan = Plan(resolve(declared(), {}), width)
    assert plan.numbers["limit"] == 0.0
    totals = prediction.sum(axis=1)
    expected = np.where(wanted, (prediction**2).sum(axis=1) + width * totals, 0.0)
    engine = backend_of(backend)
    _, losses = engine.losses(plan, Batch(prediction, target))
    np.testing.assert_array_equal(losses, expected + totals * expected)
    gradient = engine.gradient(plan, Batch(prediction, target), np.ones(ROWS), {})
    np.testing.assert_array_equal(gradient, prediction * expected[:, None])


@engines
@WIDTHS
@pytest.mark.parametrize("kept", [slice(3, 4), slice(0, 3), slice(0, 0)], ids=["all", "none", "no rows"])
def test_a_row_is_the_same_whatever_is_beside_it(kept: slice, width: int, backend: str) -> None:
    prediction, target, _ = drawn(width)
    plan = Plan(resolve(declared(), {}), width)
    engine = backend_of(backend)
    alone = engine.losses(plan, Batch(prediction[kept], target[kept]))[1]
    np.testing.assert_array_equal(alone, engine.losses(plan, Batch(prediction, target))[1][kept])


def test_the_terms_of_other_rows_are_not_computed() -> None:
    seen = []

    def term(environment: Any) -> Any:
        seen.append(environment[0].shape)
        return environment[0]

    def when(environment: Any) -> Any:
        return environment[1] > 0.0

    rows = np.arange(12.0).reshape(4, 3)
    found = row_fold(Step("sum", Monoid.SUM, term, 1, when), (rows, np.array([[0.0], [1], [0], [2]])), 4, 3)
    assert found.tolist() == [[0.0], [12.0], [0.0], [30.0]]
    assert seen == [(2, 3)]


def test_steps_of_one_condition_share_a_pass_and_need_what_it_asks_for() -> None:
    program = Plan(resolve(declared(), {}), 5).value
    levels = {step.name: step.level for step in program.steps}
    assert levels == {"total": 0, "squares": 1, "poison": 1, "after": 2}
    assert [[step.name for step in steps] for steps in passes(program.steps)] == [
        ["total"],
        ["squares", "poison"],
        ["after"],
    ]


def test_the_first_pass_is_of_all_rows() -> None:
    """It looks at the data, too."""

    def always(environment: Any) -> bool:
        return True

    step = Step("sum", Monoid.SUM, always, 0, always)
    assert passes([step]) == [[], [step]]


def test_what_a_condition_asks_for_is_computed_though_nothing_else_needs_it() -> None:
    @fold(Monoid.SUM, when=is_negative)
    def count(prediction: float) -> float:
        return 1.0 + 0.0 * prediction

    def number(count: float) -> float:
        return count

    definition = define(number, declared().forms["value"].prediction, Scope.ROW, (total, count))
    program = value_program(definition, (), (), ("limit",))
    assert [step.name for step in program.steps] == ["total", "count"]
    assert "limit" in definition.asks_for()


@pytest.mark.parametrize(("monoid", "scope"), [(Monoid.MAX, Scope.ROW), (Monoid.SUM, Scope.DATASET)])
def test_only_sums_over_a_row_have_a_condition(monoid: Monoid, scope: Scope) -> None:
    @fold(monoid, when=is_negative)
    def strange(prediction: float) -> float:
        return prediction

    def function(strange: float) -> float:
        return strange

    with pytest.raises(ValueError, match="function: the fold strange is no sum over a row"):
        define(function, definition_of(total).prediction, scope, (strange,))
