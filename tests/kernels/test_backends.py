"""The backends against each other, over the registry: one result for every size, layout, dtype, thread and cut."""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from lossctl_kernels import Plan, Scope, reduce
from lossctl_kernels.batch import Batch, Column, Floats
from lossctl_kernels.interpreted import Interpreter
from tests.kernels.cases import REPRESENTATIVES, Case, draw, is_pooled, parametrize
from tests.kernels.engines import backend_of, backends, sample_scale, totals_of
from tests.kernels.further import drawn_inputs

numba = pytest.importorskip("numba")
needs_compiler = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="NUMBA_DISABLE_JIT leaves nothing to compile"
)
engines = pytest.mark.parametrize("backend", backends())

NAN, INF = math.nan, math.inf
BLOCK = 256
SIZES = (1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3)
# 32 is the last width that goes across rows.
WIDTHS = (1, 3, 32, 33, 200)
# Kernels differ in their scope, their kinds of folds, what they read and what they check: one loss for each.
FORMS = [
    *REPRESENTATIVES,
    Case("bce", {"input": "logit"}),
    Case("poisson"),
    Case("multilabel_soft_margin"),
    Case("multi_margin"),
    Case("multiclass_hinge"),
    Case("scce", {"input": "prob"}),
    Case("cosine_global"),
    Case("dice"),
]
BY_SAMPLE = [case for case in FORMS if not is_pooled(case)]
BY_DATASET = [case for case in FORMS if is_pooled(case)]
COUNTS = [Column.NONFINITE, Column.POSITIVE, Column.BAD_PREDICTIONS, Column.BAD_TARGETS, Column.BAD_PREDICTION_ROWS]


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few hundred rows are several blocks."""
    import_module("lossctl_kernels.rows")  # before: compiled code, which is kept, has room for blocks of the usual size
    monkeypatch.setattr(reduce, "BLOCK_ROWS", BLOCK)


def batch_of(case: Case, rows: int, width: int, dtype: str) -> Batch:
    prediction, target = draw(case, rows, width, dtype, seed=rows + width)
    return Batch(prediction, target, inputs=drawn_inputs(case.plan(width, dtype).settings.loss, prediction))


def assert_same_report(found: Floats, expected: Floats, size: float) -> None:
    """Counts are equal, numbers to rounding of sums of this size."""
    assert found.shape == expected.shape
    for column in Column:
        tolerance = 0.0 if column in COUNTS else 1e-14 * max(1.0, size)
        np.testing.assert_allclose(
            found[:, column], expected[:, column], rtol=1e-13, atol=tolerance, err_msg=column.name
        )


def check_samples(plan: Plan, batch: Batch) -> None:
    """Losses, reports and gradients of the compiled backend are the interpreter's to rounding."""
    expected_report, expected = Interpreter().losses(plan, batch)
    report, losses = backend_of("cpu").losses(plan, batch)
    np.testing.assert_allclose(losses, expected, rtol=1e-13, atol=1e-15)
    kept = np.nan_to_num(expected) * (1.0 if batch.weights is None else batch.weights)
    assert_same_report(report, expected_report, float(np.abs(kept).sum()))
    scales = np.random.default_rng(4).normal(size=batch.rows) * sample_scale(plan)
    gradient = backend_of("cpu").gradient(plan, batch, scales, {})
    assert gradient.dtype == batch.prediction.dtype
    assert gradient.shape == batch.prediction.shape
    rtol = 1e-12 if plan.prediction_dtype == "float64" else 1.3e-7
    np.testing.assert_allclose(gradient, Interpreter().gradient(plan, batch, scales, {}), rtol=rtol, atol=1e-15)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("width", WIDTHS)
@parametrize(BY_SAMPLE)
def test_backends_agree(case: Case, width: int, dtype: str) -> None:
    """The sizes in turn, so that every width and every layout meets each of them for some loss."""
    start = BY_SAMPLE.index(case) + WIDTHS.index(width)
    for rows in (SIZES[start % 5], SIZES[(start + 2) % 5]):
        plan, batch = case.plan(width, dtype), batch_of(case, rows, width, dtype)
        random = np.random.default_rng(rows)
        check_samples(plan, batch)
        weighted = dataclasses.replace(batch, weights=random.uniform(0.0, 2.0, rows))
        check_samples(plan, dataclasses.replace(weighted, keep=random.uniform(size=rows) < 0.7))


@needs_compiler
@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize("case", [Case("mae"), Case("scce", {"input": "logit"}), Case("cosine_distance")], ids=str)
def test_backends_agree_at_every_size(case: Case, rows: int) -> None:
    check_samples(case.plan(), batch_of(case, rows, 3, "float64"))


@needs_compiler
@pytest.mark.parametrize("case", [Case("bce"), Case("cce", {"input": "logit"})], ids=str)
def test_backends_agree_over_blocks_of_their_real_size(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert case.plan().block_rows == 4096
    check_samples(case.plan(), batch_of(case, 2 * 4096 + 3, 3, "float64"))


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("width", [1, 3, 200])
@parametrize(BY_DATASET)
def test_backends_agree_over_the_data_set(case: Case, width: int, dtype: str) -> None:
    plan = case.plan(width, dtype)
    for rows in SIZES:
        batch = batch_of(case, rows, width, dtype)
        weighted = dataclasses.replace(batch, weights=np.random.default_rng(rows).uniform(0.0, 2.0, rows))
        scales = dict.fromkeys(plan.scales, 0.25)
        for one in (batch, weighted):
            found, expected = (engine.folds(plan, one, scales) for engine in (backend_of("cpu"), Interpreter()))
            assert_same_report(found[0], expected[0], 1.0)
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-13, atol=1e-13 * rows * width)
        if plan.definition.gradient is None:
            continue
        totals = totals_of(Interpreter(), plan, batch)
        arguments = plan, batch, np.random.default_rng(4).normal(size=rows), totals
        rtol = 1e-12 if dtype == "float64" else 1.3e-7
        found, expected = backend_of("cpu").gradient(*arguments), Interpreter().gradient(*arguments)
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-15)


# ---- the same bits


def cut(batch: Batch, at: int) -> list[Batch]:
    """The batch as two, cut at a row."""
    parts = slice(None, at), slice(at, None)
    return [
        Batch(
            batch.prediction[part],
            batch.target[part],
            None if batch.weights is None else batch.weights[part],
            None if batch.keep is None else batch.keep[part],
            inputs={name: values[part] for name, values in batch.inputs.items()},
        )
        for part in parts
    ]


def full_batch(case: Case, width: int, dtype: str = "float64") -> Batch:
    rows, random = 3 * BLOCK + 5, np.random.default_rng(8)
    batch = batch_of(case, rows, width, dtype)
    return dataclasses.replace(batch, weights=random.uniform(0.0, 2.0, rows), keep=random.uniform(size=rows) < 0.9)


@engines
@pytest.mark.parametrize("width", [1, 3, 65])
@parametrize(BY_SAMPLE)
def test_cuts_between_blocks_change_no_bit(case: Case, width: int, backend: str) -> None:
    plan, engine, batch = case.plan(width), backend_of(backend), full_batch(case, width)
    report, losses = engine.losses(plan, batch)
    scales = np.full(batch.rows, 0.125)
    gradient = engine.gradient(plan, batch, scales, {})
    for blocks in (1, 2):
        parts = [engine.losses(plan, part) for part in cut(batch, blocks * BLOCK)]
        assert np.array_equal(np.concatenate([part[0] for part in parts]), report)
        assert np.array_equal(np.concatenate([part[1] for part in parts]), losses, equal_nan=True)
        pieces = [engine.gradient(plan, part, scales[: part.rows], {}) for part in cut(batch, blocks * BLOCK)]
        assert np.array_equal(np.concatenate(pieces), gradient)


@engines
@parametrize(BY_DATASET)
def test_cuts_between_blocks_change_no_bit_of_a_state(case: Case, backend: str) -> None:
    plan, engine = case.plan(3), backend_of(backend)
    batch = dataclasses.replace(full_batch(case, 3), keep=None)
    ones = dict.fromkeys(plan.scales, 1.0)
    whole = engine.folds(plan, batch, ones)
    parts = [engine.folds(plan, part, ones) for part in cut(batch, 2 * BLOCK)]
    for position in (0, 1):
        assert np.array_equal(np.concatenate([part[position] for part in parts]), whole[position])


@needs_compiler
@pytest.mark.parametrize("width", [1, 65])
@parametrize(FORMS)
def test_threads_change_no_bit(case: Case, width: int) -> None:
    from lossctl_kernels.cpu import Cpu

    plan, batch = case.plan(width), full_batch(case, width)
    if plan.scope is Scope.DATASET:
        batch = dataclasses.replace(batch, keep=None)
        one, two = (Cpu(threads).folds(plan, batch, dict.fromkeys(plan.scales, 1.0)) for threads in (1, 2))
    else:
        one, two = (Cpu(threads).losses(plan, batch) for threads in (1, 2))
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1], equal_nan=True)


# Weights, rows left out and gradients of several widths, twice: with freed memory as it was, and overwritten.
OWN_MEMORY = """
import sys
import numpy as np
from lossctl_kernels import LOSSES, Plan, Scope, resolve
from lossctl_kernels.batch import Batch
from lossctl_kernels.cpu import Cpu

random = np.random.default_rng(0)
for name, width in (("mae", 1), ("mae", 5), ("scce", 3), ("scce", 70), ("cosine_distance", 3), ("rmse", 5)):
    plan = Plan(resolve(LOSSES[name], {"input": "logit"} if name == "scce" else {}), width)
    shape, rows = ((300, width) if width > 1 else (300,)), 300
    prediction, weights = random.normal(size=shape), random.uniform(0.5, 2.0, rows)
    keep = random.uniform(size=rows) < 0.7
    target = random.integers(0, width, rows) if plan.sparse else random.normal(size=shape)
    cpu, totals = Cpu(), {}
    if plan.scope is Scope.DATASET:
        report, states = cpu.folds(plan, Batch(prediction, target, weights), dict.fromkeys(plan.scales, 1.0))
        totals = {**dict(zip((step.name for step in plan.folds.steps), states.sum(axis=0))), "weight": 1.0}
        sys.stdout.write(states.tobytes().hex())
    else:
        for more in ((), (weights,), (weights, keep)):
            batch = Batch(prediction, target, *more)
            for part in (*cpu.losses(plan, batch), cpu.losses(plan, batch, wanted=False)[0]):
                sys.stdout.write(part.tobytes().hex())
    for scales in (weights, np.broadcast_to(np.float64(0.5), rows)):
        sys.stdout.write(cpu.gradient(plan, Batch(prediction, target), scales, totals).tobytes().hex())
"""


@needs_compiler
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="MALLOC_PERTURB_ is glibc's")
def test_freed_memory_is_never_read() -> None:
    """An array is freed after its last mention, also where its address is still to be used."""
    outputs = []
    for environment in ({}, {"MALLOC_PERTURB_": "165"}):
        done = subprocess.run(
            [sys.executable, "-c", OWN_MEMORY], env={**os.environ, **environment}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1]


@engines
@pytest.mark.parametrize("width", [1, 3])
@parametrize(BY_SAMPLE)
def test_a_sum_is_the_same_where_its_losses_are_not_wanted(case: Case, width: int, backend: str) -> None:
    plan, engine = case.plan(width), backend_of(backend)
    for batch in (batch_of(case, 2 * BLOCK + 3, width, "float64"), full_batch(case, width)):
        wanted, unwanted = engine.losses(plan, batch)[0], engine.losses(plan, batch, wanted=False)[0]
        assert np.array_equal(wanted[:, [Column.SUM, Column.NONFINITE]], unwanted[:, [Column.SUM, Column.NONFINITE]])
        assert np.array_equal(wanted[:, Column.BAD_PREDICTIONS :], unwanted[:, Column.BAD_PREDICTIONS :])
