"""Which plain functions a function calls: a compiler must know each of them before it meets the function itself."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["reachable"]


def reachable(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The plain Python functions that `function` can call, callees first and itself last.

    Found through the cells of closures and the global names in the code; NumPy's functions and builtins are left out.
    An attribute that is named like a global function counts as a call of it, which makes the list longer, never wrong.
    """
    found: dict[Callable[..., Any], None] = {}
    entered: set[Callable[..., Any]] = set()

    def visit(candidate: Any) -> None:
        if not isinstance(candidate, FunctionType) or candidate in entered:
            return
        entered.add(candidate)
        for cell in candidate.__closure__ or ():
            visit(cell.cell_contents)
        for name in candidate.__code__.co_names:
            visit(candidate.__globals__.get(name))
        found[candidate] = None

    visit(function)
    return list(found)
