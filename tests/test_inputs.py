"""From files and columns to a feed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import LossctlError, UsageError
from lossctl.inputs import InputFiles, class_weights, open_feed


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


def test_class_weights_are_one_number_a_class(tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array([1, 2, 5], np.int8))
    (tmp_path / "w.csv").write_text("w\n1\n2\n5\n")
    assert class_weights(str(tmp_path / "w.npy")) == class_weights(str(tmp_path / "w.csv")) == (1.0, 2.0, 5.0)
    with pytest.raises(UsageError, match="empty name"):
        class_weights("")
