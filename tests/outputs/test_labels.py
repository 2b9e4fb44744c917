"""Short names: as short as they can be, and no two results share one."""

from __future__ import annotations

from typing import Any

import pytest

from lossctl.outputs.labels import changed_options, labelled
from lossctl.results import LossResult
from tests.outputs.conftest import OPTIONS, loss_result, run_result


def variant(**options: Any) -> LossResult:
    return loss_result("bce", options={**OPTIONS, **options}, changed=tuple(options))


@pytest.mark.parametrize(
    ("results", "names"),
    [
        ([], []),
        ([variant(input="logit")], ["bce"]),
        ([variant(), loss_result("mse")], ["bce", "mse"]),
        ([variant(), loss_result("mse"), variant(input="logit")], ["bce", "mse", "bce:input=logit"]),
        (
            [variant(eps=1e-7, preset="keras"), variant(eps=-100, preset="torch")],
            ["bce:preset=keras", "bce:preset=torch"],
        ),
        ([variant(eps=1e-7), variant(eps=0.5), variant()], ["bce:eps=1e-07", "bce:eps=0.5", "bce"]),
        (
            [variant(eps=1e-7, log_base=2), variant(eps=1e-7), variant(log_base=2)],
            ["bce:eps=1e-07,log_base=2", "bce:eps=1e-07", "bce:log_base=2"],
        ),
        ([variant(input="logit"), variant(input="logit")], ["bce"]),
    ],
)
def test_names(results: list[LossResult], names: list[str]) -> None:
    found = labelled(run_result(*results))
    assert [*found] == names
    assert {result.signature for result in found.values()} == {result.signature for result in results}


def test_a_name_is_one_line() -> None:
    assert [*labelled(run_result(loss_result("a\nb.py:f")))] == [r"a\nb.py:f"]


def test_changed_options() -> None:
    options = {"input": "logit", "eps": 0.0, "class_weight": (0.5, 1.0)}
    assert changed_options(options, ("input", "class_weight")) == "input=logit class_weight=[0.5,1]"
    assert changed_options(options, ()) == ""
