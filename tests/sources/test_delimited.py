"""CSV and TSV: numbers exactly as they are written, columns by name, blocks that nobody notices."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossctl.errors import DataError, LossctlError, UsageError, visible
from lossctl.sources import Selection, open_reader, records
from lossctl.sources.cells import CellParser

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]
Table = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("road")


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_columns_of_a_table(table: Table, read_all: ReadAll, rows: int) -> None:
    path = table("id,p,y\n" + "".join(f"a{i},{i / 7!r},{i % 3}\n" for i in range(30)))
    read = read_all(path, rows, prediction="p", target="y")
    assert read["prediction"].dtype == np.float64
    assert read["prediction"].tolist() == [i / 7 for i in range(30)]
    assert read["target"].dtype == np.int64
    assert read["target"].tolist() == [i % 3 for i in range(30)]


def test_tabs(table: Table, read_all: ReadAll) -> None:
    path = table('p\ttext, with comma\n0.5\t"a\tb"\n1.5\tc\n', "t.tsv")
    assert read_all(path, prediction="p")["prediction"].tolist() == [0.5, 1.5]


def test_several_columns_make_a_matrix(table: Table, read_all: ReadAll) -> None:
    path = table("p_2,y,p_0,p_1\n1,0,2,3\n4,1,5,6\n")
    assert read_all(path, prediction="p_*")["prediction"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read_all(path, prediction=("p_0", "p_1", "p_2"))["prediction"].tolist() == [[2, 3, 1], [5, 6, 4]]
    assert read_all(path, prediction=("p_[12]",))["prediction"].tolist() == [[1, 3], [4, 6]]
    with open_reader(path, {"prediction": Selection(("p_*",)), "target": Selection(("y",))}) as reader:
        assert reader.arrays["prediction"].columns == ("p_2", "p_0", "p_1")
        assert reader.arrays["prediction"].shape[1:] == (3,)
        assert (reader.arrays["target"].columns, reader.arrays["target"].dtype) == (("y",), "int64")


def test_the_only_column_needs_no_name(table: Table, read_all: ReadAll) -> None:
    assert read_all(table("p\n0.25\n"), prediction=None)["prediction"].tolist() == [0.25]


@pytest.mark.parametrize(
    "text", ["p,y\n1,2\n3,4", "p,y\r\n1,2\r\n3,4\r\n", "\ufeffp,y\n1,2\n3,4\n", '"p","y"\n"1",2\n3,"4"\n']
)
@pytest.mark.usefixtures("blocks")
def test_line_ends_byte_order_mark_and_quotes(table: Table, read_all: ReadAll, text: str) -> None:
    read = read_all(table(text), prediction="p", target="y")
    assert (read["prediction"].tolist(), read["target"].tolist()) == ([1, 3], [2, 4])


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1", 1.0),
        ("-0", -0.0),
        (" +1.5\t", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e5", 1e5),
        ("1E-3", 1e-3),
        ("007", 7.0),
        ("0.1", 0.1),
        ("1e-400", 0.0),
        ("9007199254740993.0", 9007199254740992.0),
        ("12345678901234567890123e0", 1.2345678901234568e22),
        ("-9007199254740994", -9007199254740994.0),
        ("+001000000000000000000000", 1e21),
        ("2.2250738585072011e-308", 2.225073858507201e-308),
        ("inf", np.inf),
        ("-Infinity", -np.inf),
        ("+INF", np.inf),
        ("nan", np.nan),
        ("-NaN", np.nan),
    ],
)
def test_numbers(table: Table, read_all: ReadAll, cell: str, value: float) -> None:
    read = read_all(table(f"p\n1\n{cell}\n"), prediction=None)["prediction"]
    assert np.array_equal(read, [1, value], equal_nan=True)
    assert np.signbit(read[1]) == np.signbit(value) or np.isnan(value)


@pytest.mark.parametrize(
    "cell", ["9007199254740993", "-9007199254740993", " 12345678901234567890123", "+0018014398509481985"]
)
@pytest.mark.usefixtures("blocks")
def test_whole_numbers_that_would_be_rounded(table: Table, refusal: Refusal, cell: str) -> None:
    error = refusal(table("n,p\n" + "a,0.5\n" * 30 + f"b,{cell}\nc,nan\n"), prediction="p")
    assert f"t.csv, line 32, column 'p': {cell} is a whole number that float64 does not hold" in error.message
    assert "decimal point" in str(error.hint)


@pytest.mark.parametrize("role", ["prediction", "target"])
@pytest.mark.parametrize(
    "cell",
    ["", " ", "NA", "N/A", "null", "None", "-", ".", "e5", "1e", "1_000", "1,5", "0x10", "0X1f", "1f", "--1", "1 2",
     "nan(7)", "infinite", "١", "cat", "1e999", "-1e999", "\ufeff1", "TRUE ", "t", "\x001"],
)  # fmt: skip
def test_what_is_no_number(table: Table, refusal: Refusal, cell: str, role: str) -> None:
    error = refusal(table(f'id,p\na,1\nb,"{cell}"\nc,2\n'), **{role: "p"})
    assert isinstance(error, DataError)
    assert f"t.csv, line 3, column 'p': '{visible(cell)}' is " in error.message
    assert error.hint


@pytest.mark.parametrize("role", ["prediction", "target"])
def test_a_byte_order_mark_before_the_first_value(table: Table, refusal: Refusal, role: str) -> None:
    assert "line 2, column 'p'" in refusal(table("p\n\ufeff1\n2\n"), **{role: "p"}).message


def test_hexadecimal_text_is_not_in_the_way_of_integers(table: Table, read_all: ReadAll) -> None:
    path = table("\ufeffid,y\n\ufeff0x10,1\n0X1f,2\n")
    assert read_all(path, target="y")["target"].tolist() == [1, 2]


def test_remedies(table: Table, refusal: Refusal) -> None:
    assert "empty cell" in str(refusal(table("a,p\n1,\n"), prediction="p").hint)
    assert "decimal point" in str(refusal(table('a,p\n1,"0,5"\n'), prediction="p").hint)
    assert "index counted from 0" in str(refusal(table("a,p\n1,cat\n"), target="p").hint)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "-2", "9223372036854775807", "-9223372036854775808", "007"], "int64"),
        (["1"] * 20 + ["2.5"], "float64"),
        (["2.5"] + ["1"] * 20, "float64"),
        (["1"] * 20 + ["nan"], "float64"),
        (["+1", "-1"], "float64"),
        (["9223372036854775808", "0.5"], "float64"),
        (["true", "false", "True", "FALSE"] * 9, "bool"),
    ],
)
def test_what_a_target_is_depends_on_all_of_its_cells(
    table: Table, read_all: ReadAll, cells: list[str], dtype: str
) -> None:
    path = table("y\n" + "\n".join(cells) + "\n")
    parsers: dict[str, Callable[[str], float]] = {"bool": lambda cell: cell.lower() == "true", "int64": int}
    parse = parsers.get(dtype, float)
    for rows in (1, 3, 100):
        read = read_all(path, rows, target=None)["target"]
        assert read.dtype == dtype
        expected = [parse(cell) for cell in cells]
        assert np.array_equal(read, expected, equal_nan=dtype == "float64")


def test_a_prediction_is_float64_and_so_is_the_column_that_it_shares(table: Table, read_all: ReadAll) -> None:
    read = read_all(table("a,b\n1,2\n"), prediction="a", target=("a", "b"))
    assert (read["prediction"].dtype, read["target"].dtype) == (np.float64, np.float64)
    assert read["target"].tolist() == [[1, 2]]


def test_columns_of_two_kinds(table: Table, read_all: ReadAll, refusal: Refusal) -> None:
    assert read_all(table("a,b\n1,0.5\n"), target="*")["target"].tolist() == [[1, 0.5]]
    error = refusal(table("a,b\ntrue,1\n"), target="*")
    assert "the target is made of column 'a' of true and false and column 'b' of numbers" in error.message


@pytest.mark.parametrize(
    ("before", "after", "together", "apart"),
    [
        ("true", "1", "line 2, column 'y': 'true' is not a number", "line 44, column 'y': '1' is not true or false"),
        ("1", "true", "line 44, column 'y': 'true' is not a number", "line 44, column 'y': 'true' is not a number"),
        ("0.5", "true", "line 44, column 'y': 'true' is not a number", "line 44, column 'y': 'true' is not a number"),
        ("1", "9223372036854775808", *["line 44, column 'y': '9223372036854775808' does not fit in 64 bits"] * 2),
        ("1", "-9223372036854775809", *["line 44, column 'y': '-9223372036854775809' does not fit in 64 bits"] * 2),
    ],
)
def test_a_column_is_of_one_kind(
    table: Table, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, before: str, after: str, together: str, apart: str
) -> None:
    path = table("y\n" + f"{before}\n" * 42 + after)
    assert together in refusal(path, target="y").message
    monkeypatch.setattr(records, "BLOCK_BYTES", 40)
    assert apart in refusal(path, target="y").message


def test_an_integer_of_thousands_of_digits(table: Table, refusal: Refusal, read_all: ReadAll) -> None:
    assert "does not fit in 64 bits" in refusal(table("y\n" + "9" * 9000 + "\n"), target="y").message
    assert "beyond the range of float64" in refusal(table("p\n" + "9" * 9000 + "\n"), prediction="p").message
    assert read_all(table("y\n" + "0" * 9000 + "7\n"), target="y")["target"].tolist() == [7]


def test_unknown_columns(table: Table, refusal: Refusal) -> None:
    path = table("id,prob,label\na,1,2\n")
    error = refusal(path, prediction="prb")
    assert isinstance(error, UsageError)
    assert "has no column 'prb' (--pred-col)" in error.message
    assert error.hint == "did you mean 'prob'? columns: id, prob, label"
    error = refusal(path, target="q_*")
    assert isinstance(error, UsageError)
    assert "no column of" in error.message
    assert "matches 'q_*' (--target-col)" in error.message
    assert error.hint == "columns: id, prob, label"


def test_which_column(table: Table, refusal: Refusal) -> None:
    error = refusal(table("id,p\na,1\n"), prediction=None)
    assert isinstance(error, UsageError)
    assert "has 2 columns: id, p; which is the prediction?" in error.message
    assert error.hint == "name the columns with --pred-col"
    error = refusal(table("p\n1\n"), prediction=None, target=None)
    assert isinstance(error, UsageError)
    assert error.hint == "name the columns with --pred-col and --target-col"


def test_no_rows(table: Table, read_all: ReadAll) -> None:
    for text in ("p,y\n", "p,y"):
        assert read_all(table(text), prediction="p", target="y") == {}


def test_rows_are_known_after_the_first_pass(table: Table) -> None:
    path = table("p,y\n" + "0.5,1\n" * 5)
    with open_reader(path, {"prediction": Selection(("p",)), "target": Selection(("y",))}) as reader:
        assert [info.shape for info in reader.arrays.values()] == [(None,), (None,)]
        list(reader.chunks(2))
        assert [info.shape for info in reader.arrays.values()] == [(5,), (5,)]


@pytest.mark.parametrize("cells", [["0.5", "1"], ["1", "2"], ["true", "false"], ["nan", "0.5"]])
def test_the_first_row_tells_what_a_column_holds(
    table: Table, monkeypatch: pytest.MonkeyPatch, cells: list[str]
) -> None:
    """No cell is looked at twice to find out, as it is where rows below the first differ."""

    def looked_at(*_: object) -> NoReturn:
        raise AssertionError("the first row was not believed")

    monkeypatch.setattr(CellParser, "kinds_after", looked_at)
    path = table("y\n" + "\n".join(cells) + "\n")
    with open_reader(path, {"target": Selection()}) as reader:
        assert len(next(reader.chunks(10))["target"]) == len(cells)


def test_decimals_below_whole_numbers(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks are int64 up to the block that holds the first decimal; from the second pass on all are float64."""
    monkeypatch.setattr(records, "BLOCK_BYTES", 64)
    path = table("p,y\n" + "0.5,1\n" * 50 + "0.5,1.25\n" * 50)
    with open_reader(path, {"prediction": Selection(("p",)), "target": Selection(("y",))}) as reader:
        assert reader.arrays["target"].dtype == "int64"
        first = [chunk["target"] for chunk in reader.chunks(10)]
        assert [chunk.dtype.name for chunk in first] == ["int64"] * 5 + ["float64"] * 5
        assert np.concatenate(first).tolist() == [1] * 50 + [1.25] * 50
        assert reader.arrays["target"].dtype == "float64"
        second = [chunk["target"] for chunk in reader.chunks(10)]
        assert {chunk.dtype.name for chunk in second} == {"float64"}
        assert np.concatenate(second).tolist() == [1] * 50 + [1.25] * 50


@pytest.mark.parametrize(("last", "dtype"), [("1", "int64"), ("0.5", "float64")])
def test_whole_numbers_beyond_float64_are_float64_only_among_decimals(
    table: Table, monkeypatch: pytest.MonkeyPatch, last: str, dtype: str
) -> None:
    """Also where the decimal stands blocks below them, so that no chunk is refused for what another chunk accepts."""
    monkeypatch.setattr(records, "BLOCK_BYTES", 64)
    large = 2**53 + 1
    path = table("y\n" + "1\n" * 50 + f"{large}\n" + "1\n" * 50 + f"{last}\n")
    with open_reader(path, {"target": Selection()}) as reader:
        chunks = [chunk["target"] for chunk in reader.chunks(1)]
    assert chunks[50].dtype == dtype
    assert chunks[50].tolist() == [large if dtype == "int64" else float(large)]


@pytest.mark.usefixtures("blocks")
def test_each_pass_starts_again_and_passes_do_not_disturb_each_other(table: Table) -> None:
    path = table("p\n" + "".join(f"{i}\n" for i in range(40)))
    with open_reader(path, {"prediction": Selection()}) as reader:
        first = reader.chunks(30)
        assert next(first)["prediction"][0] == 0
        assert np.concatenate([chunk["prediction"] for chunk in reader.chunks(7)]).tolist() == list(range(40))
        assert next(first)["prediction"].tolist() == list(range(30, 40))


def test_a_file_that_changes_while_it_is_read(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "BLOCK_BYTES", 16)
    for change in ("p\n1\n", "p\n" + "1\n" * 50):
        path = table("p\n" + "1\n" * 40)
        with open_reader(path, {"prediction": Selection()}) as reader:
            chunks = reader.chunks(2)
            next(chunks)
            path.write_text(change)
            with pytest.raises(DataError, match="changed while it was being read"):
                list(chunks)


CELLS = st.text(st.sampled_from('ab",\n\t é'), max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, st.floats(), st.integers(-(2**63), 2**63 - 1)), max_size=12),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    delimiter=st.sampled_from([",", "\t"]),
    block=st.sampled_from([200, 333, 1 << 20]),
)
def test_what_python_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, float, int]],
    line_end: str,
    quoting: Any,
    delimiter: str,
    block: int,
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([("text", "p", "y"), *rows])
    path = tmp_path_factory.mktemp("csv") / "t.dat"
    path.write_bytes(text.getvalue().encode())
    roles = {"prediction": Selection(("p",)), "target": Selection(("y",))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BLOCK_BYTES", block)
        with open_reader(path, roles, format="csv" if delimiter == "," else "tsv") as reader:
            chunks = list(reader.chunks(5))
            lines = [reader.place("target", row) for row in range(len(rows))]
    assert [value for chunk in chunks for value in chunk["target"].tolist()] == [row[2] for row in rows]
    read = [value for chunk in chunks for value in chunk["prediction"].tolist()]
    assert np.array_equal(read, [row[1] for row in rows], equal_nan=True)
    ends = np.cumsum([2, *(1 + "".join(row[0]).count("\n") for row in rows)])
    assert lines == [f"{path}, line {line}, column 'y'" for line in ends[: len(rows)]]
