"""The registry of formats, and what is true of every one of them."""

from __future__ import annotations

import math

import pytest

from lossctl import outputs
from lossctl.errors import EnvironmentFault, LossctlError, UsageError
from lossctl.outputs import BINARY, EXTENSIONS, FORMATS, HOST_FILES, encoded, format_of, render, render_fault, scores
from lossctl.results import RunResult

TEXT = [format for format in FORMATS if format not in BINARY]
TELLING_WARNINGS = {"json", "jsonl", "junit", "parquet", "github", "github-summary", "github-output"}
TELLING_FAULTS = {"junit", "github", "github-summary", "github-output"}
RUNS = ["plain_run", "hard_run", "gradient_run", "gated_run", "hostile_run"]


@pytest.mark.parametrize("format", TEXT)
@pytest.mark.parametrize("name", RUNS)
def test_every_format_ends_its_text_and_holds_no_control_characters(
    format: str, name: str, request: pytest.FixtureRequest
) -> None:
    text = render(request.getfixturevalue(name), format)
    assert text.endswith("\n")
    if format not in ("csv", "tsv"):  # which quote what they hold
        assert all(character.isprintable() or character == "\n" for character in text)
    if name != "hostile_run" and (format, name) not in {("junit", "gradient_run"), ("github-output", "gradient_run")}:
        assert "bce" in text


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", RUNS)
def test_every_format_gives_the_same_bytes_again(format: str, name: str, request: pytest.FixtureRequest) -> None:
    run: RunResult = request.getfixturevalue(name)
    first = encoded(run, format)
    assert first == encoded(run, format)
    if format in TEXT:
        assert first == render(run, format).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("format", FORMATS)
def test_warnings_are_no_result(format: str, hard_run: RunResult) -> None:
    assert (b"class 3 has no samples" in encoded(hard_run, format)) == (format in TELLING_WARNINGS)


@pytest.mark.parametrize("format", FORMATS)
def test_what_ci_hosts_read_can_say_that_a_run_failed(format: str) -> None:
    text = render_fault(LossctlError("no rows", hint="give some"), format)
    assert (text is not None) == (format in TELLING_FAULTS)


def test_a_binary_format_is_not_text(plain_run: RunResult) -> None:
    with pytest.raises(UsageError, match="parquet is not text"):
        render(plain_run, "parquet")


@pytest.mark.parametrize("format", ["junit", "openmetrics"])
def test_a_missing_library_is_told_with_its_extra(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outputs._LIBRARIES, format, ("no_such_library", format))
    extension = next(each for each, name in EXTENSIONS.items() if name == format)
    with pytest.raises(EnvironmentFault, match=rf"no_such_library.*pip install 'lossctl\[{format}\]'"):
        format_of(f"result{extension}")


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("a.json", "json"),
        ("dir.csv/a.tsv", "tsv"),
        ("A.CSV", "csv"),
        ("x.y.md", "markdown"),
        ("log.txt", "table"),
        ("runs.jsonl", "jsonl"),
        ("table.tex", "latex"),
        ("a.parquet", "parquet"),
        ("report.junit.xml", "junit"),
        ("metrics.prom", "openmetrics"),
        ("metrics.json", "metrics"),
        ("dir/Metrics.JSON", "metrics"),
        ("bce.metrics.json", "metrics"),
        ("mymetrics.json", "json"),
    ],
)
def test_format_is_told_by_the_extension(path: str, format: str) -> None:
    assert format_of(path) == format


def test_every_format_has_an_extension_or_is_for_a_host() -> None:
    assert {*EXTENSIONS.values()} | {*HOST_FILES.values()} | {"github"} == {*FORMATS}


@pytest.mark.parametrize(("variable", "format"), HOST_FILES.items())
def test_a_file_of_the_host_has_the_format_of_the_host(
    variable: str, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/runner/file_commands/step_1a2b.json")
    assert format_of("/runner/file_commands/step_1a2b.json") == format
    assert format_of("/runner/file_commands/other.json") == "json"
    monkeypatch.setenv(variable, "")
    with pytest.raises(UsageError, match="no extension"):
        format_of("")


@pytest.mark.parametrize("path", ["a.xlsx", "a", "json", "a.json/b", ".json", "a.\x1b[31m"])
def test_an_unknown_extension_lists_the_known(path: str) -> None:
    with pytest.raises(UsageError, match=r"\.json, \.csv, \.tsv, \.md, \.txt") as caught:
        format_of(path)
    assert "\x1b" not in str(caught.value)


def test_an_unknown_format_lists_the_known(plain_run: RunResult) -> None:
    with pytest.raises(UsageError, match=r"'xml'.*table, json, csv, tsv, markdown"):
        render(plain_run, "xml")


def test_scores_are_bare_numbers(hard_run: RunResult) -> None:
    lines = scores(hard_run).splitlines()
    assert lines == ["0.3333333333333333", "1e-12", "123456789.125", "inf", "nan", "-inf"]
    for line, result in zip(lines, hard_run.results, strict=True):
        assert float(line) == result.value or math.isnan(result.value)
