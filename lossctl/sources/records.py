"""Delimited text in blocks of whole records: where a record ends, on which line it stands, what a number looks like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from lossctl.errors import DataError, visible
from lossctl.sources.input_file import InputFile

BLOCK_BYTES = 8 << 20

INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|nan|inf|infinity)", re.IGNORECASE)
NONFINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
TRUE = ("true", "True", "TRUE")
FALSE = ("false", "False", "FALSE")

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """Whole records, and the number of the line that the first of them begins on, counted from 1 as an editor does."""

    data: bytes
    line: int


class Record(NamedTuple):
    """The cells of one record, and the number of the line that it begins on."""

    cells: list[str]
    line: int


class RecordFile:
    """A file of delimited text: its header, and the records below it in blocks of at most `BLOCK_BYTES` bytes.

    UTF-8 with or without a byte order mark; lines end with LF or CRLF; a cell that begins with a quote ends with one,
    and has line ends and doubled quotes in it. Every error is a DataError that names the line.
    """

    def __init__(self, file: InputFile, delimiter: str) -> None:
        self.file = file
        stop = delimiter.encode()
        cell = rb'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^%b\r\n]*+)' % stop
        record = rb"%b(?:%b%b)*+\r?\n" % (cell, stop, cell)
        self._cell = re.compile(rb"(?:^|%b)(%b)" % (stop, cell))
        self._record = re.compile(record)
        self._records = re.compile(b"(?:%b)*+" % record)
        self.header, self._start, self._line = self._read_header()

    def blocks(self) -> Iterator[Block]:
        """The records below the header; none if there are none."""
        offset, line, tail = self._start, self._line, b""
        while offset < self.file.size or tail:
            fresh = self.file.read_at(offset, BLOCK_BYTES - len(tail))
            offset += len(fresh)
            data = tail + fresh
            last = offset >= self.file.size
            if last and not data.endswith(b"\n"):
                data += b"\n"
            end = self._end_of_records(data)
            if end == 0 or (last and end < len(data)):
                raise self._unfinished(data[end:], line + data.count(b"\n", 0, end))
            block = Block(data[:end], line)
            self._check_text(block)
            yield block
            line += block.data.count(b"\n")
            tail = data[end:]
        self.file.check_unchanged()

    def records(self, block: Block) -> Iterator[Record]:
        """The records of a block one by one: for messages, where speed does not matter."""
        for data, line in self._split(block):
            text = data.removesuffix(b"\n").removesuffix(b"\r")
            yield Record([_unquoted(cell[1].decode()) for cell in self._cell.finditer(text)], line)

    def line_of(self, row: int) -> int:
        """The line that record `row`, counted from 0 below the header, begins on. Reads the file up to there."""
        first = 0
        for block in self.blocks():
            quoted = b'"' in block.data
            rows = sum(1 for _ in self._record.finditer(block.data)) if quoted else block.data.count(b"\n")
            if row < first + rows:
                # Without quotes a record is a line.
                return next(islice(self._split(block), row - first, None))[1] if quoted else block.line + row - first
            first += rows
        raise IndexError(f"row {row} of {first}")

    def _split(self, block: Block) -> Iterator[tuple[bytes, int]]:
        """The bytes of each record of a block and the line that it begins on."""
        line = block.line
        for match in self._record.finditer(block.data):
            yield match[0], line
            line += match[0].count(b"\n")

    def _end_of_records(self, data: bytes) -> int:
        """Where the last whole record ends, before the first that is malformed."""
        returns = data.count(b"\r")
        if b'"' not in data and (not returns or returns == data.count(b"\r\n") + data.endswith(b"\r")):
            return data.rfind(b"\n") + 1
        match = self._records.match(data)
        return match.end() if match else 0

    def _unfinished(self, data: bytes, line: int) -> DataError:
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
        return DataError(f"{place}: the line is longer than {BLOCK_BYTES >> 20} MiB", hint="is this a text table?")

    def _check_text(self, block: Block) -> None:
        try:
            block.data.decode()
        except UnicodeDecodeError as error:
            line = block.line + block.data.count(b"\n", 0, error.start)
            raise DataError(
                f"{self.file.name}, line {line}: the byte 0x{block.data[error.start]:02x} is not UTF-8",
                hint="save the file as UTF-8",
            ) from None

    def _read_header(self) -> tuple[list[str], int, int]:
        """The names of the columns, where the records begin, and on which line."""
        data = self.file.read_at(0, BLOCK_BYTES)
        mark = len(BYTE_ORDER_MARK) if data.startswith(BYTE_ORDER_MARK) else 0
        data = data[mark:]
        whole = data if data.endswith(b"\n") or len(data) + mark < self.file.size else data + b"\n"
        match = self._record.match(whole)
        first = whole[: whole.find(b"\n") + 1] if match is None else match[0]
        self._check_text(Block(first, 1))
        if match is None:
            raise self._unfinished(whole, 1)
        if b"\0" in first:
            raise DataError(
                f"{self.file.name}, line 1: the header holds a zero byte", hint="save the file as UTF-8 text"
            )
        names = next(self.records(Block(first, 1))).cells
        if all(NUMBER.fullmatch(name.strip(" \t")) for name in names):
            raise DataError(
                f"{self.file.name}: header required: first row looks like data ('{visible(first.decode().strip())}')",
                hint="put the names of the columns in the first line",
            )
        return names, mark + len(first), 1 + first.count(b"\n")


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if cell.startswith('"') else cell
