"""NPZ: arrays by name, stored or compressed, and archives that are damaged."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lossctl.errors import DataError, UsageError
from tests.sources.conftest import ReadAll, Refusal


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_by_name(tmp_path: Path, read_all: ReadAll, save: object) -> None:
    p, t = np.arange(30.0).reshape(10, 3), np.arange(10)
    save(tmp_path / "a.npz", logits=p, labels=t)  # type: ignore[operator]
    found = read_all(tmp_path / "a.npz", 4, prediction="logits", target="labels")
    np.testing.assert_array_equal(found["prediction"], p)
    np.testing.assert_array_equal(found["target"], t)


def test_the_only_array_needs_no_name(tmp_path: Path, read_all: ReadAll) -> None:
    np.savez(tmp_path / "a.npz", np.array([[1, 2], [3, 4]], order="F", dtype=np.float32))
    assert read_all(tmp_path / "a.npz", 1, prediction=None)["prediction"].tolist() == [[1, 2], [3, 4]]


def test_names_that_do_not_exist(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", logits=np.zeros(3), labels=np.zeros(3))
    assert "which is the prediction?" in refusal(tmp_path / "a.npz").message
    error = refusal(tmp_path / "a.npz", prediction="logit")
    assert isinstance(error, UsageError)
    assert "has no array 'logit'" in error.message
    assert "did you mean 'logits'" in (error.hint or "")
    assert "selects 2 arrays" in refusal(tmp_path / "a.npz", prediction="l*").message


def test_lengths_that_differ(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", p=np.zeros(3), t=np.zeros(4))
    assert "'p' has 3, 't' has 4" in refusal(tmp_path / "a.npz", prediction="p", target="t").message


def test_objects_are_never_loaded(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", np.array([{}, None], dtype=object))
    assert "holds object" in refusal(tmp_path / "a.npz").message


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_flipped_byte_is_noticed_or_harmless(
    tmp_path: Path, read_all: ReadAll, refusal: Refusal, save: object
) -> None:
    save(tmp_path / "a.npz", np.arange(16.0))  # type: ignore[operator]
    data = (tmp_path / "a.npz").read_bytes()
    for place in range(0, len(data), 3):
        (tmp_path / "b.npz").write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            found = read_all(tmp_path / "b.npz", 5, prediction=None)["prediction"]
        except (DataError, UsageError):
            continue
        assert found.tolist() == list(range(16))


def test_truncated_anywhere(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", np.arange(16.0))
    data = (tmp_path / "a.npz").read_bytes()
    for size in range(4, len(data), 37):
        (tmp_path / "b.npz").write_bytes(data[:size])
        assert refusal(tmp_path / "b.npz").exit_code == 3


def test_a_zip_of_something_else(tmp_path: Path, refusal: Refusal) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"\x80\x02.")
    error = refusal(tmp_path / "model.pt")
    assert "is a ZIP archive of 'model/data.pkl', without NPY arrays" in error.message
    assert "unpack it" in (error.hint or "")
    assert "pickles are never loaded" in (error.hint or "")


def test_a_bomb(tmp_path: Path, refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    from lossctl.sources import spool

    monkeypatch.setattr(spool, "_ALWAYS_READ", 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", np.zeros(1 << 20))
    assert "times its own size" in refusal(tmp_path / "a.npz").message


def test_an_entry_with_two_names(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", first=np.array([1.0]))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content.replace(b"first.npy", b"other.npy", 1))
    assert "the entry 'first.npy' has two names" in refusal(tmp_path / "a.npz").message


def test_an_archive_without_its_end(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", np.arange(16.0))
    os.truncate(tmp_path / "a.npz", 200)
    assert "the list of its arrays at its end is missing" in refusal(tmp_path / "a.npz").message


def test_a_list_of_arrays_that_is_elsewhere(tmp_path: Path, refusal: Refusal) -> None:
    np.savez(tmp_path / "a.npz", np.arange(16.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[-6:-2] = (1 << 30).to_bytes(4, "little")  # of the end of the archive: where its list begins
    (tmp_path / "a.npz").write_bytes(content)
    assert "its list of arrays is not where it says" in refusal(tmp_path / "a.npz").message
