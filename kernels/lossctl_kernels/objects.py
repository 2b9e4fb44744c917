"""Object code, of block functions above all: kept between processes, and made callable by LLVM's linker.

Where the code is kept, no compiler is imported. Object code is specific to the processor, whose name and features are
part of what it is found by.
"""

from __future__ import annotations

import mmap
import os
from functools import cache
from typing import Protocol

from . import cache as files
from .linker import linker

KIND = ".object"
# What Numba takes from the environment that changes the machine code.
_SETTINGS = (
    "NUMBA_CPU_NAME",
    "NUMBA_CPU_FEATURES",
    "NUMBA_ENABLE_AVX",
    "NUMBA_OPT",
)
_LINKER_BYTES = 4 << 20
"""Several times what LLVM takes to begin with, and what a library takes meanwhile."""


class Named(Protocol):
    """What code is found by, such as a recipe: the key of what it was made of, and the name of its function."""

    @property
    def key(self) -> str: ...

    @property
    def symbol(self) -> str: ...


@cache
def _machine() -> tuple[str, ...]:
    """What object code is specific to."""
    return linker().triple(), *linker().processor()


def _key(wanted: Named) -> str:
    settings = [os.environ.get(name, "") for name in _SETTINGS]
    return "\0".join((*_machine(), *settings, wanted.key))


def is_kept(wanted: Named) -> bool:
    """Whether an earlier process has left this code."""
    return files.is_kept(KIND, _key(wanted))


def find(wanted: Named) -> bytes | None:
    """The object code that an earlier process has left, or None where it has to be compiled."""
    return files.kept(KIND, _key(wanted))


def keep(wanted: Named, code: bytes) -> None:
    """Leaves the object code for later processes, where that is possible."""
    files.keep(KIND, _key(wanted), code)


def link(wanted: Named, code: bytes) -> int | None:
    """The address of the function in this process; None where LLVM does not take the code.

    Raises MemoryError where there is no room for it.
    """
    _check_room(_LINKER_BYTES + 2 * len(code))
    return linker().link(code, wanted.symbol)


def _check_room(size: int) -> None:
    """Raises MemoryError where the system does not give as many bytes: LLVM would end the process."""
    try:
        mmap.mmap(-1, size, access=mmap.ACCESS_COPY).close()  # takes room among the addresses, and no memory
    except OSError as error:
        raise MemoryError(f"no room for {size} bytes of compiled code") from error
