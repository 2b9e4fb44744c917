"""Suites in every format: each number under the name of its evaluation, and what went wrong."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lossctl.errors import DataError, EnvironmentFault, UsageError
from lossctl.outputs import BINARY, FORMATS, encoded, render
from lossctl.outputs.delivery import deliver
from lossctl.outputs.github_summary import LIMIT_BYTES
from lossctl.outputs.suites import suite_sections
from lossctl.results import GateResult, RunResult, Statistics
from lossctl.suites.results import EvaluationResult, SuiteResult
from tests.outputs.conftest import HOSTILE, loss_result, run_result

STATISTICS = Statistics(0.011, 0.0, 0.01, 0.4, 2.9, 12345)


def evaluation(name: str, run: RunResult | None = None, **changes: Any) -> EvaluationResult:
    return EvaluationResult(name, run, **{"error": None, "exit_code": 0, **changes})


def suite_of(*evaluations: EvaluationResult, **changes: Any) -> SuiteResult:
    return SuiteResult(
        **{"version": "0.1.0", "path": "ci/s.toml", "folder": "ci", "seconds": 0.5, **changes}, evaluations=evaluations
    )


@pytest.fixture
def mixed() -> SuiteResult:
    """Two results with other columns, an error, and gates of each."""
    gates = (GateResult("bce > 1", 0.0734, "pass", 1.0), GateResult("mse > 1", 2.5, "fail", 1.0))
    first = run_result(loss_result(), loss_result("mse", 2.5, unit=""), gates=gates, warnings=("odd",))
    second = run_result(loss_result("scce", 1 / 3, stats=STATISTICS))
    lost = (GateResult("rmse > 2", None, "fail"), GateResult("rmse > 1", None, "fail", severity="warn"))
    return suite_of(
        evaluation("tumours", first, exit_code=1),
        evaluation("digits", second),
        evaluation(
            "houses", error=DataError("no such file: y.npy", hint="check the name"), exit_code=3, never_asked=lost
        ),
    )


@pytest.fixture
def hostile() -> SuiteResult:
    run = run_result(loss_result(f"./{HOSTILE}.py:f", float("nan")), gates=(GateResult(HOSTILE, 1.0, "fail", 0.5),))
    return suite_of(
        evaluation("a", replace(run, warnings=(HOSTILE,)), exit_code=1),
        evaluation("b", error=DataError(HOSTILE, hint=HOSTILE), exit_code=3),
        path=HOSTILE,
    )


# Cells of CSV and TSV hold what they are given, in quotes.
SAFE = [name for name in FORMATS if name not in BINARY and name not in ("csv", "tsv")]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_takes_every_suite(format: str, mixed: SuiteResult, hostile: SuiteResult) -> None:
    failed = suite_of(evaluation("a", error=UsageError("x"), exit_code=2))
    for suite in (mixed, hostile, failed):
        assert encoded(suite, format)


@pytest.mark.parametrize("format", SAFE)
def test_nothing_in_it_speaks_to_who_reads_it(format: str, hostile: SuiteResult) -> None:
    text = render(hostile, format)
    assert text.endswith("\n")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert not any(line.startswith("::error::b") for line in text.splitlines())


def test_a_row_says_of_which_evaluation_it_is(mixed: SuiteResult) -> None:
    losses, errors = suite_sections(mixed)
    cells = {column.title: column.cells for column in losses.columns}
    assert list(cells) == [
        "evaluation",
        "loss",
        "value",
        "unit",
        "samples",
        "std error",
        "min",
        "p50",
        "p95",
        "max",
        "argmax",
    ]
    assert cells["evaluation"] == ("tumours", "tumours", "digits")
    assert cells["loss"] == ("bce", "mse", "scce")
    assert cells["unit"] == ("nat", "", "nat")
    assert cells["max"] == ("", "", "2.9")
    assert {column.title: column.cells for column in errors.columns} == {
        "evaluation": ("houses",),
        "error": ("no such file: y.npy; check the name",),
    }


def test_a_table_has_each_signature_once() -> None:
    suite = suite_of(evaluation("a", run_result(loss_result())), evaluation("b", run_result(loss_result())))
    text = render(suite, "table")
    assert text.count("bce|input=prob") == 1
    assert [line.split()[:2] for line in text.splitlines()[2:4]] == [["a", "bce"], ["b", "bce"]]


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_records_are_those_of_a_run_between_name_and_error(format: str, delimiter: str, mixed: SuiteResult) -> None:
    rows = list(csv.DictReader(io.StringIO(render(mixed, format)), delimiter=delimiter))
    single = next(csv.reader(io.StringIO(render(run_result(loss_result(stats=STATISTICS)), "csv"))))
    assert list(rows[0]) == ["evaluation", *single, "error"]
    assert [(row["evaluation"], row["loss"], row["value"]) for row in rows] == [
        ("tumours", "bce", repr(0.0734213123123123)),
        ("tumours", "mse", "2.5"),
        ("digits", "scce", repr(1 / 3)),
        ("houses", "", ""),
    ]
    assert [row["status"] for row in rows] == ["ok", "ok", "ok", "error"]
    assert rows[3]["error"] == "no such file: y.npy; check the name"
    failed = render(suite_of(evaluation("a", error=UsageError("x"), exit_code=2)), "csv").splitlines()
    plain = next(csv.reader(io.StringIO(render(run_result(loss_result()), "csv"))))
    assert failed[0].split(",") == ["evaluation", *plain, "error"]


def test_parquet_has_the_same_records_and_the_document(mixed: SuiteResult) -> None:
    table = pyarrow.parquet.read_table(pa.BufferReader(encoded(mixed, "parquet")))
    rows = table.to_pylist()
    assert [(row["evaluation"], row["loss"], row["value"], row["status"]) for row in rows] == [
        ("tumours", "bce", 0.0734213123123123, "ok"),
        ("tumours", "mse", 2.5, "ok"),
        ("digits", "scce", 1 / 3, "ok"),
        ("houses", None, None, "error"),
    ]
    assert json.loads(table.schema.metadata[b"lossctl.suite"]) == mixed.to_document()


def test_json_lines_are_the_document_on_one_line(mixed: SuiteResult) -> None:
    text = render(mixed, "jsonl")
    assert text.count("\n") == 1
    assert json.loads(text) == json.loads(render(mixed, "json")) == mixed.to_document()


def test_metrics_are_numbers_under_their_evaluation(mixed: SuiteResult) -> None:
    found = json.loads(render(mixed, "metrics"))
    assert list(found) == ["tumours", "digits"]
    assert found["tumours"] == {"bce": 0.0734213123123123, "mse": 2.5}
    assert found["digits"]["scce.max"] == 2.9


def test_markdown_has_results_errors_and_gates(mixed: SuiteResult) -> None:
    text = render(mixed, "markdown")
    heads = [part.splitlines()[0].split(" | ") for part in text.split("\n\n")]
    assert [head[1].strip(" |") for head in heads] == ["loss", "error", "gate"]
    assert "| `houses`   | no such file: y.npy; check the name |" in text
    assert "| `tumours`  | `mse > 1`  | fail    |     2.5 |     1 |" in text
    assert "| `houses`   | `rmse > 2` | fail    | missing |       |" in text


def test_latex_has_a_tabular_of_each(mixed: SuiteResult) -> None:
    text = render(mixed, "latex")
    assert text.count(r"\begin{tabular}") == 2
    assert r"houses & no such file: y.npy; check the name \\" in text


def test_junit_has_a_suite_an_evaluation(mixed: SuiteResult) -> None:
    root = ET.fromstring(render(mixed, "junit").partition("\n")[2])
    suites = {suite.get("name"): suite for suite in root.findall("testsuite")}
    assert list(suites) == ["tumours", "digits", "houses"]
    assert (root.get("tests"), root.get("errors"), root.get("failures"), root.get("skipped")) == ("8", "1", "2", "1")
    assert root.get("time") == "0.5"
    assert [case.get("name") for case in suites["tumours"].findall("testcase")] == ["bce", "mse", "bce > 1", "mse > 1"]
    error, failure, skipped = suites["houses"].findall("testcase")
    assert error.find("error") is not None
    assert failure.find("failure") is not None
    assert skipped.find("skipped") is not None
    assert suites["tumours"].get("time") == "0.004"


def test_openmetrics_have_the_evaluation_as_a_label(mixed: SuiteResult) -> None:
    parsed = text_string_to_metric_families(render(mixed, "openmetrics"))  # type: ignore[no-untyped-call]
    families = {each.name: each.samples for each in parsed}
    values = {(s.labels["evaluation"], s.labels["loss"]): s.value for s in families["lossctl_loss"]}
    assert values == {("tumours", "bce"): 0.0734213123123123, ("tumours", "mse"): 2.5, ("digits", "scce"): 1 / 3}
    assert {s.labels["evaluation"]: s.value for s in families["lossctl_evaluation_ok"]} == {
        "tumours": 1.0,
        "digits": 1.0,
        "houses": 0.0,
    }
    passed = {(s.labels["evaluation"], s.labels["expression"]): s.value for s in families["lossctl_gate_passed"]}
    assert passed[("tumours", "bce > 1")] == 1.0
    assert passed[("houses", "rmse > 2")] == 0.0
    assert len(families["lossctl_run_seconds"]) == 2


def test_annotations_are_about_files_from_where_the_command_was_given(mixed: SuiteResult) -> None:
    lines = render(mixed, "github").splitlines()
    title = "title=lossctl%3A"
    assert lines == [
        f"::error file=ci/s.toml,{title} no result::houses: no such file: y.npy; check the name",
        f"::error file=ci/preds.npy,{title} gate fail::tumours: mse > 1: 2.5, limit 1",
        f"::warning file=ci/preds.npy,{title} warning::tumours: odd",
        f"::notice file=ci/preds.npy,{title} result::tumours: bce 0.0734213 nat, mse 2.5",
        f"::notice file=ci/preds.npy,{title} result::digits: scce 0.333333 nat",
    ]


def test_annotations_are_no_more_than_the_host_shows() -> None:
    many = suite_of(*(evaluation(f"e{n}", run_result(loss_result())) for n in range(30)))
    lines = render(many, "github").splitlines()
    assert len(lines) == 10
    assert lines[-1].endswith("; and 20 more")


def test_a_summary_says_how_many_have_no_result_and_keeps_its_limit(mixed: SuiteResult) -> None:
    text = render(mixed, "github-summary")
    assert text.startswith("### lossctl: 1 of 3 evaluations failed, 2 of 3 gates failed\n")
    assert "- warning: tumours: odd\n" in text
    plain = suite_of(evaluation("a", run_result(loss_result())))
    assert render(plain, "github-summary").startswith("### lossctl: done\n")
    many = suite_of(*(evaluation(f"e{n}", run_result(loss_result())) for n in range(20_000)))
    text = render(many, "github-summary")
    assert len(text.encode()) <= LIMIT_BYTES
    assert "The rest is left out" in text


def test_step_outputs_have_each_loss_by_its_evaluation(mixed: SuiteResult) -> None:
    found = dict(line.split("=", 1) for line in render(mixed, "github-output").splitlines())
    assert (found["status"], found["gates"]) == ("error", "fail")
    assert (found["tumours_bce"], found["digits_scce"]) == (repr(0.0734213123123123), repr(1 / 3))
    assert json.loads(found["result"]) == mixed.to_document()


def test_a_result_whose_file_was_not_written_is_shown_with_the_error() -> None:
    suite = suite_of(evaluation("a", run_result(loss_result()), error=EnvironmentFault("disk full"), exit_code=4))
    assert (suite.status, suite.exit_code) == ("error", 4)
    (row,) = csv.DictReader(io.StringIO(render(suite, "csv")))
    assert (row["status"], row["error"]) == ("ok", "disk full")
    assert "disk full" in render(suite, "table")


def test_a_suite_is_delivered_as_a_run_is(tmp_path: Path, mixed: SuiteResult, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    deliver(mixed, [str(tmp_path / "r.json"), str(summary)])
    assert json.loads((tmp_path / "r.json").read_text()) == mixed.to_document()
    assert summary.read_text().startswith("before\n### lossctl: 1 of 3 evaluations failed")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("p.npy", "ci/p.npy"), ("/p.npy", "/p.npy"), ("-", "-"), ("s3://b/p.npy", "s3://b/p.npy"), ("", "")],
)
def test_the_place_of_a_file(path: str, expected: str, mixed: SuiteResult) -> None:
    assert mixed.place_of(path) == expected
