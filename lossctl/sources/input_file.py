"""An input file, opened with every reason to refuse it checked first, and read at explicit offsets by any thread."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lossctl.errors import DataError, LossctlError, UsageError, visible


class InputFile:
    """A regular file that is not empty, open for reading; `path` is as the user wrote it, `size` in bytes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.name = visible(path)
        if path == "-":
            raise UsageError("reading from stdin ('-') is not supported", hint="save the data to a file and name it")
        if not _is_file_name(path):
            raise UsageError(f"'{self.name}' cannot be the name of a file")
        with self.faults():
            # Opening a pipe would wait for its writer, so what it is comes first.
            _refuse_irregular(self.name, os.stat(path).st_mode)
            self._handle = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
            self._state = self._look()
        self._reading = threading.Lock()
        self.size = self._state[0]
        if self.size == 0:
            self.close()
            raise DataError(f"{self.name} is empty (0 bytes)", hint="was it written to its end?")

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
                if not count:
                    raise self._changed()
                filled += count

    def check_unchanged(self) -> None:
        """Raises DataError if the file is not what it was when it was opened: what was read of it may not fit."""
        with self.faults():
            if self._look() != self._state:
                raise self._changed()

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turns the errors of the system into ours, with the name of the file."""
        try:
            yield
        except LossctlError:
            raise
        except FileNotFoundError:
            raise DataError(f"no such file: {self.name}", hint="check the name and the folder") from None
        except PermissionError:
            raise DataError(f"no permission to read {self.name}", hint="check the rights of the file") from None
        except ValueError:
            # mmap's word for a file that has become too short.
            raise self._changed() from None
        except OSError as error:
            raise DataError(f"cannot read {self.name}: {error.strerror or visible(error)}") from error

    def close(self) -> None:
        self._handle.close()

    def _look(self) -> tuple[int, int]:
        """Size and time of the last change."""
        status = os.fstat(self._handle.fileno())
        return status.st_size, status.st_mtime_ns

    def _changed(self) -> DataError:
        return DataError(f"{self.name} changed while it was being read", hint="wait until it is complete")


def _is_file_name(path: str) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _refuse_irregular(name: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise DataError(f"{name} is a folder", hint="name a file in it")
    if not stat.S_ISREG(mode):
        raise DataError(f"{name} is a pipe or a device, not a regular file", hint="save the data to a file and name it")
