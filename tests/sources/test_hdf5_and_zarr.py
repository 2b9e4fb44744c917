"""HDF5 and Zarr: arrays by path, and values that are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import zarr

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
    assert "has no array 'nope'" in refusal(tmp_path / "a.zarr", prediction="nope").message


def test_a_zarr_store_of_one_array(tmp_path: Path, read_all: ReadAll) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P)
    np.testing.assert_array_equal(read_all(tmp_path / "p.zarr", 3, prediction=None)["prediction"], P)


def test_chunks_that_are_missing(tmp_path: Path, refusal: Refusal) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(4, 3))
    shutil.rmtree(tmp_path / "p.zarr" / "c" / "1")
    assert "1 of 3 chunks were never written" in refusal(tmp_path / "p.zarr").message
