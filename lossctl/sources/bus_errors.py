"""Memory maps of files that another process may cut short: to touch what is gone is a signal, and not an exception.

Its default is the end of the process, without a word. The command line owns its process, so that it may say which file
it was and end with the exit code of a malformed one; a program that calls lossctl owns its signals, and files are read
for it instead, which costs a copy.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lossctl.errors import DataError, LossctlError, visible
from lossctl.process import end_now, is_owned

if TYPE_CHECKING:
    from lossctl.sources.input_file import InputFile

_mapped: weakref.WeakSet[InputFile] = weakref.WeakSet()
# The C library keeps its address alone.
_handlers: list[Any] = []
_ending = threading.Lock()
_LONG = 3600


def may_map() -> bool:
    """Whether files are mapped: where there is no such signal, a mapped file cannot be cut."""
    return not hasattr(signal, "SIGBUS") or is_owned()


def watch(file: InputFile) -> None:
    """Has the signal told as a fault of this file, for as long as there is anything of it."""
    if hasattr(signal, "SIGBUS"):
        _mapped.add(file)
        if not _handlers:
            _install()


def _install() -> None:
    # Python's own handlers wait for the next instruction of Python's, before which the fault would come again and
    # again. One of the C library's is called in its midst, by whichever thread touched the map: that is within
    # arithmetic on arrays, never within Python itself, so that Python can run.
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_end)
    library = ctypes.CDLL(None)
    library.signal.argtypes, library.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    library.signal(signal.SIGBUS, ctypes.cast(handler, ctypes.c_void_p))
    _handlers.append(handler)


def _end(number: int) -> None:
    """Nothing can be unwound from within a signal: what was begun is removed here."""
    if not _ending.acquire(blocking=False):
        # Threads that share the work touch the same map: the first of them speaks, and takes the others with it.
        time.sleep(_LONG)
    error = _fault(list(_mapped))
    with suppress(OSError):
        sys.stderr.write(f"lossctl: {visible(f'{error.message}; {error.hint}', 2000)}\n")
        sys.stderr.flush()
    end_now(error.exit_code)


def _fault(files: list[InputFile]) -> LossctlError:
    """The file that is not what it was; where all are, a disk has failed."""
    for file in files:
        try:
            file.check_unchanged()
        except LossctlError as error:
            return error
    names = " or ".join(dict.fromkeys(file.name for file in files))
    return DataError(f"cannot read {names}: the disk failed", hint="copy the file from where it was made")
