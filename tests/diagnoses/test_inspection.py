"""What numbers look like: each kind of array that a model run leaves behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.diagnoses import inspection
from lossctl.diagnoses.inspection import as_row, inspect
from lossctl.errors import DataError, UsageError
from lossctl.sources import Reader, open_reader

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(50, 4))
ROWS = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("array", "looks_like"),
    [
        (ROWS, "rows of probabilities"),
        (ROWS.astype(np.float32), "rows of probabilities"),
        (100 * ROWS, "rows of percentages: divide by 100"),
        (np.log(ROWS), "rows of log-probabilities"),
        (LOGITS, "logits or scores"),
        (LOGITS[:, 0], "real numbers, or logits"),
        (ROWS[:, 0], "probabilities"),
        (np.eye(4)[[0, 1, 3]], "one-hot rows"),
        (np.eye(4, dtype=np.uint8)[[0, 1, 3]], "one-hot rows"),
        (np.array([0, 1, 1]), "labels, 0 and 1"),
        (np.array([0.0, 1.0, np.nan]), "labels, 0 and 1"),
        (np.array([-1, 1, 1]), "labels, -1 and 1"),
        (np.array([True, False]), "labels, true or false"),
        (np.array([0, 1, 2, 2]), "class indices, 0 to 2"),
        (np.array([1.0, 2.0, 3.0, 3.0]), "class indices, 1 to 3: count them from 0"),
        (np.array([7, 900, 7]), "whole numbers, 2 different"),
        (np.arange(100), "whole numbers, each once: ids?"),
        (np.array([2**53 + 2, 0]), "whole numbers, beyond 2**53"),
        (np.array([-(2**62), 1]), "whole numbers, beyond 2**53"),
        (np.array([25.5, 300.0]), "real numbers"),
        (np.array([np.nan]), "nothing: all NaN"),
        (np.array([np.inf, -np.inf]), "real numbers, or logits"),
        (np.array([1.0, 2.0, np.inf]), "real numbers"),
    ],
)
def test_arrays(tmp_path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]], looks_like: str) -> None:
    np.save(tmp_path / "a.npy", array)
    (found,) = inspect(str(tmp_path / "a.npy"))
    assert found.looks_like == looks_like
    assert found.shape == array.shape
    assert found.missing == np.isnan(array.astype(float)).mean()


def test_a_table_with_text_and_numbered_columns(tmp_path: Path) -> None:
    columns = {f"p_{i}": pa.array(ROWS[:, i]) for i in range(4)}
    table = pa.table({"id": [f"x{i}" for i in range(50)], **columns, "label": pa.array(np.arange(50) % 4)})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = {each.name: each for each in inspect(str(tmp_path / "a.parquet"))}
    assert list(found) == ["id", "p_0", "p_1", "p_2", "p_3", "label", "p_* (4 columns)"]
    assert found["id"].looks_like == "text"
    assert found["p_* (4 columns)"].looks_like == "rows of probabilities"
    assert found["p_2"].lowest == ROWS[:, 2].min()
    assert found["label"].looks_like == "class indices, 0 to 3"


@pytest.mark.parametrize("format", ["npy", "csv", "parquet"])
def test_the_first_rows_of_a_large_file(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows 0 to 29 are looked at: chunks of 10 rows until there are 25."""
    monkeypatch.setattr("lossctl.diagnoses.inspection._CHUNK_VALUES", 10)
    monkeypatch.setattr("lossctl.diagnoses.inspection._MOST_VALUES", 25)
    values = np.linspace(0, 1, 100)
    values[30:] = 7.0
    path = tmp_path / f"a.{format}"
    if format == "npy":
        np.save(path, values)
    elif format == "csv":
        path.write_text("p\n" + "".join(f"{value}\n" for value in values))
    else:
        parquet.write_table(pa.table({"p": pa.array(values)}), path)
    (found,) = inspect(str(path))
    assert found.shape == ((None,) if format == "csv" else (100,))
    assert (found.lowest, found.highest, found.first_rows) == (0.0, values[29], 30)
    row = as_row(found)
    assert row["looks like"] == "probabilities (the first 30 rows)"
    assert row["shape"] == ("(rows,)" if format == "csv" else "(100,)")


@pytest.mark.parametrize(("rows", "seen"), [(29, None), (30, None), (31, 30)])
def test_a_file_that_ends_with_what_is_looked_at_is_looked_at_whole(
    rows: int, seen: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossctl.diagnoses.inspection._CHUNK_VALUES", 10)
    monkeypatch.setattr("lossctl.diagnoses.inspection._MOST_VALUES", 25)
    np.save(tmp_path / "a.npy", np.linspace(0, 1, rows))
    (found,) = inspect(str(tmp_path / "a.npy"))
    assert (found.shape, found.first_rows) == ((rows,), seen)


def test_whole_numbers_that_go_over_into_decimals_are_decimals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl.diagnoses.inspection._CHUNK_VALUES", 10)
    monkeypatch.setattr("lossctl.diagnoses.inspection._MOST_VALUES", 25)
    monkeypatch.setattr("lossctl.sources.records.BLOCK_BYTES", 64)
    (tmp_path / "a.csv").write_text("p\n" + "1\n" * 25 + "0.5\n" * 50)
    (found,) = inspect(str(tmp_path / "a.csv"))
    assert (found.dtype, found.lowest, found.first_rows) == ("float64", 0.5, 30)


def test_arrays_of_a_container(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", logits=LOGITS, labels=np.array([0, 1]))
    assert [(each.name, each.shape) for each in inspect(str(tmp_path / "a.npz"))] == [
        ("logits", (50, 4)),
        ("labels", (2,)),
    ]


def test_command(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1.5, np.inf]))
    np.save(tmp_path / "b.npy", ROWS)
    command = [sys.executable, "-m", "lossctl", "inspect", "a.npy", "b.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == ["file", "name", "shape", "dtype", "min", "max", "NaN", "looks like"]
    assert [line[0] for line in lines[1:]] == ["a.npy", "b.npy"]
    done = subprocess.run([*command, "--format", "json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found[0]["highest"] is None
    assert found[1]["shape"] == [50, 4]
    done = subprocess.run([*command, "gone.npy"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "lossctl: no such file: gone.npy; check the name and the folder\n")


def test_a_format_that_is_not_told_is_named_by_the_option_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text("{}")
    with pytest.raises(UsageError, match="--file-format npy"):
        inspect(str(tmp_path / "a.data"))


def test_columns_with_nothing_in_some_rows(tmp_path: Path) -> None:
    columns: dict[str, list[object]] = {"a": [1, None, 3], "b": [0.5, 0.25, 0.75], "c": ["x", None, "y"]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("a,b,c\n1,0.5,x\n,0.25,\n3,0.75,y\n")
    for name in ("a.parquet", "a.csv"):
        found = inspect(str(tmp_path / name))
        assert [each.missing for each in found] == [1 / 3, 0.0, None]
        assert [each.highest for each in found] == [3.0, 0.75, None]
        assert found[2].looks_like == "text"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2,3\n", "line 2: 3 cells"),
        ("a,b\nx,y\n1\n", "line 3: 1 cell"),
        ("a,a\n1,2\n", "2 columns are named 'a'"),
        ("a,b\nx,\xff\n", "line 2: the byte 0xff is not UTF-8"),
    ],
)
def test_a_malformed_table_is_not_one_of_text(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=says):
        inspect(str(tmp_path / "a.csv"))


def test_numbered_columns_of_lists_are_described_one_by_one(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"a": [1], "v_1": [[1.0, 2.0]], "v_2": [[3.0, 4.0]]}), tmp_path / "a.parquet")
    found = inspect(str(tmp_path / "a.parquet"))
    assert [(each.name, each.shape) for each in found] == [("a", (1,)), ("v_1", (1, 2)), ("v_2", (1, 2))]


def test_a_stream_is_not_inspected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in ("-", str(tmp_path / "pipe")):
        with pytest.raises(UsageError, match="is a stream"):
            inspect(path)


def test_what_columns_hold_that_are_no_numbers(tmp_path: Path) -> None:
    day = np.array(["2020-01-01"] * 4, "M8[D]")
    columns = {
        "text": (pa.array(list("abab")), "string", "text, 2 different: a, b"),
        "ids": (pa.array(list("abcd")), "string", "text"),
        "days": (pa.array(["2020-01-01"] * 4), "string", "dates or times, as text"),
        "categories": (pa.array(list("xyxy")).dictionary_encode(), "dictionary", "categories, 2 different: x, y"),
        "day": (pa.array(day), "date32[day]", "dates or times"),
        "decimal": (pa.array([1, 2, 3, 4]).cast(pa.decimal256(40, 1)), "decimal256(40, 1)", "decimals"),
        "lists": (pa.array([[1.0], [1.0, 2.0], [1.0], [2.0]]), "lists of unequal length", "lists"),
        "nested": (pa.array([[[1.0]]] * 4), "list<", "lists"),
        "struct": (pa.array([{"a": 1.0}] * 4), "struct<", "tables"),
        "null": (pa.nulls(4), "null", "nothing: all null"),
        "bytes": (pa.array([b"a"] * 4), "binary", "bytes"),
        "number": (pa.array([0.5] * 4), "float64", "probabilities"),
    }
    parquet.write_table(pa.table({name: array for name, (array, _, _) in columns.items()}), tmp_path / "a.parquet")
    found = inspect(str(tmp_path / "a.parquet"))
    assert [each.name for each in found] == list(columns)
    for each, (_, kind, looks_like) in zip(found, columns.values(), strict=True):
        assert each.dtype.startswith(kind)
        assert each.looks_like.startswith(looks_like)


@pytest.mark.parametrize(
    ("array", "dtype", "looks_like"),
    [
        (np.array(["a", "b"]), "<U1", "text"),
        (np.zeros(2, "M8[s]"), "datetime64[s]", "dates or times"),
        (np.zeros(2, np.complex64), "complex64", "complex numbers"),
        (np.array([None]), "object", "Python objects, which are never loaded"),
        (np.array(1.0), "a single number", "a single number"),
        (np.zeros(2, [("a", "f8")]), "[('a', '<f8')]", "tables"),
        (np.zeros(2, np.longdouble), str(np.dtype(np.longdouble)), "numbers of a type that is not read"),
    ],
    ids=str,
)
def test_arrays_that_are_no_numbers(tmp_path: Path, array: np.ndarray, dtype: str, looks_like: str) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", a=array, p=np.array([0.5]))
    (alone,) = inspect(str(tmp_path / "a.npy"))
    assert as_row(alone)["shape"] == ""
    first, second = inspect(str(tmp_path / "a.npz"))
    assert (alone.dtype, alone.looks_like) == (first.dtype, first.looks_like) == (dtype, looks_like)
    assert second.looks_like == "probabilities"


def test_a_line_of_json_may_hold_what_is_no_number(tmp_path: Path) -> None:
    lines = [{"p": i / 8, "o": {"a": 1}, "l": [1.0] * (1 + i % 2), "s": "ab"[i % 2]} for i in range(8)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    found = inspect(str(tmp_path / "a.jsonl"))
    assert [each.dtype for each in found] == ["float64", "nested lists or objects", "lists of unequal length", "text"]
    assert found[3].looks_like == "text, 2 different: a, b"


def test_numbers_of_any_length_in_json_lines(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"p": 0.5, "id": 1}\n{"p": 0.25, "id": 18446744073709551616}\n')
    found = inspect(str(tmp_path / "a.jsonl"))
    assert [each.dtype for each in found] == ["float64", "integers beyond 64 bits"]


def test_texts_of_a_long_table_are_those_of_its_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl.diagnoses.inspection._MOST_TEXTS", 4)
    (tmp_path / "a.csv").write_text("c\n" + "a\nb\n" * 2 + "z\n")
    (found,) = inspect(str(tmp_path / "a.csv"))
    assert (found.looks_like, found.first_rows) == ("text, 2 different: a, b", 4)


def test_texts_are_looked_at_together_or_apart(tmp_path: Path) -> None:
    """Ten columns, of which one has a gap; arrays of texts of two lengths."""
    columns = {f"c_{number}x": ["a", "b", "a", "b"] for number in range(9)} | {"gap": ["a", None, "b", "a"]}
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert [each.looks_like for each in inspect(str(tmp_path / "a.parquet"))] == ["text, 2 different: a, b"] * 9 + [
        "text"
    ]
    np.savez(tmp_path / "a.npz", short=np.array(["a", "b"] * 2), long=np.array(["a", "b"] * 3))
    assert [each.looks_like for each in inspect(str(tmp_path / "a.npz"))] == ["text, 2 different: a, b"] * 2


def test_a_file_without_arrays(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    h5py.File(tmp_path / "a.h5", "w").close()
    with pytest.raises(DataError, match=r"a\.h5 holds no arrays"):
        inspect(str(tmp_path / "a.h5"))


def test_numbers_that_are_not_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = np.array([0.5])
        file["packed"] = np.array([0.5])
        file["packed"].attrs["scale_factor"] = 2.0
        file.create_dataset("unwritten", (4,), "f8")
    parquet.write_table(pa.table({"p": [0.5], "empty": pa.array([[]], pa.list_(pa.float64()))}), tmp_path / "a.parquet")
    found = {each.name: each for name in ("a.h5", "a.parquet") for each in inspect(str(tmp_path / name))}
    assert found["p"].looks_like == "probabilities"
    for name, why in (("packed", "is packed"), ("unwritten", "was never written"), ("empty", "holds empty lists")):
        assert re.match(rf"not read: \S+, (dataset|column) '{name}' {why}", found[name].looks_like)
        assert found[name].dtype == ""


def test_many_arrays_are_not_opened_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", **{f"p{index}": np.arange(3.0) for index in range(40)})  # type: ignore[arg-type]
    opened = []

    def counted(*arguments: Any, **options: Any) -> Reader:
        opened.append(arguments)
        return open_reader(*arguments, **options)

    monkeypatch.setattr(inspection, "open_reader", counted)
    assert len(inspect(str(tmp_path / "a.npz"))) == 40
    assert len(opened) < 10


def test_a_format_that_does_not_exist(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2))
    with pytest.raises(UsageError, match="unknown format 'nyp'"):
        inspect(str(tmp_path / "a.npy"), "nyp")


def test_a_table_among_arrays_is_not_asked_for_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2))
    (tmp_path / "b.csv").write_text("p,y\n1,0\n")
    with pytest.raises(UsageError, match=r"b\.csv has 2 columns: p, y; .* look at its files one by one"):
        inspect(str(tmp_path))
