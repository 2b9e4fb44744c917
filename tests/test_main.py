"""The outermost frame, in processes of its own: streams, signals, surroundings, memory, exit codes."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import BINARY, EVAL, SAMPLES, command, process, sparse_npy

# ---- how the process is set up

MAIN = """
import atexit, gc, os, sys
from lossctl.__main__ import main
atexit.register(lambda: print(os.environ["OPENBLAS_NUM_THREADS"], gc.get_threshold()[0] > 700, gc.isenabled()))
sys.argv[0] = "lossctl"
main()
"""


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_what_costs_time_at_the_start_is_put_off(given: dict[str, str], expected: str) -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | given
    words = [sys.executable, "-c", MAIN, "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, env=surroundings)
    assert done.stdout.splitlines()[-1] == f"{expected} True True"


ARRAYS = """
import resource, sys
import numpy as np
from lossctl.process import own, reuse_memory
if sys.argv[1] == "owned":
    own()
reuse_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for array in [np.empty(2_000_000) for _ in range(3)]:
        array[::512] = 1.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks the GNU C library")
@pytest.mark.parametrize(("who", "fewest", "most"), [("owned", 0, 10), ("library", 24, 30_000)])
def test_arrays_have_the_memory_of_those_before_them(who: str, fewest: int, most: int) -> None:
    """Without asking the system for cleared pages, of 4 KiB or of 2 MiB; a library leaves its process as it is."""
    words = [sys.executable, "-c", ARRAYS, who]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert fewest <= int(done.stdout) <= most


# ---- streams


def test_the_module_and_the_function_are_one_command() -> None:
    assert process("--version").stdout == process("-V").stdout
    assert process("--version").stdout.startswith("lossctl ")
    assert process().stdout == process("--help").stdout
    done = process(*EVAL, "--score-only")
    assert (done.returncode, done.stderr) == (0, "")
    assert 0.07 < float(done.stdout) < 0.08


STREAMS = [("--version",), ("--help",), ("list",), EVAL]


@pytest.mark.parametrize("arguments", STREAMS, ids=lambda arguments: arguments[0])
def test_a_reader_that_leaves_ends_the_command_quietly(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(command(*arguments), stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", STREAMS, ids=lambda arguments: arguments[0])
def test_a_result_that_cannot_be_written_is_an_error(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert done.returncode == 4
    assert done.stderr == "lossctl: cannot write standard output: disk full; free some space or write to another disk\n"


def shell(line: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`line` in a shell, where "$@" is lossctl with `arguments`."""
    words = ["sh", "-c", line, "sh", *command(*arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("arguments", [("--version",), EVAL], ids=lambda arguments: arguments[0])
def test_closed_streams(arguments: tuple[str, ...]) -> None:
    for line in ('"$@" >&-', '"$@" >&- 2>&- <&-'):
        done = shell(line, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_message_never_goes_to_stdout() -> None:
    for line in ('"$@" 2>&-', '"$@" 2>/dev/full'):
        done = shell(line, "eval", "absent.npy", BINARY[1], "--loss", "bce")
        assert (done.returncode, done.stdout) == (3, "")


def test_a_warning_that_cannot_be_told_does_not_cost_the_result() -> None:
    logits = (BINARY[0], BINARY[1], "--loss", "bce", "--from-logits", "--score-only")
    told = process("eval", *logits)
    assert told.stderr.startswith("lossctl: warning: ")
    assert told.stderr.count("\n") == 1
    for line in ('"$@" 2>&-', '"$@" 2>/dev/full'):
        untold = shell(line, "eval", *logits)
        assert (untold.returncode, untold.stdout) == (0, told.stdout)


# ---- signals


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two arrays of 1 GB each that take no space."""
    folder = tmp_path_factory.mktemp("large")
    for name in ("p.npy", "y.npy"):
        sparse_npy(folder / name, 125_000_000)
    return folder


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["int", "term", "hup"]
)
def test_a_signal_ends_the_command_and_leaves_nothing(large: Path, tmp_path: Path, number: int, code: int) -> None:
    out = tmp_path / "losses.npy"
    words = command("eval", large / "p.npy", large / "y.npy", "-l", "mse", "--per-sample", out, "--backend", "python")
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        give_up = time.monotonic() + 30
        while not any(path.stat().st_size > 1 << 20 for path in tmp_path.iterdir()):
            assert time.monotonic() < give_up
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(number)
        shown, told = running.communicate(timeout=30)
    finally:
        running.kill()
    assert running.returncode == code
    assert shown == ""
    assert told in ("", "lossctl: interrupted\n")
    assert list(tmp_path.iterdir()) == []


# ---- memory

# Not ru_maxrss: a child begins with what its parent held before the fork.
PEAK = """
import sys
from lossctl.__main__ import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:")))
sys.exit(code)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="asks Linux for the peak")
@pytest.mark.parametrize("backend", ["cpu", "python"])
def test_memory_is_bounded_whatever_the_size_of_the_files(large: Path, backend: str) -> None:
    words = ["eval", str(large / "p.npy"), str(large / "y.npy"), "-l", "mse", "-b", "--backend", backend]
    done = subprocess.run([sys.executable, "-c", PEAK, *words], capture_output=True, text=True, check=True, timeout=120)
    value, megabytes = done.stdout.split()
    assert value == "0.0"
    assert float(megabytes) < 600


# ---- surroundings


@pytest.mark.parametrize("home", [None, "/nonexistent", "/dev/null"])
def test_no_home_is_no_error(home: str | None) -> None:
    surroundings = {name: value for name, value in os.environ.items() if name != "HOME"}
    surroundings |= {} if home is None else {"HOME": home}
    done = process(*EVAL, "--score-only", env=surroundings)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_cache_folder_that_cannot_be_written_gives_way_to_another(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()
    surroundings = {**os.environ, "XDG_CACHE_HOME": str(occupied), "HOME": str(occupied), "TMPDIR": str(tmp_path)}
    done = process("doctor", "--format", "json", env=surroundings)
    assert (done.returncode, done.stderr) == (0, "")
    cache = next(row["found"] for row in json.loads(done.stdout) if row["name"] == "cache")
    assert cache.startswith(str(tmp_path))


def test_a_folder_that_cannot_be_written_is_no_error_to_read_in(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", [0.5])
    tmp_path.chmod(0o555)
    try:
        done = process("eval", "p.npy", "p.npy", "-l", "mse", "-b", cwd=tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.0\n", "")


def test_a_pipe_is_plain_whatever_the_terminal_is_called() -> None:
    for changes in ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "40"}, {"TERM": "xterm-256color"}):
        done = process(*EVAL, "--format", "table", env={**os.environ, **changes})
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert "0.0798641" in done.stdout
        assert max(map(len, done.stdout.splitlines())) > 100  # the signature is not cut


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/p\xff.npy"
    with open(name, "wb") as handle:
        np.save(handle, [0.5])
    words = [os.fsencode(word) for word in command("eval")] + [name, name, b"-l", b"mse", b"--format", b"json"]
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    missing = subprocess.run([*words[:4], b"absent\xff.npy", *words[5:]], capture_output=True, check=False, timeout=60)
    assert missing.returncode == 3
    assert missing.stderr.count(b"\n") == 1
    assert b"absent" in missing.stderr


def test_checks_hold_without_assertions() -> None:
    words = [
        sys.executable,
        "-O",
        "-m",
        "lossctl",
        "eval",
        str(SAMPLES / "binary" / "logits.npy"),
        BINARY[1],
        "-l",
        "bce",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3
    assert "--from-logits" in done.stderr
