"""The machine that the figures are taken on, and as much of it as is used."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# In the order in which the tables have them.
PACKAGES = (
    "lossctl", "numpy", "numba", "torch", "scikit-learn", "jax", "optax", "polars", "duckdb", "pandas", "pyarrow",
)  # fmt: skip


def use_processors(count: int) -> int:
    """Keeps this process and its children to so many processors, for all libraries alike; returns how many it got.

    Every library asks the system for what it may use, but each has a setting of its own for less. It has to be called
    before any of them starts its threads.
    """
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    return len(os.sched_getaffinity(0))


def versions() -> dict[str, str]:
    """Of the packages that are measured, those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe(processors: int) -> list[str]:
    """Lines about the machine, for the head of the page. `processors` is how many are used."""
    packages = ", ".join(f"{name} {number}" for name, number in versions().items())
    return [
        f"Processor: {_processor()}, {processors} of {os.cpu_count()} cores used",
        f"Memory: {_memory()}",
        f"System: {platform.system()} {platform.release()}, Python {platform.python_version()}",
        f"Versions: {packages}",
        f"Date: {dt.datetime.now(dt.UTC).date()}",
    ]


def one_line() -> str:
    """The processor and the versions that matter to the kernels."""
    known = versions()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores; Python {platform.python_version()}, "
        f"NumPy {known['numpy']}, Numba {known['numba']}"
    )


def _processor() -> str:
    return _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _memory() -> str:
    kilobytes = _field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(kilobytes) / 2**20:.0f} GiB" if kilobytes else "unknown"


def peak_bytes() -> int | None:
    """The most memory that this process has held, or None where the system does not say.

    Not `ru_maxrss`: a child begins with what its parent held before the fork.
    """
    kilobytes = _field("/proc/self/status", "VmHWM").removesuffix(" kB")
    return int(kilobytes) * 1024 if kilobytes else None


def _field(path: str, name: str) -> str:
    """The first line "name: value" of a file of Linux; nothing where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name), "")
