"""NPY: every dtype, order, byte order and version; memory that stays bounded."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from lossctl.errors import DataError, LossctlError, UsageError
from lossctl.sources import Selection, open_reader, raw_array
from lossctl.sources.input_file import InputFile

PREDICTION = {"prediction": Selection()}
DTYPES = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]


def sample(dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
    """Values that differ from their neighbours, the extremes of the type among them."""
    values = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    if dtype.kind in "iu":
        values.flat[0], values.flat[-1] = np.iinfo(dtype).min, np.iinfo(dtype).max
    elif dtype.kind == "f":
        values.flat[0], values.flat[-1] = np.finfo(dtype).tiny, -np.finfo(dtype).max
    return values


@pytest.mark.parametrize("rows", [1, 7, 4096])
@pytest.mark.parametrize("shape", [(23,), (23, 1), (23, 3), (1, 5), (11, 2, 3)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_every_dtype_order_and_byte_order(
    tmp_path: Path, read_all: ReadAll, byte_order: Any, order: str, shape: tuple[int, ...], rows: int
) -> None:
    for name in DTYPES:
        dtype = np.dtype(name).newbyteorder(byte_order)
        values = sample(dtype, shape)
        np.save(tmp_path / "p.npy", np.asarray(values, order="F" if order == "F" else "C"))
        read = read_all(tmp_path / "p.npy", rows, prediction=None)["prediction"]
        assert read.dtype == np.dtype("float32" if name == "float16" else name)
        assert np.array_equal(read, values)


def test_float16_is_exact_over_all_bit_patterns(tmp_path: Path, read_all: ReadAll) -> None:
    values = np.arange(65536, dtype=np.uint16).view(np.float16)
    np.save(tmp_path / "p.npy", values)
    read = read_all(tmp_path / "p.npy", prediction=None)["prediction"]
    assert np.array_equal(read, values.astype(np.float64), equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(
    values=np_st.arrays(
        dtype=np_st.floating_dtypes(endianness="?") | np_st.integer_dtypes(endianness="?"),
        shape=np_st.array_shapes(min_dims=1, max_dims=3, max_side=9),
    ),
    rows=st.integers(1, 12),
    fortran=st.booleans(),
)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, values: Any, rows: int, fortran: bool) -> None:
    path = tmp_path_factory.mktemp("npy") / "p.npy"
    np.save(path, np.asfortranarray(values) if fortran else values)
    with open_reader(path, PREDICTION) as reader:
        read = np.concatenate([chunk["prediction"] for chunk in reader.chunks(rows)])
    assert read.shape == values.shape
    assert np.array_equal(read.astype(np.float64), values.astype(np.float64), equal_nan=values.dtype.kind == "f")


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 3), (3, 1), (2, 1, 3), (1, 1, 4), (2, 3, 2)])
def test_fortran_order_in_every_shape(tmp_path: Path, read_all: ReadAll, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    np.save(tmp_path / "p.npy", np.asfortranarray(values))
    assert np.array_equal(read_all(tmp_path / "p.npy", 1, prediction=None)["prediction"], values)


@pytest.mark.parametrize("short", [0, 1 << 20])
@pytest.mark.parametrize("slab", [24, 100, 1 << 20])
def test_columns_of_fortran_order_are_read_in_pieces_or_together(
    short: int, slab: int, tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_array, "_SHORT_COLUMN_BYTES", short)
    monkeypatch.setattr(raw_array, "_SLAB_BYTES", slab)
    values = np.arange(3 * 5 * 7, dtype=np.float64).reshape(3, 5, 7)
    np.save(tmp_path / "p.npy", np.asfortranarray(values))
    assert np.array_equal(read_all(tmp_path / "p.npy", 2, prediction=None)["prediction"], values)


def test_many_short_columns_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "p.npy", np.asfortranarray(np.ones((4, 100_000))))
    offsets: list[int] = []
    read_into = InputFile.read_into

    def counted(file: InputFile, offset: int, buffer: memoryview) -> None:
        offsets.append(offset)
        read_into(file, offset, buffer)

    monkeypatch.setattr(InputFile, "read_into", counted)
    with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
        assert sum(chunk["prediction"].sum() for chunk in reader.chunks(2)) == 400_000
    assert len(offsets) < 20


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions(tmp_path: Path, read_all: ReadAll, version: tuple[int, int]) -> None:
    with (tmp_path / "p.npy").open("wb") as file:
        np.lib.format.write_array(file, np.arange(5.0), version=version)
    assert read_all(tmp_path / "p.npy", prediction=None)["prediction"].tolist() == [0, 1, 2, 3, 4]


def test_what_is_told_before_reading(tmp_path: Path) -> None:
    for values, dtype in [
        (np.zeros((4, 2), ">f4"), ">f4"),
        (np.zeros((4, 2), "f2"), "float16"),
        (np.zeros((4, 2)), "float64"),
    ]:
        np.save(tmp_path / "p.npy", values)
        with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
            info = reader.arrays["prediction"]
            assert (info.shape, info.dtype, info.columns, info.format) == ((4, 2), dtype, (), "npy")


def test_each_pass_starts_again_and_passes_do_not_disturb_each_other(tmp_path: Path) -> None:
    for values in (np.arange(12.0).reshape(6, 2), np.asfortranarray(np.arange(12.0).reshape(6, 2))):
        np.save(tmp_path / "p.npy", values)
        with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
            first = reader.chunks(4)
            next(first)
            assert np.array_equal(np.concatenate([c["prediction"] for c in reader.chunks(4)]), values)
            assert np.array_equal(next(first)["prediction"], values[4:])


def test_arrays_outlive_the_reader(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.arange(5.0))
    with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
        chunk = next(reader.chunks(5))["prediction"]
    assert chunk.tolist() == [0, 1, 2, 3, 4]


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are mapped, as for the command line; the signals of this process are left alone."""
    monkeypatch.setattr(raw_array, "may_map", lambda: True)
    monkeypatch.setattr(raw_array, "watch", lambda _: None)


@pytest.mark.usefixtures("mapped")
def test_native_rows_are_views_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.arange(5.0))
    with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
        chunk = next(reader.chunks(5))["prediction"]
        assert not chunk.flags.owndata
        assert not chunk.flags.writeable


def test_no_rows(tmp_path: Path, read_all: ReadAll) -> None:
    np.save(tmp_path / "p.npy", np.zeros((0, 3)))
    assert read_all(tmp_path / "p.npy", prediction=None) == {}
    with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
        assert reader.arrays["prediction"].shape == (0, 3)


def test_places(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 2, 3)))
    np.save(tmp_path / "b.npy", np.zeros((4, 5)))
    np.save(tmp_path / "c.npy", np.zeros(4))
    with open_reader(tmp_path / "a.npy", PREDICTION) as reader:
        assert reader.place("prediction", 3, 4) == f"{tmp_path}/a.npy, row 3, index (3, 1, 1)"
        assert reader.place("prediction", 3) == f"{tmp_path}/a.npy, row 3"
    with open_reader(tmp_path / "b.npy", PREDICTION) as reader:
        assert reader.place("prediction", 3, 4) == f"{tmp_path}/b.npy, row 3, column 4"
    with open_reader(tmp_path / "c.npy", PREDICTION) as reader:
        assert reader.place("prediction", 3, 0) == f"{tmp_path}/c.npy, row 3"


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (np.array([1, "a", None], dtype=object), "object arrays and pickles are never loaded"),
        (np.zeros(3, complex), "real part"),
        (np.array(["a", "bc"]), "--classes"),
        (np.array([b"a", b"bc"]), "np.save"),
        (np.zeros(3, [("a", float), ("b", int)]), "one numeric array"),
        (np.zeros(3, "datetime64[s]"), "np.save"),
    ],
)
def test_dtypes_that_are_refused(tmp_path: Path, refusal: Refusal, values: Any, remedy: str) -> None:
    np.save(tmp_path / "p.npy", values, allow_pickle=True)
    error = refusal(tmp_path / "p.npy")
    assert isinstance(error, DataError)
    assert "p.npy holds " in error.message
    assert "allowed are bool, integers, float16, float32 and float64" in error.message
    assert remedy in str(error.hint)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_longdouble_is_refused(tmp_path: Path, refusal: Refusal) -> None:
    np.save(tmp_path / "p.npy", np.zeros(3, np.longdouble))
    assert "astype(np.float64)" in str(refusal(tmp_path / "p.npy").hint)


def test_a_pickle_is_never_run(tmp_path: Path, refusal: Refusal) -> None:
    witness = tmp_path / "witness"

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (witness,)

    np.save(tmp_path / "p.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    refusal(tmp_path / "p.npy")
    assert not witness.exists()
    np.load(tmp_path / "p.npy", allow_pickle=True)
    assert witness.exists()


def test_a_byte_that_is_no_bool(tmp_path: Path, refusal: Refusal) -> None:
    np.save(tmp_path / "p.npy", np.array([0, 1, 2, 1], np.uint8).view(np.bool_))
    assert "p.npy, row 2: a bool is the byte 0 or 1, not 2" in refusal(tmp_path / "p.npy").message
    np.save(tmp_path / "p.npy", np.array([[0, 1], [1, 7]], np.uint8).view(np.bool_))
    assert "p.npy, row 1, column 1: a bool is the byte 0 or 1, not 7" in refusal(tmp_path / "p.npy").message


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, order: str) -> None:
    path = tmp_path / "p.npy"
    np.save(path, np.asarray(np.zeros((4096, 4)), order="F" if order == "F" else "C"))
    with open_reader(path, PREDICTION) as reader:
        chunks = reader.chunks(1024)
        next(chunks)
        os.truncate(path, 200)
        with pytest.raises(DataError, match="changed while it was being read"):
            list(chunks)


@pytest.mark.parametrize("mapped", [True, False])
def test_a_file_that_shrinks_just_before_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: bool
) -> None:
    path = tmp_path / "p.npy"
    monkeypatch.setattr(raw_array, "may_map", lambda: mapped)
    monkeypatch.setattr(raw_array, "watch", lambda _: None)
    np.save(path, np.zeros(4096))
    with open_reader(path, PREDICTION) as reader:
        monkeypatch.setattr(InputFile, "check_unchanged", lambda _: None)
        os.truncate(path, 200)
        with pytest.raises(DataError, match="changed while it was being read"):
            next(reader.chunks(4096))


@pytest.mark.parametrize("order", ["C", "F"])
def test_chunks_that_are_read_ahead_stay_what_they_are(tmp_path: Path, order: str) -> None:
    """All of them are held, while others are read, after the reader is closed, and when the file is another."""
    array = np.asarray(np.arange(3000.0).reshape(1000, 3), order="F" if order == "F" else "C")
    path = tmp_path / "p.npy"
    np.save(path, array)
    with open_reader(path, PREDICTION) as reader:
        held = [chunk["prediction"] for chunk in reader.chunks(64)]
    np.save(path, np.zeros((1000, 3)))
    assert [len(chunk) for chunk in held] == [64] * 15 + [40]
    np.testing.assert_array_equal(np.concatenate(held), array)


def test_a_reader_that_is_closed_early_leaves_no_thread_behind(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.arange(3000.0))
    before = set(threading.enumerate())
    with open_reader(tmp_path / "p.npy", PREDICTION) as reader:
        first, second = reader.chunks(64), reader.chunks(500)
        assert next(first)["prediction"][5] == next(second)["prediction"][5] == 5.0
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) == before


@pytest.mark.usefixtures("mapped")
def test_a_file_that_cannot_be_mapped_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll
) -> None:
    """As those of some network file systems."""

    def no_device(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr("mmap.mmap", no_device)
    np.save(tmp_path / "p.npy", np.arange(300.0))
    assert (read_all(tmp_path / "p.npy", 64, prediction=None)["prediction"] == np.arange(300.0)).all()


@pytest.mark.usefixtures("mapped")
@pytest.mark.parametrize("window", [1, 8 * 3 * 7, 8 * 3 * 20, 1 << 20])
@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_windows_are_not_noticed(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, window: int, rows: int
) -> None:
    monkeypatch.setattr(raw_array, "_WINDOW_BYTES", window)
    array = np.arange(300.0).reshape(100, 3)
    np.save(tmp_path / "p.npy", array)
    assert (read_all(tmp_path / "p.npy", rows, prediction=None)["prediction"] == array).all()


def test_one_array_for_one_role(tmp_path: Path, refusal: Refusal) -> None:
    np.save(tmp_path / "p.npy", np.zeros(3))
    error = refusal(tmp_path / "p.npy", prediction=None, target=None)
    assert isinstance(error, UsageError)
    assert "one array, not both prediction and target" in error.message
    error = refusal(tmp_path / "p.npy", target="y")
    assert isinstance(error, UsageError)
    assert "leave out --target-col" in str(error.hint)


# Not ru_maxrss: a child begins with what its parent held before the fork.
_MEASURE = """
import sys
from lossctl import process
from lossctl.sources import Selection, open_reader
process.own()
readers = [open_reader(path, {"prediction": Selection()}) for path in sys.argv[1:]]
total = sum(float(chunk["prediction"].sum()) for reader in readers for chunk in reader.chunks(1 << 19))
with open("/proc/self/status") as status:
    print(total, next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sparse files, and asks Linux for the peak")
def test_memory_is_bounded_by_the_chunk(tmp_path: Path) -> None:
    """2 GB in each order, which are holes in a sparse file, pass through less than 200 MB."""
    paths = []
    for order, shape in ((False, (1 << 29,)), (True, (1 << 25, 16))):
        paths.append(tmp_path / f"{order}.npy")
        with paths[-1].open("wb") as file:
            header = {"descr": "<f4", "fortran_order": order, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + (1 << 31))
    command = [sys.executable, "-c", _MEASURE, *map(str, paths)]
    total, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert float(total) == 0
    assert int(peak) < 200_000


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("code", [0x7FFFFFFF, 0x110000, 0xD800, 0xDFFF])
def test_text_that_is_not_unicode(tmp_path: Path, code: int, order: str) -> None:
    codes = np.array([97, 98, code], f"{order}u4")
    np.save(tmp_path / "p.npy", codes.view(f"{order}U1"))
    with (
        pytest.raises(DataError, match=r"p\.npy, row 2: the text is not Unicode"),
        open_reader(tmp_path / "p.npy", {"target": Selection(classes=("a", "b"))}) as reader,
    ):
        list(reader.chunks(10))
