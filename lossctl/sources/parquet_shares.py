"""Many columns of a large row group, a share of them at a time: Arrow holds pages and a dictionary of each it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from lossctl.sources.parquet_tables import Table
from lossctl.sources.spool import Spool

# Of the pages and the dictionary of a column, beside its bytes in the file; no writer makes larger ones unasked.
_MOST_COLUMN_BYTES = 3 << 20
_SHARE_BYTES = 64 << 20
_AT_ONCE_BYTES = 3 * _SHARE_BYTES


def shares_of(table: Table, groups: Sequence[int], names: Sequence[str]) -> list[list[str]]:
    """Columns that are decoded together; all of them where they take little memory. Only numbers stand apart."""
    metadata = table.metadata
    largest = max(metadata.row_group(group).total_byte_size for group in groups)
    column_bytes = max(1, min(_MOST_COLUMN_BYTES, 5 * largest // (2 * metadata.num_columns)))
    if len(names) * column_bytes <= _AT_ONCE_BYTES:
        return [list(names)]
    numbers = [name for name in names if _is_number(table.schema.field(name).type)]
    step = _SHARE_BYTES // column_bytes
    shares = [numbers[start : start + step] for start in range(0, len(numbers), step)] or [[]]
    shares[-1] += [name for name in names if name not in numbers]
    return shares


def in_shares(table: Table, group: int, shares: Sequence[list[str]], rows: int, name: str) -> Iterator[pa.RecordBatch]:
    """A row group in batches of so many rows. What is decoded before the last share waits in a temporary file.

    `name` is that of the file in messages. Raises ValueError where columns hold different numbers of rows.
    """
    *before, last = shares
    with closing(Spool(name)) as spool:
        waiting = [list(_spooled(table.batches(rows, [group], share, True), spool)) for share in before]
        for batch, *places in zip(table.batches(rows, [group], last, True), *waiting, strict=True):
            read = [pa.ipc.read_record_batch(pa.py_buffer(spool.read(place)), schema) for schema, place in places]
            columns = {name: part.column(name) for part in (batch, *read) for name in part.schema.names}
            yield pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _spooled(batches: Iterator[pa.RecordBatch], spool: Spool) -> Iterator[tuple[pa.Schema, tuple[int, int]]]:
    """The schema of each batch, and where it stands."""
    for batch in batches:
        batch.validate(full=True)
        yield batch.schema, spool.add(memoryview(batch.serialize()))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))
