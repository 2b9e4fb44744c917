"""Arrow IPC files and streams: columns as in Parquet, and damage that Arrow itself lets pass."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from lossctl.errors import DataError
from lossctl.sources import Selection, arrow_ipc, open_reader
from lossctl.sources.arrow_blocks import BATCHES, DICTIONARIES, blocks_of
from lossctl.sources.opening import open_input
from tests.sources.conftest import ReadAll, Refusal

TABLE = pa.table(
    {
        "p": pa.array(np.linspace(0, 1, 100)),
        "q": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(200.0)), 2),
        "t": pa.array(np.arange(100)),
        "text": [str(i) for i in range(100)],
    }
)


@pytest.fixture(autouse=True, params=[True, False], ids=["mapped", "read"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_ipc, "may_map", lambda: request.param)
    monkeypatch.setattr(arrow_ipc, "watch", lambda _: None)


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


def test_dictionaries_behind_the_batches(tmp_path: Path, read_all: ReadAll) -> None:
    """As Polars writes them."""
    table = TABLE.select(["p"]).append_column("c", TABLE["text"].dictionary_encode())
    with pa.ipc.new_file(str(tmp_path / "a.arrow"), table.schema) as writer:
        writer.write_table(table)
    data = (tmp_path / "a.arrow").read_bytes()
    end = len(data) - 10 - int.from_bytes(data[-10:-6], "little")
    with closing(open_input(str(tmp_path / "a.arrow"))) as file:
        ((first, *_),), ((second, head, body),) = blocks_of(file, DICTIONARIES), blocks_of(file, BATCHES)
    behind = second + head + body
    batch, dictionary, now = (each.to_bytes(8, "little") for each in (second, first, first + head + body))
    swapped = {batch: dictionary, dictionary: now}
    footer = re.sub(re.escape(batch) + b"|" + re.escape(dictionary), lambda found: swapped[found[0]], data[end:])
    moved = data[:first] + data[second:behind] + data[first:second] + data[behind:end] + footer
    (tmp_path / "b.arrow").write_bytes(moved)
    assert pa.ipc.open_file(str(tmp_path / "b.arrow")).read_all() == table
    assert read_all(tmp_path / "b.arrow", 17, prediction="p")["prediction"].tolist() == table["p"].to_pylist()


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


@pytest.mark.parametrize("packing", [None, "lz4", "zstd"])
@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("batch_rows", [100, 30])
def test_parts_of_batches(tmp_path: Path, opened: Any, packing: Any, batch_rows: int) -> None:
    """Columns of every layout, in parts that begin within bytes of bits and within lists."""
    numbers = [row % 7 / 8 for row in range(100)]
    columns: dict[str, tuple[Any, Any]] = {
        "float": (pa.array(numbers), numbers),
        "half": (pa.array(np.array(numbers, np.float16)), numbers),
        "bool": (pa.array([row % 3 == 0 for row in range(100)]), [row % 3 == 0 for row in range(100)]),
        "lists": (pa.array([[row, row + 0.5] for row in numbers]), [[row, row + 0.5] for row in numbers]),
        "gaps": (pa.array([None if row % 5 == 0 else row for row in range(100)]), None),
        "key": (pa.array([f"k{row}" for row in range(100)]), [f"k{row}" for row in range(100)]),
        "names": (pa.array(["ab"[row % 2] for row in range(100)]).dictionary_encode(), [0, 1] * 50),
        "beside": (pa.array(["x" * row for row in range(100)]), None),
    }
    table = pa.table({name: array for name, (array, _) in columns.items()})
    options = pa.ipc.IpcWriteOptions(compression=packing)
    with opened(str(tmp_path / "a.arrow"), table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    special = {
        "gaps": Selection(("gaps",), gaps=True),
        "key": Selection(("key",), is_key=True),
        "names": Selection(("names",), classes=("a", "b")),
    }
    roles = {name: special.get(name, Selection((name,))) for name in columns if name != "beside"}
    with open_reader(str(tmp_path / "a.arrow"), roles) as reader:
        for _ in range(2):
            chunks = list(reader.chunks(17))
            assert [len(chunk["float"]) for chunk in chunks] == [17] * 5 + [15]
            found = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in roles}
            for name, (_, expected) in columns.items():
                if expected is not None:
                    assert found[name].tolist() == expected
            gaps = found["gaps"]
            assert np.isnan(gaps[::5]).all()
            assert gaps[np.arange(100) % 5 > 0].tolist() == [row for row in range(100) if row % 5]
