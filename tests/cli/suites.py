"""Suites for tests: files of small data, evaluations of them, and what a run of them says."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from tests.cli.commands import call

# -log 0.8, -log 0.8, -log 0.9: the mean is 0.183883
DEFAULTS = '[defaults]\npredictions = "p.npy"\ntargets = "y.npy"\nloss = "bce"\n'

FINE, FAILS, OPEN = 'fail-if = "bce > 0.2"', 'fail-if = "bce > 0.1"', 'fail-if = "bce > 0.1"\nconfidence = 0.95'
STRICT, NO_DATA, ADVICE = OPEN + "\nstrict-gates = true", 'predictions = "no.npy"', 'warn-if = "bce > 0.1"'
# What is wrong with the options shows only when the data is there.
NO_COLUMN, NO_DISK = 'pred-col = "x"', 'output = "full.json"'


def with_data(folder: Path) -> Path:
    """The folder, with arrays in it."""
    np.save(folder / "p.npy", [0.8, 0.8, 0.1])
    np.save(folder / "y.npy", [1, 1, 0])
    np.save(folder / "nan.npy", [0.8, np.nan, 0.1])
    np.save(folder / "short.npy", [1, 1])
    return folder


def write(*evaluations: str, head: str = "", defaults: str = DEFAULTS, path: str = "lossctl.toml") -> None:
    """A suite of evaluations a, b, c…, of which the lines after their names are given."""
    tables = (f'[[eval]]\nname = "{name}"\n{lines}\n' for name, lines in zip("abcdef", evaluations, strict=False))
    Path(path).write_text(f"{head}\n{defaults}\n{''.join(tables)}")


def run(*arguments: str | Path) -> tuple[int, list[dict[str, str]], list[str]]:
    """The exit code of a suite, its records, and what it says."""
    outcome = call("run", *arguments)
    return outcome.code, list(csv.DictReader(io.StringIO(outcome.out), delimiter="\t")), outcome.err.splitlines()
