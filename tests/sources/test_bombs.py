"""Chunks of Zarr and HDF5 that hold more than they may, and chunks within shards that are damaged or not there."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import h5py
import numcodecs  # type: ignore[import-untyped]
import numpy as np
import pyarrow as pa
import pytest
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec
from zarr.codecs import numcodecs as further

from lossctl.sources import Selection, open_reader
from tests.sources.conftest import ReadAll, Refusal

pytestmark = pytest.mark.filterwarnings("ignore:Numcodecs codecs are not in the Zarr version 3 specification")

VALUES = np.random.default_rng(0).normal(size=1000)
BYTES = 1 << 23
ZEROS = bytes(BYTES)


def zstd_of_unknown_size(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


# Each is smaller than a chunk of 250 numbers may be.
BOMBS: dict[str, bytes] = {
    "gzip": gzip.compress(ZEROS),
    "zlib": zlib.compress(ZEROS),
    "bz2": bz2.compress(ZEROS),
    "lzma": lzma.compress(ZEROS),
    "zstd": bytes(numcodecs.Zstd().encode(ZEROS)),
    "zstd of unknown size": zstd_of_unknown_size(ZEROS),
    "lz4": bytes(numcodecs.LZ4().encode(ZEROS)),
    "blosc": bytes(numcodecs.Blosc().encode(ZEROS)),
}
OF_VERSION_2 = {
    "gzip": numcodecs.GZip(),
    "zlib": numcodecs.Zlib(),
    "bz2": numcodecs.BZ2(),
    "lzma": numcodecs.LZMA(),
    "zstd": numcodecs.Zstd(),
    "zstd of unknown size": numcodecs.Zstd(),
    "lz4": numcodecs.LZ4(),
    "blosc": numcodecs.Blosc(),
}
OF_VERSION_3: dict[str, Any] = {
    "gzip": {"name": "gzip", "configuration": {"level": 1}},
    "zlib": {"name": "numcodecs.zlib", "configuration": {}},
    "bz2": {"name": "numcodecs.bz2", "configuration": {}},
    "lzma": {"name": "numcodecs.lzma", "configuration": {}},
    "zstd": {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
    "zstd of unknown size": {"name": "numcodecs.zstd", "configuration": {}},
    "lz4": {"name": "numcodecs.lz4", "configuration": {}},
    "blosc": {"name": "blosc", "configuration": {}},
}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("codec", BOMBS)
def test_no_chunk_of_zarr_is_unpacked_further_than_its_shape(
    codec: str, zarr_format: Literal[2, 3], tmp_path: Path, read_all: ReadAll, refusal: Refusal
) -> None:
    store = tmp_path / "a.zarr"
    compressors = (OF_VERSION_2 if zarr_format == 2 else OF_VERSION_3)[codec]
    zarr.create_array(store, data=VALUES, chunks=(250,), compressors=compressors, zarr_format=zarr_format)
    np.testing.assert_array_equal(read_all(store, 300, prediction=None)["prediction"], VALUES)
    most = 250 * 16 + (1 << 16)
    assert len(BOMBS[codec]) < most
    (store / ("2" if zarr_format == 2 else "c/2")).write_bytes(BOMBS[codec])
    error = refusal(store)
    assert error.exit_code == 3
    held = BYTES if codec in {"zstd", "lz4", "blosc"} else most + 1  # of these a header says it
    assert f"a chunk holds {held} bytes or more, and at most {most} fit its shape" in error.message


def test_streams_of_several_frames_and_of_no_said_size_are_read(tmp_path: Path, read_all: ReadAll) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "bz2": bz2.compress,
        "zstd of unknown size": zstd_of_unknown_size,
    }
    for name, pack in packers.items():
        store = tmp_path / f"{name}.zarr"
        zarr.create_array(store, data=VALUES, chunks=(250,), compressors=OF_VERSION_2[name], zarr_format=2)
        content = VALUES[250:500].tobytes()
        (store / "1").write_bytes(pack(content[:800]) + pack(content[800:]))
        np.testing.assert_array_equal(read_all(store, 300, prediction=None)["prediction"], VALUES)


def test_texts_of_zarr_may_be_as_long_as_they_are(tmp_path: Path) -> None:
    texts = np.array(["cat" * 40_000, "dog"])
    zarr.create_array(tmp_path / "a.zarr", data=texts.astype("T"))
    zarr.create_array(tmp_path / "b.zarr", data=texts, chunks=(1,), compressors=None, zarr_format=2)
    zarr.create_array(tmp_path / "c.zarr", data=texts, zarr_format=2)
    zarr.create_array(tmp_path / "d.zarr", data=texts.astype("T"), chunks=(1,), shards=(2,))
    names = Selection(classes=(str(texts[1]), str(texts[0])))
    for store in ("a.zarr", "b.zarr", "c.zarr", "d.zarr"):
        with open_reader(tmp_path / store, {"target": names}) as reader:
            assert [chunk["target"].tolist() for chunk in reader.chunks(10)] == [[1, 0]]


def test_a_file_of_a_chunk_that_is_larger_than_any_is_not_read(tmp_path: Path, refusal: Refusal) -> None:
    for version, chunk in ((2, "1"), (3, "c/1")):
        store = tmp_path / f"{version}.zarr"
        zarr.create_array(store, data=VALUES, chunks=(250,), zarr_format=version)  # type: ignore[arg-type]
        os.truncate(store / chunk, 1 << 40)  # of which the disk holds nothing
        assert f"has a chunk of {1 << 40} bytes, and at most 69536" in refusal(store).message


def sharded(store: Path, inner: list[Any], values: Any = VALUES) -> Path:
    """Two shards of two chunks each, whose index nothing guards; the file of the second."""
    shards = ShardingCodec(chunk_shape=(250,), codecs=[BytesCodec(), *inner], index_codecs=[BytesCodec()])
    array = zarr.create_array(
        store, shape=(1000,), dtype="f8", chunks=(500,), serializer=shards, compressors=None, filters=None
    )
    array[:] = values
    return store / "c" / "1"


def rewritten(file: Path, chunk: int, start: int | None, size: int | None) -> None:
    """Has the index say something else of where a chunk begins, and how long it is."""
    content = file.read_bytes()
    index = np.frombuffer(content[-32:], "<u8").copy().reshape(2, 2)
    index[chunk] = index[chunk, 0] if start is None else start, index[chunk, 1] if size is None else size
    file.write_bytes(content[:-32] + index.tobytes())


INNER: dict[str, list[Any]] = {"none": [], "blosc": [BloscCodec()], "checksum": [BloscCodec(), Crc32cCodec()]}
MISSING = (1 << 64) - 1


@pytest.mark.parametrize("rows", [1000, 333, 100])
@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize(
    ("start", "size"), [(MISSING, MISSING), (1 << 30, 100), (0, 0), (None, 0), (None, 30), (None, 5)]
)
def test_a_chunk_that_a_shard_lacks_is_no_filler(
    start: int | None, size: int, inner: str, rows: int, tmp_path: Path, read_all: ReadAll
) -> None:
    file = sharded(tmp_path / "a.zarr", INNER[inner])
    np.testing.assert_array_equal(read_all(tmp_path / "a.zarr", rows, prediction=None)["prediction"], VALUES)
    rewritten(file, 1, start, size)
    with pytest.raises(
        ValueError, match=r"a\.zarr, from row \d+ on(: 1 of \d chunks were never|, is damaged)"
    ) as caught:
        read_all(tmp_path / "a.zarr", rows, prediction=None)
    assert getattr(caught.value, "exit_code", None) == 3


def test_a_bomb_within_a_shard(tmp_path: Path, refusal: Refusal) -> None:
    file = sharded(tmp_path / "a.zarr", [further.GZip()])
    bomb = BOMBS["gzip"]
    content = file.read_bytes()
    file.write_bytes(content[:-32] + bomb + content[-32:])
    rewritten(file, 0, len(content) - 32, len(bomb))
    assert "a chunk holds 69537 bytes or more, and at most 69536 fit its shape" in refusal(tmp_path / "a.zarr").message


def test_shards_within_shards(tmp_path: Path, read_all: ReadAll) -> None:
    inner = ShardingCodec(chunk_shape=(50,), codecs=[BytesCodec(), BloscCodec()])
    outer = ShardingCodec(chunk_shape=(250,), codecs=[inner])
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(1000,), dtype="f8", chunks=(500,), serializer=outer, compressors=None, filters=None
    )
    array[:] = VALUES
    np.testing.assert_array_equal(read_all(tmp_path / "a.zarr", 333, prediction=None)["prediction"], VALUES)
    array[500:600] = 0.0
    with pytest.raises(ValueError, match="were never written"):
        read_all(tmp_path / "a.zarr", 1000, prediction=None)


@pytest.mark.filterwarnings("ignore:Combining a `sharding_indexed` codec")
def test_shards_that_are_packed_once_more(tmp_path: Path, refusal: Refusal) -> None:
    shards = ShardingCodec(chunk_shape=(250,))
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=(1000,), dtype="f8", chunks=(500,), serializer=shards, filters=None
    )
    array[:] = VALUES
    assert "shards that are packed once more" in refusal(tmp_path / "a.zarr").message


def packed(path: Path, chunk: int, content: bytes | None, **filters: Any) -> None:
    """Two chunks of HDF5, of which the second is replaced."""
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(0).normal(size=2 * chunk)
        dataset = file.create_dataset("p", data=values, chunks=(chunk,), **filters)
        if content is not None:
            dataset.id.write_direct_chunk((chunk,), content)


def deflated(size: int) -> bytes:
    """A stream of zeros, without the end that nobody should come to."""
    stream = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = stream.compress(bytes(1 << 24)) + stream.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * (size >> 24)


@pytest.mark.parametrize("filters", [{}, {"shuffle": True}, {"fletcher32": True}])
def test_a_chunk_of_hdf5_takes_no_more_than_its_shape(filters: Any, tmp_path: Path, refusal: Refusal) -> None:
    packed(tmp_path / "a.h5", 1000, deflated(1 << 27), compression="gzip", **filters)
    error = refusal(tmp_path / "a.h5", prediction="p")
    assert "the chunk from row 1000 on holds 13" in error.message
    assert error.message.endswith("bytes or more, and at most 81536 fit its shape")


@pytest.mark.parametrize("filters", [{}, {"shuffle": True}, {"fletcher32": True}])
def test_a_chunk_of_hdf5_is_not_unpacked_further_than_its_shape(
    filters: Any, tmp_path: Path, read_all: ReadAll, refusal: Refusal
) -> None:
    packed(tmp_path / "a.h5", 1 << 17, None, compression="gzip", **filters)
    assert len(read_all(tmp_path / "a.h5", 1 << 17, prediction="p")["prediction"]) == 1 << 18
    packed(tmp_path / "a.h5", 1 << 17, deflated(1 << 30), compression="gzip", **filters)
    error = refusal(tmp_path / "a.h5", prediction="p")
    assert "the chunk from row 131072 on holds 3145728 bytes or more, and at most 2162688 fit" in error.message


def test_what_is_packed_twice_is_not_unpacked(tmp_path: Path, refusal: Refusal) -> None:
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((1000,))
    plan.set_deflate(9)
    plan.set_filter(h5py.h5z.FILTER_LZF, 0, ())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((1000,))
        h5py.h5d.create(file.id, b"p", h5py.h5t.NATIVE_DOUBLE, space, plan)
        file["p"][:] = VALUES
    assert "dataset 'p' is packed more than once" in refusal(tmp_path / "a.h5", prediction="p").message
