"""Programs: functions of one environment, composed of definitions and transformations."""

from __future__ import annotations

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Scope
from lossctl_kernels.domains import REAL
from lossctl_kernels.program import Program, Step, bind, fold_program, gradient_program, value_program
from lossctl_kernels.spec import Definition, Fold, Monoid, TargetTransform
from lossctl_kernels.transforms import Transform
from tests.kernels.cases import Case, each, for_each_loss, is_pooled, variants


def levels(program: Program) -> dict[str, int]:
    return {step.name: step.level for step in program.steps}


def steps(program: Program) -> dict[str, Step]:
    return {step.name: step for step in program.steps}


# ---- binding


def test_arguments_are_picked_by_name() -> None:
    names = ("a", "b", "c")
    assert bind(lambda c, a: (c, a), names)((1, 2, 3)) == (3, 1)
    assert bind(lambda: 7, names)((1, 2, 3)) == 7


def test_every_number_of_arguments_that_a_definition_has_can_be_bound() -> None:
    everything = tuple("abcdefghijk")
    for count in range(12):
        names = ", ".join(everything[:count])
        function = eval(f"lambda {names}: ({names}{',' if count else ''})")
        assert bind(function, everything)(tuple(range(11))) == tuple(range(count))
        assert bind(function, everything[::-1])(tuple(range(11))[::-1]) == tuple(range(count))


def test_a_name_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        bind(lambda missing: missing, ("a",))


# ---- a definition of its own: value (a - mean)² scaled, with folds of three levels


def first(prediction: float) -> float:
    return prediction


def second(prediction: float, first: float) -> float:
    return prediction + first


def unused(prediction: float) -> float:
    return prediction * 1e9


def beside(target: float) -> float:
    return target


def third(second: float, beside: float, slope: float) -> float:
    return slope * (second + beside)


FOLDS = (
    Fold("first", Monoid.MAX, first),
    Fold("second", Monoid.SUM, second),
    Fold("unused", Monoid.SUM, unused),
    Fold("beside", Monoid.SUM, beside),
    Fold("third", Monoid.SUM, third),
)


def finish(third: float, first: float) -> float:
    return third - first


def slope_of(prediction: float, first: float) -> float:
    return prediction - first


DEFINITION = Definition("made", finish, REAL, Scope.ROW, FOLDS, gradient=slope_of)
DOUBLE = Transform("double", lambda prediction: 2.0 * prediction, derivative=lambda prediction: 2.0 + 0.0 * prediction)
SHIFT = Transform("shift", lambda prediction, offset: prediction + offset, derivative=lambda prediction: 1.0)
HALVE = TargetTransform("halve", lambda target: 0.5 * target)
TOTAL = Transform(
    "total",
    lambda prediction, row: prediction / row,
    folds=(Fold("row", Monoid.SUM, first),),
    pull_back=lambda gradient, pulled, row: (gradient - pulled) / row,
)


def test_folds_come_after_those_they_need_and_only_if_needed() -> None:
    program = value_program(DEFINITION, (), (), ("slope",))
    assert levels(program) == {"first": 0, "second": 1, "beside": 0, "third": 2}
    assert program.numbers == ("slope",)
    environment = (1.0, 2.0, 0.0, 1.0, 10.0, 3.0, 4.0, 5.0, 6.0)
    found = steps(program)
    assert found["first"].term(environment) == 1.0
    assert found["second"].term(environment) == 4.0
    assert found["third"].term(environment) == 90.0
    assert program.finish(environment) == 3.0


def test_a_gradient_needs_fewer_folds_than_the_value() -> None:
    program = gradient_program(DEFINITION, (), (), ("slope",))
    assert levels(program) == {"first": 0}
    assert program.finish((1.0, 2.0, 0.0, 1.0, 10.0, 0.25)) == 0.75


def test_another_derivative_can_stand_in() -> None:
    program = gradient_program(DEFINITION, (), (), ("slope",), lambda slope: slope)
    assert levels(program) == {}
    assert program.finish((1.0, 2.0, 0.0, 1.0, 10.0)) == 10.0


def test_transformations_apply_in_order_before_everything() -> None:
    program = value_program(DEFINITION, (DOUBLE, SHIFT), (HALVE,), ("slope", "offset"))
    environment = (1.0, 2.0, 0.0, 1.0, 10.0, 0.5, 0.0, 0.0, 0.0, 0.0)
    found = steps(program)
    assert found["first"].term(environment) == 2.5
    assert found["beside"].term(environment) == 1.0


def test_the_chain_rule_goes_through_every_transformation() -> None:
    program = gradient_program(DEFINITION, (DOUBLE, SHIFT, DOUBLE), (), ("slope", "offset"))
    # ((2 p + 0.5) 2 - first) * 2 * 1 * 2
    assert program.finish((1.0, 2.0, 0.0, 1.0, 10.0, 0.5, 1.0)) == 16.0


def test_a_transformation_with_folds_raises_the_level_of_what_sees_it() -> None:
    program = value_program(DEFINITION, (TOTAL,), (), ("slope",))
    assert levels(program) == {"row": 0, "first": 1, "second": 2, "beside": 1, "third": 3}
    after = value_program(DEFINITION, (TOTAL, DOUBLE), (), ("slope",))
    assert levels(after) == levels(program)


def test_a_pull_back_sums_gradient_times_prediction_over_the_row() -> None:
    program = gradient_program(DEFINITION, (TOTAL,), (), ("slope",))
    assert levels(program) == {"row": 0, "first": 1, "pulled": 2}
    assert [step.name for step in program.steps] == ["row", "first", "pulled"]
    # prediction, target, index, class weight, slope, row = 4, first = 0.25, pulled = 0.125
    environment = (2.0, 0.0, 0.0, 1.0, 10.0, 4.0, 0.25, 0.125)
    assert steps(program)["pulled"].term(environment) == (2.0 / 4.0 - 0.25) * (2.0 / 4.0)
    assert program.finish(environment) == ((2.0 / 4.0 - 0.25) - 0.125) / 4.0


def test_a_definition_without_a_gradient_has_no_such_program() -> None:
    with pytest.raises(ValueError, match="made has no gradient"):
        gradient_program(Definition("made", finish, REAL), (), (), ())


def test_over_the_data_set_scales_and_totals_are_numbers() -> None:
    definition = LOSSES["cosine_global"].forms["value"]
    folds = fold_program(definition, ("sign", "eps"))
    assert folds.kind == "folds"
    assert folds.numbers == ("sign", "eps", "prediction_scale", "target_scale")
    assert [step.name for step in folds.steps] == [fold.name for fold in definition.folds]
    environment = (3.0, 5.0, 0.0, 1.0, -1.0, 0.0, 2.0, 0.5)
    # Scaled, the prediction is 6 and the target 5/2; the last is (5/2 - 6/4) 6, since the scales are as 1 to 4.
    assert [step.term(environment) for step in folds.steps] == [3.0, 5.0, 36.0, 6.25, 15.0, 6.0]
    gradient = gradient_program(definition, (), (), ("sign", "eps"))
    assert gradient.numbers == ("sign", "eps", "weight", *(fold.name for fold in definition.folds))
    assert not gradient.steps


@for_each_loss([case for case in variants() if LOSSES[case.loss].has_gradient and not is_pooled(case)])
def test_steps_stand_in_an_order_in_which_they_can_be_computed(cases: list[Case]) -> None:
    """Running them in order, each sees only what came before: later folds are poison."""
    each(cases, assert_order)


def assert_order(case: Case) -> None:
    plan = case.plan()
    if plan.definition.row_function:  # it has no steps
        return
    for program in (plan.value, *map(plan.gradient_program_of, plan.gradient_names)):
        vector = tuple(plan.vector(program).tolist())
        for position, step in enumerate(program.steps):
            before = program.steps[:position]
            seen = tuple(0.5 if other in before and other.level < step.level else object() for other in program.steps)
            environment = (0.25, 0.5, 0.0, 1.0, *(0.75 for _ in program.inputs), *vector, *seen)
            assert len(environment) == program.leading + len(program.numbers) + len(program.steps)
            with np.errstate(all="ignore"):  # as the interpreter runs them
                assert isinstance(float(step.term(environment)), float)
