"""Processes that share tasks: whatever becomes of them, it is known what they did, and none of them stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Timer, main_thread

import pytest

from lossctl.worker_processes import done_by

HOUR = 3600
FROM = "from lossctl.worker_processes import work_through; "
SLEEP = FROM + "import time; work_through(time.sleep)"
WAIT = """
import pathlib, time
from lossctl.worker_processes import work_through
def run(task):
    (pathlib.Path(folder) / str(task)).touch()
    while not (pathlib.Path(folder) / str(1 - task)).exists():
        time.sleep(0.01)
work_through(run)
"""


def test_every_task_is_done_once() -> None:
    assert sorted(done_by(3, FROM + "work_through(bin)", range(50_000))) == list(range(50_000))


def test_by_several_at_a_time(tmp_path: Path) -> None:
    """Each task waits for the other one."""
    assert sorted(done_by(2, f"folder = {str(tmp_path)!r}{WAIT}", [0, 1])) == [0, 1]


def test_what_is_run_may_read_and_print() -> None:
    code = FROM + "work_through(lambda task: (print('x' * task), input() if task == 3 else 0))"
    assert sorted(done_by(1, code, range(10))) == [0, 1, 2]  # there is nothing to be read


@pytest.mark.parametrize(
    "run",
    ["lambda task: 1 // (task - 2)", "lambda task: task == 2 and os._exit(0)", "lambda task: task == 2 and os.abort()"],
)
def test_a_process_that_ends_leaves_the_rest(run: str) -> None:
    assert list(done_by(1, FROM + f"import os; work_through({run})", range(5))) == [0, 1]


@pytest.mark.parametrize("code", ["not Python", "import sys; sys.exit()"])
def test_processes_that_do_not_begin(code: str) -> None:
    assert list(done_by(2, code, range(50_000))) == []


def test_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "not_there")
    assert list(done_by(2, SLEEP, [0])) == []


def test_nothing_of_the_current_folder_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "struct.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert list(done_by(1, FROM + "work_through(bin)", [7])) == [7]


MARK = f"# {time.time_ns()}"
"""In the code of processes of this test."""


def sleeping() -> int:
    """How many processes there are that have an hour to sleep."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            lines.append((process / "cmdline").read_text())
    return sum(line.endswith(f"{MARK}\0") for line in lines)


def all_end() -> bool:
    until = time.monotonic() + 60
    while sleeping() and time.monotonic() < until:
        time.sleep(0.05)
    return not sleeping()


linux = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")


@linux
def test_an_interrupt_ends_them() -> None:
    with closing(done_by(2, SLEEP + MARK, [0, HOUR, HOUR])) as done, suppress(KeyboardInterrupt):
        assert next(done) == 0
        assert sleeping() == 2
        Timer(0.2, signal.pthread_kill, [main_thread().ident, signal.SIGINT]).start()
        next(done)
    assert all_end()


# Is ended without a word while they are at work.
KILLED = f"""
import os
from lossctl.worker_processes import done_by
for _ in done_by(2, {SLEEP + MARK!r}, [0, {HOUR}, {HOUR}]):
    os.kill(os.getpid(), 9)
"""


@linux
def test_they_end_with_the_one_that_began_them() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert all_end()
