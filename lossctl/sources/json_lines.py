"""JSON Lines: an object a line, read in blocks of whole lines by Arrow; every row is a line, or it is an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import json as arrow_json

from lossctl.errors import DataError, UsageError, visible
from lossctl.sources import json_records
from lossctl.sources.ahead import reading_threads, worked
from lossctl.sources.arrays import rechunk
from lossctl.sources.arrow import machine_fault
from lossctl.sources.arrow_table import ArrowTable
from lossctl.sources.base import Array, OtherKind, Reader, Selection
from lossctl.sources.input_file import InputFile
from lossctl.sources.json_records import (
    LINE_END,
    REMEDY,
    ObjectLines,
    Overflow,
    is_row,
    may_be_deep,
    not_utf8,
    rows_of,
)
from lossctl.sources.opening import is_glob
from lossctl.sources.selection import check_names, select_columns, text_columns
from lossctl_kernels.conversions import LARGEST_EXACT
from lossctl_kernels.records import replace

_BEYOND = (1 << 1024) - (1 << 970)
"""From here on the float64 nearest to a number is infinity."""

_NO_FLOAT64 = "is beyond the range of float64"
_NO_INT64 = "does not fit in 64 bits"
_ROUNDED = "is a whole number that float64 does not hold"
_LARGEST = sys.float_info.max
_NULL = "null is not a number"
_ABSENT = "it is missing"

_FIRST_LINES = 100
"""Looked at for what may be missing in the first one alone."""
_BOOLS = "true or false among numbers"
_NESTED = "nested further than a list of numbers"
_NO_NAME = "is not a name or a key"
_LARGE_NAME = "is not from -2**63 to 2**63 - 1"
_ANOTHER = "another type than in the lines before"

_OTHER_KINDS = {_NESTED: "nested lists or objects", _NO_INT64: "integers beyond 64 bits"}
"""What a field holds that is told so."""

_TYPES: dict[str, pa.DataType] = {"int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_(), "text": pa.string()}


class _Attempt(NamedTuple):
    """How many rows a block has, and its fields if they are of these kinds and no check is needed before."""

    rows: int
    kinds: dict[str, str]
    batch: pa.RecordBatch | None


def open_jsonl(file: InputFile, roles: dict[str, Selection]) -> Reader:
    """A reader of fields of JSON objects: a number (N,), several (N, M), or a list of numbers (N, M)."""
    return _JsonLinesReader(file, roles)


def jsonl_contents(file: InputFile) -> list[str]:
    """The fields of the first line."""
    return list(ObjectLines(file).first_record())


class _JsonLinesReader(Reader):
    """Predictions are float64. Other fields are int64 or bool if the first line says so; whole numbers may go over
    into decimals further down, as in other text tables."""

    def __init__(self, file: InputFile, roles: dict[str, Selection]) -> None:
        self._file, self._lines = file, ObjectLines(file)
        self._roles = roles
        self._first = self._lines.first_record()
        if absent := self._absent(lambda each: each.gaps or each.encoder is not None):
            self._first |= dict.fromkeys(self._lines.first_values(absent))
        names = list(self._first)
        check_names(file.name, names)
        try:
            self._selected = select_columns(file.name, names, roles)
        except UsageError:
            for name in self._lines.first_values(self._absent(), _FIRST_LINES):
                raise self._refused(0, name, _ABSENT) from None
            raise
        self._texts = text_columns(file.name, roles, self._selected)
        self._encoded = {name for name, selection in self._texts.items() if selection.encoder is not None}
        with_gaps = {name for role, columns in self._selected.items() if roles[role].gaps for name in columns}
        self._with_gaps = with_gaps | self._encoded
        predicted = self._selected.get("prediction", ())
        wanted = {name for columns in self._selected.values() for name in columns}
        later = [name for name in names if name in wanted & self._with_gaps and self._first[name] is None]
        found = self._lines.first_values(later) if later else {}
        self._first_rows = {name: row for name, (row, _) in found.items()}
        self._first |= {name: value for name, (_, value) in found.items()}
        self._exact = set(predicted) - set(self._texts)
        self._limits = {role: LARGEST_EXACT - 1 if role == "prediction" else _LARGEST for role in roles}
        self._kinds = {name: self._kind(name, name in predicted) for name in names if name in wanted}
        self._table = self._table_of(self._kinds)
        self.arrays = self._table.describe(None)

    def _absent(self, by: Callable[[Selection], bool] = lambda _: True) -> list[str]:
        """The names that such selections ask for and are not in the first line."""
        wanted = {
            name
            for selection in self._roles.values()
            if by(selection)
            for name in selection.columns or ()
            if not is_glob(name)
        }
        return sorted(wanted - self._first.keys())

    def _table_of(self, kinds: dict[str, str]) -> ArrowTable:
        schema = self._schema(kinds)
        chosen = {role: replace(self._roles[role], columns=columns) for role, columns in self._selected.items()}

        def first_of(name: str) -> pa.RecordBatch:
            # Only its length is asked for: what it holds may be more than one type of Arrow has room for.
            return pa.record_batch({name: pa.array([[0.0] * len(self._first[name])])})

        return ArrowTable(self._file, "jsonl", schema, chosen, first_of, where=self._lines.where)

    def _schema(self, kinds: dict[str, str]) -> pa.Schema:
        return pa.schema(
            {
                name: pa.list_(_TYPES[kind]) if isinstance(self._first[name], list) else _TYPES[kind]
                for name, kind in kinds.items()
            }
        )

    def _kind(self, name: str, is_prediction: bool) -> str:
        """What a field of the first line holds. Raises DataError where that is no number."""
        value = self._first[name]
        if value is None and name in self._with_gaps:
            return "text" if name in self._texts else "float64"
        if name in self._texts and (kind := _kind_of_text(value)):
            return kind
        numbers = [each for each in value if each is not None] if isinstance(value, list) else [value]
        fault = _fault_of(value, name in self._with_gaps)
        if name in self._texts and (fault or name not in self._encoded):
            fault = _fault_of_name(value)
        if fault:
            raise self._refused(self._first_rows.get(name, 0), name, fault)
        if is_prediction or not numbers:
            return "float64"
        if all(isinstance(each, bool) for each in numbers):
            return "bool"
        if all(isinstance(each, int) and not isinstance(each, bool) for each in numbers):
            return "int64"
        return "float64"

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        return rechunk(self._parts(), rows)

    def _parts(self) -> Iterator[dict[str, Array]]:
        row = 0
        kinds, table = dict(self._kinds), self._table
        for block, (lines, given, found) in self._attempts(kinds):
            if not lines:
                continue
            batch = found
            if batch is None or given != kinds:
                self._lines.check_text(block, row)
                self._lines.check_depth(block, row)
                batch = self._parsed(block, kinds, lines)
            if batch is None:
                kinds.update(self._kinds_after(block, kinds, row))
                table = self._table_of(kinds)
                batch = self._parsed(block, kinds, lines)
            if batch is None:
                raise self._unreadable(block, kinds, row)
            arrays = table.arrays(batch, row)
            if any(_is_beyond(array, self._limits[role]) for role, array in arrays.items()):
                self._kinds_after(block, kinds, row)  # Arrow rounds whole numbers, and makes infinities of large ones
            yield arrays
            row += lines
        self._kinds, self._table = kinds, table
        self.arrays = table.describe(row)

    def _attempts(self, kinds: dict[str, str]) -> Iterable[tuple[bytes, _Attempt]]:
        """Each block, and what became of it when it was read ahead; `kinds` may have changed since."""

        def attempt(block: bytes) -> _Attempt:
            lines, given = rows_of(block), dict(kinds)
            fit = lines and not_utf8(block) is None and not may_be_deep(block)
            return _Attempt(lines, given, self._parsed(block, given, lines) if fit else None)

        threads = reading_threads() if self._file.size > json_records.BLOCK_BYTES else 0
        return worked(attempt, self._lines.blocks(), threads)

    def _parsed(self, block: bytes, kinds: dict[str, str], lines: int) -> pa.RecordBatch | None:
        """The fields of a block of so many lines; None where they are not of these kinds, or not one object a line."""
        try:
            table = arrow_json.read_json(
                pa.BufferReader(block),  # type: ignore[arg-type]  # the stubs want Python's files
                arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                arrow_json.ParseOptions(
                    explicit_schema=self._schema(kinds), newlines_in_values=False, unexpected_field_behavior="ignore"
                ),
            ).combine_chunks()
        except pa.ArrowException as error:
            fault = machine_fault(self._file.name, error)
            if fault is not None:
                raise fault from error
            return None
        whole = [name for name in table.column_names if name not in self._with_gaps]
        if table.num_rows != lines or any(table.column(name).null_count for name in whole):
            return None
        return table.to_batches()[0]

    def _unreadable(self, block: bytes, kinds: dict[str, str], row: int) -> DataError:
        """The first line of a block that Arrow refuses, where Python does not."""
        for line in block.split(LINE_END):
            if is_row(line):
                if self._parsed(line, kinds, 1) is None:
                    break
                row += 1
        return DataError(
            f"{self._lines.where(row)} is no JSON object that can be read",
            hint="is a number beyond the range of float64, or a text not Unicode?",
        )

    def _kinds_after(self, block: bytes, kinds: dict[str, str], row: int) -> dict[str, str]:
        """The kinds with decimals taken into account. Raises DataError for the first line that is not as it should."""
        found = dict(kinds)
        for line in block.split(LINE_END):
            if not is_row(line):
                continue
            record = self._lines.record(line, row)
            for name, kind in kinds.items():
                if fault := self._fault(record, name, kind):
                    raise self._refused(row, name, fault)
                value = record.get(name)
                if (name not in self._texts or name in self._encoded) and any(
                    isinstance(each, float) for each in (value if isinstance(value, list) else [value])
                ):
                    found[name] = "float64"
            row += 1
        return found

    def _refused(self, row: int, name: str, fault: str) -> DataError:
        message = f"{self._lines.where(row)}, column '{visible(name)}': {fault}"
        for ending, kind in _OTHER_KINDS.items():
            if fault.endswith(ending):
                return OtherKind(message, kind, hint=_remedy(fault))
        return DataError(message, hint=_remedy(fault))

    def _fault(self, record: dict[str, Any], name: str, kind: str) -> str | None:
        value, first = record.get(name), self._first[name]
        if value is None:
            return None if name in self._with_gaps else self._fault_of_none(name, name in record)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and kind in ("int64", "float64")
        if name in self._texts and not (name in self._encoded and is_number):
            found = _kind_of_text(value)
            return None if found == kind else _ANOTHER if found else _fault_of_name(value)
        if fault := _fault_of(value, name in self._with_gaps):
            return fault
        if isinstance(value, list) != isinstance(first, list):
            return "a list and a number: all lines must be alike"
        numbers = [each for each in value if each is not None] if isinstance(value, list) else [value]
        return self._fault_of_kind(numbers, name, kind)

    def _fault_of_kind(self, numbers: list[Any], name: str, kind: str) -> str | None:
        """Why these numbers are not of a field's kind."""
        if any(isinstance(each, bool) != (kind == "bool") for each in numbers):
            return _BOOLS
        whole = [each for each in numbers if kind == "int64" and isinstance(each, int)]
        rounded = [each for each in numbers if isinstance(each, int) and int(float(each)) != each]
        large = [each for each in whole if not -(2**63) <= each < 2**63]
        if large and name in self._encoded:
            return _fault_of_name(large[0])
        if name in self._exact and rounded:
            return f"{visible(rounded[0], 40)} {_ROUNDED}"
        return f"{visible(large[0], 40)} {_NO_INT64}" if large else None

    def _fault_of_none(self, name: str, is_there: bool) -> str:
        if not is_there:
            return _ABSENT
        return f"null {_NO_NAME}" if name in self._texts else _NULL

    def place(self, role: str, row: int, column: int | None = None) -> str:
        return self._table.place(role, row, column)

    def close(self) -> None:
        self._file.close()


def _is_beyond(array: Array, limit: float) -> bool:
    """Whether decimals hold one whose magnitude is above `limit`."""
    return array.dtype.kind == "f" and bool((np.abs(array) > limit).any())


def _kind_of_text(value: Any) -> str | None:
    """What a key or the name of a class is written as; None where it is neither."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "bool"
    return "int64" if isinstance(value, int) and -(2**63) <= value < 2**63 else None


def _fault_of_name(value: Any) -> str:
    """Why a value is no key and no name of a class."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{visible(value, 40)} {_LARGE_NAME if is_whole else _NO_NAME}"


def _fault_of(value: Any, gaps: bool) -> str | None:
    """Why a value is no number and no list of numbers; with `gaps`, a list may hold nulls."""
    if isinstance(value, list):
        if not value:
            return "an empty list"
        there = [each for each in value if each is not None or not gaps]
        return next((fault for each in there if (fault := _fault_of_number(each))), None)
    return _fault_of_number(value)


def _fault_of_number(value: Any) -> str | None:
    if value is None:
        return _NULL
    if isinstance(value, str):
        return f"the text '{visible(value)}' is not a number"
    if isinstance(value, dict | list):
        return _NESTED
    if isinstance(value, Overflow) or (isinstance(value, int) and not -_BEYOND < value < _BEYOND):
        text = value.text if isinstance(value, Overflow) else str(value)
        return f"{visible(text, 40)} {_NO_FLOAT64}"
    return None


def _remedy(fault: str) -> str:  # noqa: PLR0911 - one return for each remedy
    """What to do about a value that is refused."""
    if fault.endswith((_NO_FLOAT64, _NO_INT64)):
        return "rescale the numbers"
    if fault.endswith(_ROUNDED):
        return "rescale the numbers, or write floating-point ones, with a decimal point"
    if fault == _BOOLS:
        return "write true as 1 and false as 0"
    if fault.endswith(_LARGE_NAME):
        return "write it as text, in quotes, in each line"
    if fault == _ANOTHER or fault.endswith(_NO_NAME):
        return "write a text in each line, or a whole number in each"
    if fault == _ABSENT:
        return "write it in each line, or leave out the row with --nonfinite skip"
    return "fill the null, or leave out its row with --nonfinite skip" if fault == _NULL else REMEDY
