"""Names of classes and keys, in every format that holds text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from lossctl.errors import DataError, LossctlError
from lossctl.slices.levels import Levels
from lossctl.sources import Selection, open_reader

NAMES = ["cat", "dog", "a,b", "cat"]
KEYS = ["x1", "007", "7", "é"]


def write(folder: Path, format: str, labels: list[Any], keys: list[Any]) -> Path:
    path = folder / f"a.{format}"
    table = pa.table({"id": keys, "p": [0.5, 1.5, 2.5, 3.5], "label": labels})
    if format == "npz":
        np.savez(path, id=np.array(keys), p=np.array([0.5, 1.5, 2.5, 3.5]), label=np.array(labels))
    elif format == "parquet":
        parquet.write_table(table.set_column(2, "label", table["label"].combine_chunks().dictionary_encode()), path)
    elif format == "feather":
        feather.write_feather(table, path)
    elif format == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        rows = [
            [json.dumps(each, ensure_ascii=False) if isinstance(each, str) else str(each) for each in row.values()]
            for row in table.to_pylist()
        ]
        path.write_text("\n".join(",".join(row) for row in [["id", "p", "label"], *rows]) + "\n")
    return path


def read(path: Path, **roles: Selection) -> dict[str, list[Any]]:
    with open_reader(path, roles) as reader:
        chunks = list(reader.chunks(3))
        for role, info in reader.arrays.items():
            assert info.dtype == chunks[0][role].dtype.name
    return {role: [value for chunk in chunks for value in chunk[role].tolist()] for role in roles}


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "feather", "npz"])
def test_classes_and_keys(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, NAMES, KEYS)
    found = read(
        path,
        prediction=Selection(("p",)),
        target=Selection(("label",), classes=("dog", "cat", "a,b")),
        key=Selection(("id",), is_key=True),
    )
    assert found == {"prediction": [0.5, 1.5, 2.5, 3.5], "target": [1, 0, 2, 1], "key": KEYS}


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "feather", "npz"])
def test_a_name_that_is_no_class(tmp_path: Path, format: str) -> None:
    path = write(tmp_path, format, NAMES, KEYS)
    with pytest.raises(LossctlError) as caught:
        read(path, target=Selection(("label",), classes=("dog", "cat")))
    line = {"csv": "line 4", "jsonl": "line 3"}.get(format, "row 2")
    assert line in caught.value.message
    assert "'a,b' is not one of the 2 classes" in caught.value.message
    assert caught.value.hint == "the classes are dog, cat"


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "feather", "npz"])
@pytest.mark.parametrize("labels", [[3, 7, 3, 3], [True, False, True, True]])
def test_numbers_and_bools_as_names(tmp_path: Path, format: str, labels: list[Any]) -> None:
    if isinstance(labels[0], bool):
        classes: tuple[str, ...] = ("False", "True") if format == "csv" else ("false", "true")
        expected = [1, 0, 1, 1]
    else:
        classes, expected = ("3", "7"), [0, 1, 0, 0]
    path = write(tmp_path, format, labels, [5, 6, 2**60 + 1, -1])
    found = read(path, target=Selection(("label",), classes=classes), key=Selection(("id",), is_key=True))
    assert found["target"] == expected
    assert [int(key) for key in found["key"]] == [5, 6, 2**60 + 1, -1]


def test_a_column_is_text_or_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "parquet", [1, 2, 3, 4], KEYS)
    with pytest.raises(LossctlError, match="taken as text and as numbers"):
        read(path, prediction=Selection(("label",)), target=Selection(("label",), classes=("1",)))
    with pytest.raises(LossctlError, match=r"--on takes 2 columns .* for one; name each: label, id"):
        read(path, **{"key *": Selection(("label", "id"), is_key=True)})
    with pytest.raises(LossctlError, match="column 'p' holds double"):
        read(path, target=Selection(("p",), classes=("1",)))


def test_views_of_texts(tmp_path: Path) -> None:
    """As Polars writes them."""
    names = pa.array(["dog", "cat"]).cast(pa.string_view())
    feather.write_feather(pa.table({"id": names, "label": names}), tmp_path / "a.arrow", compression="uncompressed")
    roles = {"target": Selection(("label",), classes=("cat", "dog")), "key id": Selection(("id",), is_key=True)}
    with open_reader(tmp_path / "a.arrow", roles) as reader:
        (chunk,) = reader.chunks(10)
    assert chunk["target"].tolist() == [1, 0]
    assert chunk["key id"].tolist() == ["dog", "cat"]


def test_categories_whose_names_are_views(tmp_path: Path) -> None:
    """As Polars writes categories."""
    views = pa.array(["dog", "cat"]).cast(pa.string_view())
    table = pa.table({"id": pa.DictionaryArray.from_arrays(pa.array([1, 0, 1]), views)})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert read(tmp_path / "a.arrow", key=Selection(("id",), is_key=True)) == {"key": ["cat", "dog", "cat"]}
    assert read(tmp_path / "a.arrow", target=Selection(("id",), classes=("cat", "dog"))) == {"target": [0, 1, 0]}


def test_categories_of_whole_numbers_are_whole_numbers(tmp_path: Path) -> None:
    """As pandas writes them to Feather; Parquet gives the numbers themselves."""
    table = pa.table({"id": pa.array([7, -1, 7]).dictionary_encode()})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    assert read(tmp_path / "a.arrow", key=Selection(("id",), is_key=True)) == {"key": [7, -1, 7]}


NO_VALUES: dict[str, Any] = {
    "interval": pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
    "fixed bytes": pa.array([b"ab"], pa.binary(2)),
    "views of bytes": pa.array([b"ab"], pa.binary_view()),
    "categories of lists": pa.DictionaryArray.from_arrays(pa.array([0]), pa.array([[0.5]])),
    "a type of one's own": pa.ExtensionArray.from_storage(pa.opaque(pa.float64(), "a", "b"), pa.array([0.5])),
}


@pytest.mark.parametrize("kind", NO_VALUES)
def test_what_cannot_be_told_apart_is_no_value_of_a_slice(tmp_path: Path, kind: str) -> None:
    table = pa.table({"c": NO_VALUES[kind]})
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match=r"a\.arrow, column 'c' holds .*, which is no value of a slice"):
        read(tmp_path / "a.arrow", **{"slice c": Selection(("c",), encoder=Levels("c"))})


@pytest.mark.parametrize(
    "prepare",
    [
        "from lossctl.sources.text import text_dtype; "
        "text_dtype(Selection(('y',), classes=('a', 'b')), pyarrow.string())",
        "from lossctl.slices.levels import encoder_of; from lossctl.slices.slicing import SliceColumn; "
        "encoder_of(SliceColumn('y'))",
    ],
)
def test_what_threads_look_texts_up_with_is_loaded_before_they_run(prepare: str) -> None:
    shown = "print('pyarrow.compute' in sys.modules)"
    program = f"import sys, pyarrow; from lossctl.sources import Selection; {prepare}; {shown}"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"
