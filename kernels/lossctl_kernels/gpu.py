"""Whether the `cuda` backend can run here, found out without importing a compiler."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from functools import cache


class BackendUnavailable(RuntimeError):
    """A backend that was asked for cannot run on this machine."""


class DeviceFailure(BackendUnavailable):
    """A GPU fails while it is used, or has too little memory left."""


def simulated() -> bool:
    """Whether Numba is told to run CUDA kernels in its simulator, which needs no GPU."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


def available() -> bool:
    """Whether the `cuda` backend can run."""
    return why_unavailable() is None


def why_unavailable() -> str | None:
    """None if the `cuda` backend can run, else the reason in a few words."""
    if simulated():
        return None
    return _missing_package() or _missing_device()


def _missing_package() -> str | None:
    return None if importlib.util.find_spec("numba_cuda") else "numba-cuda is not installed"


@cache
def _missing_device() -> str | None:
    """Asks the driver, as CUDA itself would; the answer cannot change while the process runs."""
    try:
        driver = ctypes.CDLL(_driver_name())
    except OSError:
        return "no NVIDIA driver was found"
    status = int(driver.cuInit(0))
    if status:
        return f"the NVIDIA driver does not start (CUDA error {status})"
    count = ctypes.c_int(0)
    status = int(driver.cuDeviceGetCount(ctypes.byref(count)))
    if status or count.value == 0:
        return "the NVIDIA driver finds no GPU"
    return None


def _driver_name() -> str:
    if sys.platform == "win32":
        return "nvcuda.dll"
    return "libcuda.so.1"
