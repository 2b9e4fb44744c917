"""Whole processes from a standing start: what a command costs from the shell."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.children import TOOL, Command, Contest, contest, evaluation, program
from benchmarks.kernels import Case
from benchmarks.options import Options
from benchmarks.peers.scripts import ARRAYS, available
from benchmarks.report import MISSING, Section, Table, milliseconds, times
from benchmarks.targets import Targets

IMPORTS = ("numpy", "sklearn.metrics", "torch", "jax")
FIRST = (Case("mse", "value"), Case("scce", "logit", 10), Case("cosine_similarity", "value", 256))
FIRST_VALUES = 100_000
WANTED = {1_000: 2.5, 10_000_000: 4.0}
"""The multiples of a bare `import numpy` that are aimed at, by rows."""

BARE = "python -c 'import numpy'"


def sections(options: Options) -> Iterator[Section]:
    """Imports alone, evaluations by size, and the first evaluation of some losses."""
    with tempfile.TemporaryDirectory(prefix="lossctl-bench-") as folder:
        targets = Targets("processes")
        yield _imports(options)
        yield _evaluations(Path(folder), targets, options)
        yield _first(Path(folder), targets, options)
        yield targets.section()


def _contest(commands: Mapping[str, Command], options: Options) -> Contest:
    return contest(commands, options.process_rounds, options.process_share_seconds)


def _imports(options: Options) -> Section:
    commands = {"python -c pass": program("pass")}
    for module in IMPORTS:
        if find_spec(module.partition(".")[0]):
            commands[f"python -c 'import {module}'"] = program(f"import {module}")
    commands["lossctl --version"] = Command(*TOOL, "--version")
    commands["lossctl --help"] = Command(*TOOL, "--help")
    found = _contest(commands, options)
    table = Table(["command", "ms", "next to import numpy"])
    for name in commands:
        table.add(name, milliseconds(found.times.median(name)), times(found.times.ratio(name, BARE)))
    what = "What a process costs before it reads a number."
    return Section("Processes that compute nothing", what, table, found.notes())


# ---- evaluations


def _evaluations(folder: Path, targets: Targets, options: Options) -> Section:
    columns: list[Contest] = []
    for rows in options.process_rows:
        paths = write_probabilities(folder, rows)
        commands = {
            BARE: program("import numpy"),
            "lossctl eval": evaluation(*paths, "--loss", "bce"),
            "lossctl eval, cache empty": evaluation(*paths, "--loss", "bce", cold=True),
            **{name: program(code, *paths) for name, code in available(ARRAYS).items()},
        }
        columns.append(_contest(commands, options))
    table = Table(["process", *(f"{rows:,} rows" for rows in options.process_rows)])
    for name in (BARE, "lossctl eval", "lossctl eval, cache empty", *ARRAYS):
        table.add(name, *(_cell(name, found) for found in columns))
    for rows, found in zip(options.process_rows, columns, strict=True):
        if rows in WANTED:
            ratio = {"": found.times.ratio("lossctl eval", BARE)}
            targets.at_most(f"lossctl eval, {rows:,} rows: import numpy", WANTED[rows], ratio, times)
    what = (
        "Binary cross-entropy of two float32 NPY files, as a command: `lossctl eval` with its compiled code in the "
        "cache and without, and a program of five lines for each peer. In milliseconds, and in multiples of "
        "`import numpy`; files are in the system's memory."
    )
    notes = [note for found in columns for note in found.notes()]
    return Section("Processes that evaluate", what, table, notes)


def write_probabilities(folder: Path, rows: int) -> tuple[str, str]:
    """The paths of float32 predictions and of labels that are 0 or 1."""
    random = np.random.default_rng(0)
    paths = str(folder / f"p-{rows}.npy"), str(folder / f"y-{rows}.npy")
    prediction = random.random(rows, dtype=np.float32) * np.float32(0.98) + np.float32(0.01)
    np.save(paths[0], prediction)
    np.save(paths[1], (random.random(rows, dtype=np.float32) < prediction).astype(np.float32))
    return paths


def _cell(name: str, found: Contest) -> str:
    """Milliseconds, and the multiple of a bare `import numpy`. The peers compute in float32."""
    verdict = found.verdict(name, "lossctl eval", 1e-4)
    if verdict or name not in found.times:
        return verdict or MISSING
    return f"{milliseconds(found.times.median(name))} ({times(found.times.ratio(name, BARE))})"


# ---- the first evaluation


def _first(folder: Path, targets: Targets, options: Options) -> Section:
    ratios: dict[str, float] = {}
    heaviest = "import torch" if find_spec("torch") else "import numpy"
    notes: list[str] = []
    table = Table(["loss", "ms", f"next to {heaviest}", "ms, compiled", f"next to {heaviest}"])
    for case in FIRST[:1] if options.quick else FIRST:
        data = case.data(FIRST_VALUES, "float32")
        paths = [str(folder / f"first-{role}.npy") for role in ("prediction", "target")]
        np.save(paths[0], data.prediction)
        np.save(paths[1], data.target)
        loss = ("--loss", f"{case.loss}:input={case.form}" if case.form == "logit" else case.loss)
        commands = {
            "import": program(heaviest),
            "chosen": evaluation(*paths, *loss, cold=True),
            "compiled": evaluation(*paths, *loss, "--backend", "cpu", cold=True),
        }
        found = _contest(commands, options)
        notes += found.notes()
        cells = [
            text
            for name in ("chosen", "compiled")
            for text in (milliseconds(found.times.median(name)), times(found.times.ratio(name, "import")))
        ]
        table.add(str(case), *cells)
        ratios |= {f"{case}, {name}": found.times.ratio(name, "import") for name in ("chosen", "compiled")}
    if heaviest == "import torch":
        targets.at_most("the first evaluation: import torch", 1.5, ratios, times)
    what = (
        f"The first evaluation of a loss on a machine, {FIRST_VALUES:,} values: the cache of compiled code is empty. "
        "As the tool chooses for this size, and with `--backend cpu`, which compiles."
    )
    return Section("The first evaluation", what, table, notes)
