"""Many files as one data set: order, dtypes, places, partitions, and what does not go together."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.errors import DataError
from lossctl.sources import Reader, Selection, ahead, open_reader, shards
from lossctl.sources.base import Array, ArrayInfo
from lossctl.sources.shard_names import natural_key
from lossctl.sources.shards import ShardedReader
from tests.sources.conftest import ReadAll, Refusal


@pytest.fixture(autouse=True, params=[False, True], ids=["in turn", "ahead"])
def _ahead(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are read in their turn, or by threads, as far ones are: three numbers at a time."""
    if request.param:
        monkeypatch.setattr(ShardedReader, "_threads_for", lambda *_: 2)
        monkeypatch.setattr(shards, "_PART_BYTES", 24)


def test_natural_order() -> None:
    assert sorted(["p10", "p2", "p1", "q", "p02"], key=natural_key) == ["p1", "p2", "p02", "p10", "q"]


@pytest.mark.parametrize("named", ["folder", "glob", "list"])
@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_shards_are_their_concatenation(tmp_path: Path, read_all: ReadAll, named: str, rows: int) -> None:
    values = np.random.default_rng(0).normal(size=(47, 2))
    cuts = [0, 3, 3 + 20, 47]
    for number, (start, end) in zip((1, 2, 10), itertools.pairwise(cuts), strict=True):
        np.save(tmp_path / f"part-{number}.npy", values[start:end])
    names = ",".join(str(tmp_path / f"part-{number}.npy") for number in (1, 2, 10))
    path = {"folder": str(tmp_path), "glob": str(tmp_path / "part-*.npy"), "list": names}[named]
    np.testing.assert_array_equal(read_all(Path(path), rows, prediction=None)["prediction"], values)


@pytest.mark.parametrize("pattern", ["**/*.npy", "**/**/*.npy", "**/inner/**/*.npy"])
def test_a_file_that_is_found_again_is_one(tmp_path: Path, read_all: ReadAll, pattern: str) -> None:
    (tmp_path / "inner").mkdir()
    np.save(tmp_path / "inner" / "2.npy", np.array([1.0, 2.0]))
    np.save(tmp_path / "inner" / "10.npy", np.array([3.0]))
    (tmp_path / "inner" / "up").symlink_to("..")
    assert read_all(tmp_path / pattern, 9, prediction=None)["prediction"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("folder", "size", "rows", "side_by_side"),
    [
        ("{here}", 8, None, {"opened": False, "read": False}),
        ("{here}", 256 << 10, None, {"opened": True, "read": True}),
        ("{here}", 256 << 10, 1 << 40, {"opened": True, "read": False}),
        ("s3://bucket", 0, None, {"opened": True, "read": True}),
        ("s3://bucket", 0, 1 << 40, {"opened": True, "read": True}),
    ],
    ids=["small", "of text", "large", "far", "far and large"],
)
def test_shards_that_take_work_or_time_are_opened_and_read_side_by_side(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    size: int,
    rows: int | None,
    side_by_side: dict[str, bool],
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(ahead, "usable_processors", lambda: 2)
    seen = set()

    class Watched(Reader):
        def __init__(self, path: str) -> None:
            self.arrays = {"prediction": ArrayInfo(path, "csv", ("p",), (rows,), "float64")}
            seen.add(("opened", threading.current_thread()))

        def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
            seen.add(("read", threading.current_thread()))
            yield {"prediction": np.zeros(2)}

        def place(self, role: str, row: int, column: int | None = None) -> str:
            raise NotImplementedError

        def close(self) -> None:
            pass

    for number in range(4):
        (tmp_path / f"{number}.csv").write_bytes(bytes(size))
    paths = [folder.format(here=tmp_path) + f"/{number}.csv" for number in range(4)]
    with ShardedReader("*.csv", paths, Watched) as reader:
        assert sum(len(chunk["prediction"]) for chunk in reader.chunks(2)) == 4 * 2
    others = {what for what, thread in seen if thread is not threading.current_thread()}
    assert {what: what in others for what in ("opened", "read")} == side_by_side


def test_places(tmp_path: Path) -> None:
    (tmp_path / "a1.csv").write_text("p\n1\n2\n")
    (tmp_path / "a2.csv").write_text("p\n3\n4\n")
    with open_reader(f"{tmp_path}/a*.csv", {"prediction": Selection()}) as reader:
        assert reader.place("prediction", 3) == f"{tmp_path}/a2.csv, line 3, column 'p'"
        assert reader.arrays["prediction"].shape[0] is None
        assert [chunk["prediction"].tolist() for chunk in reader.chunks(3)] == [[1, 2, 3], [4]]
        assert reader.arrays["prediction"].shape[0] == 4


def test_what_does_not_go_together(tmp_path: Path, refusal: Refusal) -> None:
    np.save(tmp_path / "1.npy", np.zeros((3, 2)))
    np.save(tmp_path / "2.npy", np.zeros((3, 3)))
    assert "has rows of shape (3,)" in refusal(tmp_path).message
    np.save(tmp_path / "2.npy", np.zeros((3, 2), np.int64))
    assert "several types" in refusal(tmp_path).message
    (tmp_path / "2.npy").write_bytes(b"junk")
    assert "2.npy is not npy" in refusal(tmp_path).message


def test_precisions_go_together(tmp_path: Path, read_all: ReadAll) -> None:
    np.save(tmp_path / "1.npy", np.array([0.1], np.float32))
    np.save(tmp_path / "2.npy", np.array([0.1]))
    found = read_all(tmp_path, 1, prediction=None)["prediction"]
    assert found.dtype == np.float64
    assert found.tolist() == [float(np.float32(0.1)), 0.1]


def test_nothing_matches(tmp_path: Path, refusal: Refusal) -> None:
    assert isinstance(refusal(tmp_path), DataError)
    assert "holds no files" in refusal(tmp_path).message
    assert "no file matches" in refusal(tmp_path / "*.npy").message


def test_a_name_with_the_characters_of_a_glob(tmp_path: Path, read_all: ReadAll) -> None:
    np.save(tmp_path / "p[1],x.npy", np.ones(3))
    assert read_all(tmp_path / "p[1],x.npy", 2, prediction=None)["prediction"].tolist() == [1, 1, 1]


def test_a_partitioned_folder(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    for fold, label in ((1, 0), (2, 1), (10, 1)):
        place = tmp_path / "data" / f"split=a{fold}" / f"label={label}"
        place.mkdir(parents=True)
        parquet.write_table(pa.table({"p": [fold + 0.5, fold + 0.25]}), place / "x.parquet")
    (tmp_path / "data" / "_SUCCESS").touch()
    found = read_all(tmp_path / "data", 3, prediction="p", target="label")
    assert found["prediction"].tolist() == [1.5, 1.25, 2.5, 2.25, 10.5, 10.25]
    assert found["target"].tolist() == [0, 0, 1, 1, 1, 1]
    assert "key 'split' is text" in refusal(tmp_path / "data", prediction="p", target="split").message


def test_a_glob_of_folders_alone(tmp_path: Path, refusal: Refusal) -> None:
    for name in ("k=1", "k=2"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "a.npy", np.ones(2))
    error = refusal(tmp_path / "k=*")
    assert error.message == f"'{tmp_path / 'k=*'}' matches 2 folders and no file"
    assert error.hint == f"name the files in them, such as '{tmp_path / 'k=*' / '*'}', or list the folders: a,b"


def test_a_key_that_is_a_column_as_well(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "y=1").mkdir()
    parquet.write_table(pa.table({"p": [0.5], "y": [1]}), tmp_path / "y=1" / "a.parquet")
    found = refusal(tmp_path, prediction="p")
    assert found.message.endswith("a.parquet: 'y' is a column, and a key of the folders")
    assert found.hint == "leave one out, or name the files by a glob, such as 'data/*/*.parquet', for the columns alone"


def test_folders_of_a_key_that_begins_as_what_is_left_out(tmp_path: Path, read_all: ReadAll) -> None:
    for folder in ("_y=1", "_y=2", "_temporary", ".y=3"):
        (tmp_path / folder).mkdir()
        parquet.write_table(pa.table({"p": [0.5]}), tmp_path / folder / "a.parquet")
    assert read_all(tmp_path, prediction="p", target="_y")["target"].tolist() == [1, 2]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("first", ["1", "3"])
def test_a_shard_of_nothing_has_any_type(tmp_path: Path, read_all: ReadAll, whole: bool, first: str) -> None:
    """pandas writes a table without rows as one of nulls."""
    values = [3, 4] if whole else [0.5, 1.5]
    parquet.write_table(pa.table({"p": values, "id": ["a", "b"]}), tmp_path / "2.parquet")
    parquet.write_table(pa.table({"p": pa.nulls(0), "id": pa.nulls(0)}), tmp_path / f"{first}.parquet")
    assert read_all(tmp_path, prediction="p", target="p")["target"].tolist() == values
    roles = {"prediction": Selection(("p",)), "key id": Selection(("id",), is_key=True)}
    with open_reader(tmp_path, roles) as reader:
        assert [chunk["key id"].tolist() for chunk in reader.chunks(9)] == [["a", "b"]]


def test_a_shard_of_nulls_alone_is_one_of_gaps(tmp_path: Path, refusal: Refusal) -> None:
    for name, column in (("1", pa.array([0.5])), ("2", pa.nulls(2))):
        parquet.write_table(pa.table({"p": column}), tmp_path / f"{name}.parquet")
    assert "2.parquet, column 'p' holds null" in refusal(tmp_path, prediction="p").message
    with open_reader(tmp_path, {"prediction": Selection(("p",), gaps=True)}) as reader:
        (chunk,) = reader.chunks(9)
    np.testing.assert_array_equal(chunk["prediction"], [0.5, np.nan, np.nan])


def test_a_key_of_two_folders(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "y=1" / "y=0").mkdir(parents=True)
    parquet.write_table(pa.table({"p": [0.5]}), tmp_path / "y=1" / "y=0" / "a.parquet")
    assert "a.parquet stands in two folders of one key: y, y" in refusal(tmp_path, prediction="p", target="y").message


def test_a_shard_that_changes(tmp_path: Path) -> None:
    for number in (1, 2):
        np.save(tmp_path / f"{number}.npy", np.zeros(3))
    with open_reader(tmp_path, {"prediction": Selection()}) as reader:
        chunks = reader.chunks(3)
        next(chunks)
        np.save(tmp_path / "2.npy", np.zeros(4))
        with pytest.raises(DataError, match="changed while"):
            list(chunks)


def test_a_shard_that_is_being_written_anew_is_not_damaged(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.npy") for number in (1, 2)]
    for path in paths:
        np.save(path, np.zeros(3))
    opened = []

    def open_shard(shard: str) -> Reader:
        opened.append(shard)
        if shard == paths[1] and opened.count(shard) == 2:  # the first time, it is described
            os.truncate(shard, 0)
        return open_reader(shard, {"prediction": Selection()})

    with ShardedReader("p", paths, open_shard) as reader, pytest.raises(DataError, match=r"2\.npy changed while"):
        list(reader.chunks(3))


@pytest.mark.parametrize("extension", ["npy", "csv", "parquet"])
def test_shards_of_any_size(tmp_path: Path, read_all: ReadAll, extension: str) -> None:
    """Two passes of the same numbers, by chunks that end anywhere, and a fault in its place."""
    cuts = [0, 1, 1, 3, 6, 10, 40, 41, 44]
    values = np.arange(44) / 7
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        part = values[start:end]
        if extension == "npy":
            np.save(tmp_path / f"{number}.npy", part)
        elif extension == "csv":
            (tmp_path / f"{number}.csv").write_text("p\n" + "".join(f"{value!r}\n" for value in part.tolist()))
        else:
            parquet.write_table(pa.table({"p": pa.array(part)}), tmp_path / f"{number}.parquet", row_group_size=2)
    with open_reader(tmp_path, {"prediction": Selection()}) as reader:
        reader.begin()
        for rows in (5, 100):
            chunks = [chunk["prediction"] for chunk in reader.chunks(rows)]
            assert {len(chunk) for chunk in chunks[:-1]} <= {rows}
            assert np.concatenate(chunks).tolist() == values.tolist()
        assert reader.arrays["prediction"].shape == (44,)
        assert reader.place("prediction", 43).startswith(str(tmp_path / f"7.{extension}"))


def test_a_fault_of_a_shard_comes_in_its_place(tmp_path: Path) -> None:
    for number, text in enumerate(["1\n2\n", "3\n", "x\n", "5\n"]):
        (tmp_path / f"{number}.csv").write_text("p\n0\n" + text)
    before = threading.active_count()
    with open_reader(tmp_path, {"prediction": Selection()}) as reader:
        chunks = reader.chunks(1)
        assert [next(chunks)["prediction"].item() for _ in range(5)] == [0, 1, 2, 0, 3]
        with pytest.raises(DataError, match=r"2.csv, line 3, column 'p': 'x'"):
            list(chunks)
        reader.begin()
    assert threading.active_count() == before


@pytest.mark.parametrize(("folder", "name"), [("k=a%20b", "a b"), ("k=c%3Dd", "c=d"), ("k=e=f", "e=f")])
def test_values_of_folders_as_they_are_written(tmp_path: Path, folder: str, name: str) -> None:
    (tmp_path / folder).mkdir()
    parquet.write_table(pa.table({"p": [0.5]}), tmp_path / folder / "a.parquet")
    with open_reader(tmp_path, {"target": Selection(("k",), classes=("x", name))}) as reader:
        assert [chunk["target"].tolist() for chunk in reader.chunks(9)] == [[1]]


def test_folders_that_cannot_be_read(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "k=%ff").mkdir()
    (tmp_path / "k=%ff" / "a.parquet").touch()
    assert "'k=%ff' is not UTF-8" in refusal(tmp_path, prediction="p").message
    (tmp_path / "k=%ff").rename(tmp_path / "k=1")
    (tmp_path / "k=1" / "a.parquet").rename(tmp_path / "k=1" / "a.csv")
    (tmp_path / "k=1" / "a.csv").write_text("p\n0.5\n")
    assert "a.csv is csv, and stands in folders key=value" in refusal(tmp_path, prediction="p").message


@pytest.mark.parametrize("empty", ["1.parquet", "2.parquet"])
def test_a_shard_without_rows_says_nothing_of_lists(tmp_path: Path, read_all: ReadAll, empty: str) -> None:
    table = pa.table({"p": [[1.0, 2.0], [3.0, 4.0]]})
    for name in ("1.parquet", "2.parquet"):
        parquet.write_table(table.slice(0, 0 if name == empty else 2), tmp_path / name)
    assert read_all(tmp_path, prediction="p")["prediction"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("named", [".", "*.npy"])
def test_what_a_folder_holds_is_read_or_refused(tmp_path: Path, refusal: Refusal, named: str) -> None:
    """A pipe would be waited for, and a link to nothing is a shard that is lost."""
    np.save(tmp_path / "1.npy", np.zeros(3))
    (tmp_path / "2.npy").symlink_to("nothing")
    assert "no such file" in refusal(tmp_path / named).message
    (tmp_path / "2.npy").unlink()
    os.mkfifo(tmp_path / "2.npy")
    assert "2.npy is a pipe, not a file" in refusal(tmp_path / named).message
