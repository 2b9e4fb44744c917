"""A comparison as text: every format says the same, and a narrow terminal cuts nothing."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from lossctl.comparisons.results import ComparisonResult, Inference, LossComparison, Margin, Pair, System
from lossctl.outputs.comparisons import FORMATS, render
from lossctl.results import InputInfo


def pair(first: str, second: str, relative: float = 0.5) -> Pair:
    return Pair(
        first=first,
        second=second,
        difference=0.1,
        relative=relative,
        low=0.05,
        high=0.15,
        p={"bootstrap": 0.001, "permutation": 0.002},
        adjusted={"bootstrap": 0.003, "permutation": 0.006},
        wins=1234,
        losses=5678,
        ties=0,
        verdict="worse",
        margin=0.01,
        p_equivalence=1.0,
        p_non_inferiority=0.999,
        equivalent=False,
        non_inferior=False,
    )


@pytest.fixture
def result() -> ComparisonResult:
    systems = (System("b|c", 0.3, 2, "b"), System("a", 0.2, 1, "a"), System("d", 0.3, 2, "b"))
    comparison = LossComparison(
        loss="bce",
        options={"eps": math.inf},
        reduction="mean",
        unit="nat",
        samples=6912,
        systems=systems,
        pairs=(pair("a", "b|c"), pair("a", "d", math.nan), pair("b|c", "d")),
        signature="bce|eps=0|lossctl=0.1.0|seed=0",
    )
    return ComparisonResult(
        version="0.1.0",
        inputs=(InputInfo("prediction", "a.npy", "npy", (6912,), "float32"),),
        inference=Inference(margin=Margin("1%", 0.01, True)),
        comparisons=(comparison,),
        backend="python",
        threads=1,
        seconds=0.5,
    )


def test_json_is_standard_json(result: ComparisonResult) -> None:
    document = json.loads(render(result, "json"), parse_constant=pytest.fail)
    assert document["schema"] == "lossctl.comparison/1"
    assert (document["seed"], document["margin"], document["correction"]) == (0, "1%", "holm")
    first, second, _ = document["comparisons"][0]["pairs"]
    assert first["interval"] == [0.05, 0.15]
    assert first["p_adjusted"] == {"bootstrap": 0.003, "permutation": 0.006}
    assert first["margin"]["equivalent"] is False
    assert second["relative"] is None


@pytest.mark.parametrize(("format", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_records_read_back_whole(result: ComparisonResult, format: str, delimiter: str) -> None:
    rows = list(csv.DictReader(io.StringIO(render(result, format)), delimiter=delimiter))
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b|c"), ("a", "d"), ("b|c", "d")]
    assert float(rows[0]["p_permutation_adjusted"]) == 0.006
    assert (rows[0]["first_letters"], rows[0]["second_letters"], rows[0]["ties"]) == ("a", "b", "0")
    assert (rows[0]["equivalent"], rows[0]["margin"], rows[1]["relative"]) == ("false", "0.01", "nan")


def test_markdown_has_as_many_cells_in_each_row(result: ComparisonResult) -> None:
    tables = render(result, "markdown").split("\n\n")
    for table in tables[:2]:
        lines = table.strip().splitlines()
        assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1
    assert tables[2] == f"`{result.comparisons[0].signature}`\n"


@pytest.mark.parametrize("width", [40, 80, 100, None])
def test_no_line_of_a_table_is_longer_than_the_terminal(result: ComparisonResult, width: int | None) -> None:
    text = render(result, "table", width)
    lines = text.splitlines()
    if width is not None:
        assert max(map(len, lines)) <= width
    for said in ("b|c - a", "+50.00%", "0.05 to 0.15", "1,234", "5,678", "worse", "not shown (p = 0.999)", "seed=0"):
        assert said in text
    assert [line for line in lines if line != line.rstrip()] == []


def test_the_best_comes_first(result: ComparisonResult) -> None:
    lines = render(result, "table").splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["a", "b|c", "d"]


def test_every_format_ends_with_a_line_end(result: ComparisonResult) -> None:
    for format in FORMATS:
        text = render(result, format)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
