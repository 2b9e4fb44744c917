"""Every CUDA kernel is compiled by NVVM and assembled, which needs neither a GPU nor a driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lossctl_kernels.program import Program
from tests.kernels.cuda_cases import WIDTH, Case, forms, label, plan_of, programs, structures, variants

pytest.importorskip("numba_cuda", reason="compiling CUDA kernels needs numba-cuda: pip install 'lossctl[cuda]'")

import numba
from numba import cuda

from lossctl_kernels import cuda_functions, row_cuda
from lossctl_kernels.cuda_jobs import Shape
from lossctl_kernels.cuda_resources import CAPABILITY, Started, code, launches, resources, without_a_gpu
from lossctl_kernels.row_functions import RowCode, codes

# What the forms by themselves do not reach: chain rules through the row's sum and through conversions, target sums of
# smoothed class indices, guards.
OPTIONS: list[Case] = [
    ("scce", {"normalize": True, "eps": 1e-7, "label_smoothing": 0.1}),
    ("cce", {"input": "logit", "grad_wrt": "prob", "class_weight": (1.0, 2.0, 3.0)}),
    ("bce", {"eps": 1e-7, "eps_mode": "floor"}),
]
# A thread, a part of a warp, a warp and a thread block for each row.
WIDTHS = (WIDTH, 10, 300, 5000)
REGISTERS = 128  # a thread block of 128 then leaves room for three more of them on any GPU
STACK_BYTES = 256  # the open sums of a tree; rows need none


def of(case: Case, kernel: str, width: int = WIDTH, dtype: str = "float32") -> Started:
    return next(started for started in launches(plan_of(case, width, dtype)) if started.name == kernel)


def check(started: Started) -> None:
    found = resources(started)
    assert 0 < found.registers <= REGISTERS, found
    assert found.spilled_bytes == 0
    assert found.stack_bytes <= (0 if started.name in ("rows_kernel", "gradient_kernel") else STACK_BYTES)


@pytest.mark.parametrize("case", [*structures(), *OPTIONS], ids=label)
def test_kernels_of_every_structure_spill_nothing(case: Case) -> None:
    width = len(case[1].get("class_weight", ())) or WIDTHS[(structures() + OPTIONS).index(case) % 4]
    dtype = "float64" if width in WIDTHS[:2] else "float32"
    for started in launches(plan_of(case, width, dtype)):
        if started.name in ("rows_kernel", "gradient_kernel", "state_kernel"):
            check(started)


@pytest.mark.parametrize("kernel", ["report_kernel", "merge_kernel"])
def test_kernels_that_all_losses_share_spill_nothing(kernel: str) -> None:
    check(of(("cosine_global", {}), kernel))


def calls(program: Program) -> Callable[[Any], Any]:
    """All functions of a program, called with one environment."""
    called: Any = None
    for function in (*(step.term for step in program.steps), program.finish):
        called = both(called, function) if called else function
    return called  # type: ignore[no-any-return]


def both(first: Any, second: Any) -> Any:
    def call(environment: Any) -> Any:
        return first(environment), second(environment)

    return call


@pytest.mark.parametrize("case", forms(), ids=label)
def test_every_definition_compiles(case: Case) -> None:
    """Kernels differ by their structure and by these functions."""
    plan = plan_of(case, WIDTH, "float64")
    for program in programs(plan):
        size = program.leading + len(program.numbers) + len(program.steps)
        environment = numba.types.UniTuple(numba.types.float64, size)
        with without_a_gpu():
            function = cuda_functions.device(calls(program))
            found = cuda.compile(function, (environment,), abi="numba", cc=CAPABILITY, output="ltoir")
        assert found[0]


ROW_FUNCTIONS = {
    made.function.__name__: made
    for plan in (plan_of(case, WIDTH, "float32") for case in variants())
    if plan.definition.row_function
    for made in codes(plan, "float32", gradient=True)
}


@pytest.mark.parametrize("made", ROW_FUNCTIONS.values(), ids=list(ROW_FUNCTIONS))
def test_every_row_function_compiles(made: RowCode) -> None:
    with without_a_gpu():
        kernel, types = row_cuda.kernel_of(made), row_cuda.types_of(made)
        assert cuda.compile(kernel.py_func, types, device=False, abi="numba", cc=CAPABILITY, output="ltoir")[0]


def test_lanes_of_a_warp_shuffle_and_wider_teams_use_shared_memory() -> None:
    codes = [code(of(("mae", {}), "rows_kernel", width), "ptx") for width in WIDTHS]
    assert ["shfl.sync" in text for text in codes] == [False, True, True, True]
    assert ["bar.sync" in text or "barrier.sync" in text for text in codes] == [False, False, False, True]


@pytest.mark.parametrize(
    ("width", "lanes"), [(1, 1), (7, 1), (8, 2), (15, 2), (64, 16), (128, 32), (4095, 32), (4096, 128)]
)
def test_lanes_of_a_row(width: int, lanes: int) -> None:
    assert Shape().lanes(width) == lanes


def test_weighted_losses_are_rounded_before_they_are_added() -> None:
    """A fused multiply-add would give another sum than the other backends."""
    text = code(of(("mse", {}), "report_kernel"), "ptx")
    assert "mul.rn.f64" in text
    assert "fma.rn.f64" not in text
    assert "atom." not in text
