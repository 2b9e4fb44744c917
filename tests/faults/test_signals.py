"""Signals at the worst moments: before the first line, after the last, and where a library makes an error of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

SIGNALS = [signal.SIGINT, signal.SIGTERM]
NUMBERS = "eval", "p.npy", "y.npy", "-l", "mse", "-b", "--per-sample", "out/losses.npy"

# Runs the command line; `come` sends this process a signal.
RUN = """
import os, sys
import lossctl.__main__ as command_line
def come():
    os.kill(os.getpid(), {number})
    for _ in range(1000):
        pass
{when}
command_line.main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    np.save(tmp_path / "p.npy", np.full(500, 0.5))
    np.save(tmp_path / "y.npy", np.zeros(500))
    return tmp_path


def signalled(number: int, when: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", RUN.format(number=int(number), when=when), *NUMBERS]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def told(number: int) -> str:
    return "lossctl: interrupted\n" if number == signal.SIGINT else ""


WHILE_WRITING = """
from lossctl.writers import NpyWriter
NpyWriter._end = lambda self: come()
"""


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2])
def test_other_signals_that_end_a_process(number: int, folder: Path) -> None:
    """Of terminals and schedulers: by default they end it where it stands."""
    done = signalled(number, WHILE_WRITING, folder)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")
    assert os.listdir(folder / "out") == []


def test_the_limit_of_cpu_time(folder: Path) -> None:
    when = """
import resource
from lossctl.writers import NpyWriter
def work(self):
    resource.setrlimit(resource.RLIMIT_CPU, (0, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    while True:
        pass
NpyWriter._end = work
"""
    done = signalled(signal.SIGXCPU, when, folder)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "lossctl: the limit of CPU time is used up; raise ulimit -t\n"
    assert os.listdir(folder / "out") == []


WHILE_A_THREAD_WAITS = """
from threading import Event
from lossctl.sources.ahead import WorkedAhead
from lossctl.writers import NpyWriter
def wait(self):
    for answer in WorkedAhead(lambda _: Event().wait(), iter(range(3)), threads=2, ahead=2):
        pass
NpyWriter._end = wait
from threading import Timer
Timer(0.5, come).start()
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_server_that_never_answers(number: int, folder: Path) -> None:
    done = signalled(number, WHILE_A_THREAD_WAITS, folder)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", told(number))
    assert os.listdir(folder / "out") == []


LOST = {
    "made an error of the import": """
        raise ImportError("the library could not import a module")""",
    "made a failed read of it": """
        raise OSError(5, "Input/output error", "p.npy")""",
    "made a mistake of it": """
        raise ValueError("something went wrong")""",
}


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("lost", LOST)
def test_what_a_library_makes_of_a_signal_is_a_signal(lost: str, number: int, folder: Path) -> None:
    when = f"""
import lossctl.sources.input_file as files
def opened(path):
    try:
        come()
    except BaseException:{LOST[lost]}
files._open_regular = opened
"""
    done = signalled(number, when, folder)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", told(number))
    assert os.listdir(folder / "out") == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_nobody_heard_is_in_the_exit_code(number: int, folder: Path) -> None:
    when = """
import lossctl.sources.input_file as files
before = files._open_regular
def opened(path):
    try:
        come()
    except BaseException:
        files._open_regular = before
    return before(path)
files._open_regular = opened
"""
    done = signalled(number, when, folder)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "0.25\n", "")
    assert os.listdir(folder / "out") == ["losses.npy"]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["_set_up", "run", "release"])
def test_no_moment_is_too_early_or_too_late(moment: str, number: int, folder: Path) -> None:
    """Before the command line is looked at, after it has been followed, and when signals are given back."""
    after = "before(*arguments)" if moment != "_set_up" else "None"
    when = f"""
before = command_line.{moment}
def now(*arguments):
    command_line.{moment} = before
    code = {after}
    come()
    return code
command_line.{moment} = now
"""
    done = signalled(number, when, folder)
    # Once signals are given back, they end a process as they would any.
    assert done.returncode == (-number if moment == "release" else 128 + number)
    assert done.stderr == ""
    assert os.listdir(folder / "out") == ([] if moment == "_set_up" else ["losses.npy"])
