"""Inputs that files of predictions share: opened and decoded once, and the same as if each were opened for itself."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from lossctl.batches import inputs as batch_inputs
from lossctl.batches.inputs import EACH_FILE, SharedInputs
from lossctl.errors import DataError, UsageError
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.sources import formats
from lossctl.sources.base import Array
from lossctl.sources.input_file import InputFile
from lossctl.sources.opening import open_input
from tests.cli.commands import write_csv

ROWS = 1000
RANDOM = np.random.default_rng(5)
COLUMNS: dict[str, Any] = {
    "id": np.array([f"k{each}" for each in RANDOM.permutation(ROWS)], object),
    "y": RANDOM.integers(0, 3, ROWS),
    "half": np.concatenate([np.arange(600.0), np.arange(400) + 0.5]),
    "w": RANDOM.random(ROWS),
    "animal": np.array(["cat", "dog", "eel"], object)[RANDOM.integers(0, 3, ROWS)],
}
PREDICTIONS = ("p0.npy", "p1.npy", "p2.npy")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in PREDICTIONS:
        np.save(name, RANDOM.random((ROWS, 3)).astype(np.float32))
        rows = zip(COLUMNS["id"][::-1], RANDOM.random(ROWS).tolist(), strict=True)
        Path(name).with_suffix(".csv").write_text("id,p\n" + "".join(f"{key},{value!r}\n" for key, value in rows))
    lines = [",".join(COLUMNS), *(",".join(map(str, row)) for row in zip(*COLUMNS.values(), strict=True))]
    # Whole numbers are spelled so, and go over into decimals in row 600.
    text = "\n".join(line.replace(".0,", ",") for line in lines) + "\n"
    Path("y.csv").write_text(text)
    Path("y.csv.gz").write_bytes(gzip.compress(text.encode()))
    pyarrow.parquet.write_table(
        pa.table({name: values.tolist() for name, values in COLUMNS.items()}), "y.parquet", row_group_size=300
    )
    np.save("y.npy", COLUMNS["y"])


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each file has been opened."""
    counts: Counter[str] = Counter()
    real = open_input

    def counting(path: str) -> InputFile:
        counts[path] += 1
        return real(path)

    monkeypatch.setattr(formats, "open_input", counting)
    return iter([counts])


FILES = {
    "an array": InputFiles(EACH_FILE, "y.npy"),
    "text": InputFiles(EACH_FILE, "y.csv", None, ("y",)),
    "text that goes over into decimals": InputFiles(EACH_FILE, "y.csv", None, ("half",)),
    "compressed text": InputFiles(EACH_FILE, "y.csv.gz", None, ("y",)),
    "a table": InputFiles(EACH_FILE, "y.parquet", None, ("y",)),
    "several columns of one table": InputFiles(EACH_FILE, "y.parquet", None, ("y",), "y.parquet", "w"),
    "two files": InputFiles(EACH_FILE, "y.npy", None, None, "y.csv", "w"),
    "names": InputFiles(EACH_FILE, "y.csv", None, ("animal",), classes=("cat", "dog", "eel")),
    "rows of several values": InputFiles(EACH_FILE, "y.csv", None, ("half", "w")),
}


def delivered(feed: Any, rows: int) -> list[dict[str, Array]]:
    with closing(feed):
        return list(feed.chunks(rows))


def assert_same(found: list[dict[str, Array]], wanted: list[dict[str, Array]]) -> None:
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.keys() == theirs.keys()
        for role, array in theirs.items():
            assert ours[role].dtype == array.dtype
            np.testing.assert_array_equal(ours[role], array)
            assert ours[role].flags.c_contiguous
            assert ours[role].flags.aligned


@pytest.mark.parametrize("memory", [64 << 20, 1, 3000])
@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_a_feed_is_that_of_its_files(files: InputFiles, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of it is kept in memory and whatever in temporary files."""
    monkeypatch.setattr(batch_inputs, "MEMORY_BYTES", memory)
    monkeypatch.setattr(batch_inputs, "CHUNK_BYTES", 2048)
    with closing(SharedInputs(files)) as shared:
        for rows in (64, 333, 5000):
            for name in PREDICTIONS:
                alone = open_feed(replace(files, predictions=name))
                feed = shared.feed(name)
                assert feed.arrays == alone.arrays
                assert feed.rows == alone.rows
                assert_same(delivered(feed, rows), delivered(alone, rows))
                assert feed.arrays == alone.arrays  # when they have been read


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_what_is_shared_is_opened_once(files: InputFiles, opened: Iterator[Counter[str]]) -> None:
    counts = next(opened)
    with closing(SharedInputs(files)) as shared:
        for name in PREDICTIONS:
            delivered(shared.feed(name), 128)
    assert counts == {**dict.fromkeys(PREDICTIONS, 1), **{path: 1 for path in files.paths if path != EACH_FILE}}


def test_feeds_are_read_side_by_side() -> None:
    with closing(SharedInputs(FILES["compressed text"])) as shared:
        feeds = [shared.feed(name) for name in PREDICTIONS]
        for chunks in zip(*(feed.chunks(100) for feed in feeds), strict=True):
            for chunk in chunks[1:]:
                np.testing.assert_array_equal(chunk["target"], chunks[0]["target"])
        for feed in feeds:
            feed.close()


@pytest.mark.parametrize("memory", [64 << 20, 1])
def test_rows_are_matched_by_key(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are text are not mapped: beyond what is kept in memory they are read again."""
    monkeypatch.setattr(batch_inputs, "MEMORY_BYTES", memory)
    monkeypatch.setattr(batch_inputs, "CHUNK_BYTES", 2048)
    files = InputFiles(EACH_FILE, "y.csv.gz", ("p",), ("y",), on=("id",))
    with closing(SharedInputs(files)) as shared:
        for name in ("p0.csv", "p1.csv"):
            assert_same(delivered(shared.feed(name), 128), delivered(open_feed(replace(files, predictions=name)), 128))


def test_arrays_that_are_not_in_step_are_shared_too() -> None:
    np.save("whole.npy", np.arange(7.0))
    files = InputFiles(EACH_FILE, "y.npy", inputs={"prior": "whole.npy"})
    with closing(SharedInputs(files, ("prior",))) as shared:
        for name in PREDICTIONS[:2]:
            feed = shared.feed(name)
            assert feed.whole == {"prior"}
            assert all((chunk["prior"] == np.arange(7.0)).all() for chunk in delivered(feed, 512))


def test_each_table_may_have_its_own_targets() -> None:
    files = InputFiles(EACH_FILE, None, ("w",), ("y",))
    write_csv(Path("a.csv"), {"w": COLUMNS["w"], "y": COLUMNS["y"]})
    with closing(SharedInputs(files)) as shared:
        found = delivered(shared.feed("a.csv"), ROWS)
    np.testing.assert_array_equal(found[0]["target"], COLUMNS["y"])


def test_a_place_is_that_of_the_file() -> None:
    with closing(SharedInputs(FILES["text"])) as shared, closing(shared.feed("p0.npy")) as feed:
        list(feed.chunks(100))
        assert feed.place("target", 11) == "y.csv, line 13, column 'y'"
        assert feed.place("prediction", 11, 1) == "p0.npy, row 11, column 1"


def test_tables_in_another_order_are_said() -> None:
    files = InputFiles(EACH_FILE, "y.csv", ("p",), ("y",))
    with closing(SharedInputs(files)) as shared, closing(shared.feed("p0.csv")) as feed:
        assert "in another order" in feed.warnings[0]


@pytest.mark.parametrize(
    ("files", "kind", "said"),
    [
        (InputFiles(EACH_FILE, "nope.npy"), DataError, "no such file: nope.npy"),
        (InputFiles(EACH_FILE, "y.csv", None, ("nope",)), UsageError, "no column 'nope'"),
        (InputFiles(EACH_FILE, "y.npy", None, None, ""), UsageError, "an input has an empty name"),
        (InputFiles(EACH_FILE, "-", weights="-", target_format="csv"), UsageError, "stdin can be read once"),
        (InputFiles(EACH_FILE, "y.npy", missing="drop"), UsageError, "--missing is of keys"),
        (InputFiles(EACH_FILE, "y.npy", input_formats={"var": "npy"}), UsageError, "--input-format names 'var'"),
    ],
)
def test_what_is_wrong_for_all_files_is_said_at_once(files: InputFiles, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind) as caught:
        SharedInputs(files)
    assert said in str(caught.value)


def test_a_text_that_is_malformed_is_refused_before_any_predictions() -> None:
    Path("bad.csv").write_text("y\n1\n0\nx\n")
    with pytest.raises(DataError, match=r"bad\.csv, line 4"):
        SharedInputs(InputFiles(EACH_FILE, "bad.csv"))


def test_one_file_of_predictions_that_is_wrong_harms_no_other() -> None:
    with closing(SharedInputs(FILES["text"])) as shared:
        with pytest.raises(DataError, match="no such file"):
            shared.feed("nope.npy")
        np.save("short.npy", np.ones((3, 3)))
        with pytest.raises(DataError, match="numbers of rows differ"):
            delivered(shared.feed("short.npy"), 100)
        assert len(delivered(shared.feed("p0.npy"), 100)) == 10
