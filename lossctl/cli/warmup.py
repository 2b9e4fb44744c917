"""`lossctl warmup`: compile ahead, for images and for first runs that must be quick."""

from __future__ import annotations

import time
from typing import Annotated

from lossctl.cli import options as o
from lossctl.declarations import Option
from lossctl.errors import UsageError

HELP = """Compile losses and gradients into the cache ahead of time.

Example: lossctl warmup --loss bce --loss scce:input=logit

For a container image, --all fills $LOSSCTL_CACHE_DIR, which should be readable by every user and writable only by its
owner.
"""

All = Annotated[bool, Option("--all", help="Compile every loss, in all its forms.")]


def command(loss: o.LossSpecs = None, everything: All = False, quiet: o.Quiet = False, debug: o.Debug = False) -> None:
    """See HELP."""
    if bool(loss) == everything:
        raise UsageError("warmup takes --loss SPEC or --all", hint="lossctl warmup --loss bce")
    from lossctl.catalogue.loss_spec import parse
    from lossctl.cli.progress import Progress
    from lossctl.warming import Warmup, every_spec

    started = time.monotonic()
    warmup = Warmup(every_spec() if everything else [parse(text) for text in loss or []])
    with Progress(len(warmup.missing), not quiet, "functions") as progress:
        warmup.run(progress)
    if not quiet:
        seconds = time.monotonic() - started
        print(f"{len(warmup.missing)} compiled, {warmup.found} already there, in {warmup.folder}, {seconds:.1f} s")
