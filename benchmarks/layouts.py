"""From which row width on a vector should go along a row, and not across rows (`ACROSS_WIDTH` in `recipes.py`).

python -m benchmarks.layouts [--values N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks.machine import one_line
from benchmarks.report import Section, Table, show
from benchmarks.timing import CLOCKS, race
from lossctl_kernels import LOSSES, Plan, across, along, recipes, resolve
from lossctl_kernels.batch import Batch
from lossctl_kernels.cpu import Cpu

# Below the lanes of a vector a row is too short for the layout along it.
WIDTHS = (along.MAX_LANES, 40, 48, 64, 80, 96, 128, 192, 256)
LOSS_FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("scce", {"input": "logit"}),
    ("cosine_similarity", {}),
    ("mse", {}),
)


def with_layout(widest: int, task: Callable[[], object]) -> Callable[[], object]:
    """The task, with rows up to this width worked on across."""

    def run() -> object:
        with mock.patch.object(recipes, "ACROSS_WIDTH", widest):
            return task()

    return run


def compare(values: int, rounds: int) -> None:
    """Prints nanoseconds a value for both layouts, value and gradient."""
    random, backend = np.random.default_rng(0), Cpu(threads=1)
    print(one_line())
    table = Table(["loss", "width", "value", "gradient"])
    for name, settings in LOSS_FORMS:
        for width in WIDTHS:
            count = values // width
            plan = Plan(resolve(LOSSES[name], settings), width, "float32")
            prediction: Any = random.standard_normal((count, width), dtype=np.float32)
            target: Any = random.integers(0, width, count) if plan.sparse else prediction[::-1].copy()
            batch, scales = Batch(prediction, target), np.broadcast_to(1.0, count)

            def value(plan: Plan = plan, batch: Batch = batch) -> object:
                return backend.losses(plan, batch, False)

            def gradient(plan: Plan = plan, batch: Batch = batch, scales: Any = scales) -> object:
                return backend.gradient(plan, batch, scales, {})

            tasks = {
                f"{kind} {layout}": with_layout(max(WIDTHS) if layout == "across" else 0, task)
                for kind, task in (("value", value), ("gradient", gradient))
                for layout in ("across", "along")
            }
            for task in tasks.values():
                task()
            found = race(tasks, rounds, clock=CLOCKS["cpu"])
            times = {key: found.least(key) / prediction.size * 1e9 for key in tasks}
            cells = [f"{times[f'{kind} across']:.2f} / {times[f'{kind} along']:.2f}" for kind in ("value", "gradient")]
            table.add(name, str(width), *cells)
    show(Section("Along a row or across rows", "One thread, processor time in ns a value: across / along.", table))


def main() -> None:
    """Compares with the kernels of this run alone."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--values", type=int, default=4_000_000)
    options.add_argument("--rounds", type=int, default=7)
    given = options.parse_args()
    # The buffers of a tile are as wide as the widest row that may be asked for: such code is not for others to find.
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, LOSSCTL_CACHE_DIR=folder),
        mock.patch.object(across, "ACROSS_WIDTH", max(WIDTHS)),
    ):
        compare(given.values, given.rounds)


if __name__ == "__main__":
    main()
