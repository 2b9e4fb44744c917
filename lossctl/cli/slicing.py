"""Slices and worst rows of a command: what its options ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.declarations import Option, OptionGroup
from lossctl.errors import UsageError

if TYPE_CHECKING:
    from lossctl.gates.gating import Gating
    from lossctl.slices.plan import SlicePlan

SHOWN = 20
"""Slices of each table that people see, where they do not say how many."""

By = Annotated[
    list[str] | None,
    Option(
        "--by",
        metavar="COLUMN",
        help="Also evaluate each value of a column, or each interval of 'age:bins=0,30,60'. Repeatable.",
    ),
]
Cross = Annotated[bool, Option("--cross", help="Cross all --by columns: a slice for each combination.")]
MinSlice = Annotated[
    int | None, Option("--min-slice", metavar="N", help="Neither show nor gate slices of fewer samples.")
]
Worst = Annotated[int | None, Option("--worst", metavar="N", help=f"Show only the N worst slices, by default {SHOWN}.")]
ByFile = Annotated[
    str | None,
    Option(
        "--by-file",
        metavar="FILE",
        help="File with the columns of --by and --id-col, row by row; by default PREDS and TARGETS.",
    ),
]
Top = Annotated[int | None, Option("--top", metavar="K", help="Show the K rows with the largest losses.")]
IdColumn = Annotated[
    str | None,
    Option("--id-col", metavar="NAMES", help="Columns that identify the rows of --top; by default the key of --on."),
]


class SliceOptions(OptionGroup):
    """What is asked beside the losses of all rows."""

    heading = "Slices and worst rows"

    by: By = None
    cross: Cross = False
    min_slice: MinSlice = None
    worst: Worst = None
    by_file: ByFile = None
    top: Top = None
    id_col: IdColumn = None

    def plan(self, gating: Gating | None) -> SlicePlan | None:
        """What is asked, also by gates; None for nothing. Raises UsageError."""
        if self.top is None and self.id_col is not None:
            raise UsageError("--id-col names the rows of --top, and there is none", hint="such as --top 10")
        of_gates = [] if gating is None else [names for gate in gating.gates for names in gate.slicings]
        if not (self.by or of_gates or self.top is not None):
            self._refuse_alone()
            return None
        from lossctl.slices.plan import SlicePlan
        from lossctl.slices.slicing import Slicing, parse_columns

        slicing = Slicing.of(parse_columns(self.by or ()), self.cross, self.min_slice).with_slicings(of_gates)
        if not slicing.columns:
            self._refuse_of_slices()
        if self.worst is not None and self.worst < 1:
            raise UsageError(f"--worst must be 1 or more, found {self.worst}", hint=f"--worst {SHOWN}")
        ids = o.comma_list(self.id_col)
        return SlicePlan.of(slicing, self.top, by_file=self.by_file, ids=ids, shown=self.worst or SHOWN)

    def _refuse_of_slices(self) -> None:
        given = {"--cross": self.cross, "--min-slice": self.min_slice, "--worst": self.worst}
        for option, value in given.items():
            if value not in (None, False):
                raise UsageError(f"{option} is of slices, and there are none", hint="name a column with --by")

    def _refuse_alone(self) -> None:
        self._refuse_of_slices()
        if self.by_file is not None:
            raise UsageError("--by-file is for the columns of --by, and there are none", hint="such as --by country")
