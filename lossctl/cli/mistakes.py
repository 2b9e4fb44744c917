"""What is wrong with a command line that Typer refuses, in the words of all other messages."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from lossctl.cli.commands import COMMANDS
from lossctl.declarations import Option, Parameter, parameters_of
from lossctl.errors import visible
from lossctl.guesses import closest, did_you_mean

ELSEWHERE = {
    "--json": "--format json",
    "--csv": "--format csv",
    "--metric": "--loss",
    "--metrics": "--loss",
    "--key": "--on",
    "--keys": "--on",
    "--id": "--on",
    "--no-color": "NO_COLOR=1 in the environment",
}
"""What options are called here that other programs have under these names, where the command has them."""

_Options = dict[str, tuple[Parameter, Option]]

_OPTION_OF_A_LOSS = re.compile(r"[a-z_]+=[^ ]+")
_EXTRA = re.compile(r"unexpected extra argument\w*(?:\(s\))? \((?P<words>.*)\)", re.DOTALL)


def explained(error: Any, arguments: Sequence[str]) -> str:
    """One line about `error`, an exception of Typer's parser, with what to do.

    It knows them by their attributes: the library behind the parser has no public name.
    """
    command = arguments[0] if arguments and arguments[0] in COMMANDS else None
    page = f"`lossctl {command} --help`" if command else "`lossctl --help`"
    parameters = parameters_of(import_module(COMMANDS[command]).command) if command else []
    options = {
        name: (each, each.declared)
        for each in parameters
        if isinstance(each.declared, Option)
        for name in each.declared.names
    }
    said, hint = _what_is_wrong(error, arguments, options)
    return f"{said}; {hint}see {page}"


def _what_is_wrong(error: Any, arguments: Sequence[str], options: _Options) -> tuple[str, str]:
    said = " ".join(error.format_message().split()).rstrip(".")
    if "No such command" in said:
        name = next((word for word in arguments if not word.startswith("-") and word != "help"), "help")
        return f"there is no command '{visible(name)}'", did_you_mean(name, COMMANDS)
    if "No such option" in said:
        return f"there is no option '{visible(error.option_name)}'", _instead(error.option_name, options)
    extra = _EXTRA.search(said)
    if extra:
        return f"unexpected argument '{visible(extra['words'])}'", _meant(arguments, extra["words"], options)
    declared = options.get(next(iter(getattr(getattr(error, "param", None), "opts", ())), ""))
    if declared is not None and "Invalid value" in said:
        return _not_of_its_kind(*declared, arguments)
    return said[:1].lower() + said[1:], ""


def _instead(name: str, options: _Options) -> str:
    """The option that was meant, as far as one can tell."""
    spelling = ELSEWHERE.get(name)
    if spelling is not None and (spelling.split()[0] in options or not spelling.startswith("-")):
        return f"here it is {spelling}; "
    of_losses = name.removeprefix("--").replace("-", "_")
    if "--loss" in options and of_losses in _options_of_losses():
        return f"it is one of losses: --loss LOSS:{of_losses}=VALUE; "
    # With their dashes, short names would be close to all.
    given = name.removeprefix("--")
    names = ["help", *(each.removeprefix("--") for each in options if each.startswith("--"))]
    begun = [each for each in names if each.startswith(given)]
    close = begun[0] if len(begun) == 1 else closest(given, names)
    return "" if close is None else f"did you mean --{close}? "


def _options_of_losses() -> set[str]:
    from lossctl_kernels import LOSSES
    from lossctl_kernels.options import option_names

    return {option for loss in LOSSES.values() for option in option_names(loss)}


def _meant(arguments: Sequence[str], words: str, options: _Options) -> str:
    """Why words have no place: `-loss` is `-l oss`, a loss stands without its option, or one of its own apart from it,
    or the shell has made files of a glob.
    """
    dashed = next((word for word in arguments if not word.startswith("--") and f"-{word}" in options), None)
    if dashed is not None and len(dashed) > 2:
        return f"long options have two dashes: -{dashed}; "
    if "--loss" in options:
        from lossctl.catalogue.loss_spec import names

        if words in names():
            return f"a loss is given with --loss {words}; "
        if _OPTION_OF_A_LOSS.fullmatch(words):
            return "options of a loss follow its name, such as --loss huber:delta=2; "
    if any(os.path.exists(word) for word in words.split()):
        return "if the shell expanded a glob, quote it; "
    return ""


def _not_of_its_kind(parameter: Parameter, option: Option, arguments: Sequence[str]) -> tuple[str, str]:
    """An option, or the variable that stands in for it, that should be a whole number or a switch."""
    where, value = max(option.names, key=len), _given(option, arguments)
    if value is None:
        where, value = option.envvar or where, os.environ.get(option.envvar or "", "")
    kind = "1 or 0" if parameter.kind is bool else "a whole number"
    return f"{where} '{visible(value)}' is not {kind}", ""


def _given(option: Option, arguments: Sequence[str]) -> str | None:
    """The value that an option has on the command line."""
    for position, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in option.names:
            return value if equals else next(iter(arguments[position + 1 :]), "")
    return None
