"""The commands, put together for Typer: for completion, mistakes, and command lines that are not plain."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any

import typer

from lossctl.cli.commands import COMMANDS
from lossctl.cli.completion import completion_of
from lossctl.cli.help import HELP
from lossctl.declarations import Argument, Parameter, arguments_of, parameters_of
from lossctl_kernels.numerals import whole_number_of

app = typer.Typer(
    name="lossctl",
    help=HELP,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def for_typer(command: Callable[..., None]) -> Callable[..., None]:
    """`command` under a signature in which Typer's declarations stand for ours."""
    parameters = parameters_of(command)

    def call(**given: Any) -> None:
        command(**arguments_of(parameters, given))

    call.__signature__ = inspect.Signature([_for_typer(each) for each in parameters])  # type: ignore[attr-defined]
    return call


def _for_typer(parameter: Parameter) -> inspect.Parameter:
    fact = parameter.declared
    words = completion_of(fact)
    if isinstance(fact, Argument):
        typers: Any = typer.Argument(metavar=fact.metavar, help=fact.help, autocompletion=words)
    else:
        parser = _whole_number if parameter.kind in (int, int | None) else None
        typers = typer.Option(
            *fact.names, metavar=fact.metavar, help=fact.help, envvar=fact.envvar, autocompletion=words, parser=parser
        )
    default = inspect.Parameter.empty if parameter.required else parameter.default
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[parameter.kind, typers]
    )


def _whole_number(value: object) -> int:
    """Of a text, or of a default, which is asked for as well. Raises ValueError for what is none."""
    return whole_number_of(str(value))


for name, path in COMMANDS.items():
    module = import_module(path)
    app.command(name, help=module.HELP)(for_typer(module.command))


def _version(wanted: bool) -> None:
    if wanted:
        from lossctl._version import __version__

        typer.echo(f"lossctl {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", "-V", help="Show the version.", callback=_version, is_eager=True),
) -> None:
    """Options before the command."""
