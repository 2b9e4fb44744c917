"""Parquet: types, lists, nulls, names and places."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lossctl.errors import DataError, UsageError
from lossctl.sources import Selection, open_reader
from tests.sources.conftest import ReadAll, Refusal, WriteParquet


@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_every_type(write_parquet: WriteParquet, read_all: ReadAll, rows: int) -> None:
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
    ):
        values = np.arange(23).astype(name)
        if values.dtype.kind in "iu":
            values[[0, -1]] = np.iinfo(name).min, np.iinfo(name).max
        path = write_parquet({"id": ["x"] * 23, "p": values}, row_group_size=10)
        read = read_all(path, rows, prediction="p")["prediction"]
        assert read.dtype == name
        assert np.array_equal(read, values)


def test_float16_comes_as_float32(write_parquet: WriteParquet, read_all: ReadAll) -> None:
    values = np.array([1.5, -65504, 6e-8], np.float16)
    path = write_parquet({"p": pa.array(values)})
    read = read_all(path, prediction=None)["prediction"]
    assert read.dtype == np.float32
    assert np.array_equal(read, values)
    with open_reader(path, {"prediction": Selection()}) as reader:
        assert reader.arrays["prediction"].dtype == "float16"


def test_columns_of_a_table(write_parquet: WriteParquet, read_all: ReadAll) -> None:
    table = {"p_1": [1.0, 2.0], "y": [0, 1], "p_0": np.array([3, 4], np.float32), "p_1.x": [5.0, 6.0]}
    path = write_parquet(table)
    read = read_all(path, prediction="p_[01]", target="y")
    assert read["prediction"].tolist() == [[1, 3], [2, 4]]
    assert read["prediction"].dtype == np.float64
    assert read["target"].tolist() == [0, 1]
    assert read_all(path, prediction=("p_0", "p_1.x"))["prediction"].tolist() == [[3, 5], [4, 6]]
    with open_reader(path, {"prediction": Selection(("p_0", "p_1")), "target": Selection(("y",))}) as reader:
        prediction, target = reader.arrays["prediction"], reader.arrays["target"]
    assert (prediction.shape, prediction.dtype, prediction.columns) == ((2, 2), "float64", ("p_0", "p_1"))
    assert (target.shape, target.dtype, target.columns, target.format) == ((2,), "int64", ("y",), "parquet")


def test_dictionary_pages_and_compression(write_parquet: WriteParquet, read_all: ReadAll) -> None:
    values = np.tile([0.5, 1.5, 2.5], 50_000)
    for compression in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        path = write_parquet({"p": values}, compression=compression, use_dictionary=True, row_group_size=70_000)
        assert np.array_equal(read_all(path, 4096, prediction=None)["prediction"], values)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)])
def test_lists_of_equal_length_are_rows(write_parquet: WriteParquet, read_all: ReadAll, kind: Any) -> None:
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    path = write_parquet({"v": pa.array(values.tolist(), kind)}, row_group_size=8)
    read = read_all(path, 7, prediction="v")["prediction"]
    assert read.dtype == np.float32
    assert np.array_equal(read, values)
    with open_reader(path, {"prediction": Selection(("v",))}) as reader:
        assert reader.arrays["prediction"].shape == (20, 3)
        assert reader.place("prediction", 4, 2) == f"{path}, row 4, column 'v', element 2"


def test_lists_that_are_refused(write_parquet: WriteParquet, refusal: Refusal) -> None:
    path = write_parquet({"v": [[1.0, 2.0]] * 5 + [[3.0]], "p": [1.0] * 6})
    assert "row 5, column 'v': a list of 1 values; the lists before it have 2" in refusal(path, prediction="v").message
    error = refusal(path, prediction="*")
    assert isinstance(error, UsageError)
    assert "column 'v' holds lists, which do not go together with other columns" in error.message
    assert "row 1, column 'v': null" in refusal(write_parquet({"v": [[1.0], None]}), prediction="v").message
    assert "row 0, column 'v': null" in refusal(write_parquet({"v": [None, [1.0]]}), prediction="v").message
    path = write_parquet({"v": [[1.0, 2.0]] * 2 + [[3.0, None]]})
    assert "row 2, column 'v': null" in refusal(path, prediction="v").message
    path = write_parquet({"v": pa.array([[]], pa.list_(pa.int8()))})
    assert "column 'v' holds empty lists" in refusal(path).message
    assert "holds list<element: string>" in refusal(write_parquet({"v": [["a"]]})).message


def test_nulls(write_parquet: WriteParquet, refusal: Refusal) -> None:
    values = [0.5] * 70_000
    values[69_999] = None  # type: ignore[call-overload]
    error = refusal(write_parquet({"p": values, "y": [1] * 70_000}, row_group_size=30_000), prediction="p", target="y")
    assert isinstance(error, DataError)
    assert "t.parquet, row 69999, column 'p': null is not a number" in error.message
    assert error.hint == "fill the null, or leave out its row with --nonfinite skip"
    assert "row 1" in refusal(write_parquet({"p": [True, None]})).message


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (["a", "b"], "with --classes"),
        (pa.array(["a", "b"]).dictionary_encode(), "with --classes"),
        ([Decimal(10**38), Decimal(0)], "convert the column to float64"),
        (pa.array([1, 2], pa.timestamp("s")), "convert the column to numbers"),
        (pa.array([1, 2], pa.date32()), "convert the column to numbers"),
        ([{"a": 1}, {"a": 2}], "lists of numbers of one length"),
        ([None, None], "was it filled?"),
        ([b"a", b"b"], "convert the column to numbers"),
    ],
)
def test_types_that_are_refused(write_parquet: WriteParquet, refusal: Refusal, values: Any, remedy: str) -> None:
    error = refusal(write_parquet({"p": values}))
    assert isinstance(error, DataError)
    assert "t.parquet, column 'p' holds " in error.message
    assert "allowed are bool, integers and floats" in error.message
    assert remedy in str(error.hint)


def test_integers_that_no_type_holds_together(write_parquet: WriteParquet, refusal: Refusal, read_all: ReadAll) -> None:
    table = {"a": np.array([1], np.int64), "b": np.array([2], np.uint64), "c": np.array([3], np.int8)}
    path = write_parquet(table)
    assert "no integer type holds both" in refusal(path, target="[ab]").message
    assert read_all(path, target="[ac]")["target"].dtype == np.int64


def test_unknown_and_unnamed_columns(write_parquet: WriteParquet, refusal: Refusal) -> None:
    path = write_parquet({"prob": [1.0], "label": [1]})
    error = refusal(path, target="lable")
    assert isinstance(error, UsageError)
    assert "did you mean 'label'?" in str(error.hint)
    assert "which is the prediction?" in refusal(path, prediction=None).message
    path = write_parquet(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))
    assert "2 columns are named 'a'" in refusal(path, prediction="a").message
    assert "has no columns" in refusal(write_parquet(pa.table({}))).message


def test_no_rows(write_parquet: WriteParquet, read_all: ReadAll) -> None:
    path = write_parquet({"p": pa.array([], pa.float32()), "v": pa.array([], pa.list_(pa.float32()))})
    assert read_all(path, prediction="p") == {}
    assert read_all(path, prediction="v") == {}


def test_places(write_parquet: WriteParquet) -> None:
    path = write_parquet({"p_0": [1.0], "p_1": [2.0], "y": [1]})
    with open_reader(path, {"prediction": Selection(("p_*",)), "target": Selection(("y",))}) as reader:
        assert reader.place("prediction", 5, 1) == f"{path}, row 5, column 'p_1'"
        assert reader.place("prediction", 5) == f"{path}, row 5"
        assert reader.place("target", 5) == f"{path}, row 5, column 'y'"


def test_a_name_that_is_not_utf_8(write_parquet: WriteParquet, read_all: ReadAll) -> None:
    path = write_parquet({"p": [1.0]})
    name = path.with_name("\udcff.parquet")
    try:
        path.rename(name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    assert read_all(name, prediction=None)["prediction"].tolist() == [1]


@pytest.mark.parametrize("core", [True, False])
def test_arrows_own_class_reads_the_same(
    write_parquet: WriteParquet, read_all: ReadAll, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, core: bool
) -> None:
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    columns = {"id": ["x"] * 20, "v": values.tolist(), "s": [{"v": 1.0}] * 20, "p": np.arange(20.0)}
    path = write_parquet(columns, row_group_size=6)
    if not core:
        monkeypatch.setitem(sys.modules, "pyarrow._parquet", None)
    read = read_all(path, 7, prediction="v", target="p")
    assert np.array_equal(read["prediction"], values)
    assert read["target"].tolist() == list(range(20))
    path.write_bytes(path.read_bytes()[:-1])
    assert "t.parquet is damaged" in refusal(path, prediction="v").message
