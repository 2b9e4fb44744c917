"""Damaged, changing and encrypted Parquet: it is noticed, and told as what it is."""

from __future__ import annotations

import base64
import errno
import itertools
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pyarrow.parquet import encryption

from lossctl.errors import DataError, LossctlError
from lossctl.sources import Selection, open_reader
from tests.sources.conftest import ReadAll, Refusal, WriteParquet


def test_a_flipped_bit_is_found_by_the_checksum(write_parquet: WriteParquet, refusal: Refusal) -> None:
    path = write_parquet({"p": np.arange(1000.0)}, compression="none", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(500).tobytes())] ^= 1
    path.write_bytes(data)
    error = refusal(path)
    assert isinstance(error, DataError)
    assert "t.parquet is damaged" in error.message
    assert "CRC" in error.message


def test_truncated(write_parquet: WriteParquet, refusal: Refusal) -> None:
    path = write_parquet({"p": np.arange(1000.0)})
    data = path.read_bytes()
    for size in (4, 5, 12, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        error = refusal(path)
        assert isinstance(error, DataError)
        assert "t.parquet is damaged" in error.message


def test_a_footer_that_miscounts(write_parquet: WriteParquet, read_all: ReadAll) -> None:
    """The bytes of the footer that may say 40 rows (80 as encoded) say 41: a refusal or all 40 rows."""
    path = write_parquet({"p": np.arange(40.0)}, compression="none", store_schema=False)
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


def test_a_file_that_changes_while_it_is_read(write_parquet: WriteParquet) -> None:
    path = write_parquet({"p": np.arange(1000.0)}, row_group_size=100)
    with open_reader(path, {"prediction": Selection()}) as reader:
        chunks = reader.chunks(100)
        next(chunks)
        with path.open("ab") as file:
            file.write(b"x")
        with pytest.raises(DataError, match="changed while it was being read"):
            list(chunks)


def test_a_disk_that_fails_is_not_a_damaged_file(
    write_parquet: WriteParquet, refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_parquet({"p": np.arange(1000.0)}, row_group_size=400)

    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Error reading bytes from file. Detail: [errno 5] Input/output error")

    monkeypatch.setattr("lossctl.sources.parquet_tables.Table.batches", fail)
    error = refusal(path)
    assert error.message == f"cannot read {path}: {os.strerror(errno.EIO).lower()}"


def test_a_file_that_is_cut_while_it_is_read_has_changed_and_is_not_damaged(write_parquet: WriteParquet) -> None:
    path = write_parquet({"p": np.arange(100_000.0)}, row_group_size=10_000, compression="none")
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
