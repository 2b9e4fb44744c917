"""The distributions, the README's commands and the layers."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossctl._version import __version__

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "kernels" / "lossctl_kernels"
PACKAGES = {"lossctl": ROOT / "lossctl", "lossctl_kernels": KERNELS}
SDIST_FOLDERS = (".ci", "benchmarks", "docs", "kernels", "lossctl", "sample_data", "scripts", "tests")
SH_BLOCKS = re.findall(
    r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


def files_under(folder: Path) -> Iterator[Path]:
    """The files in `folder`, at any depth, but for what tools leave there."""
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution, built without a network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(dist / f"lossctl-{__version__}-py3-none-any.whl") as archive:
        yield archive


def test_wheel_holds_the_two_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    info = f"lossctl-{__version__}.dist-info"
    expected = {
        f"{package}/{path.relative_to(folder)}" for package, folder in PACKAGES.items() for path in files_under(folder)
    }
    names = set(wheel.namelist())
    assert {name for name in names if not name.startswith(f"{info}/")} == expected
    assert {f"{info}/licenses/LICENSE", f"{info}/METADATA", f"{info}/entry_points.txt"} <= names


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    info = f"lossctl-{__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    required = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert sorted(required) == ["numba", "numpy", "pandas", "pyarrow", "rich", "typer"]
    assert {"cuda", "dev", "test"} <= set(re.findall(r"^Provides-Extra: (\w+)$", metadata, re.MULTILINE))
    assert "\nLicense-Expression: MIT\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "lossctl = lossctl.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_sdist_holds_all_that_development_needs(dist: Path) -> None:
    prefix = f"lossctl-{__version__}/"
    with tarfile.open(dist / f"lossctl-{__version__}.tar.gz") as archive:
        names = {name.removeprefix(prefix) for name in archive.getnames()}
    expected = {str(path.relative_to(ROOT)) for folder in SDIST_FOLDERS for path in files_under(ROOT / folder)}
    top = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "pyproject.toml"}
    assert expected | top <= names


@pytest.mark.parametrize("package", PACKAGES)
def test_package_is_typed(package: str, wheel: zipfile.ZipFile) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_readme_first_command_ends_with_the_main_job() -> None:
    venv, install, job = SH_BLOCKS[0].replace("\\\n", "").split("&&")
    assert shlex.split(venv) == ["python3", "-m", "venv", ".venv"]
    assert shlex.split(install) == [".venv/bin/pip", "install", "."]
    program, command, predictions, labels, *options = shlex.split(job)
    assert (program, command, options) == (".venv/bin/lossctl", "eval", ["--loss", "bce"])
    assert (ROOT / predictions).is_file()
    assert (ROOT / labels).is_file()


def test_readme_second_command_ends_with_the_tests() -> None:
    venv, install, tests = SH_BLOCKS[1].replace("\\\n", "").split("&&")
    assert shlex.split(venv) == ["python3", "-m", "venv", ".venv"]
    assert shlex.split(install) == [".venv/bin/pip", "install", "--editable", ".[test]"]
    assert shlex.split(tests) == [".venv/bin/python", "-m", "pytest", "-n", "auto"]


def imported_modules(source: str) -> set[str]:
    """The top-level names of all modules that `source` imports, at any depth; relative imports are left out."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            modules.add(node.module.partition(".")[0])
    return modules


def test_imported_modules_sees_every_form() -> None:
    source = "import a.b, c as d\nfrom e.f import g\nfrom . import h\ndef i():\n    import lossctl.errors\n"
    assert imported_modules(source) == {"a", "c", "e", "lossctl"}


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.py")), ids=lambda path: str(path.relative_to(KERNELS)))
def test_kernels_import_numerics_only(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"lossctl_kernels", "llvmlite", "numba", "numba_cuda", "numpy"}
    assert imported_modules(path.read_text(encoding="utf-8")) <= allowed


def test_import_lossctl_is_light() -> None:
    heavy = {"numba", "numpy", "pandas", "pyarrow", "rich", "typer"}
    command = f"import sys, lossctl; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
