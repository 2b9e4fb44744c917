"""Inputs that are something else the next time that they are opened: one command reads one state of a file, or none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="open files are replaced")

DATA = 3
ROWS = 4000

# Runs the command line; a file is replaced by `other/FILE` just before it is opened for the n-th time.
REOPENED = """
import os
import lossctl.sources.input_file as files
before, opened = files._open_regular, []
def reopened(path):
    opened.append(path)
    if opened.count({path!r}) == {count}:
        os.replace(os.path.join('other', path), path)
    return before(path)
files._open_regular = reopened
from lossctl.__main__ import main
main()
"""


# Runs the command line; a table grows by a row as its rows are found to be wrong.
GROWING = """
from lossctl.sources.cells import CellParser
before = CellParser.fault
def fault(self, *arguments):
    with open('t.csv', 'a') as file:
        file.write('0.5,0,a\\n')
    return before(self, *arguments)
CellParser.fault = fault
from lossctl.__main__ import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same names here and in `other`, with other numbers there: a table, and two shards with their targets."""
    for seed, place in enumerate((tmp_path, tmp_path / "other")):
        random = np.random.default_rng(seed)
        (place / "parts").mkdir(parents=True)
        for shard in ("a", "b"):
            np.save(place / "parts" / f"{shard}.npy", random.normal(size=ROWS))
        rows = zip(random.normal(size=ROWS), random.integers(0, 3, ROWS), strict=True)
        (place / "t.csv").write_text("p,y,g\n" + "".join(f"{p},0,{'abc'[g]}\n" for p, g in rows))
    np.save(tmp_path / "y.npy", np.zeros(2 * ROWS))
    (tmp_path / "out").mkdir()
    return tmp_path


def run(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code, *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=folder)


def told_as_changed(name: str, done: subprocess.CompletedProcess[str], folder: Path) -> None:
    assert (done.returncode, done.stdout) == (DATA, "")
    assert done.stderr == f"lossctl: {name} changed while it was being read; wait until it is complete\n"
    assert os.listdir(folder / "out") == []


TABLE = ("t.csv", "--pred-col", "p", "--target-col", "y", "-l", "mse")


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    "arguments", [("eval", *TABLE, "--by", "g", "-o", "out/r.json"), ("inspect", "t.csv")], ids=["slices", "inspect"]
)
def test_a_table_that_is_opened_for_each_thing_that_is_wanted(
    arguments: tuple[str, ...], count: int, folder: Path
) -> None:
    done = run(REOPENED.format(path="t.csv", count=count), folder, *arguments)
    told_as_changed("t.csv", done, folder)


@pytest.mark.parametrize("count", [2, 3])
def test_a_shard_that_is_opened_for_each_pass(count: int, folder: Path) -> None:
    arguments = ("grad", "parts", "y.npy", "-l", "rmse", "-o", "out/g.npy")
    done = run(REOPENED.format(path="parts/b.npy", count=count), folder, *arguments)
    told_as_changed("parts/b.npy", done, folder)


# Before the second pass over two arrays.
CHUNKS = """
import os, shutil
from lossctl.sources.zarr import _ArrayReader
before, passes = _ArrayReader._chunks, []
def chunks(self, rows):
    passes.append(self)
    if len(passes) == 3:
        {change}
    return before(self, rows)
_ArrayReader._chunks = chunks
from lossctl.__main__ import main
main()
"""


@pytest.mark.parametrize("change", ["os.remove('t.zarr/p/c/1')", "os.replace('other.zarr/p/c/1', 't.zarr/p/c/1')"])
def test_a_chunk_that_is_gone_is_no_filler(change: str, folder: Path) -> None:
    zarr = pytest.importorskip("zarr")
    store = zarr.open_group(str(folder / "t.zarr"), mode="w")
    for name in "py":
        array = store.create_array(name, shape=(ROWS,), chunks=(ROWS // 4,), dtype="float64")
        array[:] = np.random.default_rng(0).normal(size=ROWS)
    shutil.copytree(folder / "t.zarr", folder / "other.zarr")
    arguments = ("t.zarr", *TABLE[1:-1], "rmse", "-o", "out/g.npy")
    done = run(CHUNKS.format(change=change), folder, "grad", *arguments)
    told_as_changed("t.zarr, array 'p'", done, folder)


def test_what_is_wrong_with_a_file_that_is_being_written(folder: Path) -> None:
    """Its last line may not be whole yet."""
    with (folder / "t.csv").open("a") as table:
        table.write("0.5")
    told = "eval", "t.csv", "--pred-col", "p", "--target-col", "y", "-l", "mse", "-b", "--per-sample", "out/l.npy"
    told_as_changed("t.csv", run(GROWING, folder, *told), folder)
    done = run("from lossctl.__main__ import main; main()", folder, *told)
    assert (done.returncode, done.stdout) == (DATA, "")
    assert "t.csv, line 4002" in done.stderr
