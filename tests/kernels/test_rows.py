"""The sums of rows' losses: made where the losses are, of the same bits as `SUM` makes of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch, Column
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.recipes import recipe_of

LAYOUTS = [("scce", {"input": "logit"}, 3, "across"), ("scce", {"input": "logit"}, 40, "along")]
LAYOUTS += [("scce", {"input": "log_prob"}, 40, "picked")]


def batch_of(rows: int, width: int, dtype: str, weighted: bool) -> Batch:
    rng = np.random.default_rng(rows)
    prediction = -rng.uniform(0.1, 9.0, (rows, width)).astype(dtype)
    weights = rng.uniform(0.5, 2.0, rows) if weighted else None
    return Batch(prediction, rng.integers(0, width, rows), weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 4096, 9001])
@pytest.mark.parametrize(("loss", "options", "width", "layout"), LAYOUTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sums_are_the_same_whether_losses_are_kept_or_not(
    dtype: str, loss: str, options: dict[str, Any], width: int, layout: str, rows: int, weighted: bool
) -> None:
    plan = Plan(resolve(LOSSES[loss], options), width, dtype)
    assert recipe_of(plan, plan.value, dtype).layout.name == layout
    batch = batch_of(rows, width, dtype, weighted)
    without, nothing = Cpu(2).losses(plan, batch, False)
    kept, losses = Cpu(2).losses(plan, batch)
    # Rows may be left out: such sums are made afterwards, and here nothing is.
    afterwards, _ = Cpu(2).losses(plan, replace(batch, keep=np.ones(rows, np.bool_)))
    assert nothing.size == 0
    assert losses.size == rows
    sums = without[:, Column.SUM]
    np.testing.assert_array_equal(sums, kept[:, Column.SUM])
    np.testing.assert_array_equal(sums, afterwards[:, Column.SUM])
    weights = np.ones(rows) if batch.weights is None else batch.weights
    expected = np.add.reduceat(losses * weights, np.arange(0, rows, plan.block_rows))
    np.testing.assert_allclose(sums, expected, rtol=1e-14)


@pytest.mark.parametrize("width", [3, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_that_are_not_finite_are_counted_though_nobody_keeps_them(dtype: str, width: int) -> None:
    plan = Plan(resolve(LOSSES["scce"], {}), width, dtype)
    prediction = np.full((50, width), 1.0 / width, dtype)
    prediction[7] = 0.0
    prediction[7, 1] = 1.0
    target = np.zeros(50, np.int64)
    reports, losses = Cpu(2).losses(plan, Batch(prediction, target), False)
    assert reports[:, Column.NONFINITE].tolist() == [1.0]
    assert losses.size == 0
