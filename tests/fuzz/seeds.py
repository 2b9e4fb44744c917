"""Valid files of every format, small: what the fuzzers begin with."""

from __future__ import annotations

import gzip
import io
import json
from dataclasses import dataclass
from decimal import Decimal

import h5py
import numpy as np
import pyarrow as pa
from pyarrow import ipc, parquet

ROWS = 8
PREDICTION = np.linspace(0.05, 0.95, ROWS)
TARGET = np.arange(ROWS) % 2
TABLE = pa.table({"p": pa.array(PREDICTION), "y": pa.array(TARGET)})
DECIMALS = pa.table(
    {
        "p": pa.array(map(Decimal, map(repr, PREDICTION.tolist())), pa.decimal128(38, 18)),
        "y": pa.array(map(Decimal, TARGET.tolist()), pa.decimal128(9, 0)),
    }
)


@dataclass(frozen=True)
class Seed:
    """A file of `PREDICTION`, and of `TARGET` where it has names.

    `payload` is where its values stand as they do in memory, in bytes; `checked` says that a checksum covers all of
    its values.
    """

    extension: str
    data: bytes
    named: bool = True
    payload: slice | None = None
    checked: bool = False


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, PREDICTION)
    return out.getvalue()


def _npz(*, compressed: bool) -> bytes:
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, p=PREDICTION, y=TARGET)
    return out.getvalue()


def _text(delimiter: str) -> bytes:
    rows = (f"{p!r}{delimiter}{y}\n" for p, y in zip(PREDICTION.tolist(), TARGET.tolist(), strict=True))
    return f"p{delimiter}y\n{''.join(rows)}".encode()


def _json_lines() -> bytes:
    rows = zip(PREDICTION.tolist(), TARGET.tolist(), strict=True)
    return "".join(json.dumps({"p": p, "y": y}) + "\n" for p, y in rows).encode()


def _parquet() -> bytes:
    out = io.BytesIO()
    parquet.write_table(TABLE, out, write_page_checksum=True)
    return out.getvalue()


def _arrow(table: pa.Table = TABLE, *, stream: bool) -> bytes:
    out = io.BytesIO()
    with (ipc.new_stream if stream else ipc.new_file)(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _safetensors() -> tuple[bytes, int]:
    size = PREDICTION.nbytes
    header = {
        "p": {"dtype": "F64", "shape": [ROWS], "data_offsets": [0, size]},
        "y": {"dtype": "I64", "shape": [ROWS], "data_offsets": [size, size + TARGET.nbytes]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + PREDICTION.tobytes() + TARGET.tobytes(), 8 + len(text)


def _hdf5() -> bytes:
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        file["p"], file["y"] = PREDICTION, TARGET
    return out.getvalue()


def seeds() -> dict[str, Seed]:
    """The files, by a name for each."""
    npy, (safetensors, start), csv = _npy(), _safetensors(), _text(",")
    values = PREDICTION.nbytes
    return {
        "npy": Seed(".npy", npy, named=False, payload=slice(len(npy) - values, len(npy))),
        "npz": Seed(".npz", _npz(compressed=False), checked=True),
        "npz-deflated": Seed(".npz", _npz(compressed=True), checked=True),
        "csv": Seed(".csv", csv),
        "tsv": Seed(".tsv", _text("\t")),
        "csv-gzip": Seed(".csv.gz", gzip.compress(csv, mtime=0), checked=True),
        "csv-zstd": Seed(".csv.zst", pa.compress(csv, codec="zstd", asbytes=True)),
        "jsonl": Seed(".jsonl", _json_lines()),
        "parquet": Seed(".parquet", _parquet()),
        "arrow": Seed(".arrow", _arrow(stream=False)),
        "arrow-decimals": Seed(".arrow", _arrow(DECIMALS, stream=False)),
        "arrow-stream": Seed(".arrows", _arrow(stream=True)),
        "safetensors": Seed(".safetensors", safetensors, payload=slice(start, start + values)),
        "hdf5": Seed(".h5", _hdf5()),
    }
