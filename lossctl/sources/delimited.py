"""CSV and TSV: read once, in blocks that threads turn into numbers ahead of the one who takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources import records
from lossctl.sources.ahead import reading_threads, worked
from lossctl.sources.arrays import rechunk, stack_columns
from lossctl.sources.base import Array, ArrayInfo, Reader, Selection, option
from lossctl.sources.cells import CellParser
from lossctl.sources.input_file import InputFile
from lossctl.sources.records import Block, RecordFile
from lossctl.sources.selection import check_names, select_columns, text_columns
from lossctl_kernels.conversions import LARGEST_EXACT

DELIMITERS = {"csv": ",", "tsv": "\t"}
_OTHER_DELIMITERS = "\t;|,"
_BEGINNINGS_OF_JSON = ('{"', "[{", "[[")


def open_csv(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of comma-separated values with a header."""
    return _DelimitedReader(file, roles, "csv")


def open_tsv(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of tab-separated values with a header."""
    return _DelimitedReader(file, roles, "tsv")


def csv_contents(file: InputFile) -> list[str]:
    """The names of the columns."""
    return RecordFile(file, DELIMITERS["csv"]).header


def tsv_contents(file: InputFile) -> list[str]:
    """The names of the columns."""
    return RecordFile(file, DELIMITERS["tsv"]).header


class _DelimitedReader(Reader):
    """A prediction is float64. Another column is int64 or bool if every cell of it is, float64 otherwise.

    Its first block tells what a column holds. Where decimals follow whole numbers further down, its chunks are int64
    up to them and float64 from there on: labels never pass through a float, the file is read once, and no value
    depends on the size of a chunk.
    """

    def __init__(self, file: InputFile, roles: dict[str, Selection], name: str) -> None:
        delimiter = DELIMITERS[name]
        self._file = RecordFile(file, delimiter)
        self._name = file.name
        self._format = name
        names = self._file.header
        check_names(file.name, names)
        self._columns = self._selected(names, roles)
        self._texts = text_columns(file.name, roles, self._columns)
        self._gaps = any(selection.gaps for selection in roles.values())
        predicted = [name for name in self._columns.get("prediction", ()) if name not in self._texts]
        labels = self._columns.get("target", ())
        self._cells = CellParser(self._file, delimiter, self._texts, self._gaps, predicted, labels)
        wanted = {column for columns in self._columns.values() for column in columns}
        kinds = dict.fromkeys(self._columns.get("prediction", ()), "float64") | dict.fromkeys(self._texts, "text")
        first = next(self._file.blocks(), None)
        if first is not None:
            self._check_first(first, predicted[:1])
        others = [name for name in names if name in wanted and name not in kinds]
        self._kinds = kinds | self._kinds_at_first(first, others)
        self.arrays = self._describe(None)

    def _check_first(self, block: Block, columns: list[str]) -> None:
        """Raises DataError where the first row holds no number: of lists, shapes would be told before."""
        record = self._file.first_record(block)
        self._file.check_text(record)
        fault = self._cells.fault(record, dict.fromkeys(columns, "float64"))
        if fault is not None:
            raise self._no_header("prediction") or fault

    def _no_header(self, role: str) -> DataError | None:
        """What is wrong with a table that begins with something else than the names of columns between delimiters."""
        header = self._file.header
        if header[0].startswith(_BEGINNINGS_OF_JSON):
            return DataError(
                f"{self._name}, line 1: JSON stands where the names of the columns are looked for",
                hint=f"{option(role, 'format')} jsonl",
            )
        # As spreadsheets write what stands between cells, and programs what made the file.
        if header[0].startswith("sep=") or (len(header) == 1 and header[0].startswith("#")):
            return DataError(
                f"{self._name}, line 1: '{visible(header[0])}' stands where the names of the columns are looked for",
                hint="remove the lines before the names",
            )
        other = next((each for each in _OTHER_DELIMITERS if len(header) == 1 and each in header[0]), None)
        if other in (None, DELIMITERS[self._format]):
            return None
        format = next((name for name, stop in DELIMITERS.items() if stop == other), None)
        return DataError(
            f"{self._name}, line 1: the header is one name, '{visible(header[0])}': the cells stand between "
            f"'{visible(other)}', and those of {self._format} between '{visible(DELIMITERS[self._format])}'",
            hint=f"{option(role, 'format')} {format}" if format else "write commas between cells, points in numbers",
        )

    def _selected(self, names: list[str], roles: dict[str, Selection]) -> dict[str, tuple[str, ...]]:
        """The columns of each role. Raises DataError where none is found since the first line holds something else."""
        try:
            return select_columns(self._name, names, roles)
        except UsageError:
            fault = self._no_header(next(iter(roles)))
            if fault is None:
                raise
            raise fault from None

    def _describe(self, rows: int | None) -> dict[str, ArrayInfo]:
        return {
            role: ArrayInfo(
                self._file.file.path,
                self._format,
                columns,
                (rows,) if len(columns) == 1 else (rows, len(columns)),
                self._dtype_of(role, self._kinds).name,
            )
            for role, columns in self._columns.items()
        }

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(), rows)

    def _parts(self) -> Iterator[dict[str, Array]]:
        rows = 0
        kinds = dict(self._kinds)
        settled: set[str] = set()
        for block, found in self._parsed(kinds):
            if found is None:
                now, values = self._kinds_in(block, kinds)
                kinds.update(now)
                large = _inexact(values)
            else:
                values, large = found
            for column in large - settled:
                settled.add(column)
                if kinds[column] == "int64":
                    # Whole numbers that float64 does not hold are refused later on, but not in a column of decimals.
                    kinds[column] = self._kind_to_the_end(block, column)
            rows += len(next(iter(values.values())))
            yield {
                role: stack_columns([values[column] for column in columns], self._dtype_of(role, kinds))
                for role, columns in self._columns.items()
            }
        self._kinds = kinds
        self.arrays = self._describe(rows)

    def _parsed(self, kinds: Mapping[str, str]) -> Iterable[tuple[Block, tuple[dict[str, Array], set[str]] | None]]:
        """Each block, its columns, and which of them are `_inexact`.

        None for both where the columns are not all of the `kinds` known when they were parsed.
        """

        def attempt(block: Block) -> tuple[dict[str, Array], set[str]] | None:
            try:
                values = self._cells.values(block, dict(kinds))
            except DataError:
                return None
            return values, _inexact(values)

        threads = reading_threads() if self._file.file.size > records.BLOCK_BYTES else 0
        return worked(attempt, self._file.blocks(), threads)

    def place(self, role: str, row: int, column: int | None = None) -> str:
        columns = self._columns[role]
        place = f"{self._name}, line {self._file.line_of(row)}"
        if column is None and len(columns) > 1:
            return place
        return f"{place}, column '{visible(columns[column or 0])}'"

    def close(self) -> None:
        self._file.file.close()

    def _dtype_of(self, role: str, kinds: Mapping[str, str]) -> np.dtype[Any]:
        found = {kinds[column]: column for column in self._columns[role]}
        if "text" in found:
            import pyarrow as pa

            from lossctl.sources.text import text_dtype

            return np.dtype(text_dtype(self._texts[found["text"]], pa.string()))
        if "bool" in found and len(found) > 1:
            number = next(column for kind, column in found.items() if kind != "bool")
            raise DataError(
                f"{self._name}: the {role} is made of column '{visible(found['bool'])}' of true and false and "
                f"column '{visible(number)}' of numbers",
                hint="write all of them as 0 and 1",
            )
        inexact = "float64" in found or (self._gaps and "bool" in found)
        return np.dtype("float64" if inexact else next(iter(found)))

    def _kinds_at_first(self, block: Block | None, columns: list[str]) -> dict[str, str]:
        """What each column holds in the first block, as its first row says if the others bear it out."""
        if block is None or not columns:
            return dict.fromkeys(columns, "float64")
        self._file.check_text(block)
        guess = self._cells.kinds_at(self._file.first_record(block), columns)
        return self._kinds_in(block, guess, dict.fromkeys(columns))[0]

    def _kind_to_the_end(self, block: Block, column: str) -> str:
        """What a column of whole numbers holds from `block` to the end of the file."""
        kind = "int64"
        for later in self._file.blocks(block.offset):
            kind = self._kinds_in(later, {column: kind})[0][column]
            if kind == "float64":
                break
        return kind

    def _kinds_in(
        self, block: Block, guess: dict[str, str], before: Mapping[str, str | None] | None = None
    ) -> tuple[dict[str, str], dict[str, Array]]:
        """What columns hold up to the end of `block`, and their values in it: what is guessed, if that is right.

        `before` says what they held before it, if that is not the guess. Raises DataError where a column is not of one
        kind: true and false among numbers, or a cell that is neither.
        """
        self._file.check_text(block)
        try:
            return guess, self._cells.values(block, guess)
        except DataError:
            now = self._cells.kinds_after(block, before or guess)
            return now, self._cells.values(block, now)


def _inexact(values: Mapping[str, Array]) -> set[str]:
    """The columns of whole numbers of which float64 may not hold some."""
    whole = {column: array for column, array in values.items() if array.dtype.kind == "i" and array.size}
    return {name for name, array in whole.items() if array.min() < -LARGEST_EXACT or array.max() > LARGEST_EXACT}
