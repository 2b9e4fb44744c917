"""Rows matched by key: the same bits as files in one order, and every key that does not match is named."""

from __future__ import annotations

import errno
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

import lossctl
from lossctl.errors import DataError, EnvironmentFault, UsageError
from lossctl.matching import alignment, key_hashes, rearranged
from lossctl.matching.alignment import aligned, key_selections
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl.sources import Selection, open_reader
from lossctl_kernels import key_tables

ROWS = 5000
GENERATOR = np.random.default_rng(3)
KEYS = GENERATOR.permutation(10 * ROWS)[:ROWS] - 3 * ROWS
PREDICTIONS = GENERATOR.uniform(0.01, 0.99, ROWS)
TARGETS = (PREDICTIONS + GENERATOR.normal(0.0, 0.3, ROWS) > 0.5).astype(np.int64)


@pytest.fixture(autouse=True, params=["sorted", "hashed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few keys are sorted, many are put into a table: what is found is the same."""
    for name in ("TABLE_ROWS", "COMPILING_ROWS"):
        monkeypatch.setattr(key_tables, name, 0 if request.param == "hashed" else 1 << 40)


def write(path: Path, columns: dict[str, Any]) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(columns), path, row_group_size=700)
    elif path.suffix == ".npz":
        arrays: dict[str, Any] = {name: np.asarray(column) for name, column in columns.items()}
        np.savez(path, **arrays)
    elif path.suffix == ".jsonl":
        records = [dict(zip(columns, row, strict=True)) for row in zip(*map(list_of, columns.values()), strict=True)]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
    else:
        rows = zip(*map(list_of, columns.values()), strict=True)
        separator = "\t" if path.suffix == ".tsv" else ","
        path.write_text("\n".join([separator.join(columns), *(separator.join(map(str, row)) for row in rows)]) + "\n")
    return path


def list_of(column: Any) -> list[Any]:
    return list(np.asarray(column).tolist())


def gathered(files: InputFiles) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    with closing(open_feed(files)) as feed:
        chunks = list(feed.chunks(1024))
        assert all(len(chunk["prediction"]) == 1024 for chunk in chunks[:-1])
        return {role: np.concatenate([chunk[role] for chunk in chunks]) for role in chunks[0]}, feed.warnings


@pytest.mark.parametrize("predictions", ["csv", "tsv", "jsonl", "parquet", "npz"])
@pytest.mark.parametrize("targets", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("order", ["same", "other"])
def test_values_are_those_of_the_row_with_the_key(predictions: str, targets: str, order: str, tmp_path: Path) -> None:
    places = np.arange(ROWS) if order == "same" else np.random.default_rng(1).permutation(ROWS)
    files = InputFiles(
        str(write(tmp_path / f"p.{predictions}", {"id": KEYS, "p": PREDICTIONS})),
        str(write(tmp_path / f"y.{targets}", {"y": TARGETS[places], "id": KEYS[places]})),
        on=("id",),
    )
    found, warnings = gathered(files)
    assert np.array_equal(found["prediction"], PREDICTIONS)
    assert np.array_equal(found["target"], TARGETS)
    assert found["target"].dtype == np.int64
    assert warnings == ()


def test_texts_several_columns_and_several_files(tmp_path: Path) -> None:
    users = np.array([f"user {number % 97} ü" for number in range(ROWS)])
    items = np.arange(ROWS) // 97
    pairs = GENERATOR.uniform(0.0, 1.0, (ROWS, 2))
    places, others = GENERATOR.permutation(ROWS), GENERATOR.permutation(ROWS)
    columns = {"user": users, "item": items}
    files = InputFiles(
        str(write(tmp_path / "p.parquet", {**columns, "p_a": pairs[:, 0], "p_b": pairs[:, 1]})),
        str(write(tmp_path / "y.csv", {name: column[places] for name, column in {**columns, "y": TARGETS}.items()})),
        ("p_*",),
        ("y",),
        str(write(tmp_path / "w.jsonl", {name: column[others] for name, column in {**columns, "w": items}.items()})),
        "w",
        on=("user", "item"),
    )
    found, _ = gathered(files)
    assert np.array_equal(found["prediction"], pairs)
    assert np.array_equal(found["target"], TARGETS)
    assert np.array_equal(found["weights"], items)


def test_wide_values_and_pages_that_are_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rearranged, "TOUCHED_BYTES", 20 * 4096)
    monkeypatch.setattr(rearranged, "CHUNK_BYTES", 1 << 12)
    wide = GENERATOR.normal(size=(ROWS, 3, 2)).astype(np.float32)
    places = GENERATOR.permutation(ROWS)
    write(tmp_path / "p.npz", {"id": KEYS, "p": wide})
    write(tmp_path / "y.npz", {"id": KEYS[places], "y": wide[places] + 1.0})
    found, _ = gathered(InputFiles(str(tmp_path / "p.npz"), str(tmp_path / "y.npz"), ("p",), ("y",), on=("id",)))
    assert np.array_equal(found["target"], wide + 1.0)


@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_without_a_partner_are_left_out(shuffled: bool, tmp_path: Path) -> None:
    own, other = np.arange(0, 3000), np.arange(1000, 3500)
    if shuffled:
        other = np.random.default_rng(2).permutation(other)
    write(tmp_path / "p.csv", {"id": own, "p": own / 4000})
    write(tmp_path / "y.csv", {"id": other, "y": other % 2})
    files = InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",), missing="drop")
    found, warnings = gathered(files)
    kept = np.arange(1000, 3000)
    assert np.array_equal(found["prediction"], kept / 4000)
    assert np.array_equal(found["target"], kept % 2)
    assert "1000 of 3000 rows" in warnings[0]
    assert "p.csv" in warnings[0]
    assert "500 of 2500 rows" in warnings[1]
    with closing(open_feed(files)) as feed:
        assert feed.rows == 2000
        assert "line 1002," in feed.place("prediction", 0)
        line = int(np.flatnonzero(other == 1000)[0]) + 2
        assert f"y.csv, line {line}," in feed.place("target", 0)


def refusal(tmp_path: Path, own: Any, other: Any, **options: Any) -> DataError:
    write(tmp_path / "p.csv", {"id": own, "p": np.zeros(len(own))})
    write(tmp_path / "y.csv", {"id": other, "y": np.zeros(len(other))})
    with pytest.raises(DataError) as raised:
        open_feed(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",), **options))
    return raised.value


def test_missing_and_extra_keys_are_counted_and_shown(tmp_path: Path) -> None:
    message = refusal(tmp_path, np.arange(30), np.arange(15, 31)).message
    assert "15 keys of" in message
    assert "and 5 more" in message
    assert "'0' (" in message
    assert "p.csv, line 2, column 'id')" in message
    assert "'10' (" not in message
    assert "; 1 key of" in message
    assert "'30' (" in message
    assert "y.csv, line 17, column 'id')" in message


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_keys_that_stand_twice_are_refused(missing: str, tmp_path: Path) -> None:
    error = refusal(tmp_path, ["a", "b", "a", "c"], ["a", "b", "c", "d"], missing=missing)
    assert "1 row of" in error.message
    assert "'a' (" in error.message
    assert "p.csv, line 4, column 'id')" in error.message
    assert "once in each file" in str(error.hint)
    error = refusal(tmp_path, ["a", "b", "c"], ["c", "b", "b", "a", "b", *["c"] * 20], missing=missing)
    assert "22 rows of" in error.message
    assert "'b' (" in error.message
    assert "y.csv, line 4, column 'id')" in error.message
    assert "and 12 more" in error.message
    error = refusal(tmp_path, ["a", "b", "a"], ["a", "b", "a"], missing=missing)
    assert error.message.count("1 row of") == 2


@pytest.mark.parametrize("seed", range(40))
def test_what_is_found_is_what_a_join_finds(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(seed)
    monkeypatch.setattr(alignment, "CHUNK_ROWS", int(random.integers(1, 9)))
    own, other = (random.permutation(40)[: random.integers(5, 15)] for _ in range(2))
    if seed % 4 == 1:
        other = random.permutation(own)
    elif seed % 4 == 2:
        own = random.integers(0, 20, 12)
        other = own.copy() if seed % 8 == 2 else other
    elif seed % 4 == 3:
        other = random.integers(0, 20, 12)
    texts = [f"k{key}" for key in own], [f"k{key}" for key in other]
    first: dict[Any, int] = {}
    for row, key in enumerate(own.tolist()):
        first.setdefault(key, row)
    repeats = len(own) - len(first), sum(key in first for key in other.tolist()) - len(first.keys() & {*other.tolist()})
    missing, extra = len(first.keys() - {*other.tolist()}), sum(key not in first for key in other.tolist())
    write(tmp_path / "p.csv", {"id": texts[0], "p": np.arange(len(own)) / 99})
    write(tmp_path / "y.csv", {"id": texts[1], "y": np.arange(len(other))})
    files = InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",))
    if any(repeats) or missing or extra:
        with pytest.raises(DataError) as raised:
            open_feed(files)
        told = [int(part.split()[0]) for part in raised.value.message.split("; ")]
        assert told == [count for count in (*repeats, missing, extra) if count]
    else:
        found, _ = gathered(files)
        assert found["target"].tolist() == [other.tolist().index(key) for key in own.tolist()]


def test_a_column_of_the_key_is_named_once(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.csv", {"id": [1, 2], name: [0.5, 1.0]}) for name in ("p", "y")]
    files = InputFiles(str(paths[0]), str(paths[1]), pred_columns=("p",), target_columns=("y",), on=("id", "x", "id"))
    with pytest.raises(UsageError, match="--on names 'id' 2 times; name each column of the key once"):
        open_feed(files)


def test_no_key_in_common(tmp_path: Path) -> None:
    assert "no key is in all of" in refusal(tmp_path, [1, 2], [3, 4], missing="drop").message
    for key in ("1.0", "1 ", "01"):
        error = refusal(tmp_path, [key], ["1"])
        assert "1 key of" in error.message
        assert "written alike" in str(error.hint)


@pytest.mark.parametrize("text", ["007", "+7", "7.0", "-0", "seven", " 7", str(2**64), str(-(2**63) - 1), "9" * 30])
def test_text_among_whole_numbers_is_written_as_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(f"id,p\n1,0.5\n{text},0.5\n")
    write(tmp_path / "y.parquet", {"id": [1, 7], "y": [0, 1]})
    with pytest.raises(DataError, match=r"p.csv, line 3, column 'id'.*is text, and those of .*y.parquet"):
        open_feed(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.parquet"), on=("id",)))


def test_keys_do_not_pass_through_a_float(tmp_path: Path) -> None:
    keys = np.array([2**53 + 1, 2**53, 2**63 - 1, -(2**63), -1, 0])
    write(tmp_path / "p.parquet", {"id": keys, "p": np.arange(6.0)})
    write(tmp_path / "y.csv", {"id": keys[::-1], "y": np.arange(6)[::-1]})
    found, _ = gathered(InputFiles(str(tmp_path / "p.parquet"), str(tmp_path / "y.csv"), on=("id",)))
    assert found["target"].tolist() == [0, 1, 2, 3, 4, 5]
    large = np.array([2**64 - 1, 5], np.uint64)  # the bits of -1
    write(tmp_path / "p.parquet", {"id": large, "p": [0.0, 1.0]})
    write(tmp_path / "y.parquet", {"id": np.array([-1, 5]), "y": [0, 1]})
    with pytest.raises(DataError, match="18446744073709551615"):
        open_feed(InputFiles(str(tmp_path / "p.parquet"), str(tmp_path / "y.parquet"), on=("id",)))


def test_texts_are_different_as_they_are_written(tmp_path: Path) -> None:
    assert "'01' (" in refusal(tmp_path, ["01"], ["1"]).message


def test_keys_that_share_half_of_their_bits_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As two of very many texts may: the halves are a hash each."""

    def lanes(self: Any, reader: Any, chunk: Any, first: int) -> NDArray[np.uint64]:
        numbers = np.array([int(text) for text in chunk["key id"]], np.uint64)
        return np.stack([numbers % 3, numbers], axis=1).astype(np.uint64)

    monkeypatch.setattr(key_hashes.KeyHasher, "lanes", lanes)
    keys = np.arange(300)
    places = GENERATOR.permutation(300)
    write(tmp_path / "p.csv", {"id": keys, "p": keys / 300})
    write(tmp_path / "y.csv", {"id": keys[places], "y": places})
    found, _ = gathered(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",)))
    assert np.array_equal(found["target"], keys)
    assert "'7' (" in refusal(tmp_path, [1, 4, 7], [4, 1, 10]).message


def test_pairs_are_not_glued_together(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", {"a": ["x", "xy"], "b": ["yz", "z"], "p": [0.1, 0.2]})
    write(tmp_path / "y.csv", {"a": ["xy", "x"], "b": ["z", "yz"], "y": [2, 1]})
    files = InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), ("p",), ("y",), on=("a", "b"))
    assert gathered(files)[0]["target"].tolist() == [1, 2]
    write(tmp_path / "y.csv", {"a": ["z", "yz"], "b": ["xy", "x"], "y": [2, 1]})
    with pytest.raises(DataError, match="'x, yz'"):
        open_feed(files)


def test_decimals_after_whole_numbers_stay_exact(tmp_path: Path) -> None:
    keys = np.arange(2000)
    targets = ["1"] * 1999 + ["2.5"]
    write(tmp_path / "p.csv", {"id": keys, "p": keys / 2000})
    write(tmp_path / "y.csv", {"id": keys[::-1], "y": targets})
    found, _ = gathered(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",)))
    assert found["target"][0] == 2.5
    assert (found["target"][1:] == 1.0).all()


def test_a_further_input_that_is_not_in_step_has_no_key(tmp_path: Path) -> None:
    write(tmp_path / "p.csv", {"id": [1, 2], "p": [0.1, 0.2]})
    write(tmp_path / "y.csv", {"id": [2, 1], "y": [1, 0]})
    np.save(tmp_path / "r.npy", np.zeros(7))
    files = InputFiles(
        str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), inputs={"r": str(tmp_path / "r.npy")}, on=("id",)
    )
    with closing(open_feed(files, {"r"})) as feed:
        (chunk,) = feed.chunks(10)
        assert chunk["target"].tolist() == [0, 1]
        assert chunk["r"].shape == (7,)


def test_files_that_have_no_such_key(tmp_path: Path) -> None:
    table = str(write(tmp_path / "p.csv", {"id": [1, 2], "p": [0.1, 0.2]}))
    np.save(tmp_path / "y.npy", np.zeros(2))
    with pytest.raises(UsageError, match=r"no column 'key' \(--on\)"):
        open_feed(InputFiles(table, table, ("p",), ("p",), on=("key",)))
    with pytest.raises(UsageError, match=r"y\.npy"):
        open_feed(InputFiles(table, str(tmp_path / "y.npy"), on=("id",)))
    with pytest.raises(UsageError, match="leave out --on"):
        open_feed(InputFiles(table, None, ("p",), ("p",), on=("id",)))
    with pytest.raises(UsageError, match="--missing is of keys"):
        open_feed(InputFiles(table, table, missing="drop"))


def test_a_null_is_no_key(tmp_path: Path) -> None:
    write(tmp_path / "p.parquet", {"id": ["a", None], "p": [0.1, 0.2]})
    write(tmp_path / "y.csv", {"id": ["a", "b"], "y": [0, 1]})
    for gaps in (False, True):
        with pytest.raises(DataError, match=r"p.parquet, row 1, column 'id': null is not a name or a key"):
            open_feed(InputFiles(str(tmp_path / "p.parquet"), str(tmp_path / "y.csv"), on=("id",), gaps=gaps))


def test_an_empty_key_is_none(tmp_path: Path) -> None:
    (tmp_path / "y.csv").write_text("id,y\na,1\n,0\n")
    write(tmp_path / "p.csv", {"id": ["a", "b"], "p": [0.1, 0.2]})
    with pytest.raises(DataError, match=r"y\.csv, line 3, column 'id': the key is empty"):
        open_feed(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",), missing="drop"))


def test_a_full_disk_is_found_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    write(tmp_path / "p.csv", {"id": [1, 2], "p": [0.1, 0.2]})
    write(tmp_path / "y.csv", {"id": [2, 1], "y": [1, 0]})
    with pytest.raises(EnvironmentFault, match=r"cannot copy .*y\.csv to .*: no space left"):
        open_feed(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y.csv"), on=("id",)))


def test_shards_and_a_key_of_the_folders(tmp_path: Path) -> None:
    for key in (1, 2, 3):
        (tmp_path / f"y/id={key}").mkdir(parents=True)
        write(tmp_path / f"y/id={key}/part.parquet", {"y": [key % 2]})
    write(tmp_path / "p.csv", {"id": [3, 1, 2], "p": [0.1, 0.2, 0.3]})
    found, _ = gathered(InputFiles(str(tmp_path / "p.csv"), str(tmp_path / "y"), on=("id",)))
    assert found["target"].tolist() == [1, 1, 0]


def test_from_python(tmp_path: Path) -> None:
    places = GENERATOR.permutation(ROWS)
    table = write(tmp_path / "p.csv", {"id": KEYS, "p": PREDICTIONS})
    labels = write(tmp_path / "y.parquet", {"id": KEYS[places], "y": TARGETS[places]})
    expected = lossctl.evaluate(PREDICTIONS, TARGETS, "bce")
    found = lossctl.evaluate(table, labels, "bce", on="id")
    assert found.value == expected.value
    assert found.options["on"] == "id"
    assert "|on=id|" in found.signature
    assert np.array_equal(
        lossctl.gradient(table, labels, "bce", on=["id"]), lossctl.gradient(PREDICTIONS, TARGETS, "bce")
    )
    with pytest.raises(UsageError, match="no column 'id'"):
        lossctl.evaluate(PREDICTIONS, labels, "bce", on="id")
    for options in ({"on": "id", "missing": "ignore"}, {"missing": "drop"}):
        with pytest.raises(UsageError, match="missing"):
            lossctl.evaluate(table, labels, "bce", **options)  # type: ignore[call-overload]


def test_the_first_reader_need_not_be_read_twice_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks while keys are matched give the same."""
    monkeypatch.setattr(alignment, "CHUNK_ROWS", 7)
    places = GENERATOR.permutation(100)
    write(tmp_path / "p.csv", {"id": KEYS[:100], "p": PREDICTIONS[:100]})
    write(tmp_path / "y.csv", {"id": KEYS[:100][places], "y": TARGETS[:100][places]})
    keys = key_selections(["id"])
    readers = [
        open_reader(tmp_path / "p.csv", {"prediction": Selection(("p",)), **keys}),
        open_reader(tmp_path / "y.csv", {"target": Selection(("y",)), **keys}),
    ]
    (_, targets), warnings = aligned(readers, ["id"], "error")
    with closing(targets):
        assert np.concatenate([chunk["target"] for chunk in targets.chunks(9)]).tolist() == TARGETS[:100].tolist()
    assert warnings == []
    readers[0].close()
