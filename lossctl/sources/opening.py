"""From the name that a user gives to an open file: stdin, pipes and compressed files included."""

from __future__ import annotations

import io
import os
import stat
import sys
from select import select
from typing import Literal, TypeAlias

from lossctl.errors import DataError, EnvironmentFault, UsageError, reason_of, visible
from lossctl.process import is_owned
from lossctl.sources.base import is_remote
from lossctl.sources.input_file import InputFile, faults_of

Codec: TypeAlias = Literal["gzip", "zstd"]

STDIN = "-"
_STDIN_DESCRIPTOR = 0
_COMPRESSIONS: dict[str, Codec] = {".gz": "gzip", ".zst": "zstd"}
_MAGIC = {
    "gzip": (b"\x1f\x8b",),
    # Compressors with threads write a frame first that is to be skipped.
    "zstd": (b"\x28\xb5\x2f\xfd", *(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))),
}
_READ_BY_RANGES = (".parquet", ".pq", ".arrow", ".feather", ".ipc")

_taken: set[tuple[int, int]] = set()


def open_input(path: str) -> InputFile:
    """The file, copied first where it can be read only once. Raises UsageError and DataError."""
    if path == STDIN:
        file = _standard_input()
    elif is_remote(path):
        return _remote(path)
    else:
        if not _is_file_name(path):
            raise UsageError(f"'{visible(path)}' cannot be the name of a file")
        file = _pipe(path) if _is_pipe(path) else InputFile(path)
    extension = os.path.splitext(path)[1].lower()
    return _decompressed(file, extension) if extension in _COMPRESSIONS else _decompressed_by_content(file)


def is_glob(name: str) -> bool:
    """Whether a name may stand for several."""
    return any(character in name for character in "*?[")


def is_many(path: str) -> bool:
    """Whether a name stands for several files: a folder, or a glob or a list that is not the name of a file."""
    if is_remote(path):
        from lossctl.sources.remote import remote_paths

        return remote_paths(path) is not None
    return os.path.isdir(path) or ((is_glob(path) or "," in path) and not os.path.lexists(path))


def _remote(url: str) -> InputFile:
    """By ranges where a format reads only what it needs; whole where it reads all of it or is compressed."""
    from lossctl.sources.remote import open_copy, open_ranges

    stem = bare_url(url)
    extension = os.path.splitext(stem)[1].lower()
    if extension in _READ_BY_RANGES:
        return open_ranges(url)
    file = open_copy(url)
    return _decompressed(file, extension) if extension in _COMPRESSIONS else _decompressed_by_content(file)


def bare_url(url: str) -> str:
    """A URL without its query."""
    return url.partition("?")[0].partition("#")[0]


def bare_name(path: str) -> str:
    """The name without the extension of a compression, which says nothing of the format, or a URL's query."""
    path = bare_url(path) if is_remote(path) else path
    stem, extension = os.path.splitext(path)
    return stem if extension.lower() in _COMPRESSIONS else path


def _decompressed_by_content(file: InputFile) -> InputFile:
    """A stream has no extension to go by."""
    if not file.is_copy:
        return file
    head = file.read_at(0, 4)
    extension = next((each for each, codec in _COMPRESSIONS.items() if head.startswith(_MAGIC[codec])), None)
    return file if extension is None else _decompressed(file, extension)


def _decompressed(file: InputFile, extension: str) -> InputFile:
    from lossctl.sources.spool import decompressed  # which loads what few inputs need

    codec = _COMPRESSIONS[extension]
    head = file.read_at(0, 64)
    if head.startswith(_MAGIC[codec]) or any(magic.startswith(head) for magic in _MAGIC[codec]):
        return decompressed(file, codec)
    file.close()
    check_no_stand_in(file, head)
    raise DataError(f"{file.name} is not {codec}, as its name says", hint=f"leave out {extension} in its name")


def check_no_stand_in(file: InputFile, head: bytes) -> None:
    """Refuses what is put in the place of a file that was not fetched."""
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{file.name} is a pointer of Git LFS, and not the file", hint="git lfs pull")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(
            f"{file.name} is a web page or XML, and no data", hint="was it fetched from a page that asks to log in?"
        )


def _standard_input() -> InputFile:
    if sys.__stdin__ is None:
        raise EnvironmentFault("stdin is closed: '-' has nothing to read", hint="name a file")
    if os.isatty(_STDIN_DESCRIPTOR):
        raise UsageError(
            "stdin is a terminal: '-' reads what is piped into it", hint="cat preds.npy | lossctl eval - …"
        )
    handle = open(os.dup(_STDIN_DESCRIPTOR), "rb", buffering=0)  # noqa: SIM115 - closed by the InputFile
    status = os.fstat(_STDIN_DESCRIPTOR)
    if stat.S_ISCHR(status.st_mode) and not os.path.samestat(status, os.stat(os.devnull)):
        handle.close()  # it may have no end
        raise DataError("stdin is a device, not a file", hint="save the data to a file and name it")
    if stat.S_ISREG(status.st_mode) and handle.tell() == 0:
        return InputFile(STDIN, handle)
    from lossctl.sources.spool import spooled

    with handle:
        return spooled(STDIN, _Faulty(handle, STDIN))


def take_pipe(path: str) -> None:
    """Raises UsageError where `path` is a pipe that this command line has read: to open it again waits for ever."""
    if not (is_owned() and _is_pipe(path)):  # whoever calls from Python may write to it again
        return
    status = os.stat(path)
    identity = status.st_dev, status.st_ino
    if identity in _taken:
        raise UsageError(f"{visible(path)} is a pipe and can be read once", hint="name a file where it stands again")
    _taken.add(identity)


def _is_pipe(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False  # said when it is opened
    return stat.S_ISFIFO(mode)


def _pipe(path: str) -> InputFile:
    take_pipe(path)
    with faults_of(visible(path)):
        handle = open(path, "rb", buffering=0)  # noqa: SIM115
    from lossctl.sources.spool import spooled

    with handle:
        return spooled(path, _Faulty(handle, visible(path)))


class _Faulty:
    """A stream whose failures are ours."""

    def __init__(self, handle: io.FileIO, name: str) -> None:
        self._handle, self._name = handle, name

    def read(self, size: int, /) -> bytes:
        try:
            # None is not the end: whoever shares the pipe has made it one that does not wait.
            while (piece := self._handle.read(size)) is None:
                select([self._handle], [], [])
            return piece
        except OSError as error:
            raise DataError(f"cannot read {self._name}: {reason_of(error)}") from error


def _is_file_name(path: str) -> bool:
    try:
        return bool(path) and b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False
