"""What the mean of a loss of single samples divides by, counted while its rows come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lossctl.values.preparation import Prepared
from lossctl_kernels import Plan
from lossctl_kernels.reduce import ExactSum, block_sums


def sums_of_weights(weights: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Block sums, infinite where they exceed float64."""
    with np.errstate(over="ignore"):
        return block_sums(weights, rows)


class Denominator:
    """All that the option `denom` may mean: sums of shares, and counts of rows."""

    def __init__(self, plan: Plan) -> None:
        self._denom, self._width, self._block_rows = plan.settings["denom"], plan.width, plan.block_rows
        self._shares: ExactSum | None = None
        self._rows = 0
        self.kept = 0
        """Rows that are not left out."""
        self.positive = 0
        """Rows with a loss above 0: to be added by those who know the losses."""

    def add(self, prepared: Prepared) -> None:
        """Takes the next rows."""
        self._rows += prepared.batch.rows
        self.kept += prepared.kept
        if prepared.shares is not None:
            self._shares = self._shares or ExactSum()
            self._shares.add(sums_of_weights(prepared.shares, self._block_rows))

    @property
    def exact(self) -> ExactSum | int:
        """The number before it is rounded."""
        match self._denom:
            case "count":
                return self._rows
            case "valid":
                return self.kept
            case "nonzero":
                return self.positive
            case "elements":
                return self.kept * self._width
        return self.kept if self._shares is None else self._shares

    @property
    def value(self) -> float:
        """The number, infinite where it exceeds float64."""
        exact = self.exact
        return exact.value if isinstance(exact, ExactSum) else float(exact)
