"""`lossctl inspect`: what is in files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Argument, Option

if TYPE_CHECKING:
    from lossctl.diagnoses.inspection import Description

HELP = """Show what is in a file: names, shapes, dtypes, ranges, likely kind.

Example: lossctl inspect sample_data/binary/table.csv
"""

Files = Annotated[list[str], Argument(metavar="FILES", help="Files, folders or globs.")]
FileFormat = Annotated[
    str | None, Option("--file-format", metavar="FORMAT", help="Format of the files, if not that of their extension.")
]


def command(files: Files, format: o.RowsFormat = None, file_format: FileFormat = None, debug: o.Debug = False) -> None:
    """See HELP."""
    import sys

    from lossctl.cli.text import print_rows
    from lossctl.diagnoses.inspection import as_row, inspect
    from lossctl.errors import visible

    shown = o.rows_format(format)
    if shown == "json":
        _print_json([each for path in files for each in inspect(path, file_format)])
        return
    as_table = shown == "table" or (shown is None and sys.stdout.isatty())
    rows = []
    for number, path in enumerate(files):
        found = [as_row(each) for each in inspect(path, file_format)]
        if not as_table:
            rows += [{"file": visible(path, 4096)} | row for row in found]
            continue
        if len(files) > 1:
            print(visible(path, 4096) if number == 0 else f"\n{visible(path, 4096)}")
        print_rows(found, shown)
    if rows:
        print_rows(rows, shown)


def _print_json(found: list[Description]) -> None:
    import math
    from dataclasses import asdict

    from lossctl.strict_json import indented

    rows = [asdict(each) for each in found]
    for row in rows:
        for bound in ("lowest", "highest"):
            if row[bound] is not None and not math.isfinite(row[bound]):
                row[bound] = None  # JSON has no infinity
    print(indented(rows), end="")
