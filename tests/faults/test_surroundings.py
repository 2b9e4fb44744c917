"""Streams and folders that are not what a process may hope for: pipes that do not wait, nowhere to write, no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from io import FileIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from lossctl.files import write_all
from tests.cli.commands import command, process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="streams, limits and signals of Linux")

USAGE, DATA, ENVIRONMENT = 2, 3, 4
TABLE = ("--pred-col", "p", "--target-col", "y", "-l", "mse", "-b")
SUITE = """
[[eval]]
name = "first"
predictions = "t.csv"
pred-col = "p"
target-col = "y"
loss = "mse"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "t.csv").write_text("p,y\n0.5,0\n0.25,1\n")
    np.save(tmp_path / "p.npy", np.full(500, 0.5))
    np.save(tmp_path / "y.npy", np.zeros(500))
    columns = pa.table({"p": [0.5, 0.25], "y": [0.0, 1.0]})
    pyarrow.parquet.write_table(columns, tmp_path / "t.parquet")
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), columns.schema) as file:
        file.write_table(columns)
    return tmp_path


def shell(line: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`line` in a shell, with the words of a command line as its arguments."""
    words = ["bash", "-c", line, "bash", *command(*arguments)]
    given = {**os.environ, **environment}
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder, env=given)


def python(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process that runs `code`, then the command line."""
    words = [sys.executable, "-c", f"{code}\nfrom lossctl.__main__ import main\nmain()", *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def refused(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line of a process that ended with `code`."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    line = done.stderr.removesuffix("\n").removeprefix("lossctl: ")
    assert done.stderr == f"lossctl: {line}\n"
    assert line.isprintable()
    return line


# ---- stdin


@pytest.mark.parametrize(
    ("arguments", "pieces"),
    [
        (("eval", "-", "--pred-format", "csv", *TABLE), ("p,y\n0.5,0\n", "0.25,1\n")),
        (("run", "-", "--format", "csv", "-q"), (SUITE, SUITE.replace("first", "second"))),
    ],
    ids=["eval", "run"],
)
def test_a_pipe_that_does_not_wait_is_read_to_its_end(
    arguments: tuple[str, ...], pieces: tuple[str, str], folder: Path
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    running = subprocess.Popen(
        command(*arguments), cwd=folder, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    os.close(reading)
    for piece in pieces:
        os.write(writing, piece.encode())
        time.sleep(1)  # longer than the process takes to come for it
    os.close(writing)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert out.count("0.40625") == (1 if arguments[0] == "eval" else 2)


@pytest.mark.parametrize(
    "arguments", [("run", "-"), ("eval", "-", "--pred-format", "csv", *TABLE)], ids=["run", "eval"]
)
def test_a_closed_stdin(arguments: tuple[str, ...], folder: Path) -> None:
    line = refused(shell('"$@" <&-', folder, *arguments), ENVIRONMENT)
    assert line == "stdin is closed: '-' has nothing to read; name a file"


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_device_without_an_end(device: str, folder: Path) -> None:
    done = shell(f'"$@" < {device}', folder, "eval", "-", "--pred-format", "csv", *TABLE)
    assert "stdin is a device" in refused(done, DATA)


def test_nothing_on_stdin(folder: Path) -> None:
    done = shell('"$@" < /dev/null', folder, "eval", "-", "--pred-format", "csv", *TABLE)
    assert refused(done, DATA).startswith("- is empty")


# ---- folders

NOWHERE = """
import errno, os
open_before = os.open
def open_for_reading(path, flags, *rest, **more):
    if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
    return open_before(path, flags, *rest, **more)
def mkdir(path, *rest, **more):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
os.open, os.mkdir = open_for_reading, mkdir
for name in ("LOSSCTL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
    os.environ.pop(name, None)
"""


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_nothing_can_be_written_anywhere(backend: str, folder: Path) -> None:
    """Not even a folder for temporary files: that is no reason not to compute."""
    done = python(NOWHERE, folder, "eval", "p.npy", "y.npy", "-l", "mse", "-b", "--backend", backend)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.25\n", "")


def test_no_folder_to_copy_a_stream_to(folder: Path) -> None:
    with (folder / "p.npy").open("rb") as handle:
        words = [sys.executable, "-c", f"{NOWHERE}\nfrom lossctl.__main__ import main\nmain()", "eval", "-", "y.npy"]
        words += ["--pred-format", "npy", "-l", "mse"]
        handle.seek(1)  # what has been begun is read as a stream
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder, stdin=handle)
    assert "cannot copy - to " in refused(done, ENVIRONMENT)


def test_the_current_folder_is_gone(folder: Path) -> None:
    gone = 'mkdir gone && cd gone && rmdir ../gone && "$@"'
    assert "current folder is no longer there" in refused(
        shell(gone, folder, "eval", "p.npy", "y.npy", "-l", "mse"), ENVIRONMENT
    )
    done = shell(gone, folder, "eval", str(folder / "p.npy"), str(folder / "y.npy"), "-l", "mse", "-b")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.25\n", "")


def test_lines_for_a_host_are_appended_whole_or_not_at_all(folder: Path) -> None:
    """A file may grow to one kilobyte: the first of the lines would still fit."""
    host = folder / "host"
    host.write_text("earlier=1\n" * 80)
    arguments = ("eval", "p.npy", "y.npy", "-l", "mse", "-o", str(host), "-b")
    done = shell('ulimit -f 1 && exec "$@"', folder, *arguments, GITHUB_OUTPUT=str(host), PYTHONDONTWRITEBYTECODE="1")
    assert "too large" in refused(done, ENVIRONMENT)
    assert host.read_text() == "earlier=1\n" * 80


# ---- files that cannot be read or written now, as some file systems of a network have it

BUSY = """
import io
import lossctl.sources.input_file as files
class Busy(io.FileIO):
    def readinto(self, buffer):
        return None
files._open_regular = lambda path: Busy(path)
"""


@pytest.mark.parametrize("name", ["t.csv", "t.arrow"])
def test_what_cannot_be_read_now_is_no_change_of_the_file(name: str, folder: Path) -> None:
    line = refused(python(BUSY, folder, "eval", name, *TABLE), DATA)
    assert line == f"cannot read {name}: resource temporarily unavailable"


def test_what_cannot_be_written_now_is_not_tried_for_ever(tmp_path: Path) -> None:
    class Busy(FileIO):
        def write(self, content: Any, /) -> None:  # type: ignore[override]
            """As Python has it."""

    with Busy(tmp_path / "file", "wb") as busy, pytest.raises(BlockingIOError, match="unavailable"):
        write_all(busy, b"content")


# ---- files that cannot be closed, and code that does not end as code should

UNCLOSED = """
import errno, io, os
import lossctl.sources.input_file as files
class Unclosed(io.FileIO):
    def close(self):
        was_open = not self.closed
        super().close()
        if was_open:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
files._open_regular = lambda path: Unclosed(path)
"""


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.arrow"])
def test_what_has_been_read_may_fail_to_be_closed(name: str, folder: Path) -> None:
    done = python(UNCLOSED, folder, "eval", name, *TABLE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.40625\n", "")


def test_a_loss_of_ones_own_that_raises_what_is_no_exception(folder: Path) -> None:
    (folder / "own.py").write_text("raise GeneratorExit\n")
    done = process("eval", "p.npy", "y.npy", "-l", "own.py:f", cwd=folder)
    assert "GeneratorExit" in refused(done, 70)
    done = shell('"$@" 2> /dev/full', folder, "eval", "p.npy", "y.npy", "-l", "own.py:f", "--debug")
    assert done.returncode == 70


@pytest.mark.parametrize("when", ["", "def f(prediction, target):\n    "])
def test_a_signal_while_a_file_of_losses_is_run_is_no_fault_of_it(when: str, folder: Path) -> None:
    (folder / "own.py").write_text(f"import os, time\n{when}os.kill(os.getpid(), 15); time.sleep(1)\n")
    done = process("eval", "p.npy", "y.npy", "-l", "own.py:f", cwd=folder)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")


@pytest.mark.parametrize(
    ("content", "arguments", "code"),
    [
        ("a\nb\n", ("eval", "p.csv", "y.csv", "--classes", "pipe", "--class-weights", "link"), USAGE),
        ("a\nb\n", ("eval", "p.csv", "pipe", "--classes", "./pipe"), USAGE),
        ("y\n0\n1\n", ("batch", "pipe", "p.csv", "--targets", "pipe", "--target-format", "csv"), DATA),
    ],
    ids=["classes and weights", "classes and targets", "batch and its targets"],
)
def test_a_pipe_that_stands_twice(content: str, arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """Whoever opens it again waits for a writer that has gone."""
    (tmp_path / "p.csv").write_text("a,b\n0.5,0.5\n0.5,0.5\n")
    (tmp_path / "y.csv").write_text("y\n0\n1\n")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=(content,), daemon=True)
    writer.start()
    words = command(*arguments, "--pred-col", "a,b", "--loss", "scce", "--backend", "python")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == code
    assert " is a pipe and can be read once; name a file where it stands again" in done.stderr
