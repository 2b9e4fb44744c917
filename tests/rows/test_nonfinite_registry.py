"""What is true of every loss of rows that are not finite: skipped, they are not there; propagated, they are NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl_kernels import LOSSES
from lossctl_kernels.domains import TargetKind
from lossctl_kernels.facts import Pooling
from lossctl_kernels.spec import Scope
from tests.kernels.cases import Case, draw, each, for_each_loss, forms
from tests.kernels.further import drawn_inputs

ROWS = 24
ODD = [0, 5, 23]


def data_of(case: Case) -> tuple[Any, Any, dict[str, Any]]:
    """Predictions, targets and further inputs; class indices as floats, which may be NaN."""
    loss, scope = case.plan().settings.loss, case.plan().scope
    width = 3 if scope in (Scope.ROW, Scope.PAIRS) or loss.target_kind is not TargetKind.SAME else 1
    prediction, target = draw(case, ROWS, width, seed=2)
    return prediction, target.astype(np.float64), drawn_inputs(loss, prediction)


def spoil(array: Any, rows: list[int]) -> Any:
    spoiled = array.copy()
    spoiled.reshape(len(array), -1)[rows, -1] = np.nan
    return spoiled


@for_each_loss(forms())
def test_skipped_rows_are_not_there(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target, inputs = data_of(case)
        kept = np.setdiff1d(np.arange(ROWS), ODD)
        fewer = {name: array[kept] for name, array in inputs.items()}
        expected = lossctl.evaluate(prediction[kept], target[kept], str(case), inputs=fewer, backend="python")
        for given in ((spoil(prediction, ODD), target), (prediction, spoil(target, ODD))):
            found = lossctl.evaluate(*given, str(case), inputs=inputs, backend="python", nonfinite="skip")
            assert np.array_equal(found.value, expected.value, equal_nan=True)
            assert (found.samples, found.skipped) == (expected.samples, len(ODD))

    each(cases, check)


@for_each_loss(forms())
def test_propagated_rows_are_nan_and_stay_among_themselves(cases: list[Case]) -> None:
    def check(case: Case) -> None:
        prediction, target, inputs = data_of(case)
        for given in ((spoil(prediction, ODD), target), (prediction, spoil(target, ODD))):
            options: dict[str, Any] = {"inputs": inputs, "backend": "python", "nonfinite": "propagate"}
            found = lossctl.evaluate(*given, str(case), **options)
            assert np.isnan(found.value)
            assert found.nonfinite >= len(ODD)
            if LOSSES[case.loss].has_gradient:
                slopes = lossctl.gradient(*given, str(case), **options).reshape(ROWS, -1)
                assert np.isnan(slopes[ODD]).any(axis=1).all()
            if LOSSES[case.loss].pooling is Pooling.MEAN and case.plan().scope in (Scope.ELEMENT, Scope.ROW):
                expected = lossctl.per_sample(prediction, target, str(case), inputs=inputs, backend="python")
                expected[ODD] = np.nan
                assert np.array_equal(lossctl.per_sample(*given, str(case), **options), expected, equal_nan=True)

    each(cases, check)


@pytest.mark.parametrize("policy", ["skip", "propagate"])
@for_each_loss([case for case in forms() if LOSSES[case.loss].inputs])
def test_further_inputs_that_are_not_finite(cases: list[Case], policy: str) -> None:
    def check(case: Case) -> None:
        prediction, target, inputs = data_of(case)
        for name in inputs:
            wrong = inputs | {name: spoil(inputs[name], ODD)}
            found = lossctl.evaluate(prediction, target, str(case), inputs=wrong, backend="python", nonfinite=policy)
            assert np.isnan(found.value) == (policy == "propagate")
            assert found.skipped == (len(ODD) if policy == "skip" else 0)

    each(cases, check)
