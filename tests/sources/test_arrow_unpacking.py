"""Packed batches of Arrow that are too large to be held: the same values and the same refusals as of small ones."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow.feather import write_feather

from lossctl.errors import DataError, LossctlError
from lossctl.sources import Selection, arrow_ipc, open_reader
from lossctl.sources.arrow_blocks import BATCHES, blocks_of
from lossctl.sources.arrow_unpacking import PackedBatch, wanted_buffers
from lossctl.sources.input_file import InputFile
from tests.fuzz.reading import clear
from tests.sources.conftest import ReadAll, Refusal

ROWS, WIDTH = 500, 40
P = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
Y = np.arange(ROWS) % WIDTH


@pytest.fixture(autouse=True)
def _nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_ipc, "_HELD_BYTES", -1)


@pytest.fixture(autouse=True, params=[True, False], ids=["mapped", "read"])
def mapped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_ipc, "may_map", lambda: request.param)
    monkeypatch.setattr(arrow_ipc, "watch", lambda _: None)


def table() -> pa.Table:
    """Columns of most types, of which each takes another number of buffers."""
    numbers = pa.array(P.ravel())
    return pa.table(
        {
            "small": pa.array(Y.astype(np.int8)),
            "text": pa.array([f"row {row}" for row in range(ROWS)]),
            "fixed": pa.FixedSizeListArray.from_arrays(numbers, WIDTH),
            "bool": pa.array(Y % 2 == 0),
            "list": pa.ListArray.from_arrays(list(range(0, P.size + 1, WIDTH)), numbers),
            "gaps": pa.array([None if row % 3 else float(row) for row in range(ROWS)]),
            "class": pa.array(["cat", "dog"] * (ROWS // 2)).dictionary_encode(),
            "struct": pa.array([{"a": row, "b": "x"} for row in range(ROWS)]),
            "zeros": pa.array(np.zeros(ROWS)),
            **{f"p_{column}": pa.array(P[:, column]) for column in range(WIDTH)},
        }
    )


def write(
    path: Path, given: pa.Table, compression: Literal["lz4", "zstd", "uncompressed"] = "lz4", chunk: int = ROWS
) -> Path:
    write_feather(given, str(path), compression=compression, chunksize=chunk)
    return path


def read(path: Path, **selections: Selection) -> dict[str, Any]:
    with open_reader(path, selections) as reader:
        chunks = list(reader.chunks(64))
    return {role: np.concatenate([chunk[role] for chunk in chunks]) for role in selections}


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("chunk", [ROWS, 77, 1])
def test_columns_of_every_type(tmp_path: Path, compression: Literal["lz4", "zstd"], chunk: int) -> None:
    path = write(tmp_path / "t.arrow", table(), compression, chunk)
    for name in ("fixed", "list", "p_*"):
        found = read(path, prediction=Selection((name,)), target=Selection(("small",)))
        assert np.array_equal(found["prediction"], P)
        assert found["target"].tolist() == Y.tolist()
    classes = Selection(("class",), classes=("cat", "dog"))
    found = read(
        path, prediction=Selection(("gaps",), gaps=True), target=classes, key=Selection(("text",), is_key=True)
    )
    assert found["prediction"][[0, 1, 3]].tolist()[::2] == [0.0, 3.0]
    assert np.isnan(found["prediction"][1])
    assert found["target"].tolist() == [0, 1] * (ROWS // 2)
    assert found["key"].tolist() == [f"row {row}" for row in range(ROWS)]
    assert read(path, prediction=Selection(("bool",)))["prediction"].tolist() == (Y % 2 == 0).tolist()


@pytest.mark.parametrize("kind", [pa.null(), pa.string_view(), pa.list_view(pa.int64())])
def test_columns_whose_buffers_cannot_be_told_apart(tmp_path: Path, kind: pa.DataType) -> None:
    other = pa.array([None] * ROWS, kind)
    given = pa.table({"other": other, "p": pa.array(P[:, 0]), "more": other})
    found = read(write(tmp_path / "t.arrow", given), prediction=Selection(("p",)))
    assert np.array_equal(found["prediction"], P[:, 0])


def test_a_file_that_is_not_packed(tmp_path: Path) -> None:
    given = pa.table({"p": pa.array(P[:, 0])})
    path = tmp_path / "t.arrow"
    with pa.OSFile(str(path), "w") as sink, pa.ipc.new_file(sink, given.schema) as writer:
        writer.write_table(given)
    assert np.array_equal(read(path, prediction=Selection(("p",)))["prediction"], P[:, 0])


def test_other_columns_take_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "t.arrow", table())
    file = InputFile(str(path))
    (block,) = blocks_of(file, BATCHES)
    with pa.ipc.open_file(str(path)) as reader:
        schema = reader.schema
    one, every = (PackedBatch(file, block, wanted_buffers(schema, names)) for names in (["zeros"], schema.names))
    assert 8 * ROWS < one.held_bytes < 9 * ROWS
    assert every.held_bytes > 3 * P.nbytes
    with pa.ipc.open_file(str(path)) as reader:
        before = arrow_ipc._ArrowReader(file, {"prediction": Selection(("zeros",))})._before_batches()
    copy = one.unpacked(before)
    assert copy.size < len(before) + block[1] + 10 * ROWS
    copy.close()
    file.close()


def buffer_places(path: Path) -> list[int]:
    """Where each buffer of the first batch that is not empty begins."""
    file = InputFile(str(path))
    with pa.ipc.open_file(str(path)) as reader:
        batch = PackedBatch(file, blocks_of(file, BATCHES)[0], wanted_buffers(reader.schema, reader.schema.names))
    file.close()
    return [batch._body + offset for offset, length in batch._buffers if length]


@pytest.mark.parametrize("size", [-2, -(1 << 63), 0, 1, 8 * ROWS - 1, 8 * ROWS + 1, 1 << 40, (1 << 63) - 1])
def test_a_buffer_that_holds_other_than_it_says(tmp_path: Path, refusal: Refusal, size: int) -> None:
    path = write(tmp_path / "t.arrow", pa.table({"p": pa.array(np.zeros(ROWS))}))
    (place,) = buffer_places(path)
    data = bytearray(path.read_bytes())
    data[place : place + 8] = struct.pack("<q", size)
    path.write_bytes(data)
    error = refusal(path, prediction="p")
    assert error.exit_code == 3
    assert error.message.startswith(f"{path} is damaged")


def test_a_buffer_that_is_not_packed(tmp_path: Path) -> None:
    """Arrow leaves as they are those that would only grow."""
    values = np.random.default_rng(1).integers(0, 1 << 63, ROWS)
    path = write(tmp_path / "t.arrow", pa.table({"p": pa.array(values)}))
    (place,) = buffer_places(path)
    data = bytearray(path.read_bytes())
    data[place : place + 8] = struct.pack("<q", -1)
    # In place of the frame's header and the first values stand the same values, and what is left of the frame.
    data[place + 8 : place + 8 + values.nbytes] = values.tobytes()
    path.write_bytes(data)
    assert np.array_equal(read(path, prediction=Selection(("p",)))["prediction"], values)


def outcome(path: Path, **selections: Selection) -> bytes | None:
    """The values, None where they are refused."""
    try:
        return bytes(read(path, **selections)["prediction"].tobytes())
    except LossctlError as error:
        clear(error, path.name)
        return None


def test_any_byte_may_be_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read of a damaged file is refused, or what Arrow itself reads of it."""
    given = table().select(["small", "class", "fixed", "text"]).slice(0, 20)
    whole = write(tmp_path / "t.arrow", given, "zstd").read_bytes()
    random = np.random.default_rng(2)
    path = tmp_path / "d.arrow"
    selections = {"prediction": Selection(("fixed",)), "target": Selection(("class",), classes=("cat", "dog"))}
    refused = 0
    for _ in range(600):
        data = bytearray(whole)
        data[random.integers(len(data))] = random.choice([0, 1, 255, int(random.integers(256))])
        path.write_bytes(data)
        monkeypatch.setattr(arrow_ipc, "_HELD_BYTES", -1)
        found = outcome(path, **selections)
        refused += found is None
        monkeypatch.setattr(arrow_ipc, "_HELD_BYTES", 1 << 40)
        # Of what nobody asks for, Arrow finds damage that is not looked at here.
        assert found in (None, outcome(path, **selections), P[:20].tobytes())
    assert refused > 50


def test_a_schema_other_than_the_footers(tmp_path: Path) -> None:
    given = pa.table({"first": pa.array(P[:, 0]), "other": pa.array(P[:, 1])})
    path = write(tmp_path / "t.arrow", given)
    data = path.read_bytes()
    begins = data.index(b"first")
    path.write_bytes(data[:begins] + b"fresh" + data[begins + 5 :])
    with pytest.raises(DataError, match=r"t\.arrow is damaged: it does not begin with the schema that its footer has"):
        read(path, prediction=Selection(("first",)))


def test_many_columns_that_are_mapped(tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrow_ipc, "_MAPPED_COLUMNS", 3)
    for compression in ("lz4", "uncompressed"):
        path = write(tmp_path / "t.arrow", table(), compression)
        found = read_all(path, 64, prediction="p_*", target="small")
        assert np.array_equal(found["prediction"], P)
        assert found["target"].tolist() == Y.tolist()
        classes = Selection(("class",), classes=("cat", "dog"))
        found = read(path, prediction=Selection(("p_*",)), target=classes, weights=Selection(("list",)))
        assert np.array_equal(found["weights"], P)
        assert found["target"].tolist() == [0, 1] * (ROWS // 2)
