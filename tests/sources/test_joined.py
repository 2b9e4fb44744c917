"""Files of which several were joined into one, with cat: never is one of them read for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from lossctl.errors import LossctlError
from tests.fuzz.reading import outcome
from tests.fuzz.seeds import PREDICTION, seeds
from tests.sources.conftest import ReadAll, Refusal

SEEDS = seeds()
TABLE = pa.table({"p": pa.array(PREDICTION)})


@pytest.mark.parametrize("name", SEEDS)
def test_a_file_after_itself(name: str, tmp_path: Path) -> None:
    """Lines of JSON and members of gzip and Zstandard are meant to be joined, but a header is no row."""
    seed = SEEDS[name]
    found = outcome(tmp_path / f"f{seed.extension}", seed.data * 2, named=seed.named)
    if name == "jsonl":
        assert not isinstance(found, LossctlError)
        np.testing.assert_array_equal(found["prediction"], np.tile(PREDICTION, 2))
    else:
        assert isinstance(found, LossctlError)
        assert found.exit_code == 3


@pytest.mark.parametrize("options", [{"row_group_size": 2}, {"write_page_index": True}, {"compression": "zstd"}])
def test_parquet(tmp_path: Path, read_all: ReadAll, refusal: Refusal, options: dict[str, Any]) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(TABLE, path, **options)
    np.testing.assert_array_equal(read_all(path, prediction="p")["prediction"], PREDICTION)
    data = path.read_bytes()
    parquet.write_table(TABLE.slice(0, 0), path)
    empty = path.read_bytes()
    for joined in (data + data, data + empty):
        path.write_bytes(joined)
        assert "several Parquet files joined" in refusal(path, prediction="p").message
    path.write_bytes(empty + data)
    assert refusal(path, prediction="p").exit_code == 3


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_arrow_files(tmp_path: Path, read_all: ReadAll, refusal: Refusal, batches: int, compression: Any) -> None:
    path = tmp_path / "a.arrow"
    with ipc.new_file(str(path), TABLE.schema, options=ipc.IpcWriteOptions(compression=compression)) as writer:
        for _ in range(batches):
            writer.write_table(TABLE)
    np.testing.assert_array_equal(read_all(path, prediction="p")["prediction"], np.tile(PREDICTION, batches))
    path.write_bytes(path.read_bytes() * 2)
    assert "no single Arrow file" in refusal(path, prediction="p").message


def test_archives(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", p=PREDICTION)
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data * 2)
    assert f"{len(data)} bytes stand before its first array" in refusal(tmp_path / "a.npz", prediction="p").message
