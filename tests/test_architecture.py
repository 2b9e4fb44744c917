"""The page on the architecture against the tree: every module that it names is there, and every module is named."""

from __future__ import annotations

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
