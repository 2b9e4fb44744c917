"""`lossctl list`: the losses."""

from __future__ import annotations

from lossctl.cli import options as o

HELP = """List all losses, also those of installed packages.

Example: lossctl list
"""


def command(format: o.RowsFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.catalogue.plugins import every_plugin
    from lossctl.catalogue.reference import overview
    from lossctl.cli.show import warn
    from lossctl.cli.text import print_rows

    wanted = o.rows_format(format)
    installed, faults = every_plugin()
    warn(faults)
    print_rows(overview(installed), wanted, unless_table=("aliases",), unless_narrow=("input", "of"))
