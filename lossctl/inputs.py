"""From the files and columns that a command names to a feed: what comes from where is decided here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from lossctl.errors import UsageError, visible
from lossctl.feed import Feed
from lossctl.sources import Reader, Selection, open_reader

__all__ = ["InputFiles", "class_weights", "open_feed"]


@dataclass(frozen=True)
class InputFiles:
    """The inputs of a command, as its user named them."""

    predictions: str
    targets: str | None = None
    pred_columns: tuple[str, ...] | None = None
    target_columns: tuple[str, ...] | None = None
    weights: str | None = None
    weight_column: str | None = None
    pred_format: str | None = None
    target_format: str | None = None

    @property
    def paths(self) -> list[str]:
        return [path for path in (self.predictions, self.targets, self.weights) if path is not None]


@dataclass(frozen=True)
class _Part:
    """One role: the file that it comes from, and what to take from it."""

    role: str
    path: str
    format: str | None
    selection: Selection


def open_feed(files: InputFiles) -> Feed:
    """Opens everything. One table is opened once, whatever it delivers. Raises UsageError and DataError."""
    if "" in files.paths:
        raise UsageError("an input has an empty name", hint="is it a shell variable that is not set?")
    readers: list[Reader] = []
    try:
        for group in _by_table(_parts(files)):
            readers.append(
                open_reader(group[0].path, {part.role: part.selection for part in group}, format=group[0].format)
            )
        return Feed(readers)
    except BaseException:
        for reader in readers:
            reader.close()
        raise


def _parts(files: InputFiles) -> list[_Part]:
    if files.targets is None and files.target_columns is None:
        raise UsageError(
            f"there are no targets for {visible(files.predictions)}",
            hint="name a second file, or --target-col where one table holds both",
        )
    parts = [_Part("prediction", files.predictions, files.pred_format, Selection(files.pred_columns))]
    shares = files.targets is None
    parts.append(
        _Part(
            "target",
            files.predictions if files.targets is None else files.targets,
            files.pred_format if shares and files.target_format is None else files.target_format,
            Selection(files.target_columns),
        )
    )
    if files.weights is not None or files.weight_column is not None:
        selection = Selection(None if files.weight_column is None else (files.weight_column,))
        path, format = (files.weights, None) if files.weights is not None else (files.predictions, files.pred_format)
        parts.append(_Part("weights", path, format, selection))
    return parts


def _by_table(parts: list[_Part]) -> Iterable[list[_Part]]:
    """Parts that name columns of one file, together."""
    groups: dict[tuple[str, str | None], list[_Part]] = {}
    for part in parts:
        named = part.selection.columns is not None
        key = (os.path.realpath(part.path), part.format) if named else (part.role, part.format)
        groups.setdefault(key, []).append(part)
    return groups.values()


def class_weights(path: str) -> tuple[float, ...]:
    """The weights of the classes, one a row of a file."""
    if not path:
        raise UsageError("the file of class weights has an empty name", hint="is it a shell variable that is not set?")
    with open_reader(path, {"class weights": Selection(None)}) as reader:
        return tuple(float(weight) for chunk in reader.chunks(1 << 16) for weight in chunk["class weights"].reshape(-1))
