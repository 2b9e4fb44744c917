"""Processes that are ended in the middle of their work, and files that change under their hands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.cli.commands import command, process, sparse_npy

DATA = 3

TABLE = pa.table({"p": pa.array(np.zeros(1_000_000)), "y": pa.array(np.ones(1_000_000))})
"""One batch, where it is written as such."""

# Runs the command line with a file cut after its third look at it: what is mapped is gone when it is touched.
CUT = """
import os, sys
from lossctl.sources.input_file import InputFile
look, looks = InputFile.check_unchanged, []
def check(self):
    look(self)
    looks.append(self)
    if len(looks) == 3:
        {change}
InputFile.check_unchanged = check
from lossctl.__main__ import main
main()
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Two arrays of 80 MB that take no space, each in its own folder beside an empty one."""
    (tmp_path / "out").mkdir()
    for name in ("p.npy", "y.npy"):
        sparse_npy(tmp_path / name, 10_000_000)
    return tmp_path


def evaluation(*options: str, out: str = "out/losses.npy") -> list[str]:
    return ["eval", "p.npy", "y.npy", "-l", "mse", "--per-sample", out, "--chunk-rows", "100000", *options]


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="mapped files cannot be cut here")
@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize("cut", ["p.npy", "y.npy"])
def test_a_mapped_file_that_is_cut_is_no_crash(cut: str, backend: str, large: Path) -> None:
    code = CUT.format(change=f"os.truncate({cut!r}, 5000)")
    words = [sys.executable, "-c", code, *evaluation("--backend", backend)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout) == (DATA, "")
    assert done.stderr == f"lossctl: {cut} changed while it was being read; wait until it is complete\n"
    assert os.listdir(large / "out") == []


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="mapped files cannot be cut here")
@pytest.mark.parametrize("opened", [pa.ipc.new_file, pa.ipc.new_stream])
def test_a_mapped_batch_that_is_cut_is_no_crash(opened: Callable[..., Any], large: Path) -> None:
    with opened(str(large / "a.arrow"), TABLE.schema) as writer:
        writer.write_table(TABLE)
    words = [sys.executable, "-c", CUT.format(change="os.truncate('a.arrow', 5000)"), "eval", "a.arrow"]
    words += ["--pred-col", "p", "--target-col", "y", "-l", "mse", "--chunk-rows", "10000", "-b"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout) == (DATA, "")
    assert done.stderr == "lossctl: a.arrow changed while it was being read; wait until it is complete\n"


def test_a_file_that_is_written_again_while_it_is_read(large: Path) -> None:
    code = CUT.format(change="open('p.npy', 'r+b').write(b'x')")
    words = [sys.executable, "-c", code, *evaluation()]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout) == (DATA, "")
    assert "p.npy changed while it was being read" in done.stderr
    assert os.listdir(large / "out") == []


@pytest.mark.parametrize("change", ["os.remove('p.npy')", "os.replace('other.npy', 'p.npy')"])
def test_what_was_opened_is_read_whatever_its_name_stands_for_now(change: str, large: Path) -> None:
    np.save(large / "other.npy", np.ones(3))
    words = [sys.executable, "-c", CUT.format(change=change), *evaluation("-b", "--no-progress")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.0\n", "")


SWAPPED = """
import os
import lossctl.sources.input_file as files
opened = files._open_regular
def swap(path):
    handle = opened(path)
    {change}
    return handle
files._open_regular = swap
from lossctl.__main__ import main
main()
"""


@pytest.mark.parametrize("extension", ["parquet", "arrow", "csv.zst", "h5"])
def test_a_name_that_is_another_file_by_the_time_a_library_opens_it(extension: str, tmp_path: Path) -> None:
    """Each library opens the file by its name once more."""
    for name, value in ((f"t.{extension}", 0.5), ("other", 0.25)):
        write_table(tmp_path / name, extension, {"p": [value] * 3, "y": [0.0] * 3})
    done = swapped("os.replace('other', path)", f"t.{extension}", tmp_path)
    assert (done.returncode, done.stdout) == (DATA, "")
    assert done.stderr == f"lossctl: t.{extension} changed while it was being read; wait until it is complete\n"


@pytest.mark.parametrize("extension", ["parquet", "arrow", "csv.zst"])
def test_a_name_that_is_gone_by_the_time_a_library_opens_it(extension: str, tmp_path: Path) -> None:
    write_table(tmp_path / f"t.{extension}", extension, {"p": [0.5], "y": [0.0]})
    done = swapped("os.remove(path)", f"t.{extension}", tmp_path)
    assert (done.returncode, done.stdout) == (DATA, "")
    assert done.stderr == f"lossctl: no such file: t.{extension}; check the name and the folder\n"


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="files are not mapped here")
def test_a_name_that_is_gone_when_its_file_is_mapped(tmp_path: Path) -> None:
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), TABLE.schema) as file:
        file.write_table(TABLE)
    done = swapped("os.remove(path)", "t.arrow", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def swapped(change: str, name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """An evaluation of a file whose `path` changes as soon as it has been opened."""
    words = [sys.executable, "-c", SWAPPED.format(change=change), "eval", name]
    words += ["--pred-col", "p", "--target-col", "y", "-l", "mse"]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=folder)


def write_table(path: Path, extension: str, columns: dict[str, list[float]]) -> None:
    table = pa.table(columns)
    if extension == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif extension == "arrow":
        packed = pa.ipc.IpcWriteOptions(compression="lz4")  # what is not is mapped as it was opened
        with pa.ipc.new_file(str(path), table.schema, options=packed) as file:
            file.write_table(table)
    elif extension == "csv.zst":
        text = "\n".join([",".join(columns), *(f"{p},{y}" for p, y in zip(*columns.values(), strict=True))])
        path.write_bytes(pa.compress(text.encode(), "zstd", asbytes=True))
    else:
        with pytest.importorskip("h5py").File(path, "w") as file:
            for name, values in columns.items():
                file[name] = values


def begun(folder: Path, words: list[str]) -> subprocess.Popen[str]:
    """A process that has begun to write into the folder `out`."""
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)
    give_up = time.monotonic() + 60
    while not any(path.stat().st_size > 1 << 18 for path in (folder / "out").glob(".lossctl-*")):
        assert time.monotonic() < give_up
        assert running.poll() is None
        time.sleep(0.01)
    return running


def test_a_process_that_is_killed_leaves_what_was_there(large: Path) -> None:
    sparse_npy(large / "p.npy", 100_000_000)
    sparse_npy(large / "y.npy", 100_000_000)
    out = large / "out" / "losses.npy"
    out.write_bytes(b"old")
    running = begun(large, command(*evaluation("--backend", "python")))
    running.kill()
    running.communicate(timeout=60)
    assert out.read_bytes() == b"old"
    left = [path.name for path in out.parent.iterdir() if path != out]
    assert all(name.startswith(".lossctl-") and name.endswith(".tmp") for name in left)
    sparse_npy(large / "p.npy", 10)
    sparse_npy(large / "y.npy", 10)
    assert process(*evaluation(), cwd=large).returncode == 0
    assert np.load(out).tolist() == [0.0] * 10


def test_a_signal_that_python_drops_ends_the_process_all_the_same(large: Path) -> None:
    code = CUT.format(
        change="""
        class Last:
            def __del__(self):
                os.kill(os.getpid(), 15)
                for _ in range(1000):
                    pass
        Last()"""
    )
    words = [sys.executable, "-c", code, *evaluation()]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")
    assert os.listdir(large / "out") == []


def test_a_second_signal_ends_a_process_that_does_not(large: Path) -> None:
    code = CUT.format(
        change="""
        for _ in range(2):
            try:
                os.kill(os.getpid(), 15)
                for _ in range(1000):
                    pass
            except SystemExit:
                pass"""
    )
    words = [sys.executable, "-c", code, *evaluation()]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")
    assert os.listdir(large / "out") == []


IGNORED = "import signal\nfor number in (signal.SIGHUP, signal.SIGTERM):\n    signal.signal(number, signal.SIG_IGN)\n"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_was_ignored_from_the_start_stays_so(number: int, large: Path) -> None:
    """As nohup has it."""
    code = IGNORED + CUT.format(change=f"os.kill(os.getpid(), {int(number)})")
    words = [sys.executable, "-c", code, *evaluation("-b")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, cwd=large)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.0\n", "")


def test_a_terminal_that_goes_away_takes_no_result_with_it(large: Path) -> None:
    change = """
        open("mark", "w").close()
        sys.stdin.readline()"""
    code = "import lossctl.cli.progress\nlossctl.cli.progress.PATIENCE_SECONDS = 0.0\n" + CUT.format(change=change)
    words = [sys.executable, "-c", code, *evaluation("-b")]
    terminal, stderr = os.openpty()
    running = subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=large,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(stderr)
    give_up = time.monotonic() + 60
    while not (large / "mark").exists():
        assert time.monotonic() < give_up
        assert running.poll() is None
        time.sleep(0.01)
    assert os.read(terminal, 1000)
    os.close(terminal)
    out, _ = running.communicate("\n", timeout=60)
    assert (running.returncode, out) == (0, "0.0\n")
    assert os.listdir(large / "out") == ["losses.npy"]


def test_two_processes_that_write_one_file_leave_one_whole(large: Path) -> None:
    words = command(*evaluation("-b", "--backend", "python"))
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=large) for _ in range(2)]
    for running in both:
        out, err = running.communicate(timeout=120)
        assert (running.returncode, out, err) == (0, b"0.0\n", b"")
    assert np.load(large / "out" / "losses.npy", mmap_mode="r").shape == (10_000_000,)
    assert os.listdir(large / "out") == ["losses.npy"]


@pytest.mark.parametrize("make", [os.link, os.symlink], ids=["hard", "symbolic"])
@pytest.mark.parametrize("option", ["-o", "--per-sample"])
def test_the_code_of_a_loss_is_never_an_output(option: str, make: Callable[[Path, Path], None], tmp_path: Path) -> None:
    code = "def f(prediction, target):\n    return (prediction - target) ** 2\n"
    (tmp_path / "own.py").write_text(code)
    for name in ("p.npy", "y.npy"):
        np.save(tmp_path / name, [0.5, 1.0])
    out = {"-o": "r.json", "--per-sample": "losses.npy"}[option]
    make(tmp_path / "own.py", tmp_path / out)
    done = process("eval", "p.npy", "y.npy", "-l", "own.py:f", option, out, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"lossctl: the output '{out}' is the same file as the input 'own.py'; give it another name\n"
    assert (tmp_path / "own.py").read_text() == code


def linked(folder: Path) -> str:
    os.link(folder / "parts" / "a.npy", folder / "hard.npy")
    return "hard.npy"


def symbolic(folder: Path) -> str:
    (folder / "soft.npy").symlink_to("parts/b.npy")
    return "soft.npy"


def through_a_folder(folder: Path) -> str:
    (folder / "again").symlink_to("parts")
    return "again/a.npy"


@pytest.mark.parametrize("spelled", ["parts", "parts/", "parts/*.npy", "parts/?.npy", "parts/a.npy,parts/b.npy", "**"])
@pytest.mark.parametrize("name", [linked, symbolic, through_a_folder, lambda _: "parts/b.npy"])
def test_a_shard_is_never_an_output(spelled: str, name: Callable[[Path], str], tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for shard in ("a", "b"):
        np.save(tmp_path / "parts" / f"{shard}.npy", [0.5])
    np.save(tmp_path / "y.npy", [1.0, 1.0])
    before = (tmp_path / "parts" / "a.npy").read_bytes()
    out = name(tmp_path)
    done = process("eval", spelled, "y.npy", "-l", "mse", "--per-sample", out, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"lossctl: the output '{out}' is the same file as the input '")
    assert (tmp_path / "parts" / "a.npy").read_bytes() == before
