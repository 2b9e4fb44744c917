"""Arrays written in chunks: what comes back is what went in, and a failure leaves nothing."""

from __future__ import annotations

import csv
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from lossctl.errors import EnvironmentFault, UsageError
from lossctl.writers import ROW_GROUP_BYTES, open_array_writer
from tests.size_limits import file_size_limit

EXTENSIONS = ["npy", "csv", "tsv", "parquet"]
DTYPES = ["float32", "float64"]


def read(path: Path, dtype: str) -> tuple[list[str], NDArray[Any]]:
    """Column names and values of a table, by readers that know nothing of the writer; no names for NPY."""
    if path.suffix == ".npy":
        return [], np.load(path, allow_pickle=False)
    if path.suffix == ".parquet":
        table = parquet.read_table(path, page_checksum_verification=True)
        assert {str(field.type) for field in table.schema} == {{"float32": "float", "float64": "double"}[dtype]}
        return table.column_names, np.stack([column.to_numpy() for column in table.columns], axis=-1)
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter="," if path.suffix == ".csv" else "\t", strict=True)
    return header, np.array([[np.dtype(dtype).type(cell) for cell in row] for row in rows], dtype).reshape(
        -1, len(header)
    )


def hard_numbers(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Numbers of every magnitude, with the special ones among them."""
    generator = np.random.default_rng(12345)
    information = np.finfo(dtype)
    exponents = generator.uniform(np.log10(float(information.tiny)), np.log10(float(information.max)), shape)
    numbers = (generator.choice([-1.0, 1.0], shape) * 10.0**exponents).astype(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, information.smallest_subnormal, information.max, 1.0, 0.1]
    numbers.ravel()[: len(special)] = special
    return numbers


def write(path: Path, array: NDArray[Any], chunk_rows: int, column_names: tuple[str, ...] = ()) -> None:
    with open_array_writer(path, array.shape[1:], array.dtype, column_names) as writer:
        for start in range(0, len(array), chunk_rows):
            writer.write(array[start : start + chunk_rows])
        assert writer.rows == len(array)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1000,), (1000, 1), (333, 3)])
@pytest.mark.parametrize("chunk_rows", [1, 7, 5000])
def test_round_trip(extension: str, dtype: str, shape: tuple[int, ...], chunk_rows: int, tmp_path: Path) -> None:
    if chunk_rows == 1:
        shape = (30, *shape[1:])
    array = hard_numbers(shape, dtype)
    path = tmp_path / f"a.{extension}"
    write(path, array, chunk_rows)
    header, back = read(path, dtype)
    assert back.dtype == dtype
    if extension == "npy":
        assert back.shape == shape
    else:
        assert header == (["grad_0", "grad_1", "grad_2"] if shape[1:] == (3,) else ["grad"])
        array = array.reshape(back.shape)
    bits = f"u{array.itemsize}"
    np.testing.assert_array_equal(np.isnan(back), np.isnan(array))
    np.testing.assert_array_equal(back.view(bits)[~np.isnan(back)], array.view(bits)[~np.isnan(array)])
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("chunks", [0, 1])
@pytest.mark.parametrize("shape_tail", [(), (3,)])
def test_no_rows(extension: str, chunks: int, shape_tail: tuple[int, ...], tmp_path: Path) -> None:
    path = tmp_path / f"a.{extension}"
    with open_array_writer(path, shape_tail, "float64") as writer:
        for _ in range(chunks):
            writer.write(np.empty((0, *shape_tail)))
    header, back = read(path, "float64")
    assert len(back) == 0
    assert back.shape[1:] == shape_tail if extension == "npy" else len(header) == (shape_tail or (1,))[0]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_bytes_do_not_depend_on_the_chunks(extension: str, tmp_path: Path) -> None:
    array = hard_numbers((1000, 3), "float64")
    contents = []
    for chunk_rows in (13, 100, 1000):
        path = tmp_path / f"{chunk_rows}.{extension}"
        write(path, array, chunk_rows)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 99_999, 1_000_000])
def test_npy_is_what_numpy_writes(rows: int, tmp_path: Path) -> None:
    array = np.arange(rows, dtype="float32")
    write(tmp_path / "ours.npy", array, 65536)
    np.save(tmp_path / "numpy.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


def test_npy_of_any_rank(tmp_path: Path) -> None:
    array = np.arange(240.0).reshape(10, 2, 3, 4)
    write(tmp_path / "a.npy", array, 3)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_chunks_of_any_layout_and_dtype_are_converted(extension: str, tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(8, 3)
    path = tmp_path / f"a.{extension}"
    with open_array_writer(path, (3,), "float32") as writer:
        writer.write(np.asfortranarray(array[:4]))
        writer.write(array[4:].astype(">f8")[::-1])
    _, back = read(path, "float32")
    np.testing.assert_array_equal(back, np.concatenate([array[:4], array[:3:-1]]))


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_chunk_may_be_reused(extension: str, tmp_path: Path) -> None:
    chunk = np.zeros(5)
    with open_array_writer(tmp_path / f"a.{extension}", (), "float64", ("loss",)) as writer:
        for number in range(3):
            chunk[:] = number
            writer.write(chunk)
    _, back = read(tmp_path / f"a.{extension}", "float64")
    np.testing.assert_array_equal(back.ravel(), np.repeat([0.0, 1.0, 2.0], 5))


@pytest.mark.parametrize("extension", ["csv", "tsv", "parquet"])
def test_names_of_columns(extension: str, tmp_path: Path) -> None:
    columns = ("bce", 'class "a",\tb', "é")
    path = tmp_path / f"A.{extension.upper()}"
    write(path, np.ones((2, 3)), 2, columns)
    header, back = read(path.rename(tmp_path / f"a.{extension}"), "float64")
    assert header == list(columns)
    assert back.shape == (2, 3)


@pytest.mark.parametrize("chunk_rows", [65521, 4_000_000])
def test_parquet_has_row_groups_of_one_size(chunk_rows: int, tmp_path: Path) -> None:
    group_rows = ROW_GROUP_BYTES // 16
    array = np.arange(5 * group_rows, dtype="float64").reshape(-1, 2)
    write(tmp_path / "a.parquet", array, chunk_rows)
    file = parquet.ParquetFile(tmp_path / "a.parquet")
    metadata = file.metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    assert sizes == [group_rows, group_rows, group_rows // 2]
    np.testing.assert_array_equal(np.stack([column.to_numpy() for column in file.read().columns], axis=1), array)


def test_an_interrupt_while_the_file_is_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_array_writer(tmp_path / "a.npy", (), "float64")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(extension: str, exists: bool, error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / f"a.{extension}"
    if exists:
        path.write_text("before")

    def fail() -> None:
        with open_array_writer(path, (), "float64") as writer:
            writer.write(np.ones(10))
            assert not exists or path.read_text() == "before"
            raise error

    with pytest.raises(error):
        fail()
    assert os.listdir(tmp_path) == ([path.name] if exists else [])
    assert not exists or path.read_text() == "before"


@pytest.mark.parametrize(
    ("extension", "rows"),
    [
        # All in the buffer until the end, and more than a buffer or a row group holds.
        *((extension, 20_000) for extension in EXTENSIONS),
        ("npy", 300_000),
        ("csv", 300_000),
        ("parquet", ROW_GROUP_BYTES // 8 + 1),
    ],
)
def test_a_disk_that_fills(extension: str, rows: int, tmp_path: Path) -> None:
    chunk = np.random.default_rng(1).random(rows)
    path = tmp_path / f"a.{extension}"
    path.write_text("before")
    with (
        file_size_limit(100_000),
        pytest.raises(EnvironmentFault, match=rf"cannot write '.*a\.{extension}': file too large"),
        open_array_writer(path, (), "float64") as writer,
    ):
        writer.write(chunk)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_text() == "before"


def test_full_device(tmp_path: Path) -> None:
    (tmp_path / "full.csv").symlink_to("/dev/full")
    with (
        pytest.raises(EnvironmentFault, match=r"full\.csv': disk full") as caught,
        open_array_writer(tmp_path / "full.csv", (), "float64") as writer,
    ):
        writer.write(np.ones(10))
    assert caught.value.exit_code == 4
    assert (tmp_path / "full.csv").is_symlink()


@pytest.mark.parametrize("extension", ["npy", "parquet"])
def test_a_format_that_is_not_written_in_order_refuses_a_pipe_without_waiting(extension: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"pipe.{extension}")
    (tmp_path / f"null.{extension}").symlink_to("/dev/null")
    for name in ("pipe", "null"):
        with pytest.raises(UsageError, match=rf"{name}\.{extension}.*needs a regular file.*use \.csv or \.tsv"):
            open_array_writer(tmp_path / f"{name}.{extension}", (), "float64")


def test_a_pipe_takes_csv(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe.csv").read_text()))
    reader.start()
    write(tmp_path / "pipe.csv", np.array([0.5, 0.25]), 1, ("bce",))
    reader.join(10)
    assert got == ["bce\n0.5\n0.25\n"]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.npz", "npy"])
def test_unknown_extension(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.npy, \.csv, \.tsv, \.parquet"):
        open_array_writer(tmp_path / name, (), "float64")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("extension", ["csv", "tsv", "parquet"])
def test_what_is_no_table(extension: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"shape \(rows, 2, 3\) is not a table; write it to \.npy"):
        open_array_writer(tmp_path / f"a.{extension}", (2, 3), "float64")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_rows_of_another_shape_are_refused(extension: str, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="does not continue rows of shape"),
        open_array_writer(tmp_path / f"a.{extension}", (3,), "float64") as writer,
    ):
        writer.write(np.ones((5, 4)))
    assert os.listdir(tmp_path) == []


def test_names_must_be_as_many_as_columns(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 names for 3 columns"):
        open_array_writer(tmp_path / "a.csv", (3,), "float64", ("a", "b"))


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        open_array_writer(tmp_path / "nowhere" / "a.npy", (), "float64")
