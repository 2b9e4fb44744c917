"""`lossctl diff`: two files of predictions against each other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Argument, Option
from lossctl.errors import UsageError, visible
from lossctl.sources.base import shape_text
from lossctl_kernels.numerals import number_of

if TYPE_CHECKING:
    from lossctl.comparisons.differences import Difference, Place, Tolerance

HELP = """Compare two prediction files value by value.

Example: lossctl diff float32.npy int8.npy --atol 1e-3 --rtol 1e-2

Exit code 1 if any value of B differs from that of A by more than atol + rtol * |A|; without a tolerance, if any value
differs at all. NaN equals NaN, and an infinity equals itself.
"""

First = Annotated[str, Argument(metavar="A", help="Prediction file, the reference.")]
Second = Annotated[str, Argument(metavar="B", help="Prediction file of the same shape.")]
Atol = Annotated[str, Option("--atol", metavar="SIZE", help="Absolute tolerance.")]
Rtol = Annotated[str, Option("--rtol", metavar="SHARE", help="Tolerance relative to the values of A.")]
OtherColumns = Annotated[
    str | None, Option("--other-col", metavar="NAMES", help="Columns of B, if their names differ from those of A.")
]
OtherFormat = Annotated[
    str | None, Option("--other-format", metavar="FORMAT", help="Format of B, if not that of its extension.")
]


def command(
    first: First,
    second: Second,
    atol: Atol = "0",
    rtol: Rtol = "0",
    pred_col: o.PredColumns = None,
    other_col: OtherColumns = None,
    on: o.On = None,
    missing: o.Missing = "error",
    pred_format: o.PredFormat = None,
    other_format: OtherFormat = None,
    format: o.RowsFormat = None,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    debug: o.Debug = False,
) -> None:
    """See HELP."""
    from contextlib import closing

    wanted = o.rows_format(format)
    sizes = _size("--atol", atol), _size("--rtol", rtol)

    from lossctl.cli.progress import Progress
    from lossctl.cli.show import warn
    from lossctl.cli.text import print_facts
    from lossctl.comparisons.differences import Tolerance, compare_files
    from lossctl.errors import CheckFailed
    from lossctl.rows.inputs import InputFiles, open_feed

    files = InputFiles(
        predictions=first,
        targets=second,
        pred_columns=o.comma_list(pred_col),
        target_columns=o.comma_list(pred_col if other_col is None else other_col),
        pred_format=pred_format,
        target_format=other_format,
        on=o.comma_list(on) or (),
        missing=o.one_of("--missing", missing, ("error", "drop")),
        gaps=True,
    )
    with closing(open_feed(files)) as feed, Progress(feed.rows, not quiet and not no_progress) as progress:
        found = compare_files(feed, Tolerance(*sizes), progress)
        if not quiet:
            warn(feed.warnings)
    print_facts(_rows(found), found.to_document, wanted)
    sys.stdout.flush()  # the verdict is the last line, in the log of a pipeline too
    if found.beyond:
        raise CheckFailed(f"{found.beyond:,} of {found.values:,} values differ{_more_than(found.tolerance)}")


def _size(option: str, text: str) -> float:
    try:
        number = number_of(text)
    except ValueError:
        number = float("nan")
    if not 0.0 <= number < float("inf"):
        raise UsageError(f"{option} is not a number from 0 up: '{visible(text)}'", hint=f"{option} 1e-6")
    return number


def _more_than(tolerance: Tolerance) -> str:
    """The tolerance, as far as there is one."""
    parts = [f"{tolerance.atol:g}"] if tolerance.atol else []
    parts += [f"{tolerance.rtol:g} * |A|"] if tolerance.rtol else []
    return f" by more than {' + '.join(parts)}" if parts else ""


def _rows(found: Difference) -> dict[str, str]:
    """What was found, by what it is of."""
    rows = {}
    for title, info in zip(("A", "B"), found.arrays, strict=True):
        rows[title] = f"{visible(info.path, 4096)} {shape_text((found.rows, *info.shape[1:]))} {info.dtype}"
    rows["values"] = f"{found.values:,}"
    rows["different"] = f"{found.different:,}"
    rows["beyond tolerance"] = f"{found.beyond:,} in {found.rows_beyond:,} rows"
    rows["largest"] = _place(found.largest)
    rows["largest relative"] = _place(found.largest_relative)
    rows |= {f"p{100 * share:g}": f"{value:.3g}" for share, value in found.quantiles.items()}
    if found.nan_both or found.nan_first or found.nan_second:
        rows["NaN"] = f"{found.nan_both:,} in both, {found.nan_first:,} in A only, {found.nan_second:,} in B only"
    if found.same_argmax is not None:
        rows["same argmax"] = f"{found.same_argmax:,} of {found.rows:,} rows ({found.same_argmax / found.rows:.2%})"
    return rows


def _place(place: Place | None) -> str:
    if place is None:
        return "0"
    column = "" if place.column is None else f", column {place.column}"
    return f"{place.size:.6g} at row {place.row}{column}: {place.first:.9g} and {place.second:.9g}"
