"""The machine code of block functions: packed arithmetic on double precision, and no call into the C library."""

from __future__ import annotations

import math
import platform
import re
import sys

import llvmlite.binding
import numba
import pytest

from lossctl_kernels import LOSSES, Plan, Scope
from lossctl_kernels.program import Program
from lossctl_kernels.recipes import recipe_of
from tests.kernels import block_code
from tests.kernels.block_code import OF_THE_C_LIBRARY, undefined_symbols
from tests.kernels.cases import forms, is_row_function

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT) or platform.machine().lower() not in ("x86_64", "amd64"),
    reason="needs machine code of x86-64",
)

WIDTHS = {"flat": 1, "terms": 1, "across": 3, "along": 200}
ARITHMETIC = r"(?:add|sub|mul|div|fn?m(?:add|sub)\d+)pd\b"
PACKED = re.compile(rf"\bv?{ARITHMETIC}.*%[xyz]mm")
WIDE = re.compile(rf"\bv{ARITHMETIC}.*%[yz]mm")
MATHEMATICS = r"(?:exp|exp2|expm1|log|log1p|log2|log10|pow|sinh|cosh|tanh|fmax|fmin|fabs|sqrt|fma|floor|rint)f?"
CALL = re.compile(rf"(?:call\w*\s+|jmp\s+|\$)(?:llvm\.)?{MATHEMATICS}(?:@PLT|,|\s|$)", re.MULTILINE)
ALONG = ("cce", "scce", "cosine_distance")
# Nothing is computed that could be packed: with log-probabilities the loss of a class is a load and a negation, its
# derivative a constant; along a row of probabilities the one logarithm is that of the class.
TRIVIAL = {
    "cce:input=log_prob-gradient-across",
    "cce:input=log_prob-gradient-along",
    "scce:input=log_prob-gradient-across",
    "scce:input=log_prob-gradient-along",
}


def programs() -> dict[str, tuple[Plan, Program]]:
    """(plan, program) for each form of each loss, value and gradient; along rows for a few of them."""
    found = {}
    for case in forms():
        if is_row_function(case):
            continue
        scope, both = LOSSES[case.loss].scope, ("across", "along") if case.loss in ALONG else ("across",)
        for layout in {Scope.ROW: both, Scope.ELEMENT: ("flat",), Scope.DATASET: ("terms",)}[scope]:
            plan = case.plan(WIDTHS[layout])
            gradient = () if plan.definition.gradient is None else (plan.gradient,)
            for program in (plan.folds if scope is Scope.DATASET else plan.value, *gradient):
                name = recipe_of(plan, program, "float64").layout.name
                found[f"{case}-{program.kind}-{name}"] = plan, program
    return found


PROGRAMS = programs()


def wide() -> bool:
    return bool(llvmlite.binding.get_host_cpu_features().get("avx2"))


@pytest.mark.parametrize("label", PROGRAMS)
def test_block_functions_are_vector_code(label: str) -> None:
    plan, program = PROGRAMS[label]
    function = block_code.compiled(recipe_of(plan, program, "float64"))
    text = function.assembly
    assert ".globl" in text
    assert not CALL.search(text)
    # Whatever else is missing where kept code is linked would end the process.
    assert sys.platform != "linux" or undefined_symbols(function.compiled.code) <= OF_THE_C_LIBRARY
    assert label in TRIVIAL or (WIDE if wide() else PACKED).search(text), "no packed arithmetic on doubles"


def test_a_call_would_be_seen() -> None:
    for line in (
        "\tcallq\texp@PLT\n",
        "\tmovabsq\t$log1p, %rax\n",
        "\tjmp\ttanh\n",
        "\tcall\tfmax@PLT\n",
        "\tmovabsq\t$logf,%r",
    ):
        assert CALL.search(line), line
    for line in ("\tcallq\t*%rax\n", "\tmovabsq\t$exponent_table, %rax\n", "\tcallq\tmemset@PLT\n"):
        assert not CALL.search(line), line


def test_scalar_code_would_be_seen() -> None:
    """One value at a time, as a loop that must keep its order is compiled."""

    @numba.njit(numba.float64(numba.float64[::1]))
    def running(values):  # type: ignore[no-untyped-def]
        total = 0.0
        for value in values:
            total = total * 0.5 + value
        return total

    text = "\n".join(running.inspect_asm().values())
    assert "addsd" in text
    assert not WIDE.search(text)


def test_a_scalar_exponential_would_be_seen() -> None:
    @numba.njit(numba.void(numba.float64[::1]))
    def scalar(values):  # type: ignore[no-untyped-def]
        for i in range(values.size):
            values[i] = math.exp(values[i])

    assert CALL.search("\n".join(scalar.inspect_asm().values()))


def test_what_is_left_out_exists() -> None:
    assert set(PROGRAMS) >= TRIVIAL
