"""What `doctor` finds, also where things are missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import lossctl
from lossctl import health
from lossctl.backends import usable_threads


def test_what_is_there() -> None:
    found = health.examine()
    assert found["lossctl"] == lossctl.__version__
    assert found["threads"] == str(usable_threads())
    assert found["backend python"] == "ready"
    assert found["backend cpu"].startswith("ready, for ")
    assert "compiled functions" in found["cache"]
    assert all(found.values())


def test_what_is_missing_is_said_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "PACKAGES", ("numpy", "no-such-package-of-any-kind"))
    monkeypatch.setattr("lossctl_kernels.gpu.why_unavailable", lambda: "no driver")
    found = health.examine()
    assert found["no-such-package-of-any-kind"] == "not installed"
    assert found["backend cuda"].startswith("not usable: no driver")
    monkeypatch.setattr(health, "find_spec", lambda name: None)
    assert health.examine()["backend cuda"] == "not usable: no driver; pip install 'lossctl[cuda]'"
    monkeypatch.setattr("lossctl_kernels.gpu.why_unavailable", lambda: None)
    assert health.examine()["backend cuda"] == "ready"


def test_compiled_code_is_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("lossctl_kernels.cache.cache_folder", lambda: tmp_path)
    for name in ("a.object", "b.object", "c.kernel", "other"):
        (tmp_path / name).write_bytes(bytes(100_000))
    assert health.examine()["cache"] == f"{tmp_path}: 3 compiled functions, 0.3 MB"


def test_no_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl_kernels.cache.cache_folder", lambda: None)
    assert health.examine()["cache"].startswith("none: ")


def test_numba_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lossctl_kernels.kernels", None)
    monkeypatch.delattr("lossctl_kernels.kernels", raising=False)
    found = health.examine()
    assert found["backend cpu"].startswith("not usable: ")
    assert found["cache"] == "none"
