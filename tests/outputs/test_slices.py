"""Slices, worst rows and gates about slices, in each format."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow.parquet
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lossctl.outputs import encoded, github_summary, render
from lossctl.outputs.junit import MOST_SLICES
from lossctl.outputs.slices import shown_value
from lossctl.results import GateResult, RunResult, Statistics
from lossctl.slices.results import GateSlices, SliceResult, SliceTable, SliceVerdict, WorstRow
from tests.outputs.conftest import loss_result, run_result


def one(key: tuple[str | None, ...], value: float, samples: int = 10, **facts: Any) -> SliceResult:
    return SliceResult(
        key=key,
        value=value,
        difference=value - 0.5,
        sum=value * samples,
        weight=float(samples),
        samples=samples,
        **facts,
    )


COUNTRIES = SliceTable(
    by=("country",),
    slices=(
        one(("DE",), 0.75),
        one((None,), 0.5, ci_low=0.25, ci_high=0.75, std_error=0.125),
        one(("a|b",), 0.25, 1000),
    ),
    least=5,
    small=7,
    small_samples=12,
    confidence=0.95,
    shown=2,
)
CROSSED = SliceTable(by=("country", "the sex"), slices=(one(("DE", "f"), float("nan")), one(("", "m"), float("inf"))))
WORST = (
    WorstRow(41, float("nan"), {"id": "u|41", "name": None}, 0.25, 1),
    WorstRow(7, 3.5, {"id": "u7", "name": "(missing)"}, 0.5, True),
)


@pytest.fixture
def sliced_run() -> RunResult:
    """Slices by one column and by two, of one loss; worst rows; a gate about every slice."""
    verdicts = tuple(
        SliceVerdict((("country", name),), value, 0.5, verdict)
        for name, value, verdict in (("DE", 0.75, "fail"), (None, 0.5, "inconclusive"), ("a|b", 0.25, "pass"))
    )
    gate = GateResult("bce[country=*] > 0.5", 0.75, "fail", 0.5, slices=GateSlices(("country",), verdicts))
    statistics = Statistics(0.1, 0.0, 0.5, 0.9, 1.0, 3)
    bce = loss_result("bce", 0.5, slices=(COUNTRIES, CROSSED), worst=WORST, stats=statistics)
    return run_result(bce, loss_result("mae", 0.25), gates=(gate,))


def test_the_table_shows_the_worst_and_says_what_it_does_not(sliced_run: RunResult) -> None:
    text = render(sliced_run, "table")
    country, rest = text.split("bce by country\n")[1].split("bce by country, the sex\n")
    assert [line.split()[0] for line in country.splitlines()[2:4]] == ["DE", "(missing)"]
    assert "1 more, not as bad, is not shown; 7 slices of fewer than 5 samples, 12 in all, are not shown" in country
    assert "a|b" not in country
    assert '""' in rest.split("worst rows")[0]
    worst = rest.split("bce: the 2 worst rows\n")[1]
    assert worst.splitlines()[2].split() == ["41", "u|41", "(missing)", "nan", "0.25", "1"]
    assert worst.splitlines()[3].split() == ["7", "u7", '"(missing)"', "3.5", "0.5", "1"]


def test_json_has_all_of_it(sliced_run: RunResult) -> None:
    bce, mae = json.loads(render(sliced_run, "json"))["results"]
    assert "slices" not in mae
    country, crossed = bce["slices"]
    assert [each["key"] for each in country["slices"]] == [{"country": "DE"}, {"country": None}, {"country": "a|b"}]
    assert (country["gap"], country["small"], country["confidence"]) == (0.5, 7, 0.95)
    assert [(each["value"], each["status"]) for each in crossed["slices"]] == [(None, "nan"), (None, "inf")]
    assert crossed["gap"] is None
    assert bce["worst"][0] == {
        "row": 41,
        "loss": None,
        "status": "nan",
        "ids": {"id": "u|41", "name": None},
        "prediction": 0.25,
        "target": 1,
    }
    assert json.loads(render(sliced_run, "jsonl"))["results"][0] == bce


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_a_record_for_each_slice_behind_the_losses(sliced_run: RunResult, format: str) -> None:
    found = list(csv.DictReader(StringIO(render(sliced_run, format)), delimiter="," if format == "csv" else "\t"))
    assert [each["loss"] for each in found] == ["bce", "mae", *["bce"] * 7]
    columns = ["by", "by.country", "by.the sex", "difference", "row", "id.id", "id.name", "prediction", "target"]
    assert list(found[0])[-9:] == columns
    assert [each["by"] for each in found] == ["", "", *["country"] * 3, *["country,the sex"] * 2, "", ""]
    assert [each["by.country"] for each in found[2:]] == ["DE", "(missing)", "a|b", "DE", "", "", ""]
    assert [each["value"] for each in found] == ["0.5", "0.25", "0.75", "0.5", "0.25", "nan", "inf", "nan", "3.5"]
    assert (found[3]["ci_low"], found[3]["std_error"], found[2]["ci_low"], found[0]["difference"]) == (
        "0.25",
        "0.125",
        "",
        "",
    )
    assert found[2]["signature"] == found[0]["signature"]


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_a_record_for_each_of_the_worst_rows_behind_them(sliced_run: RunResult, format: str) -> None:
    found = list(csv.DictReader(StringIO(render(sliced_run, format)), delimiter="," if format == "csv" else "\t"))
    columns = ("row", "value", "status", "samples", "id.id", "id.name", "prediction", "target", "std_error")
    assert [tuple(each[name] for name in columns) for each in found[-2:]] == [
        ("41", "nan", "nan", "1", "u|41", "(missing)", "0.25", "1", ""),
        ("7", "3.5", "ok", "1", "u7", '"(missing)"', "0.5", "1", ""),
    ]
    assert {each["row"] for each in found[:-2]} == {""}


def test_markdown_folds_it(sliced_run: RunResult) -> None:
    text = render(sliced_run, "markdown")
    assert text.count("<details><summary>") == text.count("</details>") == 3
    assert "<details><summary>bce by country</summary>\n\n| country " in text
    assert r"| `a\|b` " in text
    assert "7 slices of fewer than 5 samples, 12 in all, are not shown" in text
    assert "more, not as bad" not in text


def test_latex_says_what_a_table_is_of(sliced_run: RunResult) -> None:
    text = render(sliced_run, "latex")
    note = "% 7 slices of fewer than 5 samples, 12 in all, are not shown\n"
    assert f"% bce by country\n{note}\\begin{{tabular}}{{lrrrrrr}}\n" in text
    assert text.count(r"\begin{tabular}") == 4
    assert "a\\textbar{}b & 0.25" in text


def test_junit_has_a_case_for_each_slice_of_a_gate(sliced_run: RunResult) -> None:
    cases = ET.fromstring(render(sliced_run, "junit")).findall(".//testcase[@classname='lossctl.gates']")
    assert [(case.get("name"), [child.tag for child in case]) for case in cases] == [
        ("bce[country=*] > 0.5 [country=DE]", ["failure", "system-out"]),
        ('bce[country=*] > 0.5 [country="(missing)"]', ["skipped", "system-out"]),
        ('bce[country=*] > 0.5 [country="a|b"]', ["system-out"]),
    ]


def test_junit_has_no_end_of_cases() -> None:
    many = tuple(SliceVerdict((("c", str(at)),), 1.0, 0.5, "fail") for at in range(MOST_SLICES + 5))
    gate = GateResult("bce[c=*] > 0.5", 1.0, "fail", 0.5, slices=GateSlices(("c",), many))
    cases = ET.fromstring(render(run_result(loss_result(), gates=(gate,)), "junit")).findall(".//testcase")
    assert len(cases) == 1 + 1 + MOST_SLICES
    assert "1005 of 1005 slices failed" in str(cases[1].findtext("system-out"))
    assert len(gate.to_document()["slices"]["listed"]) == 100


def test_openmetrics_has_labels(sliced_run: RunResult) -> None:
    parsed = text_string_to_metric_families(render(sliced_run, "openmetrics"))  # type: ignore[no-untyped-call]
    families = {family.name: family for family in parsed}
    values = {sample.labels["slice"]: sample.value for sample in families["lossctl_slice_loss"].samples}
    assert values['country="a|b"'] == 0.25
    assert values['country="","the sex"=m'] == float("inf")
    assert {sample.labels["by"] for sample in families["lossctl_slice_samples"].samples} == {
        "country",
        "country,the sex",
    }


def test_metrics_name_the_slice(sliced_run: RunResult) -> None:
    found = json.loads(render(sliced_run, "metrics"))
    assert (found["bce"], found["bce[country=DE]"], found['bce[country="(missing)"]']) == (0.5, 0.75, 0.5)
    assert 'bce[country=DE,"the sex"=f]' not in found


def test_parquet_carries_them_in_its_document(sliced_run: RunResult) -> None:
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(encoded(sliced_run, "parquet")))
    assert table.num_rows == 2
    assert len(json.loads(table.schema.metadata[b"lossctl.result"])["results"][0]["slices"]) == 2


def test_a_summary_goes_without_where_they_do_not_fit(sliced_run: RunResult) -> None:
    whole = github_summary.render(sliced_run)
    assert whole.count("<details>") == 3
    short = github_summary.render(sliced_run, len(whole.encode()) - 1)
    assert "<details>" not in short
    assert short.endswith("*Slices and worst rows are left out: a summary holds at most 1 MiB.*\n")
    assert short.startswith("### lossctl: 1 of 1 gate failed\n")


def test_an_annotation_tells_the_worst_slice(sliced_run: RunResult) -> None:
    line = next(line for line in render(sliced_run, "github").splitlines() if "gate fail" in line)
    assert line.endswith(
        "bce[country=*] > 0.5: 0.75, limit 0.5, 1 of 3 slices failed, 1 cannot be decided; worst country=DE"
    )


def test_no_value_speaks_to_the_host() -> None:
    shown = [shown_value(each) for each in ("::error::x", " ::x", "##[error]x", "a\nb", None, "(missing)")]
    assert shown == ['"::error::x"', '" ::x"', "## [error]x", "a\\nb", "(missing)", '"(missing)"']
