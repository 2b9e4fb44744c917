"""Every CUDA kernel is compiled by NVVM, which needs neither a GPU nor a driver."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lossctl_kernels import Plan, Scope
from lossctl_kernels.cuda import row_values
from lossctl_kernels.program import Program
from tests.kernels.cuda_cases import WIDTH, Given, forms, label, plan_of

pytest.importorskip("numba_cuda", reason="compiling CUDA kernels needs numba-cuda: pip install 'lossctl[cuda]'")

import numba
from numba import cuda

from lossctl_kernels import cuda_kernels
from lossctl_kernels.cuda_kernels import Layout

types: Any = numba.types
CAPABILITY = (9, 0)
THREADS = 128
FLOATS = types.float64[::1]
KEEP = types.boolean[::1]

# What the forms by themselves do not reach: chain rules through the row's sum and through conversions, target sums of
# smoothed class indices, every guard.
OPTIONS: list[tuple[str, Given]] = [
    ("scce", {"normalize": True, "eps": 1e-7, "label_smoothing": 0.1}),
    ("cce", {"input": "logit", "grad_wrt": "prob", "class_weight": (1.0, 2.0, 3.0)}),
    ("bce", {"eps": 1e-7, "eps_mode": "floor"}),
    ("bce", {"input": "logit", "grad_wrt": "prob", "label_smoothing": 0.1}),
    ("cosine_similarity", {"eps": 1e-8}),
]
CASES = [*forms(), *OPTIONS]
# All four combinations of layout and dtype take turns, in step for the values and out of step for the gradients.
VARIANTS = [(1, types.float32), (THREADS, types.float64), (THREADS, types.float32), (1, types.float64)]


def name(part: Any) -> str | None:
    """The name of a case in the name of a test; nothing for its turn."""
    return label(part) if isinstance(part, tuple) else None


@pytest.fixture(autouse=True)
def _no_device_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls of device functions ask for the current device, to know what to compile for."""
    for module in (cuda.api, cuda.dispatcher):
        monkeypatch.setattr(module, "get_current_device", lambda: SimpleNamespace(compute_capability=CAPABILITY))


def assembled(kernel: Any, *arguments: Any, output: str = "ltoir") -> Any:
    """What NVVM makes of a kernel for arguments of these types."""
    signature = types.void(*arguments)
    return cuda.compile(kernel.py_func, signature, device=False, abi="numba", cc=CAPABILITY, output=output)[0]


def data(plan: Plan, dtype: Any, program: Program) -> tuple[Any, ...]:
    """Types of the arguments that every kernel of a program takes."""
    target = types.int64[::1] if plan.sparse else dtype[:, ::1]
    return dtype[:, ::1], target, FLOATS, types.UniTuple(types.float64, 1 + len(program.numbers))


@pytest.mark.parametrize(("turn", "case"), list(enumerate(CASES)), ids=name)
def test_values_compile(turn: int, case: tuple[str, Given]) -> None:
    plan = plan_of(case, WIDTH, "float64")
    lanes, dtype = VARIANTS[turn % 4]
    if plan.scope is Scope.DATASET:
        kernel = cuda_kernels.state_kernel(plan.folds, Layout(THREADS))
        assert assembled(kernel, *data(plan, dtype, plan.folds), FLOATS, types.int64, types.float64[:, ::1])
    else:
        program = row_values(plan)
        kernel = cuda_kernels.value_kernel(program, Layout(lanes, plan.sparse, plan.at_target_only))
        assert assembled(kernel, *data(plan, dtype, program), KEEP, types.float64, types.float64, FLOATS)


@pytest.mark.parametrize(("turn", "case"), list(enumerate(CASES)), ids=name)
def test_gradients_compile(turn: int, case: tuple[str, Given]) -> None:
    plan = plan_of(case, WIDTH, "float64")
    lanes, dtype = VARIANTS[(turn + turn // 4 + 2) % 4]
    kernel = cuda_kernels.gradient_kernel(plan.gradient, Layout(lanes, plan.sparse, plan.at_target_only))
    assert assembled(kernel, *data(plan, dtype, plan.gradient), FLOATS, dtype[:, ::1])


@pytest.mark.parametrize("sums", [False, True])
@pytest.mark.parametrize(("lanes", "dtype"), VARIANTS[:2], ids=str)
def test_checks_compile(lanes: int, dtype: Any, sums: bool) -> None:
    kernel = cuda_kernels.check_kernel(lanes, sums)
    interval = types.UniTuple(types.float64, 2)
    assert assembled(kernel, dtype[:, ::1], interval, types.float64, FLOATS, FLOATS)


def test_weighted_losses_are_rounded_before_they_are_added() -> None:
    """A fused multiply-add would give another sum than the other backends."""
    kernel = cuda_kernels.report_kernel(THREADS)
    bad = [FLOATS] * 4
    arguments = FLOATS, FLOATS, KEEP, *bad, types.int64, types.int64, types.float64[:, ::1]
    code = assembled(kernel, *arguments, output="ptx")
    assert "mul.rn.f64" in code
    assert "fma.rn.f64" not in code
    assert "atom." not in code
