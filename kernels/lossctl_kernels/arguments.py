"""What a function takes, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

REQUIRED: Any = object()
"""Stands where an argument has no default."""

_TAKES_ANY = 0x04 | 0x08
"""The flags of code that has *arguments or **arguments."""


@cache
def argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the arguments, in order."""
    return tuple(defaults_of(function))


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The default of each argument, in order; `REQUIRED` where it has none.

    As `inspect.signature` says, which is slow, and asked about what is more than a plain function only: every function
    of every loss is looked at when a process starts.
    """
    if type(function) is not FunctionType or vars(function) or function.__code__.co_flags & _TAKES_ANY:
        from inspect import signature

        found = signature(function).parameters.values()
        return {each.name: REQUIRED if each.default is each.empty else each.default for each in found}
    code, defaults = function.__code__, function.__defaults__ or ()
    places = code.co_varnames[: code.co_argcount]
    by_name = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = dict(zip(places[len(places) - len(defaults) :], defaults, strict=True)) | (function.__kwdefaults__ or {})
    return {name: given.get(name, REQUIRED) for name in (*places, *by_name)}
