"""Many columns of Parquet, of which much has to be held while they are decoded: a share of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from lossctl.sources.spool import Spool

_SHARE_BYTES = 64 << 20
_AT_ONCE_BYTES = 3 * _SHARE_BYTES


def shares_of(schema: pa.Schema, names: Sequence[str], column_bytes: int) -> list[list[str]]:
    """Columns that are decoded together, of which each takes so many bytes while it is.

    All of them where that is little memory. Only numbers stand apart.
    """
    if len(names) * column_bytes <= _AT_ONCE_BYTES:
        return [list(names)]
    numbers = [name for name in names if is_number(schema.field(name).type)]
    step = max(1, _SHARE_BYTES // column_bytes)
    shares = [numbers[start : start + step] for start in range(0, len(numbers), step)] or [[]]
    shares[-1] += [name for name in names if name not in numbers]
    return shares


def in_step(
    decode: Callable[[list[str]], Iterator[pa.RecordBatch]], shares: Sequence[list[str]], name: str
) -> Iterator[pa.RecordBatch]:
    """Batches of all columns, of those of each share. What is decoded before the last one waits in a temporary file.

    `name` is that of the file in messages. Raises ValueError where shares have different numbers of batches.
    """
    *before, last = shares
    if not before:
        yield from decode(last)
        return
    with closing(Spool(name)) as spool:
        waiting = [_spooled(decode(share), spool) for share in before]
        for batch, *parts in zip(decode(last), *waiting, strict=True):
            columns = {column: part.column(column) for part in (batch, *parts) for column in part.schema.names}
            yield pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def _spooled(batches: Iterator[pa.RecordBatch], spool: Spool) -> Iterator[pa.RecordBatch]:
    """The batches, all of which are decoded now and read back one by one."""
    schema, places = pa.schema([]), []
    for batch in batches:
        batch.validate(full=True)
        places.append(spool.add(memoryview(batch.serialize())))
        schema = batch.schema
    # Arrow's allocator keeps what one thread has read and another has let go.
    pa.default_memory_pool().release_unused()
    return (pa.ipc.read_record_batch(pa.py_buffer(spool.read(place)), schema) for place in places)


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type has one number a row, and nothing else."""
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))
