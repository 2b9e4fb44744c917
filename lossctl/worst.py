"""The rows with the largest losses, while the data streams by: the few of each loss, whatever comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import UsageError, visible
from lossctl.results import LossResult, is_gain
from lossctl.rows.input_parts import read_once
from lossctl.slices.inputs import Place, check_column, place_of
from lossctl.slices.levels import Texts
from lossctl.slices.results import WorstRow
from lossctl.sources import Selection, open_reader
from lossctl.sources.base import ROW_ROLE, SLICE_ROLE, Array
from lossctl.values.preparation import Prepared
from lossctl_kernels.records import replace

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation
    from lossctl.rows.inputs import InputFiles
    from lossctl_kernels.batch import Batch

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

MOST_ROWS = 10_000
CHUNK_ROWS = 1 << 16


def check_count(count: int) -> int:
    """How many rows are wanted. Raises UsageError for none, and for too many."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_ROWS:
        raise UsageError(
            f"--top must be from 1 to {MOST_ROWS}, found {visible(repr(count))}", hint="--per-sample writes every loss"
        )
    return count


class IdColumns:
    """The columns that say which row is which, by file, to be read of a few rows when these are known."""

    def __init__(self, files: InputFiles, names: Sequence[str]) -> None:
        """Raises UsageError for a column that is nowhere, in two tables, or in a file that is read once."""
        self._names = tuple(dict.fromkeys(names))
        self._places: dict[Place, list[str]] = {}
        for name in self._names:
            place = place_of(files, name, "--id-col")
            if files.on and place.path != files.predictions:
                raise UsageError(
                    f"'{visible(name)}' of --id-col is in {visible(place.path)}, whose rows are matched with --on",
                    hint="name a column of PREDS",
                )
            if read_once(place.path):
                raise UsageError(
                    f"'{visible(name)}' of --id-col is in {visible(place.path)}, which is read only once",
                    hint="save it to a file, or leave out --id-col",
                )
            self._places.setdefault(place, []).append(name)

    def of(self, rows: Sequence[int]) -> dict[int, dict[str, str | None]]:
        """The values of each column in these rows: the files are read again, up to the last of them."""
        found: dict[int, dict[str, str | None]] = {row: dict.fromkeys(self._names) for row in rows}
        wanted = np.array(sorted(found), np.int64)
        for place, names in self._places.items() if wanted.size else ():
            self._read(place, names, wanted, found)
        return found

    def _read(self, place: Place, names: Sequence[str], wanted: Rows, found: dict[int, dict[str, str | None]]) -> None:
        roles = {
            f"{SLICE_ROLE}{name}": Selection(None if place.nameless else (name,), encoder=Texts()) for name in names
        }
        with closing(open_reader(place.path, roles, format=place.format)) as reader:
            for info in reader.arrays.values():
                check_column(info)
            first = 0
            for chunk in reader.chunks(CHUNK_ROWS):
                count = len(next(iter(chunk.values())))
                for row in wanted[(wanted >= first) & (wanted < first + count)].tolist():
                    for name in names:
                        found[row][name] = chunk[f"{SLICE_ROLE}{name}"].reshape(-1)[row - first]
                first += count
                if first > wanted[-1]:
                    return


class WorstWatch:
    """The `count` worst rows of every loss of an evaluation that has losses of single samples.

    The feed has the numbers of the rows. Raises UsageError where no loss has samples.
    """

    def __init__(self, evaluation: Evaluation, count: int, ids: IdColumns | None) -> None:
        self._ids, self._chunk = ids, dict[str, Array]()
        layout = evaluation.layout
        self._samples, self._places = (1, ()) if layout is None or not layout.split else (layout.samples, layout.places)
        self._worst: dict[int, _Worst] = {}
        self._values: dict[int, dict[str, str | None]] = {}
        for position, run in enumerate(evaluation.runs):
            if run.has_samples:
                self._worst[position] = _Worst(count, self, is_gain(run.options))
                run.observers.append(self._worst[position])
        without = [run for run in evaluation.runs if not run.has_samples]
        names = ", ".join(dict.fromkeys(run.settings.loss.name for run in without))
        said = f"{names} {'has' if len(without) == 1 else 'have'} no losses of single samples: there are no worst rows"
        if not self._worst:
            raise UsageError(said, hint="leave out --top")
        for run in without[:1]:
            run.warnings.append(said)
        evaluation.watchers.append(self)

    def begin(self, positions: Rows | None, chunk: dict[str, Array]) -> None:
        """Looks at a chunk before the losses do."""
        self._chunk = chunk

    def end(self, evaluation: Evaluation, chunk: dict[str, Array], weights: Floats | None) -> None:
        """Nothing is left to do after them."""

    def finish(self, evaluation: Evaluation) -> None:
        """Reads what the rows are called."""
        self._chunk = {}
        if self._ids is not None:
            rows = {number // self._samples for worst in self._worst.values() for number in worst.rows.tolist()}
            self._values = self._ids.of(sorted(rows))

    def added(self, position: int, result: LossResult) -> LossResult:
        """The result of a loss with its worst rows."""
        worst = self._worst.get(position)
        if worst is None:
            return result
        found = []
        samples = zip(worst.losses.tolist(), worst.rows.tolist(), worst.predictions, worst.targets, strict=True)
        for loss, number, prediction, target in samples:
            row, place = divmod(number, self._samples)
            index = tuple(int(each) for each in np.unravel_index(place, self._places)) if self._places else ()
            found.append(WorstRow(row, loss, self._values.get(row, {}), prediction, target, index))
        return replace(result, worst=tuple(found))

    def of_chunk(self, role: str, at: Rows) -> list[Any]:
        """What a role has in some rows of the chunk, None for each where it is not one number a row."""
        array = self._chunk[role]
        if array.size != len(array):
            return [None] * len(at)
        return list(array.reshape(-1)[at].tolist())


class _Worst:
    """The worst rows of one loss so far: NaN first, then from the largest loss down, equal ones by their number.

    Of a gain the smallest is the worst.
    """

    def __init__(self, count: int, watch: WorstWatch, gain: bool) -> None:
        self._count, self._watch, self._factor = count, watch, -1.0 if gain else 1.0
        self.losses, self.rows = np.empty(0), np.empty(0, np.int64)
        self.predictions: list[Any] = []
        self.targets: list[Any] = []

    def add_rows(self, losses: Floats, prepared: Prepared, denom: str) -> None:
        """Takes the losses of a chunk, shape (rows,); a row that is left out or has no weight is none."""
        at = np.flatnonzero(self._candidates(losses, prepared.batch))
        key = self._badness(losses[at])
        if self.losses.size == self._count:
            # Rows come in ascending order: of equal losses those that are there already stay.
            worse = key > self._badness(self.losses)[-1]
            at, key = at[worse], key[worse]
        if at.size > self._count:
            least = np.partition(key, at.size - self._count)[at.size - self._count]
            above = key > least
            equal = np.flatnonzero(key == least)[: self._count - int(np.count_nonzero(above))]
            at = np.sort(np.concatenate([at[above], at[equal]]))
        if at.size:
            self._merge(losses[at], at)

    def _candidates(self, losses: Floats, batch: Batch) -> NDArray[np.bool_]:
        """Which rows are present and may be worse than the last one that is there; NaN is no better than anything."""
        if self.losses.size < self._count:
            found = np.ones(losses.size, np.bool_)
        else:
            last = self.losses[-1]
            found = ~(losses <= last if self._factor > 0.0 else losses >= last)
        if batch.keep is not None:
            found &= batch.keep
        if batch.weights is not None:
            found &= batch.weights > 0.0
        return found

    def _merge(self, losses: Floats, at: Rows) -> None:
        found = np.concatenate([self.losses, losses])
        rows = np.concatenate([self.rows, self._watch.of_chunk(ROW_ROLE, at)]).astype(np.int64)
        order = np.lexsort((rows, -self._badness(found)))[: self._count]
        kept = len(self.losses)
        self.losses, self.rows = found[order], rows[order]
        for name, held in (("prediction", self.predictions), ("target", self.targets)):
            new = order[order >= kept] - kept
            fresh = dict(zip(new.tolist(), self._watch.of_chunk(name, at[new]), strict=True))
            held[:] = [held[place] if place < kept else fresh[place - kept] for place in order.tolist()]

    def _badness(self, losses: Floats) -> Floats:
        """What losses are ordered by: NaN is worse than infinity, which is worse than any number."""
        most = np.finfo(np.float64).max
        return np.where(np.isnan(losses), math.inf, np.clip(self._factor * losses, -most, most))
