"""An input file, opened with every reason to refuse it checked first, and read at explicit offsets by any thread.

What cannot be read twice or at an offset (stdin, a pipe, a compressed file) is copied to a temporary file without a
name first: see `spool.py`.
"""

from __future__ import annotations

import errno
import io
import mmap
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from lossctl.errors import DataError, EnvironmentFault, LossctlError, reason_of, visible
from lossctl.process import is_owned

# Not the file is at fault: there are no more descriptors, or no more memory.
_OF_THE_MACHINE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_ROOM_BYTES = 256 << 20

_held: dict[str, tuple[str, object]] = {}
"""How messages call what this command line has come upon, and its state then."""


class InputFile:
    """A regular file that is not empty, open for reading.

    `path` is as the user wrote it and `name` how messages show it; `handle` is open on what it stands for, where that
    is not the file of this path. `size` is in bytes, and `offset` where in the file of `fileno` they begin.
    """

    offset = 0

    def __init__(self, path: str, handle: io.FileIO | None = None, name: str | None = None) -> None:
        self.path = path
        self.name = name or visible(path)
        self.is_copy = handle is not None
        with self.faults():
            self._handle = handle or _open_regular(path)
            self._state = self._look()
        if not self.is_copy:
            self._hold()
        self._reading = threading.Lock()
        self.size = self._state[0]
        if self.size == 0:
            self.close()
            raise DataError(f"{self.name} is empty (0 bytes)", hint="was it written to its end?")

    def arrow_file(self) -> Any:
        """The same bytes for Arrow, which reads a file of the system without Python."""
        import pyarrow as pa

        path = f"/dev/fd/{self.fileno()}" if self.is_copy else self.path
        with self.faults():  # the name may be nobody's by now, or another file's
            opened = pa.OSFile(os.fsencode(path), "r")  # type: ignore[arg-type]  # a name need not be UTF-8
            status = os.stat(path)  # of the name: before its release 25, Arrow does not tell the descriptor
        try:
            self.check_opened(status)
        except LossctlError:
            opened.close()
            raise
        return opened

    def check_opened(self, status: os.stat_result) -> None:
        """Raises DataError if what has been opened by the name of this file is another file by now."""
        if not os.path.samestat(status, os.fstat(self.fileno())):
            raise changed(self.name)

    def fileno(self) -> int:
        """The file descriptor, for memory maps."""
        return self._handle.fileno()

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer only at the end of the file."""
        size = max(0, min(size, self.size - offset))
        buffer = bytearray(size)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fills `buffer`, of bytes, from `offset`. Raises DataError if the file has become too short for it."""
        filled = 0
        with self.faults(), self._reading:
            self._handle.seek(offset)
            while filled < len(buffer):
                count = self._handle.readinto(buffer[filled:])
                if count is None:  # as Python has it where nothing can be read now
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                if not count:
                    raise changed(self.name)
                filled += count

    def check_unchanged(self) -> None:
        """Raises DataError if the file is not what it was when it was opened: what was read of it may not fit."""
        with self.faults():
            if self._look() != self._state:
                raise changed(self.name)

    def faults(self) -> AbstractContextManager[None]:
        """Turns the errors of the system into ours, with the name of the file."""
        return faults_of(self.name)

    def close(self) -> None:
        # Some file systems report faults here; what was wanted of the file has been read.
        with suppress(OSError):
            self._handle.close()

    def _hold(self) -> None:
        try:
            hold(self.path, self.name, self._state)
        except LossctlError:
            self._handle.close()
            raise

    def _look(self) -> tuple[int, ...]:
        """Size, time of the last change, and which file it is."""
        return state_of(os.fstat(self._handle.fileno()))


class FilePart(InputFile):
    """`size` bytes of a file from `offset` on, as a file of this name; to close it does nothing."""

    def __init__(self, whole: InputFile, offset: int, size: int, name: str) -> None:
        self.path, self.name, self.is_copy = whole.path, name, whole.is_copy
        self.offset, self.size = whole.offset + offset, size
        self._whole, self._start = whole, offset

    def fileno(self) -> int:
        return self._whole.fileno()

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self._whole.read_into(self._start + offset, buffer)

    def check_unchanged(self) -> None:
        self._whole.check_unchanged()

    def close(self) -> None:
        """The whole is closed by whoever opened it."""


class SeekableInput(io.RawIOBase):
    """An input file for libraries that want Python's."""

    def __init__(self, file: InputFile) -> None:
        self._file, self._at = file, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._file.size}[whence]
        if base + offset < 0:
            raise OSError("a place before the start of the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._file.size - self._at))
        self._file.read_into(self._at, view[:count])
        self._at += count
        return count


def state_of(status: os.stat_result) -> tuple[int, int, int, int]:
    """What is another for a file that has been written to, or has been replaced; its size comes first."""
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def hold(path: str, name: str, state: object) -> None:
    """Raises DataError where this name stood for something else when this command line came upon it before.

    What is opened once for each of its columns, for each pass or for each file of a leaderboard is to be one thing.
    """
    # A program that calls lossctl may write its files again between two calls.
    if is_owned() and _held.setdefault(os.path.abspath(path), (name, state))[1] != state:
        raise changed(name)


def changed_meanwhile() -> DataError | None:
    """What to say of a file that is another by now, in place of what was wrong with it as it was being written."""
    for path, (name, state) in _held.items():
        with suppress(OSError):  # of one that is gone, all was read that was open
            status = os.stat(path)
            if stat.S_ISREG(status.st_mode) and state_of(status) != state:
                return changed(name)
    return None


def changed(name: str) -> DataError:
    """What to say of a file that is no longer what it was when it was opened."""
    return DataError(f"{name} changed while it was being read", hint="wait until it is complete")


@contextmanager
def faults_of(name: str) -> Iterator[None]:
    """Turns the errors of the system about a file into ours."""
    try:
        yield
    except LossctlError:
        raise
    except FileNotFoundError as error:
        from lossctl.guesses import did_you_mean_file

        meant = did_you_mean_file(str(error.filename or ""))
        raise DataError(f"no such file: {name}", hint=meant.rstrip() or "check the name and the folder") from None
    except PermissionError:
        raise DataError(f"no permission to read {name}", hint="check the rights of the file") from None
    except ValueError:
        # mmap's word for a file that has become too short.
        raise changed(name) from None
    except OSError as error:
        check_machine(error, name)
        raise DataError(f"cannot read {name}: {reason_of(error)}") from error


def check_machine(error: Exception, name: str) -> None:
    """Raises what a library's error is where the machine has no more to give, and the file `name` is not at fault."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        raise EnvironmentFault(
            f"cannot read {name.rstrip(',')}: {reason_of(error)}",
            hint="raise the limits of this process (ulimit -n, ulimit -v)",
        ) from error
    if isinstance(error, RuntimeError) and "start new thread" in str(error):  # said by the outermost frame
        raise error
    asks_for_memory = isinstance(error, MemoryError) or "memory allocation failed" in str(error)  # as HDF5 has it
    if asks_for_memory and not _has_room():  # damaged files do as well
        raise MemoryError from error


def _has_room() -> bool:
    """Whether the system would give more than a sound file takes at a time."""
    try:
        mmap.mmap(-1, _ROOM_BYTES, access=mmap.ACCESS_COPY).close()  # takes room among the addresses, and no memory
    except OSError:
        return False
    return True


def _open_regular(path: str) -> io.FileIO:
    # Opening a device may do something, so what it is comes first.
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise DataError(f"{visible(path)} is a folder", hint="name a file in it")
    if not stat.S_ISREG(mode):
        raise DataError(f"{visible(path)} is a device, not a file", hint="save the data to a file and name it")
    return open(path, "rb", buffering=0)
