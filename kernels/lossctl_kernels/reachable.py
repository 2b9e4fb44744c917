"""Which plain functions a function calls: a compiler must know each of them before it meets the function itself."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np


def reachable(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The plain Python functions that `function` can call, callees first and itself last.

    Found through the cells of closures, the global names in the code, and what is taken of modules of such names;
    NumPy's functions and builtins are left out. An attribute that is named like a global function counts as a call of
    it, which makes the list longer, never wrong.
    """
    found: dict[Callable[..., Any], None] = {}
    entered: set[Callable[..., Any]] = set()

    def visit(candidate: Any) -> None:
        if not isinstance(candidate, FunctionType) or candidate in entered:
            return
        entered.add(candidate)
        for cell in candidate.__closure__ or ():
            visit(cell.cell_contents)
        names = candidate.__code__.co_names
        for name in names:
            found_there = candidate.__globals__.get(name)
            if isinstance(found_there, ModuleType) and found_there is not np:
                for attribute in names:
                    visit(vars(found_there).get(attribute))
            visit(found_there)
        found[candidate] = None

    visit(function)
    return list(found)
