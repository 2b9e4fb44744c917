"""The registry of formats, and what is true of every one of them."""

from __future__ import annotations

import math

import pytest

from lossctl.errors import UsageError
from lossctl.outputs import EXTENSIONS, FORMATS, format_of, render, scores
from lossctl.results import RunResult


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["plain_run", "hard_run", "gradient_run"])
def test_every_format_ends_its_text_and_holds_no_control_characters(
    format: str, name: str, request: pytest.FixtureRequest
) -> None:
    text = render(request.getfixturevalue(name), format)
    assert text.endswith("\n")
    assert "bce" in text
    if format in ("table", "markdown", "json"):
        assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("format", FORMATS)
def test_warnings_are_no_result(format: str, hard_run: RunResult) -> None:
    assert ("class 3 has no samples" in render(hard_run, format)) == (format == "json")


@pytest.mark.parametrize(
    ("path", "format"),
    [
        ("a.json", "json"),
        ("dir.csv/a.tsv", "tsv"),
        ("A.CSV", "csv"),
        ("x.y.md", "markdown"),
        ("log.txt", "table"),
    ],
)
def test_format_is_told_by_the_extension(path: str, format: str) -> None:
    assert format_of(path) == format


def test_every_extension_has_a_format() -> None:
    assert set(EXTENSIONS.values()) == set(FORMATS)


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
