"""What is asked beside the losses of all rows, and how an evaluation is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lossctl_kernels.records import Record, replace

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation
    from lossctl.gates.gating import Gating
    from lossctl.rows.inputs import InputFiles
    from lossctl.slices.levels import Bins, Levels
    from lossctl.slices.slicing import Slicing


class SlicePlan(Record):
    """Slices by `slicing`, of which people are shown so many, and the `top` worst rows with the columns `ids`.

    `encoders` make codes of the columns, which are in `by_file` where that is given.
    """

    slicing: Slicing
    encoders: Mapping[str, Levels | Bins]
    top: int | None
    by_file: str | None = None
    ids: Sequence[str] | None = None
    shown: int | None = None

    @classmethod
    def of(
        cls,
        slicing: Slicing,
        top: int | None,
        *,
        by_file: str | None = None,
        ids: Sequence[str] | None = None,
        shown: int | None = None,
    ) -> SlicePlan:
        """With what makes codes of the columns. Raises UsageError for a `top` that is no count."""
        from lossctl.slices.levels import encoder_of

        if top is not None:
            from lossctl.worst import check_count

            check_count(top)
        encoders = {column.name: encoder_of(column) for column in slicing.columns}
        return cls(slicing, encoders, top, by_file, ids, shown)

    def reading(self, files: InputFiles) -> InputFiles:
        """The inputs with what is read beside them."""
        return replace(files, by=self.encoders, by_file=self.by_file, numbered=self.top is not None)

    def prepare(self, evaluation: Evaluation, files: InputFiles | None = None, gating: Gating | None = None) -> None:
        """Tells an evaluation of `files`, or of arrays, before it runs.

        Raises UsageError for a loss without slices, or without samples.
        """
        if self.slicing.columns:
            from lossctl.slices.streaming import SliceWatch

            statistics, level = (False, None) if gating is None else (gating.statistics, gating.level)
            SliceWatch(
                evaluation, self.slicing, self.encoders, statistics=statistics, confidence=level, shown=self.shown
            )
        if self.top is not None:
            from lossctl.worst import IdColumns, WorstWatch

            ids = None
            if files is not None and (names := files.on if self.ids is None else self.ids):
                ids = IdColumns(files, names)
            WorstWatch(evaluation, self.top, ids)
