"""Peers are asked the same question: their answers are those of this project, and their losses are in the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from benchmarks.engine import Engine
from benchmarks.kernels import QUICK, Case, agrees, cases
from benchmarks.options import Options
from benchmarks.peers import Key, missing, with_jax, with_numpy, with_sklearn, with_torch
from benchmarks.peers.scripts import ARRAYS, TABLES, available
from lossctl.catalogue.typical_data import Data
from lossctl_kernels import LOSSES
from lossctl_kernels.interpreted import Interpreter

KEYS = {(name, form) for name, loss in LOSSES.items() for form in loss.forms}
EVERY_CASE = list(cases(Options(quick=True, losses=tuple(LOSSES))))
ROWS = 60
TOLERANCE = 1e-10

Maker = Callable[[Key, Data], Callable[[], Any] | None]


def small(case: Case) -> tuple[Data, float, Any]:
    """(data, mean loss, its gradient or None), interpreted."""
    data = case.data(ROWS * case.width, "float64")
    engine = Engine(case.settings, data, backend=Interpreter())
    gradient = engine.gradient(data)
    return data, engine.value(data)(), None if gradient is None else gradient()


def check(case: Case, value: Maker, gradient: Maker | None) -> None:
    data, expected, slopes = small(case)
    task = value((case.loss, case.form), data)
    assert task is not None
    assert agrees(float(task()), expected, TOLERANCE)
    if gradient is not None and slopes is not None:
        backward = gradient((case.loss, case.form), data)
        assert backward is not None
        assert agrees(backward(), slopes, TOLERANCE)


def those_of(keys: Mapping[Key, Any]) -> pytest.MarkDecorator:
    found = [case for case in EVERY_CASE if (case.loss, case.form) in keys]
    return pytest.mark.parametrize("case", found, ids=str)


@pytest.mark.parametrize("module", [with_numpy, with_torch, with_jax, with_sklearn], ids=lambda module: module.__name__)
def test_peers_name_losses_that_exist(module: Any) -> None:
    assert [key for key in module.VALUES if key not in KEYS] == []


def test_the_quick_run_names_losses_that_exist() -> None:
    assert set(QUICK) <= set(LOSSES)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_loss_can_be_timed(case: Case, dtype: str) -> None:
    data = case.data(ROWS * case.width, dtype)
    assert data.prediction.dtype == dtype
    engine = Engine(case.settings, data, backend=Interpreter())
    assert np.isfinite(engine.value(data)())
    assert data.head(7).prediction.shape[0] == 7


@those_of(with_numpy.VALUES)
def test_numpy_agrees(case: Case) -> None:
    check(case, with_numpy.value, None)


@those_of(with_torch.VALUES)
def test_pytorch_agrees(case: Case) -> None:
    pytest.importorskip("torch")
    check(case, with_torch.value, with_torch.gradient)


@those_of(with_jax.VALUES)
def test_optax_agrees(case: Case) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    check(case, with_jax.value, with_jax.gradient)


@those_of(with_sklearn.VALUES)
def test_sklearn_agrees(case: Case) -> None:
    pytest.importorskip("sklearn")
    if not case.soft:
        check(case, with_sklearn.value, None)


def test_an_answer_to_another_question_is_seen() -> None:
    assert agrees(np.array([1.0, 1e-12]), np.array([1.0, 0.0]), 1e-9)
    assert not agrees(1.0 + 1e-8, 1.0, 1e-9)
    assert not agrees(np.ones(3), np.ones(2), 1e-9)
    assert not agrees(np.nan, 1.0, 1e-9)


def test_a_loss_that_a_peer_lacks_is_no_task() -> None:
    data = Data(np.ones(2), np.ones(2))
    for module in (with_numpy, with_torch, with_jax, with_sklearn):
        assert module.value(("no such loss", "value"), data) is None


def test_scripts_are_python_and_are_offered_where_their_libraries_are() -> None:
    for code in [*ARRAYS.values(), *(code for scripts in TABLES.values() for code in scripts.values())]:
        compile(code, "<script>", "exec")
    assert "NumPy" in available(ARRAYS)
    assert available({"no such peer": ""}) == {}
    assert set(missing()).isdisjoint({"pandas"})
