"""Row functions on the processor: their machine code, found or compiled, run over rows by threads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from . import objects
from .addresses import contiguous_address
from .batch import Array, Floats
from .gpu import BackendUnavailable
from .roads import load_compiler
from .row_functions import LANES, RowCall, RowCode
from .spans import run_spans

STEPS_OF_A_SPAN = 1 << 13
"""Steps of the rows that are handed out together, at the least."""

_functions: dict[str, Callable[..., None]] = {}
_held: list[Any] = []
_making = threading.Lock()


def run_on_threads(call: RowCall, threads: int) -> None:
    """Runs the call on so many threads, each with scratch of its own."""
    code, function = call.code, function_of(call.code)
    block = LANES if code.grouped else max(1, STEPS_OF_A_SPAN // max(1, call.work))
    size = max(1, call.scratch(LANES if code.grouped else 1))
    unused: list[Floats] = []
    arrays = [value for array in call.arrays for value in _passed(array)]
    wanted, scales, filled = _passed(call.wanted), _passed(call.scales), _passed(call.filled)

    def loop(first: int, last: int, *_: int) -> None:
        try:
            scratch = unused.pop()  # another thread may take the last one meanwhile
        except IndexError:
            scratch = np.empty(size)
        span = first * block, min(last * block, call.rows)
        if call.look is not None:
            call.look(*span)
        function(*span, *wanted, *arrays, *scales, *_passed(scratch), *filled, *call.numbers)
        unused.append(scratch)

    run_spans(loop, call.rows, call.work, block, np.empty(0, np.int64), threads, (call,))


def _passed(array: Array) -> tuple[int, ...]:
    """An array as compiled loops take it: where it is, and its shape."""
    return (contiguous_address(array), *array.shape)


def function_of(code: RowCode) -> Callable[..., None]:
    """The loop of a row function. Raises BackendUnavailable where it has to be compiled and cannot be."""
    with _making:
        if code.key not in _functions:
            _functions[code.key] = _type(code)(_linked(code) or _compiled(code))
        return _functions[code.key]


def _linked(code: RowCode) -> int | None:
    """The address of the loop that an earlier process has left."""
    kept = objects.find(code)
    return None if kept is None else objects.link(code, kept)


def _compiled(code: RowCode) -> int:
    load_compiler()
    from .row_kernels import compile_row_code
    from .row_values import NotCompilable

    try:
        compiled = compile_row_code(code)
    except NotCompilable as error:
        raise BackendUnavailable(str(error)) from error
    _held.append(compiled)
    objects.keep(code, compiled.code)
    return int(compiled.address)


def _type(code: RowCode) -> Any:
    """The loop as a C function; ctypes lets other threads run meanwhile."""
    dimensions = [1, *(d for _, _, d in code.arrays), 1, 1, code.filled[2]]
    integers = 2 + sum(1 + d for d in dimensions)
    numbers = [ctypes.c_double] * len(code.numbers)
    return ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * integers, *numbers)
