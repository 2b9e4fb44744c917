"""Which engine runs: the interpreter for little data, compiled code for more, a GPU for much; or what was asked for."""

from __future__ import annotations

import os
from importlib.util import find_spec

from lossctl.errors import EnvironmentFault, UsageError, visible
from lossctl_kernels.batch import Backend

__all__ = ["BACKENDS", "choose", "usable_threads"]

BACKENDS = ("auto", "python", "cpu", "cuda")

# Up to here the interpreter has finished before Numba is imported and its cached kernels are loaded:
# benchmarks/auto_threshold.py measures it.
INTERPRETED_VALUES = 3_000_000
# From here on a GPU has earned its start-up.
GPU_VALUES = 50_000_000


def usable_threads() -> int:
    """The processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def choose(name: str, values: int, threads: int | None) -> Backend:
    """The backend called `name`; for `auto`, the one for about this many predicted values.

    Raises UsageError for a name or a number of threads that does not exist, EnvironmentFault for a backend that this
    machine does not have.
    """
    if name not in BACKENDS:
        raise UsageError(f"there is no backend '{visible(name)}'", hint=f"the backends are {', '.join(BACKENDS)}")
    most = usable_threads()
    if threads is not None and not (isinstance(threads, int) and 1 <= threads <= most):
        raise UsageError(f"threads must be from 1 to {most} on this machine, found {visible(threads)}")
    if name == "auto":
        name = "python" if values <= INTERPRETED_VALUES else "cuda" if _gpu_pays(values) else "cpu"
    if name == "python":
        from lossctl_kernels.interpreted import Interpreter

        return Interpreter()
    if name == "cuda":
        return _cuda()
    return _cpu(threads)


def _gpu_pays(values: int) -> bool:
    if values < GPU_VALUES or find_spec("numba_cuda") is None:
        return False
    from lossctl_kernels.gpu import available

    return available()


def _cpu(threads: int | None) -> Backend:
    try:
        from lossctl_kernels.cpu import Cpu
    except ImportError as error:
        raise EnvironmentFault(
            f"the cpu backend cannot be loaded: {visible(error)}", hint="pip install numba"
        ) from error
    return Cpu(threads)


def _cuda() -> Backend:
    if find_spec("numba_cuda") is None:
        raise EnvironmentFault("the cuda backend is not installed", hint="pip install 'lossctl[cuda]'")
    from lossctl_kernels.gpu import BackendUnavailable

    try:
        from lossctl_kernels.cuda import Cuda

        return Cuda()
    except BackendUnavailable as error:
        raise EnvironmentFault(visible(error, 300), hint="use --backend cpu, or pip install 'lossctl[cuda]'") from error
    except ImportError as error:
        raise EnvironmentFault(
            f"the cuda backend cannot be loaded: {visible(error, 300)}", hint="pip install 'lossctl[cuda]'"
        ) from error
