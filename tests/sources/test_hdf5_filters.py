"""Chunks of HDF5 that have fewer bytes than they need, of which the library makes up the rest, or crashes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from lossctl_kernels.lzf import measure_for
from tests.sources.conftest import ReadAll, Refusal

ROWS = 4000
VALUES = np.random.default_rng(0).integers(0, 1 << 17, ROWS).astype(np.int32)

FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "shuffle": {"shuffle": True},
    "checksum": {"fletcher32": True},
    "checksum of shuffled": {"fletcher32": True, "shuffle": True},
    "scaleoffset": {"scaleoffset": 0},
    "checksum of lzf": {"fletcher32": True, "compression": "lzf"},
    "nbit": {},
}


def write(path: Path, name: str) -> int:
    """The bytes of the first chunk of a file of `VALUES`."""
    with h5py.File(path, "w", libver="earliest") as file:
        if name == "nbit":
            kind = h5py.h5t.STD_I32LE.copy()
            kind.set_precision(18)
            plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plan.set_chunk((900,))
            plan.set_filter(h5py.h5z.FILTER_NBIT, 0, ())
            h5py.h5d.create(file.id, b"p", kind, h5py.h5s.create_simple((ROWS,)), plan)
            file["p"][:] = VALUES
        else:
            file.create_dataset("p", data=VALUES, chunks=(900,), **FILTERS[name])
        return int(file["p"].id.get_chunk_info(0).size)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("name", [*FILTERS, "lzf", "gzip"])
def test_chunks_that_are_whole(tmp_path: Path, read_all: ReadAll, name: str, libver: Any) -> None:
    path = tmp_path / "a.h5"
    if name == "nbit":
        write(path, name)
    else:
        options = FILTERS.get(name, {"compression": name})
        with h5py.File(path, "w", libver=libver) as file:
            for dataset, more in (("p", {}), ("q", {"maxshape": (None,)}), ("r", {"track_times": True})):
                file.create_dataset(dataset, data=VALUES, chunks=(700,), **options, **more)
    with h5py.File(path) as file:
        names = list(file)
    for dataset in names:
        assert np.array_equal(read_all(path, 300, prediction=dataset)["prediction"], VALUES)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("left", [1, 3, 4, 20, 21, 100, 0.5, -20])
def test_a_chunk_that_says_it_is_shorter(tmp_path: Path, refusal: Refusal, name: str, left: float) -> None:
    path = tmp_path / "a.h5"
    size = write(path, name)
    data = bytearray(path.read_bytes())
    place = data.index(struct.pack("<I", size), data.index(b"TREE"))  # in the key of the chunk
    shorter = int(left) if left >= 1 else int(left * size) if left > 0 else size + int(left)
    data[place : place + 4] = struct.pack("<I", shorter)
    path.write_bytes(data)
    error = refusal(path, prediction="p")
    assert error.exit_code == 3
    assert "is damaged" in error.message


@pytest.mark.parametrize(
    ("name", "found"), [("shuffle", (4,)), ("scaleoffset", (2, 0, 900)), ("scaleoffset", (900, 0, 4)), ("nbit", (900,))]
)
@pytest.mark.parametrize("other", [0, 3, 1 << 24, (1 << 32) - 1])
def test_a_filter_that_is_told_of_other_elements(
    tmp_path: Path, refusal: Refusal, name: str, found: tuple[int, ...], other: int
) -> None:
    path = tmp_path / "a.h5"
    write(path, name)
    data = bytearray(path.read_bytes())
    begins = data.index(name.encode())
    place = data.index(struct.pack(f"<{len(found)}I", *found), begins) + 4 * (len(found) - 1)
    data[place : place + 4] = struct.pack("<I", other)
    path.write_bytes(data)
    error = refusal(path, prediction="p")
    assert error.exit_code == 3
    assert f"its filter {name} is set to other chunks than those of 900 elements of 4 bytes" in error.message


def test_a_chunk_without_the_filter_of_others(tmp_path: Path, read_all: ReadAll) -> None:
    """As where a chunk would only grow: its mask says so."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("p", (ROWS,), "i4", chunks=(1000,), compression="lzf", fletcher32=True)
        for start in range(0, ROWS, 1000):
            dataset.id.write_direct_chunk((start,), VALUES[start : start + 1000].tobytes(), filter_mask=0b11)
    assert np.array_equal(read_all(path, 300, prediction="p")["prediction"], VALUES)


def lzf_file(path: Path, **filters: bool) -> tuple[int, bytes]:
    """Where the last chunk of a file of `VALUES` is, and what it holds."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("p", data=VALUES, chunks=(1000,), compression="lzf", **filters)
        return dataset.id.get_chunk_info(3).byte_offset, dataset.id.read_direct_chunk((3000,))[1]


def write_at(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize("filters", [{}, {"shuffle": True}, {"fletcher32": True}], ids=str)
@pytest.mark.parametrize("altogether", [0, 1 << 30], ids=["interpreted", "compiled"])
def test_lzf_that_unpacks_to_less(
    tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, filters: dict[str, bool], altogether: int
) -> None:
    """The library reads the rest from what lies in memory."""
    monkeypatch.setattr("lossctl.sources.hdf5_filters.measure_for", lambda _: measure_for(altogether))
    path = tmp_path / "a.h5"
    offset, packed = lzf_file(path, **filters)
    size = len(packed) - (4 if "fletcher32" in filters else 0)
    odd = size % 2
    write_at(path, offset, odd * b"\x01aa" + (size - 3 * odd) // 2 * b"\x00a")
    error = refusal(path, prediction="p")
    assert error.exit_code == 3
    told = f"unpacks to {(size + 1) // 2} bytes, its elements take 4000"
    assert error.message == f"{path}, dataset 'p' is damaged: the chunk from row 3000 on {told}"


def test_lzf_that_refers_to_what_is_not_there(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "a.h5"
    offset, _ = lzf_file(path)
    write_at(path, offset, b"\x20\x00")
    assert refusal(path, prediction="p").message.endswith("the chunk from row 3000 on is no stream of LZF")


def test_lzf_of_what_has_its_checksum_already(tmp_path: Path, read_all: ReadAll) -> None:
    """As another program may order the filters."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((1000,))
        plan.set_fletcher32()
        plan.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
        h5py.h5d.create(file.id, b"p", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((ROWS,)), plan)
        file["p"][:] = VALUES
    assert np.array_equal(read_all(path, 300, prediction="p")["prediction"], VALUES)
