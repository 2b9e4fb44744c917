"""`python -m lossctl` and the `lossctl` command: the outermost frame, which owns the exit code.

An uncaught exception would be Python's exit 1, which a pipeline reads as "a gate failed": nothing gets past this frame.
"""

from __future__ import annotations

import errno
import gc
import os
import sys

from lossctl.errors import DataError, EnvironmentFault, LossctlError, visible
from lossctl.process import (
    INTERRUPTED,
    OUT_OF_TIME,
    Ended,
    address_space,
    asked_to_end,
    check_address_space,
    end,
    own,
    release,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

INTERNAL_FAULT = 70
_FAILED_WRITES = frozenset({errno.EBADF, errno.EIO, errno.EFBIG, errno.ENOSPC, errno.EDQUOT})
TOLD = {INTERRUPTED: "interrupted", OUT_OF_TIME: "the limit of CPU time is used up; raise ulimit -t"}
REPORT_TO = "please report it with the command that you ran"

# Modules make many objects and hardly any garbage: looking for it after every 700 costs a tenth of their import. An
# evaluation by compiled code, of what Arrow reads, makes half as many as these.
OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> None:
    """Runs the command line and ends the process with the code of what happened."""
    try:
        own()
        _set_up()
        code = run(sys.argv[1:])
        release()
    except (KeyboardInterrupt, Ended):  # before the first of all, or after the last
        release()
        code = asked_to_end() or INTERRUPTED
    end(code)


def _set_up() -> None:
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])
    # NumPy's linear algebra would start a thread for every processor, and nothing large is asked of it here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # An allocator that Arrow brings along, and does not use, would start one too, and write where it cannot.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    sys.stdout, sys.stderr = _opened(sys.stdout), _opened(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a file name may hold what the terminal's encoding does not
            stream.reconfigure(errors="backslashreplace")


def _opened(stream: TextIO | None) -> TextIO:
    """A stream that was closed is None, and print would take None for stdout."""
    return open(os.devnull, "w", encoding="utf-8") if stream is None else stream


def run(arguments: list[str]) -> int:
    """The exit code of the command line `arguments`; messages are on stderr."""
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - nothing may pass this frame, whatever a loss of one's own raises
        return _code_of(error, arguments)
    return asked_to_end() or code


def _code_of(error: BaseException, arguments: list[str]) -> int:
    """The exit code of what has ended the command line, which is told."""
    asked = INTERRUPTED if isinstance(error, KeyboardInterrupt) else asked_to_end()
    if asked is not None:  # whatever a library has made of it
        if asked in TOLD:
            _say(TOLD[asked])
        return asked
    if isinstance(error, BrokenPipeError):  # the reader of stdout is gone, which is its right
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, LossctlError):
        return _refuse(error)
    refusal = _of_the_machine(error)
    return _fault(error, arguments) if refusal is None else _refuse(refusal)


def _of_the_machine(error: BaseException) -> LossctlError | None:
    """What the machine has refused, where it has; None where it is a mistake of ours."""
    if isinstance(error, MemoryError):
        return EnvironmentFault("out of memory", hint="give --chunk-rows a smaller number, or raise ulimit -v")
    if isinstance(error, ImportError) or (isinstance(error, OSError) and error.errno is None):
        # What was wrong with a library's library is in the first of the errors that it led to.
        first: BaseException = error
        while (earlier := first.__cause__ or first.__context__) is not None:
            first = earlier
        return EnvironmentFault(
            f"cannot load a part of the installation: {visible(first, 300)}",
            hint="raise the limit of memory (ulimit -v) if there is one, or install lossctl again",
        )
    if isinstance(error, OSError):
        return _of_the_system(error)
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return EnvironmentFault(
            "the machine starts no further thread", hint="give --threads 1, or raise the limits (ulimit -u, ulimit -v)"
        )
    # What C code makes of an allocation that failed where it did not look.
    if isinstance(error, SystemError) and address_space() is not None:
        return EnvironmentFault("out of memory", hint="raise the limit (ulimit -v)")
    return None


def _of_the_system(error: OSError) -> LossctlError:
    if error.filename is None:
        # The one name that the system does not tell is that of the folder in which relative names begin.
        if error.strerror == os.strerror(errno.ENOENT):
            return EnvironmentFault("the current folder is no longer there", hint="change to one that is")
        if error.errno in _FAILED_WRITES:
            from lossctl.files import write_fault

            return write_fault("standard output", error)
    where = "" if error.filename is None else f": {visible(error.filename)}"
    return EnvironmentFault(f"{visible(error.strerror, 300)}{where}")


def _dispatch(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):  # before anything else is imported
        from lossctl._version import __version__

        print(f"lossctl {__version__}")
        return 0
    check_address_space()
    from lossctl.cli.plain import call_of

    call = call_of(arguments)
    if call is not None:
        call()
        return 0
    from lossctl.cli.help import page_of

    page = page_of(arguments)
    if page is not None:
        print(page)
        return 0
    return _with_typer(arguments)


def _with_typer(arguments: list[str]) -> int:
    import typer

    from lossctl.cli.app import app

    try:
        returned = app(args=arguments, prog_name="lossctl", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except typer.Exit as end:
        return end.exit_code
    except SystemExit as end:
        # The parser ends with 1 where a pipe is closed: here that is the code of a failed gate.
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
    except Exception as error:
        # The parser's own errors carry a message, and exit codes that are usage errors here.
        if not hasattr(error, "format_message") or isinstance(error, LossctlError):
            raise
        from lossctl.cli.mistakes import explained

        _say(visible(explained(error, arguments), 500))
        return 2
    return returned if isinstance(returned, int) else 0


def _say(message: str) -> None:
    try:
        print(f"lossctl: {message}", file=sys.stderr)
    except OSError:  # nobody can be told: the exit code still says it
        return


def _refuse(error: LossctlError) -> int:
    files = sys.modules.get("lossctl.sources.input_file")  # what has not been imported has read nothing
    if isinstance(error, DataError) and files is not None:
        error = files.changed_meanwhile() or error
    _say(visible(error, 2000))
    return error.exit_code


def _fault(error: BaseException, arguments: list[str]) -> int:
    if "--debug" in arguments or os.environ.get("LOSSCTL_DEBUG"):
        import traceback
        from contextlib import suppress

        with suppress(OSError):  # as for every message
            traceback.print_exc()
    _say(f"internal fault: {type(error).__name__}: {visible(error, 300)}; {REPORT_TO}; --debug shows more")
    return INTERNAL_FAULT


if __name__ == "__main__":
    main()
