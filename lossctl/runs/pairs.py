"""A loss of all pairs of rows: the whole data set is gathered, and the backend is asked once.

What that takes is known before it is held: rows that do not fit in the memory that is there are refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lossctl.errors import EnvironmentFault, UsageError
from lossctl.memory import available_bytes, spelled_bytes
from lossctl.runs.run import Floats, Run, Task
from lossctl.runs.samples import SampleRun
from lossctl.sources.base import Array
from lossctl.values.preparation import Prepared
from lossctl_kernels.batch import Batch
from lossctl_kernels.row_functions import facts_of, shares

FIRST_ROWS = 4096
"""Room for so many at first, where nobody knows how many come."""


class Gathered:
    """Rows that come in parts, as one array; `rows` is how many are expected, None where that is not known."""

    def __init__(self, rows: int | None) -> None:
        self._expected = rows or FIRST_ROWS
        self._room: NDArray[Any] | None = None
        self.rows = 0

    def add(self, part: Array) -> None:
        """Takes the next rows, in a dtype that holds all of them."""
        end = self.rows + len(part)
        if self._room is None or end > len(self._room) or self._room.dtype != part.dtype:
            held = 0 if self._room is None else len(self._room)
            size = max(end, self._expected, 2 * held if end > held else held)
            dtype = part.dtype if self._room is None else np.promote_types(self._room.dtype, part.dtype)
            larger = np.empty((size, *part.shape[1:]), dtype)
            if self._room is not None:
                larger[: self.rows] = self._room[: self.rows]
            self._room = larger
        self._room[self.rows : end] = part
        self.rows = end

    @property
    def array(self) -> Array:
        """All rows, C-contiguous."""
        if self._room is None:
            raise ValueError("nothing was gathered")
        return self._room[: self.rows]


class PairsRun(SampleRun):
    """A loss in which each row meets all others. Its mean is over the share that each row has in the denominator."""

    has_samples = False
    propagate = Run.propagate

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._parts: dict[str, Gathered] = {}
        self._inputs: dict[str, Array] = {}
        self._whole: Prepared | None = None
        self._gradients: dict[str, Array] = {}
        self._given: dict[str, int] = {}
        self._checked = 0
        if self.feed.rows:
            self._check_memory(self.feed.rows)

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        if wanted:
            raise UsageError(
                f"{self.settings.loss.name} is of all pairs of rows: it has no per-sample losses",
                hint="use a loss of single samples",
            )
        batch = self._prepare(chunk, weights).batch
        self._inputs = {name: array for name, array in batch.inputs.items() if name in self.feed.whole}
        in_step = {name: array for name, array in batch.inputs.items() if name not in self.feed.whole}
        arrays = {"prediction": batch.prediction, "target": batch.target, **in_step}
        if weights is not None:
            arrays["weights"] = weights
        gathered = len(batch.prediction) + (self._parts["prediction"].rows if self._parts else 0)
        if gathered > self._checked:
            self._check_memory(gathered if self.feed.rows else 2 * gathered)
        for role, array in arrays.items():
            self._parts.setdefault(role, Gathered(self.feed.rows)).add(array)
        return np.empty(0)

    def end_pass(self) -> bool:
        """The end of the pass: all rows are there."""
        found = {role: part.array for role, part in self._parts.items()}
        prediction, target = found.pop("prediction"), found.pop("target")
        weights = found.pop("weights", None)
        batch = Batch(prediction, target, weights, inputs={**found, **self._inputs})
        each = shares(self.plan, batch)
        if each is not None and weights is not None:
            each = each * weights
        self._whole = Prepared(batch, weights if each is None else each, batch.rows)
        self._parts = {}
        self._add(self._whole, False)
        return False

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        """The part of the whole gradient that is next: chunks come in order, as they came in the pass before."""
        if self._whole is None:
            raise ValueError("there is no gradient before the value")
        if of not in self._gradients:
            scales = self._row_scales(self._whole, self._whole.batch.weights)
            self._gradients[of] = self.backend.gradient(self.plan, self._whole.batch, scales, {}, of)
        start = self._given.get(of, 0)
        end = start + len(chunk["prediction"])
        self._given[of] = end % self.rows
        return self._like(chunk[of], self._gradients[of][start:end])

    def _check_memory(self, rows: int) -> None:
        """Raises EnvironmentFault where so many rows do not fit in the memory that is there."""
        self._checked = rows
        needed = rows * self._bytes_a_row()
        room = available_bytes()
        if room is not None and needed > room:
            raise EnvironmentFault(
                f"out of memory: {self.paths['prediction']}: {self.settings.loss.name} takes all rows at once, and "
                f"{rows} rows need {needed} bytes ({spelled_bytes(needed)}) of memory; {room} ({spelled_bytes(room)}) "
                "are available",
                hint="give it fewer rows",
            )

    def _bytes_a_row(self) -> int:
        """Predictions and their gradient; targets, weights, shares, losses and scales; states."""
        numbers = 2 * self.plan.width * np.dtype(self.dtype).itemsize
        return numbers + 8 * (5 + facts_of(self.plan).state_columns)
