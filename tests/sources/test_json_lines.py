"""JSON Lines: fields as arrays, kinds that change further down, and lines that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lossctl.sources import json_records
from tests.sources.conftest import ReadAll, Refusal


@pytest.mark.parametrize("block", [40, 1 << 20])
def test_fields(tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_records, "_BLOCK_BYTES", block)
    rows = [{"id": f"é{i}", "p": i / 7, "probs": [i * 0.5, 1], "label": i % 3, "ok": i % 2 == 0} for i in range(50)]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    found = read_all(tmp_path / "a.jsonl", 7, prediction="p", target="label")
    assert found["prediction"].tolist() == [row["p"] for row in rows]
    assert found["target"].dtype == np.int64
    assert found["target"].tolist() == [row["label"] for row in rows]
    found = read_all(tmp_path / "a.jsonl", 7, prediction="probs", target="ok")
    assert found["prediction"].tolist() == [row["probs"] for row in rows]
    assert found["target"].dtype == np.bool_
    assert read_all(tmp_path / "a.jsonl", 7, prediction=("p", "label"))["prediction"].shape == (50, 2)


def test_whole_numbers_that_become_decimals(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "a.jsonl").write_text('{"p": 1, "t": 9007199254740993}\n{"p": 2, "t": 2}\n')
    assert read_all(tmp_path / "a.jsonl", 1, prediction="p", target="t")["target"].tolist() == [9007199254740993, 2]
    (tmp_path / "b.jsonl").write_text('{"p": 1, "t": 1}\n{"p": 2, "t": 2.5}\n')
    assert read_all(tmp_path / "b.jsonl", 9, prediction="p", target="t")["target"].tolist() == [1, 2.5]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"p": null, "t": 1}', "line 3, column 'p': null"),
        ('{"p": "0.5", "t": 1}', "line 3, column 'p': the text '0.5'"),
        ('{"t": 1}', "line 3, column 'p': it is missing"),
        ('{"p": 0.5, "t": true}', "line 3, column 't': true or false among numbers"),
        ('{"p": [1], "t": 1}', "line 3, column 'p': a list and a number"),
        ('{"p": 0.5, "t": 1', "line 3 is no JSON"),
        ('{"p": 0.5, "t": 1} {"p": 0.5, "t": 1}', "line 3 is no JSON"),
        ('{"p": 0.5, "p": 0.6, "t": 1}', "line 3 is no JSON: a name stands twice in one object"),
        ("[0.5, 1]", "line 3 is no JSON object"),
        ('{"p": 0.5, "t": 99999999999999999999}', "line 3, column 't'"),
        ('{"p": 0.5, "t": ' + "[" * 100_000, "line 3 nests more than 32 levels"),
    ],
)
def test_lines_that_are_refused(tmp_path: Path, refusal: Refusal, line: str, says: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"p": 0.5, "t": 1}}\n\n{line}\n{{"p": 0.25, "t": 0}}\n')
    error = refusal(tmp_path / "a.jsonl", prediction="p", target="t")
    assert error.exit_code == 3
    assert says in error.message


def test_brackets_in_texts_are_no_depth(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"p": 0.5, "text": "[{" * 1000 + '"\\'}) + "\n")
    assert read_all(tmp_path / "a.jsonl", 9, prediction="p")["prediction"].tolist() == [0.5]


def test_numbers_that_json_does_not_have(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"p": 1.5}) + "\n" + json.dumps({"p": float("nan")}) + "\n")
    found = read_all(tmp_path / "a.jsonl", 9, prediction="p")["prediction"]
    assert np.isnan(found).tolist() == [False, True]
    (tmp_path / "a.jsonl").write_text(json.dumps({"p": 1.5}) + "\n" + json.dumps({"p": float("inf")}) + "\n")
    assert np.isinf(read_all(tmp_path / "a.jsonl", 9, prediction="p")["prediction"]).tolist() == [False, True]


def test_lists_of_other_lengths(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "a.jsonl").write_text('{"p": [1, 2]}\n{"p": [1]}\n')
    assert "line 2, column 'p': a list of 1 values" in refusal(tmp_path / "a.jsonl").message


def test_no_lines(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "a.jsonl").write_text("\n\n")
    assert "has no lines" in refusal(tmp_path / "a.jsonl").message
