"""Whether a GPU is there: the driver's answers are made up here."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from lossctl_kernels import gpu


class Driver:
    """Stands in for the driver's library."""

    def __init__(self, init: int = 0, count: int = 1, count_status: int = 0) -> None:
        self.init, self.count, self.count_status = init, count, count_status

    def cuInit(self, flags: int) -> int:
        return self.init

    def cuDeviceGetCount(self, pointer: Any) -> int:
        pointer._obj.value = self.count
        return self.count_status


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    gpu._missing_device.cache_clear()
    yield
    gpu._missing_device.cache_clear()


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(), None),
        (Driver(init=100), "does not start (CUDA error 100)"),
        (Driver(count=0), "finds no GPU"),
        (Driver(count_status=3), "finds no GPU"),
    ],
)
def test_the_driver_decides(monkeypatch: pytest.MonkeyPatch, driver: Driver, reason: str | None) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    found = gpu.why_unavailable()
    assert found is None if reason is None else reason in str(found)
    assert gpu.available() == (reason is None)


def test_a_missing_driver_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert gpu.why_unavailable() == "no NVIDIA driver was found"


def test_a_missing_package_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gpu.why_unavailable() == "numba-cuda is not installed"


def test_the_simulator_needs_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert gpu.available()


@pytest.mark.parametrize(("platform", "library"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")])
def test_the_library_is_that_of_the_platform(monkeypatch: pytest.MonkeyPatch, platform: str, library: str) -> None:
    asked = []

    def load(name: str) -> Driver:
        asked.append(name)
        return Driver()

    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert gpu.available()
    assert asked == [library]
