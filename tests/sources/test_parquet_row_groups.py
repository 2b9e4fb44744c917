"""Row groups of Parquet: together, in parts, ahead of their turn, and each pass from the start."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.errors import DataError
from lossctl.sources import Selection, open_reader
from lossctl.sources import parquet as source
from tests.sources.conftest import ReadAll, WriteParquet


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 16 rows of one column: a small file has many."""
    monkeypatch.setattr(source, "_PART_BYTES", 128)


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
def test_each_pass_starts_again_and_passes_do_not_disturb_each_other(write_parquet: WriteParquet) -> None:
    path = write_parquet({"p": np.arange(50.0)}, row_group_size=8)
    with open_reader(path, {"prediction": Selection()}) as reader:
        first = reader.chunks(30)
        assert next(first)["prediction"][0] == 0
        assert np.concatenate([chunk["prediction"] for chunk in reader.chunks(7)]).tolist() == list(range(50))
        assert next(first)["prediction"].tolist() == list(range(30, 50))


@pytest.mark.usefixtures("small_parts")
def test_what_was_begun_is_the_first_pass_and_the_second_is_another(write_parquet: WriteParquet) -> None:
    path = write_parquet({"p": np.arange(50.0)}, row_group_size=8)
    with open_reader(path, {"prediction": Selection()}) as reader:
        reader.begin()
        reader.begin()
        for _ in range(2):
            assert np.concatenate([chunk["prediction"] for chunk in reader.chunks(7)]).tolist() == list(range(50))


@pytest.mark.usefixtures("small_parts")
def test_what_was_begun_and_is_not_wanted_ends_with_the_reader(write_parquet: WriteParquet) -> None:
    path = write_parquet({"p": np.arange(50.0)}, row_group_size=8)
    before = threading.active_count()
    with open_reader(path, {"prediction": Selection()}) as reader:
        reader.begin()
    assert threading.active_count() == before


@pytest.mark.usefixtures("small_parts")
def test_what_was_begun_of_a_damaged_file_is_refused_where_it_is_taken(write_parquet: WriteParquet) -> None:
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    path = write_parquet({"p": np.arange(1000.0)}, row_group_size=400, **options)
    data = bytearray(path.read_bytes())
    data[data.index(np.float64(500).tobytes())] ^= 1
    path.write_bytes(data)
    with open_reader(path, {"prediction": Selection()}) as reader:
        reader.begin()
        chunks = reader.chunks(400)
        assert len(next(chunks)["prediction"]) == 400
        with pytest.raises(DataError, match="damaged"):
            list(chunks)
