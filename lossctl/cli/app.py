"""The commands, put together."""

from __future__ import annotations

import typer

from lossctl.cli import doctor, explain, grad, warmup
from lossctl.cli import eval as eval_command
from lossctl.cli import list as list_command

app = typer.Typer(
    name="lossctl",
    help="Exact losses and gradients of saved model outputs.\n\nExample: lossctl eval preds.npy labels.npy --loss bce",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (eval_command, grad, list_command, explain, doctor, warmup):
    app.command(module.NAME, help=module.HELP)(module.command)


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
