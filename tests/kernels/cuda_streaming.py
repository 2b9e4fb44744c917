"""Slices, rings and several GPUs of the `cuda` backend: `test_cuda.py` runs this file where `cuda_agreement.py` runs.

However the rows are cut and whoever computes them, every bit of the answers must be the same.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import Plan, Scope, reduce
from lossctl_kernels.batch import Array, Batch, Column
from lossctl_kernels.cuda import Cuda
from lossctl_kernels.gpu import DeviceFailure, simulated
from tests.kernels.cuda_cases import Case, batch_of, label, plan_of, totals_of

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

BLOCK_ROWS = 4
ROWS = 23  # six blocks, the last of three rows
# A loss of each structure: values, rows, rows with a class index, the data set with sums and with scales.
CASES: list[tuple[Case, int]] = [
    (("bce", {}), 1),
    (("mse", {"row": "sum"}), 3),
    (("cce", {"input": "logit"}), 3),
    (("scce", {"class_weight": (1.0, 2.0, 3.0)}), 3),
    (("rmse", {}), 1),
    (("cosine_global", {}), 3),
]
SMALL: Any = {"threads": 4, "warp": 2} if simulated() else {}
ONE_SLICE = 1 << 20


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(reduce, "BLOCK_ROWS", BLOCK_ROWS)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(interval)


def name(part: Any) -> str | None:
    return label(part) if isinstance(part, tuple) else None


def answers(cuda: Cuda, plan: Plan, batch: Batch) -> list[Array]:
    """Everything that a backend can say of a batch."""
    scales = np.linspace(0.5, 2.0, batch.rows)
    found: list[Array] = [cuda.gradient(plan, batch, scales, totals_of(plan, batch))]
    if plan.scope is Scope.DATASET:
        return [*found, *cuda.folds(plan, batch, dict.fromkeys(plan.scales, 0.25))]
    return [*found, *cuda.losses(plan, batch)]


def weighted(plan: Plan, rows: int) -> Batch:
    batch = batch_of(plan, rows)
    keep = None if plan.scope is Scope.DATASET else np.arange(rows) % 5 != 1
    return dataclasses.replace(batch, weights=np.linspace(1.0, 3.0, rows), keep=keep)


def check_same_bits(found: list[Array], expected: list[Array]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("case", "width"), CASES, ids=name)
def test_slices_slots_and_gpus_do_not_change_a_bit(case: Case, width: int) -> None:
    plan = plan_of(case, width, "float32")
    batch = weighted(plan, ROWS)
    expected = answers(Cuda(devices=(0,), slice_bytes=ONE_SLICE, **SMALL), plan, batch)
    one_block = answers(Cuda(devices=(0,), slice_bytes=1, slots=2, **SMALL), plan, batch)
    check_same_bits(one_block, expected)
    # The one GPU three times, each with a ring and a thread of its own.
    several = answers(Cuda(devices=(0, 0, 0), slice_bytes=2048, **SMALL), plan, batch)
    check_same_bits(several, expected)


@pytest.mark.parametrize(("case", "width"), [CASES[0], CASES[-1]], ids=name)
def test_the_number_of_threads_does_not_change_a_bit(case: Case, width: int) -> None:
    plan = plan_of(case, width, "float64")
    batch = weighted(plan, 7)
    expected = answers(Cuda(**SMALL), plan, batch)
    check_same_bits(
        answers(Cuda(threads=2 * SMALL.get("threads", 128), warp=SMALL.get("warp", 32)), plan, batch), expected
    )


@pytest.mark.parametrize("rows", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_sizes_around_a_block(rows: int) -> None:
    plan = plan_of(("mse", {}), 1, "float64")
    batch = Batch(np.arange(rows) + 1.0, np.zeros(rows))
    report, losses = Cuda(slice_bytes=1, **SMALL).losses(plan, batch)
    np.testing.assert_array_equal(losses, (np.arange(rows) + 1.0) ** 2)
    assert report.shape == (-(-rows // BLOCK_ROWS), len(Column))
    assert report[:, Column.SUM].sum() == losses.sum()
    gradient = Cuda(slice_bytes=1, **SMALL).gradient(plan, batch, np.full(rows, 0.5), {})
    np.testing.assert_array_equal(gradient, np.arange(rows) + 1.0)


def test_what_is_bad_is_counted_in_its_block() -> None:
    plan = plan_of(("bce", {}), 1, "float64")
    batch = batch_of(plan, ROWS)
    batch.prediction[[5, 6, 21]] = 2.0
    batch.target[9] = np.nan
    for cuda in (Cuda(slice_bytes=1, slots=1, **SMALL), Cuda(devices=(0, 0), slice_bytes=1, **SMALL)):
        report = cuda.losses(plan, batch)[0]
        np.testing.assert_array_equal(report[:, Column.BAD_PREDICTIONS], [0, 2, 0, 0, 0, 1])
        np.testing.assert_array_equal(report[:, Column.BAD_TARGETS], [0, 0, 1, 0, 0, 0])


def test_one_scale_for_all_rows_is_that_scale_for_each() -> None:
    plan = plan_of(("bce", {}), 3, "float32")
    batch = batch_of(plan, 9)
    cuda = Cuda(slice_bytes=1, **SMALL)
    repeated = cuda.gradient(plan, batch, np.broadcast_to(0.25, 9), {})
    np.testing.assert_array_equal(repeated, cuda.gradient(plan, batch, np.full(9, 0.25), {}))


def test_losses_that_are_not_wanted_do_not_come_back() -> None:
    plan = plan_of(("bce", {}), 1, "float64")
    batch = batch_of(plan, ROWS)
    cuda = Cuda(slice_bytes=1, **SMALL)
    report, losses = cuda.losses(plan, batch, False)
    assert losses.size == 0
    np.testing.assert_array_equal(report, cuda.losses(plan, batch)[0])


def test_memory_is_that_of_the_ring_whatever_the_batch() -> None:
    plan = plan_of(("bce", {}), 1, "float64")
    cuda = Cuda(devices=(0,), slice_bytes=1, slots=2, **SMALL)
    held = []
    for rows in (4 * BLOCK_ROWS, 16 * BLOCK_ROWS):
        cuda.losses(plan, batch_of(plan, rows))
        slots = cuda._rings[0]._slots
        assert len(slots) == 2
        held.append([(slot._host.size, slot._device_bytes) for slot in slots])
    assert held[0] == held[1]


def failing(message: str) -> Any:
    from numba.cuda.cudadrv import driver

    def allocate(*arguments: Any) -> Any:
        raise driver.CudaAPIError(2, message)

    return allocate


@pytest.mark.parametrize("devices", [(0,), (0, 0)])
def test_a_gpu_without_memory_is_told(monkeypatch: pytest.MonkeyPatch, devices: tuple[int, ...]) -> None:
    from numba import cuda

    plan = plan_of(("bce", {}), 1, "float64")
    batch = batch_of(plan, ROWS)
    engine = Cuda(devices=devices, slice_bytes=1, **SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(cuda, "device_array", failing("CUDA_ERROR_OUT_OF_MEMORY"))
        with pytest.raises(DeviceFailure, match="GPU 0 has too little memory left"):
            engine.losses(plan, batch)
    # It can be used again when there is memory.
    assert engine.losses(plan, batch)[1].size == ROWS


def test_a_gpu_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba import cuda

    monkeypatch.setattr(cuda, "pinned_array", failing("CUDA_ERROR_ECC_UNCORRECTABLE"))
    plan = plan_of(("bce", {}), 1, "float64")
    with pytest.raises(DeviceFailure, match=r"GPU 0 failed: .*ECC_UNCORRECTABLE"):
        Cuda(**SMALL).losses(plan, batch_of(plan, 1))
