"""What is missing: nulls of Parquet, Arrow and JSON, and empty cells. An error, or NaN where a selection has gaps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import feather, parquet

from lossctl.errors import DataError, UsageError
from lossctl.sources import Selection, open_reader

COLUMNS: dict[str, list[Any]] = {
    "real": [0.5, None, 2.0],
    "whole": [1, None, 3],
    "truth": [True, None, False],
    "name": ["cat", None, "dog"],
    "full": [1, 2, 3],
}
EXPECTED = {
    "real": [0.5, np.nan, 2.0],
    "whole": [1.0, np.nan, 3.0],
    "truth": [1.0, np.nan, 0.0],
    "name": [1.0, np.nan, 0.0],
    "full": [1.0, 2.0, 3.0],
}


def write_parquet(path: Path) -> Path:
    parquet.write_table(pa.table(COLUMNS), path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def write_arrow(path: Path) -> Path:
    table = pa.table({**COLUMNS, "name": pa.array(COLUMNS["name"]).dictionary_encode()})
    feather.write_feather(table, str(path.with_suffix(".arrow")))
    return path.with_suffix(".arrow")


def write_jsonl(path: Path) -> Path:
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.with_suffix(".jsonl")


def write_csv(path: Path) -> Path:
    cells = [["" if cell is None else str(cell) for cell in row] for row in zip(*COLUMNS.values(), strict=True)]
    path.with_suffix(".csv").write_text("\n".join(",".join(row) for row in [list(COLUMNS), *cells]) + "\n")
    return path.with_suffix(".csv")


WRITERS = [write_parquet, write_arrow, write_jsonl, write_csv]


def read(path: Path, column: str, *, gaps: bool) -> NDArray[Any]:
    classes = ("dog", "cat") if column == "name" else None
    with open_reader(path, {"target": Selection((column,), classes=classes, gaps=gaps)}) as reader:
        described = reader.arrays["target"].dtype
        chunks = [chunk["target"] for chunk in reader.chunks(2)]
        assert gaps is False or reader.arrays["target"].dtype == "float64" or described == "int64"
    return np.concatenate(chunks)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("column", COLUMNS)
def test_what_is_missing_is_nan(write: Callable[[Path], Path], column: str, tmp_path: Path) -> None:
    found = read(write(tmp_path / "t"), column, gaps=True)
    assert np.array_equal(found, EXPECTED[column], equal_nan=True)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "full"])
def test_it_is_an_error_otherwise(write: Callable[[Path], Path], column: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"(row 1|line [23]).*'{column}'"):
        read(write(tmp_path / "t"), column, gaps=False)


@pytest.mark.parametrize("fixed", [True, False])
def test_lists(fixed: bool, tmp_path: Path) -> None:
    rows = [[1.0, None], None, [3.0, 4.0]]
    kind = pa.list_(pa.float32(), 2) if fixed else pa.list_(pa.float32())
    try:
        parquet.write_table(pa.table({"p": pa.array(rows, kind)}), tmp_path / "t.parquet")
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"this Arrow writes no such file: {error}")
    with open_reader(tmp_path / "t.parquet", {"prediction": Selection(("p",), gaps=True)}) as reader:
        found = np.concatenate([chunk["prediction"] for chunk in reader.chunks(2)])
    assert found.dtype == np.float32
    assert np.array_equal(found, [[1.0, np.nan], [np.nan, np.nan], [3.0, 4.0]], equal_nan=True)


def test_half_precision(tmp_path: Path) -> None:
    column = pa.array([np.float16(0.5), None], pa.float16())
    parquet.write_table(pa.table({"p": column}), tmp_path / "t.parquet")
    with open_reader(tmp_path / "t.parquet", {"prediction": Selection(("p",), gaps=True)}) as reader:
        (chunk,) = reader.chunks(2)
    assert chunk["prediction"].dtype == np.float32
    assert np.array_equal(chunk["prediction"], [0.5, np.nan], equal_nan=True)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, 2**53 + 1]),
        pa.array([1, 2, -(2**53) - 1]),
        pa.array([0, 0, 2**64 - 1], pa.uint64()),
        pa.array([[1, 2], None, [2**53, 2**53 + 1]]),
    ],
    ids=str,
)
def test_a_whole_number_that_float64_does_not_hold_is_refused(tmp_path: Path, column: Any) -> None:
    parquet.write_table(pa.table({"y": column}), tmp_path / "t.parquet")
    found = np.ravel(column[2].as_py())[-1]
    says = rf"row 2, column 'y': integers beyond 2\*\*53 are not exact in float64, found {found}; rescale them"
    with pytest.raises(DataError, match=says):
        read(tmp_path / "t.parquet", "y", gaps=True)


def test_csv_turns_to_gaps_further_down(tmp_path: Path) -> None:
    lines = ["y", *["1"] * 400_000, '""', "true is not a number"]
    (tmp_path / "t.csv").write_text("\n".join(lines[:-1]) + "\n")
    found = read(tmp_path / "t.csv", "y", gaps=True)
    assert np.isnan(found[-1])
    assert (found[:-1] == 1.0).all()
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="line 400003"):
        read(tmp_path / "t.csv", "y", gaps=True)


@pytest.mark.parametrize("cell", ["NA", "null", "None", " ", "-", "N/A", "0x10"])
def test_only_an_empty_cell_is_missing(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"y,z\n1,1\n{cell},1\n")
    with pytest.raises(DataError, match="line 3, column 'y'"):
        read(tmp_path / "t.csv", "y", gaps=True)


def test_an_unknown_class_among_gaps_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,z\ncat,1\n,1\neel,1\n")
    with pytest.raises(DataError, match=r"line 4, column 'name'.*'eel' is not one of the 2 classes"):
        read(tmp_path / "t.csv", "name", gaps=True)


def test_a_missing_field_and_a_null_first(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"y": null, "name": null}\n{"name": "cat"}\n{"y": 2.5, "name": "dog"}\n')
    assert np.array_equal(read(tmp_path / "t.jsonl", "y", gaps=True), [np.nan, np.nan, 2.5], equal_nan=True)
    assert np.array_equal(read(tmp_path / "t.jsonl", "name", gaps=True), [np.nan, 1.0, 0.0], equal_nan=True)
    (tmp_path / "t.jsonl").write_text('{"y": 1}\n{"y": null}\n{"y": "two"}\n')
    with pytest.raises(DataError, match="line 3, column 'y'"):
        read(tmp_path / "t.jsonl", "y", gaps=True)


@pytest.mark.parametrize("line", ["", "\r", "0.5"])
@pytest.mark.parametrize("rows_above", [0, 1])
def test_a_line_that_is_empty_or_short_is_no_gap(tmp_path: Path, line: str, rows_above: int) -> None:
    (tmp_path / "t.csv").write_text("p,y\n" + "0.5,1\n" * rows_above + f"{line}\n0.5,1\n", newline="")
    roles = {"prediction": Selection(("p",), gaps=True), "target": Selection(("y",), gaps=True)}
    with (
        pytest.raises(DataError, match=f"line {2 + rows_above}: (the line is empty|1 cell)"),
        open_reader(tmp_path / "t.csv", roles) as reader,
    ):
        list(reader.chunks(10))


def test_an_empty_line_is_a_gap_where_there_is_one_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("p\n0.5\n\n0.25\n")
    with open_reader(tmp_path / "t.csv", {"prediction": Selection(None, gaps=True)}) as reader:
        (chunk,) = reader.chunks(10)
    np.testing.assert_array_equal(chunk["prediction"], [0.5, np.nan, 0.25])


def test_empty_lines_within_quotes_are_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('p,note\n0.5,"a\n\nb"\n,c\n')
    with open_reader(tmp_path / "t.csv", {"prediction": Selection(("p",), gaps=True)}) as reader:
        (chunk,) = reader.chunks(10)
    np.testing.assert_array_equal(chunk["prediction"], [0.5, np.nan])


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_lists_after_a_first_row_with_none(tmp_path: Path, name: str) -> None:
    table = pa.table({"p": pa.array([None, [0.25, 0.75]], pa.list_(pa.float64()))})
    if name == "t.parquet":
        parquet.write_table(table, tmp_path / name)
    else:
        with pa.OSFile(str(tmp_path / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    with open_reader(tmp_path / name, {"prediction": Selection(("p",), gaps=True)}) as reader:
        (chunk,) = reader.chunks(10)
    np.testing.assert_array_equal(chunk["prediction"], [[np.nan] * 2, [0.25, 0.75]])
    with pytest.raises(DataError, match="row 0"):
        open_reader(tmp_path / name, {"prediction": Selection(("p",))})


def test_lists_after_a_first_line_with_none(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"p": null}\n{}\n{"p": [0.25, 0.75]}\n')
    with open_reader(tmp_path / "t.jsonl", {"prediction": Selection(("p",), gaps=True)}) as reader:
        (chunk,) = reader.chunks(10)
    np.testing.assert_array_equal(chunk["prediction"], [[np.nan] * 2, [np.nan] * 2, [0.25, 0.75]])


@pytest.mark.parametrize("value", ["[0.25, null]", "[null, null]", "[null, 1]"])
def test_nulls_in_the_first_of_the_lists(tmp_path: Path, value: str) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"y": {value}}}\n{{"y": [2, 0.5]}}\n{{"y": [null, 1e300]}}\n')
    expected = [[np.nan if each is None else each for each in json.loads(value)], [2, 0.5], [np.nan, 1e300]]
    assert np.array_equal(read(tmp_path / "t.jsonl", "y", gaps=True), expected, equal_nan=True)
    with pytest.raises(DataError, match="line 1, column 'y': null is not a number") as caught:
        read(tmp_path / "t.jsonl", "y", gaps=False)
    assert "--nonfinite skip" in str(caught.value.hint)


def test_a_field_that_the_first_line_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"p": 1}\n{"p": 2, "y": null}\n{"p": 3, "y": 4}\n')
    assert np.array_equal(read(tmp_path / "t.jsonl", "y", gaps=True), [np.nan, np.nan, 4], equal_nan=True)
    for column in ("z", "y*"):
        with pytest.raises(UsageError, match="no column"):
            read(tmp_path / "t.jsonl", column, gaps=True)
    with pytest.raises(DataError, match="line 1, column 'y': it is missing"):
        read(tmp_path / "t.jsonl", "y", gaps=False)


def test_a_dictionary_that_holds_a_null(tmp_path: Path) -> None:
    """Which the indices do not count."""
    names = pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["cat", None]))
    batch = pa.record_batch({"name": names})
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), batch.schema) as writer:
        writer.write_batch(batch)

    def read(*, gaps: bool, is_key: bool = False) -> Any:
        selection = Selection(("name",), classes=None if is_key else ("cat", "dog"), gaps=gaps, is_key=is_key)
        with open_reader(tmp_path / "t.arrow", {"target": selection}) as reader:
            return next(reader.chunks(2))["target"].tolist()

    np.testing.assert_array_equal(read(gaps=True), [0, np.nan])
    for is_key, remedy in (
        (False, "fill the null, or leave out its row with --nonfinite skip"),
        (True, "fill the null"),
    ):
        with pytest.raises(DataError, match=f"row 1, column 'name': null is not a name or a key; {remedy}$"):
            read(gaps=False, is_key=is_key)
