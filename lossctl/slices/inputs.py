"""Where the columns of slices are, and readers of them and of the numbers of rows, beside the data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lossctl.errors import DataError, UsageError, visible
from lossctl.guesses import did_you_mean
from lossctl.rows.input_parts import Part, is_stream
from lossctl.sources import Reader, Selection, contents
from lossctl.sources.base import ROW_ROLE, SLICE_ROLE, Array, ArrayInfo, WrappedReader

if TYPE_CHECKING:
    from lossctl.rows.inputs import InputFiles


class Place(NamedTuple):
    """A file with its format, None for what its name says, and whether its one array has no name."""

    path: str
    format: str | None
    nameless: bool = False


def slice_parts(files: InputFiles) -> list[Part]:
    """The columns of the slices of a command. Raises UsageError for one that is nowhere, or in two tables."""
    found = []
    for name, encoder in files.by.items():
        place = place_of(files, name, "--by")
        if place.nameless and len(files.by) > 1:
            raise UsageError(
                f"{visible(place.path)} holds one array, and --by names {len(files.by)} columns",
                hint="save them in a table, or with np.savez",
            )
        selection = Selection(None if place.nameless else (name,), encoder=encoder)
        found.append(Part(f"{SLICE_ROLE}{name}", place.path, place.format, selection))
    return found


def place_of(files: InputFiles, name: str, option: str) -> Place:
    """The table that has a column, among the one of `--by-file`, PREDS and TARGETS. Raises UsageError."""
    if files.by_file is not None:
        names = contents(files.by_file)
        if names is None or name in names:
            return Place(files.by_file, None, names is None)
        raise _absent(name, option, [(files.by_file, names)])
    places = _places(files)
    tables = [(place, contents(place.path, format=place.format) or []) for place in places if not is_stream(place.path)]
    holding = [place for place, names in tables if name in names]
    # What is in a stream only its reader tells.
    holding = holding or [place for place in places if is_stream(place.path)][:1]
    if not holding:
        raise _absent(name, option, [(place.path, names) for place, names in tables])
    if len(holding) > 1 and name not in files.on:
        raise UsageError(
            f"both {visible(holding[0].path)} and {visible(holding[1].path)} have the column '{visible(name)}' of "
            f"{option}",
            hint=f"say which with --by-file {visible(holding[0].path)}",
        )
    return holding[0]


def _places(files: InputFiles) -> list[Place]:
    """The tables of the data, each once."""
    found = [Place(files.predictions, files.pred_format)]
    if files.targets is not None and not _same(files.targets, files.predictions):
        found.append(Place(files.targets, files.target_format))
    return found


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def _absent(name: str, option: str, tables: Sequence[tuple[str, Sequence[str]]]) -> UsageError:
    guess = did_you_mean(name, (each for _, names in tables for each in names), quoted=True)
    listed = "; ".join(
        f"{visible(path)} has {', '.join(visible(each, 40) for each in names[:20])}{', …' if len(names) > 20 else ''}"
        if names
        else f"{visible(path)} has no columns"
        for path, names in tables
    )
    return UsageError(
        f"there is no column '{visible(name)}' ({option})", hint=f"{guess}{listed}; --by-file FILE names another table"
    )


class NumberedReader(WrappedReader):
    """Another reader, with the number of each row in its file beside the row."""

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self.arrays = self._described()

    def _described(self) -> dict[str, ArrayInfo]:
        first = next(iter(self._reader.arrays.values()))
        numbers = ArrayInfo(first.path, first.format, (), first.shape[:1], "int64")
        return {**self._reader.arrays, ROW_ROLE: numbers}

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        import numpy as np

        first = 0
        for chunk in self._reader.chunks(rows):
            count = len(next(iter(chunk.values())))
            yield {**chunk, ROW_ROLE: np.arange(first, first + count)}
            first += count
        self.arrays = self._described()


class JoinedReader(Reader):
    """Two readers of one file, of different roles, as one."""

    def __init__(self, reader: Reader, beside: Reader) -> None:
        self._reader, self._beside = reader, beside
        self.arrays = {**reader.arrays, **beside.arrays}

    def begin(self) -> None:
        self._reader.begin()
        self._beside.begin()

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        for part, beside in zip(self._reader.chunks(rows), self._beside.chunks(rows), strict=True):
            yield {**part, **beside}
        self.arrays = {**self._reader.arrays, **self._beside.arrays}

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return (self._beside if role in self._beside.arrays else self._reader).place(role, row, column)

    def close(self) -> None:
        self._reader.close()
        self._beside.close()


def check_column(info: ArrayInfo) -> None:
    """Raises DataError unless an array has one value a row."""
    if any(size != 1 for size in info.shape[1:]):
        raise DataError(
            f"{visible(info.path)} has more than one value a row: shape {info.shape_text}",
            hint="slices are by one column",
        )
