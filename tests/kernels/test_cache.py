"""The cache of compiled kernels, across processes: found again, never stale, never in the way.

Each process runs a copy of the package with a cache folder of its own, and prints one value of a loss, a gradient, and
what its cache did.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

import lossctl_kernels
from lossctl_kernels import cache

numba = pytest.importorskip("numba")
pytestmark = [
    pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT leaves nothing to cache"),
    pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX"),
]
not_root = pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() == 0, reason="root may write anywhere")

# Block functions only: the drivers of the backend are cached in the same way and take seconds to compile.
SCRIPT = """
import sys
import numpy as np
from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.cache import KernelCache, cache_folder
from lossctl_kernels.kernels import block_function

def run(plan, program, prediction, target):
    prediction, target = np.array(prediction), np.array(target)
    numbers, weights, result = plan.vector(program), plan.class_weights, np.empty(prediction.size)
    fill = block_function(plan, program, "float64")
    arrays = (prediction, target, weights, numbers, result)
    fill(len(prediction), plan.width, *(array.ctypes.data for array in arrays))
    return result[0].item()

name = sys.argv[1]
plan = Plan(resolve(LOSSES[name], {}), 1 if name in ("mse", "log_cosh") else 2)
data = ([3.0], [1.0]) if plan.width == 1 else ([[0.25, 0.75]], [0])
print(*(run(plan, program, *data) for program in (plan.value, plan.gradient)[: int(sys.argv[2])]))
print(KernelCache.hits, KernelCache.misses)
print(cache_folder())
"""
PACKAGE = Path(lossctl_kernels.__file__).parent


@dataclass
class Outcome:
    values: list[float]
    hits: int
    misses: int
    folder: str


@dataclass
class Machine:
    """A copy of the package, a cache folder, and an environment to run it in."""

    root: Path

    @property
    def package(self) -> Path:
        return self.root / "source" / "lossctl_kernels"

    @property
    def folder(self) -> Path:
        return self.root / "cache"

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Of this process, with the copy in front; None removes a variable."""
        base = {
            **os.environ,
            "PYTHONPATH": str(self.package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LOSSCTL_CACHE_DIR": str(self.folder),
            **changes,
        }
        return {name: value for name, value in base.items() if value is not None}

    def start(self, loss: str = "mse", programs: int = 2, **changes: str | None) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", SCRIPT, loss, str(programs)]
        pipe = subprocess.PIPE
        environment = self.environment(**changes)
        return subprocess.Popen(command, env=environment, cwd=self.root, stdout=pipe, stderr=pipe, text=True)

    def run(self, loss: str = "mse", programs: int = 2, **changes: str | None) -> Outcome:
        return outcome(self.start(loss, programs, **changes))

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir()) if self.folder.exists() else []

    def edit(self, name: str, old: str, new: str) -> None:
        """Replaces text in a source file, and gives the file its old time stamps and length back."""
        path = self.package / name
        facts, text = path.stat(), path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        assert len(old) == len(new)
        path.write_text(text.replace(old, new), encoding="utf-8")
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def outcome(process: subprocess.Popen[str]) -> Outcome:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert not errors
    values, counts, folder = out.splitlines()
    hits, misses = map(int, counts.split())
    return Outcome([float(value) for value in values.split()], hits, misses, folder)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    shutil.copytree(PACKAGE, made.package, ignore=shutil.ignore_patterns("__pycache__"))
    return made


def test_the_second_process_finds_what_the_first_compiled(machine: Machine) -> None:
    first, second = machine.run(), machine.run()
    assert first.values == second.values == [4.0, 4.0]
    assert (first.hits, first.misses) == (0, 2)
    assert (second.hits, second.misses) == (2, 0)
    assert first.folder == str(machine.folder)
    files = machine.files()
    assert len(files) == 2
    assert all(path.suffix == ".kernel" for path in files)
    assert stat.S_IMODE(machine.folder.stat().st_mode) == 0o700
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files)


EDITS: list[tuple[str, str, str, str, list[float]]] = [
    ("losses/regression.py", "    return 2.0 * (prediction", "    return 3.0 * (prediction", "mse", [4.0, 6.0]),
    ("scalar.py", "    return x * x\n", "    return x + x\n", "mse", [4.0, 4.0]),
    ("program.py", "(value(a),) + a[1:]", "(value(a),) + a[1:]", "mse", [4.0, 4.0]),
]


def test_an_edited_definition_is_never_its_old_code(machine: Machine) -> None:
    """Not even with the file's old time stamps and length; and undone, the old code is found again."""
    old, new = "return 2.0 * (prediction - target)", "return 3.0 * (prediction - target)"
    assert machine.run().values == [4.0, 4.0]
    machine.edit("losses/regression.py", old, new)
    edited = machine.run()
    assert (edited.values, edited.hits) == ([4.0, 6.0], 0)
    machine.edit("losses/regression.py", new, old)
    undone = machine.run()
    assert (undone.values, undone.misses) == ([4.0, 4.0], 0)


def test_an_edited_elementary_function_is_never_its_old_code(machine: Machine) -> None:
    before = machine.run("mse", 1)
    machine.edit("scalar.py", "    return x * x\n", "    return x + x\n")
    after = machine.run("mse", 1)
    assert (before.values, after.values, after.hits) == ([4.0], [4.0], 0)
    machine.edit("scalar.py", "    return x + x\n", "    return x - x\n")
    assert machine.run("mse", 1).values == [0.0]


def test_an_edited_loop_is_never_its_old_code(machine: Machine) -> None:
    """What writes the loops decides the machine code as much as a definition does."""
    before = machine.run("scce", 1)
    machine.edit("loops.py", 'constant(DOUBLE, 1.0)]\n            self.store(self.results, i', 'constant(DOUBLE, 2.0)]\n            self.store(self.results, i')
    after = machine.run("scce", 1)
    assert (before.values, after.values, after.hits) == (before.values, before.values, 0)


def damage_by(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


DAMAGE = {
    "empty": damage_by(lambda content: b""),
    "a digest alone": damage_by(lambda content: content[:32]),
    "cut short": damage_by(lambda content: content[: len(content) // 2]),
    "a flipped bit": damage_by(lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:]),
    "noise": damage_by(lambda content: b"\x80\x04noise." * 100),
}


def test_damaged_files_are_compiled_again(machine: Machine) -> None:
    machine.run("mse", 1)
    (file,) = machine.files()
    for change in DAMAGE.values():
        change(file)
        again = machine.run("mse", 1)
        assert (again.values, again.hits, again.misses) == ([4.0], 0, 1)
        assert machine.files() == [file]
    assert machine.run("mse", 1).hits == 1


def test_a_folder_in_place_of_a_file_is_no_error(machine: Machine) -> None:
    machine.run("mse", 1)
    (file,) = machine.files()
    file.unlink()
    file.mkdir()
    assert machine.run("mse", 1).values == [4.0]
    assert machine.files() == [file]


def test_four_processes_at_once_leave_whole_files_and_nothing_else(machine: Machine) -> None:
    processes = [machine.start() for _ in range(4)]
    outcomes = [outcome(process) for process in processes]
    assert all(one.values == [4.0, 4.0] for one in outcomes)
    assert len(machine.files()) == 2
    assert all(path.suffix == ".kernel" for path in machine.files())
    assert machine.run().hits == 2


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_not_used(machine: Machine, mode: int) -> None:
    machine.folder.mkdir()
    machine.folder.chmod(mode)
    found = machine.run("mse", 1)
    assert (found.values, found.folder) == ([4.0], "None")
    assert not machine.files()


def test_a_link_to_a_folder_is_not_used(machine: Machine) -> None:
    (machine.root / "elsewhere").mkdir(mode=0o700)
    machine.folder.symlink_to(machine.root / "elsewhere")
    assert machine.run("mse", 1).folder == "None"
    assert not any((machine.root / "elsewhere").iterdir())


def test_a_file_in_place_of_the_folder_is_no_error(machine: Machine) -> None:
    machine.folder.write_text("not a folder")
    found = machine.run("mse", 1)
    assert (found.values, found.folder) == ([4.0], "None")


@not_root
def test_a_folder_that_cannot_be_written_is_no_error(machine: Machine) -> None:
    machine.folder.mkdir(mode=0o500)
    found = machine.run("mse", 1)
    assert (found.values, found.folder) == ([4.0], "None")


def test_without_a_home_the_folder_for_temporary_files_is_used(machine: Machine) -> None:
    temporary = machine.root / "temporary"
    temporary.mkdir()
    nowhere = {"LOSSCTL_CACHE_DIR": None, "XDG_CACHE_HOME": None, "TMPDIR": str(temporary)}
    found = machine.run("mse", 1, HOME="/proc/nonexistent", **nowhere)
    assert found.values == [4.0]
    assert found.folder == str(temporary / f"lossctl-{os.getuid()}")
    assert machine.run("mse", 1, HOME="/proc/nonexistent", **nowhere).hits == 1


def test_with_nowhere_to_write_nothing_is_kept_and_nothing_fails(machine: Machine) -> None:
    """No home, and a file where the temporary folder should be: everything else is a place of this machine."""
    script = f"import tempfile; tempfile.tempdir = '/proc/nonexistent'\\n{SCRIPT}"
    environment = machine.environment(LOSSCTL_CACHE_DIR=None, XDG_CACHE_HOME=None, HOME="/proc/nonexistent")
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", script.replace("\\n", "\n"), "mse", "1"],
        env=environment, cwd=machine.root, stdout=pipe, stderr=pipe, text=True,
    )  # fmt: skip
    found = outcome(process)
    assert (found.values, found.folder, found.hits) == ([4.0], "None", 0)


def test_a_missing_home_is_that_of_the_user(machine: Machine, tmp_path: Path) -> None:
    found = machine.run("mse", 1, HOME=None, LOSSCTL_CACHE_DIR=None, XDG_CACHE_HOME=str(tmp_path / "xdg"))
    assert (found.values, found.folder) == ([4.0], str(tmp_path / "xdg" / "lossctl"))


# ---- in this process


@pytest.fixture
def _forgetful() -> None:
    cache.cache_folder.cache_clear()


@pytest.mark.usefixtures("_forgetful")
@pytest.mark.parametrize("relative", ["relative", ""])
def test_a_relative_cache_home_is_ignored(relative: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert cache.cache_folder() == tmp_path / ".cache" / "lossctl"
    cache.cache_folder.cache_clear()


@pytest.mark.usefixtures("_forgetful")
def test_the_folder_of_another_user_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSCTL_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    assert cache.cache_folder() is None
    cache.cache_folder.cache_clear()


def test_a_write_that_fails_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        cache.write_whole(tmp_path / "file.kernel", b"content")
    assert not list(tmp_path.iterdir())
