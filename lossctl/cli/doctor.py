"""`lossctl doctor`: what this machine offers."""

from __future__ import annotations

from lossctl.cli import options as o

HELP = """Show versions, backends, threads, GPU and compilation cache.

Example: lossctl doctor
"""


def command(format: o.RowsFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    from lossctl.cli.text import print_rows
    from lossctl.health import examine

    wanted = o.rows_format(format)
    print_rows([{"name": name, "found": found} for name, found in examine().items()], wanted)
