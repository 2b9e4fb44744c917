"""The formats by name and extension, and the one way to open what a name stands for."""

from __future__ import annotations

import os
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING, cast

from lossctl.errors import DataError, EnvironmentFault, UsageError, visible
from lossctl.sources.base import Reader, Selection, is_remote, option
from lossctl.sources.input_file import InputFile
from lossctl.sources.opening import STDIN, bare_name, check_no_stand_in, is_glob, is_many, open_input
from lossctl_kernels.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable


class Format(Record):
    """A format: how its files are named, what they begin with, and who reads them.

    Its `module` here has `open_NAME(file, roles)`, which returns a Reader, and `NAME_contents(file)`; of a format that
    is a folder they take its path. `magic` are the bytes that a file may begin with; a text has none. `extra` is what
    is installed for it.
    """

    name: str
    extensions: tuple[str, ...]
    module: str
    magic: tuple[bytes, ...] = ()
    is_text: bool = False
    is_folder: bool = False
    extra: str | None = None

    def load(self) -> Callable[..., Reader]:
        """The function that opens it, its module loaded."""
        return cast("Callable[..., Reader]", self._function("open"))

    def contents(self, file: InputFile | str) -> list[str] | None:
        """The names of the columns or arrays; None where the one array has none."""
        return cast("list[str] | None", self._function("contents")(file))

    def _function(self, what: str) -> Callable[..., object]:
        name = f"open_{self.name}" if what == "open" else f"{self.name}_{what}"
        try:
            return cast("Callable[..., object]", getattr(import_module(f"lossctl.sources.{self.module}"), name))
        except ImportError as error:
            if self.extra is None:
                raise
            raise EnvironmentFault(
                f"reading {self.name} needs the extra '{self.extra}': {visible(error)}",
                hint=f"pip install 'lossctl[{self.extra}]'",
            ) from error


FORMATS = {
    known.name: known
    for known in (
        Format("npy", (".npy",), "npy", (b"\x93NUMPY",)),
        Format("npz", (".npz",), "npz", (b"PK\x03\x04", b"PK\x05\x06")),
        Format("csv", (".csv",), "delimited", is_text=True),
        Format("tsv", (".tsv", ".tab"), "delimited", is_text=True),
        Format("jsonl", (".jsonl", ".ndjson", ".json"), "json_lines", is_text=True),
        Format("parquet", (".parquet", ".pq"), "parquet", (b"PAR1",)),
        Format(
            "arrow",
            (".arrow", ".feather", ".ipc", ".arrows"),
            "arrow_ipc",
            (b"ARROW1", b"\xff\xff\xff\xff"),
        ),
        Format("safetensors", (".safetensors",), "safetensors"),
        Format("hdf5", (".h5", ".hdf5"), "hdf5", (b"\x89HDF\r\n\x1a\n",), extra="hdf5"),
        Format("zarr", (".zarr",), "zarr", is_folder=True, extra="zarr"),
    )
}

# Files that make a folder a Zarr store.
_ZARR_MARKERS = ("zarr.json", ".zarray", ".zgroup")

# What else a file may turn out to be. pickle's protocols 2 to 5 begin alike.
_FOREIGN = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"FEA1": "Feather V1",
    b"PARE": "encrypted Parquet",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
}


def open_reader(path: str | os.PathLike[str], roles: dict[str, Selection], *, format: str | None = None) -> Reader:
    """Opens what delivers `roles`: a name such as "prediction" for each array, and the columns that make it.

    `path` is a file, "-" for stdin, a pipe, a folder, or a glob or list of files that make one data set. `format` is a
    name in `FORMATS`; None goes by the extension, else by the first bytes. Raises UsageError for a format or a column
    that does not exist, DataError for a file that is missing, unreadable or malformed.
    """
    text = os.fspath(path)
    _check_known(format)
    if _is_zarr(text, format):
        return FORMATS["zarr"].load()(text, roles)
    shards = _shards(text)
    return _open_one(text, roles, format) if shards is None else _open_many(text, shards, roles, format)


def contents(path: str, *, format: str | None = None) -> list[str] | None:
    """The names of the columns or arrays of what `open_reader` would open; None of an array without a name."""
    _check_known(format)
    if _is_zarr(path, format):
        return FORMATS["zarr"].contents(path)
    shards = _shards(path)
    if shards is None:
        with closing(open_input(path)) as file:
            return _recognised(file, "file", format).contents(file)
    from lossctl.sources.shard_names import hive_constants

    keys = list(hive_constants(shards, path).get(shards[0], {})) if _is_folder(path) else []
    found = contents(shards[0], format=format)
    return None if found is None else found + keys


def _check_known(format: str | None) -> None:
    """Raises UsageError for a format that does not exist."""
    if format is not None and format not in FORMATS:
        raise UsageError(f"unknown format '{visible(format)}'", hint=f"known formats: {', '.join(FORMATS)}")


def _recognised(file: InputFile, role: str, name: str | None) -> Format:
    """The format of a file, held to its first bytes."""
    chosen = _format_of(file, role, name)
    _check_beginning(file, chosen, role)
    return chosen


def _shards(path: str) -> list[str] | None:
    """The files of a folder, a glob or a list, found once: a store may take its time. None of one file."""
    if not is_remote(path):
        if not is_many(path):
            return None
        from lossctl.sources.shard_names import shard_paths

        return shard_paths(path)
    from lossctl.sources.remote import remote_paths
    from lossctl.sources.shard_names import natural_key

    found = remote_paths(path)
    return None if found is None else sorted(found, key=natural_key)


def _is_folder(path: str) -> bool:
    """Whether what is many files is a folder of them, here or in a store."""
    return not is_glob(path) if is_remote(path) else os.path.isdir(path)


def _open_one(path: str, roles: dict[str, Selection], format: str | None) -> Reader:
    file = open_input(path)
    try:
        return _recognised(file, next(iter(roles)), format).load()(file, roles)
    except BaseException:
        file.close()
        raise


def _open_many(path: str, shards: list[str], roles: dict[str, Selection], format: str | None) -> Reader:
    """The files of a folder, a glob or a list as one data set."""
    from lossctl.sources.shard_names import hive_constants
    from lossctl.sources.shards import ShardedReader

    if _is_folder(path) and (constants := hive_constants(shards, path)):
        return ShardedReader(path, shards, lambda shard: _open_partition(shard, roles, format, constants[shard]))
    if is_remote(path):  # what a store lists is files
        return ShardedReader(path, shards, lambda shard: _open_one(shard, roles, format))
    return ShardedReader(path, shards, lambda shard: open_reader(shard, roles, format=format))


def _open_partition(
    path: str, roles: dict[str, Selection], format: str | None, constants: dict[str, int | str]
) -> Reader:
    """A file in folders that are called after keys and their values."""
    from lossctl.sources.parquet import open_parquet

    file = open_input(path)
    try:
        chosen = _recognised(file, next(iter(roles)), format)
        if chosen.name != "parquet":
            raise DataError(
                f"{file.name} is {chosen.name}, and stands in folders key=value, of which those of Parquet are read",
                hint="name the files by a glob, without the columns of the folders: 'data/*/*.csv'",
            )
        return open_parquet(file, roles, constants)
    except BaseException:
        file.close()
        raise


def _is_zarr(path: str, format: str | None) -> bool:
    if not os.path.isdir(path):
        return False
    return format == "zarr" or any(os.path.isfile(os.path.join(path, marker)) for marker in _ZARR_MARKERS)


def _format_of(file: InputFile, role: str, name: str | None) -> Format:
    if name is not None:
        return _of_a_file(file, FORMATS[name])
    extension = os.path.splitext(bare_name(file.path))[1]
    for known in FORMATS.values():
        if extension.lower() in known.extensions:
            return _of_a_file(file, known)
    head = file.read_at(0, 64)
    found = _binary_format(head)
    if found in FORMATS:
        return FORMATS[found]
    if found is not None:
        raise DataError(f"{file.name} is {found}, which is not read", hint=_hint_of_foreign(found))
    check_no_stand_in(file, head)
    extensions = " ".join(each for known in FORMATS.values() for each in known.extensions)
    why = f"extension '{visible(extension)}' is not known" if extension else "there is no extension"
    why = "a stream has no name" if file.path == STDIN else f"{why}; known are {extensions}"
    raise UsageError(
        f"cannot tell the format of {file.name}: {why}",
        hint=f"name the format with {option(role, 'format')} {'|'.join(FORMATS)}",
    )


def _of_a_file(file: InputFile, chosen: Format) -> Format:
    if chosen.is_folder:
        raise DataError(
            f"{file.name} is a file, and {chosen.name} is a folder",
            hint="name the folder of the store; one that is packed has to be unpacked",
        )
    return chosen


def _check_beginning(file: InputFile, chosen: Format, role: str) -> None:
    """Refuses a file whose first bytes are another format's."""
    head = file.read_at(0, 64)
    check_no_stand_in(file, head)
    found = _binary_format(head)
    if found == chosen.name or (found is None and not chosen.magic):
        return
    if found is None:
        if chosen.name == "hdf5" and _has_user_block(file, chosen.magic[0]):
            return
        if any(magic.startswith(head) for magic in chosen.magic):
            raise DataError(f"{file.name} is truncated: it ends after {file.size} bytes", hint="write it again")
        if _is_text(head):
            found = "text"
    looks = f"it looks like {found}" if found else f"it begins with the bytes {head[:8].hex(' ')}"
    fitting = [known.name for known in FORMATS.values() if found == ("text" if known.is_text else known.name)]
    hint = f"name its format with {option(role, 'format')} {'|'.join(fitting)}" if fitting else _hint_of_foreign(found)
    raise DataError(f"{file.name} is not {chosen.name}: {looks}", hint=hint)


def _hint_of_foreign(found: str | None) -> str:
    """What to do about a file of a format that is none of ours."""
    if found == "encrypted Parquet":
        return "write it without encryption: keys are not asked for"
    if found in ("bzip2", "xz"):
        return "unpack it, or pack it with gzip or Zstandard"
    suffix = {"gzip": ".gz", "Zstandard": ".zst"}.get(found or "")
    if suffix is not None:
        return f"let its name end in {suffix}, after the extension of its format: data.csv{suffix}"
    return f"save the data as {', '.join(FORMATS)}"


def _has_user_block(file: InputFile, magic: bytes) -> bool:
    """Whether an HDF5 file begins after 512 bytes, or a power of two of them, of something else, as MATLAB's do."""
    return any(file.read_at(512 << power, len(magic)) == magic for power in range((file.size >> 9).bit_length()))


def _binary_format(head: bytes) -> str | None:
    signatures = {magic: known.name for known in FORMATS.values() for magic in known.magic} | _FOREIGN
    found = next((name for magic, name in signatures.items() if head.startswith(magic)), None)
    # The length of a header in JSON comes before it.
    if found is None and head[4:8] == b"\0\0\0\0" and head[8:9] == b"{":
        return "safetensors"
    return found


def _is_text(head: bytes) -> bool:
    """Whether the bytes are printable UTF-8; a character cut at their end does not count against it."""
    text = head.decode("utf-8", "ignore")
    return len(text.encode()) > len(head) - 4 and all(c.isprintable() or c in "\t\r\n\ufeff" for c in text)
