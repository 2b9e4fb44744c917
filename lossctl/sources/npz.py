"""NPZ: a ZIP archive of NPY arrays, each held to its checksum before any of it is used."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lossctl.errors import DataError, LossctlError, visible
from lossctl.sources.base import Reader, Selection
from lossctl.sources.containers import open_container
from lossctl.sources.input_file import FilePart, InputFile, SeekableInput
from lossctl.sources.npy import read_npy
from lossctl.sources.spool import inflated

try:
    from lzma import LZMAError
except ImportError:  # a Python built without it refuses such members itself

    class LZMAError(Exception):  # type: ignore[no-redef]
        """Never raised."""


_LOCAL_HEADER_BYTES = 30
_UTF8_FLAG = 0x800
_PIECE_BYTES = 1 << 20

# What zipfile says of an archive that was cut short.
_NO_END = "File is not a zip file"

# What zipfile and its codecs raise for a damaged archive.
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    NotImplementedError,
    ValueError,
    RuntimeError,
    OSError,
)


def open_npz(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of arrays of an NPZ archive, by name."""
    with _zip_faults(file):
        archive = _Archive(file)
    return open_container(file.name, archive, roles)


def npz_contents(file: InputFile) -> list[str]:
    """The names of the arrays."""
    with _zip_faults(file):
        return list(_Archive(file).names())


class _Archive:
    def __init__(self, file: InputFile) -> None:
        self._file = file
        self._zip = zipfile.ZipFile(SeekableInput(file))
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            if not member.filename.endswith(".npy"):
                continue
            name = member.filename.removesuffix(".npy")
            if name in self._members:
                raise DataError(f"{file.name} holds two arrays named '{visible(name)}'", hint="write the file again")
            self._members[name] = member
        start = min((member.header_offset for member in self._zip.infolist()), default=0)
        if start < 0:
            raise zipfile.BadZipFile("its list of arrays is not where it says")
        if start > 0:
            raise DataError(
                f"{file.name} is no single archive: {start} bytes stand before its first array",
                hint="it may be several files joined: name them all, or write the data as one file",
            )
        if not self._members:
            first = next(iter(self._zip.namelist()), None)
            of = "nothing" if first is None else f"'{visible(first)}'"
            raise DataError(
                f"{file.name} is a ZIP archive of {of}, without NPY arrays",
                hint="unpack it, or save arrays with np.savez; pickles are never loaded",
            )

    def names(self) -> Sequence[str]:
        return list(self._members)

    def reader(self, role: str, name: str, selection: Selection) -> Reader:
        member = self._members[name]
        label = f"{self._file.name}, array '{visible(name)}'"
        with _zip_faults(self._file):
            if member.flag_bits & 1:
                raise DataError(f"{label} is encrypted", hint="write the file again with np.savez")
            part = self._stored(member, label) if member.compress_type == zipfile.ZIP_STORED else None
            if part is None:
                with self._zip.open(member) as stream:
                    part = inflated(self._file.path, label, stream, member.compress_size)
        try:
            return read_npy(part, role, selection, "npz", name)
        except BaseException:
            part.close()
            raise

    def _stored(self, member: zipfile.ZipInfo, label: str) -> InputFile:
        """The bytes of a member that is not compressed, where they stand in the archive."""
        header = self._file.read_at(member.header_offset, _LOCAL_HEADER_BYTES)
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header_offset + _LOCAL_HEADER_BYTES + names
        if not header.startswith(b"PK\x03\x04") or start + member.file_size > self._file.size:
            raise zipfile.BadZipFile(f"the entry '{member.filename}' is not where the archive says")
        if member.compress_size != member.file_size:
            raise zipfile.BadZipFile(f"the entry '{member.filename}' has two sizes")
        name = self._file.read_at(member.header_offset + _LOCAL_HEADER_BYTES, int.from_bytes(header[26:28], "little"))
        if name.decode("utf-8" if member.flag_bits & _UTF8_FLAG else "cp437", "replace") != member.orig_filename:
            raise zipfile.BadZipFile(f"the entry '{member.filename}' has two names")
        part = FilePart(self._file, start, member.file_size, label)
        checksum, buffer = 0, bytearray(_PIECE_BYTES)
        for offset in range(0, part.size, _PIECE_BYTES):
            piece = memoryview(buffer)[: min(_PIECE_BYTES, part.size - offset)]
            part.read_into(offset, piece)
            checksum = zlib.crc32(piece, checksum)
        if checksum != member.CRC:
            raise zipfile.BadZipFile(f"bad CRC-32 for '{member.filename}'")
        return part

    def close(self) -> None:
        self._zip.close()
        self._file.close()


@contextmanager
def _zip_faults(file: InputFile) -> Iterator[None]:
    """Turns what zipfile and its codecs raise for a damaged archive into ours."""
    try:
        yield
    except LossctlError:
        raise
    except _FAULTS as error:
        found = "the list of its arrays at its end is missing" if _NO_END in str(error) else visible(error)
        raise DataError(
            f"{file.name} is damaged or no NPZ archive: {found}", hint="write the file again with np.savez"
        ) from error
