"""Slices and worst rows of a command: what its options ask for, and how an evaluation is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

from lossctl.cli import options as o
from lossctl.cli.declarations import Option, OptionGroup
from lossctl.errors import UsageError
from lossctl_kernels.records import Record, replace

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation
    from lossctl.gates.gating import Gating
    from lossctl.inputs import InputFiles
    from lossctl.slices.levels import Bins, Levels
    from lossctl.slices.slicing import Slicing

__all__ = ["SliceOptions", "SlicePlan"]

SHOWN = 20
"""Slices of each table that people see, where they do not say how many."""

By = Annotated[
    list[str] | None,
    Option("--by", metavar="COLUMN", help="Also for each value of a column, or 'age:bins=0,30,60'. Repeatable."),
]
Cross = Annotated[bool, Option("--cross", help="All --by together: a slice for each combination.")]
MinSlice = Annotated[
    int | None, Option("--min-slice", metavar="N", help="Slices of fewer samples are counted, not shown or gated.")
]
Worst = Annotated[int | None, Option("--worst", metavar="N", help=f"Show the N worst slices, {SHOWN} by default.")]
ByFile = Annotated[
    str | None,
    Option(
        "--by-file", metavar="FILE", help="Where --by and --id-col are, in step with the rows; else PREDS, TARGETS."
    ),
]
Top = Annotated[int | None, Option("--top", metavar="K", help="Show the K rows with the largest losses.")]
IdColumn = Annotated[
    str | None, Option("--id-col", metavar="NAMES", help="Columns that name the rows of --top; the key of --on if any.")
]


class SliceOptions(OptionGroup):
    """What is asked beside the losses of all rows."""

    by: By = None
    cross: Cross = False
    min_slice: MinSlice = None
    worst: Worst = None
    by_file: ByFile = None
    top: Top = None
    id_col: IdColumn = None

    def plan(self, gating: Gating | None) -> SlicePlan | None:
        """What is asked, also by gates; None for nothing. Raises UsageError."""
        of_gates = [] if gating is None else [names for gate in gating.gates for names in gate.slicings]
        if not (self.by or of_gates or self.top is not None):
            self._refuse_alone()
            return None
        from lossctl.slices.slicing import Slicing, parse_columns

        slicing = Slicing.of(parse_columns(self.by or ()), self.cross, self.min_slice).with_slicings(of_gates)
        if not slicing.columns:
            self._refuse_of_slices()
        if self.top is None and self.id_col is not None:
            raise UsageError("--id-col names the rows of --top, and there is none", hint="such as --top 10")
        if self.worst is not None and self.worst < 1:
            raise UsageError(f"--worst must be 1 or more, found {self.worst}", hint=f"--worst {SHOWN}")
        from lossctl.slices.levels import encoder_of

        if self.top is not None:
            from lossctl.worst import check_count

            check_count(self.top)
        encoders = {column.name: encoder_of(column) for column in slicing.columns}
        ids = o.comma_list(self.id_col)
        return SlicePlan(slicing, encoders, self.by_file, self.top, ids, self.worst or SHOWN)

    def _refuse_of_slices(self) -> None:
        given = {"--cross": self.cross, "--min-slice": self.min_slice, "--worst": self.worst}
        for option, value in given.items():
            if value not in (None, False):
                raise UsageError(f"{option} is of slices, and there are none", hint="name a column with --by")

    def _refuse_alone(self) -> None:
        self._refuse_of_slices()
        if self.by_file is not None:
            raise UsageError("--by-file is for the columns of --by, and there are none", hint="such as --by country")
        if self.id_col is not None:
            raise UsageError("--id-col names the rows of --top, and there is none", hint="such as --top 10")


class SlicePlan(Record):
    """What is asked beside the losses: slices by `slicing`, and the `top` worst rows with the columns `ids`."""

    slicing: Slicing
    encoders: Mapping[str, Levels | Bins]
    by_file: str | None
    top: int | None
    ids: Sequence[str] | None
    shown: int

    def reading(self, files: InputFiles) -> InputFiles:
        """The inputs with what is read beside them."""
        return replace(files, by=self.encoders, by_file=self.by_file, numbered=self.top is not None)

    def prepare(self, evaluation: Evaluation, files: InputFiles, gating: Gating | None) -> None:
        """Tells an evaluation, before it runs. Raises UsageError for a loss without slices, or without samples."""
        if self.slicing.columns:
            from lossctl.slices.streaming import SliceWatch

            statistics, level = (False, None) if gating is None else (gating.statistics, gating.level)
            SliceWatch(
                evaluation, self.slicing, self.encoders, statistics=statistics, confidence=level, shown=self.shown
            )
        if self.top is not None:
            from lossctl.worst import IdColumns, WorstWatch

            names = files.on if self.ids is None else self.ids
            WorstWatch(evaluation, self.top, IdColumns(files, names) if names else None)
