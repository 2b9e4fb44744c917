"""The cache of compiled kernels, across processes: found again, never stale, never in the way.

Each process runs a copy of the package with a cache folder of its own, and prints one value of a loss, a gradient, and
what its cache did.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import lossctl_kernels

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")


SCRIPT = """
import json
import sys
import numpy as np
from lossctl_kernels import LOSSES, Plan, objects, resolve
from lossctl_kernels.cache import cache_folder
from lossctl_kernels.recipes import recipe_of
from lossctl_kernels.roads import block_function

def run(plan, program, prediction, target):
    recipe = recipe_of(plan, program, "float64")
    result = np.empty(16)
    arrays = [
        np.array(prediction), np.array(target), plan.class_weights, plan.vector(program),
        np.array([-1e9, 1e9, -1e9, 1e9, -1.0, -1.0]), np.ones(16), result, np.zeros(16),
    ]
    places = np.array([[array.ctypes.data, 0] for array in arrays])
    hits = objects.find(recipe) is not None
    block_function(recipe)(len(prediction), plan.width, 4096, places, 1, ())
    return result[0].item(), hits

name = sys.argv[1]
plan = Plan(resolve(LOSSES[name], json.loads(sys.argv[3])), 1 if name == "mse" else 2)
data = ([3.0], [1.0]) if plan.width == 1 else ([[0.25, 0.75]], [0])
ran = [run(plan, program, *data) for program in (plan.value, plan.gradient)[: int(sys.argv[2])]]
print(*(value for value, _ in ran))
print(sum(hit for _, hit in ran), sum(not hit for _, hit in ran))
print(cache_folder())
print("numba" in sys.modules)
"""
PACKAGE = Path(lossctl_kernels.__file__).parent


Variables = Mapping[str, str | None]
DEFAULTS: Variables = {}


@dataclass(frozen=True)
class Run:
    """This many programs of a loss, value then gradient; `before` is Python to run first."""

    loss: str = "mse"
    programs: int = 2
    options: Mapping[str, str] = field(default_factory=dict)
    before: str = ""


VALUE, BOTH = Run(programs=1), Run()


@dataclass
class Outcome:
    values: list[float]
    hits: int
    misses: int
    folder: str
    used_numba: bool


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

    def environment(self, changes: Variables) -> dict[str, str]:
        """Of this process, with the copy in front; None removes a variable."""
        base = {
            **os.environ,
            "PYTHONPATH": str(self.package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LOSSCTL_CACHE_DIR": str(self.folder),
            **changes,
        }
        return {name: value for name, value in base.items() if value is not None}

    def start(self, run: Run, changes: Variables) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", run.before + SCRIPT]
        command += [run.loss, str(run.programs), json.dumps(run.options)]
        pipe, environment = subprocess.PIPE, self.environment(changes)
        return subprocess.Popen(command, env=environment, cwd=self.root, stdout=pipe, stderr=pipe, text=True)

    def run(self, run: Run, changes: Variables = DEFAULTS) -> Outcome:
        return outcome(self.start(run, changes))

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
    values, counts, folder, used_numba = out.splitlines()
    hits, misses = map(int, counts.split())
    return Outcome([float(value) for value in values.split()], hits, misses, folder, used_numba == "True")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    shutil.copytree(PACKAGE, made.package, ignore=shutil.ignore_patterns("__pycache__"))
    return made


def test_the_second_process_finds_what_the_first_compiled(machine: Machine) -> None:
    first, second = machine.run(BOTH), machine.run(BOTH)
    assert first.values == second.values == [4.0, 4.0]
    assert (first.hits, first.misses) == (0, 2)
    assert (second.hits, second.misses) == (2, 0)
    assert first.used_numba
    assert not second.used_numba
    assert first.folder == str(machine.folder)
    files = machine.files()
    assert len(files) == 2
    assert all(path.suffix == ".object" for path in files)
    assert stat.S_IMODE(machine.folder.stat().st_mode) == 0o700
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in files)


def test_an_edited_definition_is_never_its_old_code(machine: Machine) -> None:
    """Not even with the file's old time stamps and length; and undone, the old code is found again."""
    old, new = "return 2.0 * (prediction - target)", "return 3.0 * (prediction - target)"
    assert machine.run(BOTH).values == [4.0, 4.0]
    machine.edit("losses/regression.py", old, new)
    edited = machine.run(BOTH)
    assert (edited.values, edited.hits) == ([4.0, 6.0], 0)
    machine.edit("losses/regression.py", new, old)
    undone = machine.run(BOTH)
    assert (undone.values, undone.misses) == ([4.0, 4.0], 0)


def test_an_edited_elementary_function_is_never_its_old_code(machine: Machine) -> None:
    assert machine.run(VALUE).values == [4.0]
    machine.edit("primitives.py", "    return x * x\n", "    return x - x\n")
    after = machine.run(VALUE)
    assert (after.values, after.hits) == ([0.0], 0)


def test_an_edited_transformation_is_never_its_old_code(machine: Machine) -> None:
    weighted = Run("scce", 1, {"class_weight": "2|3"})
    assert machine.run(weighted).values == pytest.approx([2.0 * math.log(4.0)])
    machine.edit("transforms.py", "    return target * class_weight\n", "    return target + class_weight\n")
    after = machine.run(weighted)
    assert after.values == pytest.approx([3.0 * math.log(4.0)])
    assert after.hits == 0


def test_sources_that_change_under_a_process_are_not_mistaken_for_its_code(machine: Machine) -> None:
    """An upgrade after the start of a process and before it compiles: the new digest is not that of the old code."""
    path = machine.package / "primitives.py"
    new = path.read_text(encoding="utf-8").replace("    return x * x\n", "    return x - x\n")
    upgrade = f"import pathlib\nfrom lossctl_kernels import LOSSES\npathlib.Path({str(path)!r}).write_text({new!r})\n"
    old = machine.run(Run(programs=1, before=upgrade))
    assert (old.values, old.hits) == ([4.0], 0)
    assert not machine.files()
    assert machine.run(VALUE).values == [0.0]


def test_code_of_sources_that_change_after_they_were_looked_at_is_not_kept(machine: Machine) -> None:
    """An upgrade between the digest and the import of the modules that write the code."""
    path = machine.package / "rows.py"
    upgrade = (
        "import pathlib, sys, lossctl_kernels.cache\n"
        "assert lossctl_kernels.cache.source_digest()\n"
        "assert 'lossctl_kernels.rows' not in sys.modules\n"
        f"path = pathlib.Path({str(path)!r})\npath.write_text(path.read_text() + '# new')\n"
    )
    assert machine.run(Run(programs=1, before=upgrade)).values == [4.0]
    assert not machine.files()


def test_four_processes_at_once_leave_whole_files_and_nothing_else(machine: Machine) -> None:
    processes = [machine.start(BOTH, DEFAULTS) for _ in range(4)]
    outcomes = [outcome(process) for process in processes]
    assert all(one.values == [4.0, 4.0] for one in outcomes)
    assert len(machine.files()) == 2
    assert all(path.suffix == ".object" for path in machine.files())
    assert machine.run(BOTH).hits == 2


NOWHERE: Variables = {"LOSSCTL_CACHE_DIR": None, "XDG_CACHE_HOME": None, "HOME": "/proc/nonexistent"}


def test_without_a_home_the_folder_for_temporary_files_is_used(machine: Machine) -> None:
    temporary = machine.root / "temporary"
    temporary.mkdir()
    nowhere = {**NOWHERE, "TMPDIR": str(temporary)}
    found = machine.run(VALUE, nowhere)
    assert found.values == [4.0]
    assert found.folder == str(temporary / f"lossctl-{os.getuid()}")
    assert machine.run(VALUE, nowhere).hits == 1


def test_with_nowhere_to_write_nothing_is_kept_and_nothing_fails(machine: Machine) -> None:
    no_temporary = Run(programs=1, before="import tempfile\ntempfile.tempdir = '/proc/nonexistent'\n")
    found = machine.run(no_temporary, NOWHERE)
    assert (found.values, found.folder, found.hits) == ([4.0], "None", 0)


def test_a_cache_home_serves_where_there_is_no_home(machine: Machine, tmp_path: Path) -> None:
    found = machine.run(VALUE, {"HOME": None, "LOSSCTL_CACHE_DIR": None, "XDG_CACHE_HOME": str(tmp_path / "xdg")})
    assert (found.values, found.folder) == ([4.0], str(tmp_path / "xdg" / "lossctl"))


@pytest.mark.parametrize("setting", ["NUMBA_CPU_NAME", "NUMBA_OPT"])
def test_code_for_another_processor_is_not_found(machine: Machine, setting: str) -> None:
    machine.run(VALUE)
    other = machine.run(VALUE, {setting: "generic" if setting == "NUMBA_CPU_NAME" else "2"})
    assert (other.values, other.hits) == ([4.0], 0)
    assert len(machine.files()) == 2
