"""Whole processes: what a command costs from the shell, next to bare Python and to the same loss in PyTorch.

python -m benchmarks.processes [--rounds N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.timing import machine, table

WITH_TORCH = """
import numpy, sys, torch
p, t = (torch.from_numpy(numpy.load(path)) for path in sys.argv[1:3])
print(float(torch.nn.functional.binary_cross_entropy(p, t)))
"""
SIZES = (1_000, 100_000, 10_000_000)


def seconds(command: list[str], rounds: int) -> float:
    """The median time of a whole process, after two runs to warm up: compiled kernels are cached by the first."""
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return sorted(times[2:])[rounds // 2]


def commands(folder: Path) -> dict[str, list[str]]:
    """What is run: the data are probabilities and labels of three sizes."""
    python, tool = sys.executable, [sys.executable, "-m", "lossctl"]
    found = {"python -c pass": [python, "-c", "pass"], "lossctl --version": [*tool, "--version"]}
    random = np.random.default_rng(0)
    for size in SIZES:
        files = [str(folder / f"{role}-{size}.npy") for role in ("predictions", "labels")]
        prediction = random.random(size, dtype=np.float32) * np.float32(0.98) + np.float32(0.01)
        np.save(files[0], prediction)
        np.save(files[1], np.round(prediction))
        found[f"lossctl eval, {size:,}"] = [*tool, "eval", *files, "--loss", "bce"]
        if find_spec("torch"):
            found[f"PyTorch, {size:,}"] = [python, "-c", WITH_TORCH, *files]
    return found


def main() -> None:
    """Prints the median milliseconds of each command."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    print(machine() + "\n")
    with tempfile.TemporaryDirectory() as folder:
        rows = [[name, f"{seconds(line, rounds) * 1e3:.0f}"] for name, line in commands(Path(folder)).items()]
    print(table(["whole process", "ms"], rows))


if __name__ == "__main__":
    main()
