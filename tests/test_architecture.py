"""The page on the architecture against the tree: every module that it names is there, and every module is named.

Also what the modules take from each other.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = {Path(name).name for name in re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)}

PACKAGES = [ROOT / "lossctl", ROOT / "kernels" / "lossctl_kernels"]


def rooms(package: Path) -> set[str]:
    """The modules and folders of a package; `__init__.py` and `_version.py` hold nothing of their own."""
    modules = {path.name for path in package.glob("*.py")} - {"__init__.py", "_version.py"}
    return modules | {path.parent.name for path in package.glob("*/__init__.py")}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_room_is_named(package: Path) -> None:
    assert not rooms(package) - NAMED


def test_every_module_that_is_named_is_there() -> None:
    there = {path.name for package in (*PACKAGES, ROOT / "benchmarks") for path in package.rglob("*")}
    assert {name for name in NAMED if name.endswith(".py")} <= there


def test_nothing_but_the_outermost_frame_knows_the_command_line() -> None:
    package = ROOT / "lossctl"
    knowing = {"cli", "__main__.py"}
    modules = (path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in knowing)
    assert not [path.name for path in modules if "lossctl.cli" in path.read_text(encoding="utf-8")]


# ---- what modules take from each other


def parsed(package: Path) -> dict[str, ast.Module]:
    """Every module, by the name that it is imported by."""
    found = {}
    for path in package.rglob("*.py"):
        name = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


MODULES = {name: tree for package in PACKAGES for name, tree in parsed(package).items()}
FOLDERS = {name.rpartition(".")[0] for name in MODULES}


def taken_by(module: str) -> set[tuple[str, str]]:
    """(another module, a name that it takes from there)."""
    imports = [each for each in ast.walk(MODULES[module]) if isinstance(each, ast.ImportFrom)]
    return {(origin(module, each), alias.name) for each in imports for alias in each.names}


def origin(module: str, imported: ast.ImportFrom) -> str:
    """The name in full of the module that something is imported from."""
    if not imported.level:
        return imported.module or ""
    up = imported.level - (module in FOLDERS)
    return ".".join([*module.split(".")[: len(module.split(".")) - up], *filter(None, [imported.module])])


TAKEN = {each for module in MODULES for each in taken_by(module) if ".".join(each) not in MODULES}


def listed(module: str) -> set[str]:
    """What `__all__` of a module holds."""
    assigned = [each for each in MODULES[module].body if isinstance(each, ast.Assign)]
    lists = [each.value for each in assigned if ast.unparse(each.targets[0]) == "__all__"]
    return {name for each in lists for name in ast.literal_eval(each)}


def test_names_with_an_underscore_stay_in_their_module() -> None:
    ours = {(source, name) for source, name in TAKEN if source in MODULES and not name.startswith("__")}
    assert {("lossctl.errors", "visible"), ("lossctl_kernels.spec", "Scope")} < ours
    assert not [(source, name) for source, name in ours if name.startswith("_")]


@pytest.mark.parametrize("module", [module for module in MODULES if listed(module)])
def test_a_list_of_names_gives_on_those_of_other_modules_and_is_whole(module: str) -> None:
    assert listed(module) & {name for _, name in taken_by(module)}, "it gives on nothing: leave the list out"
    assert {name for source, name in TAKEN if source == module and not name.startswith("__")} <= listed(module)
