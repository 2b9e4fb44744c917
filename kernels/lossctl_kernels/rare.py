"""Work that few numbers need. It is left out where none of those at hand does: the one branch that definitions have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .scalar import where


def rarely(condition: bool, function: Callable[..., float], otherwise: float, *arguments: float) -> float:
    """`function(*arguments)` where `condition` holds, else `otherwise`.

    As `where`, but for the time that it takes: of vectors and arrays the function is computed if any lane needs it.
    """
    if hasattr(condition, "builder"):
        return _traced(condition, function, otherwise, arguments)  # type: ignore[no-any-return]
    return where(condition, function(*arguments), otherwise) if np.any(condition) else otherwise


def _traced(condition: Any, function: Callable[..., Any], otherwise: Any, arguments: tuple[Any, ...]) -> Any:
    """The same of symbols (`trace.py`): the instructions of the function get a block of their own."""
    from .trace import any_lane

    builder = condition.builder
    is_needed = any_lane(builder, condition.value)
    before = builder.block
    with builder.if_then(is_needed, likely=False):
        result: Any = where(condition, function(*arguments), otherwise)
        inside = builder.block
    chosen = builder.phi(otherwise.value.type)
    chosen.add_incoming(otherwise.value, before)
    chosen.add_incoming(result.value, inside)
    return type(condition)(builder, chosen)
