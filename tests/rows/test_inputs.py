"""From files and columns to a feed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import LossctlError, UsageError
from lossctl.rows.inputs import InputFiles, class_weights, open_feed


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "table.csv"
    path.write_text("p,y,w\n0.5,1,2\n0.25,0,3\n")
    return str(path)


def test_one_table_is_opened_once_by_any_spelling(table: str) -> None:
    other = str(Path(table).parent / "." / "table.csv")
    for targets in (None, table, other):
        feed = open_feed(InputFiles(table, targets, ("p",), ("y",), None, "w"))
        assert len(feed.readers) == 1
        (chunk,) = feed.chunks(10)
        assert {role: array.tolist() for role, array in chunk.items()} == {
            "prediction": [0.5, 0.25],
            "target": [1, 0],
            "weights": [2, 3],
        }
        feed.close()


def test_a_format_holds_for_all_that_comes_from_the_file(table: str) -> None:
    plain = Path(table).rename(Path(table).with_suffix(""))
    feed = open_feed(InputFiles(str(plain), None, ("p",), ("y",), None, "w", pred_format="csv"))
    assert [info.format for info in feed.arrays.values()] == ["csv", "csv", "csv"]
    feed.close()


def test_a_column_can_be_prediction_and_target(table: str) -> None:
    feed = open_feed(InputFiles(table, None, ("y",), ("y",)))
    (chunk,) = feed.chunks(10)
    assert chunk["prediction"].tolist() == chunk["target"].tolist() == [1, 0]
    feed.close()


@pytest.mark.parametrize(
    "files",
    [
        InputFiles("absent.npy"),
        InputFiles("", "y.npy"),
        InputFiles("p.npy", ""),
        InputFiles("p.npy", "y.npy", weights=""),
    ],
    ids=str,
)
def test_what_is_missing_is_a_usage_error(files: InputFiles) -> None:
    with pytest.raises(UsageError):
        open_feed(files)


def test_files_that_were_opened_are_closed_when_another_cannot_be(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", [0.5])
    with pytest.raises(LossctlError, match="no such file"):
        open_feed(InputFiles(str(tmp_path / "p.npy"), str(tmp_path / "absent.npy")))


def test_further_inputs_come_from_files_and_from_columns(table: str) -> None:
    np.save(Path(table).parent / "v.npy", [4.0, 5.0])
    other = str(Path(table).parent / "v.npy")
    given = InputFiles(
        table,
        None,
        ("p",),
        ("y",),
        inputs={"var": other, "mask": table},
        input_columns={"sign": ("w",), "mask": ("y",)},
    )
    assert given.paths == [table, other, table]
    assert given.input_names == ("var", "mask", "sign")
    feed = open_feed(given)
    assert len(feed.readers) == 2
    (chunk,) = feed.chunks(10)
    assert {role: chunk[role].tolist() for role in ("sign", "mask", "var")} == {
        "sign": [2, 3],
        "mask": [1, 0],
        "var": [4.0, 5.0],
    }
    feed.close()


def test_a_further_input_that_is_whole_may_be_of_any_length(table: str) -> None:
    np.save(Path(table).parent / "r.npy", np.zeros((7, 3)))
    feed = open_feed(
        InputFiles(table, None, ("p",), ("y",), inputs={"reference": str(Path(table).parent / "r.npy")}), {"reference"}
    )
    (chunk,) = feed.chunks(10)
    assert chunk["reference"].shape == (7, 3)
    feed.close()


def test_a_further_input_has_a_format_of_its_own(table: str) -> None:
    plain = Path(table).rename(Path(table).with_suffix(".data"))
    files = InputFiles(
        str(plain), None, ("p",), ("y",), pred_format="csv", inputs={"var": str(plain)}, input_columns={"var": ("w",)}
    )
    with pytest.raises(UsageError, match="--input-format var=… npy"):
        open_feed(files)
    feed = open_feed(replace(files, input_formats={"var": "csv"}))
    assert len(feed.readers) == 1
    feed.close()
    with pytest.raises(UsageError, match="--input-format names 'sign'"):
        open_feed(replace(files, input_formats={"sign": "csv"}))


def test_class_weights_are_one_number_a_class(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array([1, 2, 5], np.int8))
    (tmp_path / "w.csv").write_text("w\n1\n2\n5\n")
    assert class_weights(str(tmp_path / "w.npy")) == class_weights(str(tmp_path / "w.csv")) == (1.0, 2.0, 5.0)
    with pytest.raises(UsageError, match="empty name"):
        class_weights("")


def test_stdin_is_one_input() -> None:
    with pytest.raises(UsageError, match="stdin can be read once, not as prediction and as target"):
        open_feed(InputFiles("-", "-"))


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """By whatever name: the second to open it would wait for ever."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for second in (pipe, link):
        with pytest.raises(UsageError, match="pipe can be read once, not as prediction and as target"):
            open_feed(InputFiles(str(pipe), str(second)))
