"""Compiled block functions, called on arrays as they are."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossctl_kernels.kernels import POINTERS, Compiled, compile_recipe
from lossctl_kernels.recipes import Recipe


@dataclass(frozen=True)
class BlockFunction:
    """The code of a recipe, compiled in this process whatever the cache holds."""

    compiled: Compiled

    def __call__(self, rows: int, width: int, *arrays: Any) -> None:
        """All rows as one block: the arrays in the order of the block function's pointers, None for address 0."""
        loop = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * 6)(self.compiled.address)
        addresses = [0 if array is None else array.ctypes.data for array in arrays]
        assert len(addresses) == POINTERS
        places = np.array([[address, 0] for address in addresses], np.int64)
        loop(0, 1, rows, width, rows, places.ctypes.data)

    @property
    def assembly(self) -> str:
        return str(self.compiled.library.get_asm_str())


def compiled(recipe: Recipe) -> BlockFunction:
    return BlockFunction(compile_recipe(recipe))


# What LLVM may call by itself, and finds in any C library.
OF_THE_C_LIBRARY = {"memcpy", "memmove", "memset"}


def undefined_symbols(code: bytes) -> set[str]:
    """The names that an ELF object of 64 bits, least significant byte first, refers to and does not define."""
    assert code[:6] == b"\x7fELF\x02\x01"
    (offset,) = struct.unpack_from("<Q", code, 0x28)
    size, count = struct.unpack_from("<HH", code, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, offset + size * i) for i in range(count)]
    found = set()
    for _, kind, _, _, start, length, link, *_ in sections:
        if kind == 2:  # a table of symbols; the section it is linked to holds their names
            for at in range(start + 24, start + length, 24):
                name, _, _, section = struct.unpack_from("<IBBH", code, at)
                if section == 0:
                    begin = sections[link][4] + name
                    found.add(code[begin : code.index(b"\0", begin)].decode())
    return found
