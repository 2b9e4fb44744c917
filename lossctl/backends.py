"""Which engine runs: the interpreter for little data, compiled code for more, a GPU for much; or what was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from lossctl.errors import EnvironmentFault, UsageError, visible
from lossctl_kernels import Plan
from lossctl_kernels.batch import Backend
from lossctl_kernels.gpu import BackendUnavailable, DeviceFailure
from lossctl_kernels.processors import usable_processors

BACKENDS = ("auto", "python", "cpu", "cuda")

# benchmarks/auto_threshold.py measures both. Up to the first the interpreter has finished before LLVM is loaded, which
# links compiled code that is kept; up to the second, before Numba is imported and has compiled it.
INTERPRETED_VALUES = 250_000
INTERPRETED_VALUES_UNCOMPILED = 3_000_000
# From here on a GPU has earned its start-up.
GPU_VALUES = 2_000_000_000


def usable_threads(asked: int | None = None) -> int:
    """The processors that this process may run on, within the limits of its container; no more than are asked for.

    A suite that asks for eight runs on a machine that has two: no number depends on how many there are.
    """
    most = usable_processors()
    return most if asked is None else min(asked, most)


def choose(
    name: str, values: int, threads: int | None, plans: Sequence[tuple[Plan, str]] = (), gradient: bool = False
) -> Backend:
    """The backend called `name`; for `auto`, the one for about this many predicted values (see `plans.work_of`).

    `plans` are what will be computed, each with the dtype of its predictions, and `gradient` whether their gradients
    will be too: what is compiled already pays sooner.
    Raises UsageError for a name that does not exist and for no threads, EnvironmentFault for a backend that this
    machine does not have.
    """
    if name not in BACKENDS:
        raise UsageError(f"there is no backend '{visible(name)}'", hint=f"the backends are {', '.join(BACKENDS)}")
    if threads is not None and not (isinstance(threads, int) and threads >= 1):
        raise UsageError(
            f"threads must be a whole number from 1 up, found {visible(repr(threads))}",
            hint="left out, as many as there are processors",
        )
    if name == "auto":
        name = _automatic(values, plans, gradient)
    if name == "python":
        from lossctl_kernels.interpreted import Interpreter

        return Interpreter()
    if name == "cuda":
        return _cuda()
    return _cpu(threads, plans, gradient)


def _automatic(values: int, plans: Sequence[tuple[Plan, str]], gradient: bool) -> str:
    if values <= INTERPRETED_VALUES:
        return "python"
    if _gpu_pays(values):
        return "cuda"
    return "cpu" if values > INTERPRETED_VALUES_UNCOMPILED or _are_compiled(plans, gradient) else "python"


def _are_compiled(plans: Sequence[tuple[Plan, str]], gradient: bool) -> bool:
    """Whether the code for all of these plans is kept; of no plans nothing is known."""
    from lossctl_kernels.recipes import usual_recipes

    try:
        from lossctl_kernels.roads import are_kept

        return bool(plans) and all(are_kept(usual_recipes(plan, dtype, gradient)) for plan, dtype in plans)
    except ImportError:  # of what LLVM needs: the interpreter does not
        return False


def _gpu_pays(values: int) -> bool:
    if values < GPU_VALUES or find_spec("numba_cuda") is None:
        return False
    from lossctl_kernels.gpu import available

    return available()


def _cpu(threads: int | None, plans: Sequence[tuple[Plan, str]], gradient: bool) -> Backend:
    try:
        from lossctl_kernels.cpu import Cpu
        from lossctl_kernels.roads import load_compiler
    except ImportError as error:
        raise _no_compiler(error) from error
    if not _are_compiled(plans, gradient):
        with compiler_faults():  # now rather than when data is read
            load_compiler()
    return Cpu(usable_threads(threads))


@contextmanager
def compiler_faults() -> Iterator[None]:
    """Turns what a backend raises where its compiler does not load, or its GPU fails, into an EnvironmentFault."""
    try:
        yield
    except DeviceFailure as error:
        raise EnvironmentFault(visible(error, 300), hint="use --backend cpu") from error
    except BackendUnavailable as error:
        raise _no_compiler(error) from error


def _no_compiler(error: Exception) -> EnvironmentFault:
    return EnvironmentFault(f"the cpu backend cannot be loaded: {visible(error, 300)}", hint="pip install numba")


def _cuda() -> Backend:
    if find_spec("numba_cuda") is None:
        raise EnvironmentFault("the cuda backend is not installed", hint="pip install 'lossctl[cuda]'")
    try:
        from lossctl_kernels.cuda import Cuda

        return Cuda()
    except BackendUnavailable as error:
        raise EnvironmentFault(visible(error, 300), hint="use --backend cpu, or pip install 'lossctl[cuda]'") from error
    except ImportError as error:
        raise EnvironmentFault(
            f"the cuda backend cannot be loaded: {visible(error, 300)}", hint="pip install 'lossctl[cuda]'"
        ) from error
