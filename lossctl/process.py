"""What the command line may do and a library may not: it owns its process, its signals and its streams."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import warnings
from contextlib import suppress
from functools import cache

from lossctl.errors import EnvironmentFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
OUT_OF_TIME = 4
"""A limit of the machine's."""

ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGXCPU")
"""The signals that end a process which does not heed them, and let it: people, schedulers and limits send them."""

LEAST_ADDRESS_SPACE = 512 << 20
"""Where libraries that are needed load, with room to spare; below it some of them end the process by themselves."""


LARGEST_REUSED = 32 << 20
"""Bytes of one array whose memory the next one of its size may have: the most that the C library agrees to."""
MOST_FREE = 64 << 20
"""Bytes that are kept for arrays to come."""
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt, in malloc.h


class Ended(SystemExit):
    """A signal has asked this process to end, whoever's code was running."""


_owned = False
_asked: int | None = None


def is_owned() -> bool:
    """Whether this process is the command line's."""
    return _owned


def asked_to_end() -> int | None:
    """The exit code of a process that a signal has asked to end; None where none has.

    The exception that a signal becomes may be lost on its way: libraries make other errors of it, or nothing.
    """
    return _asked


def own() -> None:
    """Takes the process over: signals that ask it to end become exceptions, so that temporary files are removed."""
    global _owned  # noqa: PLW0603
    _owned = True
    for number in _heeded():
        signal.signal(number, _end_on_signal)
    sys.unraisablehook = _end_on_lost_signal
    if not sys.warnoptions:  # what libraries have to say is for programmers
        warnings.simplefilter("ignore")


def release() -> None:
    """Nothing is left to remove: from here on a signal ends the process as it would any."""
    for number in _heeded():
        signal.signal(number, signal.SIG_DFL)


def ending_signals() -> list[signal.Signals]:
    """Those of `ENDING` that this system has."""
    return [getattr(signal, name) for name in ENDING if hasattr(signal, name)]


def _heeded() -> list[signal.Signals]:
    """Those that this process was not started to ignore, as nohup and jobs in the background have it."""
    return [number for number in ending_signals() if signal.getsignal(number) is not signal.SIG_IGN]


def address_space() -> int | None:
    """How many bytes this process may address (ulimit -v, ulimit -d), where that is limited."""
    try:
        import resource
    except ImportError:
        return None
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=None)


def check_address_space() -> None:
    """Raises EnvironmentFault where libraries may not load: some, OpenBLAS and Arrow, end the process by themselves."""
    limit = address_space()
    if limit is None:
        return
    if limit < LEAST_ADDRESS_SPACE:
        raise EnvironmentFault(
            f"the limit of memory is {limit >> 20} MiB, and {LEAST_ADDRESS_SPACE >> 20} is the least to start with",
            hint="raise ulimit -v",
        )
    # Its other allocators start threads, and write about it where they cannot.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def reuse_memory() -> None:
    """Has the C library keep the memory of arrays that are gone, where nothing limits it: each chunk is as large as the
    one before. It would give it back to the system, which clears it before it hands it out again.
    """
    if not _owned or address_space() is not None:
        return
    import ctypes

    with suppress(OSError, AttributeError, TypeError):  # another C library; Windows has none without a name
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, LARGEST_REUSED)
        mallopt(_TRIM_THRESHOLD, MOST_FREE)


@cache
def settle_arrow() -> None:
    """Has Arrow do without what it would start in a process that this code does not own: a thread for signals, which
    ends the process where there is none to be had, and pandas, which takes longer to load than all else here does.

    Arrow imports it to ask whether what it is given is one of its arrays, and asks no more where it has not found it.
    """
    if not _owned:
        return
    import pyarrow as pa

    pa.enable_signal_handlers(False)
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_NoPandas)


class _NoPandas:
    """What says of modules where they are, for a while."""

    @staticmethod
    def find_spec(name: str, *_: object) -> None:
        if name == "pandas":
            raise ImportError(name)


def end(code: int) -> NoReturn:
    """Ends as Python does, but for what takes it longest: to take all modules apart, which the system does at once.

    One that has been asked to end does not wait for threads: what they wait for may never come.
    """
    if "threading" in sys.modules and _asked is None:
        sys.modules["threading"]._shutdown()  # waits for threads, and those for their processes
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # what nobody takes goes nowhere, and what has been closed is done
            if stream is not None:  # as Python has those that it was started without
                stream.flush()
    os._exit(code)


def end_now(code: int) -> NoReturn:
    """Ends where nothing can be unwound: without temporary files, whatever else is under way."""
    try:
        # What has not been imported has made no files.
        files = sys.modules.get("lossctl.files")
        if files is not None:
            files.remove_unfinished()
    finally:
        os._exit(code)


def _end_on_signal(number: int, frame: FrameType | None) -> None:
    global _asked  # noqa: PLW0603
    if _asked is not None:  # one that was asked to end and did not is asked once more
        end_now(_code_of(number))
    _asked = _code_of(number)
    raise KeyboardInterrupt if number == signal.SIGINT else Ended(_asked)


def _code_of(number: int) -> int:
    return OUT_OF_TIME if number == getattr(signal, "SIGXCPU", None) else 128 + number


def _end_on_lost_signal(fault: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised where nobody can catch it, such as in the last breath of an object.

    What else a library cannot undo is nothing to its user, who is told what led to it.
    """
    if isinstance(fault.exc_value, KeyboardInterrupt):
        end_now(INTERRUPTED)
    if isinstance(fault.exc_value, SystemExit):
        end_now(fault.exc_value.code if isinstance(fault.exc_value.code, int) else 1)
