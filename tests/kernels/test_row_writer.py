"""The compiler of row functions does what Python does, and says what it does not know."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest

from lossctl_kernels.gpu import BackendUnavailable
from lossctl_kernels.row_cpu import run_on_threads
from lossctl_kernels.row_functions import RowCall, RowCode, interpret
from lossctl_kernels.row_kernels import compile_row_code
from lossctl_kernels.row_values import NotCompilable

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT leaves nothing to compile")

LIMIT = 3
NUMBERS = np.array([[-2.5, 0.0, 1.0, 3.5], [4.0, -0.0, 2.0, 7.0], [1e-3, 9.0, -6.0, 0.5]])
WHOLE = np.array([[3, -7, 2, 5], [-3, 7, 4, 1], [8, 0, -1, 2]])


def call_of(function: Callable[..., Any], dtype: str = "float64", filled: Any = None) -> RowCall:
    name = "losses" if filled is None else "gradient"
    found = np.full(3, np.nan) if filled is None else filled
    kinds = (("prediction", dtype, 2), ("target", "int64", 2))
    code = RowCode(function, kinds, (name, found.dtype.name, found.ndim), ("number",))
    arrays = NUMBERS.astype(dtype), WHOLE
    return RowCall(code, arrays, found, (0.75,), np.empty(0), np.ones(3, bool), lambda lanes: 8, 4)


def helper(values: Any, factor: float = 2.0) -> float:
    total = 0.0
    for value in range(values.size):
        total += float(values[value]) * factor
    return total


def first_positive(values: Any) -> int:
    for i in range(values.size):
        if values[i] > 0:
            return i
    return -1


def swapped(a: float, b: float) -> tuple[float, float]:
    return (b, a) if a < b else (a, b)


# Each is run as it is and compiled: (row, prediction, target, scratch, number).


def sums_and_slices(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    part = scratch[1:][:4]
    part[:] = number
    part[row] = helper(prediction[row]) + helper(prediction[row], 0.5)
    return helper(part) + prediction.shape[0] * scratch[1 + row] + part.size


def loops(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    total, steps = 0.0, 0
    for i in range(3, -1, -1):
        if prediction[row, i] == 0.0:
            continue
        for j in range(i, 4, 2):
            if j == LIMIT:
                break
            total += float(prediction[row, j]) * (i + 1)
        steps += 1
    while steps > 0 and total > -100.0:
        total -= number
        steps = steps - 1
    return total


def choices(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    a, b = swapped(float(prediction[row, 0]), float(prediction[row, 3]))
    a, b = b, a
    inside = -3 < a < b <= 4.0 and not (row == 1 or b == number)
    last = first_positive(prediction[row])
    safe = last >= 0 and prediction[row, last] > 0.5
    return (a if inside else 2 * b) + (10 if safe else -10) + (last | 0 == 0) + abs(target[row, 1]) + abs(-a)


def whole_numbers(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    a, b = target[row, 0], target[row, 2]
    return a // b * 100 + a % b + min(a, b) * 0.25 + max(1, a) + int(number * 10) + int(-2.5) + (a / b)


def elementary(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    x = abs(float(prediction[row, 0])) + number
    fraction, exponent = math.frexp(x)
    found = math.exp(-x) + math.log(x) + math.sqrt(x) + math.log1p(x) + math.expm1(-x) + math.fabs(-x)
    return found + fraction * exponent + math.ldexp(x, 3) + math.frexp(x)[1] + min(x, math.inf, 9.0) + max(-math.inf, x)


def is_increasing(values: Any, strictly: bool) -> bool:
    for i in range(values.size - 1):
        if values[i] > values[i + 1] or (strictly and values[i] == values[i + 1]):
            return False
    return True


def double(values: Any, factor: float = 2.0) -> None:
    for i in range(values.size):
        values[i] *= factor


def functions_with_loops(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    """Written once for arguments of the same kinds, whatever they are: int, bool or float in place of each other."""
    scratch[:4] = number
    double(scratch[:4])
    double(scratch[:2], 3)
    double(scratch[:2], number)
    increasing = is_increasing(target[row], True) or is_increasing(scratch[:4], False)
    return helper(scratch[:4]) + first_positive(prediction[row]) + first_positive(target[row]) * 0.5 + increasing


def not_numbers(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    nan = math.inf - math.inf
    same = nan
    return (
        1.0 * (nan == same) + 2.0 * (nan != same) + 4.0 * (nan < 1.0) + 8.0 * (not nan > 1.0) + (16.0 if nan else 0.0)
    )


FUNCTIONS = [sums_and_slices, loops, choices, whole_numbers, elementary, functions_with_loops, not_numbers]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_compiled_code_does_what_python_does(function: Callable[..., Any], dtype: str) -> None:
    found, expected = call_of(function, dtype), call_of(function, dtype)
    run_on_threads(found, 1)
    interpret(expected)
    assert np.isfinite(expected.filled).all()
    np.testing.assert_allclose(found.filled, expected.filled, rtol=1e-15)


def fills(row: int, prediction: Any, target: Any, scratch: Any, gradient: Any, number: float) -> None:
    if row == 2:
        return
    for j in range(4):
        gradient[row, j] = number * j
        gradient[row, j] += target[row, j]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_arrays_are_filled_in_their_dtype(dtype: str) -> None:
    call = call_of(fills, filled=np.zeros((3, 4), dtype))
    run_on_threads(call, 2)
    np.testing.assert_array_equal(call.filled[:2], 0.75 * np.arange(4) + WHOLE[:2])
    assert not call.filled[2].any()


def uses_power(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    return number**2.0


def uses_list(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    return [number][0]


def loops_over_array(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    for value in prediction[row]:
        number += value
    return number


def calls_itself(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    return calls_itself(row, prediction, target, scratch, number)


def uses_gamma(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    return math.gamma(number)


def takes_root_of_array(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    return math.sqrt(prediction[row])


def uses_string(row: int, prediction: Any, target: Any, scratch: Any, number: float) -> float:
    name = "x"
    return number if name else 0.0


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (uses_power, "uses_power, line .*: Pow"),
        (uses_list, "List is not known"),
        (loops_over_array, "not over range"),
        (calls_itself, "calls itself"),
        (uses_gamma, "gamma of 1 arguments"),
        (takes_root_of_array, "takes_root_of_array, line .*: an array or tuple where a number is needed"),
        (uses_string, "'x' is no number"),
    ],
)
def test_what_is_not_known_is_named(function: Callable[..., Any], what: str) -> None:
    with pytest.raises(NotCompilable, match=what):
        compile_row_code(call_of(function).code)


def test_what_cannot_be_compiled_makes_the_backend_unavailable() -> None:
    made: dict[str, Any] = {}
    exec("def hidden(row, prediction, target, scratch, number): return 0.0", made)  # which has no source
    with pytest.raises(BackendUnavailable, match="the source of hidden cannot be read"):
        run_on_threads(call_of(made["hidden"]), 1)


def test_equal_functions_of_other_arrays_have_other_names() -> None:
    symbols = {call_of(loops, dtype).code.symbol for dtype in ("float32", "float64")}
    assert len(symbols) == 2
    code = call_of(loops).code
    assert code.symbol.encode() in compile_row_code(code).code
