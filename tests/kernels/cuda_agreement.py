"""The `cuda` backend against the interpreter. `test_cuda.py` runs this file in a process with Numba's CUDA simulator.

In the simulator device functions are plain Python, one thread of the machine is one thread of the device, and blocks of
rows and of threads are made small. On a machine with a GPU, pytest may be given this file by itself.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from lossctl_kernels import Scope, reduce
from lossctl_kernels.batch import Backend, Batch, Column
from lossctl_kernels.cuda import Cuda
from lossctl_kernels.gpu import simulated
from lossctl_kernels.interpreted import Interpreter
from lossctl_kernels.reports import blocks, report
from tests.kernels.cuda_cases import WIDTH, Case, batch_of, forms, label, plan_of, structures, totals_of, variants

# Definitions divide by 0 and overflow on purpose, and the simulator's threads do not inherit NumPy's error state.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DTYPES = ("float32", "float64")
BLOCK_ROWS = 4


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reduce, "BLOCK_ROWS", BLOCK_ROWS)


@pytest.fixture(scope="module")
def cuda() -> Iterator[Backend]:
    """Small thread blocks where each of their threads is one of this machine, which busy waiting must not hold up."""
    if not simulated():
        yield Cuda()
        return
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield Cuda(threads=4, warp=2)
    sys.setswitchinterval(interval)


def check(cuda: Backend, case: Case, width: int, dtype: str, rows: int) -> None:
    """Values, report and gradients, or folds and gradients, agree to rounding."""
    plan = plan_of(case, width, dtype)
    batch = batch_of(plan, rows)
    random = np.random.default_rng(2)
    weighted = dataclasses.replace(batch, weights=random.uniform(0.5, 2.0, rows))
    if plan.scope is Scope.DATASET:
        scales = dict.fromkeys(plan.scales, 0.25)
        check_close(cuda.folds(plan, weighted, scales), Interpreter().folds(plan, weighted, scales))
    else:
        check_close(cuda.losses(plan, weighted), Interpreter().losses(plan, weighted))
    for name in plan.gradient_names:
        arguments = plan, batch, random.normal(size=rows), totals_of(plan, batch), name
        gradient, expected = cuda.gradient(*arguments), Interpreter().gradient(*arguments)
        assert gradient.dtype == expected.dtype
        assert gradient.shape == expected.shape
        np.testing.assert_allclose(gradient, expected, rtol=1e-13 if dtype == "float64" else 2e-7, atol=1e-14)


def check_close(found: tuple[np.ndarray, np.ndarray], expected: tuple[np.ndarray, np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("case", forms(), ids=label)
def test_every_form_agrees(cuda: Backend, case: Case) -> None:
    check(cuda, case, WIDTH, "float64", rows=BLOCK_ROWS + 1)


@pytest.mark.parametrize("case", structures(), ids=label)
def test_single_precision_agrees(cuda: Backend, case: Case) -> None:
    check(cuda, case, WIDTH, "float32", rows=BLOCK_ROWS + 1)


@pytest.mark.parametrize("case", structures(), ids=label)
def test_rows_of_one_value_agree(cuda: Backend, case: Case) -> None:
    check(cuda, case, 1, "float64", rows=1)


@pytest.mark.parametrize("case", structures(), ids=label)
def test_wide_rows_have_a_warp_each(cuda: Backend, case: Case) -> None:
    check(cuda, case, 70, "float32", rows=2)


@pytest.mark.parametrize("case", structures(), ids=label)
def test_very_wide_rows_have_a_thread_block_each(cuda: Backend, case: Case) -> None:
    check(cuda, case, 32 * 4 + 1, "float64", rows=2)


@pytest.mark.parametrize("case", variants(), ids=label)
def test_every_option_agrees(cuda: Backend, case: Case) -> None:
    check(cuda, case, WIDTH, "float64", rows=2)


@pytest.mark.parametrize("case", [("bce", {}), ("cce", {"input": "logit"})], ids=label)
def test_extreme_values_agree(cuda: Backend, case: Case) -> None:
    plan = plan_of(case, WIDTH, "float64")
    prediction = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.0], [5e-324, 1.0, 1.0 - 2.0**-53]])
    target = np.array([[0.0, 1.0, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    if case[1]:
        prediction = np.array([[-np.inf, 0.0, 1e308], [700.0, -745.0, 700.0], [-1e-300, 40.0, 0.0]])
    batch = Batch(prediction, target)
    check_close(cuda.losses(plan, batch), Interpreter().losses(plan, batch))
    ones = np.ones(3)
    np.testing.assert_allclose(
        cuda.gradient(plan, batch, ones, {}), Interpreter().gradient(plan, batch, ones, {}), rtol=1e-13
    )


def test_extreme_magnitudes_are_scaled(cuda: Backend) -> None:
    plan = plan_of(("cosine_similarity", {}), 2, "float64")
    batch = Batch(np.array([[3e300, 4e300], [0.0, 0.0]]), np.array([[4e-300, 3e-300], [1.0, 0.0]]))
    losses = cuda.losses(plan, batch)[1]
    np.testing.assert_allclose(losses, [-0.96, 0.0], rtol=1e-15)


@pytest.mark.parametrize("width", [3, 70])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["bce", "cce", "scce", "mse"])
def test_the_report_counts_what_is_bad(cuda: Backend, name: str, dtype: str, width: int) -> None:
    plan = plan_of((name, {}), width, dtype)
    rows = BLOCK_ROWS + 3
    batch = batch_of(plan, rows)
    batch.prediction[0, 0] = np.nan
    batch.prediction[1] = 1.5
    batch.prediction[2, 1] += 2.0 * plan.tolerance
    batch.prediction[3, 2] = np.inf if dtype == "float64" else 2.0
    batch.prediction[5, 0] = -0.5
    if not plan.sparse:
        batch.target[2] = 0.5
        batch.target[4, 1] = np.nan
        batch.target[6, 0] = -1.0
    keep = np.array([True, True, True, True, True, False, True])
    batch = dataclasses.replace(batch, keep=keep, weights=np.linspace(0.5, 2.0, rows))
    found, losses = cuda.losses(plan, batch)
    assert np.isnan(losses[5])
    for block, part, row in zip(range(2), blocks(batch, BLOCK_ROWS), found, strict=True):
        # Of the same losses, the same report: every bit of the sum too.
        expected = report(plan, part, losses[block * BLOCK_ROWS :][:BLOCK_ROWS])
        np.testing.assert_array_equal(row, expected)
    outside = 1 + (dtype == "float64") if name == "mse" else 2 + width
    assert found[0, Column.BAD_PREDICTIONS] == outside


def test_block_sums_are_the_tree(cuda: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Losses of very different sizes, whose sum depends on the order; the number of rows is no power of two."""
    rows = 23
    monkeypatch.setattr(reduce, "BLOCK_ROWS", 64)
    plan = plan_of(("mae", {}), 1, "float64")
    prediction = np.random.default_rng(3).normal(size=rows) * 10.0 ** np.arange(rows)
    weights = np.random.default_rng(4).uniform(0.5, 2.0, rows)
    batch = Batch(prediction, np.zeros(rows), weights)
    found = cuda.losses(plan, batch)[0][0, Column.SUM]
    assert found == reduce.tree_sum(np.abs(prediction) * weights)
    assert found != (np.abs(prediction) * weights)[::-1].cumsum()[-1]


def test_rows_that_are_all_left_out(cuda: Backend) -> None:
    plan = plan_of(("scce", {"ignore_index": 1}), WIDTH, "float64")
    batch = dataclasses.replace(batch_of(plan, 2), keep=np.zeros(2, bool))
    found, losses = cuda.losses(plan, batch)
    assert np.isnan(losses).all()
    np.testing.assert_array_equal(found, Interpreter().losses(plan, batch)[0])
    assert found[0, Column.LOWEST] == np.inf


def test_inputs_may_be_read_only(cuda: Backend) -> None:
    plan = plan_of(("mse", {}), 1, "float64")
    batch = batch_of(plan, 2)
    batch.prediction.flags.writeable = batch.target.flags.writeable = False
    np.testing.assert_array_equal(cuda.losses(plan, batch)[1], Interpreter().losses(plan, batch)[1])
