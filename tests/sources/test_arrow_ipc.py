"""Arrow IPC files and streams: columns as in Parquet, and damage that Arrow itself lets pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from lossctl.errors import DataError
from tests.sources.conftest import ReadAll, Refusal

TABLE = pa.table(
    {
        "p": pa.array(np.linspace(0, 1, 100)),
        "q": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(200.0)), 2),
        "t": pa.array(np.arange(100)),
        "text": [str(i) for i in range(100)],
    }
)


def write(path: Path, kind: str) -> None:
    if kind == "feather":
        feather.write_feather(TABLE, path, chunksize=30)
        return
    opened = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, opened(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=30)


@pytest.mark.parametrize("kind", ["feather", "file", "stream"])
def test_columns(tmp_path: Path, read_all: ReadAll, kind: str) -> None:
    write(tmp_path / "a.arrow", kind)
    found = read_all(tmp_path / "a.arrow", 17, prediction="p", target="t")
    assert found["prediction"].tolist() == TABLE["p"].to_pylist()
    assert found["target"].tolist() == list(range(100))
    lists = read_all(tmp_path / "a.arrow", 17, prediction="q")["prediction"]
    assert lists.tolist() == np.arange(200.0).reshape(100, 2).tolist()


def test_the_first_bytes_alone(tmp_path: Path, refusal: Refusal) -> None:
    (tmp_path / "a.arrow").write_bytes(b"ARROW1")
    assert "a.arrow is damaged" in refusal(tmp_path / "a.arrow").message


def test_what_is_not_a_number(tmp_path: Path, refusal: Refusal) -> None:
    write(tmp_path / "a.arrow", "file")
    assert "column 'text' holds string" in refusal(tmp_path / "a.arrow", prediction="text").message
    nulls = pa.table({"p": pa.array([1.0, None])})
    feather.write_feather(nulls, tmp_path / "n.arrow")
    assert "row 1, column 'p': null" in refusal(tmp_path / "n.arrow").message


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_truncated_anywhere(tmp_path: Path, read_all: ReadAll, kind: str) -> None:
    """A stream may end after any batch; nothing else may be lost unnoticed."""
    write(tmp_path / "a.arrow", kind)
    data = (tmp_path / "a.arrow").read_bytes()
    for size in range(8, len(data), 211):
        (tmp_path / "b.arrow").write_bytes(data[:size])
        try:
            found = read_all(tmp_path / "b.arrow", 17, prediction="p")
        except DataError:
            continue
        assert kind == "stream"
        assert len(found.get("prediction", ())) in {0, 30, 60, 90, 100}
