"""Row functions on a GPU: a thread a row, each with scratch of its own in global memory.

Arrays are sent whole: a batch of rows is a chunk of the data, and all pairs need all of them anyway.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda

from .cuda_functions import device
from .cuda_streams import reported_failures
from .row_functions import RowCall, RowCode

THREADS = 64
SCRATCH_BYTES = 1 << 28
"""Of all threads together: fewer threads take several rows each where a row needs much."""
MOST_THREADS = 1 << 16

_kernels: dict[str, Any] = {}


def run_on_device(call: RowCall, number: int) -> None:
    """Runs the call on the GPU of this number. Raises DeviceFailure where it fails."""
    size = max(1, call.scratch(1))
    threads = min(call.rows, MOST_THREADS, max(1, SCRATCH_BYTES // (8 * size)))
    blocks = -(-threads // THREADS)
    with reported_failures(number), cuda.gpus[number]:
        arrays = tuple(cuda.to_device(array) for array in call.arrays)
        filled = cuda.to_device(call.filled)
        scratch = cuda.device_array((blocks * THREADS, size), np.float64)
        scales = cuda.to_device(call.scales)
        numbers = (0.0, *call.numbers)  # a kernel takes no empty tuple
        kernel = kernel_of(call.code)
        kernel[blocks, THREADS](cuda.to_device(call.wanted), arrays, scales, scratch, filled, numbers)
        filled.copy_to_host(call.filled)


def kernel_of(code: RowCode) -> Any:
    """The kernel of a row function, made once in a process."""
    if code.key not in _kernels:
        function = device(code.function)
        make = _grouped if code.grouped else _filling if code.filled[0] != "losses" else _returning
        _kernels[code.key] = cuda.jit(make(function, code))
    return _kernels[code.key]


def types_of(code: RowCode) -> Any:
    """The arguments of a kernel, to compile it where no GPU is."""
    from numba import types

    def array(dtype: str, dimensions: int) -> Any:
        return types.Array(types.boolean if dtype == "bool" else getattr(types, dtype), dimensions, "C")

    arrays = types.Tuple([array(dtype, dimensions) for _, dtype, dimensions in code.arrays])
    numbers = types.UniTuple(types.float64, 1 + len(code.numbers))
    filled = array(*code.filled[1:])
    return types.void(array("bool", 1), arrays, array("float64", 1), array("float64", 2), filled, numbers)


def _returning(function: Callable[..., Any], code: RowCode) -> Any:
    def kernel(wanted, arrays, scales, scratch, losses, numbers):
        thread = cuda.grid(1)
        for row in range(thread, wanted.size, cuda.gridsize(1)):
            if wanted[row]:
                arguments = (row, *arrays, scratch[thread], *numbers[1:])
                losses[row] = function(*arguments)

    return kernel


def _filling(function: Callable[..., Any], code: RowCode) -> Any:
    def scaled(wanted, arrays, scales, scratch, filled, numbers):
        thread = cuda.grid(1)
        for row in range(thread, wanted.size, cuda.gridsize(1)):
            if wanted[row]:
                arguments = (row, *arrays, scales[row], scratch[thread], filled, *numbers[1:])
                function(*arguments)

    def plain(wanted, arrays, scales, scratch, filled, numbers):
        thread = cuda.grid(1)
        for row in range(thread, wanted.size, cuda.gridsize(1)):
            if wanted[row]:
                arguments = (row, *arrays, scratch[thread], filled, *numbers[1:])
                function(*arguments)

    return scaled if code.scaled else plain


def _grouped(function: Callable[..., Any], code: RowCode) -> Any:
    def kernel(wanted, arrays, scales, scratch, filled, numbers):
        thread = cuda.grid(1)
        for row in range(thread, wanted.size, cuda.gridsize(1)):
            arguments = (row, row + 1, *arrays, scratch[thread], filled, *numbers[1:])
            function(*arguments)

    return kernel
