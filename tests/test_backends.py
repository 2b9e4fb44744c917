"""Which engine runs."""

from __future__ import annotations

import sys

import pytest

from lossctl import backends
from lossctl.backends import choose, usable_threads
from lossctl.errors import EnvironmentFault, UsageError


def test_auto_interprets_what_is_small_and_compiles_what_is_not() -> None:
    assert choose("auto", 0, None).name == "python"
    assert choose("auto", backends.INTERPRETED_VALUES, None).name == "python"
    assert choose("auto", backends.INTERPRETED_VALUES + 1, None).name == "cpu"


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


@pytest.mark.parametrize("threads", [0, -1, usable_threads() + 1, 10**30])
def test_threads_that_do_not_exist(threads: int) -> None:
    with pytest.raises(UsageError, match=f"from 1 to {usable_threads()} on this machine, found {threads}"):
        choose("cpu", 1, threads)


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
