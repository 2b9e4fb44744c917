"""How a command says what it takes, without the command-line library.

A command is a function; each of its arguments is annotated with an `Argument` or an `Option` and has the default of the
command line. `plain.py` takes ordinary command lines apart by these declarations, `app.py` hands them to Typer.
"""

from __future__ import annotations

__all__ = ["Argument", "Option"]


class Argument:
    """What is given by its place, of a list type by all words from there on; `metavar` stands for it in the help."""

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
