"""Every kernel compiled without a GPU, and what the compiler says of it: registers, shared and local memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from .batch import Batch
from .cuda_jobs import FoldsJob, GradientJob, LossesJob, RowsJob, Shape, row_values
from .plan import Plan
from .spec import Scope

CAPABILITY = (9, 0)


@dataclass(frozen=True)
class Started:
    """A launch that was not carried out: `types` are those of the arguments."""

    name: str
    kernel: Any
    threads: int
    types: Any


@dataclass(frozen=True)
class Resources:
    """Of each thread: registers, bytes of local memory (its stack) and bytes of registers spilled to it."""

    registers: int
    stack_bytes: int
    spilled_bytes: int


def launches(plan: Plan) -> list[Started]:
    """Every kernel that the values and the gradient of a plan launch, with the arguments that they get."""
    shape, dtype = Shape(), plan.prediction_dtype
    values = np.zeros((1, plan.width), dtype)
    inputs = {
        name: values[:, 0] if of_row else values for name, of_row in zip(plan.inputs, plan.row_inputs, strict=True)
    }
    batch = Batch(values, np.zeros(1, np.int64) if plan.sparse else values, inputs=inputs)
    jobs: list[RowsJob] = []
    if plan.scope is Scope.DATASET:
        jobs.append(FoldsJob(shape, plan, batch, dict.fromkeys(plan.scales, 1.0)))
    else:
        jobs.append(LossesJob(shape, plan, batch, row_values(plan), wanted=True))
    for name in plan.gradient_names:
        totals = dict.fromkeys(plan.gradient_program_of(name).numbers, 1.0)
        jobs.append(GradientJob(shape, plan, batch, np.ones(1), totals, name))
    return [started for job in jobs for started in _started(job)]


def _started(job: RowsJob) -> list[Started]:
    from numba import typeof, types

    started = []

    def launch(kernel: Any, thread_blocks: int, threads: int, *arguments: Any) -> None:
        name = kernel.py_func.__qualname__.partition(".")[0]
        started.append(Started(name, kernel, threads, types.void(*map(typeof, arguments))))

    packing = job.packing(1)
    job.compute(packing.views(np.zeros(packing.starts()[-1], np.uint8), hosted=False), launch)
    return started


@contextmanager
def without_a_gpu() -> Iterator[None]:
    """Calls of device functions ask for the current device, to know what to compile for: here it is made up."""
    from numba.cuda import api, dispatcher

    before = api.get_current_device, dispatcher.get_current_device
    device = SimpleNamespace(compute_capability=CAPABILITY)
    api.get_current_device = dispatcher.get_current_device = lambda: device
    try:
        yield
    finally:
        api.get_current_device, dispatcher.get_current_device = before


def code(started: Started, output: str = "ltoir") -> Any:
    """What NVVM makes of a kernel: "ltoir", what is linked where a GPU runs it, or "ptx", to be read."""
    from numba import cuda

    with without_a_gpu():
        function = started.kernel.py_func
        return cuda.compile(function, started.types, device=False, abi="numba", cc=CAPABILITY, output=output)[0]


def resources(started: Started) -> Resources:
    """What the assembler reports of the kernel for one architecture; it needs no driver."""
    from numba.cuda.cudadrv.driver import Linker, LinkerOptions, ObjectCode

    arch = "sm_" + "".join(map(str, CAPABILITY))
    options = LinkerOptions(arch=arch, link_time_optimization=True, ptxas_options=["-v"])
    linker = Linker(ObjectCode.from_ltoir(code(started)), options=options)
    linker.link("cubin")
    log = linker.get_info_log()
    return Resources(
        _number(r"Used (\d+) registers", log),
        _number(r"(\d+) bytes stack frame", log),
        _number(r"(\d+) bytes spill stores", log),
    )


def _number(pattern: str, log: str) -> int:
    found = re.search(pattern, log)
    if found is None:
        raise RuntimeError(f"the assembler's report has no {pattern!r}:\n{log}")
    return int(found[1])
