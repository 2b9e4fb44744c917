"""Opening: the format by name, extension and first bytes; files that are none; imports that are not paid for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import DataError, UsageError
from lossctl.sources import FORMATS, Selection, open_reader

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
    ],
)
def test_format_by_extension(tmp_path: Path, name: str, format: str) -> None:
    path = tmp_path / name
    write_sample(path, format)
    with open_reader(path, PREDICTION) as reader:
        assert reader.arrays["prediction"].format == format
        assert reader.arrays["prediction"].path == str(path)
        assert next(reader.chunks(9))["prediction"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize("format", FORMATS)
def test_format_by_name_wins_over_the_extension(tmp_path: Path, format: str) -> None:
    path = tmp_path / "sample.dat.npy"
    write_sample(path, format)
    with open_reader(path, PREDICTION, format=format) as reader:
        assert next(reader.chunks(9))["prediction"].tolist() == [0.5, 1.5]


def write_sample(path: Path, format: str) -> None:
    if format == "npy":
        with path.open("wb") as file:
            np.save(file, np.array([0.5, 1.5]))
    elif format == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.table({"p": [0.5, 1.5]}), path)
    else:
        path.write_text("p\n0.5\n1.5\n")


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
    assert ".npy .csv .tsv .tab .parquet .pq" in message
    assert "--pred-format npy|csv|tsv|parquet" in hint
    assert "--target-format" in refuse(path, "target")[2]
    assert "--weight-format" in refuse(path, "weight")[2]
    assert "--var-format" in refuse(path, "var")[2]


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
    assert hint == "known formats: npy, csv, tsv, parquet"


def test_missing_file_folder_and_empty_file(tmp_path: Path) -> None:
    kind, message, _ = refuse(tmp_path / "gone.npy")
    assert (kind, message) == (DataError, f"no such file: {tmp_path / 'gone.npy'}")
    (tmp_path / "folder.npy").mkdir()
    kind, message, _ = refuse(tmp_path / "folder.npy")
    assert kind is DataError
    assert message.endswith("folder.npy is a folder")
    (tmp_path / "none.csv").touch()
    kind, message, _ = refuse(tmp_path / "none.csv")
    assert kind is DataError
    assert message.endswith("none.csv is empty (0 bytes)")


def test_a_file_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    kind, message, _ = refuse(tmp_path / "file" / "p.npy")
    assert kind is DataError
    assert "Not a directory" in message


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refused)
    kind, message, hint = refuse(tmp_path / "p.npy")
    assert kind is DataError
    assert "no permission to read" in message
    assert "rights" in hint


def test_stdin_and_impossible_names() -> None:
    kind, message, hint = refuse("-")
    assert kind is UsageError
    assert "stdin" in message
    assert hint
    for name in ("p\0.npy", "\ud800.npy"):
        kind, message, _ = refuse(name)
        assert kind is UsageError
        assert "cannot be the name of a file" in message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.npy")
    kind, message, _ = refuse(tmp_path / "p.npy")
    assert kind is DataError
    assert "pipe" in message


def test_a_name_that_is_not_printable_is_shown_escaped(tmp_path: Path) -> None:
    _, message, _ = refuse(tmp_path / "\x1b[31m::error::\n.npy")
    assert message.isprintable()
    assert r"\x1b[31m" in message


@pytest.mark.parametrize(
    ("beginning", "looks"),
    [
        (b"PK\x03\x04rest", "looks like a ZIP archive"),
        (b"PAR1rest", "looks like parquet"),
        (b"\x1f\x8b\x08rest", "looks like gzip"),
        (b"\x80\x04\x95rest", "looks like a pickle"),
        (b"\x89HDF\r\n\x1a\nrest", "looks like HDF5"),
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
    assert refuse(tmp_path / "p.parquet")[2] == "name its format with --pred-format csv|tsv"
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
