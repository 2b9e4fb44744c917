"""Whole processes: the command line of this project and the programs of its peers, and what they cost."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import megabytes
from benchmarks.timing import Times, race

ROOT = Path(__file__).resolve().parents[1]
PYTHON = (sys.executable,)
TOOL = (*PYTHON, "-m", "lossctl")


class ProcessFailed(Exception):
    """The last line of what a process said before it failed."""


class Command:
    """A command line; running it gives the number that it prints, if it prints one. Raises ProcessFailed.

    `cold` runs it with a cache of compiled code that is empty.
    """

    def __init__(self, *words: str, cold: bool = False) -> None:
        self.words, self.cold = words, cold

    def __call__(self) -> float | None:
        if not self.cold:
            return self._answer({})
        with tempfile.TemporaryDirectory(prefix="lossctl-cold-") as folder:
            return self._answer({"LOSSCTL_CACHE_DIR": folder})

    def _answer(self, more: Mapping[str, str]) -> float | None:
        environment = {**os.environ, **more}
        done = subprocess.run(self.words, env=environment, cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode:
            raise ProcessFailed(done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}")
        try:
            return float(done.stdout)
        except ValueError:
            return None


def program(code: str, *arguments: str) -> Command:
    """A short program in Python."""
    return Command(*PYTHON, "-c", code, *arguments)


def evaluation(*arguments: str, cold: bool = False) -> Command:
    """`lossctl eval`, which prints the bare number."""
    return Command(*TOOL, "eval", *arguments, "--score-only", cold=cold)


@dataclass(frozen=True)
class Contest:
    """What processes took and printed, and why those that failed did."""

    times: Times
    answers: Mapping[str, float | None]
    failures: Mapping[str, str]

    def verdict(self, name: str, reference: str, tolerance: float) -> str | None:
        """What stands in place of a time: "failed", or "differs" where it prints another number than `reference`."""
        if name in self.failures:
            return "failed"
        answer, expected = self.answers.get(name), self.answers.get(reference)
        agrees = answer is None or expected is None or math.isclose(answer, expected, rel_tol=tolerance)
        return None if agrees else "differs"

    def notes(self) -> list[str]:
        return [f"{name} failed: {reason}" for name, reason in self.failures.items()]


def contest(commands: Mapping[str, Command], rounds: int, share: float) -> Contest:
    """Runs each once for its answer, so that its files and its cache are warm, and then all in turn.

    Without rounds that first run is all there is.
    """
    answers: dict[str, float | None] = {}
    failures: dict[str, str] = {}
    first: dict[str, list[float]] = {}
    for name, command in commands.items():
        start = time.perf_counter()
        try:
            answers[name] = command()
        except ProcessFailed as failure:
            failures[name] = str(failure)
        else:
            first[name] = [time.perf_counter() - start]
    tasks = {name: command for name, command in commands.items() if name in answers}
    return Contest(race(tasks, rounds, share) if rounds else Times(first), answers, failures)


@dataclass(frozen=True)
class Weighed:
    """One run of a process: its seconds, the most bytes that it held, NaN where the system does not say, its answer."""

    seconds: float
    peak: float
    answer: float | None


def weighed(command: Command) -> Weighed:
    """Runs the process, which asks the system at its end what it has held: see `benchmarks/peak.py`."""
    words: Sequence[str] = command.words[len(PYTHON) :]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "peak"
        start = time.perf_counter()
        answer = Command(*PYTHON, "-m", "benchmarks.peak", str(report), *words)()
        seconds = time.perf_counter() - start
        told = report.read_text(encoding="utf-8")
    return Weighed(seconds, math.nan if told == "None" else int(told), answer)


def peak(command: Command) -> int | None:
    """The most memory that the process holds, in bytes; None where the system does not say."""
    if not os.path.exists("/proc/self/status"):
        return None
    found = weighed(command).peak
    return None if math.isnan(found) else int(found)


def held(command: Command) -> str:
    """The peak in megabytes, for a table."""
    try:
        return megabytes(peak(command))
    except ProcessFailed:
        return "failed"
