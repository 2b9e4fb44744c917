"""HDF5 and Zarr: arrays by path, and values that are not there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from lossctl.errors import UsageError
from tests.sources.conftest import ReadAll, Refusal

P, T = np.arange(30, dtype=np.float32).reshape(10, 3), np.arange(10)


def test_datasets_by_path(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["out/logits"] = P
        file.create_dataset("labels", data=T, chunks=(3,), compression="gzip")
    found = read_all(tmp_path / "a.h5", 4, prediction="out/logits", target="labels")
    np.testing.assert_array_equal(found["prediction"], P)
    np.testing.assert_array_equal(found["target"], T)
    assert "which is the prediction" in refusal(tmp_path / "a.h5").message


def test_datasets_without_values(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("p", (1 << 40,), "f8", chunks=(1 << 10,))
    assert "was never written" in refusal(tmp_path / "a.h5").message


def test_links_are_not_followed(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["p"] = P
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = h5py.ExternalLink("b.h5", "/p")
    assert "holds no arrays" in refusal(tmp_path / "a.h5").message


def test_damaged_hdf5(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = P
    data = (tmp_path / "a.h5").read_bytes()
    for size in (8, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "b.h5").write_bytes(data[:size])
        assert refusal(tmp_path / "b.h5").exit_code == 3


def test_zarr_arrays(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("out/logits", data=P, chunks=(4, 3))
    group.create_array("labels", data=T)
    found = read_all(tmp_path / "a.zarr", 3, prediction="out/logits", target="labels")
    np.testing.assert_array_equal(found["prediction"], P)
    np.testing.assert_array_equal(found["target"], T)
    error = refusal(tmp_path / "a.zarr", prediction="nope")
    assert isinstance(error, UsageError)
    assert "has no array 'nope'" in error.message


def test_a_zarr_store_of_one_array(tmp_path: Path, read_all: ReadAll) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P)
    np.testing.assert_array_equal(read_all(tmp_path / "p.zarr", 3, prediction=None)["prediction"], P)


def test_chunks_that_are_missing(tmp_path: Path, refusal: Refusal) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(4, 3))
    shutil.rmtree(tmp_path / "p.zarr" / "c" / "1")
    assert "1 of 3 chunks were never written" in refusal(tmp_path / "p.zarr").message


def test_chunks_that_are_missing_in_hdf5(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("p", P.shape, P.dtype, chunks=(4, 2), maxshape=(None, 3))
        dataset[:8] = P[:8]
    assert "2 of 6 chunks were never written" in refusal(tmp_path / "a.h5").message
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["p"][8:] = P[8:]
    np.testing.assert_array_equal(read_all(tmp_path / "a.h5", 3, prediction="p")["prediction"], P)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["p"].resize(40, axis=0)
    assert "14 of 20 chunks were never written" in refusal(tmp_path / "a.h5").message


def test_damage_names_the_array_and_where_it_begins(tmp_path: Path, refusal: Refusal) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(5, 3))
    (tmp_path / "p.zarr" / "c" / "1" / "0").write_bytes(b"nonsense")
    assert "p.zarr, from row 0 on, is damaged" in refusal(tmp_path / "p.zarr").message
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("p", data=P, chunks=(5, 3), fletcher32=True)
        place = file["p"].id.get_chunk_info(1).byte_offset
    with (tmp_path / "a.h5").open("r+b") as handle:
        handle.seek(place)
        handle.write(b"\xff" * 8)
    assert "a.h5, dataset 'p', from row 0 on, is damaged" in refusal(tmp_path / "a.h5").message


def test_a_dataset_without_a_shape(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = h5py.Empty("f8")
    assert "has no values" in refusal(tmp_path / "a.h5").message


@pytest.mark.parametrize("version", [2, 3])
def test_a_shape_of_chunks_beyond_number_is_refused_at_once(tmp_path: Path, refusal: Refusal, version: int) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(4, 3), zarr_format=version)  # type: ignore[arg-type]
    described = tmp_path / "p.zarr" / (".zarray" if version == 2 else "zarr.json")
    described.write_text(json.dumps({**json.loads(described.read_text()), "shape": [10**15, 3]}))
    assert "249999999999997 of 250000000000000 chunks" in refusal(tmp_path / "p.zarr").message


@pytest.mark.parametrize("rows", [8, 10])
def test_shards(tmp_path: Path, read_all: ReadAll, refusal: Refusal, rows: int) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P[:rows], chunks=(2, 3), shards=(4, 3))
    np.testing.assert_array_equal(read_all(tmp_path / "p.zarr", 3, prediction=None)["prediction"], P[:rows])
    (tmp_path / "p.zarr" / "c" / "1" / "0").unlink()
    (tmp_path / "p.zarr" / "c" / "7").mkdir()
    (tmp_path / "p.zarr" / "c" / "7" / "0").touch()  # of no chunk
    assert f"1 of {-(-rows // 4)} chunks were never written" in refusal(tmp_path / "p.zarr").message
