"""How many processors this process may use: those it may run on, within what its container grants."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["container_limit", "usable_processors"]


def usable_processors(root: Path = Path("/")) -> int:
    """The processors that this process may run on, no more than its control groups allow it to use at a time.

    `root` is where /proc and /sys are.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = container_limit(root)
    return here if limit is None else min(here, limit)


def container_limit(root: Path = Path("/")) -> int | None:
    """The tightest limit of processor time over the control groups of this process, rounded up; None without one."""
    quotas = [quota for folder, version in _groups(root) if (quota := _quota(folder, version)) is not None]
    return max(1, -int(-min(quotas) // 1)) if quotas else None


def _groups(root: Path) -> Iterator[tuple[Path, int]]:
    """(folder of a control group that limits this process, version of its interface), with all that contain it.

    A container may see its own group as the root and be told the path of the host: what is not there is left out.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            tops, version = [mounted, mounted / "unified"], 2
        elif "cpu" in controllers.split(","):
            tops, version = [mounted / controllers, mounted / "cpu"], 1
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for top in tops:
            for depth in range(len(parts), -1, -1):
                yield top.joinpath(*parts[:depth]), version


def _quota(folder: Path, version: int) -> float | None:
    """Processors' worth of time that a control group may use; None where it has no limit of its own."""
    names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    try:
        quota, period, *_ = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # not there, or "max"
        return None
    return share if share > 0.0 else None
