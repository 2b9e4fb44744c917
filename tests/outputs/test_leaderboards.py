"""A leaderboard in every format: read back where a format can be, and no name of a file speaks to a reader."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pyarrow as pa
import pyarrow.parquet
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lossctl.batches.results import Leaderboard, Row, failed_row, leaderboard, row_of
from lossctl.errors import DataError, EnvironmentFault, UsageError
from lossctl.outputs.leaderboards import FORMATS, chosen, deliver, encoded, render, told_gates
from lossctl.results import GateResult
from tests.outputs.conftest import HOSTILE, loss_result, run_result

FACTS: dict[str, Any] = {
    "version": "0.1.0", "request": {"command": "c", "inputs": None}, "taken": 0, "pending": 0, "jobs": 2, "threads": 2,
    "seconds": 0.25, "warnings": ("one",),
}  # fmt: skip
FAIL, ADVICE, OPEN = (
    GateResult("bce > 0.1", 0.5, "fail", 0.1),
    GateResult("bce > 0.2", 0.5, "fail", 0.2, "warn"),
    GateResult("bce > 0.4", 0.5, "inconclusive", 0.4, "fail", 1234),
)


def row(path: str, value: float, *gates: GateResult, **more: Any) -> Row:
    run = run_result(loss_result(value=value), loss_result("mse", value / 3, unit=""), gates=gates)
    return row_of(Row(path=path, name=path.removesuffix(".npy"), **more), run, ["bce", "mse"])


def failed(path: str, message: str = "it is damaged", **more: Any) -> Row:
    return failed_row(Row(path=path, name=path.removesuffix(".npy"), **more), DataError(message, hint="write it again"))


def board(*rows: Row, fields: tuple[str, ...] = (), **facts: Any) -> Leaderboard:
    return leaderboard(rows, 0, fields=fields, **{**FACTS, **facts})


@pytest.fixture
def ordinary() -> Leaderboard:
    return board(row("b.npy", 1 / 3), row("a.npy", 0.3), row("c.npy", math.inf), failed("d.npy"))


def records(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


# ---- for programs


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_records_have_every_loss_of_every_file(ordinary: Leaderboard, format: str, delimiter: str) -> None:
    found = records(render(ordinary, format), delimiter)
    assert [(each["file"], each["loss"], each["rank"], each["status"]) for each in found] == [
        ("a.npy", "bce", "1", "ok"), ("a.npy", "mse", "1", "ok"),
        ("b.npy", "bce", "2", "ok"), ("b.npy", "mse", "2", "ok"),
        ("c.npy", "bce", "", "inf"), ("c.npy", "mse", "", "inf"),
        ("d.npy", "", "", "failed"),
    ]  # fmt: skip
    assert [float(each["value"]) for each in found[:6]] == [0.3, 0.3 / 3, 1 / 3, 1 / 9, math.inf, math.inf]
    assert float(found[2]["difference"]) == 1 / 3 - 0.3
    assert found[4]["difference"] == ""
    assert found[0]["signature"].startswith("bce|")
    assert (found[0]["samples"], found[0]["weight"], found[0]["unit"]) == ("569", "569.0", "nat")
    assert found[6]["error"] == "it is damaged; write it again"


def test_parquet_has_the_same_with_types(ordinary: Leaderboard) -> None:
    table = pyarrow.parquet.read_table(pa.BufferReader(encoded(ordinary, "parquet")))
    told = records(render(ordinary, "csv"))
    assert {*table.column_names} == {*told[0]}
    for ours, theirs in zip(table.to_pylist(), told, strict=True):
        assert {name: "" if value is None else str(value) for name, value in ours.items()} == theirs
    assert json.loads(table.schema.metadata[b"lossctl.leaderboard"]) == ordinary.to_document()


def test_json_lines_are_the_files_of_json(ordinary: Leaderboard) -> None:
    assert json.loads(render(ordinary, "json")) == json.loads(json.dumps(ordinary.to_document()))
    lines = render(ordinary, "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == ordinary.to_document()["files"]


def test_junit_has_a_case_for_each_file() -> None:
    found = board(row("a.npy", 0.3), row("b.npy", 0.5, FAIL, ADVICE, OPEN), row("c.npy", math.nan), failed("d.npy"))
    root = ET.fromstring(render(found, "junit"))
    assert {name: root.get(name) for name in ("tests", "errors", "failures", "skipped")} == {
        "tests": "6", "errors": "3", "failures": "1", "skipped": "2",
    }  # fmt: skip
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert [*cases] == ["a.npy", "b.npy", "bce > 0.2", "bce > 0.4", "c.npy", "d.npy"]
    assert [child.tag for child in cases["a.npy"]] == ["system-out"]
    assert cases["b.npy"].find("failure").get("message") == "bce > 0.1: 0.5, limit 0.1"  # type: ignore[union-attr]
    assert [error.get("message") for error in cases["c.npy"].iter("error")] == ["bce is nan", "mse is nan"]
    assert cases["d.npy"].find("error").get("message") == "it is damaged"  # type: ignore[union-attr]
    printed = cases["a.npy"].findtext("system-out")
    assert printed is not None
    assert printed.startswith("rank 1\nbce: 0.3, 569 samples; bce|")


def test_openmetrics_have_the_fields_as_labels() -> None:
    rows = (
        row("x/1.npy", 0.5, FAIL, fields={"model": "x"}),
        row("y/1.npy", 0.25, ADVICE, fields={"model": "y"}),
        failed("z/1.npy", fields={"model": "z"}),
    )
    text = render(board(*rows, fields=("model",)), "openmetrics")
    families = {each.name: each for each in text_string_to_metric_families(text)}  # type: ignore[no-untyped-call]
    values = {(each.labels["model"], each.labels["loss"]): each.value for each in families["lossctl_loss"].samples}
    assert values == {("x", "bce"): 0.5, ("x", "mse"): 0.5 / 3, ("y", "bce"): 0.25, ("y", "mse"): 0.25 / 3}
    found = {
        name: {each.labels["model"]: each.value for each in families[f"lossctl_{name}"].samples}
        for name in ("rank", "file_ok", "gates_passed")
    }
    assert found == {"rank": {"x": 2, "y": 1}, "file_ok": {"x": 1, "y": 1, "z": 0}, "gates_passed": {"x": 0, "y": 1}}


# ---- for people


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "---" not in line]


def test_a_table_names_files_by_fields_where_those_tell_them_apart() -> None:
    rows = [row(f"{model}/{seed}.npy", 0.5, fields={"model": model, "seed": seed}) for model in "xy" for seed in "12"]
    assert cells(render(board(*rows, fields=("model", "seed")), "markdown"))[0][:4] == ["rank", "model", "seed", "bce"]
    rows = [row(f"{model}/{seed}.npy", 0.5, fields={"model": model}) for model in "xy" for seed in "12"]
    assert cells(render(board(*rows, fields=("model",)), "markdown"))[0][:4] == ["rank", "model", "file", "bce"]


def test_a_table_says_how_far_each_is_from_the_best(ordinary: Leaderboard) -> None:
    lines = cells(render(ordinary, "markdown"))
    assert lines[0] == ["rank", "file", "bce", "mse", "difference", "status"]
    assert lines[1:5] == [
        ["1", "`a`", "0.3", "0.1", "", ""],
        ["2", "`b`", "0.333333", "0.111111", "+11.11%", ""],
        ["", "`c`", "inf", "inf", "", "nonfinite"],
        ["", "`d`", "", "", "", "failed"],
    ]
    assert cells(render(board(row("a", 0.0), row("b", 0.25)), "markdown"))[2][4] == "+0.25"
    assert cells(render(board(row("a", -2.0), row("b", -1.0)), "markdown"))[2][4] == "+50.00%"


def test_a_file_says_what_went_wrong_and_a_terminal_leaves_it_to_stderr(ordinary: Leaderboard) -> None:
    for format in ("table", "markdown", "latex"):
        assert "it is damaged; write it again" in render(ordinary, format)
    assert "damaged" not in render(ordinary, "table", io.StringIO())


def test_each_signature_is_told_once(ordinary: Leaderboard) -> None:
    for format in ("table", "latex"):
        text = render(ordinary, format)
        assert text.count("bce|input=prob") == text.count("mse|input=prob") == 1


def test_a_board_without_results_is_shown() -> None:
    for format in FORMATS:
        assert encoded(board(failed("a.npy"), failed("b.npy")), format)


def test_gates_that_are_not_passed_are_told() -> None:
    assert told_gates(row("a", 0.5, FAIL, ADVICE, OPEN, GateResult("bce > 1", 0.5, "pass", 1.0))) == [
        "fail: bce > 0.1: 0.5, limit 0.1",
        "warn: bce > 0.2: 0.5, limit 0.2",
        "inconclusive: bce > 0.4: 0.5, limit 0.4, 1,234 more samples would decide",
    ]


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "parquet"])
def test_no_name_speaks_to_a_reader(format: str) -> None:
    rows = (
        row(f"{HOSTILE}.npy", 0.5, fields={"model": HOSTILE}),
        failed(f"x{HOSTILE}.npy", f"{HOSTILE} is damaged", fields={"model": f"x{HOSTILE}"}),
    )
    found = board(*rows, fields=("model",))
    text = encoded(found, format).decode("utf-8")
    assert all(line.isprintable() for line in text.replace("\t", " ").split("\n"))
    assert not any(line.startswith("::") for line in text.split("\n"))
    if format == "csv":
        assert len(records(text)) == 3
    if format == "markdown":
        assert "<b>" not in text


# ---- files


def test_the_format_is_that_of_the_extension(tmp_path: Path, ordinary: Leaderboard) -> None:
    names = {"json": "json", "jsonl": "jsonl", "csv": "csv", "tsv": "tsv", "md": "markdown", "txt": "table"}
    names |= {"tex": "latex", "parquet": "parquet", "xml": "junit", "prom": "openmetrics"}
    assert {*names.values()} == {*FORMATS}
    paths = [str(tmp_path / f"board.{extension}") for extension in names]
    deliver(ordinary, paths)
    for path, format in zip(paths, names.values(), strict=True):
        assert chosen(path) == format
        assert Path(path).read_bytes() == encoded(ordinary, format)


def test_formats_of_a_single_run_are_refused(tmp_path: Path) -> None:
    for name in ("metrics", "github", "github-summary"):
        with pytest.raises(UsageError, match="a leaderboard does not come as"):
            chosen(None, name)
    with pytest.raises(UsageError, match="does not come as 'metrics'"):
        chosen("metrics.json")
    with pytest.raises(UsageError, match="cannot tell the format"):
        chosen("board.html")


def test_a_full_disk_is_told(ordinary: Leaderboard, tmp_path: Path) -> None:
    full = tmp_path / "full.csv"
    full.symlink_to("/dev/full")
    with pytest.raises(EnvironmentFault, match="disk full"):
        deliver(ordinary, [str(full)])
