"""The formats by name and extension, and the one way to open a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources.base import Reader, Selection, option
from lossctl.sources.input_file import InputFile


@dataclass(frozen=True)
class Format:
    """A format: how its files are named, what they begin with, and who reads them.

    `opener` is "module:function", a function (InputFile, roles) -> Reader; `magic` is None for a text format.
    """

    name: str
    extensions: tuple[str, ...]
    opener: str
    magic: bytes | None = None

    def open(self, file: InputFile, roles: dict[str, Selection]) -> Reader:
        """Loads the format's module and opens `file` with it."""
        module, _, function = self.opener.partition(":")
        return cast(Reader, getattr(import_module(module), function)(file, roles))


FORMATS = {
    known.name: known
    for known in (
        Format("npy", (".npy",), "lossctl.sources.npy:open_npy", b"\x93NUMPY"),
        Format("csv", (".csv",), "lossctl.sources.delimited:open_csv"),
        Format("tsv", (".tsv", ".tab"), "lossctl.sources.delimited:open_tsv"),
        Format("parquet", (".parquet", ".pq"), "lossctl.sources.parquet:open_parquet", b"PAR1"),
    )
}

# What else a file may turn out to be. pickle's protocols 2 to 5 begin alike.
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (NPZ, XLSX, PyTorch)",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"ARROW1": "Arrow IPC",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
}


def open_reader(path: str | os.PathLike[str], roles: dict[str, Selection], *, format: str | None = None) -> Reader:
    """Opens the file that delivers `roles`: a name such as "prediction" for each array, and the columns that make it.

    `format` is a name in `FORMATS`; None goes by the extension. Raises UsageError for a format or a column that does
    not exist, DataError for a file that is missing, unreadable or malformed.
    """
    text = os.fspath(path)
    file = InputFile(text)
    try:
        chosen = _format_of(text, next(iter(roles)), format)
        _check_beginning(file, chosen, next(iter(roles)))
        return chosen.open(file, roles)
    except BaseException:
        file.close()
        raise


def _format_of(path: str, role: str, name: str | None) -> Format:
    if name is not None:
        if name not in FORMATS:
            raise UsageError(f"unknown format '{visible(name)}'", hint=f"known formats: {', '.join(FORMATS)}")
        return FORMATS[name]
    extension = os.path.splitext(path)[1]
    for known in FORMATS.values():
        if extension.lower() in known.extensions:
            return known
    extensions = " ".join(each for known in FORMATS.values() for each in known.extensions)
    found = f"extension '{visible(extension)}' is not known" if extension else "there is no extension"
    raise UsageError(
        f"cannot tell the format of {visible(path)}: {found}; known are {extensions}",
        hint=f"name the format with {option(role, 'format')} {'|'.join(FORMATS)}",
    )


def _check_beginning(file: InputFile, chosen: Format, role: str) -> None:
    """Refuses a file whose first bytes are another format's."""
    head = file.read_at(0, 64)
    found = _binary_format(head)
    if chosen.magic is None:
        if found is None:
            return
    elif head.startswith(chosen.magic):
        return
    elif chosen.magic.startswith(head):
        raise DataError(f"{file.name} is truncated: it ends after {file.size} bytes", hint="write it again")
    elif found is None and _is_text(head):
        found = "text"
    looks = f"it looks like {found}" if found else f"it begins with the bytes {head[:8].hex(' ')}"
    fitting = [known.name for known in FORMATS.values() if found == (known.name if known.magic else "text")]
    if fitting:
        hint = f"name its format with {option(role, 'format')} {'|'.join(fitting)}"
    else:
        hint = f"save the data as {', '.join(FORMATS)}"
    raise DataError(f"{file.name} is not {chosen.name}: {looks}", hint=hint)


def _binary_format(head: bytes) -> str | None:
    signatures = {known.magic: known.name for known in FORMATS.values() if known.magic} | _FOREIGN
    return next((name for magic, name in signatures.items() if head.startswith(magic)), None)


def _is_text(head: bytes) -> bool:
    """Whether the bytes are printable UTF-8; a character cut at their end does not count against it."""
    text = head.decode("utf-8", "ignore")
    return len(text.encode()) > len(head) - 4 and all(c.isprintable() or c in "\t\r\n\ufeff" for c in text)
