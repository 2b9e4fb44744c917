"""Losses of a class index that need one value of each row: what is read, and what is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lossctl_kernels import LOSSES, Plan, resolve
from lossctl_kernels.batch import Batch, Column
from lossctl_kernels.cpu import Cpu
from lossctl_kernels.recipes import recipe_of
from lossctl_kernels.reduce import LOOKED_AT_ONE_IN, rows_looked_at_first

WIDTH, ROWS = 40, 10_000
BLOCK = 4096
LOOKED_AT_FIRST = rows_looked_at_first(WIDTH)


def plan_of(form: str = "prob", dtype: str = "float64", **options: Any) -> Plan:
    return Plan(resolve(LOSSES["scce"], {"input": form, **options}), WIDTH, dtype)


def data(dtype: str = "float64", rows: int = ROWS) -> tuple[NDArray[Any], NDArray[np.int64]]:
    rng = np.random.default_rng(3)
    prediction = rng.uniform(0.01, 1.0, (rows, WIDTH))
    prediction /= prediction.sum(axis=1, keepdims=True)
    return prediction.astype(dtype), rng.integers(0, WIDTH, rows)


def found(plan: Plan, batch: Batch) -> dict[Column, list[int]]:
    """The blocks in which something is reported, by column."""
    reports, _ = Cpu(2).losses(plan, batch)
    columns = (Column.BAD_PREDICTIONS, Column.BAD_PREDICTION_ROWS)
    return {column: np.flatnonzero(reports[:, column]).tolist() for column in columns}


@pytest.mark.parametrize(
    ("form", "options", "layout"),
    [
        ("prob", {}, "picked"),
        ("log_prob", {}, "picked"),
        ("prob", {"label_smoothing": 0.1}, "along"),
        ("prob", {"normalize": True}, "along"),
        ("logit", {}, "along"),
    ],
)
def test_one_value_a_row_is_enough_for_some(form: str, options: dict[str, Any], layout: str) -> None:
    plan = plan_of(form, **options)
    assert recipe_of(plan, plan.value, "float64").layout.name == layout


@pytest.mark.parametrize("rows", [1, 2, 15, 16, 17, 4095, 4097])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_losses_are_those_of_the_picked_values(rows: int, dtype: str) -> None:
    prediction, target = data(dtype, rows)
    _, losses = Cpu(2).losses(plan_of("prob", dtype), Batch(prediction, target))
    picked = prediction[np.arange(rows), target].astype(np.float64)
    np.testing.assert_allclose(losses, -np.log(picked), rtol=4e-16)


def test_class_weights_go_by_the_class_that_is_picked() -> None:
    prediction, target = data(rows=50)
    weights = np.arange(1.0, WIDTH + 1.0)
    plan = plan_of("prob", class_weight=tuple(weights))
    _, losses = Cpu(1).losses(plan, Batch(prediction, target))
    np.testing.assert_allclose(losses, -weights[target] * np.log(prediction[np.arange(50), target]), rtol=4e-16)


def test_every_picked_value_is_looked_at() -> None:
    for row in (0, LOOKED_AT_FIRST, 9000, ROWS - 1):
        prediction, target = data()
        prediction[row, target[row]] = 1.5
        assert found(plan_of(), Batch(prediction, target))[Column.BAD_PREDICTIONS] == [row // BLOCK]


def test_rows_are_looked_at_whole_first_all_of_them_then_the_first_of_each_block() -> None:
    looked_at = BLOCK // LOOKED_AT_ONE_IN
    for row, is_seen in (
        (0, True),
        (LOOKED_AT_FIRST - 1, True),
        (LOOKED_AT_FIRST, False),
        (2 * BLOCK, True),
        (2 * BLOCK + looked_at - 1, True),
        (2 * BLOCK + looked_at, False),
    ):
        prediction, target = data()
        prediction[row] *= 1.01
        assert found(plan_of(), Batch(prediction, target))[Column.BAD_PREDICTION_ROWS] == [row // BLOCK] * is_seen
        prediction, target = data()
        prediction[row, target[row] - 1] = -0.5
        assert found(plan_of(), Batch(prediction, target))[Column.BAD_PREDICTIONS] == [row // BLOCK] * is_seen


def test_the_first_rows_may_be_those_of_several_blocks() -> None:
    width, rows, block = 1 << 18, 19, 2
    looked_at = rows_looked_at_first(width)
    assert looked_at == 8 * block
    plan = Plan(resolve(LOSSES["scce"], {"input": "log_prob"}), width, "float32")
    assert plan.block_rows == block
    prediction, target = np.full((rows, width), -1.0, np.float32), np.zeros(rows, np.int64)
    for row, is_seen in (
        (0, True),
        (2 * block, True),
        (looked_at - 1, True),
        (looked_at, True),
        (looked_at + 1, False),
    ):
        prediction[row, -1] = 1.0
        assert found(plan, Batch(prediction, target))[Column.BAD_PREDICTIONS] == [row // block] * is_seen
        prediction[row, -1] = -1.0


def test_which_rows_those_are_does_not_depend_on_where_batches_begin() -> None:
    prediction, target = data()
    start = 2 * BLOCK
    prediction[start + 100] *= 1.01
    assert found(plan_of(), Batch(prediction[start:], target[start:]))[Column.BAD_PREDICTION_ROWS] == [0]
    later = Batch(prediction[start:], target[start:], first_row=start)
    assert found(plan_of(), later)[Column.BAD_PREDICTION_ROWS] == []


def test_one_plan_goes_with_batches_of_any_size_place_and_type() -> None:
    plan = plan_of()
    prediction, target = data()
    start = BLOCK
    prediction[start + LOOKED_AT_FIRST - 1] *= 1.01
    prediction[-1, target[-1]] = 1.5
    for _ in range(2):
        for dtype in ("float64", "float32"):
            rows = prediction.astype(dtype)
            for batch in (
                Batch(rows, target),
                Batch(rows[start:], target[start:], first_row=start),
                Batch(rows[start:], target[start:]),
            ):
                assert found(plan, batch) == found(plan_of(), batch)
    first, later = (Batch(prediction[start:], target[start:], first_row=row) for row in (0, start))
    assert found(plan, first)[Column.BAD_PREDICTION_ROWS] == [0]
    assert found(plan, later)[Column.BAD_PREDICTION_ROWS] == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 3, 10, 32])
def test_of_narrow_rows_that_need_no_sum_every_value_is_looked_at(width: int, dtype: str) -> None:
    plan = Plan(resolve(LOSSES["scce"], {"input": "log_prob"}), width, dtype)
    assert recipe_of(plan, plan.value, dtype).layout.name == "picked"
    rng = np.random.default_rng(width)
    for rows in (1, 2, 5, 6, 15, 17, BLOCK + 1):
        prediction = -rng.uniform(0.1, 9.0, (rows, width)).astype(dtype)
        target = rng.integers(0, width, rows)
        reports, losses = Cpu(2).losses(plan, Batch(prediction, target))
        assert not reports[:, Column.BAD_PREDICTIONS].any()
        np.testing.assert_array_equal(losses, -prediction[np.arange(rows), target].astype(np.float64))
        for row, column in {(0, 0), (0, width - 1), (rows // 2, width // 2), (rows - 1, 0), (rows - 1, width - 1)}:
            for bad in (0.5, np.nan):
                changed = prediction.copy()
                changed[row, column] = bad
                reports, _ = Cpu(2).losses(plan, Batch(changed, target))
                assert np.flatnonzero(reports[:, Column.BAD_PREDICTIONS]).tolist() == [row // BLOCK]


def test_narrow_rows_of_probabilities_are_summed() -> None:
    plan = Plan(resolve(LOSSES["scce"], {}), 3)
    assert recipe_of(plan, plan.value, "float64").layout.name == "across"


@pytest.mark.parametrize(("width", "rows"), [(40, 410), (512, 32), (4096, 16), (1_000_000, 16)])
def test_the_first_rows_are_a_number_of_values_but_not_too_few_rows(width: int, rows: int) -> None:
    assert rows_looked_at_first(width) == rows


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_of_dense_targets_are_skipped_and_nothing_else_is(dtype: str) -> None:
    prediction, labels = data(dtype, 300)
    one_hot = np.eye(WIDTH, dtype=dtype)[labels]
    soft = np.zeros_like(one_hot)
    soft[:, 3], soft[:, WIDTH - 1] = 0.25, 0.75
    for target in (one_hot, soft):
        plan = Plan(resolve(LOSSES["cce"], {}), WIDTH, dtype)
        assert recipe_of(plan, plan.value, dtype).layout.skips_zeros
        _, losses = Cpu(1).losses(plan, Batch(prediction, target))
        expected = -(target * np.log(prediction.astype(np.float64))).sum(axis=1)
        np.testing.assert_allclose(losses, expected, rtol=1e-15)
    smoothed = Plan(resolve(LOSSES["cce"], {"label_smoothing": 0.1}), WIDTH, dtype)
    assert not recipe_of(smoothed, smoothed.value, dtype).layout.skips_zeros
