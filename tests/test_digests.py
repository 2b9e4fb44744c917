"""Digests of inputs: the same for the same values however they are kept, and another for any other value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from lossctl import digests
from lossctl.digests import digested
from lossctl.rows.inputs import InputFiles, open_feed
from lossctl_kernels.gpu import BackendUnavailable
from lossctl_kernels.value_hashes import PIECE, compiled_hashes, hashes
from tests.cli.commands import call, refused, write_csv

ROWS = 300
LABELS = (np.arange(ROWS) % 7 % 3).astype(np.int64)


def expected(values: Sequence[float]) -> str:
    """What a digest is, spelled out."""
    whole = hashlib.sha256()
    for start in range(0, len(values), PIECE):
        whole.update(hashes(np.array([values[start : start + PIECE]], np.float64)).astype("<u8").tobytes())
    whole.update(len(values).to_bytes(8, "little"))
    return "nh-sha256:" + whole.hexdigest()[:32]


def digests_of(files: InputFiles, chunk_rows: int = 1 << 16, threads: int = 0) -> dict[str, str]:
    found: dict[str, str] = {}
    with closing(open_feed(files)) as feed:
        for _ in digested(feed, found, lambda: threads).chunks(chunk_rows):
            pass
    return found


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", np.full(ROWS, 0.5))


def saved(values: Any) -> str:
    np.save("y.npy", values)
    return "y.npy"


def as_parquet() -> str:
    pq.write_table(pa.table({"y": pa.array(LABELS, pa.int8())}), "y.parquet")
    return "y.parquet"


def as_json_lines() -> str:
    Path("y.jsonl").write_text("".join(f'{{"y": {value}}}\n' for value in LABELS))
    return "y.jsonl"


def as_shards() -> str:
    for place, part in enumerate(np.split(LABELS, [100, 101])):
        np.save(f"part{place}.npy", part)
    return "part?.npy"


KEPT: dict[str, Callable[[], str]] = {
    "integers": lambda: saved(LABELS),
    "bytes": lambda: saved(LABELS.astype(np.uint8)),
    "float32": lambda: saved(LABELS.astype(np.float32)),
    "float64": lambda: saved(LABELS.astype(np.float64)),
    "from high to low": lambda: saved(LABELS.astype(">f8")),
    "half precision": lambda: saved(LABELS.astype(np.float16)),
    "a column": lambda: saved(LABELS[:, None]),
    "in Fortran's order": lambda: saved(np.asfortranarray(LABELS.reshape(ROWS, 1))),
    "text": lambda: str(write_csv(Path("y.csv"), {"y": LABELS})),
    "Parquet": as_parquet,
    "JSON Lines": as_json_lines,
    "shards": as_shards,
}


@pytest.mark.parametrize("how", KEPT)
def test_the_same_values_have_one_digest(how: str) -> None:
    files = InputFiles("p.npy", KEPT[how]())
    assert digests_of(files) == {"target": expected(LABELS.tolist())}


LONG = (np.arange(3 * PIECE + 5) * 7919 % 13).astype(np.int64)
"""More than three pieces of what is hashed."""


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Compiled code takes all whole pieces; how many numbers it was given, each time."""
    given: list[int] = []

    def spy(values: NDArray[Any], threads: int) -> NDArray[np.uint64]:
        given.append(values.size)
        return compiled_hashes(values, threads)

    monkeypatch.setattr(digests, "COMPILED_VALUES", 1)
    monkeypatch.setattr(digests, "COMPILING_VALUES", 1)
    monkeypatch.setattr(digests, "compiled_hashes", spy)
    return given


@pytest.mark.parametrize("chunk_rows", [1, 7, PIECE - 1, PIECE, PIECE + 1, 5000])
@pytest.mark.parametrize("threads", [0, 2])
def test_chunks_do_not_matter(chunk_rows: int, threads: int, compiled: list[int]) -> None:
    np.save("p.npy", np.full(LONG.size, 0.5))
    files = InputFiles("p.npy", saved(LONG))
    assert digests_of(files, chunk_rows, threads) == {"target": expected(LONG.tolist())}
    assert sum(compiled) == (3 * PIECE if threads else 0)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float32", ">f4", "float64", ">i8"])
@pytest.mark.parametrize("threads", [0, 2])
def test_types_do_not_matter(dtype: str, threads: int, compiled: list[int]) -> None:
    np.save("p.npy", np.full(LONG.size, 0.5))
    assert digests_of(InputFiles("p.npy", saved(LONG.astype(dtype))), 2000, threads) == {
        "target": expected(LONG.tolist())
    }
    assert bool(compiled) == bool(threads)


@pytest.mark.parametrize("threads", [0, 2])
def test_bools_are_zeros_and_ones(threads: int, compiled: list[int]) -> None:
    np.save("p.npy", np.full(LONG.size, 0.5))
    is_small = LONG < 5
    assert digests_of(InputFiles("p.npy", saved(is_small)), 2000, threads) == {
        "target": expected(is_small.astype(float).tolist())
    }
    assert bool(compiled) == bool(threads)


def test_without_a_compiler_it_is_interpreted(monkeypatch: pytest.MonkeyPatch, compiled: list[int]) -> None:
    def fails(values: NDArray[Any], threads: int) -> NDArray[np.uint64]:
        raise BackendUnavailable("there is none")

    monkeypatch.setattr(digests, "compiled_hashes", fails)
    np.save("p.npy", np.full(LONG.size, 0.5))
    assert digests_of(InputFiles("p.npy", saved(LONG)), 2000, 2) == {"target": expected(LONG.tolist())}


def test_as_many_zeros_again_are_other_values() -> None:
    np.save("p.npy", np.full(5, 0.5))
    short = digests_of(InputFiles("p.npy", saved(np.zeros(5))))
    np.save("p.npy", np.full(6, 0.5))
    assert digests_of(InputFiles("p.npy", saved(np.zeros(6)))) != short


def test_rows_of_several_values_count_in_their_order() -> None:
    wide = np.arange(2.0 * ROWS).reshape(ROWS, 2)
    assert digests_of(InputFiles("p.npy", saved(np.asfortranarray(wide)))) == {
        "target": expected(wide.ravel().tolist())
    }


def test_names_of_classes_count_by_their_indices() -> None:
    names = ("cat", "dog", "eel")
    np.save("p.npy", np.full((ROWS, 3), 1 / 3))
    Path("y.csv").write_text("y\n" + "".join(f"{names[index]}\n" for index in LABELS))
    assert digests_of(InputFiles("p.npy", "y.csv", classes=names)) == {"target": expected(LABELS.tolist())}


def test_zeros_and_what_is_no_number_have_one_spelling() -> None:
    values = np.array([0.0, -0.0, np.nan, -np.nan, 1.0])
    values.view(np.uint64)[3] = 0xFFF8_0000_DEAD_BEEF
    np.save("p.npy", np.full(5, 0.5))
    digest = digests_of(InputFiles("p.npy", saved(values), gaps=True))
    assert digest == {"target": expected([0.0, 0.0, np.nan, np.nan, 1.0])}
    Path("y.csv").write_text("y\n-0.0\n0\nnan\n-NaN\n1\n")
    assert digests_of(InputFiles("p.npy", "y.csv", gaps=True)) == digest


def changed(change: Callable[[NDArray[np.int64]], None]) -> str:
    labels = LABELS.copy()
    change(labels)
    return saved(labels)


@pytest.mark.parametrize("place", [0, 150, 299])
def test_another_value_is_another_digest(place: int) -> None:
    def increase(labels: NDArray[np.int64]) -> None:
        labels[place] += 1

    def exchange(labels: NDArray[np.int64]) -> None:
        other = int(np.flatnonzero(labels != labels[place])[0])
        labels[[place, other]] = labels[[other, place]]

    known = expected(LABELS.tolist())
    assert digests_of(InputFiles("p.npy", changed(increase)))["target"] != known
    assert digests_of(InputFiles("p.npy", changed(exchange)))["target"] != known


def test_a_pass_that_ends_early_has_none_and_the_first_whole_one_counts() -> None:
    found: dict[str, str] = {}
    with closing(open_feed(InputFiles("p.npy", saved(LABELS)))) as feed:
        observed = digested(feed, found)
        next(iter(observed.chunks(10)))
        assert found == {}
        for _ in range(2):
            assert sum(len(chunk["target"]) for chunk in observed.chunks(10)) == ROWS
            assert found == {"target": expected(LABELS.tolist())}


# ---- at the command line

WEIGHTED = ("eval", "p.npy", "y.npy", "--loss", "gaussian_nll", "--weights", "w.npy", "--input", "var=v.npy")


@pytest.fixture
def weighted() -> dict[str, str]:
    """Files of `WEIGHTED`, and the digests that they have."""
    given = {"target": LABELS / 2, "weights": np.arange(ROWS) + 1.0, "var": np.arange(ROWS) + 0.5}
    for name, values in zip("ywv", given.values(), strict=True):
        np.save(f"{name}.npy", values)
    return {role: expected(values.tolist()) for role, values in given.items()}


def inputs(path: str) -> dict[str, dict[str, Any]]:
    return {entry["role"]: entry for entry in json.loads(Path(path).read_text())["inputs"]}


def test_a_document_has_the_digests_of_all_but_the_predictions(weighted: dict[str, str]) -> None:
    assert call(*WEIGHTED, "-o", "r.json").code == 0
    found = {role: entry.get("digest") for role, entry in inputs("r.json").items()}
    assert found == {"prediction": None, **weighted}
    assert json.loads(call(*WEIGHTED, "--format", "json").out)["inputs"] == list(inputs("r.json").values())


def test_rows_that_are_skipped_are_among_what_was_read(weighted: dict[str, str]) -> None:
    np.save("p.npy", np.where(np.arange(ROWS) % 10, 0.5, np.nan))
    assert call(*WEIGHTED, "--nonfinite", "skip", "-o", "r.json").code == 0
    assert {role: entry["digest"] for role, entry in inputs("r.json").items() if "digest" in entry} == weighted


def test_rows_that_are_matched_by_key_have_none() -> None:
    ids = np.arange(ROWS)
    write_csv(Path("p.csv"), {"id": ids, "p": np.full(ROWS, 0.5)})
    write_csv(Path("y.csv"), {"id": ids[::-1], "y": LABELS})
    words = ("p.csv", "y.csv", "--on", "id", "--pred-col", "p", "--target-col", "y", "--loss", "mse")
    assert call("eval", *words, "-o", "r.json").code == 0
    assert "digest" not in inputs("r.json")["target"]


def test_a_baseline_of_other_targets_is_refused_unless_it_is_to_be_compared_anyway(weighted: dict[str, str]) -> None:
    assert call(*WEIGHTED, "-o", "base.json").code == 0
    gate = ("--baseline", "base.json", "--fail-if", "gaussian_nll > 2 * base + 100")
    np.save("p.npy", np.full(ROWS, 0.75))  # another model, the same data
    assert call(*WEIGHTED, *gate).code == 0
    np.save("y.npy", LABELS[::-1] / 2)
    said = refused(3, *WEIGHTED, *gate)
    assert (
        "base.json cannot be compared: its data is another: its target has other values than that of this run" in said
    )
    assert call(*WEIGHTED, *gate, "--baseline-any").code == 0


def test_a_baseline_without_digests_is_compared_as_before(weighted: dict[str, str]) -> None:
    assert call(*WEIGHTED, "-o", "base.json").code == 0
    document = json.loads(Path("base.json").read_text())
    for entry in document["inputs"]:
        entry.pop("digest", None)
    Path("base.json").write_text(json.dumps(document))
    np.save("y.npy", LABELS[::-1] / 2)
    assert call(*WEIGHTED, "--baseline", "base.json", "--fail-if", "gaussian_nll > 2 * base + 100").code == 0


def test_of_digests_by_another_algorithm_nothing_is_known(weighted: dict[str, str]) -> None:
    assert call(*WEIGHTED, "-o", "base.json").code == 0
    document = json.loads(Path("base.json").read_text())
    for entry in document["inputs"]:
        if "digest" in entry:
            entry["digest"] = "sha256:" + entry["digest"].partition(":")[2]
    Path("base.json").write_text(json.dumps(document))
    np.save("y.npy", LABELS[::-1] / 2)
    assert call(*WEIGHTED, "--baseline", "base.json", "--fail-if", "gaussian_nll > 2 * base + 100").code == 0
    assert call(*WEIGHTED, "-o", "b.json").code == 0
    assert "digest" not in call("why", "base.json", "b.json", "--format", "tsv").out


def test_why_names_targets_that_have_changed(weighted: dict[str, str]) -> None:
    assert call(*WEIGHTED, "-o", "a.json").code == 0
    np.save("y.npy", LABELS[::-1] / 2)
    assert call(*WEIGHTED, "-o", "b.json").code == 0
    said = call("why", "a.json", "b.json", "--format", "tsv").out
    assert f"data: target digest\t{weighted['target']}\tnh-sha256:" in said
    assert "other values" in said
