"""A loss that is the median of the losses of single values, over a stream that is read until few can be it."""

from __future__ import annotations

import math

import numpy as np

from lossctl.results import LossResult
from lossctl.runs.dataset import PooledRun
from lossctl.runs.denominators import sums_of_weights
from lossctl.runs.run import Floats, Task
from lossctl.sources.base import Array
from lossctl_kernels.batch import Batch
from lossctl_kernels.records import replace
from lossctl_kernels.reduce import ExactSum
from lossctl_kernels.selection import Medians


class MedianRun(PooledRun):
    """The weighted median of all losses, or the mean of those of the columns with `multioutput=columns`.

    Asks for further passes where there are more than a million losses that come in order: see
    `lossctl_kernels.selection`.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.columns = self.plan.width if self.settings["multioutput"] == "columns" else 1
        self.value_plan = replace(self.plan, width=1)
        self.medians = Medians(self.columns)
        self._start()

    def _start(self) -> None:
        self.rows = 0
        self.weight = ExactSum()

    def consume(self, chunk: dict[str, Array], weights: Floats | None, wanted: bool) -> Floats:
        self._refuse_per_sample(wanted)
        batch = self._prepare(chunk, weights).batch
        values = Batch(batch.prediction.reshape(-1), batch.target.reshape(-1))
        report, losses = self.backend.losses(self.value_plan, values, True)
        self._refuse_bad(report)
        repeated = self.plan.width // self.columns
        spread = weights if weights is None or repeated == 1 else np.repeat(weights, repeated)
        self.medians.add(losses.reshape(-1, self.columns), spread)
        self.rows += batch.rows
        self.weight.add(float(batch.rows) if weights is None else sums_of_weights(weights, self.plan.block_rows))
        return np.empty(0)

    def end_pass(self) -> bool:
        self._refuse_endless(self.weight.value)
        if not self.medians.end_pass():
            return False
        self._start()
        return True

    def result(self) -> LossResult:
        value = math.fsum(self.medians.values / self.columns)
        if not math.isfinite(value):
            raise self._overflow("the value")
        return self._result(value=value, sum=math.nan, weight=self.weight.value, samples=self.rows, degenerate=0)

    def gradient(self, chunk: dict[str, Array], weights: Floats | None, of: str = "prediction") -> Array:
        raise NotImplementedError(f"{self.settings.loss.name} has no gradient")
