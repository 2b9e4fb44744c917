"""`--classes` of `eval` and `grad`: targets as people store them."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import zarr
from pyarrow import parquet as pq

from tests.cli.commands import call, refused, scores

NAMES = ["cat", "eel", "cat", "dog"]
INDEX = [0, 2, 0, 1]
ROWS = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]]
FLAG = ["--classes", "cat,dog,eel"]


@pytest.fixture
def animals(here: Path) -> Path:
    """Predictions and targets in several forms; `p.npy` and `y.npy` are those without names."""
    np.save("p.npy", np.array(ROWS))
    np.save("y.npy", np.array(INDEX))
    np.save("names.npy", np.array(NAMES))
    np.save("onehot.npy", np.eye(3)[INDEX])
    table = pd.DataFrame(ROWS, columns=["p_cat", "p_dog", "p_eel"])
    table["animal"] = NAMES
    table["sort"] = [index + 10 for index in INDEX]
    table["is_cat"] = [index == 0 for index in INDEX]
    for index, name in enumerate(["cat", "dog", "eel"]):
        table[f"t_{name}"] = (np.array(INDEX) == index).astype(float)
    table.to_csv("t.csv", index=False)
    table.to_json("t.jsonl", orient="records", lines=True)
    table.to_parquet("plain.parquet")
    table.astype({"animal": "category"}).to_parquet("t.parquet")
    table[["p_eel", "p_dog", "p_cat", "animal"]].to_csv("reordered.csv", index=False)
    table.iloc[2:, :].assign(animal=["cat", "fox"]).to_csv("fox.csv", index=False)
    (here / "classes.txt").write_text("cat\ndog\neel\n")
    (here / "classes.json").write_text('["cat", "dog", "eel"]')
    return here


@pytest.mark.parametrize("table", ["t.csv", "t.jsonl", "t.parquet", "plain.parquet"])
@pytest.mark.parametrize("classes", ["cat,dog,eel", "classes.txt", "classes.json"])
def test_names_of_classes(animals: Path, table: str, classes: str) -> None:
    columns = ["--pred-col", "p_*", "--target-col", "animal"]
    expected = scores("p.npy", "y.npy", "-l", "scce")
    assert scores(table, *columns, "--classes", classes, "-l", "scce") == expected


def test_arrays_of_names(animals: Path) -> None:
    assert scores("p.npy", "names.npy", *FLAG, "-l", "scce") == scores("p.npy", "y.npy", "-l", "scce")
    assert scores("p.npy", "onehot.npy", *FLAG, "-l", "cce") == scores("p.npy", "onehot.npy", "-l", "cce")


def test_whole_numbers_are_names_too(animals: Path) -> None:
    given = ["--pred-col", "p_cat,p_dog,p_eel", "--target-col", "sort", "--classes", "10,11,12"]
    for table in ("t.csv", "t.parquet"):
        assert scores(table, *given, "-l", "scce") == scores("p.npy", "y.npy", "-l", "scce")


@pytest.mark.parametrize(
    ("table", "column", "classes"),
    [("t.csv", "is_cat", "False,True"), ("t.parquet", "is_cat", "false,true"), ("t.jsonl", "is_cat", "false,true")],
)
def test_two_classes_are_0_and_1(animals: Path, table: str, column: str, classes: str) -> None:
    np.save("cat.npy", np.array(INDEX) == 0)
    np.save("p_cat.npy", np.array(ROWS)[:, 0])
    given = ["--pred-col", "p_cat", "--target-col", column, "--classes", classes]
    assert scores(table, *given, "-l", "bce") == scores("p_cat.npy", "cat.npy", "-l", "bce")
    if table != "t.csv":  # booleans without names are 0 and 1
        assert scores(table, *given[:4], "-l", "bce") == scores("p_cat.npy", "cat.npy", "-l", "bce")


@pytest.mark.parametrize("column", ["animal*", "a,nimal", "[animal]"])
@pytest.mark.parametrize("table", ["t.csv", "t.jsonl", "t.parquet"])
def test_names_in_a_column_that_a_glob_may_choose(animals: Path, table: str, column: str) -> None:
    frame = pd.read_csv("t.csv").rename(columns={"animal": column})
    frame.to_csv("t.csv", index=False)
    frame.to_json("t.jsonl", orient="records", lines=True)
    frame.to_parquet("t.parquet")
    expected = scores("p.npy", "y.npy", "-l", "scce")
    for wanted in (column, "*nimal*"):
        assert scores(table, "--pred-col", "p_*", "--target-col", wanted, *FLAG, "-l", "scce") == expected


def write_array(file: str, array: np.ndarray) -> None:
    """An array called y, in the format of the file's name."""
    format = file.partition(".")[2]
    if format == "npz":
        np.savez(file, y=array)
    elif format == "parquet":
        pq.write_table(pa.table({"y": list(array)}), file)
    elif format == "h5":
        with h5py.File(file, "w") as created:
            created["y"] = array
    elif format == "zarr":
        zarr.create_group(file, overwrite=True).create_array("y", data=array)
    else:
        data = array.tobytes()
        kind = {"int64": "I64", "float64": "F64", "uint16": "BF16"}[array.dtype.name]
        header = json.dumps({"y": {"dtype": kind, "shape": array.shape, "data_offsets": [0, len(data)]}}).encode()
        Path(file).write_bytes(len(header).to_bytes(8, "little") + header + data)


FILES = ["y.npz", "y.safetensors", "y.h5", "y.zarr", "y.parquet"]


@pytest.mark.parametrize("file", FILES)
def test_an_array_of_a_number_for_each_class(animals: Path, file: str) -> None:
    write_array(file, np.eye(3)[INDEX])
    expected = scores("p.npy", "onehot.npy", "-l", "cce")
    for columns in ([], ["--target-col", "y"], ["--target-col", "y*"]):
        assert scores("p.npy", file, *columns, *FLAG, "-l", "cce") == expected


@pytest.mark.parametrize("file", FILES)
def test_whole_numbers_are_names_in_every_format(animals: Path, file: str) -> None:
    write_array(file, np.array([2, 0, 2, 1]))
    given = ["p.npy", file, "--classes", "2,1,0", "-l", "scce"]
    assert scores(*given) == scores("p.npy", "y.npy", "-l", "scce")
    assert call("eval", *given, "--by", "y", "--by-file", file, "--format", "csv").out.count("\n") == 5
    write_array(file, np.array([2.0, 0.0, 2.0, 1.0]))
    assert "a key or the name of a class is text or a whole number" in refused(3, "eval", *given)


def test_bfloat16_is_no_name(animals: Path) -> None:
    write_array("y.safetensors", np.array([2, 0, 2, 1], np.uint16))
    given = ["p.npy", "y.safetensors", "--classes", "2,1,0", "-l", "scce"]
    assert "array 'y' holds BF16, which is no key, no name of a class" in refused(3, "eval", *given)


def test_columns_for_each_class(animals: Path) -> None:
    given = ["t.csv", "--pred-col", "p_*", "--target-col", "t_*", *FLAG, "-l", "cce"]
    assert scores(*given) == scores("p.npy", "onehot.npy", "-l", "cce")


def test_the_signature_tells_the_classes(animals: Path) -> None:
    outcome = call("eval", "p.npy", "names.npy", *FLAG, "-l", "scce", "--format", "json")
    (result,) = json.loads(outcome.out)["results"]
    assert result["options"]["classes"] == ["cat", "dog", "eel"]
    assert "|classes=[cat,dog,eel]|" in result["signature"]
    assert call("grad", "p.npy", "names.npy", *FLAG, "-l", "scce", "-o", "g.npy").code == 0
    assert call("grad", "p.npy", "y.npy", "-l", "scce", "-o", "expected.npy").code == 0
    assert np.array_equal(np.load("g.npy"), np.load("expected.npy"))


TABLE = "t.csv --pred-col p_* --target-col animal"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (f"{TABLE} --classes eel,dog,cat -l scce", 2, "in the order cat, dog, eel, and --classes says eel, dog, cat"),
        ("reordered.csv --pred-col p_* --target-col animal --classes cat,dog,eel -l scce", 2, "order eel, dog, cat"),
        (f"{TABLE} --classes cat,dog -l scce", 3, "3 predictions a row, and --classes names 2 classes: cat, dog"),
        (f"{TABLE} --classes cat,dog,eel,fox -l scce", 3, "names 4 classes"),
        (f"{TABLE} --classes a,b,c -l scce", 2, "are not called after the classes a, b, c"),
        (f"{TABLE} --classes cat,dog,cat -l scce", 2, "names 'cat' twice"),
        (f"{TABLE} --classes absent.txt -l scce", 2, "neither a list of names nor a file"),
        (f"{TABLE} -l scce", 3, "--classes"),
        ("plain.parquet --pred-col p_* --target-col animal -l scce", 3, "--classes"),
        ("p.npy names.npy -l scce", 3, "--classes"),
        (
            "fox.csv --pred-col p_* --target-col animal --classes cat,dog,eel -l scce",
            3,
            "line 3, column 'animal': 'fox'",
        ),
        ("t.csv --pred-col p_cat --target-col animal --classes cat,dog,eel -l bce", 3, "names 3 classes"),
        ("p.npy onehot.npy --classes cat,dog,eel -l scce", 3, "use cce"),
        ("p.npy names.npy --classes cat,dog,eel -l cce", 3, "use scce"),
        ("p.npy y.npy --classes cat,dog,eel -l scce", 3, "'0' is not one of the 3 classes"),
    ],
)
def test_what_does_not_fit(animals: Path, arguments: str, code: int, says: str) -> None:
    assert says in refused(code, "eval", *arguments.split())


def test_the_file_of_names_is_an_input_that_no_output_replaces(animals: Path) -> None:
    before = Path("classes.txt").read_text()
    message = refused(2, "grad", "p.npy", "names.npy", "--classes", "classes.txt", "-l", "scce", "-o", "classes.txt")
    assert "classes.txt" in message
    assert "same file" in refused(
        2, "eval", "p.npy", "names.npy", "--classes", "classes.json", "-l", "scce", "-o", "classes.json"
    )
    assert Path("classes.txt").read_text() == before
