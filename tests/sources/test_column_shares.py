"""Many columns of Parquet, a share at a time: the same values, in step with other columns."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pytest
from pyarrow.parquet import write_table

from lossctl.errors import LossctlError
from lossctl.sources import Selection, column_shares, open_reader, parquet, parquet_tables

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]


@pytest.fixture(autouse=True)
def _shares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two columns at a time, of parts of 16 rows of one column."""
    monkeypatch.setattr(parquet, "_PART_BYTES", 128)
    monkeypatch.setattr(column_shares, "_SHARE_BYTES", 2)
    monkeypatch.setattr(column_shares, "_AT_ONCE_BYTES", 2)
    monkeypatch.setattr(parquet_tables, "_MOST_COLUMN_BYTES", 1)


@pytest.mark.parametrize("group_rows", [9, 50])
@pytest.mark.parametrize("columns", [1, 2, 3, 8])
def test_many_columns_are_decoded_a_share_at_a_time(
    tmp_path: Path, read_all: ReadAll, group_rows: int, columns: int
) -> None:
    values = np.random.default_rng(0).normal(size=(50, columns))
    table: dict[str, Any] = {f"p_{column}": pa.array(values[:, column]) for column in range(columns)}
    names = pa.array(["cat", "dog"] * 25)
    table |= {"y": pa.array(range(50)), "c": names.dictionary_encode(), "l": pa.array([[1.0, 2.0]] * 50)}
    path = tmp_path / "t.parquet"
    write_table(pa.table(table), path, row_group_size=group_rows)
    read = read_all(path, 7, prediction="p_*", target="y")
    assert np.array_equal(read["prediction"].reshape(50, columns), values)
    assert read["target"].tolist() == list(range(50))
    classes = Selection(("c",), classes=("cat", "dog"))
    with open_reader(
        path, {"prediction": Selection(("p_*",)), "target": classes, "weights": Selection(("l",))}
    ) as reader:
        chunks = list(reader.chunks(50))
    assert np.array_equal(chunks[0]["prediction"].reshape(50, columns), values)
    assert chunks[0]["target"].tolist() == [0, 1] * 25
    assert chunks[0]["weights"].tolist() == [[1.0, 2.0]] * 50


def test_no_room_for_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: Refusal) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "t.parquet"
    write_table(pa.table({f"p_{column}": [0.5] for column in range(5)}), path)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    error = refusal(path, prediction="p_*")
    assert (error.exit_code, error.hint) == (4, "set TMPDIR to a folder with room")
    assert error.message.startswith(f"cannot copy {path} to ")
