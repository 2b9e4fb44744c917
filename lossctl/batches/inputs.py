"""What all files of a batch have in common, targets first: opened and decoded once, whatever the number of predictions.

An array that stands in its file as it does in memory is mapped by all. Anything else (text, compressed and columnar
tables, names of classes) is decoded once: the first of it is kept in memory, and what is more than that in temporary
files without a name, from which it is mapped.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from lossctl.rows.feed import Feed
from lossctl.rows.input_parts import (
    Part,
    by_table,
    check_names,
    check_stdin,
    open_group,
    order_warnings,
    parts_of,
    selections_of_keys,
)
from lossctl.rows.inputs import InputFiles, open_parts
from lossctl.sources import Reader, Selection
from lossctl.sources.arrays import deliver, rechunk
from lossctl.sources.base import Array, is_remote
from lossctl.sources.opening import bare_name
from lossctl.sources.raw_array import RawArrayReader
from lossctl.sources.spool import spooled
from lossctl_kernels.records import replace

EACH_FILE = "/dev/null/predictions"
"""Stands for the file of predictions, which is another each time; there is no such file."""

MEMORY_BYTES = 64 << 20
"""Of decoded values of one file that are kept in memory."""

CHUNK_BYTES = 4 << 20
TEXT_BYTES = 100
"""About what a key takes that is text."""


class SharedInputs:
    """The inputs of a command but for its files of predictions; `feed` puts each of these beside them.

    Raises UsageError and DataError for what is wrong whatever the predictions. Feeds may be read in several threads.
    """

    def __init__(self, files: InputFiles, whole: Collection[str] = ()) -> None:
        self._files = replace(files, predictions=EACH_FILE)
        check_names(self._files)
        self._parts, self._whole = parts_of(self._files), whole
        keys = selections_of_keys(files.on)
        groups = [*by_table([part for part in self._parts if part.role not in whole], bool(keys))]
        whole_groups = [*by_table([part for part in self._parts if part.role in whole], False)]
        check_stdin([group[0] for group in (*groups, *whole_groups)])
        self._shared: dict[str, _Shared] = {}
        with ExitStack() as stack:
            for group, own_keys in [*((each, keys) for each in groups), *((each, {}) for each in whole_groups)]:
                if group[0].path != EACH_FILE:
                    shared = _Shared(group, own_keys)
                    stack.callback(shared.close)
                    self._shared[group[0].role] = shared
            self._stack = stack.pop_all()

    def feed(self, predictions: str) -> Feed:
        """A file of predictions with all that belongs to it. Raises UsageError and DataError."""
        files = replace(self._files, predictions=predictions)
        return open_parts(
            self._parts,
            whole=self._whole,
            on=files.on,
            missing=files.missing,
            classes=files.classes,
            warnings=order_warnings(files) if _is_cheap(files.targets) else [],
            open_group=partial(self._open_group, predictions),
        )

    def _open_group(self, predictions: str, group: list[Part], keys: Mapping[str, Selection]) -> Reader:
        if group[0].path == EACH_FILE:
            return open_group([replace(part, path=predictions) for part in group], keys)
        return self._shared[group[0].role].lend()

    def close(self) -> None:
        """Closes what is shared; no feed can be read after that."""
        self._stack.close()


def _is_cheap(targets: str | None) -> bool:
    """Whether the order of the rows can be looked at for each file of predictions: what is compressed is read whole."""
    return targets is not None and not is_remote(targets) and bare_name(targets) == targets


class _Shared:
    """One file that is opened once, and what it was decoded to."""

    def __init__(self, group: list[Part], keys: Any) -> None:
        self._group, self._keys = group, keys
        self.reader = open_group(group, keys)
        self.lock = threading.Lock()
        self.first = dict(self.reader.arrays)
        as_it_is = isinstance(self.reader, RawArrayReader) and not any(part.selection.is_text for part in group)
        self.decoded: _Decoded | None = None
        self._lendable = True
        if not as_it_is:
            try:
                self.decoded = _Decoded(self.reader)
            except _TooMuchText:
                self._lendable = False
            except BaseException:
                self.reader.close()
                raise

    def lend(self) -> Reader:
        """A reader of the same that is for one feed; closing it closes nothing that others read."""
        return _Lent(self) if self._lendable else open_group(self._group, self._keys)

    def close(self) -> None:
        self.reader.close()
        if self.decoded is not None:
            self.decoded.close()


class _Lent(Reader):
    """What is shared, as a reader of its own: until it has been read, it knows what any reader knows by then."""

    def __init__(self, shared: _Shared) -> None:
        self._shared = shared
        self.arrays = dict(shared.first)

    def _chunks(self, rows: int) -> Iterator[dict[str, Array]]:
        decoded = self._shared.decoded
        yield from self._shared.reader.chunks(rows) if decoded is None else rechunk(decoded.parts(rows), rows)
        self.arrays = dict(self._shared.reader.arrays)

    def place(self, role: str, row: int, column: int | None = None) -> str:
        with self._shared.lock:  # a text is read again for it
            return self._shared.reader.place(role, row, column)

    def close(self) -> None:
        """It is closed by whoever has shared it."""


class _TooMuchText(Exception):
    """Texts that are too many for memory cannot be mapped."""


class _Decoded:
    """All chunks of a reader: the first in memory, the others as records in temporary files."""

    def __init__(self, reader: Reader) -> None:
        self._memory: list[dict[str, Array]] = []
        self._files: list[RawArrayReader] = []
        info = next(iter(reader.arrays.values()))
        values = sum(math.prod(size or 1 for size in each.shape[1:]) for each in reader.arrays.values())
        chunks = reader.chunks(max(1, CHUNK_BYTES // (8 * values)))
        held = 0
        for chunk in chunks:
            self._memory.append({role: np.array(array) for role, array in chunk.items()})
            held += sum(_bytes_of(array) for array in chunk.values())
            if held > MEMORY_BYTES:
                break
        # What was whole numbers so far may go over into decimals: records of one type make one file.
        for dtype, group in groupby(chunks, _record_dtype):
            file = spooled(info.path, _Records(group, dtype))
            self._files.append(RawArrayReader(file, "records", info.format, (file.size // dtype.itemsize,), dtype, 0))

    def parts(self, rows: int) -> Iterator[dict[str, Array]]:
        """The arrays in step, in parts of any length."""
        yield from self._memory
        for file in self._files:
            for chunk in file.chunks(rows):
                records = chunk["records"]
                yield {role: deliver(records[role]) for role in records.dtype.names or ()}

    def close(self) -> None:
        for file in self._files:
            file.close()


def _bytes_of(array: Array) -> int:
    return array.size * TEXT_BYTES if array.dtype == object else array.nbytes


def _record_dtype(chunk: dict[str, Array]) -> np.dtype[Any]:
    if any(array.dtype == object for array in chunk.values()):
        raise _TooMuchText
    return np.dtype([(role, array.dtype, array.shape[1:]) for role, array in chunk.items()])


class _Records:
    """Chunks as a stream of records: the values of one row of all arrays, then those of the next."""

    def __init__(self, chunks: Iterator[dict[str, Array]], dtype: np.dtype[Any]) -> None:
        self._chunks, self._dtype = chunks, dtype

    def read(self, size: int, /) -> bytes:
        """The records of the next chunk, whatever their size."""
        chunk = next(self._chunks, None)
        if chunk is None:
            return b""
        records = np.empty(len(next(iter(chunk.values()))), self._dtype)
        for role, array in chunk.items():
            records[role] = array
        return records.tobytes()
