"""How much data repays the start of Numba: whole processes, interpreted and compiled, with kernels already cached.

python -m benchmarks.auto_threshold [--rounds N]

Below the size where the compiled process begins to win, `--backend auto` interprets (`INTERPRETED_VALUES` in
`lossctl/backends.py`). Data are drawn inside the process, the same on both sides; what that takes is measured and
taken off.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time

from benchmarks.machine import one_line
from benchmarks.report import Section, Table, show

PROGRAM = """
import sys
import numpy as np
from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch
name, form, width, values, backend = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
rows = max(1, values // width)
plan = Plan(resolve(LOSSES[name], {"input": form} if form else {}), width, "float32")
random = np.random.default_rng(0)
prediction = random.random((rows, width) if width > 1 else rows, np.float32) * np.float32(0.98) + np.float32(0.01)
target = random.integers(0, width, rows) if plan.sparse else np.round(prediction)
if backend == "python":
    from lossctl_kernels.interpreted import Interpreter
    Interpreter().losses(plan, Batch(prediction, target))
elif backend == "cpu":
    from lossctl_kernels.cpu import Cpu
    Cpu().losses(plan, Batch(prediction, target), False)
"""
KINDS = (("mse", "", 1), ("bce", "", 1), ("bce", "logit", 1), ("scce", "logit", 10), ("scce", "logit", 1000))
SIZES = [10_000, 40_000, 160_000, 640_000, 2_560_000, 10_240_000]


def seconds(kind: tuple[str, str, int], values: int, backend: str, rounds: int) -> float:
    """The least time of a whole process."""
    name, form, width = kind
    command = [sys.executable, "-c", PROGRAM, name, form, str(width), str(values), backend]
    subprocess.run(command, check=True)
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, check=True)
        best = min(best, time.perf_counter() - start)
    return best


def crossing(interpreted: list[float], compiled: list[float]) -> float:
    """The number of values at which both take as long, between the sizes by straight lines."""
    for k, (slow, fast) in enumerate(zip(interpreted, compiled, strict=True)):
        if slow > fast:
            if k == 0:
                return float(SIZES[0])
            before = compiled[k - 1] - interpreted[k - 1]
            share = before / (before + slow - fast)
            return SIZES[k - 1] + share * (SIZES[k] - SIZES[k - 1])
    return math.inf


def main() -> None:
    """Prints the times of both backends, where they cross, and the size to use for all."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    print(one_line())
    table, crossings = Table(["loss, width", *(f"{size:,}" for size in SIZES), "equal at"]), []
    for kind in KINDS:
        empty = [seconds(kind, size, "none", rounds) for size in SIZES]
        times = {backend: [seconds(kind, size, backend, rounds) for size in SIZES] for backend in ("python", "cpu")}
        interpreted, compiled = times["python"], times["cpu"]
        crossings.append(crossing(interpreted, compiled))
        cells = [
            f"{(slow - base) * 1e3:.0f} / {(fast - base) * 1e3:.0f}"
            for slow, fast, base in zip(interpreted, compiled, empty, strict=True)
        ]
        table.add(f"{kind[0]} {kind[1]} {kind[2]}".replace("  ", " "), *cells, f"{crossings[-1]:,.0f}")
    finite = sorted(value for value in crossings if math.isfinite(value))
    notes = [f"recommended: {finite[len(finite) // 2]:,.0f} values (the median)"] if finite else []
    what = "Milliseconds: interpreted / compiled, without drawing the data."
    show(Section("How much data repays compiled code", what, table, notes))


if __name__ == "__main__":
    main()
