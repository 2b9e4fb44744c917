"""Timing that holds on a shared machine: processor time, the least of several, rivals in turn."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

__all__ = ["machine", "rivals", "table"]


def rivals(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The least processor time in seconds of each task; they take turns, after one run to warm up."""
    for task in tasks.values():
        task()
    best = dict.fromkeys(tasks, float("inf"))
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            best[name] = min(best[name], time.process_time() - start)
    return best


def machine() -> str:
    """The processor and the versions that matter, in one line."""
    import numba

    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [
            line.partition(":")[2].strip() for line in information.read_text().splitlines() if "model name" in line
        ]
        processor = names[0] if names else processor
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{processor}, {cores} cores; Python {platform.python_version()}, NumPy {np.__version__}, "
        f"Numba {numba.__version__}"
    )


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Columns of text, the first to the left and the others to the right."""
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = []
    for first, *others in [heads, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(lines)
