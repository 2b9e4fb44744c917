"""Leaderboards: who is before whom, and what that means for the exit code."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lossctl.batches.results import Leaderboard, Row, conclude, failed_row, leaderboard, row_of, value_of
from lossctl.errors import CheckFailed, DataError, EnvironmentFault, LossctlError, Undecided, UsageError
from lossctl.results import InputInfo, LossResult, RunResult

FACTS: dict[str, Any] = {
    "version": "0", "fields": (), "request": {"command": "", "inputs": None}, "taken": 0, "pending": 0, "jobs": 1,
    "threads": 1, "seconds": 0.5,
}  # fmt: skip


def row(
    path: str, *values: float, sign: float | None = None, samples: int = 4, signature: str = "s", **more: Any
) -> Row:
    """A row with a loss for each value."""
    results = tuple(
        LossResult(
            loss="mse", options={} if sign is None else {"sign": sign}, reduction="mean", value=value, unit="",
            sum=value, weight=4.0, samples=samples, signature=f"{signature}{position}",
        )
        for position, value in enumerate(values)
    )  # fmt: skip
    inputs = (InputInfo("prediction", path, "npy", (4,), "float64"),)
    run = RunResult(version="0", inputs=inputs, results=results, backend="python", threads=1, seconds=0.1)
    return row_of(Row(path=path, name=path, **more), run, [f"mse{position}" for position in range(len(values))])


def failed(path: str, error: LossctlError | None = None) -> Row:
    return failed_row(Row(path=path, name=path), error or DataError("it is damaged", hint="write it again"))


def board(*rows: Row, sort: int = 0, **facts: Any) -> Leaderboard:
    return leaderboard(rows, sort, **{**FACTS, **facts})


def ranks(found: Leaderboard) -> list[tuple[str, int | None]]:
    return [(each.path, each.rank) for each in found.rows]


def test_lower_is_better_and_equal_values_share_a_rank() -> None:
    found = board(row("a", 3.0), row("b", 1.0), row("c", 3.0), row("d", 2.0), row("e", 1.0))
    assert ranks(found) == [("b", 1), ("e", 1), ("d", 3), ("a", 4), ("c", 4)]
    assert [each.differences for each in found.rows] == [(0.0,), (0.0,), (1.0,), (2.0,), (2.0,)]
    assert [loss["better"] for loss in found.losses] == ["lower"]


def test_higher_is_better_where_a_loss_is_told_to_have_the_other_sign() -> None:
    found = board(row("a", -0.5, sign=1.0), row("b", 0.9, sign=1.0), row("c", math.inf, sign=1.0))
    assert ranks(found) == [("b", 1), ("a", 2), ("c", None)]
    assert found.losses[0]["better"] == "higher"
    assert found.rows[1].differences == (-1.4,)
    assert ranks(board(row("a", -0.5, sign=-1.0), row("b", 0.9, sign=-1.0)))[0] == ("a", 1)


def test_another_loss_may_rank() -> None:
    rows = (row("a", 1.0, 5.0), row("b", 2.0, 4.0))
    assert ranks(board(*rows)) == [("a", 1), ("b", 2)]
    found = board(*rows, sort=1)
    assert ranks(found) == [("b", 1), ("a", 2)]
    assert found.sort == "mse1"
    assert found.rows[1].differences == (-1.0, 1.0)


def test_what_has_no_finite_value_comes_last_without_a_rank() -> None:
    found = board(
        failed("x"), row("nan", math.nan), row("a", 1.0), row("inf", math.inf), failed("y"), row("-inf", -math.inf)
    )
    assert ranks(found) == [("a", 1), *((name, None) for name in ("nan", "inf", "-inf", "x", "y"))]
    assert [each.status for each in found.rows] == ["ok", *["nonfinite"] * 3, *["failed"] * 2]
    assert [value_of(each.result("mse0")) for each in found.rows[2:4]] == [math.inf, -math.inf]
    assert math.isnan(value_of(found.rows[1].result("mse0")))
    assert found.rows[1].differences == (None,)
    assert found.status == "partial"


def test_a_board_of_nothing_but_failures() -> None:
    found = board(failed("a"), failed("b"))
    assert (found.status, found.losses, found.labels, found.sort) == ("failed", (), [], "")
    assert ranks(found) == [("a", None), ("b", None)]


def test_other_functions_of_the_data_are_not_ranked() -> None:
    found = board(row("a", 2.0), row("b", 1.0, signature="other"), row("c", 3.0))
    assert ranks(found) == [("a", 1), ("c", 2), ("b", None)]
    assert found.rows[2].error is not None
    assert "its loss is another than that of a: other0, not s0" in found.rows[2].error["message"]
    assert found.rows[2].results == ()
    (error,) = [each.error for each in board(row("a", 2.0, 3.0), row("b", 1.0)).failed]
    assert error is not None
    assert "nothing, not s1" in error["message"]


def test_other_numbers_of_samples_are_said() -> None:
    assert board(row("a", 1.0), row("b", 2.0)).warnings == ()
    found = board(row("a", 1.0), row("b", 2.0, samples=7), failed("c"), warnings=("first",))
    assert found.warnings == ("first", "the files have from 4 to 7 samples: their values are of different data")


# ---- exit codes

NO_ROOM = EnvironmentFault("disk full")
NO_COLUMN = UsageError("no column 'p'")


@pytest.mark.parametrize(
    ("rows", "keep_going", "kind"),
    [
        ([row("a", 1.0)], False, None),
        ([row("a", 1.0), failed("b")], False, DataError),
        ([row("a", 1.0), failed("b")], True, None),
        ([failed("a"), failed("b")], True, DataError),
        ([row("a", 1.0), failed("b", NO_ROOM), failed("c")], False, EnvironmentFault),
        ([row("a", 1.0), failed("b", NO_COLUMN)], False, DataError),
        ([failed("a", NO_COLUMN), failed("b", NO_COLUMN)], False, UsageError),
        ([failed("a", NO_COLUMN), failed("b")], False, DataError),
        ([failed("a", NO_COLUMN), failed("b", NO_ROOM)], True, EnvironmentFault),
    ],
)
def test_the_worst_decides(rows: list[Row], keep_going: bool, kind: type[Exception] | None) -> None:
    if kind is None:
        assert conclude(board(*rows), keep_going) == ""
        return
    with pytest.raises(kind) as caught:
        conclude(board(*rows), keep_going)
    bad = [each for each in rows if each.error is not None]
    assert f"{len(bad)} of {len(rows)} files failed: {bad[0].path}" in str(caught.value)
    assert type(caught.value) is kind


def gated(path: str, *verdicts: str, severity: str = "fail") -> Row:
    found = row(path, 1.0)
    entries = [
        {"expression": "mse > 1", "value": 1.0, "limit": 1.0, "verdict": verdict, "severity": severity}
        for verdict in verdicts
    ]
    return Row(path=path, name=path, results=found.results, gates=tuple(entries))


@pytest.mark.parametrize(
    ("verdicts", "severity", "found"),
    [
        (["pass", "pass"], "fail", "pass"),
        (["pass", "fail", "inconclusive"], "fail", "fail"),
        (["pass", "inconclusive"], "fail", "inconclusive"),
        (["pass", "fail"], "warn", "warn"),
        (["inconclusive"], "warn", "warn"),
        ([], "fail", None),
    ],
)
def test_the_verdict_of_a_file(verdicts: list[str], severity: str, found: str | None) -> None:
    assert gated("a", *verdicts, severity=severity).verdict == found


def test_gates_decide_where_no_file_failed() -> None:
    good, bad, open_ = gated("good", "pass"), gated("bad", "fail"), gated("open", "inconclusive")
    assert conclude(board(good, gated("advice", "fail", severity="warn"))) == "2 of 2 files pass their gates"
    assert conclude(board(good, open_)) == "1 of 2 files pass their gates"
    with pytest.raises(CheckFailed, match="1 of 3 files fail their gates: bad"):
        conclude(board(good, bad, open_))
    with pytest.raises(Undecided, match="the gates of 1 of 2 files are open: open"):
        conclude(board(good, open_), strict=True)
    with pytest.raises(DataError, match="1 of 2 files failed"):
        conclude(board(bad, failed("x")))
    with pytest.raises(CheckFailed, match="1 of 1 files fail"):
        conclude(board(bad, failed("x")), keep_going=True)


def test_many_names_are_not_all_listed() -> None:
    with pytest.raises(DataError) as caught:
        conclude(board(*(failed(f"f{number}") for number in range(12))))
    assert caught.value.message.endswith("f8, f9 and 2 more")
