"""What gates answer, given results: point values, intervals, baselines, and numbers that are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import CheckFailed, DataError, Undecided, UsageError
from lossctl.gates.conclusion import conclude, report
from lossctl.gates.judging import Decision, decide, parse_gates
from lossctl.results import LossResult, Statistics
from lossctl.sample_statistics import SampleStatistics

SPECS = [parse("bce"), parse("mae"), parse("huber:delta=2"), parse("rmse")]


def result(loss: str, value: float, **changes: Any) -> LossResult:
    plain: dict[str, Any] = {"sum": 400.0 * value, "weight": 400.0, "samples": 400, "reduction": "mean", "unit": ""}
    return LossResult(loss=loss, options={}, value=value, signature=loss, **{**plain, **changes})


def spread(value: float, half: float) -> Statistics:
    return Statistics(half / 2, 0.1, 0.3, 1.5, 9.0, 3, 1.2, 2.5, 0.95, value - half, value + half)


RESULTS = [
    result("bce", 0.4, stats=spread(0.4, 0.1), nonfinite=2, clipped=7),
    result("mae", 1.0, stats=spread(1.0, 0.2), nonfinite=0, samples=300),
    result("huber", 2.0, degenerate=1),
    result("rmse", 3.0),
]
BASE = [
    {"value": 0.38, "samples": 390, "stats": {"p95": 1.4}, "reduction": "mean"},
    {"value": 1.0, "samples": 390, "nonfinite": 1, "reduction": "sum", "sum": 195.0, "weight": 390.0},
    None,
    None,
]


def decided(text: str, results: list[LossResult] = RESULTS, *, noisy: bool = False, severity: str = "fail") -> Decision:
    given = ([text], []) if severity == "fail" else ([], [text])
    (gate,) = parse_gates(*given, SPECS)
    return decide(gate, results, BASE, noisy=noisy)


def verdict(text: str, results: list[LossResult] = RESULTS, *, noisy: bool = False) -> str:
    return decided(text, results, noisy=noisy).result.verdict


TRUE = [
    "bce > 0.35",
    "bce >= 0.4",
    "bce <= 0.4",
    "bce == 0.4",
    "bce != 0.41",
    "bce < 0.5",
    "huber > 1",
    "'huber:delta=2' > 1",
    "huber == 2",
    "p50(bce) == 0.3",
    "p90(bce) == 1.2",
    "p95(mae) > 1.4",
    "p99(mae) > 2",
    "max(mae) > 8",
    "min(mae) < 0.2",
    "std_error(bce) == 0.05",
    "ci_low(bce) == 0.3 or ci_low(bce) > 0.3",
    "ci_high(bce) >= 0.5",
    "mean(bce) == 0.4",
    "nonfinite > 1",
    "nonfinite(mae) == 0",
    "clipped(bce) == 7",
    "clipped == 7",
    "degenerate > 0",
    "skipped == 0",
    "samples < 301",
    "samples(bce) == 400",
    "count(bce) == 400",
    "bce * 2 + 1 > 1.79",
    "(bce + 0.6) / mae == 1",
    "bce > 39%",
    "-bce < -0.3",
    "not bce > 0.5",
    "bce > 0.3 and mae > 0.5",
    "bce > 0.5 or mae > 0.5",
    "bce > base",
    "bce > base * 1.05 and bce > base + 0.01",
    "p95(bce) > base",
    "bce + mae > base(bce) + base(mae)",
    "samples < base",
    "nonfinite > base",
    "mean(mae) > base + 0.4",
    "ci_high(bce) > base",
]
FALSE = [
    "bce > 0.4",
    "bce < 0.4",
    "bce != 0.4",
    "mae > base",
    "bce > base * 1.1",
    "ci_low(bce) > base",
    "count(bce) < base",
    "not (bce > 0.3)",
    "bce > 0.3 and mae > 2",
    "bce > 0.5 or mae > 2",
    "nonfinite(bce) > 2",
    "samples > 300",
]


@pytest.mark.parametrize("text", TRUE)
def test_a_gate_fails_where_its_condition_holds(text: str) -> None:
    assert verdict(text) == "fail"


@pytest.mark.parametrize("text", FALSE)
def test_a_gate_passes_where_it_does_not(text: str) -> None:
    assert verdict(text) == "pass"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "text", ["bce > 0.35", "bce < 0.35", "not bce > 0.35", "bce == 0.35", "mae > 5 and bce > 1", "mae > 0 or bce > 1"]
)
def test_what_is_not_finite_fails_its_gate(text: str, value: float) -> None:
    assert verdict(text, [result("bce", value), *RESULTS[1:]]) == "fail"


@pytest.mark.parametrize("text", ["p95(huber) > 5", "mae / (bce - bce) > 1", "max(bce) < 1"])
def test_what_is_missing_fails_its_gate(text: str) -> None:
    assert verdict(text, [result("bce", 0.4), *RESULTS[1:]]) == "fail"


# bce is 0.4 in [0.3, 0.5], mae 1.0 in [0.8, 1.2]; huber has no interval.
NOISY = {
    "bce > 0.35": "inconclusive",
    "bce > 0.25": "fail",
    "bce > 0.5": "pass",
    "bce > 0.55": "pass",
    "bce >= 0.3": "fail",
    "bce < 0.35": "inconclusive",
    "bce < 0.25": "pass",
    "bce <= 0.5": "fail",
    "bce == 0.4": "inconclusive",
    "bce == 0.6": "pass",
    "bce != 0.6": "fail",
    "not bce > 0.35": "inconclusive",
    "not bce > 0.6": "fail",
    "bce > 0.35 and mae > 2": "pass",
    "bce > 0.35 and mae > 0.5": "inconclusive",
    "bce > 0.35 or mae > 0.5": "fail",
    "bce > 0.35 or mae > 2": "inconclusive",
    "huber > 1.99": "fail",
    "p95(bce) > 1.4": "fail",
    "ci_low(bce) > 0.31": "pass",
    "bce * 2 > 0.55": "fail",
    "bce - mae > -0.4": "inconclusive",
    "bce - mae > -0.2": "pass",
    "-bce < -0.29": "fail",
    "1 / bce > 1.9": "fail",
    "1 / (bce - 0.4) > 0": "fail",  # its point is a division by 0
    "1 / (bce - 0.45) > 0": "inconclusive",
    "bce > base": "inconclusive",
    "bce > base * 1.5": "pass",
}


@pytest.mark.parametrize("text", NOISY)
def test_an_interval_about_the_limit_decides_nothing(text: str) -> None:
    assert verdict(text, noisy=True) == NOISY[text]


NAMES = st.sampled_from(["bce", "mae"])
AMOUNTS = st.recursive(
    st.one_of(NAMES, st.sampled_from(["0.5", "1", "2"])),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/"]), inner), inner.map("-{}".format)
    ),
    max_leaves=4,
)
COMPARED = st.builds("{} {} {}".format, NAMES, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), AMOUNTS)
CONDITIONS = st.recursive(
    COMPARED,
    lambda inner: st.one_of(
        inner.map("not ({})".format), st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner)
    ),
    max_leaves=3,
)
INSIDE = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2)


@given(CONDITIONS, st.lists(INSIDE, min_size=5, max_size=5), st.sampled_from([0.0, 0.1, 0.6]))
@settings(max_examples=200, deadline=None)
def test_what_intervals_decide_holds_for_all_that_is_in_them(text: str, places: list[list[float]], half: float) -> None:
    (gate,) = parse_gates([text], [], SPECS[:2])
    centres = (0.75, 1.25)
    noisy = [
        result(name, centre, stats=spread(centre, half)) for name, centre in zip(("bce", "mae"), centres, strict=True)
    ]
    answer = decide(gate, noisy, noisy=True)
    if answer.result.verdict == "inconclusive" or any(not math.isfinite(i.point) for _, i in answer.quantities):
        return
    for place in places:
        points = [centre + half * (2.0 * part - 1.0) for centre, part in zip(centres, place, strict=True)]
        exact = decide(gate, [result("bce", points[0]), result("mae", points[1])])
        if all(math.isfinite(interval.point) for _, interval in exact.quantities):
            assert exact.result.verdict == answer.result.verdict


def test_intervals_are_heeded_only_where_asked() -> None:
    assert verdict("bce > 0.35") == "fail"


def test_one_sample_decides_nothing() -> None:
    alone = result(
        "bce", 0.4, samples=1, stats=Statistics(math.nan, 0.4, 0.4, 0.4, 0.4, 0, 0.4, 0.4, 0.95, *[math.nan] * 2)
    )
    found = decided("bce > 0.35", [alone, *RESULTS[1:]], noisy=True).result
    assert (found.verdict, found.more_samples) == ("inconclusive", None)


def test_so_many_more_samples_would_decide() -> None:
    assert decided("bce > 0.35", noisy=True).result.more_samples == 1200  # half the distance: four times the samples
    assert decided("0.35 < bce", noisy=True).result.more_samples == 1200
    assert decided("bce > 0.35 and mae > 0.9", noisy=True).result.more_samples == 1200
    assert decided("bce > 0.4", noisy=True).result.more_samples is None
    assert decided("bce > 0.6", noisy=True).result.more_samples is None


def test_that_many_samples_do_decide() -> None:
    """The prediction holds for data of the same spread."""
    random = np.random.default_rng(8)

    def found(count: int) -> Decision:
        losses = random.normal(1.0, 1.0, 20)
        losses = np.tile((losses - losses.mean()) / losses.std() + 1.0, count // 20)
        every = np.ones(losses.size, np.bool_)
        gathered = SampleStatistics(0.95)
        gathered.add(losses, None, np.ones(losses.size), every, every)
        gathered.end_pass()
        stats = gathered.result(float(losses.mean()), float(losses.size), "mean")
        (gate,) = parse_gates(["mae > 0.9"], [], [parse("mae")])
        return decide(gate, [result("mae", float(losses.mean()), samples=losses.size, stats=stats)], noisy=True)

    first = found(100).result
    assert first.verdict == "inconclusive"
    assert first.more_samples is not None
    needed = 100 + first.more_samples
    assert found(int(0.8 * needed)).result.verdict == "inconclusive"
    assert found(int(1.2 * needed)).result.verdict == "fail"


def test_value_and_limit_are_the_sides_of_the_first_comparison() -> None:
    found = decided("bce > base * 1.05 and mae > 0.5").result
    assert found.value == 0.4
    assert found.limit == pytest.approx(0.399)
    assert found.to_document() == {
        "expression": "bce > base * 1.05 and mae > 0.5",
        "value": 0.4,
        "limit": 0.38 * 1.05,
        "verdict": "fail",
        "severity": "fail",
    }


# ---- names


def test_a_loss_goes_by_its_spec_its_name_and_what_the_name_stands_for() -> None:
    specs = [parse("BCELoss"), parse("huber:delta=2")]
    for name in ("BCELoss", "bce", "huber", "'huber:delta=2'"):
        assert len(parse_gates([f"{name} > 1"], [], specs)) == 1


def test_a_name_of_two_losses_is_none() -> None:
    specs = [parse("huber:delta=1"), parse("huber:delta=2")]
    with pytest.raises(UsageError, match="'huber:delta=1' or 'huber:delta=2'"):
        parse_gates(["huber > 1"], [], specs)
    assert parse_gates(["'huber:delta=2' > 1"], [], specs)[0].measured()[0].loss == 1


def test_the_baseline_must_have_what_is_asked_of_it() -> None:
    with pytest.raises(DataError, match=r"the baseline has no p95\(mae\).*--stats"):
        decided("p95(mae) > base")


def test_what_a_gate_needs_is_known_before() -> None:
    gates = parse_gates(["p95(mae) > base", "bce > 1"], ["ci_low(bce) > 2"], SPECS)
    assert [gate.severity for gate in gates] == ["fail", "fail", "warn"]
    assert [gate.uses_statistics for gate in gates] == [True, False, True]
    assert [gate.uses_interval for gate in gates] == [False, False, True]
    assert [len(gate.of_baseline()) for gate in gates] == [1, 0, 0]
    assert gates[0].sampled == {1: "p95(mae)"}


# ---- what is said


def test_every_gate_is_told_with_what_was_measured() -> None:
    decisions = [decided("bce > 0.35"), decided("mae > base * 1.02"), decided("mae > 0.5", severity="warn")]
    decisions.append(decided("bce > 0.35", noisy=True))
    decisions.append(decided("bce > base and mae > base and bce > 0"))
    assert report(decisions, "utf-8") == [
        "✗ bce > 0.35 (bce = 0.4)",
        "✓ mae > base * 1.02 (mae = 1, base * 1.02 = 1.02)",
        "! mae > 0.5 (mae = 1)",
        "? bce > 0.35 (bce = 0.4 [0.3, 0.5]): about 1,200 more samples would decide it",
        "✓ bce > base and mae > base and bce > 0 (bce = 0.4, base = 0.38, mae = 1, base = 1)",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", None, "no such encoding"])
def test_terminals_without_the_marks_get_ascii(encoding: str | None) -> None:
    lines = report([decided("bce > 0.35"), decided("mae > 5"), decided("bce > 0.4", noisy=True)], encoding)
    assert [line.split()[0] for line in lines] == ["FAIL", "ok", "OPEN"]
    assert all(line.isascii() for line in lines)


def test_control_characters_are_not_told() -> None:
    (line,) = report([decided("bce\t>\n0.35")], "utf-8")
    assert line == r"✗ bce\t>\n0.35 (bce = 0.4)"


def test_the_conclusion_is_the_error_of_the_worst_gate() -> None:
    failed, passed = decided("bce > 0.35"), decided("bce > 0.5")
    warned, undecided = decided("bce > 0.35", severity="warn"), decided("bce > 0.35", noisy=True)
    assert conclude([passed]) == "1 of 1 gate passed"
    assert conclude([passed, passed, warned]) == "2 of 2 gates passed, 1 warning"
    assert conclude([warned]) == "no gate can fail, 1 warning"
    assert conclude([passed, undecided]) == "1 of 2 gates passed, 1 cannot be decided"
    with pytest.raises(CheckFailed, match=r"^1 of 2 gates failed: bce > 0\.35; 1 warning$"):
        conclude([passed, failed, warned])
    with pytest.raises(Undecided, match=r"^1 of 2 gates cannot be decided: bce > 0\.35$"):
        conclude([passed, undecided], strict=True)
    with pytest.raises(CheckFailed):
        conclude([undecided, failed], strict=True)
    assert (CheckFailed.exit_code, Undecided.exit_code) == (1, 5)


def test_gates_take_what_evaluate_returns() -> None:
    results = lossctl.evaluate(np.array([0.8, 0.4]), np.array([1, 1]), ["bce", "mae"])
    gates = parse_gates(["bce > 0.5", "mae > 0.5"], [], SPECS[:2])
    assert [decide(gate, results).result.verdict for gate in gates] == ["fail", "pass"]
