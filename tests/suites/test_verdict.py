"""One verdict of many evaluations: what is said, and with which exit code it ends."""

from __future__ import annotations

from itertools import permutations

import pytest

from lossctl.errors import CheckFailed, DataError, EnvironmentFault, LossctlError, Undecided, UsageError
from lossctl.gates.judging import Decision
from lossctl.results import GateResult
from lossctl.suites.results import most_serious
from lossctl.suites.verdict import Finished, finished, verdict
from tests.outputs.conftest import loss_result, run_result

RUN = run_result(loss_result())


def ended(
    name: str, *verdicts: str, error: LossctlError | None = None, strict: bool = False, severity: str = "fail"
) -> Finished:
    """An evaluation whose gates `bce > 0`, `bce > 1`… had these answers; one with an error has none of them."""
    texts = [f"bce > {number}" for number in range(len(verdicts))]
    found = zip(texts, verdicts, strict=True)
    decisions = [Decision(GateResult(text, 0.5, answer, 0.0, severity), ()) for text, answer in found]
    run = RUN if error is None else None
    gates = [(text, severity) for text in texts]
    return finished(name, run, error, decisions if run else (), gates, strict)


@pytest.mark.parametrize("codes", list(permutations((4, 3, 2, 1, 5, 0), 2)))
def test_the_most_serious_code_wins(codes: tuple[int, int]) -> None:
    order = [4, 3, 2, 1, 5, 0]
    assert most_serious(codes) == min(codes, key=order.index)
    assert most_serious([]) == 0


@pytest.mark.parametrize(
    ("suite", "code", "said"),
    [
        ([ended("a")], 0, ""),
        ([ended("a", "pass"), ended("b", "pass", "pass")], 0, "3 of 3 gates passed"),
        ([ended("a", "fail", severity="warn")], 0, "no gate can fail, 1 warning"),
        ([ended("a", "pass"), ended("b", "pass", "fail")], 1, "1 of 3 gates failed: b: bce > 1"),
        ([ended("a", "inconclusive")], 0, "0 of 1 gate passed, 1 cannot be decided"),
        ([ended("a", "inconclusive", strict=True)], 5, "1 of 1 gate cannot be decided: a: bce > 0"),
        (
            [ended("a", "inconclusive", strict=True), ended("b", "fail")],
            1,
            "1 of 2 gates failed: b: bce > 0",
        ),
        ([ended("a", error=DataError("x")), ended("b")], 3, "1 of 2 evaluations failed (a)"),
        (
            [ended("a", "pass", error=DataError("x")), ended("b", "pass")],
            3,
            "1 of 2 evaluations failed (a); 1 of 2 gates failed: a: bce > 0",
        ),
        (
            [ended("a", error=DataError("x")), ended("b", error=EnvironmentFault("y")), ended("c", "fail")],
            4,
            "2 of 3 evaluations failed (a, b); 1 of 1 gate failed: c: bce > 0",
        ),
        ([ended("a", error=UsageError("x"))], 2, "1 of 1 evaluation failed (a)"),
    ],
)
def test_what_a_suite_comes_to(suite: list[Finished], code: int, said: str) -> None:
    found = verdict(suite)
    assert (found.exit_code if isinstance(found, LossctlError) else 0) == code
    assert (found.message if isinstance(found, LossctlError) else found) == said


def test_files_of_the_whole_that_are_not_written_count_too() -> None:
    found = verdict([ended("a", "fail")], [EnvironmentFault("x"), EnvironmentFault("y")])
    assert isinstance(found, EnvironmentFault)
    assert found.message == "2 files could not be written; 1 of 1 gate failed: a: bce > 0"


def test_an_evaluation_has_the_code_that_it_would_have_by_itself() -> None:
    codes = [
        ended("a").result.exit_code,
        ended("a", "fail").result.exit_code,
        ended("a", "inconclusive").result.exit_code,
        ended("a", "inconclusive", strict=True).result.exit_code,
        ended("a", "fail", error=DataError("x")).result.exit_code,
    ]
    assert codes == [0, CheckFailed.exit_code, 0, Undecided.exit_code, DataError.exit_code]


def test_gates_without_a_result_fail() -> None:
    result = ended("a", "pass", error=DataError("x")).result
    assert result.gates == result.never_asked == (GateResult("bce > 0", None, "fail"),)
    assert ended("a", "pass").result.never_asked == ()
