"""What backends report of each block: values outside their domain, infinite losses, rows that count nowhere."""

from __future__ import annotations

import dataclasses
import math
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import Plan, Scope, reduce
from lossctl_kernels.batch import Array, Batch, Column, Floats
from lossctl_kernels.domains import (
    BINARY_LABEL,
    CLASS_PROBABILITY,
    LOGIT,
    NONNEGATIVE,
    POSITIVE,
    PROBABILITY,
    REAL,
    TargetKind,
)
from tests.kernels.cases import Case, parametrize
from tests.kernels.engines import backend_of, backends
from tests.kernels.test_backends import BLOCK, FORMS, batch_of

engines = pytest.mark.parametrize("backend", backends())

NAN, INF = math.nan, math.inf


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred rows are several blocks."""
    import_module("lossctl_kernels.rows")  # before: compiled code, which is kept, has room for blocks of the usual size
    monkeypatch.setattr(reduce, "BLOCK_ROWS", BLOCK)


@engines
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@parametrize(FORMS)
def test_a_report_on_good_data_is_clean(case: Case, dtype: str, backend: str) -> None:
    report = report_of(backend_of(backend), case.plan(3, dtype), batch_of(case, BLOCK + 5, 3, dtype))
    assert report.shape == (2, len(Column))
    assert not report[:, Column.BAD_PREDICTIONS :].any()
    assert not report[:, Column.NONFINITE].any()


def report_of(engine: Any, plan: Plan, batch: Batch) -> Floats:
    if plan.scope is Scope.DATASET:
        return np.asarray(engine.folds(plan, batch, dict.fromkeys(plan.scales, 1.0))[0])
    return np.asarray(engine.losses(plan, batch)[0])


OUTSIDE = {
    REAL: (NAN, INF, -INF),
    LOGIT: (NAN, INF),
    PROBABILITY: (NAN, INF, -INF, 1.25, -0.5, float(np.nextafter(np.float32(1.0), np.float32(2.0))), -1e-45),
    NONNEGATIVE: (NAN, INF, -0.5),
    POSITIVE: (NAN, INF, 0.0, -0.0, -1e-45),
    BINARY_LABEL: (NAN, 2.0, -1.0),  # a label between them is a loss that is not a number
}
OUTSIDE[CLASS_PROBABILITY] = OUTSIDE[PROBABILITY]


def poked(array: Array, value: float, column: int = 0) -> Array:
    """A copy with this number in the second block."""
    changed = array.copy()
    changed.reshape(len(changed), -1)[BLOCK + 3, column] = value
    return changed


@engines
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@parametrize([*FORMS, Case("cce", {"normalize": True})])
def test_a_number_outside_its_domain_is_counted_in_its_block(case: Case, dtype: str, backend: str) -> None:
    engine, plan, batch = backend_of(backend), case.plan(3, dtype), batch_of(case, BLOCK + 5, 3, dtype)
    for value in OUTSIDE.get(plan.prediction_domain, (NAN, INF, 0.5)):
        bad = dataclasses.replace(batch, prediction=poked(batch.prediction, value, column=2))
        assert report_of(engine, plan, bad)[:, Column.BAD_PREDICTIONS].tolist() == [0.0, 1.0], value
    if plan.sparse:
        return
    for value in OUTSIDE[plan.settings.loss.target]:
        bad = dataclasses.replace(batch, target=poked(batch.target, value, column=1))
        assert report_of(engine, plan, bad)[:, Column.BAD_TARGETS].tolist() == [0.0, 1.0], value


@engines
@parametrize([*FORMS, Case("cce", {"normalize": True})])
def test_the_ends_of_a_domain_are_inside(case: Case, backend: str) -> None:
    engine, plan, batch = backend_of(backend), case.plan(3, "float32"), batch_of(case, BLOCK + 5, 3, "float32")
    largest = float(np.finfo(np.float32).max)
    for end in plan.prediction_domain.bounds("float32"):
        finite = end if math.isinf(end) else max(min(end, largest), -largest)
        good = dataclasses.replace(batch, prediction=poked(batch.prediction, finite))
        assert not report_of(engine, plan, good)[:, Column.BAD_PREDICTIONS].any(), end


@engines
@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-6), ("float32", 1e-3)])
@parametrize([case for case in FORMS if case.plan().rows_sum_to_one or case.plan().targets_sum_to_one])
def test_rows_that_do_not_sum_to_1_are_counted(case: Case, dtype: str, allowed: float, backend: str) -> None:
    engine, plan, batch = backend_of(backend), case.plan(3, dtype), batch_of(case, BLOCK + 5, 3, dtype)
    checked = {Column.BAD_PREDICTION_ROWS: plan.rows_sum_to_one, Column.BAD_TARGET_ROWS: plan.targets_sum_to_one}
    for column, field in ((Column.BAD_PREDICTION_ROWS, "prediction"), (Column.BAD_TARGET_ROWS, "target")):
        if field == "target" and plan.sparse:
            continue
        array = getattr(batch, field)
        for off, bad in ((3.0 * allowed, True), (-3.0 * allowed, True), (0.3 * allowed, False)):
            changed = array.copy()
            changed[BLOCK + 3] = [0.25 + off, 0.25, 0.5]
            found = report_of(engine, plan, dataclasses.replace(batch, **{field: changed}))[:, column]
            assert found.tolist() == [0.0, float(bad and checked[column])], (field, off)


@engines
def test_infinite_losses_are_counted_and_lowest_and_highest_found(backend: str) -> None:
    p = np.full(BLOCK + 5, 0.5)
    p[BLOCK + 1 : BLOCK + 4] = [0.0, 0.25, 1.0]
    report, losses = backend_of(backend).losses(Case("bce").plan(1), Batch(p, np.ones(p.size)))
    assert losses[BLOCK + 1] == INF
    assert report[:, Column.NONFINITE].tolist() == [0.0, 1.0]
    assert report[:, Column.POSITIVE].tolist() == [float(BLOCK), 4.0]
    assert report[:, Column.LOWEST].tolist() == [math.log(2.0), 0.0]
    assert report[:, Column.HIGHEST].tolist() == [math.log(2.0), INF]
    assert report[:, Column.SUM].tolist() == [pytest.approx(BLOCK * math.log(2.0)), INF]


@engines
def test_rows_that_are_not_kept_count_nowhere(backend: str) -> None:
    p, keep = np.array([0.0, 0.5, 0.0, 0.25]), np.array([False, True, False, True])
    report, losses = backend_of(backend).losses(
        Case("bce").plan(1), Batch(p, np.ones(4), np.array([9.0, 2.0, 9.0, 1.0]), keep)
    )
    np.testing.assert_allclose(losses, [NAN, math.log(2.0), NAN, math.log(4.0)])
    expected = {
        Column.SUM: 4.0 * math.log(2.0), Column.NONFINITE: 0.0, Column.POSITIVE: 2.0, Column.LOWEST: math.log(2.0),
        Column.HIGHEST: math.log(4.0),
    }  # fmt: skip
    assert {column: report[0, column] for column in expected} == pytest.approx(expected)


@engines
def test_nothing_kept(backend: str) -> None:
    batch = Batch(np.full(3, 0.5), np.ones(3), None, np.zeros(3, bool))
    report, losses = backend_of(backend).losses(Case("bce").plan(1), batch)
    assert np.isnan(losses).all()
    assert report[0, [Column.SUM, Column.NONFINITE, Column.POSITIVE]].tolist() == [0.0, 0.0, 0.0]
    assert report[0, [Column.LOWEST, Column.HIGHEST]].tolist() == [INF, -INF]


@engines
@parametrize(FORMS)
def test_no_rows_are_no_blocks(case: Case, backend: str) -> None:
    plan, engine = case.plan(), backend_of(backend)
    prediction = np.empty((0, 3))
    target: Array = np.empty(0, np.int64) if plan.settings.loss.target_kind is TargetKind.INDEX else np.empty((0, 3))
    assert report_of(engine, plan, Batch(prediction, target)).shape == (0, len(Column))


@engines
def test_a_row_of_minus_infinity_has_no_loss(backend: str) -> None:
    logits = np.array([[-INF, -INF], [0.0, -INF]])
    _, losses = backend_of(backend).losses(Case("scce", {"input": "logit"}).plan(2), Batch(logits, np.array([0, 0])))
    np.testing.assert_equal(losses, [NAN, 0.0])


@engines
@pytest.mark.parametrize("labels", ["01", "pm1"])
def test_a_label_that_is_not_one_of_the_two_is_no_loss(labels: str, backend: str) -> None:
    found = {"01": [0.0, 1.0, 0.5, -1.0], "pm1": [-1.0, 1.0, 0.0, 0.5]}[labels]
    plan = Case("hinge", {"labels": labels}).plan(1)
    _, losses = backend_of(backend).losses(plan, Batch(np.full(4, 0.25), np.array(found)))
    np.testing.assert_equal(losses, [1.25, 0.75, NAN, NAN])
