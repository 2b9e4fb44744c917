"""Delimited text in blocks of whole records: where a record ends, on which line it stands, what a number looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import NamedTuple

import numpy as np

from lossctl.errors import DataError, visible
from lossctl.sources.input_file import InputFile

# Small enough that a block stays in a core's cache while it is checked and parsed.
BLOCK_BYTES = 1 << 20
# What one record may take: more is not a table of text.
RECORD_BYTES = 8 << 20

INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
NONFINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
TRUE = ("true", "True", "TRUE")
FALSE = ("false", "False", "FALSE")

_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_HEADER_REMEDY = "put the names of the columns in the first line"


class Block(NamedTuple):
    """Whole records, and where in the file the first of them begins."""

    data: bytearray
    offset: int


class Record(NamedTuple):
    """The cells of one record, and the number of the line that it begins on, counted from 1 as an editor does."""

    cells: list[str]
    line: int


class RecordFile:
    """A file of delimited text: its header, and the records below it in blocks of about `BLOCK_BYTES` bytes.

    UTF-8 with or without a byte order mark; lines end with LF or CRLF; a cell that begins with a quote ends with one,
    and has line ends and doubled quotes in it. Every error is a DataError that names the line. Lines are counted when
    an error asks for one, never on the way.
    """

    def __init__(self, file: InputFile, delimiter: str) -> None:
        self.file = file
        stop = delimiter.encode()
        cell = rb'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^%b\r\n]*+)' % stop
        record = rb"%b(?:%b%b)*+\r?\n" % (cell, stop, cell)
        self._cell = re.compile(rb"(?:^|%b)(%b)" % (stop, cell))
        self._record = re.compile(record)
        self._records = re.compile(b"(?:%b)*+" % record)
        self._stop = stop[0]
        self.header, self._start = self._read_header()

    def blocks(self, offset: int = 0) -> Iterator[Block]:
        """The records below the header, or from the one at `offset` on. Their text is not checked: see `check_text`."""
        offset = max(offset, self._start)
        while offset < self.file.size:
            block = self._block_at(offset)
            yield block
            offset += len(block.data)
        self.file.check_unchanged()

    def _block_at(self, offset: int) -> Block:
        """The whole records of the next `BLOCK_BYTES` bytes, or a single one that is longer."""
        for size in (BLOCK_BYTES, RECORD_BYTES):
            data = bytearray(min(size, self.file.size - offset))
            self.file.read_into(offset, memoryview(data))
            last = offset + len(data) >= self.file.size
            if last and not data.endswith(b"\n"):
                data += b"\n"
            end = self._end_of_records(data)
            if end or last:
                break
        if end == 0 or (last and end < len(data)):
            raise self._unfinished(data[end:], self.line_at(offset) + data.count(b"\n", 0, end))
        del data[end:]  # without a copy, unlike a slice
        return Block(data, offset)

    def line_at(self, offset: int) -> int:
        """The number of the line at an offset in the file, which is read up to there."""
        starts = range(0, offset, BLOCK_BYTES)
        return 1 + sum(self.file.read_at(each, min(BLOCK_BYTES, offset - each)).count(b"\n") for each in starts)

    def records(self, block: Block) -> Iterator[Record]:
        """The records of a block one by one: for messages, where speed does not matter."""
        for data, line in self._split(block):
            text = data.removesuffix(b"\n").removesuffix(b"\r")
            yield Record([_unquoted(cell[1].decode()) for cell in self._cell.finditer(text)], line)

    def first_record(self, block: Block) -> Block:
        """A block of the first record of one."""
        match = self._record.match(block.data)
        return Block(block.data if match is None else block.data[: match.end()], block.offset)

    def first_cells(self, column: str, count: int) -> Iterator[str]:
        """The cells of a column in the first records; none from a record on that is shorter."""
        place = self.header.index(column)
        for cells, _ in islice((record for block in self.blocks() for record in self.records(block)), count):
            if place >= len(cells):
                return
            yield cells[place]

    def line_of(self, row: int) -> int:
        """The line that record `row`, counted from 0 below the header, begins on. Reads the file up to there."""
        first = 0
        for block in self.blocks():
            quoted = b'"' in block.data
            rows = sum(1 for _ in self._record.finditer(block.data)) if quoted else block.data.count(b"\n")
            if row < first + rows:
                if quoted:
                    return next(islice(self._split(block), row - first, None))[1]
                # Without quotes a record is a line.
                return self.line_at(block.offset) + row - first
            first += rows
        raise IndexError(f"row {row} of {first}")

    def rows_before(self, block: Block) -> int:
        """How many records stand before a block. Reads the file up to there."""
        return sum(
            sum(1 for _ in self._split(each))
            for each in takewhile(lambda each: each.offset < block.offset, self.blocks())
        )

    def _split(self, block: Block) -> Iterator[tuple[bytes, int]]:
        """The bytes of each record of a block and the line that it begins on."""
        line = self.line_at(block.offset)
        for match in self._record.finditer(block.data):
            yield match[0], line
            line += match[0].count(b"\n")

    def _end_of_records(self, data: bytearray) -> int:
        """Where the last whole record ends, before the first that is malformed."""
        # To find no byte is much faster than to count it.
        if b"\r" not in data or _returns_end_lines(data):
            if b'"' not in data:
                return data.rfind(b"\n") + 1
            if (end := _end_of_quoted_records(data, self._stop)) is not None:
                return end
        match = self._records.match(data)
        return match.end() if match else 0

    def _unfinished(self, data: bytes | bytearray, line: int) -> DataError:
        """What is wrong with `data`, which begins a record that does not end as one should."""
        place = f"{self.file.name}, line {line}"
        text = data.split(b"\n", 1)[0].removesuffix(b"\r")
        if b"\r" in text and b'"' not in text[: text.find(b"\r")]:
            return DataError(
                f"{place}: a carriage return (\\r) without a line feed", hint="end lines with \\n or \\r\\n"
            )
        if b'"' in data:
            return DataError(
                f"{place}: a quoted cell does not end, or goes on after its closing quote",
                hint='a quote within a quoted cell is written twice: ""',
            )
        return DataError(f"{place}: the line is longer than {RECORD_BYTES >> 20} MiB", hint="is this a text table?")

    def check_text(self, block: Block) -> None:
        """Raises DataError where a block is not UTF-8."""
        if block.data.isascii():
            return
        try:
            block.data.decode()
        except UnicodeDecodeError as error:
            line = self.line_at(block.offset) + block.data.count(b"\n", 0, error.start)
            raise DataError(
                f"{self.file.name}, line {line}: the byte 0x{block.data[error.start]:02x} is not UTF-8",
                hint="save the file as UTF-8",
            ) from None

    def _read_header(self) -> tuple[list[str], int]:
        """The names of the columns, and where the records begin."""
        for size in (BLOCK_BYTES, RECORD_BYTES):
            data = self.file.read_at(0, size)
            mark = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
            last = len(data) >= self.file.size
            whole = data[mark:] + (b"\n" if last and not data.endswith(b"\n") else b"")
            match = self._record.match(whole)
            if match or last:
                break
        first = whole[: whole.find(b"\n") + 1] if match is None else match[0]
        self.check_text(Block(bytearray(first), 0))
        if match is None:
            raise self._unfinished(whole, 1)
        if b"\0" in first:
            raise DataError(
                f"{self.file.name}, line 1: the header holds a zero byte", hint="save the file as UTF-8 text"
            )
        names = next(self.records(Block(bytearray(first), 0))).cells
        if len(names) == 1 and not names[0].strip():
            raise DataError(f"{self.file.name}, line 1: the line is empty", hint=_HEADER_REMEDY)
        given = [name.strip(" \t") for name in names if name]
        is_numbered = len(given) < len(names) and given == [str(place) for place in range(len(given))]  # by pandas
        if all(map(NUMBER.fullmatch, given)) and not is_numbered:
            raise DataError(
                f"{self.file.name}: header required: first row looks like data ('{visible(first.decode().strip())}')",
                hint=_HEADER_REMEDY,
            )
        return names, mark + len(first)


def _returns_end_lines(data: bytearray) -> bool:
    """Whether each carriage return is followed by a line feed, or by the end of what was read."""
    return data.count(b"\r") == data.count(b"\r\n") + data.endswith(b"\r")


def _end_of_quoted_records(data: bytearray, delimiter: int) -> int | None:
    """Where the last whole record ends; None where not every quote is one of a quoted cell, or doubled in one."""
    text = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    before = text[quotes[0::2] - 1]
    if quotes[0] == 0:
        before[0] = _LINE_FEED
    closing = quotes[1::2]
    after = text[closing[closing < text.size - 1] + 1]
    starts = (before == delimiter) | (before == _LINE_FEED) | (before == _QUOTE)
    ends = (after == delimiter) | (after == _LINE_FEED) | (after == _RETURN) | (after == _QUOTE)
    if not (starts.all() and ends.all()):
        return None
    end = text.size
    while (end := data.rfind(b"\n", 0, end)) >= 0:
        opened = int(np.searchsorted(quotes, end))
        if opened % 2 == 0:
            break
        end = int(quotes[opened - 1])
    return end + 1


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell
