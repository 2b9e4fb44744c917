"""Which engine runs."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import lossctl
from lossctl import backends
from lossctl.backends import choose, usable_threads
from lossctl.errors import EnvironmentFault, UsageError
from lossctl_kernels import LOSSES, Plan, resolve, roads
from lossctl_kernels.gpu import BackendUnavailable


def plan(loss: str = "mse") -> tuple[Plan, str]:
    return Plan(resolve(LOSSES[loss], {}), 1), "float64"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The kinds of programs whose code an earlier process has left; a test adds to them."""
    kinds: set[str] = set()
    monkeypatch.setattr(roads, "are_kept", lambda recipes: {recipe.program.kind for recipe in recipes} <= kinds)
    return kinds


def test_auto_interprets_what_is_small_and_compiles_what_is_not(kept: set[str]) -> None:
    assert choose("auto", 0, None).name == "python"
    assert choose("auto", backends.INTERPRETED_VALUES_UNCOMPILED, None, [plan()]).name == "python"
    assert choose("auto", backends.INTERPRETED_VALUES_UNCOMPILED + 1, None, [plan()]).name == "cpu"


def test_auto_takes_compiled_code_sooner_where_it_is_there(kept: set[str]) -> None:
    kept.add("value")
    assert choose("auto", backends.INTERPRETED_VALUES, None, [plan()]).name == "python"
    assert choose("auto", backends.INTERPRETED_VALUES + 1, None, [plan()]).name == "cpu"
    assert choose("auto", backends.INTERPRETED_VALUES + 1, None, []).name == "python"


def test_all_that_will_be_computed_has_to_be_there(kept: set[str]) -> None:
    kept.add("value")
    values = backends.INTERPRETED_VALUES + 1
    assert choose("auto", values, None, [plan()], gradient=True).name == "python"
    assert choose("auto", values, None, [plan(), plan("rmse")]).name == "python"
    kept.update(("gradient", "folds"))
    assert choose("auto", values, None, [plan(), plan("rmse")], gradient=True).name == "cpu"


def test_auto_interprets_where_llvm_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lossctl_kernels.roads", None)
    assert choose("auto", backends.INTERPRETED_VALUES + 1, None, [plan()]).name == "python"


def test_auto_takes_a_gpu_for_much_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(backends, "_gpu_pays", lambda values: asked.append(values) or False)  # type: ignore[func-returns-value]
    assert choose("auto", 10**9, None).name == "cpu"
    assert asked == [10**9]


@pytest.mark.parametrize(("values", "installed"), [(10, True), (10**9, False)])
def test_a_gpu_does_not_pay_for_little_or_where_it_is_not_installed(
    values: int, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: object() if installed else None)
    assert not backends._gpu_pays(values)


@pytest.mark.parametrize("name", ["python", "cpu"])
def test_a_backend_that_is_asked_for_is_used(name: str) -> None:
    assert choose(name, 1, None).name == name


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "numba"])
def test_a_backend_that_does_not_exist(name: str) -> None:
    with pytest.raises(UsageError, match="auto, python, cpu, cuda"):
        choose(name, 1, None)


@pytest.mark.parametrize("threads", [0, -1, "2", 2.0])
def test_threads_that_do_not_exist(threads: Any) -> None:
    with pytest.raises(UsageError, match=f"threads must be a whole number from 1 up, found {threads!r}"):
        choose("cpu", 1, threads)


@pytest.mark.parametrize("threads", [usable_threads() + 1, 10**30])
def test_more_threads_than_processors_are_as_many_as_processors(threads: int) -> None:
    """A suite with a number of threads runs on every machine; the value does not depend on it."""
    assert usable_threads(threads) == usable_threads() == getattr(choose("cpu", 1, threads), "threads", None)


def test_a_missing_gpu_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentFault) as caught:
        choose("cuda", 1, None)
    assert "pip install 'lossctl[cuda]'" in str(caught.value)


@pytest.mark.parametrize(("name", "module"), [("cpu", "lossctl_kernels.cpu"), ("cuda", "lossctl_kernels.cuda")])
def test_a_backend_that_does_not_load_is_the_machines_fault(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentFault, match=f"the {name} backend cannot be loaded"):
        choose(name, 1, None)


def test_a_compiler_that_does_not_load_is_told_before_data_is_read(
    kept: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise BackendUnavailable("Numba cannot be loaded: NumPy is too new")

    monkeypatch.setattr(roads, "load_compiler", refuse)
    with pytest.raises(EnvironmentFault, match="NumPy is too new; pip install numba"):
        choose("cpu", 1, None, [plan()])
    kept.add("value")
    assert choose("cpu", 1, None, [plan()]).name == "cpu"


def test_a_compiler_that_is_needed_later_and_does_not_load_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a mean takes is there; the losses of single rows take more."""

    def refuse() -> None:
        raise BackendUnavailable("Numba cannot be loaded: NumPy is too new")

    monkeypatch.setattr(roads, "are_kept", lambda recipes: True)
    monkeypatch.setattr(roads, "_functions", {})
    monkeypatch.setattr("lossctl_kernels.objects.find", lambda recipe: None)
    monkeypatch.setattr(roads, "load_compiler", refuse)
    for compute in (lossctl.evaluate, lossctl.gradient):
        with pytest.raises(EnvironmentFault, match="NumPy is too new; pip install numba"):
            compute([0.5, 0.25], [1.0, 0.0], "mse", backend="cpu")
