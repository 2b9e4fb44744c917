"""What the tests of every reader share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lossctl.errors import LossctlError
from lossctl.sources import Reader, Selection, cells, open_reader, records
from lossctl_kernels import decimals

ReadAll = Callable[..., dict[str, Any]]
Refusal = Callable[..., LossctlError]
WriteParquet = Callable[..., Path]


def gather(reader: Reader, rows: int) -> dict[str, Any]:
    """Every role whole, after checking what holds of any chunk of any reader."""
    chunks = list(reader.chunks(rows))
    sizes = [len(next(iter(chunk.values()))) for chunk in chunks]
    assert all(size == rows for size in sizes[:-1])
    assert all(0 < size <= rows for size in sizes)
    for chunk in chunks:
        assert list(chunk) == list(reader.arrays)
        for role, array in chunk.items():
            assert len(array) == len(next(iter(chunk.values())))
            assert array.shape[1:] == reader.arrays[role].shape[1:]
            assert array.flags.c_contiguous
            assert array.flags.aligned
            assert array.dtype.isnative
            assert array.dtype.name != "float16"
    for info in reader.arrays.values():
        assert info.shape[0] in {None, sum(sizes)}
    return {role: np.concatenate([chunk[role] for chunk in chunks]) for role in reader.arrays} if chunks else {}


@pytest.fixture
def read_all() -> ReadAll:
    """Reads `path` to its end in chunks of `rows`; roles as `role="column"`, `role=("a", "b")` or `role=None`."""

    def read(path: Path, rows: int = 1000, **roles: str | tuple[str, ...] | None) -> dict[str, Any]:
        with open_reader(path, selections(roles)) as reader:
            return gather(reader, rows)

    return read


@pytest.fixture
def refusal() -> Refusal:
    """The error that reading `path` to its end raises, checked to be one line that names the file."""

    def read(path: Path | str, *, format: str | None = None, **roles: str | tuple[str, ...] | None) -> LossctlError:
        with (
            pytest.raises(LossctlError) as caught,
            open_reader(path, selections(roles or {"prediction": None}), format=format) as reader,
        ):
            gather(reader, 1000)
        assert caught.value.message.isprintable()
        return caught.value

    return read


@pytest.fixture(scope="module", params=["compiled", "arrow"])
def road(request: pytest.FixtureRequest) -> Iterator[None]:
    """What plain cells of text tables are read by: both roads give the same numbers and the same errors."""
    parser = decimals.row_parser(compiling=True) if request.param == "compiled" else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_row_parser", lambda size: parser)
        yield


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """Writes the text of a table, and returns its path."""

    def write(text: str | bytes, name: str = "t.csv") -> Path:
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / name

    return write


@pytest.fixture
def write_parquet(tmp_path: Path) -> WriteParquet:
    """Writes columns to a Parquet file, and returns its path."""

    def write(columns: Any, **options: Any) -> Path:
        parquet.write_table(pa.table(columns), tmp_path / "t.parquet", **options)
        return tmp_path / "t.parquet"

    return write


@pytest.fixture(params=[None, 32, 70])
def blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of the usual size, and so small that a file has many."""
    if request.param:
        monkeypatch.setattr(records, "BLOCK_BYTES", request.param)


def selections(roles: dict[str, Any]) -> dict[str, Selection]:
    return {role: Selection((columns,) if isinstance(columns, str) else columns) for role, columns in roles.items()}
