"""What an earlier leaderboard has of a batch: the rows of files that are what they were, for the same command."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lossctl._version import __version__
from lossctl.batches.results import SCHEMA, Leaderboard, Row
from lossctl.catalogue.loss_spec import OWN
from lossctl.errors import DataError, LossctlError, reason_of, visible
from lossctl.files import write_text
from lossctl.sources.base import is_remote
from lossctl.sources.opening import STDIN, is_many
from lossctl.sources.shard_names import shard_paths
from lossctl.strict_json import indented, loads
from lossctl_kernels.records import field_names

if TYPE_CHECKING:
    from lossctl.requests import Request
    from lossctl.rows.inputs import InputFiles

MOST_BYTES = 256 << 20
DEEPEST = 20

_TEXTS = ("label", "loss", "unit", "reduction", "status", "signature")
_TAKEN = ("results", "gates", "inputs", "warnings")


def state_of(path: str) -> str | None:
    """What tells a file, or the files of a folder or glob, from what it may become: sizes, times of change, inodes.

    None for what cannot be told: a stream, a URL, a file that is not there.
    """
    if path == STDIN or is_remote(path):
        return None
    with suppress(OSError, ValueError, LossctlError):
        if not is_many(path):
            return _state(path)
        states = {name: _state(name) for name in shard_paths(path)}
        return None if None in states.values() else digest(states)
    return None


def _state(path: str) -> str | None:
    status = os.stat(path)
    known = stat.S_ISREG(status.st_mode)
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}" if known else None


def states_of(paths: Iterable[str]) -> str | None:
    """The same of several inputs together."""
    states = {path: state_of(path) for path in paths}
    return None if None in states.values() else digest(states)


def asked_of(
    request: Request, files: InputFiles, gates: Mapping[str, object], paths: Iterable[str]
) -> dict[str, str | None]:
    """Digests of a command, but for its files of predictions, and of the inputs `paths` as they are now.

    `gates` are the options of gates and statistics. A loss of one's own is an input too.
    """
    own = [found[1] for spec in request.specs if (found := OWN.fullmatch(spec.name))]
    computed = [request.reduction, request.backend, request.nonfinite, sorted(request.flags.items())]
    read = {name: getattr(files, name) for name in field_names(type(files)) if name != "predictions"}
    asked = [__version__, [spec.text for spec in request.specs], computed, sorted(read.items()), sorted(gates.items())]
    return {"command": digest(asked), "inputs": states_of([*paths, *own])}


def digest(value: Any) -> str:
    """Of JSON values; what is none stands for what it is written as."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()[:32]


class Earlier:
    """The rows of an earlier leaderboard by file; `why_not` says why none of them can be taken over, "" if they can."""

    def __init__(self, rows: Mapping[str, Row], why_not: str = "") -> None:
        self._rows, self.why_not = ({} if why_not else rows), why_not

    def row(self, row: Row) -> Row | None:
        """`row` with the results of its file, None where there are none or the file has changed."""
        found = self._rows.get(row.path)
        if found is None or found.state is None or found.state != row.state:
            return None
        return replace(found, name=row.name, fields=row.fields)


def read_earlier(path: str, request: Mapping[str, str | None]) -> Earlier:
    """What the leaderboard of this file has for a request; a file that does not exist has nothing.

    Raises DataError for a file that is no leaderboard.
    """
    try:
        # To read what is no file may take forever, and what is read of it cannot be written anew.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise _malformed(path, "it is not a regular file")
        with open(path, "rb") as handle:
            text = handle.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Earlier({})
    except OSError as error:
        raise DataError(f"cannot read {visible(path)}: {reason_of(error)}") from None
    if len(text) > MOST_BYTES:
        raise _malformed(path, f"it is larger than {MOST_BYTES >> 20} MiB")
    try:
        document = loads(text, DEEPEST)
    except ValueError as error:
        raise _malformed(path, f"it is not JSON ({visible(error)})") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise _malformed(path, f"its schema is not {SCHEMA}")
    entries = document.get("files")
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise _malformed(path, "its rows are not those of a leaderboard")
    rows = {entry["file"]: _row(entry) for entry in entries if entry["error"] is None}
    return Earlier(rows, _other(path, document.get("request"), request))


def _malformed(path: str, why: str) -> DataError:
    return DataError(
        f"{visible(path)} is no leaderboard to resume: {why}", hint="name a new file, or one of `lossctl batch … -o`"
    )


def _other(path: str, theirs: object, ours: Mapping[str, str | None]) -> str:
    if not isinstance(theirs, dict) or theirs.get("command") != ours["command"]:
        return f"{visible(path)} is of another command or version"
    if ours["inputs"] is None:
        return "targets or other inputs are a stream, a URL or not there, and may have changed"
    return "" if theirs.get("inputs") == ours["inputs"] else f"targets or other inputs are not those of {visible(path)}"


def _is_entry(entry: object) -> bool:
    """Whether it has all that is taken over of a row."""
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str) or "error" not in entry:
        return False
    if not all(isinstance(entry.get(name), list) for name in _TAKEN):
        return False
    if not isinstance(entry.get("seconds"), int | float) or not all(
        isinstance(each, str) for each in entry["warnings"]
    ):
        return False
    return (
        (entry["error"] is not None or bool(entry["results"]))
        and all(_is_result(each) for each in entry["results"])
        and all(_is_gate(each) for each in entry["gates"])
    )


def _is_result(entry: object) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in _TEXTS):
        return False
    numbers = [entry.get("value"), entry.get("sum"), entry.get("weight")]
    return (
        isinstance(entry.get("options"), dict)
        and isinstance(entry.get("samples"), int)
        and all(number is None or isinstance(number, int | float) for number in numbers)
    )


def _is_gate(entry: object) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), str) for name in ("expression", "verdict", "severity")
    )


def _row(entry: Mapping[str, Any]) -> Row:
    results = tuple(
        {name: each for name, each in result.items() if name != "difference"} for result in entry["results"]
    )
    return Row(
        path=entry["file"],
        name="",
        results=results,
        gates=tuple(entry["gates"]),
        inputs=tuple(entry["inputs"]),
        backend=str(entry.get("backend")),
        seconds=float(entry["seconds"]),
        warnings=tuple(entry["warnings"]),
        state=entry["state"] if isinstance(entry.get("state"), str) else None,
    )


def write_leaderboard(path: str, board: Leaderboard) -> None:
    """Writes the document, whole or not at all, for a later `read_earlier`."""
    write_text(path, indented(board.to_document()))
