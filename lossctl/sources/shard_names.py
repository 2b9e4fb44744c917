"""The files that a folder, a glob or a list stands for, in natural order, and what the names of folders say of them."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Sequence

from lossctl.errors import DataError, UsageError, reason_of, visible
from lossctl.sources.base import is_remote
from lossctl.sources.opening import is_glob

_INTEGER = re.compile(r"-?[0-9]{1,18}")


def shard_paths(path: str) -> list[str]:
    """The files in natural order: part-2 before part-10; those of a list in its order. Raises DataError for none."""
    if is_remote(path):
        from lossctl.sources.remote import remote_paths

        return sorted(remote_paths(path) or [path], key=natural_key)
    if os.path.isdir(path):
        return _files_below(path)
    if "," in path and not is_glob(path):
        names = path.split(",")
        if "" in names:
            raise UsageError(f"the list of files '{visible(path)}' has an empty name", hint="write a.npy,b.npy")
        return names
    matches = glob.glob(path, recursive=True)
    found = [_regular(each) for each in matches if not os.path.isdir(each)]
    if "**" in path:
        found = _each_once(found)
    if matches and not found:
        raise DataError(
            f"'{visible(path)}' matches {len(matches)} folder{'s' if len(matches) > 1 else ''} and no file",
            hint=f"name the files in them, such as '{visible(os.path.join(path, '*'))}', or list the folders: a,b",
        )
    if not found:
        raise DataError(f"no file matches '{visible(path)}'", hint="check the folder, and quote the pattern")
    return sorted(found, key=natural_key)


def _each_once(paths: Sequence[str]) -> list[str]:
    """The files that `**` finds, without those that it finds again: through a link to a folder, or by a second one."""
    found: dict[tuple[str, str], str] = {}
    for path in sorted(paths, key=lambda each: (len(each), each)):
        folder, name = os.path.split(path)
        found.setdefault((os.path.realpath(folder), name), path)
    return list(found.values())


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """Numbers in a name count as numbers."""
    parts = re.split(r"([0-9]+)", text)
    return tuple((1, int(part)) if part.isdigit() and part.isascii() else (0, part) for part in parts)


def hive_constants(shards: Sequence[str], root: str) -> dict[str, dict[str, int | str]]:
    """For each shard in folders named key=value below `root`, its keys; nothing where there are no such folders.

    A key whose values are whole numbers in all shards is a number. Raises DataError where shards have different keys.
    """
    found: dict[str, dict[str, str]] = {}
    for shard in shards:
        folders = os.path.relpath(os.path.dirname(shard), root).split(os.sep)
        pairs = [_key_and_value(folder) for folder in folders if "=" in folder]
        found[shard] = dict(pairs)
        if len(found[shard]) < len(pairs):
            raise DataError(
                f"{visible(shard)} stands in two folders of one key: {', '.join(visible(key) for key, _ in pairs)}",
                hint="each key has one value: move the file",
            )
    first = found[shards[0]]
    for shard, keys in found.items():
        if list(keys) != list(first):
            raise DataError(
                f"{visible(shard)} stands in other folders of key=value than {visible(shards[0])}",
                hint="all files of a partitioned data set have the same keys",
            )
    if not first:
        return {}
    whole = {key for key in first if all(_INTEGER.fullmatch(keys[key]) for keys in found.values())}
    return {
        shard: {key: int(text) if key in whole else text for key, text in keys.items()} for shard, keys in found.items()
    }


def _key_and_value(folder: str) -> tuple[str, str]:
    """Of the name of a folder, in which what writes it puts %3D for what has a meaning in names of files."""
    from urllib.parse import unquote_to_bytes

    key, value = folder.split("=", 1)
    try:
        return os.fsencode(key).decode(), unquote_to_bytes(os.fsencode(value)).decode()
    except UnicodeDecodeError:
        raise DataError(f"the name of the folder '{visible(folder)}' is not UTF-8", hint="rename it") from None


def _files_below(folder: str) -> list[str]:
    found = []
    try:
        for place, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [each for each in folders if not is_hidden_folder(each)]
            found += [_regular(os.path.join(place, name)) for name in names if not is_hidden_file(name)]
    except OSError as error:
        raise DataError(f"cannot read the folder {visible(folder)}: {reason_of(error)}") from error
    if not found:
        raise DataError(f"the folder {visible(folder)} holds no files", hint="name a folder of shards")
    return sorted(found, key=lambda each: natural_key(os.path.relpath(each, folder)))


def is_hidden_file(name: str) -> bool:
    """Whether what writes tables keeps its notes in a file of this name, and no data."""
    return name.startswith((".", "_"))


def is_hidden_folder(name: str) -> bool:
    """The same of a folder: one of a key may begin with _ as well."""
    return is_hidden_file(name) and ("=" not in name or name.startswith("."))


def _regular(path: str) -> str:
    """A file found in a folder. Raises DataError for a pipe: nobody said that something is written to it."""
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            return path
    except OSError:  # said when it is opened
        return path
    raise DataError(f"{visible(path)} is a pipe, not a file", hint="name it alone, or in a list a,b")


def _raise(error: OSError) -> None:
    raise error
