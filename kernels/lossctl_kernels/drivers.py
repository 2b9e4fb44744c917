"""The parallel driver in Numba: it runs any block function over the blocks of a batch and knows no loss.

It is the road where LLVM cannot link object code that was kept; see `spans.py` for the other one. Each block is one
task with results of its own, so that they have the same bits on any number of threads.
"""

from __future__ import annotations

import pickle
import threading
from functools import cache
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange, set_num_threads, types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numpy.typing import NDArray

from . import cache as files
from .kernels import Compiled

LOOP_FUNCTION = types.void(*[types.int64] * 6)
KIND = ".kernel"

# Numba's own thread pool ends the process when two threads start parallel regions at once.
_one_at_a_time = threading.Lock()


def drive(run: Any, rows: int, width: int, block: int, places: int) -> None:
    """Calls the loop of a block function for each `block` of rows. See `kernels.py` for its arguments."""
    for task in prange((rows + block - 1) // block):
        k = np.int64(task)  # Numba counts parallel loops unsigned
        run(k, k + 1, rows, width, block, places)


def drive_blocks(
    compiled: Compiled, rows: int, width: int, block: int, places: NDArray[np.int64], threads: int, arrays: Any = ()
) -> None:
    """Runs all blocks with a compiled loop, on at most so many of Numba's threads; as `spans.run_spans`."""
    with _one_at_a_time:
        run = driver()
        before = get_num_threads()
        set_num_threads(min(threads, before))
        try:
            run(_Address(compiled.address), rows, width, block, places.ctypes.data)
        finally:
            set_num_threads(before)


class _Address(types.WrapperAddressProtocol):
    """Machine code as a function that Numba can be given."""

    def __init__(self, address: int) -> None:
        self._address = address

    def __wrapper_address__(self) -> int:
        return self._address

    def signature(self) -> Any:
        return LOOP_FUNCTION


@cache
def driver() -> Any:
    """The driver, compiled or from the cache: once for all losses."""
    dispatcher = njit(parallel=True, error_model="numpy", nogil=True)(drive)
    dispatcher._cache = KernelCache("driver")
    dispatcher.compile((types.FunctionType(LOOP_FUNCTION), *[types.int64] * 4))
    dispatcher.disable_compile()
    return dispatcher


class KernelCache(_Cache):
    """The cache of one kernel, in the form that a Numba dispatcher asks for."""

    def __init__(self, key: str) -> None:
        self._key = key

    @property
    def cache_path(self) -> str:
        return str(files.cache_folder() or "")

    def enable(self) -> None:
        """Part of the interface of Numba; there is nothing to switch."""

    disable = flush = enable

    def _key_of(self, signature: Any, codegen: Any) -> str:
        return "\0".join((self._key, str(signature), str(codegen.magic_tuple())))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        payload = files.kept(KIND, self._key_of(sig, target_context.codegen()))
        if payload is None:
            return None
        return CompileResult._rebuild(target_context, *pickle.loads(payload))  # noqa: S301 - the folder is ours alone

    def save_overload(self, sig: Any, data: Any) -> None:
        files.keep(KIND, self._key_of(sig, data.codegen), dumps(data._reduce()))
