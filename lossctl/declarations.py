"""How a command says what it takes, without the command-line library.

A command is a function; each of its arguments is annotated with an `Argument` or an `Option` and has the default of the
command line, or is an `OptionGroup`, which stands for several. By these declarations `cli/plain.py` takes ordinary
command lines apart and `suites` reads the settings of an evaluation; `cli/app.py` hands them to Typer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, get_args, get_type_hints

from lossctl_kernels.arguments import REQUIRED, defaults_of


class Argument:
    """What is given by its place, of a list type by all words from there on; `metavar` stands for it in the help."""

    names: tuple[str, ...] = ()
    envvar: str | None = None

    def __init__(self, *, metavar: str, help: str) -> None:  # noqa: A002 - as Typer calls it
        self.metavar, self.help = metavar, help


class Option:
    """What is given by name; of type bool it takes no value, of a list type it may be repeated.

    `envvar` is the environment variable that stands in for it.
    """

    def __init__(
        self,
        *names: str,
        help: str,  # noqa: A002 - as Typer calls it
        metavar: str | None = None,
        envvar: str | None = None,
    ) -> None:
        self.names, self.help, self.metavar, self.envvar = names, help, metavar, envvar


class OptionGroup:
    """Options that several commands share: a subclass annotates each, with its default, as a command would.

    An argument of a command that is annotated with the subclass takes them all, and is given an instance. In the help
    they stand under `heading`.
    """

    heading = "Options"

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


class Parameter(NamedTuple):
    """One argument or option of a command, of type `kind`; one that is `required` has no default.

    `group` is the argument of the command that it is part of, and the class of that; None where it is one itself.
    """

    name: str
    kind: Any
    declared: Argument | Option
    default: Any = None
    required: bool = False
    group: tuple[str, type[OptionGroup]] | None = None


def parameters_of(command: Callable[..., None]) -> list[Parameter]:
    """All that a command takes, those of its groups one by one. Raises TypeError for what is not declared."""
    annotations = get_type_hints(command, include_extras=True)
    found = []
    for name, default in defaults_of(command).items():
        annotation = annotations[name]
        if isinstance(annotation, type) and issubclass(annotation, OptionGroup):
            for option, declared in get_type_hints(annotation, include_extras=True).items():
                of_group = getattr(annotation, option)
                found.append(Parameter(option, *_declared(declared), of_group, group=(name, annotation)))
        else:
            required = default is REQUIRED
            found.append(Parameter(name, *_declared(annotation), None if required else default, required))
    return found


def _declared(annotation: Any) -> tuple[Any, Argument | Option]:
    kind, *facts = get_args(annotation) or (annotation,)
    if not facts or not isinstance(facts[0], Argument | Option):
        raise TypeError(f"an argument of a command is declared as Argument, Option or OptionGroup, not {annotation!r}")
    return kind, facts[0]


def arguments_of(parameters: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """What to call a command with, given values by name: those of a group go into an instance of it."""
    found: dict[str, Any] = {}
    grouped: dict[tuple[str, type[OptionGroup]], dict[str, Any]] = {}
    for parameter in parameters:
        values = found if parameter.group is None else grouped.setdefault(parameter.group, {})
        if parameter.name in given:
            values[parameter.name] = given[parameter.name]
    return found | {name: group(**values) for (name, group), values in grouped.items()}
