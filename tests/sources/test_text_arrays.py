"""Keys and names of classes in files of arrays: NPZ, HDF5 and Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr
from numpy.typing import NDArray

from lossctl.errors import DataError
from lossctl.sources import Selection, open_reader

TEXTS = np.array(["eel", "cat", "dog", "cat"])
NUMBERS = np.array([3, 1, 2, 1], np.int16)
CLASSES = ("cat", "dog", "eel")


def write_npz(path: Path, **arrays: NDArray[Any]) -> Path:
    given: dict[str, Any] = dict(arrays)
    np.savez(path.with_suffix(".npz"), **given)
    return path.with_suffix(".npz")


def write_hdf5(path: Path, **arrays: NDArray[Any]) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        for name, array in arrays.items():
            file[name] = array.astype(h5py.string_dtype()) if array.dtype.kind == "U" else array
    return path.with_suffix(".h5")


def write_zarr(path: Path, **arrays: NDArray[Any]) -> Path:
    group = zarr.create_group(path.with_suffix(".zarr"))
    for name, array in arrays.items():
        kind: Any = np.dtypes.StringDType() if array.dtype.kind == "U" else array.dtype
        group.create_array(name, data=array.astype(kind))
    return path.with_suffix(".zarr")


def read(path: Path, selection: Selection) -> tuple[str, NDArray[Any]]:
    with open_reader(path, {"target": selection}) as reader:
        chunks = [chunk["target"] for chunk in reader.chunks(3)]
        return reader.arrays["target"].dtype, np.concatenate(chunks)


@pytest.mark.parametrize("write", [write_npz, write_hdf5, write_zarr])
def test_names_and_keys(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path / "a", texts=TEXTS, numbers=NUMBERS)
    dtype, found = read(path, Selection(("texts",), classes=CLASSES))
    assert (dtype, found.dtype.name, found.tolist()) == ("int64", "int64", [2, 0, 1, 0])
    dtype, found = read(path, Selection(("numbers",), classes=("1", "2", "3")))
    assert (dtype, found.dtype.name, found.tolist()) == ("int64", "int64", [2, 0, 1, 0])
    dtype, found = read(path, Selection(("texts",), is_key=True))
    assert (dtype, found.dtype.name, found.tolist()) == ("object", "object", TEXTS.tolist())
    dtype, found = read(path, Selection(("numbers",), is_key=True))
    assert (dtype, found.dtype.name, found.tolist()) == ("int64", "int64", NUMBERS.tolist())


@pytest.mark.parametrize("write", [write_npz, write_hdf5, write_zarr])
def test_what_is_none(write: Callable[..., Path], tmp_path: Path) -> None:
    path = write(tmp_path / "a", texts=TEXTS, floats=np.zeros(4))
    with pytest.raises(DataError, match=r"row 2.*'dog' is not one of the 2 classes"):
        read(path, Selection(("texts",), classes=("cat", "eel")))
    with pytest.raises(DataError, match="float64"):
        read(path, Selection(("floats",), is_key=True))
    with pytest.raises(DataError):
        read(path, Selection(("texts",)))


def test_numbers_for_each_class_are_no_names(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a", onehot=np.eye(3))
    dtype, found = read(path, Selection(("onehot",), classes=CLASSES))
    assert dtype == "float64"
    assert np.array_equal(found, np.eye(3))
