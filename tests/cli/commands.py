"""Running `lossctl` as its users do: in this process where that is the same, else as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.__main__ import run

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"
BINARY = (str(SAMPLES / "binary" / "preds.npy"), str(SAMPLES / "binary" / "labels.npy"))
EVAL = ("eval", *BINARY, "--loss", "bce")


@dataclass(frozen=True)
class Outcome:
    """The exit code of a command line, and what it wrote."""

    code: int
    out: str
    err: str


def call(*arguments: str | Path) -> Outcome:
    """`lossctl ARGUMENTS` in this process."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = run([str(each) for each in arguments])
    return Outcome(code, out.getvalue(), err.getvalue())


def scores(*arguments: str | Path) -> list[str]:
    """The bare numbers that `lossctl eval ARGUMENTS` prints, as text: equal text is equal bits."""
    outcome = call("eval", *arguments, "--score-only", "--quiet")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    return outcome.out.splitlines()


def score(*arguments: str | Path) -> float:
    """The only number of `scores`."""
    (only,) = scores(*arguments)
    return float(only)


def saved(folder: Path, **arrays: Any) -> None:
    """Arrays in NPY files of these names."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", np.asarray(array))


def document(*arguments: str | Path) -> dict[str, Any]:
    """The result document, which must be JSON without NaN or Infinity."""
    outcome = call("eval", *arguments, "--format", "json")
    assert outcome.code == 0, outcome.err

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    found: dict[str, Any] = json.loads(outcome.out, parse_constant=refuse)
    return found


def refused(code: int, *arguments: str | Path) -> str:
    """The one line of a command line that must end with `code` and leave nothing behind in the current folder."""
    before = listing()
    outcome = call(*arguments)
    assert outcome.code == code, (outcome, arguments)
    assert outcome.err.startswith("lossctl: ")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("\n")
    assert outcome.err[:-1].isprintable()
    assert outcome.out == ""
    assert listing() == before
    return outcome.err.removeprefix("lossctl: ").removesuffix("\n")


def listing() -> dict[str, tuple[int, int]]:
    """The files of the current folder, with size and time of change."""
    found = {}
    for entry in os.scandir("."):
        facts = entry.stat(follow_symlinks=False)
        found[entry.name] = facts.st_size, facts.st_mtime_ns
    return found


def process(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m lossctl ARGUMENTS` in a process of its own."""
    given = {"capture_output": True, "text": True, "timeout": 60, **options}
    completed: subprocess.CompletedProcess[str] = subprocess.run(command(*arguments), check=False, **given)
    return completed


def command(*arguments: str | Path) -> list[str]:
    """The words of a command line that runs lossctl with this Python."""
    return [sys.executable, "-m", "lossctl", *(str(each) for each in arguments)]


def sparse_npy(path: Path, rows: int, dtype: str = "<f8") -> Path:
    """An NPY file of `rows` zeros that takes no space on the disk."""
    with path.open("wb") as handle:
        np.lib.format.write_array_header_1_0(handle, {"descr": dtype, "fortran_order": False, "shape": (rows,)})
        handle.truncate(handle.tell() + rows * np.dtype(dtype).itemsize)
    return path


def write_csv(path: Path, columns: Mapping[str, NDArray[Any]], separator: str = ",") -> Path:
    """A table whose numbers are spelled so that they read back as they are."""
    arrays = [column.tolist() for column in columns.values()]
    lines = [
        separator.join(columns),
        *(separator.join(repr(value) for value in row) for row in zip(*arrays, strict=True)),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path
