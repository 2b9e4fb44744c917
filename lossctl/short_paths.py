"""Paths for people: what tells them apart."""

from __future__ import annotations

from collections.abc import Sequence

from lossctl.errors import visible


def short_paths(paths: Sequence[str]) -> list[str]:
    """The paths without the folders that all begin with and the parts that all end with, where that tells them apart.

    "runs/a/preds.npy" and "runs/b/preds.npy" are "a" and "b".
    """
    parts = [[part for part in path.split("/") if part] or [path] for path in paths]
    while all(len(each) > 1 for each in parts) and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    while all(len(each) > 1 for each in parts) and len({each[0] for each in parts}) == 1:
        parts = [each[1:] for each in parts]
    names = ["/".join(each) for each in parts]
    endings = {name[name.rfind(".") :] for name in names if name.rfind(".") > 0}
    if len(endings) == 1 and all(name.rfind(".") > 0 for name in names):
        names = [name[: name.rfind(".")] for name in names]
    return [visible(name) for name in (names if len(set(names)) == len(names) else paths)]
