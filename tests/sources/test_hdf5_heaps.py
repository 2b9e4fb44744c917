"""Texts of any length in HDF5, which the library keeps in heaps: of a damaged one it never comes to the end."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from lossctl.errors import DataError
from lossctl.sources import Selection, hdf5_heaps, open_reader
from tests.cli.commands import command

TEXTS = [f"{'text' * (row % 7)}{row}" for row in range(5000)]

_FIRST_OBJECT = 16
"""Behind the header of a heap."""


def write(path: Path) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        for part in range(0, len(TEXTS), 1000):  # a heap or more for each
            texts = file.create_dataset(f"texts{part}", data=TEXTS[part : part + 1000], dtype=h5py.string_dtype())
        file.create_dataset("numbers", data=np.zeros(3)).attrs["missing_value"] = "a text of any length"
        assert texts.dtype.hasobject
    return path


def damage(path: Path, number: int, size: int) -> int:
    """Gives the first object of the last heap another number and size; returns where it stands."""
    data = bytearray(path.read_bytes())
    position = data.rindex(b"GCOL") + _FIRST_OBJECT
    data[position : position + 16] = struct.pack("<HHIQ", number, 0, 0, size)
    path.write_bytes(data)
    return position


@pytest.mark.parametrize("piece_bytes", [64 << 20, 1 << 12, 1000, 33])
def test_texts_that_are_whole(piece_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_heaps, "_PIECE_BYTES", piece_bytes)
    path = write(tmp_path / "a.h5")
    for part in range(0, len(TEXTS), 1000):
        with open_reader(path, {"target": Selection((f"texts{part}",), is_key=True)}) as reader:
            found = np.concatenate([chunk["target"] for chunk in reader.chunks(300)])
        assert found.tolist() == TEXTS[part : part + 1000]


# An object that is used takes its header as well, which makes the second number more than 64 bits hold.
@pytest.mark.parametrize(("number", "size"), [(0, 0), (1, 2**64 - 16), (1, 2**64 - 23)])
@pytest.mark.parametrize("piece_bytes", [64 << 20, 1 << 12, 33])
def test_a_text_that_takes_no_room(
    piece_bytes: int, number: int, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5_heaps, "_PIECE_BYTES", piece_bytes)
    path = write(tmp_path / "a.h5")
    position = damage(path, number, size)
    with pytest.raises(DataError, match=rf"a\.h5 is damaged: .* at byte {position} takes no room"):
        open_reader(path, {"target": Selection(("texts4000",), is_key=True)})
    with open_reader(path, {"target": Selection(("numbers",))}) as reader:  # with a text among its attributes
        assert next(reader.chunks(3))["target"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("number", "size"), [(0, 16), (0, 2**64 - 16), (1, 2**64 - 24), (0, 1 << 40), (1, 2**63 - 1)])
def test_other_damage_is_for_the_library_to_tell(number: int, size: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    damage(path, number, size)
    words = ["eval", "a.h5", "--pred-col", "numbers", "--target-col", "texts4000", "--classes", "a,b", "-l", "mse"]
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.startswith("lossctl: a.h5")
