"""The outputs of the command line: files by their names, and what CI hosts collect."""

from __future__ import annotations

import io
import json
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pyarrow.parquet
import pytest

from lossctl.cli.show import chosen_format, telling_faults
from lossctl.errors import DataError, UsageError
from tests.cli.commands import BINARY, EVAL, call, command, refused

BCE = "0.07986406447001733"


@pytest.fixture
def host(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that GitHub names, made the current one."""
    for variable in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"):
        (here / variable).touch()
        monkeypatch.setenv(variable, str(here / variable))
    return here


def test_every_extension_is_written(here: Path) -> None:
    names = ["r.json", "r.jsonl", "r.csv", "r.tsv", "r.md", "r.txt", "r.tex", "r.parquet", "r.xml", "r.prom"]
    names.append("metrics.json")
    outputs = [word for name in names for word in ("-o", name)]
    outcome = call(*EVAL, *outputs)
    assert (outcome.code, outcome.err) == (0, "")
    assert sorted(names) == sorted(path.name for path in here.iterdir())
    for name in ("r.json", "r.jsonl", "r.csv", "r.tsv", "r.xml", "r.prom", "metrics.json"):
        assert BCE in Path(name).read_text(encoding="utf-8")
    assert json.loads(Path("metrics.json").read_bytes()) == {"bce": float(BCE)}
    assert pyarrow.parquet.read_table("r.parquet").column("value").to_pylist() == [float(BCE)]
    assert ET.parse("r.xml").getroot().get("tests") == "1"
    assert json.loads(Path("r.json").read_bytes()) == json.loads(Path("r.jsonl").read_bytes())


def test_parquet_goes_through_a_pipe() -> None:
    words = command(*EVAL, "--format", "parquet")
    printed = subprocess.run(words, check=True, capture_output=True).stdout
    assert pyarrow.parquet.read_table(io.BytesIO(printed)).column("loss").to_pylist() == ["bce"]


def test_parquet_is_not_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_format("parquet") == "parquet"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(UsageError, match="parquet is not for a terminal; -o"):
        chosen_format("parquet")


def test_github_collects_a_summary_and_outputs(host: Path) -> None:
    outputs = ["-o", str(host / "GITHUB_STEP_SUMMARY"), "-o", str(host / "GITHUB_OUTPUT")]
    for loss in ("bce", "brier"):
        outcome = call("eval", *BINARY, "--loss", loss, "--format", "github", *outputs)
        assert outcome.code == 0
        assert outcome.out.startswith("::notice file=")
    summary = (host / "GITHUB_STEP_SUMMARY").read_text()
    assert summary.index("`bce`") < summary.index("`brier`")
    found = dict(line.split("=", 1) for line in (host / "GITHUB_OUTPUT").read_text().splitlines())
    assert found["bce"] == BCE
    assert json.loads(found["result"])["results"][0]["loss"] == "brier"


def test_a_failed_gate_is_told_everywhere(host: Path) -> None:
    outputs = [str(host / "GITHUB_STEP_SUMMARY"), str(host / "GITHUB_OUTPUT"), "r.xml", "r.prom"]
    gates = ["--fail-if", "bce > 0.05", "--warn-if", "max(bce) > 1"]
    words = [word for path in outputs for word in ("-o", path)]
    outcome = call(*EVAL, *gates, "--format", "github", *words)
    assert outcome.code == 1
    assert [line.split(" ")[0] for line in outcome.out.splitlines()] == ["::error", "::warning", "::notice"]
    assert (host / "GITHUB_STEP_SUMMARY").read_text().startswith("### lossctl: 1 of 1 gate failed\n")
    assert "\ngates=fail\n" in (host / "GITHUB_OUTPUT").read_text()
    root = ET.parse("r.xml").getroot()
    assert [root.get(name) for name in ("tests", "failures", "skipped", "errors")] == ["3", "1", "1", "0"]
    passed = [line for line in Path("r.prom").read_text(encoding="utf-8").splitlines() if "gate_passed{" in line]
    assert [line.rpartition(" ")[2] for line in passed] == ["0.0", "0.0"]


def test_no_variable_of_the_host_changes_what_is_printed(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = call(*EVAL).out
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert call(*EVAL).out == plain
    assert not (host / "GITHUB_STEP_SUMMARY").read_text()


@pytest.mark.usefixtures("here")
def test_an_unknown_extension_is_found_before_any_work() -> None:
    line = refused(2, "eval", "missing.npy", "--loss", "bce", "-o", "r.xlsx")
    assert ".jsonl, .tex, .parquet, .xml, .prom, .metrics.json" in line


def test_a_failed_run_is_told_to_the_host(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = [str(host / "GITHUB_STEP_SUMMARY"), "report.xml", "result.json"]
    with pytest.raises(DataError), telling_faults("github", outputs):
        raise DataError("row 3 is not a number", hint="look at it")
    assert capsys.readouterr().out == "::error title=lossctl%3A no result::row 3 is not a number; look at it\n"
    assert "row 3 is not a number" in (host / "GITHUB_STEP_SUMMARY").read_text()
    assert "row 3 is not a number" in Path("report.xml").read_text(encoding="utf-8")
    assert not Path("result.json").exists()


def test_what_ends_well_is_told_by_nobody_else(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with telling_faults("github", [str(host / "GITHUB_STEP_SUMMARY")]):
        pass
    assert capsys.readouterr().out == ""
    assert not (host / "GITHUB_STEP_SUMMARY").read_text()
