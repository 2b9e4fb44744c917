"""Gates about slices: of one, of every one, of the gap between them, and against a baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.gates.conclusion import report
from lossctl.gates.judging import Decision, decide, parse_gates
from lossctl.results import LossResult
from lossctl.slices.results import SliceResult, SliceTable

SPECS = [parse("mae"), parse("mse")]


def result_of(loss: str, *tables: SliceTable) -> LossResult:
    return LossResult(
        loss=loss,
        options={},
        reduction="mean",
        value=2.0,
        unit="",
        sum=20.0,
        weight=10.0,
        samples=10,
        signature=f"{loss}|lossctl=0",
        slices=tables,
    )


def table(values: Mapping[tuple[str | None, ...], float], by: tuple[str, ...] = ("c",), **facts: Any) -> SliceTable:
    """Slices of so many values, in their order; each with 5 samples, one not finite, and an interval of ±0.5."""
    slices = [
        SliceResult(
            key=key,
            value=value,
            difference=value - 2.0,
            sum=5 * value,
            weight=5.0,
            samples=5,
            nonfinite=1,
            std_error=0.25,
            ci_low=value - 0.5,
            ci_high=value + 0.5,
        )
        for key, value in values.items()
    ]
    return SliceTable(by=by, slices=tuple(slices), **facts)


MAE = result_of(
    "mae",
    table({("FR",): 3.0, ("a,b]",): 2.0, (None,): 1.0}),
    table({("[0,30)",): 4.0, ("[30,…)",): 1.0}, ("age",)),
    table({("FR", "f"): 5.0, ("FR", "m"): 1.0, ("DE", "f"): 0.5}, ("c", "sex")),
)
MSE = result_of("mse", table({("FR",): 9.0, ("a,b]",): 0.25, (None,): 1.0}))


def decided(text: str, base: Any = None, *, noisy: bool = False) -> Decision:
    (gate,) = parse_gates([text], [], SPECS)
    return decide(gate, [MAE, MSE], base, noisy=noisy)


VERDICTS = {
    "mae[c=FR] > 2.9": ("fail", 3.0, 2.9),
    "mae[c=FR] > 3": ("pass", 3.0, 3.0),
    "mae[c='a,b]'] > 1": ("fail", 2.0, 1.0),
    "mae[c='(missing)'] > 0.5": ("fail", 1.0, 0.5),
    "mae[age='[0,30)'] > 3": ("fail", 4.0, 3.0),
    "mae[age='[30,...)'] > 3": ("pass", 1.0, 3.0),
    "mae[c=FR,sex=f] > 4": ("fail", 5.0, 4.0),
    "mae[sex=f,c=FR] > 4": ("fail", 5.0, 4.0),
    "mae[c=*] > 2.5": ("fail", 3.0, 2.5),
    "mae[c=*] > 3": ("pass", 3.0, 3.0),
    "mae[c=*] < 1.5": ("fail", 1.0, 1.5),
    "mae[c=FR,sex=*] > 4": ("fail", 5.0, 4.0),
    "mae[c=DE,sex=*] > 4": ("pass", 0.5, 4.0),
    "mae[c=*,sex=*] > 4": ("fail", 5.0, 4.0),
    "mae[c=*] > mae * 1.4": ("fail", 3.0, 2.8),
    "mae[c=*] > mse[c=*]": ("fail", 2.0, 0.25),
    "mae[c=*] > 2 and mse[c=*] > 10": ("pass", 3.0, 2.0),
    "gap(mae, by=c) > 1.5": ("fail", 2.0, 1.5),
    "gap(mae, by=age) > 3": ("pass", 3.0, 3.0),
    "gap(mae, by=sex, c) > 4": ("fail", 4.5, 4.0),
    "samples[c=*] < 6": ("fail", 5.0, 6.0),
    "samples(mae[c=FR]) < 6": ("fail", 5.0, 6.0),
    "count(mae)[c=FR] < 5": ("pass", 5.0, 5.0),
    "nonfinite[c=FR] > 0": ("fail", 1.0, 0.0),
    "mean(mae)[c=FR] > 2": ("fail", 3.0, 2.0),
    "ci_low(mae[c=*]) > 2.4": ("fail", 2.5, 2.4),
    "std_error(mae)[c=FR] > 1": ("pass", 0.25, 1.0),
    "not mae[c=*] < 1": ("fail", 3.0, 1.0),
}


@pytest.mark.parametrize("text", VERDICTS)
def test_verdicts(text: str) -> None:
    result = decided(text).result
    verdict, value, limit = VERDICTS[text]
    assert (result.verdict, result.value) == (verdict, value)
    assert result.limit == pytest.approx(limit)


def test_every_slice_is_told_together() -> None:
    decision = decided("mae[c=*] > 1.5")
    slices = decision.result.slices
    assert slices is not None
    assert [(each.name, each.verdict) for each in slices.verdicts] == [
        ("c=FR", "fail"),
        ('c="a,b]"', "fail"),
        ('c="(missing)"', "pass"),
    ]
    assert report([decision], "utf-8") == ["✗ mae[c=*] > 1.5 (2 of 3 slices failed; worst c=FR; mae[c=*] = 3)"]
    assert decision.result.to_document()["slices"] == {
        "by": ["c"],
        "pass": 1,
        "fail": 2,
        "inconclusive": 0,
        "listed": [
            {"key": {"c": "FR"}, "value": 3.0, "limit": 1.5, "verdict": "fail"},
            {"key": {"c": "a,b]"}, "value": 2.0, "limit": 1.5, "verdict": "fail"},
        ],
    }


def test_a_slice_that_is_not_there_fails() -> None:
    decision = decided("mae[c=XX] < 100")
    assert decision.result.verdict == "fail"
    assert report([decision], "ascii") == [
        'FAIL mae[c=XX] < 100 (mae[c=XX] = nan; there is no such slice; there are c=FR; c="a,b]"; c="(missing)")'
    ]
    assert decided("not mae[c=XX] > 0").result.verdict == "fail"
    assert decided("mae[c=XX,sex=*] > 0").result.verdict == "fail"


def test_no_slice_at_all_fails() -> None:
    empty = result_of("mae", table({}, small=3, least=50))
    for text in ("mae[c=*] > 5", "gap(mae, by=c) > 5"):
        (gate,) = parse_gates([text], [], SPECS)
        decision = decide(gate, [empty, MSE])
        assert decision.result.verdict == "fail"
        assert "there is no slice by c of 50 samples or more" in report([decision], "utf-8")[0]


def test_a_slice_without_a_value_fails() -> None:
    undefined = result_of("mae", table({("FR",): math.nan, ("DE",): 1.0}))
    for text in ("mae[c=*] > 5", "gap(mae, by=c) > 5", "mae[c=FR] > 5"):
        (gate,) = parse_gates([text], [], SPECS)
        assert decide(gate, [undefined, MSE]).result.verdict == "fail"


NOISY = {
    "mae[c=*] > 2.4": ("fail", None),
    "mae[c=*] > 3.2": ("inconclusive", 27),
    "mae[c=*] > 3.6": ("pass", None),
    "mae[c=FR] > 2.9": ("inconclusive", 120),
    "gap(mae, by=c) > 0.9": ("fail", None),
    "gap(mae, by=c) > 1.1": ("inconclusive", None),
    "gap(mae, by=c) > 3.1": ("pass", None),
}


@pytest.mark.parametrize("text", NOISY)
def test_intervals_of_slices_decide(text: str) -> None:
    result = decided(text, noisy=True).result
    assert (result.verdict, result.more_samples) == NOISY[text]


def base_of(values: Mapping[str | None, float | None]) -> list[Mapping[str, Any] | None]:
    slices = [
        {"key": {"c": key}, "value": value, "sum": 1.0, "weight": 2.0, "samples": 7} for key, value in values.items()
    ]
    return [{"loss": "mae", "reduction": "mean", "value": 2.0, "slices": [{"by": ["c"], "slices": slices}]}, None]


def test_each_slice_against_its_own_in_the_baseline() -> None:
    base = base_of({"FR": 2.9, "a,b]": 2.0, None: 0.5})
    result = decided("mae[c=*] > base * 1.05", base).result
    assert (result.verdict, result.value, result.limit) == ("fail", 1.0, 0.525)
    assert result.slices is not None
    assert result.slices.count("fail") == 1
    assert decided("mae[c=FR] > base", base).result.limit == 2.9
    assert decided("ci_low(mae)[c=FR] > base", base).result.limit == 2.9
    assert decided("mae > base(mae[c=FR])", base).result.limit == 2.9
    assert decided("gap(mae, by=c) > base", base).result.limit == pytest.approx(2.4)
    assert decided("count(mae)[c=FR] < base", base).result.limit == 7.0


MISSING = {
    "mae[c=*] > base": (base_of({"FR": 1.0}), "the baseline has no slice c="),
    "mae[c=FR] > base": (base_of({"FR": None}), "the baseline has no finite mae"),
    "gap(mae, by=c) > base": (base_of({"FR": None}), "the baseline has no gap"),
    "mae[age='[0,30)'] > base": (base_of({"FR": 1.0}), "the baseline has no slices by age of mae"),
    "mae[c='a,b]'] > base": ([{"loss": "mae", "value": 1.0, "slices": "none"}, None], "no slices by c of mae"),
    "mae[c=FR] > base * 2": (
        [{"loss": "mae", "slices": [None, {"by": ["c"], "slices": [3]}]}, None],
        "the baseline has slices that are none",
    ),
}


@pytest.mark.parametrize("text", MISSING)
def test_what_the_baseline_lacks(text: str) -> None:
    base, told = MISSING[text]
    with pytest.raises(DataError, match=told):
        decided(text, base)


def test_what_gates_ask_for() -> None:
    gates = parse_gates(["mae[c=*] > base(mse[age=x])", "gap(mae, by=sex) > 1"], ["mae > 1"], SPECS)
    assert [gate.slicings for gate in gates] == [[("c",), ("age",)], [("sex",)], []]
    assert [gate.pattern is not None for gate in gates] == [True, False, False]


def test_a_command_without_slices() -> None:
    (gate,) = parse_gates(["mae[c=*] > 1"], [], SPECS)
    with pytest.raises(UsageError, match=r"a gate asks for mae\[c=\*\], and this command has no slices"):
        decide(gate, [result_of("mae"), result_of("mse")])


def test_gates_of_a_real_run() -> None:
    result = lossctl.evaluate(np.arange(6.0), np.zeros(6), ["mae", "mse"], by={"c": list("aabbcc")})
    (gate,) = parse_gates(["mae[c=*] > 3"], [], SPECS)
    decision = decide(gate, result)
    assert (decision.result.verdict, decision.result.value) == ("fail", 4.5)
