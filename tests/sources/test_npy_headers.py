"""Headers of NPY files that lie, are cut, or are none."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl.errors import DataError, LossctlError
from lossctl.sources import Selection, open_reader

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]


def write_header(path: Path, header: str, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> None:
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    path.write_bytes(b"\x93NUMPY" + bytes(version) + length + header.encode() + data)


def test_truncated(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "p.npy"
    np.save(path, np.arange(10.0))
    assert path.stat().st_size == 208
    os.truncate(path, 200)
    error = refusal(path)
    assert isinstance(error, DataError)
    assert "is truncated: header says 208 bytes, file has 200" in error.message
    os.truncate(path, 60)
    assert "is truncated: its header ends at byte 128, the file has 60" in refusal(path).message


def test_too_long(tmp_path: Path, refusal: Refusal) -> None:
    np.save(tmp_path / "p.npy", np.arange(10.0))
    with (tmp_path / "p.npy").open("ab") as file:
        file.write(b"x")
    assert "is too long: header says 208 bytes, file has 209" in refusal(tmp_path / "p.npy").message


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "is truncated"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", "a shape that no array has"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", "a shape that no array has"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (0x" + "f" * 9000 + ",)}", "a shape that no array has"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 40 + ")}", "40 dimensions"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': ()}", "a single number"),
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 0)}", "no values"),
        ("{'descr': '<f8', 'fortran_order': 3, 'shape': (2,)}", "malformed NPY header"),
        ("{'descr': '<q9', 'fortran_order': False, 'shape': (2,)}", "malformed NPY header"),
        ("{'descr': '<f8', 'shape': (2,)}", "malformed NPY header"),
        ("{'descr': (), 'fortran_order': False, 'shape': (2,)}", "malformed NPY header"),
        ("{'descr': ('<f8',), 'fortran_order': False, 'shape': (2,)}", "malformed NPY header"),
        ("[1, 2]", "malformed NPY header"),
        ("{" * 5000, "malformed NPY header"),
        ("'" * 3, "malformed NPY header"),
        ("{'descr': __import__('os').abort(), 'fortran_order': False, 'shape': (2,)}", "malformed NPY header"),
    ],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_headers_that_lie(tmp_path: Path, refusal: Refusal, header: str, found: str, version: tuple[int, int]) -> None:
    write_header(tmp_path / "p.npy", header, bytes(8), version)
    error = refusal(tmp_path / "p.npy")
    assert isinstance(error, DataError)
    assert found in error.message


def test_header_too_large_and_unknown_version(tmp_path: Path, refusal: Refusal) -> None:
    write_header(tmp_path / "p.npy", " " * 20_000)
    assert "a header of 20000 bytes; allowed are 10000" in refusal(tmp_path / "p.npy").message
    write_header(tmp_path / "p.npy", "{}", version=(9, 1))
    assert "format version 9.1" in refusal(tmp_path / "p.npy").message
    (tmp_path / "p.npy").write_bytes(b"\x93NUMPY")
    assert refusal(tmp_path / "p.npy").exit_code == 3


def test_data_that_are_not_aligned(tmp_path: Path, read_all: ReadAll) -> None:
    values = np.arange(6.0)
    write_header(
        tmp_path / "p.npy",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (6,)}  \n",
        values.astype("<f8").tobytes(),
    )
    assert np.array_equal(read_all(tmp_path / "p.npy", 4, prediction=None)["prediction"], values)


@pytest.mark.parametrize("size", [6, 7])
def test_a_file_cut_within_the_version_is_truncated(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00"[:size])
    with pytest.raises(DataError, match=rf"is truncated: it has {size} bytes"):
        open_reader(path, {"prediction": Selection()}, format="npy")


def test_an_array_of_an_archive_begins_as_a_file_does(tmp_path: Path, refusal: Refusal) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("p.npy", b"X" + (tmp_path / "a.npy").read_bytes()[1:])
    assert (
        "array 'p' is no NPY array: it begins with the bytes 58 4e 55 4d 50 59" in refusal(tmp_path / "a.npz").message
    )


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'shape': (2,)}",
        "{'descr': '<f8', 'fortran_order': False, 'sh\\x61pe': (1,), 'shape': (2,)}",
        "{'descr': '<i8', 'descr': '<f8', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f8', 'fortran_order': True, 'fortran_order': False, 'shape': (2,)}",
    ],
)
def test_a_header_that_says_something_twice(tmp_path: Path, refusal: Refusal, header: str) -> None:
    write_header(tmp_path / "p.npy", header, bytes(16))
    assert f"found {header}, which is not like {{'descr': " in refusal(tmp_path / "p.npy").message


@pytest.mark.parametrize("header", ["{'descr': f(), 'shape': (1,)}", "{", "-" * 9000 + "1", "{'descr': ('<f8',)}", ""])
def test_a_header_that_is_none_is_shown(tmp_path: Path, refusal: Refusal, header: str) -> None:
    write_header(tmp_path / "p.npy", header, bytes(8))
    assert f"malformed NPY header: found {header[:100]}" in refusal(tmp_path / "p.npy").message


@pytest.mark.parametrize("dtype", ["<V2", "|V1"])
def test_what_numpy_has_no_numbers_for_is_told_to_be_converted(tmp_path: Path, refusal: Refusal, dtype: str) -> None:
    write_header(tmp_path / "p.npy", f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': (1,)}}", bytes(2))
    error = refusal(tmp_path / "p.npy")
    assert error.hint == "NumPy has no numbers of this type (bfloat16?): save it with array.astype(np.float32)"
