"""How much memory a file takes while it is read, whatever the sizes of its own parts are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from pyarrow.feather import write_feather

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")

# Not ru_maxrss: a child begins with what its parent held before the fork, and its own growth would not be seen. It is
# the command line's process, which may map files.
_MEASURE = """
import sys
from lossctl import process
from lossctl.sources import Selection, open_reader
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
process.own()
before = peak()
roles = {name: Selection((name,), is_key=name == "k") for name in sys.argv[2:]}
with open_reader(sys.argv[1], roles) as reader:
    rows = sum(len(next(iter(chunk.values()))) for chunk in reader.chunks(1 << 12))
print(rows, peak() - before)
"""


def growth(path: Path, rows: int, *columns: str) -> int:
    """By how many kB a process grows that reads columns of a file of so many rows, which is removed."""
    command = [sys.executable, "-c", _MEASURE, str(path), *columns]
    found, grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    path.unlink()
    assert int(found) == rows
    return int(grown)


def test_a_row_group_of_any_size(tmp_path: Path) -> None:
    """One row group of 320 MB passes through less than 150 MB, pyarrow itself among them."""
    rows, path = 20_000_000, tmp_path / "t.parquet"
    values = pa.array(np.arange(rows, dtype=np.float64))
    table = pa.table({"p": values, "y": values})
    parquet.write_table(table, path, row_group_size=rows, use_dictionary=False, compression="none")
    assert growth(path, rows, "p", "y") < 150_000


def test_any_number_of_columns(tmp_path: Path) -> None:
    """Of a row group of 560 MB, of which Arrow would hold a buffer and a page of each column."""
    rows, path = 70_000, tmp_path / "t.parquet"
    values = pa.array(np.arange(float(rows)))
    table = pa.table({f"p_{column}": values for column in range(1000)})
    options: dict[str, Any] = {"use_dictionary": False, "compression": "none"}
    parquet.write_table(table, path, row_group_size=rows, data_page_size=1 << 16, **options)
    assert growth(path, rows, "p_*") < 350_000


def test_dictionaries_of_any_number_of_columns(tmp_path: Path) -> None:
    """As pandas writes them, of 1,000 columns of random numbers: Arrow would hold 600 MB."""
    rows, path = 40_000, tmp_path / "t.parquet"
    values = np.random.default_rng(0).random((1000, rows), np.float32)
    parquet.write_table(pa.table({f"p_{number}": pa.array(column) for number, column in enumerate(values)}), path)
    assert growth(path, rows, "p_*") < 350_000


def test_a_packed_batch_of_any_number_of_columns(tmp_path: Path) -> None:
    """One batch of 260 MB, which Arrow would hold twice."""
    rows, path = 65_000, tmp_path / "t.feather"
    values = np.random.default_rng(0).random((1000, rows), np.float32)
    table = pa.table({f"p_{number}": pa.array(column) for number, column in enumerate(values)})
    write_feather(table, str(path), compression="lz4")
    assert growth(path, rows, "p_*") < 350_000


def test_a_packed_batch_of_lists(tmp_path: Path) -> None:
    """Batches of 260 MB, of which Arrow would hold three."""
    rows, path = 150_000, tmp_path / "t.feather"
    values = np.random.default_rng(0).random(rows * 1000, np.float32)
    write_feather(pa.table({"p": pa.FixedSizeListArray.from_arrays(pa.array(values), 1000)}), str(path))
    assert growth(path, rows, "p") < 300_000


@pytest.mark.parametrize("groups", [1, 2])
def test_texts_of_any_length(tmp_path: Path, groups: int) -> None:
    """400 MB of keys, of which Arrow 18 takes up to 290 MB."""
    rows, path = 1_000_000, tmp_path / "t.parquet"
    table = pa.table({"p": pa.array(np.zeros(rows)), "k": pa.array([f"{row:0400}" for row in range(rows)])})
    parquet.write_table(table, path, row_group_size=rows // groups, use_dictionary=False)
    assert growth(path, rows, "p", "k") < 350_000


@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_record_batch_of_any_size(tmp_path: Path, opened: Any) -> None:
    """One batch of 320 MB passes through less than 150 MB."""
    table, path = pa.table({"p": pa.array(np.arange(40_000_000.0))}), tmp_path / "a.arrow"
    with opened(str(path), table.schema) as writer:
        writer.write_table(table)
    assert growth(path, len(table), "p") < 150_000
