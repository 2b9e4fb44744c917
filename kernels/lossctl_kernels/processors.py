"""How many processors this process may use: those it may run on, within what its container grants.

Paths are plain text here: every evaluation asks, and `pathlib` takes longer to import than a small one takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import TypeAlias

Folder: TypeAlias = str | os.PathLike[str]


def usable_processors(root: Folder = "/") -> int:
    """The processors that this process may run on, no more than its control groups allow it to use at a time.

    `root` is where /proc and /sys are.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = _first_limit(os.fspath(root))
    return here if limit is None else min(here, limit)


@cache
def _first_limit(root: str) -> int | None:
    """The limit when this process first asked: reading it each time would be a tenth of a small evaluation."""
    return container_limit(root)


def container_limit(root: Folder) -> int | None:
    """The tightest limit of processor time over the control groups of this process, rounded up; None without one."""
    quotas = [quota for folder, version in _groups(root) if (quota := _quota(folder, version)) is not None]
    return max(1, -int(-min(quotas) // 1)) if quotas else None


def _groups(root: Folder) -> Iterator[tuple[str, int]]:
    """(folder of a control group that limits this process, version of its interface), with all that contain it.

    A container may see its own group as the root and be told the path of the host: what is not there is left out.
    """
    try:
        with open(os.path.join(root, "proc/self/cgroup"), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    mounted = os.path.join(root, "sys/fs/cgroup")
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            tops, version = [mounted, os.path.join(mounted, "unified")], 2
        elif "cpu" in controllers.split(","):
            tops, version = [os.path.join(mounted, controllers), os.path.join(mounted, "cpu")], 1
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for top in tops:
            for depth in range(len(parts), -1, -1):
                yield os.path.join(top, *parts[:depth]), version


def _quota(folder: str, version: int) -> float | None:
    """Processors' worth of time that a control group may use; None where it has no limit of its own."""
    names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    try:
        quota, period, *_ = " ".join(_text(os.path.join(folder, name)) for name in names).split()
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # not there, or "max"
        return None
    return share if share > 0.0 else None


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()
