"""Which files a batch evaluates: paths, globs, and patterns with named fields, `runs/{model}/preds.npy`."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lossctl.errors import DataError, UsageError, visible
from lossctl.short_paths import short_paths
from lossctl.sources.base import is_remote
from lossctl.sources.opening import STDIN, is_glob
from lossctl.sources.shard_names import natural_key, shard_paths

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# What a pattern is made of: a field, a brace that stands for itself, what globs know, any other character.
_TOKEN = re.compile(r"\{\{|\}\}|\{[^{}]*\}|\*\*/|\*+|\?|\[!?\]?[^]]*\]|.", re.DOTALL)
_EXAMPLE = "such as 'runs/{model}/preds.npy'; a brace that stands for itself is written twice"


@dataclass(frozen=True, slots=True)
class BatchFile:
    """One file of predictions, what the fields of its pattern stand for in its name, and the pattern."""

    path: str
    fields: dict[str, str] = field(default_factory=dict)
    pattern: str = ""


def find_files(patterns: Sequence[str], taken: Sequence[str]) -> tuple[list[BatchFile], list[str]]:
    """(the files of all patterns, each pattern's in natural order, warnings about files that are there twice).

    `taken` are names that fields may not have. Raises UsageError for a pattern that is none and for a path that is
    named twice, DataError for a pattern that no file matches.
    """
    found: dict[str, BatchFile] = {}
    for pattern in patterns:
        for file in _matches(pattern, taken):
            other = found.setdefault(_plain(file.path), file)
            if other is not file:
                by = f" and by '{visible(pattern)}'" if pattern != other.pattern else ""
                raise UsageError(
                    f"'{visible(file.path)}' is named twice, by '{visible(other.pattern)}'{by}",
                    hint="name each file of predictions once",
                )
    return list(found.values()), _twins(list(found.values()))


def _matches(pattern: str, taken: Sequence[str]) -> Iterator[BatchFile]:
    """The files that one word of the command line stands for: itself, where there is such a file."""
    _check_word(pattern)
    if not is_remote(pattern) and os.path.lexists(pattern):
        yield BatchFile(pattern, pattern=pattern)
        return
    if not is_glob(pattern) and "{" not in pattern and "}" not in pattern:
        # A name that does not exist is a file all the same, whose row says so.
        yield BatchFile(pattern, pattern=pattern)
        return
    globbed, expression = _translated(re.sub("(?<!:)/+", "/", pattern), taken)
    count = 0
    for path in _globbed(globbed, pattern):
        match = expression.fullmatch(path)
        if match is not None:
            count += 1
            yield BatchFile(path, match.groupdict(), pattern)
    if not count:
        raise DataError(f"no file matches '{visible(pattern)}'", hint="check the folder, and quote the pattern")


def _check_word(pattern: str) -> None:
    if not pattern:
        raise UsageError("a pattern is empty", hint="is it a shell variable that is not set?")
    if pattern == STDIN:
        raise UsageError("a batch reads files, not stdin", hint="`lossctl eval - …` reads predictions from stdin")
    if "\0" in pattern:
        raise UsageError(f"'{visible(pattern)}' cannot be the name of a file")


def _globbed(globbed: str, pattern: str) -> list[str]:
    """The files of a glob in natural order, Zarr stores among them; a folder of another kind is none."""
    if is_remote(globbed):
        try:
            return shard_paths(globbed)
        except DataError:
            raise DataError(f"no file matches '{visible(pattern)}'", hint="check the bucket and the prefix") from None
    paths = dict.fromkeys(re.sub("/+", "/", path) for path in glob.glob(globbed, recursive=True))
    return sorted((path for path in paths if os.path.isfile(path) or path.endswith(".zarr")), key=natural_key)


def _translated(pattern: str, taken: Sequence[str]) -> tuple[str, re.Pattern[str]]:
    """(the glob, the expression that says what the fields are). Raises UsageError for a malformed pattern.

    A field is part of one name, and not empty; of several ways to share a name out, the first field takes the most.
    """
    parts: list[str] = []
    expression: list[str] = []
    names: list[str] = []
    for token in _TOKEN.findall(pattern):
        if len(token) > 1 and token[0] == "{" != token[1]:
            names.append(_checked_name(token[1:-1], pattern, names, taken))
            parts.append("*")
            expression.append(f"(?P<{names[-1]}>[^/]+)")
        elif token in ("{", "}"):
            raise UsageError(f"the braces of '{visible(pattern)}' do not match", hint=_EXAMPLE)
        else:
            literal = token[0] if token in ("{{", "}}") else token
            parts.append(literal)
            expression.append(_expression_of(literal))
    return "".join(parts), re.compile("".join(expression), re.DOTALL)


def _checked_name(name: str, pattern: str, names: Sequence[str], taken: Sequence[str]) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{{{visible(name)}}}' of '{visible(pattern)}' is no name of a field: letters, digits and '_'",
            hint=_EXAMPLE,
        )
    if name in names:
        raise UsageError(
            f"'{visible(pattern)}' names the field {name} twice", hint="give each field a name of its own, or write *"
        )
    if name in taken:
        raise UsageError(f"the field {name} has the name of another column", hint=f"call it {name}_name")
    return name


def _expression_of(token: str) -> str:
    """A regular expression for a piece of a glob, of names that the glob has let through."""
    if token == "**/":
        return "(?:.*/)?"
    if token[0] == "*":
        return "[^/]*" if len(token) == 1 else ".*"
    return "[^/]" if token == "?" or len(token) > 1 else re.escape(token)


def _plain(path: str) -> str:
    return path if is_remote(path) else os.path.normpath(path)


def _twins(files: Sequence[BatchFile]) -> list[str]:
    """Warnings about paths that lead to one file, as a link to the latest run does."""
    first: dict[tuple[int, int], str] = {}
    warnings = []
    for file in files:
        try:
            status = os.stat(file.path)
        except (OSError, ValueError):
            continue  # a URL, or what its row will say
        other = first.setdefault((status.st_dev, status.st_ino), file.path)
        if other != file.path:
            warnings.append(f"{visible(file.path)} is the same file as {visible(other)}")
    return warnings


def fields_of(files: Sequence[BatchFile]) -> tuple[str, ...]:
    """The fields of all patterns, in order; a file of another pattern has nothing there."""
    return tuple(dict.fromkeys(name for file in files for name in file.fields))


def short_names(files: Sequence[BatchFile]) -> list[str]:
    """What tells the files apart, for people: their paths without what all have in common."""
    return [visible(files[0].path)] if len(files) == 1 else short_paths([file.path for file in files])
