"""The tests of values and gradients can fail: with a formula that is off by a billionth they do, for every loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mpmath import mpf

from lossctl_kernels import LOSSES
from tests.kernels.cases import Case, forms
from tests.kernels.formulas import ELEMENTWISE
from tests.kernels.row_formulas import DATASET, ROWWISE
from tests.kernels.test_gradients import check as check_gradient
from tests.kernels.test_losses import check as check_value

TABLES: tuple[dict[str, Any], ...] = (ELEMENTWISE, ROWWISE, DATASET)
OFF = 1 + mpf(10) ** -9
CASES = [case for case in forms() if any(case.loss in table for table in TABLES)]


def scaled(formula: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arguments: formula(*arguments) * OFF


@pytest.fixture
def _off(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Multiplies what the formula of this loss says."""
    for table in TABLES:
        if case.loss in table:
            monkeypatch.setitem(table, case.loss, scaled(table[case.loss]))


@pytest.mark.usefixtures("_off")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_formula_that_is_off_is_seen_in_the_value(case: Case) -> None:
    with pytest.raises(AssertionError, match="instead of"):
        check_value(case)


@pytest.mark.usefixtures("_off")
@pytest.mark.parametrize("case", [case for case in CASES if LOSSES[case.loss].has_gradient], ids=str)
def test_a_formula_that_is_off_is_seen_in_the_gradient(case: Case) -> None:
    with pytest.raises(AssertionError, match="instead of"):
        check_gradient(case)
