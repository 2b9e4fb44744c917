"""`lossctl schema`: the JSON Schemas of what other commands write."""

from __future__ import annotations

import sys
from typing import Annotated

from lossctl.cli import options as o
from lossctl.declarations import Argument

HELP = """Print the JSON Schema of a document, or list all schemas.

Example: lossctl schema result
"""

SchemaName = Annotated[
    str | None, Argument(metavar="NAME", help="Name of a schema, such as result or lossctl.result/1.")
]


def command(name: SchemaName = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl import schemas
    from lossctl.cli.text import print_rows

    if name is None:
        print_rows([{"name": each, "schema": title} for each, title in schemas.names().items()], None)
    else:
        sys.stdout.write(schemas.text(name))
