"""Cells of delimited text to numbers, a block at a time: by compiled code where they are plain, else by Arrow.

Every cell is held to a number's grammar, and the first that is malformed is an error with its line. pyarrow is loaded
when a block needs it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from math import isinf
from typing import TYPE_CHECKING, Any

import numpy as np

from lossctl.errors import DataError, LossctlError, visible
from lossctl.process import address_space, settle_arrow
from lossctl.sources.base import Array, Selection
from lossctl.sources.records import BYTE_ORDER_MARK, FALSE, INTEGER, NONFINITE, NUMBER, TRUE, Block, RecordFile
from lossctl_kernels.conversions import LARGEST_EXACT

if TYPE_CHECKING:
    import pyarrow as pa

    from lossctl_kernels import decimals

# From here on, compiling the parser is repaid by the first few tables of this size.
COMPILED_BYTES = 256 << 20

# What LLVM and Arrow take together, of addresses: a process that has fewer (ulimit -v) does without the first.
_COMPILER_BYTES = 1 << 30

_MEANINGS = {"bool": "true or false", "int64": "a number", "float64": "a number"}
_PLAIN_KINDS = ("int64", "float64")

# What other tools write for a number that is missing.
_MISSING = frozenset(
    [
        "na",
        "n/a",
        "#n/a",
        "<na>",
        "null",
        "none",
        "nil",
        "nat",
        "missing",
        "undefined",
        "\\n",
        ".",
        "-",
        "--",
        "?",
        "#div/0!",
        "#ref!",
        "#value!",
        "#num!",
        "#name?",
    ]
)


class CellParser:
    """The cells of a table's columns as numbers; kinds of columns are "int64", "float64", "bool" and "text".

    `texts` says what is made of those that are text. With `gaps` an empty cell is NaN, and truth is told in float64.
    In the columns `exact`, those of predictions, of float64, a whole number is one that float64 holds. The columns
    `labels`, those of targets, may hold classes.
    """

    def __init__(
        self,
        file: RecordFile,
        delimiter: str,
        texts: Mapping[str, Selection],
        gaps: bool,
        exact: Collection[str],
        labels: Collection[str],
    ) -> None:
        self._texts_of, self._gaps, self._exact, self._labels = texts, gaps, frozenset(exact), frozenset(labels)
        self._file = file
        self._name = file.file.name
        self._delimiter = delimiter
        self._plain = _row_parser(file.file.size)

    def values(self, block: Block, kinds: Mapping[str, str]) -> dict[str, Array]:
        """The columns of `kinds`, each of its kind. Raises DataError for the first row or cell that is malformed."""
        self._file.check_text(block)
        if self._gaps:
            self._check_no_line_is_empty(block)
        numbers = {column: kind for column, kind in kinds.items() if kind != "text"}
        found = self._plain_values(block, numbers) if numbers else {}
        found = self._arrow_values(block, numbers) if found is None else found
        for column in self._exact.intersection(found):
            self._check_exact(block, column, found[column])
        return found if len(numbers) == len(kinds) else found | self._text_values(block, kinds)

    def _check_exact(self, block: Block, column: str, values: Array) -> None:
        """Raises DataError for a whole number that has been rounded; a number with a decimal point may be."""
        if not values.size or (values.min() > -LARGEST_EXACT and values.max() < LARGEST_EXACT):
            return
        rows = np.flatnonzero(np.isfinite(values) & (np.abs(values) >= LARGEST_EXACT))
        texts = next(self._texts(block, column)) if rows.size else []
        for row in rows.tolist():
            digits = texts[row].strip(" \t").lstrip("+-").lstrip("0")
            if digits.isdecimal() and int(digits) != abs(int(values[row])):
                line = self._file.line_of(self._file.rows_before(block) + row)
                raise DataError(
                    f"{self._name}, line {line}, column '{visible(column)}': {visible(texts[row])} is a whole number "
                    "that float64 does not hold",
                    hint="rescale the numbers, or write floating-point ones, with a decimal point",
                )

    def _check_no_line_is_empty(self, block: Block) -> None:
        """An empty cell may be a gap; a line without any is a mistake, unless one cell is all that a line has."""
        if len(self._file.header) == 1:
            return
        may_be_empty = block.data.startswith((b"\n", b"\r")) or b"\n\n" in block.data or b"\n\r" in block.data
        if may_be_empty and (fault := self.fault(block, {})) is not None:
            raise fault

    def kinds_at(self, record: Block, columns: Collection[str]) -> dict[str, str]:
        """What columns hold by the cells of one row: whole numbers where that says nothing."""
        cells = next(iter(self._file.records(record))).cells
        row = dict(zip(self._file.header, (cell.strip(" \t") for cell in cells), strict=False))
        return {column: _kind_of(row.get(column, "")) for column in columns}

    def kinds_after(self, block: Block, before: Mapping[str, str | None]) -> dict[str, str]:
        """What columns hold up to the end of `block`, given what they held before it, None for nothing."""
        decided = {column: kind for column, kind in before.items() if kind is not None and kind != "int64"}
        undecided = [column for column in before if column not in decided]
        texts = zip(undecided, self._texts(block, *undecided), strict=True)
        return decided | {column: self._kind_after(before[column], cells) for column, cells in texts}

    def _kind_after(self, before: str | None, texts: list[str]) -> str:
        cells = [cell.strip(" \t") for cell in texts]
        there = [cell for cell in cells if cell] if self._gaps else cells
        if before is None and there and there[0] in TRUE + FALSE:
            return "bool" if all(cell in TRUE + FALSE for cell in there) else "float64"
        whole = bool(cells) and all(INTEGER.fullmatch(cell) for cell in cells)
        # Whole numbers were exact as they were read: they may turn out to be the start of a column of decimals.
        return "int64" if whole else "float64"

    def _plain_values(self, block: Block, kinds: Mapping[str, str]) -> dict[str, Array] | None:
        """`values` where all of the block is plain numbers, or text that is not asked for; else None."""
        if self._plain is None or any(kind not in _PLAIN_KINDS for kind in kinds.values()):
            return None
        from lossctl_kernels.decimals import FLOAT, INTEGER, SKIPPED

        code_of = {"int64": INTEGER, "float64": FLOAT}
        codes = [code_of[kinds[name]] if name in kinds else SKIPPED for name in self._file.header]
        columns = self._plain.parse(block.data, self._delimiter, codes)
        names = (name for name in self._file.header if name in kinds)
        return None if columns is None else dict(zip(names, columns, strict=True))

    def _arrow_values(self, block: Block, kinds: Mapping[str, str]) -> dict[str, Array]:
        import pyarrow as pa

        from lossctl.sources.arrow import from_arrow

        types = {"bool": pa.bool_(), "int64": pa.int64(), "float64": pa.float64()}
        try:
            table = self._parse(block, {column: types[kind] for column, kind in kinds.items()}, self._gaps)
        except pa.ArrowException as error:
            raise self.fault(block, kinds) or self._refused(block, error) from error
        if self._gaps:
            table = self._filled(table, kinds)
        values = {column: from_arrow(table.column(column)) for column in kinds}
        if self._has_odd_spelling(block, kinds, values) and (fault := self.fault(block, kinds)):
            raise fault
        return values

    def _filled(self, table: pa.Table, kinds: Mapping[str, str]) -> pa.Table:
        """NaN for nulls, and float64 in place of bools. Raises DataError where whole numbers have a null among them."""
        import pyarrow as pa

        columns: dict[str, Any] = {}
        for name, kind in kinds.items():
            column = table.column(name)
            if kind == "int64":
                if column.null_count:
                    raise DataError(f"{self._name}, column '{visible(name)}' has empty cells")
                columns[name] = column
            else:
                columns[name] = column.cast(pa.float64()).fill_null(pa.scalar(math.nan))
        return pa.table(columns)

    def _text_values(self, block: Block, kinds: Mapping[str, str]) -> dict[str, Array]:
        """The columns of text, as keys or as indices of classes."""
        import pyarrow as pa

        from lossctl.sources.text import key_or_classes

        wanted = [column for column, kind in kinds.items() if kind == "text"]
        gaps = self._gaps or any(self._texts_of[column].encoder is not None for column in wanted)
        try:
            table = self._parse(block, dict.fromkeys(wanted, pa.string()), gaps)
        except pa.ArrowException as error:
            raise self.fault(block, {}) or self._refused(block, error) from error

        def where(row: int) -> str:
            return f"{self._name}, line {self._file.line_of(self._file.rows_before(block) + row)}"

        return {
            column: key_or_classes(
                self._told(table.column(column).combine_chunks(), self._texts_of[column]),
                self._texts_of[column],
                lambda row, column=column: f"{where(row)}, column '{visible(column)}'",
            )
            for column in wanted
        }

    @staticmethod
    def _told(texts: Any, selection: Selection) -> Any:
        """An empty cell is a key, or the name of a class, where there are no gaps."""
        return texts if selection.gaps or selection.encoder is not None else texts.fill_null("")

    def _texts(self, block: Block, *columns: str) -> Iterator[list[Any]]:
        """The cells of each column, as they are written."""
        import pyarrow as pa

        if not columns:
            return
        try:
            table = self._parse(block, dict.fromkeys(columns, pa.string()))
        except pa.ArrowException as error:
            raise self.fault(block, {}) or self._refused(block, error) from error
        yield from (table.column(column).to_pylist() for column in columns)

    def _parse(self, block: Block, types: dict[str, Any], gaps: bool = False) -> pa.Table:
        """Some columns of a block, each of its Arrow type; empty cells are nulls where there may be `gaps`."""
        import pyarrow as pa
        from pyarrow import csv

        settle_arrow()
        return csv.read_csv(
            pa.BufferReader(block.data),  # type: ignore[arg-type]  # the stubs want Python's files
            csv.ReadOptions(column_names=self._file.header, block_size=len(block.data) + 1, use_threads=False),
            # An empty line is a row with an empty cell: to skip it would shift all below it.
            csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True, ignore_empty_lines=False),
            csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=[""] if gaps else [],
                strings_can_be_null=gaps,
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
                texts = next(self._texts(block, column))
                if not all(self._is_gap(texts[row]) or NONFINITE.fullmatch(texts[row].strip(" \t")) for row in rows):
                    return True
        return False

    def fault(self, block: Block, kinds: Mapping[str, str]) -> DataError | None:
        """The first row of `block` of another width than the header, or cell that is not of its column's kind."""
        header = self._file.header
        positions = {column: header.index(column) for column in kinds}
        for cells, line in self._file.records(block):
            place = f"{self._name}, line {line}"
            if len(cells) != len(header):
                if cells == [""]:
                    return DataError(f"{place}: the line is empty", hint="remove it")
                return DataError(
                    f"{place}: {len(cells)} cell{'s' if len(cells) > 1 else ''}; the header has {len(header)}",
                    hint="quote cells that hold delimiters" if len(cells) > len(header) else "was the line cut short?",
                )
            for column, position in positions.items():
                if not self._is_gap(cells[position]) and (why := _wrong(cells[position], kinds[column])):
                    remedy = _remedy(cells[position], kinds[column], is_label=column in self._labels)
                    if [cells[0].lstrip("\ufeff"), *cells[1:]] == header:
                        remedy = "the header stands here once more, as of files joined by cat: remove the line"
                    return DataError(f"{place}, column '{visible(column)}': {why}", hint=remedy)
        return None

    def _is_gap(self, cell: str) -> bool:
        return self._gaps and not cell

    def _refused(self, block: Block, error: pa.ArrowException) -> LossctlError:
        """What Arrow refuses and the grammar here does not."""
        from lossctl.sources.arrow import machine_fault

        return machine_fault(self._name, error) or DataError(
            f"{self._name}, from line {self._file.line_at(block.offset)} on: {visible(error)}"
        )


def _row_parser(size: int) -> decimals.RowParser | None:
    """The compiled parser for a table of so many bytes: what is kept, compiled where the table is large."""
    room = address_space()
    if room is not None and room < _COMPILER_BYTES:
        return None
    try:
        from lossctl_kernels import decimals

        return decimals.row_parser(compiling=size >= COMPILED_BYTES)
    except (ImportError, OSError):  # which of them it is where llvmlite is broken is up to the system
        return None


def _kind_of(cell: str) -> str:
    """The kind of a column by one of its cells; whole numbers where it is empty."""
    if cell in TRUE + FALSE:
        return "bool"
    return "int64" if not cell or INTEGER.fullmatch(cell) else "float64"


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


def _remedy(cell: str, kind: str, *, is_label: bool) -> str:  # noqa: PLR0911 - one return for each remedy
    text = cell.strip(" \t")
    if not text:
        return "fill the empty cell, or leave out its row with --nonfinite skip"
    if kind == "bool":
        return "write all of a column as true and false, or all as 0 and 1"
    if text in TRUE + FALSE:
        return "write true as 1 and false as 0"
    if text.lower() in _MISSING:
        return "leave the cell of a missing number empty, and its row out with --nonfinite skip"
    if NUMBER.fullmatch(text):
        return "rescale the numbers"
    if NUMBER.fullmatch(text.removesuffix("%")):
        return "write shares in place of percentages: 0.5 for 50%"
    if re.fullmatch(r"[+-]?[0-9]*,[0-9]+", text):
        return "write numbers with a decimal point, and nothing between thousands"
    if re.fullmatch(r"[+-]?[0-9]{1,3}(?:[\s_'’,.][0-9]{3})+(?:[.,][0-9]*)?", text):
        return "write numbers with nothing between thousands"
    if _is_list(text):
        return "write each number of a list in a column of its own, or the table as JSON Lines or Parquet"
    if any(letter.isdecimal() for letter in text) and not any(letter.isalpha() for letter in text):
        odd = next((letter for letter in text if not letter.isascii()), None)
        if odd is not None:
            return f"write it in ASCII, without U+{ord(odd):04X}"
    classes = ", and a class as its index counted from 0, or name the classes with --classes" if is_label else ""
    return f"write a number{classes}"


def _is_list(text: str) -> bool:
    """Whether several numbers are written in one cell, as NumPy, Python and PyTorch print them."""
    inner = re.sub(r"^(?:tensor|array)\b", "", text).strip("()")
    parts = [part for part in re.split(r"[\s;|,\[\]]+", inner) if part]
    return text.startswith("[") or (len(parts) > 1 and all(map(NUMBER.fullmatch, parts)))
