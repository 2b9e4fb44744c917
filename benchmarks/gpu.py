"""The `cuda` backend against what the machine allows; see docs/gpu.md for the model.

python -m benchmarks.gpu                      where there is a GPU: bandwidths, times, share of the bound
python -m benchmarks.gpu --resources          everywhere: what the compiler makes of every kernel
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossctl_kernels import LOSSES, Plan, Scope, resolve
from lossctl_kernels.batch import Array, Batch, Column
from lossctl_kernels.gpu import available, why_unavailable

Case = tuple[str, dict[str, Any], int]

# One loss of each price: arithmetic, a logarithm, exponentials in narrow and in wide rows, a fold over the data set.
MEASURED: list[Case] = [
    ("mse", {}, 1),
    ("bce", {}, 1),
    ("bce", {"input": "logit"}, 1),
    ("cce", {"input": "logit"}, 10),
    ("cce", {"input": "logit"}, 1000),
    ("rmse", {}, 1),
]
# A thread, a part of a warp, a warp and a thread block for each row.
WIDTHS = {Scope.ELEMENT: (1, 300), Scope.ROW: (3, 10, 300, 5000), Scope.DATASET: (1,)}
PROBE_BYTES = 256 << 20


def main() -> None:
    """Measures, or prints what the kernels need."""
    arguments = parser().parse_args()
    if arguments.resources or not available():
        if not arguments.resources:
            print(f"No GPU to measure on: {why_unavailable()}. What the compiler says of the kernels:\n")
        print_resources(arguments.loss)
    else:
        measure(arguments.loss, arguments.values, arguments.rounds)


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--resources", action="store_true", help="compile every kernel and print what it needs")
    parser.add_argument("--loss", action="append", help="only this loss, and others named in the same way")
    parser.add_argument("--values", type=int, default=20_000_000, help="predicted values; %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="the least time of so many counts; %(default)s")
    return parser


# ---- without a GPU


def print_resources(names: list[str] | None) -> None:
    """Registers, shared, local and spilled bytes of each kernel of each form of each loss."""
    from lossctl_kernels.cuda_resources import CAPABILITY, launches, resources

    print(f"Compute capability {CAPABILITY[0]}.{CAPABILITY[1]}, float32, thread blocks of 128\n")
    print(f"{'loss':36} {'width':>6} {'kernel':16} {'registers':>9} {'shared':>7} {'stack':>6} {'spilled':>8}")
    seen = set()
    for name, loss in LOSSES.items():
        if names and name not in names:
            continue
        for form in loss.forms:
            options = {**loss.required, **({"input": form} if "input" in loss.options else {})}
            for width in WIDTHS[loss.scope]:
                for started in launches(Plan(resolve(loss, options), width, "float32")):
                    if started.kernel in seen:  # it serves several losses or widths
                        continue
                    seen.add(started.kernel)
                    found = resources(started)
                    print(
                        f"{label(name, options):36} {width:6} {started.name:16} {found.registers:9} "
                        f"{8 * started.threads:7} {found.stack_bytes:6} {found.spilled_bytes:8}",
                        flush=True,
                    )


def label(name: str, options: dict[str, Any]) -> str:
    """A loss as users write it."""
    return ":".join([name, *([",".join(f"{key}={value}" for key, value in options.items())] if options else [])])


# ---- with one


@dataclass(frozen=True)
class Bandwidths:
    """Bytes a second."""

    staging: float
    """From ordinary to pinned memory of the host, by the threads that the backend uses."""
    to_device: float
    from_device: float
    device: float
    """Device memory, read and written bytes together."""


def measure(names: list[str] | None, values: int, rounds: int) -> None:
    """Bandwidths, then for each loss the times of value and gradient next to their bound."""
    from numba import cuda

    device = cuda.get_current_device()
    print(f"{len(cuda.gpus)} GPU(s), compute capability {'.'.join(map(str, device.compute_capability))}")
    speeds = bandwidths(cuda, rounds)
    print(
        f"pageable to pinned {giga(speeds.staging)}, pinned to device {giga(speeds.to_device)}, "
        f"device to pinned {giga(speeds.from_device)}, device memory {giga(speeds.device)} GB/s\n"
    )
    print("ms, the least of the rounds; bound: what the slowest of staging, PCIe and device memory allows")
    print(
        f"{'loss':28} {'width':>6} {'':8} {'first':>8} {'ring':>8} {'one slot':>8} {'bound':>8} {'share':>6} {'off':>8}"
    )
    for name, options, width in MEASURED:
        if names and name not in names:
            continue
        plan = Plan(resolve(LOSSES[name], options), width, "float32")
        batch = random_batch(plan, max(1, values // width))
        for what in ("value", "gradient"):
            print(
                f"{label(name, options):28} {width:6} {what:8} " + line(plan, batch, what, speeds, rounds), flush=True
            )


def random_batch(plan: Plan, rows: int) -> Batch:
    """Rows that are right for every measured loss."""
    random = np.random.default_rng(1)
    shape = (rows, plan.width) if plan.scope is Scope.ROW else (rows,)
    prediction = random.uniform(0.05, 0.95, shape).astype(np.float32)
    target = random.uniform(0.05, 0.95, shape).astype(np.float32)
    if plan.scope is Scope.ROW:
        target /= target.sum(axis=1, keepdims=True)
    return Batch(prediction, target)


def line(plan: Plan, batch: Batch, what: str, speeds: Bandwidths, rounds: int) -> str:
    """The times of one loss, and the largest relative difference from the answers of the CPU."""
    from lossctl_kernels.cpu import Cpu
    from lossctl_kernels.cuda import SLOTS, Cuda

    answers, seconds = [], []
    for engine in (Cuda(), Cuda(slots=1)):
        started = time.perf_counter()
        answers.append(ask(engine, plan, batch, what))
        first = time.perf_counter() - started
        seconds.append((first, least(lambda engine=engine: ask(engine, plan, batch, what), rounds)))  # type: ignore[misc]
    with np.errstate(all="ignore"):
        expected = ask(Cpu(), plan, batch, what)
    off = np.max(np.abs(answers[0] - expected) / np.maximum(np.abs(expected), 1e-30), initial=0.0)
    if not np.array_equal(answers[0], answers[1]):
        raise SystemExit(f"{SLOTS} slots and one slot give different bits")
    limit = bound(plan, batch, what, speeds)
    (first, ring), (_, one_slot) = seconds
    times = " ".join(f"{1e3 * each:8.2f}" for each in (first, ring, one_slot, limit))
    return f"{times} {limit / ring:6.0%} {off:8.1e}"


def ask(engine: Any, plan: Plan, batch: Batch, what: str) -> Array:
    """The sums of the blocks, or the gradient; of a loss over the data set, with totals that are made up."""
    if what == "gradient":
        totals = dict.fromkeys(plan.gradient.numbers, 1.0)
        return np.asarray(engine.gradient(plan, batch, np.broadcast_to(np.ones(1), batch.rows), totals))
    if plan.scope is Scope.DATASET:
        return np.asarray(engine.folds(plan, batch, dict.fromkeys(plan.scales, 1.0))[1])
    return np.asarray(engine.losses(plan, batch, False)[0][:, Column.SUM])


def bound(plan: Plan, batch: Batch, what: str, speeds: Bandwidths) -> float:
    """Seconds that the slowest stage takes, if all others hide behind it."""
    sent = batch.prediction.nbytes + batch.target.nbytes
    returned = batch.prediction.nbytes if what == "gradient" else 0
    # The losses are written and read again where they are summed.
    on_device = sent + returned + (16 * batch.rows if what == "value" else 0)
    return max(
        (sent + returned) / speeds.staging,
        sent / speeds.to_device,
        returned / speeds.from_device,
        on_device / speeds.device,
    )


def bandwidths(cuda: Any, rounds: int) -> Bandwidths:
    """What the machine does, in the pieces that the backend uses."""
    from lossctl_kernels.cuda_streams import copy_all

    size = PROBE_BYTES // (1 if available_memory(cuda) > 8 * PROBE_BYTES else 16)
    pageable, pinned = np.ones(size, np.uint8), cuda.pinned_array(size, np.uint8)
    here, there = cuda.device_array(size, np.uint8), cuda.device_array(size, np.uint8)
    part = min(size, 4 << 20)  # as much as the backend stages at a time: it stays in the cache

    def stage() -> None:
        for start in range(0, size, part):
            copy_all([(pinned[:part], pageable[start : start + part])])

    def timed(action: Callable[[], Any]) -> float:
        return size / least(lambda: (action(), cuda.synchronize()), rounds)

    return Bandwidths(
        timed(stage),
        timed(lambda: here.copy_to_device(pinned)),
        timed(lambda: here.copy_to_host(pinned)),
        2.0 * timed(lambda: there.copy_to_device(here)),
    )


def available_memory(cuda: Any) -> float:
    """Bytes that are free on the GPU."""
    return float(cuda.current_context().get_memory_info().free)


def least(action: Callable[[], Any], rounds: int) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def giga(number: float) -> str:
    """In units of 10**9."""
    return f"{number / 1e9:.1f}"


if __name__ == "__main__":
    main()
