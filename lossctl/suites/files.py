"""The file of a suite: which it is, what it says, and where its paths start."""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from select import select
from typing import Any, NamedTuple

from lossctl.errors import EnvironmentFault, UsageError, reason_of, visible
from lossctl.guesses import did_you_mean_file

FILE, SHARED_FILE, TABLE = "lossctl.toml", "pyproject.toml", "tool.lossctl"
STDIN = "-"
_STDIN_DESCRIPTOR = 0
LARGEST_BYTES = 4 << 20

# Not the name is at fault.
_OF_THE_MACHINE = frozenset({errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)


class SuiteText(NamedTuple):
    """What a file says; `table` is the part of it that is a suite, "" for the whole.

    `folder` is where its paths start. `overlooked` is another file that has a suite, and is not read.
    """

    path: str
    content: bytes
    folder: str = ""
    table: str = ""
    overlooked: str | None = None


def find_suite(path: str | None) -> SuiteText:
    """The file of that name, "-" for stdin; without one, the suite of the current folder.

    That is `lossctl.toml`, else the table `tool.lossctl` of `pyproject.toml`. Raises UsageError where there is none,
    EnvironmentFault for a file that may not, or cannot, be read.
    """
    if path is not None:
        return _text_of(path)
    shared = _with_table(SHARED_FILE)
    if os.path.lexists(FILE):
        return _text_of(FILE)._replace(overlooked=None if shared is None else f"[{TABLE}] of {SHARED_FILE}")
    if shared is None:
        raise UsageError(
            f"there is no {FILE} here, and no [{TABLE}] in {SHARED_FILE}",
            hint="write one, or give the name of a suite as FILE",
        )
    return shared


def _with_table(path: str) -> SuiteText | None:
    """The file, if it is one that has a suite in it; one that is no TOML may have had one."""
    if not os.path.lexists(path):
        return None
    text = _text_of(path)
    head, _, tail = TABLE.partition(".")
    try:
        tools = _parsed(text).get(head)
    except UsageError:
        return text
    return text if isinstance(tools, dict) and tail in tools else None


def _text_of(path: str) -> SuiteText:
    table = TABLE if os.path.basename(path) == SHARED_FILE else ""
    if path == STDIN and sys.__stdin__ is None:
        raise EnvironmentFault("stdin is closed: '-' has nothing to read", hint="name a file")
    try:
        if path == STDIN:
            return SuiteText(path, _standard_input())
        with open(path, "rb") as handle:
            content = handle.read(LARGEST_BYTES + 1)
            # What a pipe says is of no folder.
            folder = os.path.dirname(path) if stat.S_ISREG(os.fstat(handle.fileno()).st_mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        meant = did_you_mean_file(path).rstrip()
        raise UsageError(f"there is no file '{visible(path)}'", hint=meant or "name the file of a suite") from None
    except IsADirectoryError:
        raise UsageError(f"'{visible(path)}' is a folder", hint=f"name a file in it, such as {FILE}") from None
    except (OSError, ValueError) as error:
        kind = EnvironmentFault if getattr(error, "errno", None) in _OF_THE_MACHINE else UsageError
        raise kind(f"cannot read '{visible(path)}': {reason_of(error)}") from None
    return SuiteText(path, content, folder, table)


def _standard_input() -> bytes:
    pieces, room = [], LARGEST_BYTES + 1
    while room:
        try:
            piece = os.read(_STDIN_DESCRIPTOR, room)
        except BlockingIOError:  # whoever shares the pipe has made it one that does not wait
            select([_STDIN_DESCRIPTOR], [], [])
            continue
        if not piece:
            break
        pieces.append(piece)
        room -= len(piece)
    return b"".join(pieces)


def parse_toml(text: SuiteText) -> dict[str, Any]:
    """The suite that the text holds. Raises UsageError, with line and column where it is no TOML."""
    found: Any = _parsed(text)
    walked: list[str] = []
    for name in text.table.split(".") if text.table else ():
        walked.append(name)
        if not isinstance(found, dict) or not isinstance(found.get(name), dict):
            raise UsageError(
                f"{visible(text.path)} has no table [{'.'.join(walked)}]", hint=f"a suite is [{TABLE}] there"
            )
        found = found[name]
    return dict(found)


def _parsed(text: SuiteText) -> dict[str, Any]:
    import tomllib

    shown = visible(text.path)
    if len(text.content) > LARGEST_BYTES:
        raise UsageError(f"{shown} is larger than {LARGEST_BYTES >> 20} MiB", hint="is it the file of a suite?")
    try:
        return tomllib.loads(text.content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = text.content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{shown}, line {line}: it is not UTF-8", hint="save it as UTF-8") from None
    except RecursionError:
        raise UsageError(f"{shown} is nested too deeply") from None
    except ValueError as error:
        place = _PLACE.fullmatch(str(error))
        where = shown if place is None else f"{shown}, line {place[2]}, column {place[3]}"
        reason = str(error) if place is None else place[1]
        raise UsageError(f"{where}: it is no TOML: {visible(_lowered(reason), 300)}") from None


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
