"""Arrow's reader of Parquet, a table for each thread over one open file; every page with a checksum is held to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa

from lossctl.sources.ahead import can_start
from lossctl.sources.input_file import InputFile

# A column of a row group is read whole, or through a buffer where the row group is larger than this. The buffer takes
# the word of a page's header for its size, so that a damaged one can claim 2 GB: it is for those that need it.
_WHOLE_BYTES = 256 << 20
_BUFFER_BYTES = 1 << 20
_LEAST_BUFFER_BYTES = 1 << 16
# Of all columns together.
_BUFFERS_BYTES = 64 << 20

# Of the pages and the dictionary of a column: no writer makes larger ones unasked.
_MOST_COLUMN_BYTES = 3 << 20


class Table:
    """What `pyarrow.parquet.ParquetFile` is at its core, which loads without what that needs for data sets and stores.

    The core is not promised to be there: without it, it is Arrow's own class.
    """

    def __init__(self, source: Any, metadata: Any = None, buffer_bytes: int = 0) -> None:
        options = {
            "metadata": metadata,
            # Arrow holds what it has pre-buffered of all row groups until the end.
            "pre_buffer": False,
            "buffer_size": buffer_bytes,
            "page_checksum_verification": True,
        }
        self._table: Any
        # The columns of the table that hold each of the file's: a record holds several.
        self._leaves: list[str] | None = None
        try:
            from pyarrow._parquet import ParquetReader
        except ImportError:
            from pyarrow.parquet import ParquetFile

            self._table = ParquetFile(source, **options)
        else:
            self._table = ParquetReader()
            self._table.open(source, **options)
            self._leaves = [path[0] for path in self._table.column_paths]
        self.metadata, self.schema = self._table.metadata, self._table.schema_arrow

    def batches(self, rows: int, groups: list[int], names: list[str], threads: bool) -> Iterator[pa.RecordBatch]:
        """The columns called `names` of row groups, in batches of so many rows; by Arrow's threads if there are any.

        Where one of them does not start, Arrow lets go of what the others are still at work on, and crashes.
        """
        # Twice as many as Arrow starts, one for each column: those that have just ended may still count.
        threads = threads and can_start(2 * min(len(names), pa.cpu_count()))
        if self._leaves is None:
            return iter(self._table.iter_batches(rows, groups, names, use_threads=threads))
        indices = [index for index, name in enumerate(self._leaves) if name in names]
        return iter(self._table.iter_batches(rows, groups, indices, use_threads=threads))

    def column_bytes(self, groups: Sequence[int]) -> int:
        """How much Arrow holds of a column of row groups while it is read: pages, packed and not, and a dictionary."""
        largest = max(self.metadata.row_group(group).total_byte_size for group in groups)
        return int(max(1, min(_MOST_COLUMN_BYTES, 5 * largest // (2 * self.metadata.num_columns))))


class Tables:
    """A table of its own for each thread that asks, over one open file: Arrow's readers are not to be shared."""

    def __init__(self, file: InputFile) -> None:
        self._source = file.arrow_file()
        self.metadata = Table(self._source).metadata
        groups = (self.metadata.row_group(each).total_byte_size for each in range(self.metadata.num_row_groups))
        share = _BUFFERS_BYTES // max(1, self.metadata.num_columns)
        buffer_bytes = max(_LEAST_BUFFER_BYTES, min(_BUFFER_BYTES, share))
        self._buffer_bytes = buffer_bytes if max(groups, default=0) > _WHOLE_BYTES else 0
        self._of_thread = threading.local()

    def here(self) -> Table:
        """The table of this thread."""
        if not hasattr(self._of_thread, "table"):
            self._of_thread.table = Table(self._source, self.metadata, self._buffer_bytes)
        table: Table = self._of_thread.table
        return table

    def by_pages(self) -> Table:
        """A table that reads no more of a column than the pages that it is asked for."""
        return Table(self._source, self.metadata, _BUFFER_BYTES)

    def close(self) -> None:
        with suppress(OSError):  # as for the file itself
            self._source.close()
