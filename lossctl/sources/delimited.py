"""CSV and TSV: parsed by Arrow a block at a time, only the columns needed, every cell held to a number's grammar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isinf
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from lossctl.errors import DataError, visible
from lossctl.sources.arrays import rechunk, stack_columns
from lossctl.sources.arrow import from_arrow
from lossctl.sources.base import Array, ArrayInfo, Reader, Selection
from lossctl.sources.input_file import InputFile
from lossctl.sources.records import BYTE_ORDER_MARK, FALSE, INTEGER, NONFINITE, NUMBER, TRUE, Block, RecordFile
from lossctl.sources.selection import check_names, select_columns

_TYPES: dict[str, Any] = {"bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64()}
_MEANINGS = {"bool": "true or false", "int64": "a number", "float64": "a number"}


def open_csv(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of comma-separated values with a header."""
    return _DelimitedReader(file, roles, "csv", ",")


def open_tsv(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of tab-separated values with a header."""
    return _DelimitedReader(file, roles, "tsv", "\t")


class _DelimitedReader(Reader):
    """A prediction is float64. Another column is int64 or bool if every cell of it is, float64 otherwise.

    To know that before the first chunk is delivered, a column that looks whole in the first block is read to its end
    when the file is opened: labels never pass through a float, and the dtype does not depend on the size of a chunk.
    """

    def __init__(self, file: InputFile, roles: dict[str, Selection], name: str, delimiter: str) -> None:
        self._file = RecordFile(file, delimiter)
        self._delimiter = delimiter
        self._name = file.name
        names = self._file.header
        check_names(file.name, names)
        self._columns = select_columns(file.name, names, roles)
        kinds = dict.fromkeys(self._columns.get("prediction", ()), "float64")
        rest = {column for columns in self._columns.values() for column in columns} - set(kinds)
        self._rows, found = self._find_kinds([name for name in names if name in rest]) if rest else (None, {})
        self._kinds = kinds | found
        self._dtypes = {role: self._dtype_of(role) for role in roles}
        self.arrays = {
            role: ArrayInfo(
                file.path,
                name,
                columns,
                (self._rows,) if len(columns) == 1 else (self._rows, len(columns)),
                self._dtypes[role].name,
            )
            for role, columns in self._columns.items()
        }

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(), rows)

    def _parts(self) -> Iterator[dict[str, Array]]:
        for block in self._file.blocks():
            values = self._convert(block, self._kinds)
            yield {
                role: stack_columns([values[column] for column in columns], self._dtypes[role])
                for role, columns in self._columns.items()
            }

    def place(self, role: str, row: int, column: int | None = None) -> str:
        columns = self._columns[role]
        place = f"{self._name}, line {self._file.line_of(row)}"
        if column is None and len(columns) > 1:
            return place
        return f"{place}, column '{visible(columns[column or 0])}'"

    def close(self) -> None:
        self._file.file.close()

    def _dtype_of(self, role: str) -> np.dtype[Any]:
        kinds = {self._kinds[column]: column for column in self._columns[role]}
        if "bool" in kinds and len(kinds) > 1:
            number = next(column for kind, column in kinds.items() if kind != "bool")
            raise DataError(
                f"{self._name}: the {role} is made of column '{visible(kinds['bool'])}' of true and false and "
                f"column '{visible(number)}' of numbers",
                hint="write all of them as 0 and 1",
            )
        return np.dtype("float64" if "float64" in kinds else next(iter(kinds)))

    def _find_kinds(self, columns: list[str]) -> tuple[int | None, dict[str, str]]:
        """What each column holds, and the number of rows where that took reading them all."""
        kinds: dict[str, str] = {}
        rows = 0
        for block in self._file.blocks():
            undecided = [column for column in columns if kinds.get(column) != "float64"]
            if not undecided:
                return None, kinds
            found, size = self._kinds_in(block, {column: kinds.get(column) for column in undecided})
            kinds |= found
            rows += size
        return rows, kinds or dict.fromkeys(columns, "float64")

    def _kinds_in(self, block: Block, before: dict[str, str | None]) -> tuple[dict[str, str], int]:
        """What columns hold up to the end of `block`, given what they held before it, and the block's rows.

        Raises DataError where that is not one kind: true and false among numbers, or a cell that is neither.
        """
        guess = {column: kind or "int64" for column, kind in before.items()}
        try:
            values = self._convert(block, guess)
        except DataError:
            guess = {column: self._kind_after(block, column, kind) for column, kind in before.items()}
            values = self._convert(block, guess)
        return guess, len(next(iter(values.values())))

    def _kind_after(self, block: Block, column: str, before: str | None) -> str:
        cells = (cell.strip(" \t") for cell in self._texts(block, column))
        first = next(cells, "")
        if first in TRUE + FALSE:
            kind = "bool" if all(cell in TRUE + FALSE for cell in cells) else "float64"
        else:
            whole = INTEGER.fullmatch(first) and all(INTEGER.fullmatch(cell) for cell in cells)
            kind = "int64" if whole else "float64"
        # Whole numbers were exact as they were read: only they may turn out to be the start of a column of decimals.
        return kind if before is None or (before, kind) == ("int64", "float64") else before

    def _texts(self, block: Block, column: str) -> list[Any]:
        try:
            return self._parse(block, {column: pa.string()}).column(column).to_pylist()
        except pa.ArrowException as error:
            raise self._fault(block, {}) or self._refused(block, error) from error

    def _convert(self, block: Block, kinds: Mapping[str, str]) -> dict[str, Array]:
        """The columns of `kinds`, each of its kind. Raises DataError for the first row or cell that is malformed."""
        try:
            table = self._parse(block, {column: _TYPES[kind] for column, kind in kinds.items()})
        except pa.ArrowException as error:
            raise self._fault(block, kinds) or self._refused(block, error) from error
        values = {column: from_arrow(table.column(column)) for column in kinds}
        if self._has_odd_spelling(block, kinds, values) and (fault := self._fault(block, kinds)):
            raise fault
        return values

    def _parse(self, block: Block, types: dict[str, Any]) -> pa.Table:
        return csv.read_csv(
            pa.BufferReader(block.data),  # type: ignore[arg-type]  # the stubs want Python's files
            csv.ReadOptions(column_names=self._file.header, block_size=len(block.data) + 1),
            # An empty line is a row with an empty cell: to skip it would shift all below it.
            csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[],
                true_values=list(TRUE),
                false_values=list(FALSE),
            ),
        )

    def _has_odd_spelling(self, block: Block, kinds: Mapping[str, str], values: Mapping[str, Array]) -> bool:
        """Whether Arrow may have taken for a number what is none: 0x10, nan(7), 1e999, a byte order mark and a 1."""
        if block.data.startswith(BYTE_ORDER_MARK):
            return True
        # A byte is found much faster than two.
        hexadecimal = (b"x" in block.data and b"0x" in block.data) or (b"X" in block.data and b"0X" in block.data)
        if hexadecimal and "int64" in kinds.values():
            return True
        for column, array in values.items():
            rows = np.flatnonzero(~np.isfinite(array)) if kinds[column] == "float64" else ()
            if len(rows):
                texts = self._texts(block, column)
                if not all(NONFINITE.fullmatch(texts[row].strip(" \t")) for row in rows):
                    return True
        return False

    def _fault(self, block: Block, kinds: Mapping[str, str]) -> DataError | None:
        """The first row of `block` of another width than the header, or cell that is not of its column's kind."""
        header = self._file.header
        positions = {column: header.index(column) for column in kinds}
        for cells, line in self._file.records(block):
            place = f"{self._name}, line {line}"
            if len(cells) != len(header):
                if cells == [""]:
                    return DataError(f"{place}: the line is empty", hint="remove it")
                return DataError(
                    f"{place}: {len(cells)} cells; the header has {len(header)}",
                    hint="quote cells that hold delimiters",
                )
            for column, position in positions.items():
                if why := _wrong(cells[position], kinds[column]):
                    return DataError(f"{place}, column '{visible(column)}': {why}", hint=_remedy(cells[position]))
        return None

    def _refused(self, block: Block, error: pa.ArrowException) -> DataError:
        """What Arrow refuses and the grammar here does not."""
        return DataError(f"{self._name}, from line {block.line} on: {visible(error)}")


def _wrong(cell: str, kind: str) -> str | None:
    """Why `cell` is not of `kind`, or None if it is."""
    text = cell.strip(" \t")
    if kind == "bool" and cell in TRUE + FALSE:
        return None
    if kind == "int64" and INTEGER.fullmatch(text):
        digits = text.lstrip("-").lstrip("0") or "0"
        fits = len(digits) < 20 and int(digits) < 2**63 + text.startswith("-")
        return None if fits else f"'{visible(cell)}' does not fit in 64 bits"
    if kind == "float64" and NUMBER.fullmatch(text):
        overflows = isinf(float(text)) and not NONFINITE.fullmatch(text)
        return f"'{visible(cell)}' is beyond the range of float64" if overflows else None
    return f"'{visible(cell)}' is not {_MEANINGS[kind]}"


def _remedy(cell: str) -> str:
    if not cell.strip():
        return "fill the empty cell or drop its row"
    if re.fullmatch(r"[+-]?[0-9]*,[0-9]+", cell):
        return "write numbers with a decimal point"
    return "write a number, and a class as its index counted from 0"
