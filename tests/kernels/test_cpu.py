"""What `Cpu` makes of the results of block functions: it says what the interpreter says.

Block functions are replaced by the interpreter and NumPy behind the same addresses; the rest is real.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossctl_kernels import LOSSES, Plan, Scope, resolve
from lossctl_kernels import cpu as cpu_module
from lossctl_kernels.batch import Batch, Column
from lossctl_kernels.interpreted import Interpreter, evaluate
from lossctl_kernels.processors import usable_processors
from lossctl_kernels.program import Program
from lossctl_kernels.recipes import is_flat
from lossctl_kernels.reports import off_one, outside
from lossctl_kernels.spec import Monoid

DTYPES: dict[str, Any] = {"float32": ctypes.c_float, "float64": ctypes.c_double, "int64": ctypes.c_int64}


def at(address: int, count: int, dtype: str = "float64") -> Any:
    """The numbers at an address, as an array on the same memory."""
    return np.ctypeslib.as_array((DTYPES[dtype] * count).from_address(int(address)))


def block_function(plan: Plan, program: Program, dtype: str) -> Callable[..., None]:
    """What is compiled from a recipe, interpreted."""

    def fill(
        rows: int,
        width: int,
        prediction: int,
        target: int,
        class_weights: int,
        numbers: int,
        bounds: int,
        scales: int,
        result: int,
        report: int,
    ) -> None:
        if program.form:  # "it does not hold": what it makes of numbers is tested with real code
            at(report, len(Column))[Column.SUM] = np.nan
            return
        shape = (rows * width,) if is_flat(plan) else (rows, width)
        predictions = at(prediction, rows * width, dtype).reshape(shape)
        targets = at(target, rows, "int64") if plan.sparse else at(target, rows * width, dtype).reshape(shape)
        vector = at(numbers, len(program.numbers))
        factors = at(scales, rows * width if is_flat(plan) else rows) if scales else 1.0
        with np.errstate(all="ignore"):
            if program.kind == "folds":
                places = at(result, len(program.steps))
                environment = (predictions.astype(float), targets.astype(float), 0.0, 1.0, *vector)
                for place, step in enumerate(program.steps):
                    term = step.term(environment)
                    places[place] = np.abs(term).max() if step.monoid is Monoid.SCALE else np.sum(term * factors)
            else:
                values = evaluate(plan, program, predictions, targets, vector)
                if program.kind == "gradient":
                    each = np.reshape(factors, (-1, 1)) if values.ndim > 1 else factors
                    at(result, rows * width, dtype)[:] = np.ravel(values * each)
                    return
                if plan.scope is Scope.ELEMENT and width > 1:
                    values = values.sum(axis=1)
                if result:
                    at(result, values.size)[:] = values
                at(report, len(Column))[Column.SUM] = np.sum(values * factors)
        row = at(report, len(Column))
        row[Column.BAD_PREDICTIONS] += np.count_nonzero(outside(predictions, plan.prediction_domain))
        if not plan.sparse:
            row[Column.BAD_TARGETS] += np.count_nonzero(outside(targets, plan.settings.loss.target))
        if plan.rows_sum_to_one:
            row[Column.BAD_PREDICTION_ROWS] += np.count_nonzero(off_one(predictions, plan.tolerance))

    return fill


def sum_function() -> Callable[..., None]:
    def fill(rows: int, _width: int, values: int, *others: int) -> None:
        scales, result = others[4], others[5]
        at(result, 1)[0] = np.sum(at(values, rows) * (at(scales, rows) if scales else 1.0))

    return fill


def extremes_function() -> Callable[..., None]:
    def fill(rows: int, _width: int, values: int, *others: int) -> None:
        losses, row = at(values, rows), at(others[-1], len(Column))
        row[Column.NONFINITE] = np.count_nonzero(~np.isfinite(losses))
        row[Column.POSITIVE] = np.count_nonzero(losses > 0.0)
        row[Column.LOWEST], row[Column.HIGHEST] = np.nanmin(losses), np.nanmax(losses)

    return fill


def runner(fill: Callable[..., None]) -> Callable[..., None]:
    """The loop over blocks around a block function."""

    def run(rows: int, width: int, block: int, places: Any, threads: int, arrays: Any) -> None:
        assert threads >= 1
        for k, first in enumerate(range(0, rows, block)):
            fill(min(block, rows - first), width, *(int(address + k * step) for address, step in places.reshape(-1, 2)))

    return run


@pytest.fixture
def interpreted_cpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A `Cpu` whose block functions are run by Python: here they are their own recipes."""
    monkeypatch.setattr(cpu_module, "recipe_of", block_function)
    for name, fill in (("_SUM", sum_function()), ("_EXTREMES", extremes_function())):
        monkeypatch.setattr(cpu_module, name, replace(getattr(cpu_module, name), recipe=fill))
    monkeypatch.setattr(cpu_module, "block_function", runner)
    return cpu_module.Cpu()


RANDOM = np.random.default_rng(11)


def make(spec: str, rows: int, width: int, dtype: str = "float64", weighted: bool = False) -> tuple[Plan, Batch]:
    """A plan, and data that its loss takes."""
    name, _, options = spec.partition(":")
    plan = Plan(resolve(LOSSES[name], dict(part.split("=") for part in options.split(",") if part)), width, dtype)
    shape = (rows, width) if width > 1 or plan.scope is Scope.ROW else (rows,)
    prediction = RANDOM.uniform(0.05, 0.95, shape)
    target = RANDOM.uniform(0.05, 0.95, shape)
    labels, keep = RANDOM.integers(0, width, rows), None
    if plan.settings["ignore_index"] is not None:
        keep = RANDOM.random(rows) < 0.7
    weights = RANDOM.uniform(0.5, 2.0, rows) if weighted else None
    return plan, Batch(prediction.astype(dtype), labels if plan.sparse else target.astype(dtype), weights, keep)


CASES = [
    ("mse", 1, "float64", False),
    ("mse", 1, "float32", True),
    ("bce:log_base=2", 3, "float64", True),
    ("mse:row=sum", 20, "float64", False),
    ("mae", 5000, "float64", True),
    ("scce:input=logit", 4, "float64", True),
    ("scce:input=logit,ignore_index=9", 4, "float32", False),
    ("scce:input=logit,ignore_index=9", 70, "float64", True),
    ("cosine_similarity", 3, "float64", True),
]


@pytest.mark.parametrize(("spec", "width", "dtype", "weighted"), CASES)
@pytest.mark.parametrize("wanted", [True, False])
def test_losses(interpreted_cpu: Any, spec: str, width: int, dtype: str, weighted: bool, wanted: bool) -> None:
    plan, batch = make(spec, 37, width, dtype, weighted)
    report, losses = interpreted_cpu.losses(plan, batch, wanted)
    expected_report, expected = Interpreter().losses(plan, batch)
    assert report[:, Column.SUM] == pytest.approx(expected_report[:, Column.SUM], rel=1e-13)
    assert not report[:, Column.BAD_PREDICTIONS :].any()
    if wanted:
        assert losses == pytest.approx(expected, rel=1e-13, nan_ok=True)
        assert np.array_equal(report[:, : Column.HIGHEST + 1] > 0, expected_report[:, : Column.HIGHEST + 1] > 0)
    else:
        assert losses.size == 0


def test_rows_that_are_left_out_of_an_elementwise_loss(interpreted_cpu: Any) -> None:
    for width in (1, 3):
        plan, whole = make("mse", 9, width, weighted=True)
        batch = Batch(whole.prediction, whole.target, whole.weights, np.arange(9) % 3 != 0)
        report, losses = interpreted_cpu.losses(plan, batch)
        expected_report, expected = Interpreter().losses(plan, batch)
        assert report[:, Column.SUM] == pytest.approx(expected_report[:, Column.SUM], rel=1e-13)
        assert report[:, Column.NONFINITE].tolist() == [0.0]
        assert losses == pytest.approx(expected, rel=1e-13, nan_ok=True)


def test_infinite_losses_are_counted_though_the_losses_are_not_wanted(interpreted_cpu: Any) -> None:
    plan, whole = make("bce", 10, 1)
    prediction = whole.prediction.copy()
    prediction[[2, 5]] = 0.0
    report, _ = interpreted_cpu.losses(plan, Batch(prediction, whole.target), False)
    assert report[:, Column.SUM].tolist() == [np.inf]
    assert report[:, Column.NONFINITE].tolist() == [2.0]


def test_what_is_outside_the_domain_is_reported(interpreted_cpu: Any) -> None:
    plan, whole = make("bce", 10, 1)
    prediction = whole.prediction.copy()
    prediction[3] = 1.5
    report, _ = interpreted_cpu.losses(plan, Batch(prediction, whole.target), False)
    assert report[:, Column.BAD_PREDICTIONS].any()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("spec", "width"), [("rmse", 1), ("rmse", 4), ("cosine_global", 1)])
def test_folds(interpreted_cpu: Any, spec: str, width: int, weighted: bool) -> None:
    plan, batch = make(spec, 23, width, weighted=weighted)
    scales = dict.fromkeys(plan.scales, 1.0)
    _, states = interpreted_cpu.folds(plan, batch, scales)
    _, expected = Interpreter().folds(plan, batch, scales)
    assert states == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("spec", "width", "dtype", "weighted"), CASES)
@pytest.mark.parametrize("uniform", [True, False])
def test_gradients(interpreted_cpu: Any, spec: str, width: int, dtype: str, weighted: bool, uniform: bool) -> None:
    plan, batch = make(spec, 37, width, dtype)
    scales = np.broadcast_to(0.25, 37) if uniform else RANDOM.uniform(0.5, 2.0, 37)
    gradient = interpreted_cpu.gradient(plan, batch, scales, {})
    expected = Interpreter().gradient(plan, batch, scales, {})
    assert gradient.dtype == expected.dtype
    assert gradient == pytest.approx(expected, rel=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("spec", ["mse", "cosine_similarity", "sparsemax"])
@pytest.mark.parametrize("role", ["prediction", "target"])
def test_arrays_that_do_not_lie_row_by_row_are_refused(spec: str, role: str) -> None:
    plan, batch = make(spec, 7, 3)
    array = getattr(batch, role)
    changes: Any = {role: np.asfortranarray(array) if array.ndim > 1 else np.repeat(array, 2)[::2]}
    wrong = replace(batch, **changes)
    with pytest.raises(ValueError, match="is not C-contiguous"):
        cpu_module.Cpu(1).losses(plan, wrong)
    with pytest.raises(ValueError, match="is not C-contiguous"):
        cpu_module.Cpu(1).gradient(plan, wrong, np.ones(7), {})


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_threads_as_were_asked_for(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(cpu_module, "block_function", lambda _: lambda *arguments: seen.append(arguments[4]))
    plan, batch = make("mse", 5, 1)
    cpu_module.Cpu(threads).losses(plan, batch)
    assert set(seen) == {threads}


def test_as_many_threads_as_there_are_processors_to_use() -> None:
    assert cpu_module.Cpu().threads == usable_processors()
