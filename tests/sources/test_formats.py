"""Opening: the format by name, extension and first bytes; files that are none; imports that are not paid for."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import DataError, UsageError
from lossctl.sources import FORMATS, Selection, contents, open_reader

PREDICTION = {"prediction": Selection()}


def loaded_after(code: str, *arguments: object) -> set[str]:
    """Which of the heavy packages `code` has loaded when it ends."""
    ending = "\nprint(*{'numpy', 'pandas', 'pyarrow', 'numba', 'rich'} & set(sys.modules))"
    command = [sys.executable, "-c", f"import sys\n{code}{ending}", *map(str, arguments)]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_importing_costs_nothing() -> None:
    assert loaded_after("import lossctl.sources") == set()


def test_an_npy_file_needs_numpy_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.arange(3.0))
    code = (
        "from lossctl.sources import *\n"
        "with open_reader(sys.argv[1], {'prediction': Selection()}) as reader:\n"
        "    assert next(reader.chunks(9))['prediction'].sum() == 3"
    )
    assert loaded_after(code, tmp_path / "p.npy") == {"numpy"}


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.csv", "csv"),
        ("a.TSV", "tsv"),
        ("a.tab", "tsv"),
        ("a.NPY", "npy"),
        ("a.pq", "parquet"),
        ("a.parquet", "parquet"),
        ("a.npz", "npz"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.json", "jsonl"),
        ("a.feather", "arrow"),
        ("a.arrow", "arrow"),
        ("a.safetensors", "safetensors"),
        ("a.h5", "hdf5"),
        ("a.zarr", "zarr"),
    ],
)
def test_format_by_extension(tmp_path: Path, name: str, format: str) -> None:
    path = tmp_path / name
    write_sample(path, format)
    with open_reader(path, PREDICTION) as reader:
        assert reader.arrays["prediction"].format == format
        assert reader.arrays["prediction"].path == str(path)
        assert next(reader.chunks(9))["prediction"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize("format", [name for name, known in FORMATS.items() if not known.is_folder])
def test_format_by_name_wins_over_the_extension(tmp_path: Path, format: str) -> None:
    path = tmp_path / "sample.dat.npy"
    write_sample(path, format)
    with open_reader(path, PREDICTION, format=format) as reader:
        assert next(reader.chunks(9))["prediction"].tolist() == [0.5, 1.5]


def write_sample(path: Path, format: str) -> None:
    """A prediction of 0.5 and 1.5."""
    values = np.array([0.5, 1.5])
    if format == "npy":
        with path.open("wb") as file:
            np.save(file, values)
    elif format == "npz":
        with path.open("wb") as file:
            np.savez(file, p=values)
    elif format in {"parquet", "arrow"}:
        write_table(path, format)
    elif format == "safetensors":
        header = b'{"p":{"dtype":"F64","shape":[2],"data_offsets":[0,16]}}'
        path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())
    elif format == "hdf5":
        import h5py

        with h5py.File(path, "w") as file:
            file["p"] = values
    elif format == "zarr":
        import zarr

        zarr.open_group(path, mode="w").create_array("p", data=values)
    else:
        path.write_text('{"p": 0.5}\n{"p": 1.5}\n' if format == "jsonl" else "p\n0.5\n1.5\n")


def write_table(path: Path, format: str) -> None:
    import pyarrow as pa
    from pyarrow import feather, parquet

    table = pa.table({"p": [0.5, 1.5]})
    if format == "parquet":
        parquet.write_table(table, path)
    else:
        feather.write_feather(table, path)


def refuse(path: str | os.PathLike[str], role: str = "prediction", format: str | None = None) -> tuple[type, str, str]:
    with pytest.raises((UsageError, DataError)) as caught:
        open_reader(path, {role: Selection()}, format=format)
    return caught.type, caught.value.message, caught.value.hint or ""


def test_unknown_extension_lists_the_known_and_the_option(tmp_path: Path) -> None:
    path = tmp_path / "p.xyz"
    path.write_text("p\n1\n")
    kind, message, hint = refuse(path)
    assert kind is UsageError
    assert "'.xyz'" in message
    assert ".npy .npz .csv .tsv .tab .jsonl" in message
    assert "--pred-format npy|npz|csv|tsv|jsonl|parquet" in hint
    assert "--target-format" in refuse(path, "target")[2]
    assert "--weight-format" in refuse(path, "weights")[2]
    assert "--input-format var=" in refuse(path, "var")[2]


def test_no_extension(tmp_path: Path) -> None:
    (tmp_path / "preds").write_text("p\n1\n")
    kind, message, _ = refuse(tmp_path / "preds")
    assert kind is UsageError
    assert "there is no extension" in message


def test_unknown_format_name(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("p\n1\n")
    kind, message, hint = refuse(tmp_path / "p.csv", format="xls")
    assert kind is UsageError
    assert "'xls'" in message
    assert hint == f"known formats: {', '.join(FORMATS)}"


def test_missing_file_folder_and_empty_file(tmp_path: Path) -> None:
    kind, message, _ = refuse(tmp_path / "gone.npy")
    assert (kind, message) == (DataError, f"no such file: {tmp_path / 'gone.npy'}")
    (tmp_path / "folder.npy").mkdir()
    kind, message, _ = refuse(tmp_path / "folder.npy")
    assert kind is DataError
    assert message.endswith("folder.npy holds no files")
    (tmp_path / "none.csv").touch()
    kind, message, _ = refuse(tmp_path / "none.csv")
    assert kind is DataError
    assert message.endswith("none.csv is empty (0 bytes)")


def test_a_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    kind, message, _ = refuse(tmp_path / "file" / "p.npy")
    assert kind is DataError
    assert "not a directory" in message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refused)
    kind, message, hint = refuse(tmp_path / "p.npy")
    assert kind is DataError
    assert "no permission to read" in message
    assert "rights" in hint


def test_impossible_names() -> None:
    for name in ("p\0.npy", "\ud800.npy"):
        kind, message, _ = refuse(name)
        assert kind is UsageError
        assert "cannot be the name of a file" in message


def test_a_name_that_is_not_printable_is_shown_escaped(tmp_path: Path) -> None:
    _, message, _ = refuse(tmp_path / "\x1b[31m::error::\n.npy")
    assert message.isprintable()
    assert r"\x1b[31m" in message


@pytest.mark.parametrize(
    ("beginning", "looks"),
    [
        (b"PK\x03\x04rest", "looks like npz"),
        (b"PAR1rest", "looks like parquet"),
        (b"\x1f\x8b\x08rest", "looks like gzip"),
        (b"\x80\x04\x95rest", "looks like a pickle"),
        (b"\x89HDF\r\n\x1a\nrest", "looks like hdf5"),
        ("id,größe\n1,2\n".encode(), "looks like text"),
        (b"\x00\x01\x02\x03rest", "begins with the bytes 00 01 02 03 72 65 73 74"),
    ],
)
def test_npy_in_name_only(tmp_path: Path, beginning: bytes, looks: str) -> None:
    path = tmp_path / "p.npy"
    path.write_bytes(beginning)
    kind, message, hint = refuse(path)
    assert kind is DataError
    assert f"is not npy: it {looks}" in message
    assert hint


def test_the_right_format_is_named(tmp_path: Path) -> None:
    write_sample(tmp_path / "p.csv", "parquet")
    kind, message, hint = refuse(tmp_path / "p.csv", "target")
    assert kind is DataError
    assert "is not csv: it looks like parquet" in message
    assert hint == "name its format with --target-format parquet"
    write_sample(tmp_path / "p.parquet", "csv")
    assert refuse(tmp_path / "p.parquet")[2] == "name its format with --pred-format csv|tsv|jsonl"
    write_sample(tmp_path / "q.parquet", "npy")
    assert "looks like npy" in refuse(tmp_path / "q.parquet")[1]


def test_text_cut_within_a_character_is_text(tmp_path: Path) -> None:
    (tmp_path / "p.npy").write_bytes(b"x" * 63 + "é".encode())
    assert "looks like text" in refuse(tmp_path / "p.npy")[1]


def test_a_file_shorter_than_its_magic(tmp_path: Path) -> None:
    (tmp_path / "p.npy").write_bytes(b"\x93NUM")
    kind, message, _ = refuse(tmp_path / "p.npy")
    assert kind is DataError
    assert "is truncated: it ends after 4 bytes" in message


def test_chunks_of_no_rows_are_a_mistake(tmp_path: Path) -> None:
    write_sample(tmp_path / "p.csv", "csv")
    with open_reader(tmp_path / "p.csv", PREDICTION) as reader, pytest.raises(ValueError, match="at least one row"):
        reader.chunks(0)


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_file_holds_is_listed_by_name(tmp_path: Path, format: str) -> None:
    write_sample(tmp_path / "sample", format)
    found = contents(str(tmp_path / "sample"), format=format)
    assert found == (None if format == "npy" else ["p"])


@pytest.mark.parametrize("name", ["a.npy", "a.csv", "a.parquet", "a.jsonl.gz", "a.dat"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a pointer of Git LFS, and not the file"),
        (b"\n<!doctype html><html>", "is a web page or XML, and no data"),
        (b"<?xml version='1.0'?><Error/>", "is a web page or XML, and no data"),
    ],
)
def test_what_is_put_in_the_place_of_a_file(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=says):
        open_reader(tmp_path / name, {"prediction": Selection()})


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_what_is_packed_by_something_else_is_to_be_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "t.csv").write_bytes(pack(b"p\n1\n"))
    with pytest.raises(DataError, match="; unpack it, or pack it with gzip or Zstandard"):
        open_reader(tmp_path / "t.csv", {"prediction": Selection()})


def test_a_compressed_file_without_the_extension(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"p\n1\n"))
    with pytest.raises(DataError, match=r"it looks like gzip; let its name end in \.gz"):
        open_reader(tmp_path / "a.csv", {"prediction": Selection()})
