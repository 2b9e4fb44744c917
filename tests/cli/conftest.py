"""Files that are right and files that are wrong, small, in a folder that is the current one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import write_csv
from tests.cli.leaderboards import with_runs

ARRAYS: dict[str, Any] = {
    "p": [0.8, 0.8, 0.1],
    "p_float32": np.array([0.8, 0.8, 0.1], np.float32),
    "y": [1, 1, 0],
    "y_wide": [[1, 0], [1, 0], [0, 1]],
    "y4": [1, 0, 1, 0],
    "y6": [1, 0, 1, 0, 1, 0],
    "y_signs": [1, -1, 1],
    "column": [[0.8], [0.8], [0.1]],
    "pair": [[0.8, 0.2], [0.8, 0.2], [0.1, 0.9]],
    "cube": np.full((3, 2, 2), 0.5),
    "logits": [1.4, 2.0, -3.0],
    "percent": [80.0, 30.0, 10.0],
    "classes": [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]],
    "class_logits": [[2.0, 0.5, -1.0], [0.0, 1.0, 0.5], [-1.0, 0.0, 1.0]],
    "index": [0, 1, 2],
    "index_zeros": [0, 0, 0],
    "index_from_1": [1, 2, 3],
    "index_minus_1": [0, -1, 2],
    "index_minus_100": [0, -100, 2],
    "index_255": [0, 255, 2],
    "index_large": np.array([2**63 + 5, 1, 2], np.uint64),
    "index_half": [0.0, 1.5, 2.0],
    "index_whole": [0.0, 1.0, 2.0],
    "onehot": np.eye(3),
    "rows_off": [[0.7, 0.2, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]],
    "nan": [0.5, np.nan, 0.5],
    "infinite": [0.5, 0.5, np.inf],
    "minus_infinite": np.full((3, 3), -np.inf),
    "impossible": [0.0, 0.5, 0.5],
    "huge": [1e200, 0.0, 0.0],
    "zeros": [0.0, 0.0, 0.0],
    "large_integers": np.array([2**53 + 1, 1, 2]),
    "empty": np.zeros(0),
    "no_columns": np.zeros((3, 0)),
    "scalar": np.float64(3.0),
    "complex": np.array([1j, 2, 3]),
    "text": np.array(["a", "b", "c"]),
    "objects": np.array([1, None, "a"], dtype=object),
    "w": [1.0, 2.0, 3.0],
    "w_negative": [1.0, -2.0, 3.0],
    "w_nan": [1.0, np.nan, 3.0],
    "w_infinite": [1.0, np.inf, 3.0],
    "w_zero": [0.0, 0.0, 0.0],
    "w_huge": [1e308, 1e308, 1e308],
    "w_short": [1.0, 2.0],
    "w_wide": np.ones((3, 3)),
}


@pytest.fixture(scope="session")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for name, array in ARRAYS.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=True)
    whole = (folder / "p.npy").read_bytes()
    (folder / "truncated.npy").write_bytes(whole[:-5])
    (folder / "header_only.npy").write_bytes(whole[:40])
    (folder / "not_npy.npy").write_bytes(b"these are words")
    (folder / "nothing.npy").touch()
    (folder / "p.xyz").write_text("p\n1\n")
    (folder / "folder.npy").mkdir()
    (folder / "loop.npy").symlink_to("loop.npy")
    (folder / "link.json").symlink_to("p.npy")
    os.link(folder / "p.npy", folder / "hard.json")
    for extension in ("json", "csv", "npy"):
        (folder / f"full.{extension}").symlink_to("/dev/full")
    columns = {"id": np.arange(3), "p": np.array(ARRAYS["p"]), "y": np.array([1, 1, 0]), "w": np.array([1, 2, 3])}
    write_csv(folder / "table.csv", columns)
    for name, text in {
        "no_header": "0.8,1\n0.1,0\n",
        "short_row": "p,y\n0.8,1\n0.1\n",
        "missing": "p,y\n0.8,1\nNA,0\n",
        "empty_cell": "p,y\n0.8,1\n,0\n",
        "nan": "p,y\n0.8,1\nnan,0\n",
        "words": "p,y\n0.8,yes\n0.1,no\n",
        "header_only": "p,y\n",
        "empty": "",
        "twins": "p,p\n1,2\n",
        "long": "y\n1\n1\n0\n1\n",
    }.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


@pytest.fixture
def files(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of right and wrong files, made the current one; tests leave it as it is."""
    monkeypatch.chdir(_folder)
    return _folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, made the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runs(here: Path) -> Path:
    """An empty folder but for the predictions of three models, made the current one."""
    return with_runs(here)
