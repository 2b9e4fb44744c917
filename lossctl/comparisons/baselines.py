"""Baselines: earlier results that gates compare with, read from result documents and kept in the repository by name.

A baseline is a result document as `--format json` writes it. Nothing moves one but `save`, for a name that is free, and
`bless`, which replaces what is there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossctl.documents import other_values, read_document
from lossctl.errors import DataError, EnvironmentFault, UsageError, reason_of, visible
from lossctl.results import InputInfo, LossResult, RunResult
from lossctl.strict_json import indented

FOLDER = ".lossctl/baselines"
EXTENSION = ".json"

# What a file of a result document is called; "v1.0" is a name.
_JSON = (".json", ".jsonl")
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
        theirs = {str(entry["role"]): entry for entry in self.document["inputs"]}
        ours = {info.role: info for info in inputs}
        for role in dict.fromkeys((*theirs, *ours)):
            if role not in ours:
                return f"it has {visible(role)}, this run has none"
            if role not in theirs:
                return f"this run has {visible(role)}, it has none"
            before, now = tuple(theirs[role]["shape"]), ours[role].shape
            if before != now:
                return f"its {visible(role)} has shape {before}, that of this run {now}"
            if other_values(ours[role].digest, theirs[role].get("digest")):
                return f"its {visible(role)} has other values than that of this run"
        return ""

    def _refused(self, why: str) -> DataError:
        return DataError(
            f"the baseline {visible(self.path)} cannot be compared: {why}",
            hint="make it anew, or give --baseline-any to compare it all the same",
        )


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
        raise DataError(f"cannot read {visible(folder)}: {reason_of(error)}") from None
    names = (file.removesuffix(EXTENSION) for file in files if file.endswith(EXTENSION))
    return sorted(name for name in names if _NAME.fullmatch(name))


def read_baseline(given: str, folder: str = FOLDER) -> Baseline:
    """A baseline: of a file, where `given` has a separator or the extension of JSON, else of that name in the folder.

    "-" is stdin. Raises DataError for what is no result document, or has no finite values to compare with.
    """
    is_file = given == "-" or os.path.basename(given) != given or given.lower().endswith(_JSON)
    path = given if is_file else path_of(given, folder)
    if not is_file and not os.path.lexists(path):
        names = ", ".join(kept(folder))
        known = (
            f"kept here: {names}"
            if names
            else f"`lossctl baseline save {given} RESULT.json` makes it of what eval -o RESULT.json wrote"
        )
        if os.path.isfile(given):
            known = f"for the file of this name write ./{visible(given)}"
        raise DataError(f"there is no baseline {visible(path)}", hint=known)
    document = read_document(path)
    for entry in document["results"]:
        if not _has_value(entry):
            raise DataError(
                f"{visible(path)} has no finite value of {visible(entry['loss'])}: it is no baseline",
                hint="make it of a run that has one",
            )
    return Baseline(path, document)


def _has_value(entry: Mapping[str, Any]) -> bool:
    """Whether a result has a finite value; a sum has the mean that gates may ask for as well."""
    total, weight = entry.get("sum"), entry.get("weight")
    has_mean = total is not None and weight is not None and weight > 0
    return entry["value"] is not None and (has_mean or entry.get("reduction") != "sum")


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
        raise EnvironmentFault(f"cannot make the folder {visible(folder)}: {reason_of(error)}") from None
    write_text(path, indented(baseline.document))
    return path
