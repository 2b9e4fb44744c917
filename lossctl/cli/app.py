"""The commands, put together for Typer: for help, completion, mistakes, and command lines that are not plain."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Annotated, Any, get_args

import typer

from lossctl.cli.commands import COMMANDS
from lossctl.cli.declarations import Argument, Option

__all__ = ["app", "for_typer"]

app = typer.Typer(
    name="lossctl",
    help="Exact losses and gradients of saved model outputs.\n\nExample: lossctl eval preds.npy labels.npy --loss bce",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def for_typer(command: Callable[..., None]) -> Callable[..., None]:
    """`command` under a signature in which Typer's declarations stand for ours."""

    def call(**given: Any) -> None:
        command(**given)

    signature = inspect.signature(command, eval_str=True)
    parameters = [each.replace(annotation=_annotation(each.annotation)) for each in signature.parameters.values()]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _annotation(declared: Any) -> Any:
    kind, fact = get_args(declared)
    if isinstance(fact, Argument):
        return Annotated[kind, typer.Argument(metavar=fact.metavar, help=fact.help)]
    if isinstance(fact, Option):
        return Annotated[kind, typer.Option(*fact.names, metavar=fact.metavar, help=fact.help, envvar=fact.envvar)]
    raise TypeError(f"an argument of a command is declared as Argument or Option, not {fact!r}")


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
