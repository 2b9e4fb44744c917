"""Paths for people: what all begin or end with is left out where the rest tells them apart."""

from __future__ import annotations

import pytest

from lossctl.short_paths import short_paths


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.npy", "b.npy"], ["a", "b"]),
        (["runs/a/preds.npy", "runs/b/preds.npy"], ["a", "b"]),
        (["runs/a/x/preds.npy", "runs/b/y/preds.npy"], ["a/x", "b/y"]),
        (["a.npy", "a.csv"], ["a.npy", "a.csv"]),
        (["/x/v1.0.npy", "/x/v1.1.npy"], ["v1.0", "v1.1"]),
        (["x/a.npy", "a.npy"], ["x/a", "a"]),
        (["-", "a.npy"], ["-", "a.npy"]),
        (["a\x1b.npy", "b.npy"], ["a\\x1b", "b"]),
    ],
)
def test_names_are_what_tells_paths_apart(paths: list[str], names: list[str]) -> None:
    assert short_paths(paths) == names
