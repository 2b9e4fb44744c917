"""A folder for compiled code that one test has to itself."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from lossctl_kernels import cache as files

NOWHERE = Path("/dev/null/cache")
"""No folder can be made there."""


def use_cache_folder(monkeypatch: pytest.MonkeyPatch, folder: Path, sources: str | None = None) -> None:
    """Code is kept in `folder` and found there, as that of these `sources` where they are given."""
    monkeypatch.setenv("LOSSCTL_CACHE_DIR", str(folder))
    monkeypatch.setattr(files, "cache_folder", cache(files.cache_folder.__wrapped__))
    if sources is not None:
        monkeypatch.setattr(files, "source_digest", lambda: sources)
