"""Lines of JSON objects: in blocks of whole lines, one by one for messages, and where each stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from lossctl.errors import DataError, visible
from lossctl.sources.input_file import InputFile
from lossctl.strict_json import without_repeats

LINE_END = b"\n"
REMEDY = 'write each row as {"name": number, "names": [numbers]}'

_BLOCK_BYTES = 1 << 20
# What one line may take: more is not a row of numbers.
_LINE_BYTES = 64 << 20
# Objects of predictions hold lists, and those numbers.
_MOST_DEPTH = 32

_OPENING, _CLOSING = b"[{", b"]}"


class ObjectLines:
    """A file of JSON Lines. Every error is a DataError that names the line; empty lines are none."""

    def __init__(self, file: InputFile) -> None:
        self.file = file

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, about `_BLOCK_BYTES` bytes of them at a time."""
        offset = 0
        while offset < self.file.size:
            for size in (_BLOCK_BYTES, _LINE_BYTES):
                data = self.file.read_at(offset, size)
                last = offset + len(data) >= self.file.size
                end = len(data) if last else data.rfind(LINE_END) + 1
                if end:
                    break
            else:
                raise DataError(
                    f"{self.file.name}: a line is longer than {_LINE_BYTES >> 20} MiB", hint="is this JSON Lines?"
                )
            yield data[:end]
            offset += end
        self.file.check_unchanged()

    def first_record(self) -> dict[str, Any]:
        for block in self.blocks():
            for line in block.splitlines():
                if line.strip():
                    return self.record(line, 0)
        raise DataError(f"{self.file.name} has no lines", hint="was it written to its end?")

    def record(self, line: bytes, row: int) -> dict[str, Any]:
        """One line as an object. Raises DataError where it is none."""
        try:
            record = json.loads(line.decode(), object_pairs_hook=without_repeats)
        except UnicodeDecodeError as error:
            raise DataError(f"{self.where(row)}: not UTF-8", hint="save the file as UTF-8") from error
        except RecursionError:
            raise self._too_deep(row) from None
        except ValueError as error:
            raise DataError(f"{self.where(row)} is no JSON: {visible(error)}", hint=REMEDY) from None
        if not isinstance(record, dict):
            raise DataError(f"{self.where(row)} is no JSON object", hint='write each row as {"name": number, …}')
        return record

    def check_depth(self, block: bytes, row: int) -> None:
        """Parsers of JSON call themselves for each level: what is nested without end takes the stack."""
        if not _may_be_deep(block):
            return
        for line in block.split(LINE_END):
            if not line.strip():
                continue
            depth = deepest = 0
            for match in re.finditer(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', line):
                depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(match[0], 0)
                deepest = max(deepest, depth)
            if deepest > _MOST_DEPTH:
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
                found += bool(text.strip())
                if found == row:
                    return line
            line -= block.endswith(LINE_END)
        return line + 1


def _may_be_deep(block: bytes) -> bool:
    """Whether a line has more opening than closing brackets somewhere, by more than is allowed, those in texts too."""
    text = np.frombuffer(block, np.uint8)
    steps = np.isin(text, np.frombuffer(_OPENING, np.uint8)).astype(np.int32)
    steps -= np.isin(text, np.frombuffer(_CLOSING, np.uint8))
    depth = np.cumsum(steps)
    ends = np.flatnonzero(text == LINE_END[0])
    at_ends = np.concatenate([[0], depth[ends]])
    starts = np.concatenate([[0], ends + 1])
    inside = starts < len(text)
    highest = np.maximum.reduceat(depth, starts[inside])
    return bool((highest - at_ends[inside] > _MOST_DEPTH).any())
