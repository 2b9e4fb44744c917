"""The systems of a comparison: files of predictions on one feed, each with an evaluation of its own view of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
from numpy.typing import NDArray

from lossctl.diagnoses.suspicions import suspicions
from lossctl.errors import LossctlError, UsageError, visible
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.results import InputInfo
from lossctl.rows.feed import Feed
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.runs.run import Run
from lossctl.sources import ArrayInfo
from lossctl.sources.base import Array
from lossctl.values.preparation import prepare
from lossctl_kernels.records import replace

MOST_SYSTEMS = 26
"""As many as there are letters; all files are open at once."""

SYSTEM = "system "
"""What the roles of the predictions of all systems but the first begin with."""

_IN_MESSAGES = {
    rf"--input-(col|format) {SYSTEM}\d+=…": r"--pred-\1",
    rf"\b(its own|which the|which is the|hold) {SYSTEM}\d+": r"\1 prediction",
    r"with --nonfinite skip": "in every file",
}
"""What is said of these roles, which are no inputs that anyone has named, and of rows, which all have to be there."""

Floats = NDArray[np.float64]


def check_systems(paths: Sequence[str]) -> None:
    """Raises UsageError unless there are several files, and not too many."""
    if not 2 <= len(paths) <= MOST_SYSTEMS:
        raise UsageError(
            f"compare takes from 2 to {MOST_SYSTEMS} files of predictions, found {len(paths)}",
            hint="lossctl compare a.npy b.npy --targets labels.npy --loss bce",
        )
    twice = next((path for position, path in enumerate(paths) if path in paths[:position]), None)
    if twice is not None:
        raise UsageError(f"'{visible(twice)}' is given twice", hint="name each file of predictions once")


def _role(position: int) -> str:
    """The role of a system's predictions in the feed of all: the first one's are those of every command."""
    return f"{SYSTEM}{position + 1}" if position else "prediction"


@contextmanager
def open_systems(paths: Sequence[str], files: InputFiles, whole: Sequence[str] = ()) -> Iterator[Feed]:
    """One feed of all systems and of what `files` names beside them; columns and formats are those of its predictions.

    Raises UsageError and DataError.
    """
    roles = {_role(position): path for position, path in enumerate(paths) if position}
    columns = {} if files.pred_columns is None else dict.fromkeys(roles, files.pred_columns)
    formats = {} if files.pred_format is None else dict.fromkeys(roles, files.pred_format)
    files = replace(
        files,
        predictions=paths[0],
        inputs={**files.inputs, **roles},
        input_columns={**files.input_columns, **columns},
        input_formats={**files.input_formats, **formats},
    )
    try:
        with closing(open_feed(files, whole)) as feed:
            yield feed
    except LossctlError as error:
        error.reword(_without_roles)
        raise


def _without_roles(text: str) -> str:
    for role, words in _IN_MESSAGES.items():
        text = re.sub(role, words, text)
    return text


class SystemFeed(Feed):
    """One system's view of the feed of all: its predictions are the predictions, and there are no others."""

    def __init__(self, feed: Feed, position: int) -> None:
        self._feed, self._own = feed, _role(position)
        super().__init__(feed.readers, feed.whole_readers, feed.warnings)

    @property
    def arrays(self) -> dict[str, ArrayInfo]:
        return self._own_view(self._feed.arrays)

    @property
    def given(self) -> dict[str, ArrayInfo]:
        return self._own_view(self._feed.given)

    def _own_view(self, arrays: dict[str, ArrayInfo]) -> dict[str, ArrayInfo]:
        found = {role: info for role, info in arrays.items() if not role.startswith(SYSTEM)}
        return found | {"prediction": arrays[self._own]}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._feed.place(self._own if role == "prediction" else role, row, column)

    def chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return (self.view(chunk) for chunk in self._feed.chunks(rows))

    def view(self, chunk: dict[str, Array]) -> dict[str, Array]:
        """What this system takes of a chunk of all."""
        found = {role: array for role, array in chunk.items() if not role.startswith(SYSTEM)}
        return found | {"prediction": chunk[self._own]}


class Member:
    """One system: an evaluation that is fed from outside, so that all of them go through the data together."""

    def __init__(self, feed: SystemFeed, request: Request) -> None:
        self.feed, self._evaluation = feed, Evaluation(feed, request)
        self.runs = self._evaluation.runs
        self.backend, self.chunk_rows = self._evaluation.backend.name, self._evaluation.chunk_rows

    def weights(self, chunk: dict[str, Array]) -> Floats | None:
        """Those of the next rows, which all systems share, checked; None where there are none. Raises DataError."""
        return self._evaluation.weights(chunk, self._evaluation.rows)

    def take(self, chunk: dict[str, Array], weights: Floats | None) -> list[Floats]:
        """The losses of the next rows: shape (rows,), for each loss."""
        chunk, losses = self.feed.view(chunk), []
        for run in self.runs:
            if not self._evaluation.rows:
                run.warnings.extend(suspicions(run.plan, chunk, run.feed.arrays))
            run.check_inputs(chunk)
            losses.append(run.consume(chunk, weights, True))
        self._evaluation.rows += len(chunk["prediction"])
        return losses

    def shares(self, chunk: dict[str, Array], weights: Floats | None) -> list[Floats]:
        """What each row counts in the weighted mean of each loss: a matter of targets and weights, not of a system."""
        return [_shares(run, self.feed.view(chunk), weights) for run in self.runs]

    @property
    def inputs(self) -> tuple[InputInfo, ...]:
        """What was read, when it was."""
        return self._evaluation.inputs


def _shares(run: Run, chunk: dict[str, Array], weights: Floats | None) -> Floats:
    """What each row counts where the mean is weighted: 0 for rows that are left out."""
    prepared = prepare(run.plan, run.dtype, chunk, weights, run.paths)
    if prepared.shares is not None:
        return prepared.shares
    keep = prepared.batch.keep
    return np.ones(prepared.batch.rows) if keep is None else keep.astype(np.float64)
