"""Parquet: types, lists, row groups, nulls; damage that is noticed; memory that stays bounded."""

from __future__ import annotations

import base64
import errno
import itertools
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pyarrow.parquet import encryption

from lossctl.errors import DataError, LossctlError, UsageError
from lossctl.sources import Selection, open_reader
from lossctl.sources import parquet as source

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(columns: Any, **options: Any) -> Path:
        parquet.write_table(pa.table(columns), tmp_path / "t.parquet", **options)
        return tmp_path / "t.parquet"

    return write


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 16 rows of one column: a small file has many."""
    monkeypatch.setattr(source, "_PART_BYTES", 128)


@pytest.mark.parametrize("rows", [1, 7, 4096])
def test_every_type(write: Write, read_all: ReadAll, rows: int) -> None:
    for name in (
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float32",
        "float64",
    ):
        values = np.arange(23).astype(name)
        if values.dtype.kind in "iu":
            values[[0, -1]] = np.iinfo(name).min, np.iinfo(name).max
        path = write({"id": ["x"] * 23, "p": values}, row_group_size=10)
        read = read_all(path, rows, prediction="p")["prediction"]
        assert read.dtype == name
        assert np.array_equal(read, values)


def test_float16_comes_as_float32(write: Write, read_all: ReadAll) -> None:
    values = np.array([1.5, -65504, 6e-8], np.float16)
    path = write({"p": pa.array(values)})
    read = read_all(path, prediction=None)["prediction"]
    assert read.dtype == np.float32
    assert np.array_equal(read, values)
    with open_reader(path, {"prediction": Selection()}) as reader:
        assert reader.arrays["prediction"].dtype == "float16"


def test_columns_of_a_table(write: Write, read_all: ReadAll) -> None:
    table = {"p_1": [1.0, 2.0], "y": [0, 1], "p_0": np.array([3, 4], np.float32), "p_1.x": [5.0, 6.0]}
    path = write(table)
    read = read_all(path, prediction="p_[01]", target="y")
    assert read["prediction"].tolist() == [[1, 3], [2, 4]]
    assert read["prediction"].dtype == np.float64
    assert read["target"].tolist() == [0, 1]
    assert read_all(path, prediction=("p_0", "p_1.x"))["prediction"].tolist() == [[3, 5], [4, 6]]
    with open_reader(path, {"prediction": Selection(("p_0", "p_1")), "target": Selection(("y",))}) as reader:
        prediction, target = reader.arrays["prediction"], reader.arrays["target"]
    assert (prediction.shape, prediction.dtype, prediction.columns) == ((2, 2), "float64", ("p_0", "p_1"))
    assert (target.shape, target.dtype, target.columns, target.format) == ((2,), "int64", ("y",), "parquet")


def test_dictionary_pages_and_compression(write: Write, read_all: ReadAll) -> None:
    values = np.tile([0.5, 1.5, 2.5], 50_000)
    for compression in ("none", "snappy", "gzip", "zstd", "brotli", "lz4"):
        path = write({"p": values}, compression=compression, use_dictionary=True, row_group_size=70_000)
        assert np.array_equal(read_all(path, 4096, prediction=None)["prediction"], values)


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 3)])
def test_lists_of_equal_length_are_rows(write: Write, read_all: ReadAll, kind: Any) -> None:
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    path = write({"v": pa.array(values.tolist(), kind)}, row_group_size=8)
    read = read_all(path, 7, prediction="v")["prediction"]
    assert read.dtype == np.float32
    assert np.array_equal(read, values)
    with open_reader(path, {"prediction": Selection(("v",))}) as reader:
        assert reader.arrays["prediction"].shape == (20, 3)
        assert reader.place("prediction", 4, 2) == f"{path}, row 4, column 'v', element 2"


def test_lists_that_are_refused(write: Write, refusal: Refusal) -> None:
    path = write({"v": [[1.0, 2.0]] * 5 + [[3.0]], "p": [1.0] * 6})
    assert "row 5, column 'v': a list of 1 values; the lists before it have 2" in refusal(path, prediction="v").message
    error = refusal(path, prediction="*")
    assert isinstance(error, UsageError)
    assert "column 'v' holds lists, which do not go together with other columns" in error.message
    assert "row 1, column 'v': null" in refusal(write({"v": [[1.0], None]}), prediction="v").message
    assert "row 0, column 'v': null" in refusal(write({"v": [None, [1.0]]}), prediction="v").message
    assert "row 2, column 'v': null" in refusal(write({"v": [[1.0, 2.0]] * 2 + [[3.0, None]]}), prediction="v").message
    assert "column 'v' holds empty lists" in refusal(write({"v": pa.array([[]], pa.list_(pa.int8()))})).message
    assert "holds list<element: string>" in refusal(write({"v": [["a"]]})).message


def test_nulls(write: Write, refusal: Refusal) -> None:
    values = [0.5] * 70_000
    values[69_999] = None  # type: ignore[call-overload]
    error = refusal(write({"p": values, "y": [1] * 70_000}, row_group_size=30_000), prediction="p", target="y")
    assert isinstance(error, DataError)
    assert "t.parquet, row 69999, column 'p': null is not a number" in error.message
    assert error.hint == "fill the null, or leave out its row with --nonfinite skip"
    assert "row 1" in refusal(write({"p": [True, None]})).message


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        (["a", "b"], "with --classes"),
        (pa.array(["a", "b"]).dictionary_encode(), "with --classes"),
        ([Decimal("1.5"), Decimal("2.5")], "convert the column to float64"),
        (pa.array([1, 2], pa.timestamp("s")), "convert the column to numbers"),
        (pa.array([1, 2], pa.date32()), "convert the column to numbers"),
        ([{"a": 1}, {"a": 2}], "lists of numbers of one length"),
        ([None, None], "was it filled?"),
        ([b"a", b"b"], "convert the column to numbers"),
    ],
)
def test_types_that_are_refused(write: Write, refusal: Refusal, values: Any, remedy: str) -> None:
    error = refusal(write({"p": values}))
    assert isinstance(error, DataError)
    assert "t.parquet, column 'p' holds " in error.message
    assert "allowed are bool, integers and floats" in error.message
    assert remedy in str(error.hint)


def test_integers_that_no_type_holds_together(write: Write, refusal: Refusal, read_all: ReadAll) -> None:
    table = {"a": np.array([1], np.int64), "b": np.array([2], np.uint64), "c": np.array([3], np.int8)}
    path = write(table)
    assert "no integer type holds both" in refusal(path, target="[ab]").message
    assert read_all(path, target="[ac]")["target"].dtype == np.int64


def test_unknown_and_unnamed_columns(write: Write, refusal: Refusal) -> None:
    path = write({"prob": [1.0], "label": [1]})
    error = refusal(path, target="lable")
    assert isinstance(error, UsageError)
    assert "did you mean 'label'?" in str(error.hint)
    assert "which is the prediction?" in refusal(path, prediction=None).message
    path = write(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))
    assert "2 columns are named 'a'" in refusal(path, prediction="a").message
    assert "has no columns" in refusal(write(pa.table({}))).message


def test_no_rows(write: Write, read_all: ReadAll) -> None:
    path = write({"p": pa.array([], pa.float32()), "v": pa.array([], pa.list_(pa.float32()))})
    assert read_all(path, prediction="p") == {}
    assert read_all(path, prediction="v") == {}


def test_places(write: Write) -> None:
    path = write({"p_0": [1.0], "p_1": [2.0], "y": [1]})
    with open_reader(path, {"prediction": Selection(("p_*",)), "target": Selection(("y",))}) as reader:
        assert reader.place("prediction", 5, 1) == f"{path}, row 5, column 'p_1'"
        assert reader.place("prediction", 5) == f"{path}, row 5"
        assert reader.place("target", 5) == f"{path}, row 5, column 'y'"


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("sizes", [[50], [8] * 6, [0, 3, 0, 0, 40, 0, 1, 5, 0], [1] * 50, [17, 18], [0, 16, 0]])
@pytest.mark.parametrize("largest", [1, 1 << 20])
def test_row_groups_of_any_size_together_and_in_parts(
    tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch, sizes: list[int], largest: int
) -> None:
    monkeypatch.setattr(source, "_GROUP_BYTES", largest)
    values = np.arange(sum(sizes))
    table = pa.table({"p": pa.array(values / 7), "y": pa.array(values)})
    with parquet.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for size, end in zip(sizes, itertools.accumulate(sizes), strict=True):
            writer.write_table(table.slice(end - size, size))
    assert parquet.read_metadata(tmp_path / "t.parquet").num_row_groups == len(sizes)
    read = read_all(tmp_path / "t.parquet", 7, prediction="p", target="y")
    assert read["prediction"].tolist() == (values / 7).tolist()
    assert read["target"].tolist() == values.tolist()


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    ("sizes", "rows"),
    [([5] * 7, 15), ([5] * 6 + [2], 15), ([8] * 4, 16), ([20] * 3, 20), ([50], 8), ([7], None), ([9, 16, 16], None)],
)
def test_what_is_decoded_together_is_delivered_without_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], rows: int | None
) -> None:
    """Of 16 rows at most, and of whole row groups where these are small."""
    table = pa.table({"p": pa.array(np.arange(float(sum(sizes))))})
    with parquet.ParquetWriter(tmp_path / "t.parquet", table.schema) as writer:
        for size, end in zip(sizes, itertools.accumulate(sizes), strict=True):
            writer.write_table(table.slice(end - size, size))
    with open_reader(tmp_path / "t.parquet", {"prediction": Selection()}) as reader:
        assert reader.part_rows == rows
        if rows is not None:
            monkeypatch.delattr(np, "concatenate")
        read = [value for chunk in reader.chunks(rows or sum(sizes)) for value in chunk["prediction"].tolist()]
    assert read == list(range(sum(sizes)))


@pytest.mark.usefixtures("small_parts")
def test_each_pass_starts_again_and_passes_do_not_disturb_each_other(write: Write) -> None:
    path = write({"p": np.arange(50.0)}, row_group_size=8)
    with open_reader(path, {"prediction": Selection()}) as reader:
        first = reader.chunks(30)
        assert next(first)["prediction"][0] == 0
        assert np.concatenate([chunk["prediction"] for chunk in reader.chunks(7)]).tolist() == list(range(50))
        assert next(first)["prediction"].tolist() == list(range(30, 50))


def test_a_name_that_is_not_utf_8(write: Write, read_all: ReadAll) -> None:
    path = write({"p": [1.0]})
    name = path.with_name("\udcff.parquet")
    try:
        path.rename(name)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    assert read_all(name, prediction=None)["prediction"].tolist() == [1]


def test_a_flipped_bit_is_found_by_the_checksum(write: Write, refusal: Refusal) -> None:
    path = write({"p": np.arange(1000.0)}, compression="none", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(500).tobytes())] ^= 1
    path.write_bytes(data)
    error = refusal(path)
    assert isinstance(error, DataError)
    assert "t.parquet is damaged" in error.message
    assert "CRC" in error.message


def test_truncated(write: Write, refusal: Refusal) -> None:
    path = write({"p": np.arange(1000.0)})
    data = path.read_bytes()
    for size in (4, 5, 12, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        error = refusal(path)
        assert isinstance(error, DataError)
        assert "t.parquet is damaged" in error.message


def test_a_footer_that_miscounts(write: Write, read_all: ReadAll) -> None:
    """The bytes of the footer that may say 40 rows (80 as encoded) say 41: a refusal or all 40 rows."""
    path = write({"p": np.arange(40.0)}, compression="none", store_schema=False)
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    counts = [position for position in range(footer, len(data) - 8) if data[position] == 80]
    found = set()
    for changed in itertools.combinations_with_replacement(counts, 2):
        path.write_bytes(bytes(82 if position in changed else byte for position, byte in enumerate(data)))
        try:
            assert read_all(path, prediction=None)["prediction"].tolist() == list(range(40))
        except DataError as error:
            found.add(error.message.removeprefix(f"{path} is damaged: its footer says "))
    assert found == {
        "41 rows, its row groups 40",
        "40 rows, its row groups 41",
        "41 rows, its pages hold 40",
    }


def test_a_file_that_changes_while_it_is_read(write: Write) -> None:
    path = write({"p": np.arange(1000.0)}, row_group_size=100)
    with open_reader(path, {"prediction": Selection()}) as reader:
        chunks = reader.chunks(100)
        next(chunks)
        with path.open("ab") as file:
            file.write(b"x")
        with pytest.raises(DataError, match="changed while it was being read"):
            list(chunks)


def test_a_disk_that_fails_is_not_a_damaged_file(
    write: Write, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write({"p": np.arange(1000.0)}, row_group_size=400)

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Error reading bytes from file. Detail: [errno 5] Input/output error")

    monkeypatch.setattr("lossctl.sources.parquet_tables.Table.batches", fail)
    error = refusal(path)
    assert error.message == f"cannot read {path}: {os.strerror(errno.EIO).lower()}"


@pytest.mark.parametrize("core", [True, False])
def test_arrows_own_class_reads_the_same(
    write: Write, read_all: ReadAll, refusal: Refusal, monkeypatch: pytest.MonkeyPatch, core: bool
) -> None:
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    columns = {"id": ["x"] * 20, "v": values.tolist(), "s": [{"v": 1.0}] * 20, "p": np.arange(20.0)}
    path = write(columns, row_group_size=6)
    if not core:
        monkeypatch.setitem(sys.modules, "pyarrow._parquet", None)
    read = read_all(path, 7, prediction="v", target="p")
    assert np.array_equal(read["prediction"], values)
    assert read["target"].tolist() == list(range(20))
    path.write_bytes(path.read_bytes()[:-1])
    assert "t.parquet is damaged" in refusal(path, prediction="v").message


@pytest.mark.usefixtures("small_parts")
def test_what_was_begun_is_the_first_pass_and_the_second_is_another(write: Write) -> None:
    path = write({"p": np.arange(50.0)}, row_group_size=8)
    with open_reader(path, {"prediction": Selection()}) as reader:
        reader.begin()
        reader.begin()
        for _ in range(2):
            assert np.concatenate([chunk["prediction"] for chunk in reader.chunks(7)]).tolist() == list(range(50))


@pytest.mark.usefixtures("small_parts")
def test_what_was_begun_and_is_not_wanted_ends_with_the_reader(write: Write) -> None:
    path = write({"p": np.arange(50.0)}, row_group_size=8)
    before = threading.active_count()
    with open_reader(path, {"prediction": Selection()}) as reader:
        reader.begin()
    assert threading.active_count() == before


@pytest.mark.usefixtures("small_parts")
def test_what_was_begun_of_a_damaged_file_is_refused_where_it_is_taken(write: Write) -> None:
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    path = write({"p": np.arange(1000.0)}, row_group_size=400, **options)
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(500).tobytes())] ^= 1
    path.write_bytes(data)
    with open_reader(path, {"prediction": Selection()}) as reader:
        reader.begin()
        chunks = reader.chunks(400)
        assert len(next(chunks)["prediction"]) == 400
        with pytest.raises(DataError, match="damaged"):
            list(chunks)


def test_a_file_that_is_cut_while_it_is_read_has_changed_and_is_not_damaged(write: Write) -> None:
    path = write({"p": np.arange(100_000.0)}, row_group_size=10_000, compression="none")
    with open_reader(path, {"prediction": Selection()}) as reader:
        chunks = reader.chunks(1000)
        next(chunks)
        os.truncate(path, 1000)
        with pytest.raises(DataError, match="changed while it was being read"):
            list(chunks)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_a_refusal_or_a_result(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    compression: Any = data.draw(st.sampled_from(["none", "snappy", "zstd"]))
    columns: dict[str, Any] = {"p": np.arange(40.0), "v": [[1.0, 2.0]] * 40, "y": [0, 1] * 20}
    parquet.write_table(pa.table(columns), path, compression=compression, row_group_size=15)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 9))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    roles = {"prediction": Selection(("v",)), "target": Selection(("[py]",))}
    with suppress(LossctlError), open_reader(path, roles) as reader:
        rows = sum(len(chunk["target"]) for chunk in reader.chunks(7))
        assert rows == reader.arrays["target"].shape[0]


class Keys(encryption.KmsClient):
    """Keys that are no secrets."""

    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> str:
        return base64.b64encode(key_bytes).decode()

    def unwrap_key(self, wrapped_key: str, master_key_identifier: str) -> Any:
        return base64.b64decode(wrapped_key)


@pytest.mark.parametrize("readable_footer", [True, False])
def test_an_encrypted_column(tmp_path: Path, readable_footer: bool) -> None:
    """The others can be read. Arrow ends the process when it is asked where such a column ends."""
    factory = encryption.CryptoFactory(lambda _: Keys())
    how = encryption.EncryptionConfiguration("of the footer", column_keys={"a": ["secret"]})
    how.plaintext_footer = readable_footer
    secrets = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    table = pa.table({"open": [1.0, 2.0], "secret": [3.0, 4.0]})
    parquet.write_table(table, tmp_path / "a.parquet", encryption_properties=secrets)
    if readable_footer:
        with open_reader(str(tmp_path / "a.parquet"), {"prediction": Selection(("open",))}) as reader:
            (chunk,) = reader.chunks(10)
        assert chunk["prediction"].tolist() == [1.0, 2.0]
    roles = {"prediction": Selection(("secret",))}
    says = r"a\.parquet (is encrypted, at least in part|is not parquet: it looks like encrypted Parquet)"
    refused = pytest.raises(DataError, match=f"{says}.*without encryption")
    with refused, open_reader(str(tmp_path / "a.parquet"), roles) as reader:
        list(reader.chunks(10))
