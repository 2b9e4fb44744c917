"""What can be read only once, or only from its start, copied to a temporary file without a name: pipes, compression.

The copy stands in the folder for temporary files (`TMPDIR`), is bounded by `SPOOL_LIMIT`, and is gone with the process,
however that ends.
"""

from __future__ import annotations

import errno
import io
import os
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from lossctl.errors import DataError, EnvironmentFault, reason_of, visible
from lossctl.files import write_all
from lossctl.sources.input_file import InputFile

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from lossctl.sources.opening import Codec

SPOOL_LIMIT = 64 << 30
"""Bytes that a copy may take."""

# A file of numbers is not compressed further than this, and nothing of this size is read for a small one.
_LARGEST_RATIO = 300
_ALWAYS_READ = 256 << 20

_PIECE_BYTES = 1 << 20

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 31
"""What zlib calls its largest window, with the header and the checksum of gzip around the data."""

_NOT_DAMAGED = {
    "too much memory": ("needs a window of more than 128 MiB to be unpacked", "--long"),
    "Dictionary mismatch": ("is compressed with a dictionary, which is not in it", "one"),
}
"""What Zstandard says of frames that it can make and that are not read."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


def spooled(path: str, stream: _Stream, name: str | None = None) -> InputFile:
    """All that is left of a stream, as a file that messages call `name`, or by its path."""
    return _copied(path, _pieces(stream), lambda size: None, name)


def decompressed(file: InputFile, codec: Codec) -> InputFile:
    """The contents of a compressed file, which is closed. Raises DataError where it is damaged or a bomb."""
    try:
        pieces = _members(file) if codec == "gzip" else _frames(file, codec)
        with closing(pieces):
            return _copied(file.path, pieces, _ratio_check(file.name, file.size))
    finally:
        file.close()


def inflated(path: str, name: str, stream: _Stream, size: int) -> InputFile:
    """What a member of an archive, compressed to `size` bytes, holds: a file that messages call `name`."""
    return gathered(path, name, _pieces(stream), size)


def gathered(path: str, name: str, pieces: Iterable[bytes], size: int) -> InputFile:
    """Pieces of what took `size` bytes, packed, as a file that messages call `name`. Raises DataError for a bomb."""
    return _copied(path, pieces, _ratio_check(name, size), name)


def reserved(path: str, size: int) -> io.FileIO:
    """A temporary file of so many bytes that the disk has set apart: a map of it cannot run out of room."""
    with _write_faults(visible(path)):
        copy = _temporary()
        try:
            os.posix_fallocate(copy.fileno(), 0, size)
        except BaseException:
            copy.close()
            raise
    return copy


class Spool:
    """A temporary file without a name that pieces of what `name` holds are put into, and read from in any order."""

    def __init__(self, name: str) -> None:
        self._name, self._size = name, 0
        with _write_faults(name):
            self._file = io.BufferedRandom(_temporary())

    def add(self, piece: memoryview) -> tuple[int, int]:
        """Where it stands: the first byte, and how many."""
        start, size = self._size, piece.nbytes
        with _write_faults(self._name):
            self._file.seek(start)
            self._file.write(piece)
        self._size += size
        return start, size

    def read(self, place: tuple[int, int]) -> bytes:
        start, size = place
        with _write_faults(self._name):
            self._file.seek(start)
            return self._file.read(size)

    def close(self) -> None:
        with suppress(OSError):  # what has not been written yet is not wanted
            self._file.close()


def _ratio_check(name: str, compressed: int) -> Callable[[int], None]:
    """Raises DataError where so many bytes come of so few that it must be a bomb."""

    def check(size: int) -> None:
        if size > _ALWAYS_READ and size > _LARGEST_RATIO * compressed:
            raise DataError(
                f"{name} holds more than {_LARGEST_RATIO} times its own size: {size} bytes so far of {compressed}",
                hint="decompress it yourself if it is meant to be so",
            )

    return check


def _pieces(stream: _Stream) -> Iterator[bytes]:
    while piece := stream.read(_PIECE_BYTES):
        yield piece


def _members(file: InputFile) -> Generator[bytes, None, None]:
    """What the members of a gzip file hold. Zeros after a member fill up a block of a tape, and are none."""
    import zlib

    at, rest, member = 0, b"", None
    while rest or at < file.size:
        if not rest:
            rest = file.read_at(at, _PIECE_BYTES)
            at += len(rest)
        if member is None:
            rest = rest.lstrip(b"\0")
            if rest and not _GZIP_MAGIC.startswith(rest[: len(_GZIP_MAGIC)]):
                raise _damaged(file.name, f"something else than gzip data stands from byte {at - len(rest)} on")
            member = zlib.decompressobj(_GZIP) if rest else None
        if member is not None:
            try:
                yield member.decompress(rest, _PIECE_BYTES)
            except zlib.error as error:
                raise _damaged(file.name, str(error).partition(" data: ")[2]) from error
            rest, member = (member.unused_data, None) if member.eof else (member.unconsumed_tail, member)
    if member is not None:
        yield member.flush()
        if not member.eof:
            raise _cut(file.name, "gzip")


def _frames(file: InputFile, codec: Codec) -> Generator[bytes, None, None]:
    """What the frames of a Zstandard file hold."""
    import pyarrow as pa

    with (
        file.arrow_file() as source,
        _arrow_faults(file.name, codec),
        pa.CompressedInputStream(source, codec) as stream,
    ):
        yield from _pieces(stream)


def _copied(path: str, pieces: Iterable[bytes], check: Callable[[int], None], name: str | None = None) -> InputFile:
    name = name or visible(path)
    with _write_faults(name):
        copy = _temporary()
    try:
        size = 0
        for piece in pieces:
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


def _temporary() -> io.FileIO:
    """Closed by who asks for it. What makes it takes three milliseconds to load, which other files do without."""
    import tempfile

    made: io.FileIO = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    return made


@contextmanager
def _write_faults(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "no space left" if error.errno in (errno.ENOSPC, errno.EDQUOT) else reason_of(error)
        import tempfile

        folder = visible(tempfile.gettempdir()) if tempfile.tempdir else "the folder for temporary files"
        limited = error.errno in (errno.EMFILE, errno.ENFILE)
        hint = "raise the limit of open files (ulimit -n)" if limited else "set TMPDIR to a folder with room"
        raise EnvironmentFault(f"cannot copy {name} to {folder}: {reason}", hint=hint) from error


@contextmanager
def _arrow_faults(name: str, codec: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        text = str(error)
        for said, (found, remedy) in _NOT_DAMAGED.items():
            if said in text:
                raise DataError(f"{name} {found}", hint=f"compress it again without {remedy}") from error
        raise (_cut(name, codec) if "Truncated" in text else _damaged(name, visible(text))) from error


def _cut(name: str, codec: str) -> DataError:
    return DataError(f"{name} is truncated: its {codec} data do not end", hint="write the file again")


def _damaged(name: str, found: str) -> DataError:
    return DataError(f"{name} is damaged: {found}", hint="write the file again")
