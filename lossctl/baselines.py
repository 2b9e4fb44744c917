"""Baselines: earlier results that gates compare with, read from result documents and kept in the repository by name.

A baseline is a result document as `--format json` writes it. Nothing moves one but `save`, for a name that is free, and
`bless`, which replaces what is there.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossctl.errors import DataError, EnvironmentFault, UsageError, visible
from lossctl.results import SCHEMA, InputInfo, LossResult, RunResult

__all__ = ["FOLDER", "Baseline", "kept", "path_of", "read_baseline", "store"]

FOLDER = ".lossctl/baselines"
EXTENSION = ".json"
LARGEST_BYTES = 64 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# Another version computes the same function, or its changelog says that it does not.
_NOT_COMPARED = ("lossctl",)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A result document with finite values, and where it came from."""

    path: str
    document: Mapping[str, Any]

    @property
    def entries(self) -> list[Mapping[str, Any]]:
        """The losses that it has."""
        return list(self.document["results"])

    @property
    def version(self) -> str:
        """That of the program that wrote it."""
        return str(self.document.get("version", ""))

    def entries_of(
        self, run: RunResult, *, anyway: bool = False, only: Collection[int] | None = None
    ) -> list[Mapping[str, Any] | None]:
        """The entry for each result of a run, or for those `only`, None for the others.

        `anyway` takes the entry of the same loss, however it was computed and of whatever data. Raises DataError where
        there is none that can be compared.
        """
        if not anyway and (difference := self._of_inputs(run.inputs)):
            raise self._refused(f"its data is another: {difference}")
        return [
            self._entry_of(result, anyway) if only is None or position in only else None
            for position, result in enumerate(run.results)
        ]

    def _entry_of(self, result: LossResult, anyway: bool) -> Mapping[str, Any]:
        same = [entry for entry in self.entries if entry["loss"] == result.loss]
        if not same:
            losses = ", ".join(visible(entry["loss"]) for entry in self.entries)
            raise DataError(f"the baseline {visible(self.path)} has no {visible(result.loss)}", hint=f"it has {losses}")
        differences = [_of_signatures(entry["signature"], result.signature) for entry in same]
        closest = min(range(len(same)), key=lambda position: len(differences[position]))
        if differences[closest] and not anyway:
            raise self._refused(f"its {visible(result.loss)} is another number: {'; '.join(differences[closest])}")
        return same[closest]

    def _of_inputs(self, inputs: Sequence[InputInfo]) -> str:
        """How the data differs, "" where it may be the same: predictions are expected to have other values."""
        theirs = {str(entry["role"]): [int(size) for size in entry["shape"]] for entry in self.document["inputs"]}
        ours = {info.role: list(info.shape) for info in inputs}
        for role in dict.fromkeys((*theirs, *ours)):
            if role not in ours:
                return f"it has {visible(role)}, this run has none"
            if role not in theirs:
                return f"this run has {visible(role)}, it has none"
            if ours[role] != theirs[role]:
                return f"its {visible(role)} has shape {_shape(theirs[role])}, that of this run {_shape(ours[role])}"
        return ""

    def _refused(self, why: str) -> DataError:
        return DataError(
            f"the baseline {visible(self.path)} cannot be compared: {why}",
            hint="make it anew, or give --baseline-any to compare it all the same",
        )


def _shape(sizes: Sequence[int]) -> str:
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"


def _of_signatures(theirs: str, ours: str) -> list[str]:
    """What makes two numbers different functions of their data, part by part."""
    first, second = _parts(theirs), _parts(ours)
    return [
        f"{visible(name)} was {visible(first.get(name, 'not there'))}, is {visible(second.get(name, 'not there'))}"
        for name in dict.fromkeys((*first, *second))
        if name not in _NOT_COMPARED and first.get(name) != second.get(name)
    ]


def _parts(signature: str) -> dict[str, str]:
    loss, *options = signature.split("|")
    return {"loss": loss} | {name: value for name, _, value in (option.partition("=") for option in options)}


# ---- files


def path_of(name: str, folder: str) -> str:
    """The file of the baseline of that name. Raises UsageError for what is no name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{visible(name)}' is no name of a baseline", hint="letters, digits, '.', '-' and '_', such as main"
        )
    return os.path.join(folder, name + EXTENSION)


def kept(folder: str) -> list[str]:
    """The names of the baselines in a folder, in order; none where there is no folder."""
    try:
        files = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"cannot read {visible(folder)}: {_reason(error)}") from None
    names = (file.removesuffix(EXTENSION) for file in files if file.endswith(EXTENSION))
    return sorted(name for name in names if _NAME.fullmatch(name))


def read_baseline(given: str, folder: str = FOLDER) -> Baseline:
    """A baseline: of a file, where `given` has a separator or an extension, else of that name in the folder.

    "-" is stdin. Raises DataError for what is no result document, or has no finite values to compare with.
    """
    is_file = given == "-" or os.sep in given or os.path.splitext(given)[1]
    path = given if is_file else path_of(given, folder)
    try:
        text = _read(path)
    except FileNotFoundError:
        names = ", ".join(kept(folder))
        known = f"kept here: {names}" if names else "make one with `lossctl baseline save NAME RESULT.json`"
        raise DataError(f"there is no baseline {visible(path)}", hint=known) from None
    except OSError as error:
        raise DataError(f"cannot read the baseline {visible(path)}: {_reason(error)}") from None
    except UnicodeDecodeError:
        raise _malformed(path, "it is not UTF-8") from None
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, f"it is not JSON ({visible(error, 80)})") from None
    _check(path, document)
    return Baseline(path, document)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _read(path: str) -> str:
    import sys

    if path == "-":
        data = sys.stdin.buffer.read(LARGEST_BYTES + 1)
    else:
        with open(path, "rb") as handle:
            data = handle.read(LARGEST_BYTES + 1)
    if len(data) > LARGEST_BYTES:
        raise _malformed(path, f"it has more than {LARGEST_BYTES} bytes")
    return data.decode("utf-8")


def _reason(error: OSError) -> str:
    return visible((error.strerror or str(error)).lower())


def _malformed(path: str, why: str) -> DataError:
    return DataError(
        f"{visible(path)} is no result document: {why}", hint="write one with `lossctl eval … -o result.json`"
    )


def _check(path: str, document: object) -> None:
    """Raises DataError unless all that a comparison looks at is there and is what it should be."""
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise _malformed(path, f"its schema is {visible(found)}, not {SCHEMA}")
    results, inputs = document.get("results"), document.get("inputs")
    if not isinstance(results, list) or not results:
        raise _malformed(path, "it has no results")
    if not isinstance(inputs, list) or not all(_is_input(entry) for entry in inputs):
        raise _malformed(path, "it does not say what its inputs were")
    for position, entry in enumerate(results):
        _check_entry(path, position, entry)


def _is_input(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("role"), str):
        return False
    shape = entry.get("shape")
    return isinstance(shape, list) and all(isinstance(size, int) for size in shape)


def _check_entry(path: str, position: int, entry: object) -> None:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("loss", "signature")):
        raise _malformed(path, f"result {position + 1} has no loss or no signature")
    if not _is_number(entry.get("value")):
        raise DataError(
            f"{visible(path)} has no finite value of {visible(entry['loss'])}: it is no baseline",
            hint="make it of a run that has one",
        )
    counts = ("samples", "nonfinite", "clipped", "degenerate", "skipped")
    numbers = [entry.get(name, 0) for name in counts]
    stats = entry.get("stats", {})
    numbers += [number for number in (entry.get("sum"), entry.get("weight")) if number is not None]
    if not isinstance(stats, dict) or not all(
        _is_number(number) for number in (*numbers, *(number for number in stats.values() if number is not None))
    ):
        raise _malformed(path, f"result {position + 1} has numbers that are none")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def store(baseline: Baseline, name: str, folder: str, *, replace: bool) -> str:
    """Writes a baseline under a name, and returns its path. The folder is made where there is none.

    Raises UsageError for a name that is taken, or with `replace` for one that is free.
    """
    from lossctl.files import write_text

    path = path_of(name, folder)
    if os.path.lexists(path) != replace:
        if replace:
            hint = f"`lossctl baseline save {name} RESULT.json` makes it"
            raise UsageError(f"there is no baseline '{name}' to replace", hint=hint)
        hint = f"`lossctl baseline bless {name} RESULT.json` replaces it"
        raise UsageError(f"there is a baseline '{name}' already", hint=hint)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot make the folder {visible(folder)}: {_reason(error)}") from None
    write_text(path, json.dumps(baseline.document, indent=2, allow_nan=False) + "\n")
    return path
