"""The pages of `--help`, made of the declarations of the commands.

Typer would list fifty options under one heading and fold the examples, so that they cannot be copied; it also takes
longer to import than a page takes to read. Completion and mistakes are still its own.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from textwrap import wrap

from lossctl.cli.commands import COMMANDS
from lossctl.cli.plain import COMPLETION
from lossctl.declarations import Argument, Option, Parameter, parameters_of

HELP = """Exact losses and gradients of saved model outputs.

Example: lossctl eval preds.npy labels.npy --loss bce
"""

ROOT_OPTIONS = (
    ("-V, --version", "Show the version."),
    ("--install-completion", "Install completion for the current shell."),
    ("--show-completion", "Show the completion script of the current shell."),
    ("-h, --help", "Show this page, or with COMMAND its own."),
)
WANTED = ("-h", "--help")

NARROWEST, WIDEST = 40, 100
LONGEST_NAME = 26
"""The column of names is at most this wide; what is said of a longer name begins on the next line."""

_NO_BREAK = "\N{NO-BREAK SPACE}"
_EXAMPLE = re.compile(r"(?P<title>[^:]+): (?P<line>lossctl .+)", re.DOTALL)


def page_of(arguments: Sequence[str]) -> str | None:
    """The page that a command line asks for; None where it asks for none, or for that of no known command."""
    if COMPLETION in os.environ:
        return None
    words = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    if not arguments or words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not any(word in WANTED for word in words):
        return None
    if words[0] in COMMANDS:
        return "\n".join(_command_lines(words[0]))
    return "\n".join(_root_lines()) if words[0].startswith("-") else None


def _width() -> int:
    """That of the terminal, or what COLUMNS says: 80 where there is neither."""
    return min(max(shutil.get_terminal_size().columns, NARROWEST), WIDEST)


def _root_lines() -> Iterator[str]:
    width = _width()
    summaries = [(name, import_module(path).HELP.partition("\n")[0]) for name, path in COMMANDS.items()]
    yield from _head("lossctl COMMAND [ARGUMENTS] [OPTIONS]", HELP, width)
    yield from _entries("Commands", summaries, width)
    yield from _entries("Options", ROOT_OPTIONS, width)


def _command_lines(name: str) -> Iterator[str]:
    width = _width()
    module = import_module(COMMANDS[name])
    command: Callable[..., None] = module.command
    parameters = parameters_of(command)
    arguments = [(each, each.declared) for each in parameters if isinstance(each.declared, Argument)]
    places = " ".join(_place(*each) for each in arguments)
    yield from _head(f"lossctl {name} {places}{' ' if places else ''}[OPTIONS]", module.HELP, width)
    yield from _entries("Arguments", ((each.metavar, each.help) for _, each in arguments), width)
    sections: dict[str, list[tuple[str, str]]] = {}
    for parameter in parameters:
        if isinstance(parameter.declared, Option):
            sections.setdefault(_heading(parameter), []).append(_entry(parameter, parameter.declared))
    sections.setdefault(_OTHERS, []).append(("-h, --help", "Show this page."))
    for heading, entries in sorted(sections.items(), key=lambda section: section[0] == _OTHERS):
        yield from _entries(heading, entries, width)


_OTHERS = "Other options"


def _heading(parameter: Parameter) -> str:
    """That of the group, unless the group is of this command alone."""
    if parameter.name in ("quiet", "no_progress", "debug"):
        return _OTHERS
    return "Options" if parameter.group is None else parameter.group[1].heading


def _place(parameter: Parameter, argument: Argument) -> str:
    name = argument.metavar + ("..." if parameter.kind == list[str] else "")
    return name if parameter.required else f"[{name}]"


def _entry(parameter: Parameter, option: Option) -> tuple[str, str]:
    """What an option is called, short name first, and what is said of it, with its default and its variable."""
    names = ", ".join(sorted(option.names, key=len))
    facts = []
    if parameter.default not in (None, False):
        facts.append(f"default: {parameter.default}")
    if option.envvar:
        facts.append(f"env: {option.envvar}")
    unbroken = "; ".join(fact.replace(" ", _NO_BREAK) for fact in facts)
    return (
        names if option.metavar is None else f"{names} {option.metavar}",
        f"{option.help} [{unbroken}]" if facts else option.help,
    )


def _head(usage: str, text: str, width: int) -> Iterator[str]:
    """What the command does, how it is called, examples, and what else there is to say."""
    summary, *paragraphs = text.strip().split("\n\n")
    examples = [found for found in map(_EXAMPLE.fullmatch, paragraphs) if found]
    yield from wrap(summary, width)
    yield from ("", *wrap(f"Usage: {usage}", width, subsequent_indent="       ", break_on_hyphens=False))
    yield from ("", "Example:" if len(examples) == 1 else "Examples:")
    for found in examples:
        # On a line of its own, however long: it is there to be copied.
        if found["title"] != "Example":
            yield f"  # {' '.join(found['title'].split())}"
        yield f"  {' '.join(found['line'].split())}"
    for paragraph in paragraphs:
        if not _EXAMPLE.fullmatch(paragraph):
            yield from ("", *wrap(" ".join(paragraph.split()), width, break_on_hyphens=False))


def _entries(title: str, entries: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """A section of names and what is said of them, in a column of its own where there is room for two."""
    shown = list(entries)
    if not shown:
        return
    yield from ("", f"{title}:")
    column = min(max(len(name) for name, _ in shown), LONGEST_NAME) + 4 if width >= 60 else 6
    for name, said in shown:
        start = f"  {name}".ljust(column)
        if len(name) + 4 > column:
            yield f"  {name}"
            start = " " * column
        folded = wrap(said, width, initial_indent=start, subsequent_indent=" " * column, break_on_hyphens=False)
        yield from (line.replace(_NO_BREAK, " ") for line in folded)
