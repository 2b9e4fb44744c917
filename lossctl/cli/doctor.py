"""`lossctl doctor`: what this machine offers."""

from __future__ import annotations

from lossctl.cli import options as o
from lossctl.cli.list import RowsFormat, rows_format

HELP = """Versions, backends, threads, GPU and cache of compiled code.

Example: lossctl doctor
"""


def command(format: RowsFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.cli.text import print_rows
    from lossctl.health import examine

    wanted = rows_format(format)
    print_rows([{"name": name, "found": found} for name, found in examine().items()], wanted)
