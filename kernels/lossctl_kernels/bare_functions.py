"""Compiled functions of whole numbers, addresses among them, that call nothing outside: kept, linked and called.

What it takes to link them is imported with the first that is asked for, and Numba where one has to be compiled.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple


class BareFunction(NamedTuple):
    """A function of so many int64 numbers, whose result is one; `key` is what it is found by.

    `definition` gives the Python function that Numba compiles. `symbol` is its name in object code, "" where that is
    not at hand.
    """

    key: str
    arguments: int
    definition: Callable[[], Callable[..., int]]
    symbol: str = ""

    def is_kept(self) -> bool:
        """Whether an earlier process has left it."""
        from . import objects

        return objects.is_kept(self)

    def compile_ahead(self) -> None:
        """Leaves it for later processes. Raises ImportError where Numba is not there."""
        from . import objects

        if objects.find(self) is None:
            self._compiled()

    def load(self, compiling: bool) -> Callable[..., int] | None:
        """The function, linked where it is kept; what is not kept is compiled if asked for.

        None where there is none, or LLVM does not take the code. Raises ImportError where Numba has to be loaded and is
        not there.
        """
        from . import objects

        kept = objects.find(self)
        if kept is None and compiling:
            kept = self._compiled()
        if kept is None:
            return None
        symbol, _, code = kept.partition(b"\0")
        address = objects.link(self._replace(symbol=symbol.decode()), code)
        # What Numba calls it with: the address of the result, of an exception that never comes, the arguments.
        kinds = [ctypes.c_void_p] * 2 + [ctypes.c_int64] * self.arguments
        return None if address is None else partial(_called, ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(address))

    def _compiled(self) -> bytes:
        """The symbol and the object code, which are kept."""
        from numba import njit, types

        from . import objects

        signature = types.int64(*[types.int64] * self.arguments)
        bare = njit(signature, error_model="numpy", nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
        compiled = next(iter(bare(self.definition()).overloads.values()))
        kept = compiled.fndesc.mangled_name.encode() + b"\0" + compiled.library._get_compiled_object()
        objects.keep(self, kept)
        return bytes(kept)


def _called(function: Any, *arguments: int) -> int:
    result = ctypes.c_int64()
    function(ctypes.addressof(result), None, *arguments)
    return result.value
