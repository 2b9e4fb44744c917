"""`lossctl list`: the losses."""

from __future__ import annotations

from typing import Annotated

from lossctl.cli import options as o
from lossctl.cli.declarations import Option
from lossctl.errors import UsageError, visible

HELP = """The losses, one a line, with those of installed packages.

Example: lossctl list
"""

RowsFormat = Annotated[
    str | None, Option("--format", metavar="FORMAT", help="table, tsv or json; table on a terminal, else tsv.")
]


def command(format: RowsFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.cli.show import warn
    from lossctl.cli.text import print_rows
    from lossctl.plugins import every_plugin
    from lossctl.reference import overview

    wanted = rows_format(format)
    installed, faults = every_plugin()
    warn(faults)
    print_rows(overview(installed), wanted, unless_table=("aliases",))


def rows_format(name: str | None) -> str | None:
    """Checks the format of a small table."""
    if name not in (None, "table", "tsv", "json"):
        raise UsageError(f"there is no format '{visible(name)}' here", hint="the formats are table, tsv and json")
    return name
