"""`lossctl diff`: two files of predictions against each other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Argument, Option
from lossctl.errors import LossctlError, UsageError, visible
from lossctl.sources.base import shape_text
from lossctl_kernels.numerals import number_of
from lossctl_kernels.records import replace

if TYPE_CHECKING:
    from lossctl.comparisons.differences import Difference, Place, Tolerance
    from lossctl.rows.inputs import InputFiles

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
    wanted = o.rows_format(format)
    sizes = _size("--atol", atol), _size("--rtol", rtol)

    from lossctl.cli.text import print_facts
    from lossctl.comparisons.differences import Tolerance
    from lossctl.errors import CheckFailed
    from lossctl.rows.inputs import InputFiles

    files = InputFiles(
        predictions=first,
        targets=second,
        pred_columns=o.comma_list(pred_col),
        target_columns=o.comma_list(other_col),
        pred_format=pred_format,
        target_format=other_format,
        on=o.comma_list(on) or (),
        missing=o.one_of("--missing", missing, ("error", "drop")),
        gaps=True,
    )
    with _naming_own_options():
        found = _compared(files, Tolerance(*sizes), quiet, not quiet and not no_progress)
    print_facts(_rows(found), found.to_document, wanted)
    sys.stdout.flush()  # the verdict is the last line, in the log of a pipeline too
    if found.beyond:
        raise CheckFailed(f"{found.beyond:,} of {found.values:,} values differ{_more_than(found.tolerance)}")


def _compared(files: InputFiles, tolerance: Tolerance, quiet: bool, progressing: bool) -> Difference:
    from contextlib import closing

    from lossctl.cli.progress import Progress
    from lossctl.cli.show import warn
    from lossctl.comparisons.differences import compare_files
    from lossctl.rows.inputs import open_feed

    if files.target_columns is None:
        files = replace(files, target_columns=_columns_alike(files))
    with closing(open_feed(files)) as feed, Progress(feed.rows, progressing) as progress:
        found = compare_files(feed, tolerance, progress)
        if not quiet:
            warn(feed.warnings)
    return found


def _columns_alike(files: InputFiles) -> tuple[str, ...] | None:
    """The columns of A as those of B, where B has any: it may be an array without names."""
    from lossctl.rows.input_parts import is_stream
    from lossctl.sources import contents

    second, columns = str(files.targets), files.pred_columns
    if columns is None or is_stream(second) or contents(second, format=files.target_format) is not None:
        return columns
    return None


_SKIPPED = ", and its row out with --nonfinite skip"
"""What is said of words that stand for missing numbers: an empty cell is one here."""


@contextmanager
def _naming_own_options() -> Iterator[None]:
    """Has errors name the options of this command, where B is read as targets are elsewhere."""
    try:
        yield
    except LossctlError as error:
        error.reword(lambda text: text.replace("--target-", "--other-").replace(_SKIPPED, ""))
        raise


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
