"""Lines of JSON objects: in blocks of whole lines, one by one for messages, and where each stands."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any

import numpy as np

from lossctl.errors import DataError, visible
from lossctl.sources.input_file import InputFile
from lossctl.sources.records import BYTE_ORDER_MARK
from lossctl.strict_json import is_unicode, without_repeats

LINE_END = b"\n"
# All that JSON takes for white space: other characters that Python would strip are an error.
_SPACE = b" \t\r\n"
REMEDY = 'write each row as {"name": number, "names": [numbers]}'
# How a document of several lines begins, and what makes lines of it or of a list.
_OPENINGS = (b"{", b"[", b"[{")
_LAID_OUT = "write each row on a line of its own: jq -c '.[]' does it with a list of rows, jq -c . with rows one by one"
# Of a whole number: float64 holds fewer.
_MOST_DIGITS = 400

BLOCK_BYTES = 1 << 20
# What one line may take: more is not a row of numbers.
_LINE_BYTES = 16 << 20
# Objects of predictions hold lists, and those numbers.
_MOST_DEPTH = 32

_OPENING, _CLOSING = b"[{", b"]}"
# What each byte adds to the depth.
_STEPS = np.zeros(256, np.int8)
_STEPS[list(_OPENING)] = 1
_STEPS[list(_CLOSING)] = -1


def is_row(line: bytes) -> bool:
    """Whether a line is more than white space."""
    return bool(line.strip(_SPACE))


def not_utf8(block: bytes) -> int | None:
    """Where a block ceases to be UTF-8."""
    try:
        return None if block.isascii() or block.decode() else 0
    except UnicodeDecodeError as error:
        return error.start


def rows_of(block: bytes) -> int:
    """How many lines of a block are rows."""
    text = np.frombuffer(block, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(text == LINE_END[0]) + 1])
    starts = starts[starts < len(text)]
    if np.isin(text[starts], list(_SPACE)).any():  # as empty lines begin
        return sum(map(is_row, block.split(LINE_END)))
    return len(starts)


class Overflow(float):
    """A number that float64 does not hold: infinity, with the `text` that stands for it."""

    text: str

    def __new__(cls, text: str) -> Overflow:
        self = super().__new__(cls, text)
        self.text = text
        return self


class ObjectLines:
    """A file of JSON Lines, in UTF-8 with or without a byte order mark.

    Every error is a DataError that names the line; empty lines are none.
    """

    def __init__(self, file: InputFile) -> None:
        self.file = file

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, about `BLOCK_BYTES` bytes of them at a time."""
        offset = len(BYTE_ORDER_MARK) if self.file.read_at(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        while offset < self.file.size:
            for size in (BLOCK_BYTES, _LINE_BYTES):
                data = self.file.read_at(offset, size)
                last = offset + len(data) >= self.file.size
                end = len(data) if last else data.rfind(LINE_END) + 1
                if end:
                    break
            else:
                starts = range(0, offset, BLOCK_BYTES)
                parts = (self.file.read_at(each, min(BLOCK_BYTES, offset - each)) for each in starts)
                line = 1 + sum(part.count(LINE_END) for part in parts)
                raise DataError(
                    f"{self.file.name}, line {line}: it is longer than {_LINE_BYTES >> 20} MiB",
                    hint="is this JSON Lines?",
                )
            yield data[:end]
            offset += end
        self.file.check_unchanged()

    def first_record(self) -> dict[str, Any]:
        """The first object. Raises DataError where there is none, or one of its names is not Unicode."""
        line = next((line for block in self.blocks() for line in block.split(LINE_END) if is_row(line)), None)
        if line is None:
            raise DataError(f"{self.file.name} has no lines", hint="was it written to its end?")
        record = self.record(line, 0)
        for name in record:
            if not is_unicode(name):
                raise DataError(f"{self.where(0)}: the name '{visible(name)}' is not Unicode", hint="rename it")
        return record

    def first_values(self, names: Collection[str], rows: int | None = None) -> dict[str, tuple[int, Any]]:
        """For each field the first value that is not null, and its row; fields without any are left out.

        `rows`: how many are looked at, at most.
        """
        found: dict[str, tuple[int, Any]] = {}
        lines = (line for block in self.blocks() for line in block.split(LINE_END) if is_row(line))
        for row, line in enumerate(islice(lines, rows)):
            record = self.record(line, row)
            found |= {name: (row, record[name]) for name in names if name not in found and record.get(name) is not None}
            if len(found) == len(names):
                break
        return found

    def record(self, line: bytes, row: int) -> dict[str, Any]:
        """One line as an object. Raises DataError where it is none."""
        try:
            record = json.loads(
                line.decode(), object_pairs_hook=without_repeats, parse_float=_number, parse_int=whole_number
            )
        except UnicodeDecodeError as error:
            raise DataError(f"{self.where(row)}: not UTF-8", hint="save the file as UTF-8") from error
        except RecursionError:
            raise self._too_deep(row) from None
        except json.JSONDecodeError as error:
            found = f"'{visible(error.doc[error.pos :], 20)}'" if error.doc[error.pos :].strip() else "its end"
            raise DataError(
                f"{self.where(row)} is no JSON: {visible(error.msg)} at character {error.pos + 1}, {found}",
                hint=_LAID_OUT if row == 0 and line.strip(_SPACE) in _OPENINGS else REMEDY,
            ) from None
        except ValueError as error:
            raise DataError(f"{self.where(row)} is no JSON: {visible(error)}", hint=REMEDY) from None
        if not isinstance(record, dict):
            is_list = isinstance(record, list) and any(isinstance(each, dict) for each in record)
            raise DataError(f"{self.where(row)} is no JSON object", hint=_LAID_OUT if is_list else REMEDY)
        return record

    def check_text(self, block: bytes, row: int) -> None:
        """Raises DataError where a block, whose first object is row `row`, is not UTF-8: Arrow does not look."""
        place = not_utf8(block)
        if place is not None:
            before = block[: block.rfind(LINE_END, 0, place) + 1]
            row += sum(map(is_row, before.split(LINE_END)))
            raise DataError(
                f"{self.where(row)}: the byte 0x{block[place]:02x} is not UTF-8",
                hint="save the file as UTF-8",
            )

    def check_depth(self, block: bytes, row: int) -> None:
        """Parsers of JSON call themselves for each level: what is nested without end takes the stack."""
        if not may_be_deep(block):
            return
        for line in block.split(LINE_END):
            if not is_row(line):
                continue
            depth = 0
            for match in re.finditer(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', line):
                depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match[0], 0)
                if depth > _MOST_DEPTH:
                    raise self._too_deep(row)
            row += 1

    def _too_deep(self, row: int) -> DataError:
        return DataError(
            f"{self.where(row)} nests more than {_MOST_DEPTH} levels", hint="write numbers, or lists of them"
        )

    def where(self, row: int) -> str:
        return f"{self.file.name}, line {self._line_of(row)}"

    def _line_of(self, row: int) -> int:
        """The line of a row: empty ones are none. Reads the file up to there."""
        line, found = 0, -1
        for block in self.blocks():
            for text in block.split(LINE_END):
                line += 1
                found += is_row(text)
                if found == row:
                    return line
            line -= block.endswith(LINE_END)
        return line + 1


def _number(text: str) -> float:
    number = float(text)
    return Overflow(text) if math.isinf(number) else number


def whole_number(text: str) -> int | Overflow:
    """Python reads no whole number of thousands of digits."""
    return Overflow(text) if len(text) > _MOST_DIGITS else int(text)


def may_be_deep(block: bytes) -> bool:
    """Whether a line has more opening than closing brackets somewhere, by more than is allowed, those in texts too."""
    if len(block) <= BLOCK_BYTES and not _opens_often(block):
        return False
    depth_now = line_depth = 0
    # In pieces, since of each byte there are several that are counted with.
    for start in range(0, len(block), BLOCK_BYTES):
        text = np.frombuffer(block, np.uint8, min(BLOCK_BYTES, len(block) - start), start)
        depth = np.cumsum(_STEPS[text], dtype=np.int32) + depth_now
        ends = np.flatnonzero(text == LINE_END[0])
        before = np.concatenate([[line_depth], depth[ends]])
        starts = np.concatenate([[0], ends + 1])
        inside = starts < len(text)
        highest = np.maximum.reduceat(depth, starts[inside])
        if (highest - before[inside] > _MOST_DEPTH).any():
            return True
        depth_now, line_depth = int(depth[-1]), int(before[-1])
    return False


def _opens_often(block: bytes) -> bool:
    """Whether any line has more opening brackets than levels are allowed, which most files have not."""
    text = np.frombuffer(block, np.uint8)
    opens = (text == _OPENING[0]) | (text == _OPENING[1])
    lines = np.searchsorted(np.flatnonzero(text == LINE_END[0]), np.flatnonzero(opens))
    return bool((lines[_MOST_DEPTH:] == lines[:-_MOST_DEPTH]).any())
