"""How time grows with rows, and how it shrinks with threads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.children import contest, evaluation, held, program
from benchmarks.engine import Engine
from benchmarks.kernels import Case
from benchmarks.options import Options
from benchmarks.peers.scripts import ARRAYS
from benchmarks.processes import write_probabilities
from benchmarks.report import Section, Table, milliseconds, times
from benchmarks.targets import Targets
from benchmarks.timing import race

COMPUTING = (Case("bce", "logit"), Case("scce", "logit", 10), Case("scce", "logit", 1000))
"""Losses that memory does not hold up."""

SCALED = (
    Case("mse", "value"),
    Case("bce", "prob"),
    *COMPUTING,
    Case("cosine_similarity", "value", 256),
)


def sections(options: Options) -> Iterator[Section]:
    """Rows and threads."""
    with tempfile.TemporaryDirectory(prefix="lossctl-bench-") as folder:
        yield _rows(Path(folder), options)
        targets = Targets("growth")
        yield _threads(targets, options)
        yield targets.section()


def _rows(folder: Path, options: Options) -> Section:
    table = Table(["rows", "lossctl, ms", "ns a row", "NumPy", "lossctl, MB", "NumPy, MB"])
    notes: list[str] = []
    for rows in options.growth_rows:
        paths = write_probabilities(folder, rows)
        commands = {"lossctl": evaluation(*paths, "--loss", "bce"), "NumPy": program(ARRAYS["NumPy"], *paths)}
        found = contest(commands, options.process_rounds, options.process_share_seconds)
        notes += found.notes()
        seconds = found.times.median("lossctl")
        table.add(
            f"{rows:,}",
            milliseconds(seconds),
            f"{seconds / rows * 1e9:,.0f}",
            times(found.times.ratio("NumPy", "lossctl")),
            *(held(command) for command in commands.values()),
        )
        for path in paths:
            Path(path).unlink()
    what = (
        "`lossctl eval` of binary cross-entropy on two float32 NPY files, as a whole process, next to a program that "
        "uses NumPy: the time, and the most memory that each held."
    )
    return Section("Growth with rows", what, table, notes)


def _threads(targets: Targets, options: Options) -> Section:
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64, 128) if count <= options.threads]
    table = Table(["loss", "1 thread, ms", *(f"{count} threads" for count in counts[1:])])
    scaling: dict[str, float] = {}
    for case in SCALED:
        data = case.data(options.values, "float32")
        tasks = {}
        for count in counts:
            engine = Engine(case.settings, data, count)
            engine.value(data.head(100))()
            tasks[str(count)] = engine.value(data)
        found = race(tasks, options.rounds, options.share_seconds * 4)
        table.add(str(case), milliseconds(found.median("1")), *(times(found.ratio("1", str(n))) for n in counts[1:]))
        if case in COMPUTING and "2" in found:
            scaling[str(case)] = found.ratio("1", "2")
    targets.at_least("2 threads, losses that compute: one thread", 1.7, scaling, times)
    what = (
        f"The mean loss of {options.values:,} float32 values in memory: the time on one thread, and how many times as "
        "fast more threads are. A loss that only reads is bound by memory, which one thread may already fill."
    )
    return Section("Growth with threads", what, table)
