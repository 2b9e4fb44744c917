"""Output files: written whole or not at all, never over an input, with every fault told in one line.

A regular file is written under a temporary name in its own folder and renamed when it is complete. Devices, pipes and
the streams that the process was started with are written directly: nothing may be renamed over them.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from typing import BinaryIO, Self

from lossctl.errors import EnvironmentFault, LossctlError, UsageError, reason_of, visible

PathText = str | os.PathLike[str]

STDIN = "-"

BUFFER_BYTES = 1 << 20

_unfinished: set[str] = set()
_protected: set[str] = set()

_MAY_BE_MANY = re.compile(r"[*?\[,]")

# The output cannot be created as it is named: a mistake in the command, not in the machine.
_NAMING_ERRORS = frozenset({errno.ENAMETOOLONG, errno.ELOOP})

_REASONS = {
    errno.ENOSPC: ("disk full", "free some space or write to another disk"),
    errno.EDQUOT: ("disk quota exceeded", "free some space or write to another disk"),
    errno.EFBIG: ("file too large for this disk or its limits", "write to another disk or raise `ulimit -f`"),
    errno.EROFS: ("read-only file system", "write to another folder"),
    errno.EACCES: ("permission denied", "write to a folder of yours"),
    errno.EPERM: ("permission denied", "write to a folder of yours"),
    errno.EMFILE: ("too many open files", "raise the limit of open files (ulimit -n)"),
}


def plan_outputs(paths: Iterable[PathText], inputs: Iterable[PathText]) -> None:
    """Checks every output of a run before the work begins.

    Raises UsageError for an output in a missing folder, one that is a folder, and one that is an input or another
    output by any spelling, symbolic or hard link; EnvironmentFault for a file or folder that may not be written.
    `inputs` may hold "-" for stdin, and folders, globs and lists of files that are read as one; inputs that do not
    exist are the reader's to report.
    """
    taken: dict[object, str] = {}
    for name in [each for path in (*inputs, *_protected) for each in _files_of(os.fspath(path))]:
        if (identity := _identity(name)) is not None:
            taken.setdefault(identity, f"the input '{visible(name)}'")
    for name in [os.fspath(path) for path in paths]:
        _check_target(name)
        if (identity := _identity(name)) is None:
            continue
        if identity in taken:
            raise UsageError(
                f"the output '{visible(name)}' is the same file as {taken[identity]}", hint="give it another name"
            )
        taken[identity] = f"the output '{visible(name)}'"


def protect(path: str) -> None:
    """Has `path`, which no option for inputs names, be one for every later `plan_outputs`."""
    _protected.add(path)


def write_text(path: PathText, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    with atomic_file(path) as handle:
        # A file name that is not UTF-8 holds surrogates: they go out as the bytes that they came in as.
        handle.write(text.encode("utf-8", "surrogateescape"))


def append(path: PathText, content: bytes) -> None:
    """Adds `content` to the end of `path`, all of it or nothing. Raises EnvironmentFault where the machine refuses."""
    name = os.fspath(path)
    try:
        with open(name, "ab", buffering=0) as handle:
            before = os.fstat(handle.fileno())
            try:
                write_all(handle, content)
            except BaseException:
                # Half a line would be read as a whole one.
                with suppress(OSError):
                    if stat.S_ISREG(before.st_mode):
                        handle.truncate(before.st_size)
                raise
    except OSError as error:
        raise _fault(name, error) from error


def write_all(handle: FileIO, content: bytes) -> None:
    """Writes to a file without a buffer, which may take less than it is given."""
    view = memoryview(content)
    while view:
        written = handle.write(view)
        if written is None:  # as Python has it where nothing can be written now
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        view = view[written:]


@contextmanager
def atomic_file(path: PathText) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends, and leaves nothing behind when it raises.

    The block does nothing but write: an OSError in it is taken for a failed write. Raises UsageError where `path`
    cannot be a file, EnvironmentFault where the machine refuses.
    """
    with OutputFile(path) as output, output.faults():
        yield output.handle


def is_direct(path: str) -> bool:
    """Whether `path` is a device, a pipe or one of our own streams: written in order, never renamed over."""
    if _inherited_descriptor(path) is not None:
        return True
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


class WholeOrNothing(ABC):
    """Something that is written: as a context it is committed where its block ends, and aborted where it raises."""

    @abstractmethod
    def commit(self) -> None:
        """Makes what was written last. Raises EnvironmentFault, and leaves nothing, where that fails."""

    @abstractmethod
    def abort(self) -> None:
        """Gives up: nothing is left, and what was there before is as it was."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.commit()
        else:
            self.abort()


class OutputFile(WholeOrNothing):
    """One output under way: `handle` takes the bytes, `commit` makes them the file, `abort` leaves no trace."""

    handle: BinaryIO

    def __init__(self, path: PathText) -> None:
        self.path = os.fspath(path)
        _check_target(self.path)
        # The target of a symbolic link is replaced, not the link.
        self._target = os.path.realpath(self.path)
        self._temporary = ""
        with self.faults():
            if is_direct(self.path):
                self.handle = _open_directly(self.path)
            else:
                self._open_temporary()

    def commit(self) -> None:
        """Brings the bytes to the disk and gives them the name. On a fault the target is as it was before."""
        try:
            with self.faults():
                self.handle.flush()
                if self._temporary:
                    os.fsync(self.handle.fileno())
                self.handle.close()
                if self._temporary:
                    os.replace(self._temporary, self._target)
                    self._discard.detach()
                    _unfinished.discard(self._temporary)
        except BaseException:
            self.abort()
            raise
        if self._temporary:
            _sync_folder(os.path.dirname(self._target))

    def abort(self) -> None:
        """Removes the temporary file. Harmless after `commit` and when called again."""
        # What is still buffered after a failed write fails again in close, which closes all the same.
        with suppress(OSError):
            self.handle.close()
        if self._temporary:
            self._discard()

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turns the errors of the system into ours, with the name of the file."""
        try:
            yield
        except LossctlError:
            raise
        except BrokenPipeError:
            # The reader of our own stdout has left: how that ends is for the outermost frame to say.
            if _inherited_descriptor(self.path) is not None:
                raise
            raise EnvironmentFault(f"cannot write '{visible(self.path)}': its reader has gone") from None
        except OSError as error:
            raise _fault(self.path, error) from error

    def _open_temporary(self) -> None:
        """Creates the temporary file beside the target, with the mode of the file that it replaces or of the umask."""
        # Short, because the target's own name may already be as long as a name can be; random, because two containers
        # that share the folder may share the process number too.
        name = f".lossctl-{os.getpid()}-{os.urandom(4).hex()}.tmp"
        temporary = os.path.join(os.path.dirname(self._target), name)
        # Before the file exists, and also at exit: no signal can come between the file and its removal.
        self._discard = weakref.finalize(self, _remove, temporary)
        self._temporary = temporary
        _unfinished.add(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        self.handle = os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES)
        with suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(os.stat(self._target).st_mode))


def _files_of(name: str) -> list[str]:
    """The files that the name of an input stands for."""
    if not os.path.isdir(name) and not _MAY_BE_MANY.search(name):
        return [name]
    from lossctl.sources.base import is_remote
    from lossctl.sources.opening import is_many
    from lossctl.sources.shard_names import shard_paths

    if is_remote(name):  # no output is there
        return [name]
    with suppress(LossctlError):
        return [name, *shard_paths(name)] if is_many(name) else [name]
    return [name]


def _check_target(path: str) -> None:
    """Raises unless `path` can be created or replaced, as far as can be told without trying."""
    shown = visible(path)
    if "\0" in path:
        raise UsageError(f"the output '{shown}' has a null character in its name")
    if not path:
        raise UsageError("an output has an empty name")
    if _inherited_descriptor(path) is not None:
        return
    target = os.path.realpath(path)
    mode = _mode(path, target)
    if stat.S_ISDIR(mode) or path.endswith(os.sep):
        raise UsageError(f"the output '{shown}' is a folder", hint="name a file in it")
    folder = os.path.dirname(target)
    # Of "gone/../labels.npy" realpath makes a file that is there, as the system does not.
    named = os.path.dirname(path) or os.curdir
    missing = next((each for each in (folder, named) if not stat.S_ISDIR(_mode(path, each))), None)
    if missing is None and mode and not _mode(path, path):
        missing = path
    if missing is not None:
        raise UsageError(
            f"cannot write '{shown}': there is no folder '{visible(missing)}'",
            hint="create it first, or write elsewhere",
        )
    if mode:
        if not os.access(target, os.W_OK):
            raise EnvironmentFault(f"cannot write '{shown}': the file is not writable")
        if is_direct(path):
            return
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EnvironmentFault(f"cannot write '{shown}': the folder '{visible(folder)}' is not writable")


def _mode(path: str, place: str) -> int:
    """What is at `place`, 0 for nothing. Raises the fault of the output `path` where the system does not say."""
    try:
        return os.stat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise _fault(path, error) from error


def _identity(path: str) -> object:
    """What makes two paths one file: device and inode, or those of the folder and the name of a file yet to be.

    None for what may be named twice (a character device such as /dev/null) and for what cannot be found out.
    """
    try:
        if path == STDIN:
            found = os.stat(0)
        else:
            descriptor = _inherited_descriptor(path)
            found = os.stat(path if descriptor is None else descriptor)
        return None if stat.S_ISCHR(found.st_mode) else (found.st_dev, found.st_ino)
    except FileNotFoundError:
        target = os.path.realpath(path)
    except (OSError, ValueError):
        return None
    try:
        folder = os.stat(os.path.dirname(target))
    except OSError:
        return None
    return folder.st_dev, folder.st_ino, os.path.basename(target)


def _inherited_descriptor(path: str) -> int | None:
    """The number of the open stream that `path` names (/dev/stdout, /dev/fd/3), or None.

    Such a name leads to whatever the stream is, a regular file too where the shell redirected it.
    """
    spelled = os.path.abspath(path)
    named = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
    if spelled in named:
        return named[spelled]
    folder, number = os.path.split(spelled)
    return int(number) if folder in ("/dev/fd", "/proc/self/fd") and number.isdecimal() else None


def _open_directly(path: str) -> BinaryIO:
    descriptor = _inherited_descriptor(path)
    if descriptor is None:
        return open(path, "wb", buffering=BUFFER_BYTES)
    # A duplicate shares the position with the stream, so that neither overwrites the other.
    return os.fdopen(os.dup(descriptor), "wb", buffering=BUFFER_BYTES)


def _fault(path: str, error: OSError) -> LossctlError:
    """The error of ours that says what the system's says of a file."""
    return write_fault(f"'{visible(path)}'", error)


def write_fault(what: str, error: OSError) -> LossctlError:
    """The error of ours that says what the system's says of what was written to."""
    number = error.errno or 0
    reason, hint = _REASONS.get(number, (reason_of(error), None))
    message = f"cannot write {what}: {reason}"
    return UsageError(message) if number in _NAMING_ERRORS else EnvironmentFault(message, hint=hint)


def remove_unfinished() -> None:
    """Removes all temporary files at once, for a process that ends without unwinding."""
    for temporary in list(_unfinished):
        _remove(temporary)


def _remove(temporary: str) -> None:
    with suppress(OSError):
        os.unlink(temporary)
    _unfinished.discard(temporary)


def _sync_folder(folder: str) -> None:
    """Makes the new name last through a loss of power."""
    # The file is complete and has its name: a folder that cannot be read or synchronised is no reason to fail.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
