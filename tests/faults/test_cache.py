"""Compiled code on disk that is damaged, or cannot be kept: the same bits, exit 0, nothing left behind; only slower."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and files of Linux")

WORDS = ("eval", "p.npy", "y.npy", "-l", "max_error", "-b", "--backend", "cpu")
ROWS = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Predictions, targets, and `warm`, a cache with the code that they take."""
    folder = tmp_path_factory.mktemp("cache")
    random = np.random.default_rng(0)
    np.save(folder / "p.npy", random.normal(size=ROWS))
    np.save(folder / "y.npy", random.normal(size=ROWS))
    evaluate(folder, folder / "warm")
    assert files_of(folder / "warm")
    return folder


@pytest.fixture(scope="module")
def value(folder: Path) -> str:
    """What is printed, found without compiled code."""
    difference = np.load(folder / "p.npy") - np.load(folder / "y.npy")
    return f"{float(np.abs(difference).max())!r}\n"


def started(folder: Path, cache: Path, *before: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "LOSSCTL_CACHE_DIR": str(cache)}
    words = [*before, *command(*WORDS)]
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def evaluate(folder: Path, cache: Path, *before: str) -> str:
    """What an evaluation with this cache prints; it ends well and says nothing else."""
    running = started(folder, cache, *before)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, err) == (0, "")
    return out


def files_of(cache: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cache.iterdir() if path.is_file()}


@pytest.fixture
def warm(folder: Path, tmp_path: Path) -> Path:
    """A copy of the cache that has what is needed."""
    return shutil.copytree(folder / "warm", tmp_path / "cache")


def replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def content(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "a flipped bit": content(lambda whole: whole[:500] + bytes([whole[500] ^ 16]) + whole[501:]),
    "half of it": content(lambda whole: whole[: len(whole) // 2]),
    "nothing": content(lambda whole: b""),
    "without end": lambda path: os.truncate(path, 1 << 40),
    "a file that may not be read": lambda path: path.chmod(0),
    "a pipe": replaced(os.mkfifo),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "a link to a device": replaced(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_code_is_compiled_again_and_kept_again(damage: str, warm: Path, folder: Path, value: str) -> None:
    whole = files_of(warm)
    for name in whole:
        DAMAGE[damage](warm / name)
    assert evaluate(folder, warm) == value
    for path in warm.iterdir():
        path.chmod(0o600)
    assert files_of(warm) == whole


def test_a_folder_in_place_of_the_code(warm: Path, folder: Path, value: str) -> None:
    names = list(files_of(warm))
    for name in names:
        (warm / name).unlink()
        (warm / name).mkdir()
    for _ in range(2):
        assert evaluate(folder, warm) == value
        assert sorted(path.name for path in warm.iterdir()) == sorted(names)


# ---- places where nothing can be kept


@pytest.mark.parametrize("place", ["/dev/full", "/dev/null/cache", "/sys"])
def test_where_there_can_be_no_folder(place: str, folder: Path, value: str) -> None:
    assert evaluate(folder, Path(place)) == value


def test_a_file_in_place_of_the_folder(folder: Path, tmp_path: Path, value: str) -> None:
    cache = tmp_path / "cache"
    cache.write_text("mine")
    assert evaluate(folder, cache) == value
    assert cache.read_text() == "mine"


def test_a_folder_that_may_not_be_written(warm: Path, folder: Path, tmp_path: Path, value: str) -> None:
    for cache in (warm, tmp_path / "empty"):
        cache.mkdir(exist_ok=True)
        cache.chmod(0o500)
        assert evaluate(folder, cache) == value
        assert all(not path.name.startswith(".") for path in cache.iterdir())
        cache.chmod(0o700)


def test_a_disk_without_room(folder: Path, tmp_path: Path, value: str) -> None:
    """A file may grow to half a kilobyte: that is no room for code."""
    cache = tmp_path / "cache"
    # Python would cut its own files of bytecode short as well, and trip over them later.
    limited = ("sh", "-c", 'ulimit -f 1 && export PYTHONDONTWRITEBYTECODE=1 && exec "$@"', "sh")
    for _ in range(2):
        assert evaluate(folder, cache, *limited) == value
        assert list(cache.iterdir()) == []
    environment = {**os.environ, "LOSSCTL_CACHE_DIR": str(cache)}
    words = [*limited, *command("warmup", "--loss", "max_error", "-q")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout) == (4, "")
    assert "compiled functions could not be kept in" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(cache.iterdir()) == []


# ---- other processes


def test_processes_that_compile_at_once(folder: Path, tmp_path: Path, value: str) -> None:
    cache = tmp_path / "cache"
    running = [started(folder, cache) for _ in range(2)]
    assert [each.communicate(timeout=120) for each in running] == [(value, "")] * 2
    assert files_of(cache) == files_of(folder / "warm")


# Runs the command line; when it puts a file of code in its place, it is ended without a word.
KILLED = """
import os, signal
def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)
os.{step} = end
from lossctl.__main__ import main
main()
"""


@pytest.mark.parametrize("step", ["fchmod", "replace"])
def test_a_process_that_is_killed_while_it_keeps_code(step: str, folder: Path, tmp_path: Path, value: str) -> None:
    cache = tmp_path / "cache"
    words = [sys.executable, "-c", KILLED.format(step=step), *WORDS]
    environment = {**os.environ, "LOSSCTL_CACHE_DIR": str(cache)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    (left,) = cache.iterdir()
    assert left.name.startswith(".")
    long_ago = time.time() - 86400
    os.utime(left, (long_ago, long_ago))
    assert evaluate(folder, cache) == value
    assert files_of(cache) == files_of(folder / "warm")
