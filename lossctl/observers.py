"""What may look on while an evaluation runs, beside its losses: see `slices` and `worst`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from lossctl.results import LossResult
from lossctl.sources.base import Array
from lossctl.values.preparation import Prepared

if TYPE_CHECKING:
    from lossctl.evaluation import Evaluation

Floats = NDArray[np.float64]


class Observer(Protocol):
    """Takes the losses of single samples while they are computed."""

    def add_rows(self, losses: Floats, prepared: Prepared, denom: str) -> None:
        """Takes those of the next chunk, shape (rows,); `denom` is what their mean divides by."""


class Watcher(Protocol):
    """Looks at the chunks of an evaluation beside its losses, and adds to their results."""

    def begin(self, positions: NDArray[np.int64] | None, chunk: dict[str, Array]) -> None:
        """Takes a chunk, before the losses do; `positions` is where its rows stand, None where there are no others."""

    def end(self, evaluation: Evaluation, chunk: dict[str, Array], weights: Floats | None) -> None:
        """Takes it once more, after them, with the weights of its rows."""

    def finish(self, evaluation: Evaluation) -> None:
        """Does what is left when all passes are done."""

    def added(self, position: int, result: LossResult) -> LossResult:
        """The result of the loss that stands there, and what was found beside it."""
