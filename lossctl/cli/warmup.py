"""`lossctl warmup`: compile ahead, for images and for first runs that must be quick."""

from __future__ import annotations

from typing import Annotated

import typer

from lossctl.cli import options as o
from lossctl.errors import UsageError

NAME = "warmup"
HELP = """Compile losses and their gradients into the cache, before they are needed.

Example: lossctl warmup --loss bce --loss scce:input=logit
"""

All = Annotated[bool, typer.Option("--all", help="Every loss, in all its forms.")]


def command(loss: o.LossSpecs = None, everything: All = False, quiet: o.Quiet = False, debug: o.Debug = False) -> None:
    """See HELP."""
    if bool(loss) == everything:
        raise UsageError("warmup takes --loss SPEC or --all", hint="lossctl warmup --loss bce")
    from lossctl.loss_spec import parse
    from lossctl.warming import every_spec, warm

    specs = every_spec() if everything else [parse(text) for text in loss or []]
    compiled, found, folder = warm(specs)
    if not quiet:
        print(f"{compiled} compiled, {found} already there, in {folder}")
