"""`lossctl schema`: the JSON Schemas of what other commands write."""

from __future__ import annotations

import sys
from typing import Annotated

from lossctl.cli import options as o
from lossctl.cli.declarations import Argument

HELP = """The JSON Schema of a document of lossctl, or the names of all.

Example: lossctl schema result
"""

SchemaName = Annotated[
    str | None, Argument(metavar="NAME", help="A schema, such as result, or what a document says: lossctl.result/1.")
]


def command(name: SchemaName = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl import schemas
    from lossctl.cli.text import print_rows

    if name is None:
        print_rows([{"name": each, "schema": title} for each, title in schemas.names().items()], None)
    else:
        sys.stdout.write(schemas.text(name))
