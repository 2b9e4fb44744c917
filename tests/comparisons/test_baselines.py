"""Baselines: what is read as one, what is refused, and that nothing moves one by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lossctl.comparisons.baselines import kept, path_of, read_baseline, store
from lossctl.errors import DataError, EnvironmentFault, UsageError
from lossctl.results import InputInfo, LossResult, RunResult, signature

Document = dict[str, Any]
OPTIONS = {"input": "prob", "eps": 0.0, "denom": "weight"}


def loss(name: str = "bce", value: float = 0.4, version: str = "0.1.0", **options: Any) -> LossResult:
    given = {**OPTIONS, **options}
    text = signature(name, given, reduction="mean", version=version)
    return LossResult(
        loss=name,
        options=given,
        reduction="mean",
        value=value,
        unit="nat",
        sum=40.0,
        weight=100.0,
        samples=100,
        signature=text,
    )


def run(*results: LossResult, **shapes: tuple[int, ...]) -> RunResult:
    given = {"prediction": (100,), "target": (100,), **shapes}
    inputs = tuple(InputInfo(role, f"{role}.npy", "npy", shape, "float64") for role, shape in given.items())
    return RunResult(version="0.1.0", inputs=inputs, results=results, backend="cpu", threads=1, seconds=0.1)


@pytest.fixture
def document() -> Document:
    return run(loss(), loss("mae", 1.0)).to_document()


@pytest.fixture
def path(tmp_path: Path, document: Document) -> str:
    return write(tmp_path / "base.json", document)


def write(path: Path, document: object) -> str:
    path.write_text(json.dumps(document))
    return str(path)


def test_the_entry_of_each_loss_is_found(path: str) -> None:
    found = read_baseline(path).entries_of(run(loss("mae"), loss()))
    assert [None if entry is None else entry["value"] for entry in found] == [1.0, 0.4]


def test_another_version_is_the_same_number(path: str) -> None:
    assert read_baseline(path).entries_of(run(loss(version="0.2.0")))


def test_of_two_with_one_name_that_with_the_signature_is_taken(tmp_path: Path) -> None:
    both = run(loss(eps=0.5, value=1.0), loss(value=2.0), loss(eps=0.25, value=3.0)).to_document()
    (entry,) = read_baseline(write(tmp_path / "b.json", both)).entries_of(run(loss(value=9.0)))
    assert entry is not None
    assert entry["value"] == 2.0


REFUSED: dict[str, tuple[RunResult, str]] = {
    "an option": (run(loss(eps=0.5)), "its bce is another number: eps was 0, is 0.5; "),
    "two options": (run(loss(eps=0.5, input="logit")), "input was prob, is logit; eps was 0, is 0.5"),
    "an option more": (run(loss(nonfinite="skip")), "nonfinite was not there, is skip"),
    "fewer rows": (
        run(loss(), prediction=(99,), target=(99,)),
        r"its prediction has shape (100,), that of this run (99,)",
    ),
    "weights": (run(loss(), weights=(100,)), "this run has weights, it has none"),
    "wider targets": (run(loss(), target=(100, 3)), "its target has shape (100,), that of this run (100, 3)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_compared_is_refused_with_what_differs(what: str, path: str) -> None:
    other, message = REFUSED[what]
    with pytest.raises(DataError) as raised:
        read_baseline(path).entries_of(other)
    assert message in str(raised.value)
    assert "--baseline-any" in str(raised.value)
    assert read_baseline(path).entries_of(other, anyway=True)


def test_an_input_less_is_told(tmp_path: Path) -> None:
    weighted = write(tmp_path / "w.json", run(loss(), weights=(100,)).to_document())
    with pytest.raises(DataError, match="it has weights, this run has none"):
        read_baseline(weighted).entries_of(run(loss()))


@pytest.mark.parametrize("anyway", [False, True])
def test_a_loss_that_it_has_not_is_told(path: str, anyway: bool) -> None:
    baseline, other = read_baseline(path), run(loss("mse"), loss("mae"))
    with pytest.raises(DataError, match="has no mse; it has bce, mae"):
        baseline.entries_of(other, anyway=anyway)
    found = baseline.entries_of(other, anyway=anyway, only={1})
    assert [entry is None for entry in found] == [True, False]


# ---- what is no baseline


def changed(document: Document, **fields: Any) -> Document:
    return document | {"results": [document["results"][0] | fields]}


@pytest.mark.parametrize(
    "fields",
    [
        {"value": None},
        {"reduction": "sum", "sum": None},
        {"reduction": "sum", "weight": None},
        {"reduction": "sum", "weight": 0.0},
    ],
)
def test_what_has_no_finite_value_is_no_baseline(fields: Document, tmp_path: Path, document: Document) -> None:
    infinite = write(tmp_path / "infinite.json", changed(document, **fields))
    with pytest.raises(DataError, match="has no finite value of bce: it is no baseline"):
        read_baseline(infinite)


def test_what_is_no_result_document_is_refused(tmp_path: Path, document: Document) -> None:
    broken = write(tmp_path / "broken.json", document | {"results": []})
    with pytest.raises(DataError, match="is no result document: it has no results"):
        read_baseline(broken)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in (str(tmp_path / "none"), "none.json"):
        with pytest.raises(DataError, match="no such file"):
            read_baseline(name)


# ---- names


def test_save_takes_free_names_and_bless_those_that_are_taken(path: str, tmp_path: Path, document: Document) -> None:
    folder = str(tmp_path / "a" / "b")
    assert kept(folder) == []
    with pytest.raises(UsageError, match="there is no baseline 'main' to replace; `lossctl baseline save main"):
        store(read_baseline(path), "main", folder, replace=True)
    assert store(read_baseline(path), "main", folder, replace=False) == path_of("main", folder)
    assert kept(folder) == ["main"]
    assert read_baseline("main", folder).document == document
    other = read_baseline(write(tmp_path / "other.json", changed(document, value=0.5)))
    with pytest.raises(UsageError, match="there is a baseline 'main' already; `lossctl baseline bless main"):
        store(other, "main", folder, replace=False)
    assert read_baseline("main", folder).entries[0]["value"] == 0.4
    store(other, "main", folder, replace=True)
    assert read_baseline("main", folder).entries[0]["value"] == 0.5


def test_a_name_may_have_dots(path: str, tmp_path: Path) -> None:
    store(read_baseline(path), "v1.0", str(tmp_path), replace=False)
    assert read_baseline("v1.0", str(tmp_path)).path == str(tmp_path / "v1.0.json")


def test_an_unknown_name_lists_those_there_are(path: str, tmp_path: Path) -> None:
    store(read_baseline(path), "main", str(tmp_path), replace=False)
    with pytest.raises(DataError, match=r"there is no baseline .*mian\.json; kept here: base, main"):
        read_baseline("mian", str(tmp_path))


def test_a_file_that_is_taken_for_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("result").write_text("{}")
    with pytest.raises(DataError, match=r"there is no baseline .*; for the file of this name write \./result"):
        read_baseline("result")


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "-x", "é", "a\n", "x" * 101])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a baseline"):
        path_of(name, "folder")


def test_a_folder_that_cannot_be_made(path: str, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot make the folder"):
        store(read_baseline(path), "main", f"{path}/folder", replace=False)
    with pytest.raises(DataError, match="cannot read"):
        kept(path)
