"""Ordinary command lines, taken apart without Typer, which takes longer to import than a small evaluation takes.

Ordinary is `COMMAND` with options that are spelled whole, each with its value in the next word or after `=`. All else
is Typer's: help, completion, mistakes and what is said of them, values from the environment, rarer spellings. `call_of`
gives None for it and whenever in doubt: what it does take, Typer takes in the same way, and a test compares them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from lossctl.cli.commands import COMMANDS
from lossctl.declarations import Argument, Option, Parameter, arguments_of, parameters_of

COMPLETION = "_LOSSCTL_COMPLETE"
LONGEST_NUMBER = 18


class _NotOrdinary(Exception):
    """Typer has to look at this command line."""


def call_of(arguments: Sequence[str]) -> Callable[[], None] | None:
    """The call that `arguments` ask for; None where Typer has to say what they mean."""
    if not arguments or arguments[0] not in COMMANDS or COMPLETION in os.environ:
        return None
    command = import_module(COMMANDS[arguments[0]]).command
    parameters = parameters_of(command)
    try:
        return partial(command, **arguments_of(parameters, _values(parameters, iter(arguments[1:]))))
    except _NotOrdinary:
        return None


def _values(parameters: Sequence[Parameter], words: Iterator[str]) -> dict[str, Any]:
    """What the words give, by the names of the parameters."""
    kinds = {parameter.name: parameter.kind for parameter in parameters}
    options: dict[str, str] = {}
    places: list[str] = []
    for parameter in parameters:
        if isinstance(parameter.declared, Argument):
            places.append(parameter.name)
        else:
            options |= dict.fromkeys(_names(parameter.declared), parameter.name)
    free = list(places)
    given: dict[str, Any] = {}
    for word in words:
        if not word.startswith("-"):
            _place(given, free, kinds, word)
            continue
        spelling, equals, attached = word.partition("=") if word.startswith("--") else (word, "", "")
        if spelling not in options:
            raise _NotOrdinary
        name = options[spelling]
        if kinds[name] is not bool:
            _add(given, name, kinds[name], attached if equals else _next(words))
        elif equals:
            raise _NotOrdinary
        else:
            given[name] = True
    if any(parameter.required and parameter.name not in given for parameter in parameters):
        raise _NotOrdinary
    return given


def _place(given: dict[str, Any], free: list[str], kinds: dict[str, Any], word: str) -> None:
    """Gives `word` to the first of the places that are still free; one of several words stays so."""
    if not free:
        raise _NotOrdinary
    if kinds[free[0]] == list[str]:
        given.setdefault(free[0], []).append(word)
    else:
        given[free.pop(0)] = word


def _names(option: Option) -> tuple[str, ...]:
    if option.envvar and os.environ.get(option.envvar):
        raise _NotOrdinary
    return option.names


def _add(given: dict[str, Any], name: str, kind: Any, text: str) -> None:
    """Adds the value of an option, which is text, a whole number, or one of several texts."""
    if text.startswith("-"):  # more often another option than a value
        raise _NotOrdinary
    if kind == list[str] | None:
        given.setdefault(name, []).append(text)
    elif kind in (str, str | None):
        given[name] = text
    elif kind in (int, int | None) and text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER:
        given[name] = int(text)
    else:
        raise _NotOrdinary


def _next(words: Iterator[str]) -> str:
    for word in words:
        return word
    raise _NotOrdinary
