"""HDF5 and Zarr: arrays by path, and values that are not there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
import zarr

from lossctl.errors import DataError, UsageError
from lossctl.sources import Selection, arrays, open_reader
from lossctl.sources import zarr as zarr_source
from lossctl.sources.arrays import pieces
from lossctl.sources.hdf5 import open_hdf5
from lossctl.sources.input_file import InputFile, check_machine
from lossctl.sources.zarr_codecs import Decoded
from tests.sources.conftest import ReadAll, Refusal

BLOSC: dict[int, Any] = {2: {"id": "blosc"}, 3: {"name": "blosc", "configuration": {}}}
P, T = np.arange(30, dtype=np.float32).reshape(10, 3), np.arange(10)


def test_datasets_by_path(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["out/logits"] = P
        file.create_dataset("labels", data=T, chunks=(3,), compression="gzip")
    found = read_all(tmp_path / "a.h5", 4, prediction="out/logits", target="labels")
    np.testing.assert_array_equal(found["prediction"], P)
    np.testing.assert_array_equal(found["target"], T)
    assert "which is the prediction" in refusal(tmp_path / "a.h5").message


def test_datasets_without_values(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("p", (1 << 40,), "f8", chunks=(1 << 10,))
    assert "was never written" in refusal(tmp_path / "a.h5").message


@pytest.mark.parametrize("raised", [RuntimeError, OSError])
def test_what_has_been_read_may_fail_to_be_closed(
    raised: type[Exception], tmp_path: Path, read_all: ReadAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = P

    def fail(file: h5py.File) -> None:
        raise raised("Can't decrement id ref count (unable to close file)")

    monkeypatch.setattr(h5py.File, "close", fail)
    np.testing.assert_array_equal(read_all(tmp_path / "a.h5", 4, prediction="p")["prediction"], P)


def test_hdf5_that_is_removed_as_it_is_opened(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = P
    opened = InputFile(str(tmp_path / "a.h5"))
    (tmp_path / "a.h5").unlink()
    with pytest.raises(DataError, match=r"a\.h5 changed while it was being read"):
        open_hdf5(opened, {"prediction": Selection(("p",))})
    opened.close()


def test_links_are_not_followed(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["p"] = P
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = h5py.ExternalLink("b.h5", "/p")
    asked: dict[str, Any]
    for asked in ({}, {"prediction": "p"}):
        found = refusal(tmp_path / "a.h5", **asked).message
        assert found == f"{tmp_path / 'a.h5'}: 'p' is a link to '/p' of b.h5, which is not followed"
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["g/real"] = P
        file["g/p"] = h5py.SoftLink("/g/real")
        file["g/\N{LATIN SMALL LETTER E WITH ACUTE}"] = h5py.SoftLink("/nowhere")
    assert "'g/p' is a link to '/g/real', which" in refusal(tmp_path / "a.h5", prediction="g/p").message
    assert "'g/\N{LATIN SMALL LETTER E WITH ACUTE}' is a link to '/nowhere'" in (
        refusal(tmp_path / "a.h5", prediction="g/\N{LATIN SMALL LETTER E WITH ACUTE}").message
    )
    for chosen in (None, "g/real", "g/*"):
        np.testing.assert_array_equal(read_all(tmp_path / "a.h5", prediction=chosen)["prediction"], P)


def test_each_name_of_a_dataset_is_one(tmp_path: Path, read_all: ReadAll) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = P
        file["a/same"] = file["p"]
        file["a/around"] = file["/"]
    for name in ("p", "a/same"):
        np.testing.assert_array_equal(read_all(tmp_path / "a.h5", 4, prediction=name)["prediction"], P)


def test_a_filter_that_is_not_there_is_named(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("p", data=P, chunks=True, compression="gzip")
    content = (tmp_path / "a.h5").read_bytes()
    at = content.index(b"deflate")
    (tmp_path / "a.h5").write_bytes(content[: at - 8] + (32123).to_bytes(2, "little") + content[at - 6 :])
    found = refusal(tmp_path / "a.h5")
    assert "dataset 'p' is packed by the filter 'deflate' (32123), which is not there" in found.message
    assert "gzip or lzf" in (found.hint or "")


def test_names_of_classes_are_utf8_whatever_the_file_calls_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["label"] = np.array(["Zürich".encode(), b"Bern"])
    with open_reader(tmp_path / "a.h5", {"target": Selection(("label",), classes=("Bern", "Zürich"))}) as reader:
        (chunk,) = reader.chunks(4)
    assert chunk["target"].tolist() == [1, 0]


def test_damaged_hdf5(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = P
    data = (tmp_path / "a.h5").read_bytes()
    for size in (8, 100, len(data) // 2, len(data) - 1):
        (tmp_path / "b.h5").write_bytes(data[:size])
        assert refusal(tmp_path / "b.h5").exit_code == 3


def test_zarr_arrays(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("out/logits", data=P, chunks=(4, 3))
    group.create_array("labels", data=T)
    found = read_all(tmp_path / "a.zarr", 3, prediction="out/logits", target="labels")
    np.testing.assert_array_equal(found["prediction"], P)
    np.testing.assert_array_equal(found["target"], T)
    error = refusal(tmp_path / "a.zarr", prediction="nope")
    assert isinstance(error, UsageError)
    assert "has no array 'nope'" in error.message


def test_the_arrays_of_a_store_are_always_in_one_order(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    names = [f"{each:02}" for each in range(30)]
    for name in reversed(names):
        group.create_array(name, data=T)
    assert zarr_source.zarr_contents(str(tmp_path / "a.zarr")) == names


def test_a_note_among_the_arrays_is_not_spoken_of(tmp_path: Path, read_all: ReadAll) -> None:
    """The library warns of it; a warning is an error here."""
    zarr.open_group(tmp_path / "a.zarr", mode="w").create_array("p", data=P)
    (tmp_path / "a.zarr" / "README").write_text("of the nightly run")
    np.testing.assert_array_equal(read_all(tmp_path / "a.zarr", 3, prediction="p")["prediction"], P)


def test_a_zarr_store_of_one_array(tmp_path: Path, read_all: ReadAll) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P)
    np.testing.assert_array_equal(read_all(tmp_path / "p.zarr", 3, prediction=None)["prediction"], P)


def test_chunks_that_are_missing(tmp_path: Path, refusal: Refusal) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(4, 3))
    shutil.rmtree(tmp_path / "p.zarr" / "c" / "1")
    assert "1 of 3 chunks were never written" in refusal(tmp_path / "p.zarr").message


def test_chunks_that_are_missing_in_hdf5(tmp_path: Path, read_all: ReadAll, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("p", P.shape, P.dtype, chunks=(4, 2), maxshape=(None, 3))
        dataset[:8] = P[:8]
    assert "2 of 6 chunks were never written" in refusal(tmp_path / "a.h5").message
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["p"][8:] = P[8:]
    np.testing.assert_array_equal(read_all(tmp_path / "a.h5", 3, prediction="p")["prediction"], P)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["p"].resize(40, axis=0)
    assert "14 of 20 chunks were never written" in refusal(tmp_path / "a.h5").message


def test_damage_names_the_array_and_where_it_begins(tmp_path: Path, refusal: Refusal) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(5, 3))
    (tmp_path / "p.zarr" / "c" / "1" / "0").write_bytes(b"nonsense")
    assert "p.zarr, from row 0 on, is damaged" in refusal(tmp_path / "p.zarr").message
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("p", data=P, chunks=(5, 3), fletcher32=True)
        place = file["p"].id.get_chunk_info(1).byte_offset
    with (tmp_path / "a.h5").open("r+b") as handle:
        handle.seek(place)
        handle.write(b"\xff" * 8)
    assert "a.h5, dataset 'p', from row 0 on, is damaged" in refusal(tmp_path / "a.h5").message


def test_hdf5_that_ends_after_a_few_bytes(tmp_path: Path, refusal: Refusal) -> None:
    for size in (8, 20):
        (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n".ljust(size, b"\0"))
        assert "a.h5 is damaged" in refusal(tmp_path / "a.h5").message


def test_a_dataset_without_a_shape(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = h5py.Empty("f8")
    assert "has no values" in refusal(tmp_path / "a.h5").message


@pytest.mark.parametrize("version", [2, 3])
def test_a_shape_of_chunks_beyond_number_is_refused_at_once(tmp_path: Path, refusal: Refusal, version: int) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P, chunks=(4, 3), zarr_format=version)  # type: ignore[arg-type]
    described = tmp_path / "p.zarr" / (".zarray" if version == 2 else "zarr.json")
    described.write_text(json.dumps({**json.loads(described.read_text()), "shape": [10**15, 3]}))
    assert "249999999999997 of 250000000000000 chunks" in refusal(tmp_path / "p.zarr").message


@pytest.mark.parametrize("rows", [8, 10])
def test_shards(tmp_path: Path, read_all: ReadAll, refusal: Refusal, rows: int) -> None:
    zarr.create_array(tmp_path / "p.zarr", data=P[:rows], chunks=(2, 3), shards=(4, 3))
    np.testing.assert_array_equal(read_all(tmp_path / "p.zarr", 3, prediction=None)["prediction"], P[:rows])
    (tmp_path / "p.zarr" / "c" / "1" / "0").unlink()
    (tmp_path / "p.zarr" / "c" / "7").mkdir()
    (tmp_path / "p.zarr" / "c" / "7" / "0").touch()  # of no chunk
    assert f"1 of {-(-rows // 4)} chunks were never written" in refusal(tmp_path / "p.zarr").message


@pytest.mark.parametrize("held", [64 << 20, 8 * 30, 8])
@pytest.mark.parametrize("stored", [1, 7, 40, 100])
@pytest.mark.parametrize("wanted", [1, 10, 1000])
def test_pieces_of_what_is_stored_in_chunks(
    monkeypatch: pytest.MonkeyPatch, held: int, stored: int, wanted: int
) -> None:
    monkeypatch.setattr(arrays, "_HELD_BYTES", held)
    found = list(pieces(100, stored, 8, wanted))
    assert [row for start, stop in found for row in range(start, stop)] == list(range(100))
    for start, stop in found:
        within = start // stored == (stop - 1) // stored
        assert within or start % stored == 0
        assert stop - start <= max(wanted, stored)
        assert stop - start <= max(wanted, held // 8)


def test_a_chunk_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_all: ReadAll) -> None:
    """In Zarr, where those of shards are counted, and in HDF5, which is asked for whole ones."""
    values = np.arange(100.0)
    zarr.create_array(str(tmp_path / "a.zarr"), data=values, chunks=(40,), shards=(80,))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("p", data=values, chunks=(40,), compression="lzf")
    reads: list[Any] = []
    read = h5py.Dataset.__getitem__

    def reading(dataset: h5py.Dataset, part: Any) -> Any:
        reads.append(part)
        return read(dataset, part)

    counted = Decoded()
    monkeypatch.setattr(h5py.Dataset, "__getitem__", reading)
    monkeypatch.setattr(zarr_source, "Decoded", lambda: counted)
    for name in ("a.zarr", "a.h5"):
        assert read_all(tmp_path / name, 3, prediction=None)["prediction"].tolist() == values.tolist()
    assert counted.chunks == 3
    assert reads == [slice(0, 40), slice(40, 80), slice(80, 100)]


def test_hdf5_behind_a_block_of_its_user(tmp_path: Path, read_all: ReadAll) -> None:
    """As MATLAB writes it."""
    for size in (512, 4096):
        with h5py.File(tmp_path / "a.h5", "w", userblock_size=size) as file:
            file["p"] = P
        np.testing.assert_array_equal(read_all(tmp_path / "a.h5", prediction="p")["prediction"], P)


@pytest.mark.parametrize("attribute", ["scale_factor", "add_offset"])
def test_values_that_stand_for_others(tmp_path: Path, refusal: Refusal, attribute: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = P
        file["p"].attrs[attribute] = 0.1
    zarr.create_array(tmp_path / "a.zarr", data=P, attributes={attribute: 0.1})
    for name in ("a.h5", "a.zarr"):
        assert f"to be changed by the attribute {attribute}" in refusal(tmp_path / name).message


def test_chunks_under_names_of_another_encoding(tmp_path: Path, refusal: Refusal) -> None:
    """The library finds none of them, and would read its fill value."""
    zarr.create_array(tmp_path / "a.zarr", data=T, chunks=(5,))
    metadata = tmp_path / "a.zarr" / "zarr.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"chunk_key_encoding": {"name": "v2"}}))
    assert "2 of 2 chunks were never written" in refusal(tmp_path / "a.zarr").message
    zarr.create_array(tmp_path / "b.zarr", data=T, chunks=(5,))
    (tmp_path / "b.zarr" / "c" / "1").rename(tmp_path / "b.zarr" / "c" / "01")
    assert "1 of 2 chunks were never written" in refusal(tmp_path / "b.zarr").message


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_pipes_in_a_store(tmp_path: Path, refusal: Refusal, zarr_format: Literal[2, 3]) -> None:
    """Whose other end nobody opens."""
    for name, found in {"chunk": "never written", "metadata": "is no file"}.items():
        store = tmp_path / f"{name}.zarr"
        zarr.create_array(store, data=T, chunks=(5,), zarr_format=zarr_format)
        chunk, metadata = ("c/0", "zarr.json") if zarr_format == 3 else ("0", ".zattrs")
        path = store / (chunk if name == "chunk" else metadata)
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        assert found in refusal(store, format="zarr").message


@pytest.mark.parametrize("attribute", ["_FillValue", "missing_value"])
def test_values_that_mark_what_is_missing(tmp_path: Path, read_all: ReadAll, refusal: Refusal, attribute: str) -> None:
    values = np.array([[0.5, 0.25], [0.5, -999.0]])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, mark in (("bad", -999.0), ("list", [-1.0, -999.0]), ("nan", np.nan), ("other", 7), ("text", "x")):
            file.create_dataset(name, data=values).attrs[attribute] = mark
    says = f"row 1: -999.0 marks a missing value, says the attribute {attribute}"
    for name in ("bad", "list"):
        assert says in refusal(tmp_path / "a.h5", prediction=name).message
    for name in ("nan", "other", "text"):
        np.testing.assert_array_equal(read_all(tmp_path / "a.h5", 1, prediction=name)["prediction"], values)
    zarr.create_array(tmp_path / "a.zarr", data=values).attrs[attribute] = -999
    assert says in refusal(tmp_path / "a.zarr").message


def test_texts_where_numbers_are_asked_for(tmp_path: Path, refusal: Refusal) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["p"] = ["cat", "dog"]
    error = refusal(tmp_path / "a.h5", prediction="p")
    assert "dataset 'p' holds text" in error.message
    assert "--classes" in str(error.hint)


def test_a_damaged_file_that_asks_for_too_much_memory_is_not_the_fault_of_the_machine(
    tmp_path: Path, refusal: Refusal
) -> None:
    check_machine(OSError("Can't read data (memory allocation failed)"), "a.h5")
    check_machine(MemoryError(), "a.zarr")
    zarr.create_array(tmp_path / "a.zarr", data=T)
    (tmp_path / "a.zarr" / "c" / "0").write_bytes(b"\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little") + b"\1\0\0")
    assert "from row 0 on, is damaged" in refusal(tmp_path / "a.zarr").message


@pytest.mark.parametrize("cut", [1, 30, 1000])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_blosc_that_is_cut_is_not_given_to_its_library(
    tmp_path: Path, read_all: ReadAll, refusal: Refusal, zarr_format: Literal[2, 3], cut: int
) -> None:
    """Which reads on behind it: what stands in memory there, or where there is none."""
    values = np.random.default_rng(0).normal(size=300)
    zarr.create_array(
        tmp_path / "a.zarr", data=values, chunks=(150,), compressors=BLOSC[zarr_format], zarr_format=zarr_format
    )
    np.testing.assert_array_equal(read_all(tmp_path / "a.zarr", 100, prediction=None)["prediction"], values)
    chunk = tmp_path / "a.zarr" / ("1" if zarr_format == 2 else "c/1")
    os.truncate(chunk, chunk.stat().st_size - cut)
    # It is looked at in the moment of reading, which is within what a shard holds as well.
    assert f"a chunk has {chunk.stat().st_size} bytes, its header says" in refusal(tmp_path / "a.zarr").message


def test_no_pickle_of_a_store_is_loaded(tmp_path: Path, refusal: Refusal) -> None:
    """Of the library's versions some would."""
    zarr.create_array(tmp_path / "a.zarr", data=T.astype("T"), zarr_format=2)
    described = tmp_path / "a.zarr" / ".zarray"
    described.write_text(json.dumps({**json.loads(described.read_text()), "compressor": {"id": "pickle"}}))
    assert "a.zarr holds pickles" in refusal(tmp_path / "a.zarr").message
