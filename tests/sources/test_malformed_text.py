"""CSV and TSV that are malformed: each fault by its line, wherever quotes and blocks end."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lossctl.errors import DataError, LossctlError, UsageError, visible
from lossctl.sources import Selection, cells, open_reader, records

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]
Table = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("road")


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("a,b\n1,2\n3\n4,5\n", 3, "1 cell; the header has 2"),
        ("a,b\n1,2\n3,4,5\n", 3, "3 cells; the header has 2"),
        ("a,b\n1,2\n\n3,4\n", 3, "the line is empty"),
        ("a,b\n1,2\n\n", 3, "the line is empty"),
        ("a\n1\n\n3\n", 3, "'' is not a number"),
        ("a\n1\n3\n\n", 4, "'' is not a number"),
        ('a,b\n1,2\n"3,4\n', 3, "a quoted cell does not end"),
        ('a,b\n1,2\n"3"x,4\n', 3, "goes on after its closing quote"),
        ("a,b\n1,2\r3,4\n", 2, "a carriage return"),
        ("a,b\n1,2\n3,4\n5,\x00\n", 4, "is not a number"),
    ],
)
@pytest.mark.parametrize("role", ["prediction", "target"])
def test_malformed_rows(table: Table, refusal: Refusal, text: str, line: int, found: str, role: str) -> None:
    error = refusal(table(text), **{role: "*"})
    assert isinstance(error, DataError)
    assert f"t.csv, line {line}" in error.message
    assert found in error.message


def test_what_arrow_alone_refuses(table: Table, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells.CellParser, "fault", lambda *_: None)
    for role in ("prediction", "target"):
        error = refusal(table("p,y\n1,2\n3\n"), **{role: "*"})
        assert isinstance(error, DataError)
        assert "t.csv, from line 2 on: " in error.message


def test_a_short_row_that_is_not_needed_is_refused_all_the_same(table: Table, refusal: Refusal) -> None:
    assert "line 3: 1 cell;" in refusal(table("p,note\n1,a\n2\n"), prediction="p").message


@pytest.mark.parametrize("block", [12, 13, 14, 15, 16, 17, 18, 23, 40, 1000])
@pytest.mark.parametrize(
    "cells",
    [
        ["plain"],
        ['"quoted"'],
        ['""'],
        ['"a,b"'],
        ['"a\nb"'],
        ['"\r\n\n"'],
        ['""""'],
        ['"a""b"'],
        ['"""a"'],
        ['"a"""'],
        ['""', '"a\n""\nb"', "c"],
        ['a"b', '"c\nd"'],
        ['a""', '"x"'],
    ],
)
def test_records_end_where_their_quotes_say(
    table: Table, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, cells: list[str], block: int
) -> None:
    """Whatever the quotes, and wherever a block of the file ends between them."""
    monkeypatch.setattr(records, "BLOCK_BYTES", block)
    text = "id,p\n" + "".join(f"{cells[i % len(cells)]},{i}\n" for i in range(20))
    expected = [float(row["p"]) for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert read_all(table(text), 7, prediction="p")["prediction"].tolist() == expected
    returns = text.replace("\r\n", "\n").replace("\n", "\r\n")
    assert read_all(table(returns), 7, prediction="p")["prediction"].tolist() == expected


@pytest.mark.usefixtures("blocks")
def test_lines_are_counted_through_quoted_line_ends(table: Table, refusal: Refusal) -> None:
    path = table('id,p\n"two\nlines",1\n"th\r\nree\n",2\nx,bad\n')
    assert "line 7, column 'p': 'bad'" in refusal(path, prediction="p").message
    assert "line 7, column 'p': 'bad'" in refusal(path, target="p").message


@pytest.mark.usefixtures("blocks")
def test_places(table: Table) -> None:
    roles = {"prediction": Selection(("p_*",)), "target": Selection(("y",))}
    for text in ("y,p_0,p_1\n" + "1,2,3\n" * 12, 'y,p_0,"p\n_1"\r\n'.replace("p\n_1", "p_1") + '"1","2","3"\r\n' * 12):
        path = table(text)
        with open_reader(path, roles) as reader:
            assert reader.place("prediction", 11, 1) == f"{path}, line 13, column 'p_1'"
            assert reader.place("prediction", 0) == f"{path}, line 2"
            assert reader.place("target", 4) == f"{path}, line 6, column 'y'"
            with pytest.raises(IndexError):
                reader.place("target", 12)


@pytest.mark.parametrize("header", [",p", "p,"])
def test_one_column_may_have_no_name(table: Table, read_all: ReadAll, refusal: Refusal, header: str) -> None:
    """The index that pandas writes, or a delimiter at the end of each line; no glob takes it for numbers."""
    row = "7,0.5\n" if header == ",p" else "0.5,7\n"
    path = table(f"{header}\n{row * 3}")
    assert read_all(path, prediction="p")["prediction"].tolist() == [0.5] * 3
    assert read_all(path, prediction="*")["prediction"].tolist() == [0.5] * 3
    error = refusal(path)
    assert isinstance(error, UsageError)
    assert "which is the prediction?" in error.message
    assert "''" in error.message


def test_the_columns_of_a_frame_of_pandas(tmp_path: Path, read_all: ReadAll) -> None:
    frame = pd.DataFrame({"p": [0.5, 0.25], "y": [1, 0]})
    frame.to_csv(tmp_path / "t.csv")
    found = read_all(tmp_path / "t.csv", prediction="p", target="y")
    assert {role: array.tolist() for role, array in found.items()} == {"prediction": [0.5, 0.25], "target": [1, 0]}
    pd.DataFrame(frame.to_numpy()).to_csv(tmp_path / "t.csv")
    assert read_all(tmp_path / "t.csv", prediction="*")["prediction"].tolist() == [[0.5, 1.0], [0.25, 0.0]]


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("[0.27 0.44]", "in a column of its own"),
        ("[0.27\t0.44]", "in a column of its own"),
        ('"[0.27, 0.44]"', "in a column of its own"),
        ('"[0.27,\n 0.44]"', "in a column of its own"),
        ('"(0.27, 0.44)"', "in a column of its own"),
        ('"tensor([0.27, 0.44])"', "in a column of its own"),
        ("[0.5]", "in a column of its own"),
        ("0.27;0.44", "in a column of its own"),
        ("1 2", "in a column of its own"),
        ("1 000", "nothing between thousands"),
        ("(0.3)", "write a number"),
        ("tensor(0.3)", "write a number"),
        ("nan(7)", "write a number"),
        ("\u22120.3", "write it in ASCII, without U+2212"),
        ("\u00a00.3", "write it in ASCII, without U+00A0"),
        ("\uff13", "write it in ASCII, without U+FF13"),
        ("0.3\u20ac", "write it in ASCII, without U+20AC"),
        ("d\u00e9j\u00e0 2", "write a number"),
    ],
)
@pytest.mark.parametrize("role", ["prediction", "target"])
def test_remedies_for_cells_of_any_role(table: Table, refusal: Refusal, cell: str, remedy: str, role: str) -> None:
    error = refusal(table(f"a,p\n7,{cell}\n7,{cell}\n"), **{role: "p"})
    assert "line 2, column 'p': '" in error.message
    assert remedy in str(error.hint)


def test_classes_are_of_targets_alone(table: Table, refusal: Refusal) -> None:
    path = table("p,y\ncat,cat\n")
    assert "name the classes with --classes" in str(refusal(path, target="y").hint)
    for role in ("prediction", "weights", "input var"):
        assert refusal(path, **{role: "p"}).hint == "write a number"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_once_more(table: Table, refusal: Refusal, mark: str) -> None:
    error = refusal(table(f"p,y\n0.5,1\n{mark}p,y\n0.5,1\n"), target="y")
    assert "line 3, column 'y': 'y' is not a number" in error.message
    assert error.hint == "the header stands here once more, as of files joined by cat: remove the line"
    assert "write a number" in str(refusal(table("p,y\n0.5,1\nq,y\n"), target="y").hint)


def test_the_first_row_is_text(table: Table, refusal: Refusal) -> None:
    path = table("")
    path.write_bytes(b"p,q\n\xff,1\n")
    assert "line 2: the byte 0xff is not UTF-8" in refusal(path, prediction="p").message


@pytest.mark.parametrize(
    ("delimiter", "remedy"), [(";", "commas between cells"), ("|", "commas between cells"), ("\t", "--pred-format tsv")]
)
def test_other_delimiters_without_a_name(table: Table, refusal: Refusal, delimiter: str, remedy: str) -> None:
    error = refusal(table(f"a{delimiter}b\n1{delimiter}0.5\n"))
    assert f"the header is one name, '{visible(f'a{delimiter}b')}': the cells stand between " in error.message
    assert remedy in str(error.hint)


def test_a_name_may_have_another_delimiter(table: Table, read_all: ReadAll) -> None:
    assert read_all(table("a;b\n1\n"), prediction=None)["prediction"].tolist() == [1.0]
    assert read_all(table('"a,b"\n1\n'), prediction=None)["prediction"].tolist() == [1.0]


def test_places_below_a_header_of_several_lines(table: Table) -> None:
    path = table('"a\nb",c\n"x\ny",1\nz,2\n')
    with open_reader(path, {"prediction": Selection(("c",))}) as reader:
        assert reader.place("prediction", 0, 0) == f"{path}, line 3, column 'c'"
        assert reader.place("prediction", 1, 0) == f"{path}, line 5, column 'c'"


@pytest.mark.parametrize("first", ["0.5,1", "1", " 2 ,-3e4", "nan,inf", '"1","2"', "0.5,,1", ",1,0", "0,1"])
def test_a_header_is_required(table: Table, refusal: Refusal, first: str) -> None:
    error = refusal(table(f"{first}\n{first}\n"), prediction="*")
    assert isinstance(error, DataError)
    assert "header required: first row looks like data" in error.message
    assert "first line" in str(error.hint)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (",p,,y\n0,1,2,3\n", "2 columns have no name; name every column; of an index that pandas writes"),
        ("\n1\n", "line 1: the line is empty"),
        ("p,y,p\n1,2,3\n", "2 columns are named 'p'"),
        ("p\0,y\n1,2\n", "zero byte"),
        ('"p,y\n1,2\n', "line 1: a quoted cell does not end"),
        ('"p"x,y\n1,2\n', "line 1: a quoted cell"),
    ],
)
def test_headers_that_are_refused(table: Table, refusal: Refusal, text: str, found: str) -> None:
    error = refusal(table(text), prediction="y")
    assert isinstance(error, DataError)
    assert found in str(error)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("p,größe\n1,2\n".encode("latin-1"), "line 1: the byte 0xf6 is not UTF-8"),
        ("p,name\n1,a\n2,größe\n".encode("latin-1"), "line 3: the byte 0xf6 is not UTF-8"),
        ("p,y\n1,2\n".encode("utf-16"), "line 1: the byte 0xff is not UTF-8"),
    ],
)
def test_only_utf_8(table: Table, refusal: Refusal, data: bytes, place: str) -> None:
    error = refusal(table(data), prediction="p")
    assert isinstance(error, DataError)
    assert place in error.message


def test_a_line_longer_than_a_block(table: Table, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "RECORD_BYTES", 1 << 20)
    monkeypatch.setattr(records, "BLOCK_BYTES", 1 << 16)
    assert (
        "line 3: the line is longer than 1 MiB"
        in refusal(table("p,t\n1,a\n2," + "b" * (1 << 20)), prediction="p").message
    )
    assert "line 1: the line is longer than 1 MiB" in refusal(table("p" * (2 << 20)), prediction="p").message


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("1e400", "rescale the numbers"),
        ("50%", "shares in place of percentages"),
        ("NA", "leave the cell of a missing number empty"),
        ("-", "leave the cell of a missing number empty"),
        ("true", "write true as 1 and false as 0"),
        ('"1,5"', "a decimal point"),
        ("1 000 000", "nothing between thousands"),
        ("1\u202f000", "nothing between thousands"),
        ("1’000", "nothing between thousands"),
        ("1'000.5", "nothing between thousands"),
        ("<NA>", "leave the cell of a missing number empty"),
        ("NaT", "leave the cell of a missing number empty"),
        ("#DIV/0!", "leave the cell of a missing number empty"),
        ("cat", "write a number"),
        ("", "fill the empty cell"),
    ],
)
def test_remedies_for_cells(table: Table, refusal: Refusal, cell: str, remedy: str) -> None:
    assert remedy in str(refusal(table(f"p,y\n0.5,1\n{cell},1\n"), prediction="p").hint)


@pytest.mark.parametrize("selection", ["p", None])
@pytest.mark.parametrize(
    ("first", "told", "hint"),
    [
        ("# made by hand", "'# made by hand'", "remove the lines before the names"),
        ("sep=,", "'sep='", "remove the lines before the names"),
        ('{"p":0.5}', "JSON", "--pred-format jsonl"),
        ('[{"p":0.5}]', "JSON", "--pred-format jsonl"),
        ("[[0.5]]", "JSON", "--pred-format jsonl"),
    ],
)
def test_what_is_no_header(
    table: Table, refusal: Refusal, first: str, told: str, hint: str, selection: str | None
) -> None:
    error = refusal(table(f"{first}\np\n0.5\n"), prediction=selection)
    assert isinstance(error, DataError)
    assert (error.message.partition(", ")[2], error.hint) == (
        f"line 1: {told} stands where the names of the columns are looked for",
        hint,
    )


def test_names_may_stand_in_brackets(table: Table, refusal: Refusal) -> None:
    assert refusal(table("[p]\n0.5\n"), prediction="p").exit_code == 2


def test_names_may_begin_like_a_comment(table: Table, read_all: ReadAll) -> None:
    assert read_all(table("#p,y\n0.5,1\n"), prediction="#p")["prediction"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("header", "name", "hint"),
    [
        ("p;y", "t.csv", "commas between cells"),
        ("p\ty", "t.csv", "--pred-format tsv"),
        ("p,y", "t.tsv", "--pred-format csv"),
    ],
)
def test_other_delimiters(table: Table, refusal: Refusal, header: str, name: str, hint: str) -> None:
    error = refusal(table(f"{header}\n{header.replace('p', '1').replace('y', '2')}\n", name), prediction="p")
    assert isinstance(error, DataError)
    assert "line 1: the header is one name" in error.message
    assert hint in str(error.hint)


def test_names_of_classes_are_for_targets(table: Table, refusal: Refusal) -> None:
    path = table("p,y\n0.5,1\ncat,dog\n")
    assert refusal(path, prediction="p").hint == "write a number"
    assert "--classes" in str(refusal(path, target="y").hint)
