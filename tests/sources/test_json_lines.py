"""JSON Lines: fields as arrays, kinds that change further down, and lines that are not what they should be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossctl.errors import DataError
from lossctl.sources import Selection, json_records, open_reader
from tests.cli.commands import call
from tests.sources.conftest import ReadAll, Refusal


@pytest.mark.parametrize("block", [40, 1 << 20])
def test_fields(tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_records, "BLOCK_BYTES", block)
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


@pytest.mark.parametrize("line", [5, 40, 79])
def test_decimals_among_blocks_that_are_read_ahead(
    tmp_path: Path, read_all: ReadAll, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    monkeypatch.setattr(json_records, "BLOCK_BYTES", 60)
    rows: list[dict[str, float]] = [{"p": row / 7, "t": row} for row in range(80)]
    rows[line]["t"] += 0.5
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = read_all(tmp_path / "a.jsonl", 9, prediction="p", target="t")
    assert found["prediction"].tolist() == [row["p"] for row in rows]
    assert found["target"].tolist() == [row["t"] for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"p": 1, "t": "x"}])))
    assert "line 81, column 't': the text 'x'" in refusal(tmp_path / "a.jsonl", prediction="p", target="t").message


def test_a_field_that_is_missing_in_the_first_line(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"t": 1}\n\n{"p": 0.5, "t": 1}\n')
    error = refusal(path, prediction="p", target="t")
    assert (error.exit_code, error.message) == (3, f"{path}, line 1, column 'p': it is missing")
    assert refusal(path, prediction="q", target="t").exit_code == 2


def test_a_field_that_stands_far_below_alone_is_not_looked_for(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"t": 1}\n' * 1000 + '{"p": 0.5, "t": 1}\n')
    assert refusal(path, prediction="p", target="t").exit_code == 2


@given(lines=st.lists(st.sampled_from([b"{}", b" {}", b"", b" ", b"\t\r", b"\r", b"[[", b"x\r"])), ends=st.booleans())
def test_rows_are_lines_with_something_on_them(lines: list[bytes], ends: bool) -> None:
    block = b"\n".join(lines) + b"\n" * ends
    assert json_records.rows_of(block) == sum(map(json_records.is_row, lines))


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
        ("\x0c", "line 3 is no JSON"),
        ('{"p": +1, "t": 1}', "line 3 is no JSON: Expecting value at character 7, '+1, \"t\": 1}'"),
        ('{"p": 0.5, "t": ', "line 3 is no JSON: Expecting value at character 17, its end"),
        ('{"p": 1e400, "t": 1}', "line 3, column 'p': 1e400 is beyond the range of float64"),
        ('{"p": 1.8e308, "t": 1}', "line 3, column 'p': 1.8e308 is beyond the range of float64"),
        ('{"p": -1' + "0" * 400 + ', "t": 1}', "line 3, column 'p': -1000"),
        ('{"p": ' + str((1 << 1024) - 1) + ', "t": 1}', "is beyond the range of float64"),
        ('{"p": 9007199254740993, "t": 1}', "line 3, column 'p': 9007199254740993 is a whole number that float64"),
        ('{"p": -12345678901234567890123, "t": 1}', "line 3, column 'p': -12345678901234567890123 is a whole number"),
        ('{"p": 0.5, "t": null}', "line 3, column 't': null is not a number"),
        ('{"p": 0.5, "t": 99999999999999999999}', "line 3, column 't'"),
        ('{"p": 0.5, "t": ' + "[" * 100_000, "line 3 nests more than 32 levels"),
    ],
)
def test_lines_that_are_refused(tmp_path: Path, refusal: Refusal, line: str, says: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"p": 0.5, "t": 1}}\n\n{line}\n{{"p": 0.25, "t": 0}}\n')
    error = refusal(tmp_path / "a.jsonl", prediction="p", target="t")
    assert error.exit_code == 3
    assert says in error.message


@pytest.mark.parametrize("value", ["1e400", "1" + "0" * 400, "[0.5, 1e400]"])
@pytest.mark.parametrize("first", [True, False])
def test_numbers_that_are_too_large_are_to_be_rescaled(
    tmp_path: Path, refusal: Refusal, value: str, first: bool
) -> None:
    fine = '{"p": [0.5, 0.5]}' if "[" in value else '{"p": 0.5}'
    lines = [f'{{"p": {value}}}', fine]
    (tmp_path / "a.jsonl").write_text("\n".join(lines if first else lines[::-1]) + "\n")
    assert refusal(tmp_path / "a.jsonl").hint == "rescale the numbers"


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ("[9007199254740993, 0.5]", "9007199254740993 is a whole number that float64 does not hold"),
        ("[true, 0.5]", "true or false among numbers"),
        ("[0.5, true]", "true or false among numbers"),
    ],
)
def test_a_first_list_that_is_refused(tmp_path: Path, refusal: Refusal, first: str, says: str) -> None:
    """Its length is asked for before its numbers are looked at."""
    (tmp_path / "a.jsonl").write_text(f'{{"p": {first}, "t": [1, 2]}}\n')
    assert f"line 1, column 'p': {says}" in str(refusal(tmp_path / "a.jsonl", prediction="p", target="t"))


def test_a_first_list_of_large_numbers(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"p": [{2**70}, 1], "t": [0.5, 1]}}\n')
    assert read_all(tmp_path / "a.jsonl", prediction="p", target="t")["prediction"].tolist() == [[2.0**70, 1.0]]


def test_whole_numbers_that_are_too_large_are_to_be_rescaled(tmp_path: Path, refusal: Refusal) -> None:
    for first in ("1", "99999999999999999999"):
        (tmp_path / "a.jsonl").write_text(f'{{"p": 0.5, "t": {first}}}\n{{"p": 0.5, "t": 99999999999999999999}}\n')
        error = refusal(tmp_path / "a.jsonl", prediction="p", target="t")
        assert "99999999999999999999 does not fit in 64 bits" in error.message
        assert error.hint == "rescale the numbers"


def test_decimals_beyond_64_bits_may_follow_whole_numbers(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "a.jsonl").write_text('{"p": 0.5, "t": 1}\n{"p": 0.5, "t": 1e30}\n{"p": 0.5, "t": NaN}\n')
    found = read_all(tmp_path / "a.jsonl", prediction="p", target="t")["target"]
    np.testing.assert_array_equal(found, [1.0, 1e30, np.nan])


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


def test_the_largest_numbers(tmp_path: Path, read_all: ReadAll) -> None:
    largest = (1 << 1024) - (1 << 970) - 1
    (tmp_path / "a.jsonl").write_text(f'{{"p": {largest}.0, "t": 1}}\n{{"p": 100000000000000000000, "t": 0.5}}\n')
    found = read_all(tmp_path / "a.jsonl", 9, prediction="p", target="t")
    assert found["prediction"].tolist() == [np.finfo(np.float64).max, 1e20]
    assert found["target"].tolist() == [1.0, 0.5]


def test_numbers_that_are_too_large_are_no_infinities(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"p": [1.5]}\n{"p": [Infinity]}\n{"p": [18e307]}\n')
    with (
        pytest.raises(DataError, match="line 3, column 'p': 18e307 is beyond the range"),
        open_reader(tmp_path / "a.jsonl", {"prediction": Selection(("p",), gaps=True)}) as reader,
    ):
        list(reader.chunks(10))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (json.dumps([{"p": 0.5}] * 2), "jq -c '.[]'"),
        (json.dumps([{"p": 0.5}] * 2, indent=1), "jq -c '.[]'"),
        ("[" + '{"p":\n0.5}]', "write each row as"),
        (json.dumps({"p": 0.5}, indent=1) * 2, "jq -c ."),
        ("[0.5, 0.25]", "write each row as"),
        ("0.5", "write each row as"),
    ],
)
def test_documents_that_are_no_lines(tmp_path: Path, refusal: Refusal, text: str, remedy: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    error = refusal(tmp_path / "a.jsonl")
    assert "line 1 is no JSON" in error.message
    assert remedy in str(error.hint)


@pytest.mark.parametrize("row", [0, 1])
def test_whole_numbers_that_python_does_not_read(tmp_path: Path, refusal: Refusal, row: int) -> None:
    lines = ['{"p": 0.5}', '{"p": 0.5}']
    lines[row] = '{"p": %s}' % ("1" * 5000)
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert (
        f"line {row + 1}, column 'p': {'1' * 39}… is beyond the range of float64"
        in refusal(tmp_path / "a.jsonl").message
    )


def test_whole_numbers_of_any_length_that_are_not_asked_for(tmp_path: Path, read_all: ReadAll) -> None:
    (tmp_path / "a.jsonl").write_text('{"p": 0.5, "id": %s}' % ("1" * 5000))
    assert read_all(tmp_path / "a.jsonl", prediction="p")["prediction"].tolist() == [0.5]


def test_a_byte_order_mark(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    (tmp_path / "a.jsonl").write_text('\ufeff{"p": 0.5}\n{"p": 0.25}\n', encoding="utf-8")
    assert read_all(tmp_path / "a.jsonl", 9, prediction="p")["prediction"].tolist() == [0.5, 0.25]
    (tmp_path / "a.jsonl").write_text('{"p": 0.5}\n\ufeff{"p": 0.25}\n', encoding="utf-8")
    assert "line 2 is no JSON" in refusal(tmp_path / "a.jsonl").message


@pytest.mark.parametrize("block", [12, 1 << 20])
def test_texts_that_are_not_utf8(tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_records, "BLOCK_BYTES", block)
    (tmp_path / "a.jsonl").write_bytes('{"id": "ä"}\n\n'.encode() + b'{"id": "b"}\n{"id": "\xff"}\n')
    roles = {"key id": Selection(("id",), is_key=True)}
    with (
        pytest.raises(DataError, match="line 4: the byte 0xff is not UTF-8"),
        open_reader(tmp_path / "a.jsonl", roles) as reader,
    ):
        list(reader.chunks(10))
    (tmp_path / "a.jsonl").write_text('{"\\ud800": 1}\n')
    assert "line 1: the name '\\ud800' is not Unicode" in refusal(tmp_path / "a.jsonl").message


@pytest.mark.parametrize("value", ["1.5", "null", "[1]"])
def test_keys_that_are_none(tmp_path: Path, value: str) -> None:
    roles = {"key id": Selection(("id",), is_key=True)}
    (tmp_path / "a.jsonl").write_text(f'{{"id": {value}}}\n')
    with pytest.raises(DataError, match=r"line 1, column 'id': .* is not a name or a key"):
        open_reader(tmp_path / "a.jsonl", roles)
    (tmp_path / "a.jsonl").write_text('{"id": "a"}\n{"id": null}\n')
    with (
        pytest.raises(DataError, match="line 2, column 'id': null is not a name or a key"),
        open_reader(tmp_path / "a.jsonl", roles) as reader,
    ):
        list(reader.chunks(10))


@pytest.mark.parametrize("before", ["", '{"id": 7}\n'])
@pytest.mark.parametrize("value", [2**63, 2**64 - 1, -(2**63) - 1])
def test_keys_that_are_large_are_to_be_text(tmp_path: Path, value: int, before: str) -> None:
    roles = {"key id": Selection(("id",), is_key=True)}
    (tmp_path / "a.jsonl").write_text(f'{before}{{"id": {value}}}\n')
    with (
        pytest.raises(DataError, match="; write it as text, in quotes, in each line") as raised,
        open_reader(tmp_path / "a.jsonl", roles) as reader,
    ):
        list(reader.chunks(10))
    assert f"line {2 if before else 1}, column 'id': {value} is not from -2**63 to 2**63 - 1" in raised.value.message
    (tmp_path / "b.jsonl").write_text(f'{{"id": {value}, "p": 1, "y": 0}}\n')
    found = call("eval", tmp_path / "b.jsonl", "--pred-col", "p", "--target-col", "y", "--by", "id", "-l", "mse")
    assert "write it as text, in quotes, in each line" in found.err


def test_a_line_that_is_too_long(tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "BLOCK_BYTES", 40)
    monkeypatch.setattr(json_records, "_LINE_BYTES", 100)
    (tmp_path / "a.jsonl").write_text('{"p": 0.5}\n' * 9 + '{"p": 0.5' + " " * 100 + "}\n")
    assert "a.jsonl, line 10: it is longer" in refusal(tmp_path / "a.jsonl").message


@pytest.mark.parametrize("size", [7, 64, 1 << 20])
def test_depth_is_of_a_line_wherever_it_is_cut(
    tmp_path: Path, read_all: ReadAll, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(json_records, "BLOCK_BYTES", size)
    deep = [f'{{"p": 0.5, "z": {"[" * depth}{"]" * depth}}}\n' for depth in (31, 32)]
    (tmp_path / "a.jsonl").write_text(deep[0] * 5)
    assert read_all(tmp_path / "a.jsonl", 9, prediction="p")["prediction"].tolist() == [0.5] * 5
    (tmp_path / "a.jsonl").write_text(deep[0] * 3 + "\n" + deep[1])
    assert "line 5 nests more than 32 levels" in refusal(tmp_path / "a.jsonl", prediction="p").message


@pytest.mark.parametrize("value", ["null", '["dog"]', "7", "true"])
def test_what_is_no_name_is_told_to_be_one(tmp_path: Path, value: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"y": "dog"}}\n{{"y": {value}}}\n')
    selection = Selection(("y",), classes=("cat", "dog"))
    with open_reader(tmp_path / "a.jsonl", {"target": selection}) as reader, pytest.raises(DataError) as caught:
        list(reader.chunks(9))
    assert "line 2, column 'y': " in caught.value.message
    assert caught.value.hint == "write a text in each line, or a whole number in each"
