"""The text that a loss consists of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lossctl.own.sources import source_digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with modules that import each other, imported."""
    folder = tmp_path / "digested"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "far.py").write_text("X = 1\n")
    (folder / "near.py").write_text("from .far import X\nimport numpy, os\n")
    (folder / "unused.py").write_text("")
    (folder / "main.py").write_text("from .near import X\nfrom . import near\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("digested.main")
    yield folder
    for name in [name for name in sys.modules if name.startswith("digested")]:
        del sys.modules[name]


def digest(folder: Path) -> str:
    path = folder / "main.py"
    return source_digest(str(path), path.read_bytes(), "digested")


def test_what_is_imported_counts_and_nothing_else(package: Path) -> None:
    first = digest(package)
    assert len(first) == 16
    assert digest(package) == first
    (package / "unused.py").write_text("Y = 1\n")
    assert digest(package) == first
    for name in ("far.py", "near.py", "main.py"):
        path = package / name
        path.write_text(path.read_text() + "\n")
        changed = digest(package)
        assert changed != first
        first = changed


def test_names_that_lead_nowhere_are_passed_over() -> None:
    text = b"import no_such_module.of.mine\nfrom . import x\nfrom lossctl import definitions\n"
    assert source_digest("file.py", text, "") != source_digest("file.py", text + b"\n", "")
