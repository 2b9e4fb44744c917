"""Values and gradients side by side in one process: this project, NumPy, PyTorch where it is installed, a plain read.

python -m benchmarks.kernels [--pairs N] [--rounds N] [--dtype float32|float64]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numba
import numpy as np

from benchmarks.timing import machine, rivals, table
from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch
from lossctl_kernels.cpu import Cpu

torch: Any = import_module("torch") if find_spec("torch") else None

Array = np.ndarray[Any, Any]
Task = Callable[[], object]


@dataclass
class Case:
    """A loss, the width of a row, what is drawn for it, the same in NumPy, and its name in torch.nn.functional."""

    label: str
    loss: str
    options: dict[str, str]
    width: int
    target: str
    with_numpy: Callable[[Array, Array], object]
    in_torch: str
    prediction: str = "real"


def bce(p: Array, y: Array) -> object:
    """Of probabilities."""
    return -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean()


def bce_from_logits(z: Array, y: Array) -> object:
    """Without overflow."""
    return (np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).mean()


def cross_entropy(z: Array, index: Array) -> object:
    """Of logits and class indices."""
    largest = z.max(axis=1)
    log_sum = largest + np.log(np.exp(z - largest[:, None]).sum(axis=1))
    return (log_sum - np.take_along_axis(z, index[:, None], axis=1)[:, 0]).mean()


def cosine(p: Array, y: Array) -> object:
    """Mean cosine of rows."""
    return ((p * y).sum(axis=1) / np.sqrt((p * p).sum(axis=1) * (y * y).sum(axis=1))).mean()


def huber(p: Array, y: Array) -> object:
    """With delta = 1."""
    error = np.abs(p - y)
    return np.where(error <= 1, 0.5 * error * error, error - 0.5).mean()


def squared(p: Array, y: Array) -> object:
    """Mean squared error."""
    return np.square(p - y).mean()


def absolute(p: Array, y: Array) -> object:
    """Mean absolute error."""
    return np.abs(p - y).mean()


LOGIT = {"input": "logit"}
CASES = [
    Case("mse", "mse", {}, 1, "real", squared, "mse_loss"),
    Case("mae", "mae", {}, 1, "real", absolute, "l1_loss"),
    Case("huber", "huber", {}, 1, "real", huber, "huber_loss"),
    Case("bce, hard", "bce", {}, 1, "hard", bce, "binary_cross_entropy", "prob"),
    Case("bce, soft", "bce", {}, 1, "prob", bce, "binary_cross_entropy", "prob"),
    Case("bce, logits", "bce", LOGIT, 1, "hard", bce_from_logits, "binary_cross_entropy_with_logits"),
    *(
        Case(f"cross-entropy, {width}", "scce", LOGIT, width, "index", cross_entropy, "cross_entropy")
        for width in (3, 10, 1000)
    ),
    Case("cosine, 256", "cosine_similarity", {}, 256, "real", cosine, "cosine_similarity"),
]


def draw(kind: str, shape: tuple[int, ...], width: int, dtype: str, random: np.random.Generator) -> Array:
    """Predictions or targets."""
    if kind == "index":
        return random.integers(0, width, shape[0])
    if kind == "real":
        return random.standard_normal(shape, dtype=np.dtype(dtype))
    uniform = random.random(shape, dtype=np.dtype(dtype))
    return (uniform < 0.5).astype(dtype) if kind == "hard" else uniform * 0.98 + 0.01


@numba.njit(parallel=True, fastmath=True)  # type: ignore[untyped-decorator]
def read(a: Array, b: Array) -> float:
    """Touches every number of both arrays, as fast as memory gives them."""
    total = 0.0
    for i in numba.prange(a.size):
        total += a[i] + b[i]
    return total


@numba.njit(parallel=True, fastmath=True)  # type: ignore[untyped-decorator]
def read_one(a: Array) -> float:
    """Touches every number."""
    total = 0.0
    for i in numba.prange(a.size):
        total += a[i]
    return total


def tasks(case: Case, pairs: int, dtype: str) -> tuple[dict[str, Task], dict[str, Task]]:
    """(values, gradients) of one case, by who computes them."""
    random, rows = np.random.default_rng(0), max(1, pairs // case.width)
    shape = (rows,) if case.width == 1 else (rows, case.width)
    prediction = draw(case.prediction, shape, case.width, dtype, random)
    target = draw(case.target, shape, case.width, dtype, random)
    plan = Plan(resolve(LOSSES[case.loss], case.options), case.width, dtype)
    batch, backend, scales = Batch(prediction, target), Cpu(), np.broadcast_to(1.0 / rows, rows)
    p, t = prediction.reshape(-1), target.reshape(-1)
    values: dict[str, Task] = {
        "read": lambda: read_one(p) if case.target == "index" else read(p, t),
        "lossctl": lambda: backend.losses(plan, batch, False),
        "numpy": lambda: case.with_numpy(prediction, target),
    }
    gradients: dict[str, Task] = {"lossctl": lambda: backend.gradient(plan, batch, scales, {})}
    if torch is not None:
        x, y = torch.from_numpy(prediction), torch.from_numpy(target)
        leaf = torch.from_numpy(prediction).requires_grad_()
        function = getattr(torch.nn.functional, case.in_torch)
        values["torch"] = lambda: function(x, y).mean()
        gradients["torch"] = lambda: torch.autograd.grad(function(leaf, y).mean(), leaf)
    return values, gradients


def ratio(times: dict[str, float], name: str) -> str:
    """How many times as long as this project."""
    return f"{times[name] / times['lossctl']:.2f}" if name in times else "-"


def milliseconds(times: dict[str, float], name: str) -> str:
    """A time, where there is one."""
    return f"{times[name] * 1e3:.1f}" if name in times else "-"


def main() -> None:
    """Prints one table for each dtype."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", type=int, default=20_000_000, help="predicted values (default: 20 million)")
    options.add_argument("--rounds", type=int, default=5, help="runs of each, of which the best counts")
    options.add_argument("--dtype", choices=("float32", "float64"), action="append")
    given = options.parse_args()
    print(machine() + (f", PyTorch {torch.__version__}" if torch is not None else ""))
    if torch is not None:
        torch.set_num_threads(numba.get_num_threads())
    print(f"{given.pairs:,} predicted values, {numba.get_num_threads()} threads; processor time in ms")
    print("A ratio is how many times as long as this project: above 1 it is slower.\n")
    for dtype in given.dtype or ("float32", "float64"):
        rows = []
        for case in CASES:
            values, gradients = tasks(case, given.pairs, dtype)
            value, gradient = rivals(values, given.rounds), rivals(gradients, given.rounds)
            rows.append(
                [
                    case.label,
                    *(milliseconds(value, name) for name in ("read", "lossctl", "numpy", "torch")),
                    *(ratio(value, name) for name in ("read", "numpy", "torch")),
                    *(milliseconds(gradient, name) for name in ("lossctl", "torch")),
                    ratio(gradient, "torch"),
                ]
            )
        heads = ["read", "lossctl", "numpy", "torch", "read/", "numpy/", "torch/", "grad", "torch", "torch/"]
        print(table([dtype, *heads], rows) + "\n")


if __name__ == "__main__":
    main()
