"""What can be read only once, or only from its start, copied to a temporary file without a name: pipes, compression.

The copy stands in the folder for temporary files (`TMPDIR`), is bounded by `SPOOL_LIMIT`, and is gone with the process,
however that ends.
"""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from lossctl.errors import DataError, EnvironmentFault, reason_of, visible
from lossctl.files import write_all
from lossctl.sources.input_file import InputFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from lossctl.sources.opening import Codec

SPOOL_LIMIT = 64 << 30
"""Bytes that a copy may take."""

# A file of numbers is not compressed further than this, and nothing of this size is read for a small one.
_LARGEST_RATIO = 300
_ALWAYS_READ = 256 << 20

_PIECE_BYTES = 1 << 20


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


def spooled(path: str, stream: _Stream, name: str | None = None) -> InputFile:
    """All that is left of a stream, as a file that messages call `name`, or by its path."""
    return _copied(path, stream, lambda size: None, name)


def decompressed(file: InputFile, codec: Codec) -> InputFile:
    """The contents of a compressed file, which is closed. Raises DataError where it is damaged or a bomb."""
    import pyarrow as pa

    try:
        source = file.arrow_file()
        with source, _arrow_faults(file.name, codec), pa.CompressedInputStream(source, codec) as stream:
            return _copied(file.path, stream, _ratio_check(file.name, file.size))
    finally:
        file.close()


def inflated(path: str, name: str, stream: _Stream, size: int) -> InputFile:
    """What a member of an archive, compressed to `size` bytes, holds: a file that messages call `name`."""
    return _copied(path, stream, _ratio_check(name, size), name)


def reserved(path: str, size: int) -> io.FileIO:
    """A temporary file of so many bytes that the disk has set apart: a map of it cannot run out of room."""
    with _write_faults(visible(path)):
        copy: io.FileIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by who asks for it
        try:
            os.posix_fallocate(copy.fileno(), 0, size)
        except BaseException:
            copy.close()
            raise
    return copy


def _ratio_check(name: str, compressed: int) -> Callable[[int], None]:
    """Raises DataError where so many bytes come of so few that it must be a bomb."""

    def check(size: int) -> None:
        if size > _ALWAYS_READ and size > _LARGEST_RATIO * compressed:
            raise DataError(
                f"{name} holds more than {_LARGEST_RATIO} times its own size: {size} bytes so far of {compressed}",
                hint="decompress it yourself if it is meant to be so",
            )

    return check


def _copied(path: str, stream: _Stream, check: Callable[[int], None], name: str | None = None) -> InputFile:
    name = name or visible(path)
    with _write_faults(name):
        copy = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by the InputFile
    try:
        size = 0
        while piece := stream.read(_PIECE_BYTES):
            size += len(piece)
            check(size)
            if size > SPOOL_LIMIT:
                raise DataError(
                    f"{name} holds more than {SPOOL_LIMIT >> 30} GiB, which is the most that is copied from a stream",
                    hint="save it to a file and name that",
                )
            with _write_faults(name):
                write_all(copy, piece)
        return InputFile(path, copy, name)
    except BaseException:
        copy.close()
        raise


@contextmanager
def _write_faults(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else reason_of(error)
        folder = visible(tempfile.gettempdir()) if tempfile.tempdir else "the folder for temporary files"
        limited = error.errno in (errno.EMFILE, errno.ENFILE)
        hint = "raise the limit of open files (ulimit -n)" if limited else "set TMPDIR to a folder with room"
        raise EnvironmentFault(f"cannot copy {name} to {folder}: {reason}", hint=hint) from error


@contextmanager
def _arrow_faults(name: str, codec: str) -> Iterator[None]:
    try:
        yield
    except EnvironmentFault:
        raise
    except OSError as error:
        text = str(error)
        if "Truncated" in text:
            raise DataError(f"{name} is truncated: its {codec} data do not end", hint="write the file again") from error
        raise DataError(f"{name} is damaged: {visible(text)}", hint="write the file again") from error
