"""The `cuda` backend: the slices of a batch go round the rings of one GPU or of several, and the answers come back.

Imported only when it is asked for, as `numba.cuda` takes long to load; `gpu.py` tells beforehand whether it can run.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from .batch import Array, Batch, Floats
from .gpu import BackendUnavailable, why_unavailable
from .plan import Plan
from .row_functions import gradient as row_gradient
from .row_functions import losses as row_losses

if TYPE_CHECKING:
    from .cuda_jobs import RowsJob

SLICE_BYTES = 4 << 20
"""Of what is sent for a slice: PCIe is at full speed from about 1 MB on, and a few slices stay in the host's cache."""
SLOTS = 3
"""One is filled by the host, one is copied or computed, one is copied back."""


class Cuda:
    """See `batch.Backend`. Raises BackendUnavailable where no GPU can be used, and DeviceFailure where one fails.

    `devices` are numbers of GPUs, which share each batch; all that are like the first one by default, since others may
    round differently. `threads` and `warp` are those of a thread block: powers of two.
    """

    name = "cuda"

    def __init__(
        self,
        devices: Sequence[int] | None = None,
        slice_bytes: int = SLICE_BYTES,
        slots: int = SLOTS,
        threads: int = 128,
        warp: int = 32,
    ) -> None:
        reason = why_unavailable()
        if reason:
            raise BackendUnavailable(f"the cuda backend cannot run: {reason}")
        from numba import cuda

        from . import cuda_jobs, cuda_streams, row_cuda

        cuda.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # a small data set need not fill the GPU
        self._jobs, self._spans = cuda_jobs, cuda_streams.spans
        self._row_functions = row_cuda.run_on_device
        self._shape = cuda_jobs.Shape(threads, warp)
        self._slice_bytes = slice_bytes
        with cuda_streams.reported_failures(0):
            numbers = alike(cuda.gpus) if devices is None else devices
        self._rings = [cuda_streams.Ring(cuda, number, slots) for number in numbers]
        self._first = numbers[0]

    def losses(self, plan: Plan, batch: Batch, wanted: bool = True) -> tuple[Floats, Floats]:
        """See `batch.Backend`. Losses that are not wanted come back empty: they are most of what would be copied."""
        if plan.definition.row_function:
            return row_losses(plan, batch, partial(self._row_functions, number=self._first))
        job = self._jobs.LossesJob(self._shape, plan, batch, self._jobs.row_values(plan), wanted)
        self._run(job)
        return job.report, job.losses

    def folds(self, plan: Plan, batch: Batch, scales: dict[str, float]) -> tuple[Floats, Floats]:
        """See `batch.Backend`."""
        job = self._jobs.FoldsJob(self._shape, plan, batch, scales)
        self._run(job)
        return job.report, job.states

    def gradient(
        self, plan: Plan, batch: Batch, row_scales: Floats, totals: dict[str, float], of: str = "prediction"
    ) -> Array:
        """See `batch.Backend`. One scale for all rows is sent once if it comes as `numpy.broadcast_to(scale, rows)`."""
        if plan.definition.row_function:
            return row_gradient(plan, batch, row_scales, partial(self._row_functions, number=self._first), of)
        job = self._jobs.GradientJob(self._shape, plan, batch, row_scales, totals, of)
        self._run(job)
        return job.gradient.reshape(batch.prediction.shape)

    def _run(self, job: RowsJob) -> None:
        """Each GPU has consecutive slices; as each block is summed by itself, it does not matter which one does it."""
        rows, block_rows = job.batch.rows, job.plan.block_rows
        _, _, block_bytes, _, _ = job.packing(block_rows).starts()
        slices = self._spans(rows, block_rows, max(1, self._slice_bytes // block_bytes))
        parts = shares(slices, len(self._rings))
        if len(parts) == 1:
            self._rings[0].run(job, parts[0])
        elif parts:
            with ThreadPoolExecutor(len(parts), "lossctl-gpu") as threads:
                # The first failure is raised when all threads have ended.
                list(threads.map(lambda ring, part: ring.run(job, part), self._rings, parts))


def alike(gpus: Any) -> list[int]:
    """The numbers of the GPUs that have the compute capability of the first one."""
    capabilities = [gpu.compute_capability for gpu in gpus]
    return [number for number, capability in enumerate(capabilities) if capability == capabilities[0]]


def shares(slices: list[slice], devices: int) -> list[list[slice]]:
    """The slices in as many consecutive parts as there are devices, none of them empty, of nearly equal length."""
    count = min(devices, len(slices))
    edges = [len(slices) * part // count for part in range(count + 1)] if count else []
    return [slices[start:stop] for start, stop in pairwise(edges)]
