"""Patterns of files: what they match, in which order, what their fields are, and what is no pattern."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from lossctl.batches import patterns as batch_patterns
from lossctl.batches.patterns import fields_of, find_files, short_names
from lossctl.errors import DataError, UsageError


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for model in ("b10", "b2", "a-x-1", ".hidden"):
        for seed in (1, 2):
            path = tmp_path / "runs" / model / f"p{seed}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def found(*patterns: str, taken: Sequence[str] = ()) -> dict[str, dict[str, str]]:
    files, warnings = find_files(patterns, taken)
    assert warnings == []
    return {file.path: file.fields for file in files}


def test_a_glob_has_no_fields_and_gives_files_in_natural_order() -> None:
    assert found("runs/*/p1.npy") == {f"runs/{each}/p1.npy": {} for each in ("a-x-1", "b2", "b10")}
    assert list(found("runs/b*/p?.npy")) == ["runs/b2/p1.npy", "runs/b2/p2.npy", "runs/b10/p1.npy", "runs/b10/p2.npy"]


def test_fields_are_what_they_stand_for() -> None:
    assert found("runs/{model}/p{seed}.npy")["runs/b10/p2.npy"] == {"model": "b10", "seed": "2"}
    assert list(found("runs/{model}/p1.npy")) == ["runs/a-x-1/p1.npy", "runs/b2/p1.npy", "runs/b10/p1.npy"]
    assert found("**/{model}/p[!2].npy")["runs/b2/p1.npy"] == {"model": "b2"}
    assert found("runs//{model}/*1.npy")["runs/b2/p1.npy"] == {"model": "b2"}


def test_the_first_field_takes_the_most_and_none_is_empty() -> None:
    assert found("runs/{model}-{run}/p1.npy") == {"runs/a-x-1/p1.npy": {"model": "a-x", "run": "1"}}
    with pytest.raises(DataError, match="no file matches"):
        found("runs/b2/p1{rest}.npy")


def test_a_name_that_exists_is_that_file_whatever_it_holds() -> None:
    for name in ("x[1].npy", "{m}.npy", "a{b", "new\nline.npy", "*.npy"):
        Path(name).touch()
        assert found(name) == {name: {}}
    assert found("{{m}}.npy") == {"{m}.npy": {}}


def test_a_plain_name_that_does_not_exist_is_a_file_all_the_same() -> None:
    assert found("nope.npy", "runs/b2/p1.npy") == {"nope.npy": {}, "runs/b2/p1.npy": {}}


def test_stores_are_asked_for_what_a_glob_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def shards(pattern: str) -> list[str]:
        asked.append(pattern)
        return ["s3://bucket/runs/a/1.npy", "s3://bucket/runs/b/1.npy"]

    monkeypatch.setattr(batch_patterns, "shard_paths", shards)
    assert found("s3://bucket/runs/{model}/*.npy")["s3://bucket/runs/b/1.npy"] == {"model": "b"}
    assert asked == ["s3://bucket/runs/*/*.npy"]
    assert found("https://host/a.npy") == {"https://host/a.npy": {}}
    assert len(asked) == 1


def test_folders_are_no_files_but_for_stores() -> None:
    Path("runs/store.zarr").mkdir()
    assert found("runs/*") == {"runs/store.zarr": {}}
    assert found("runs") == {"runs": {}}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("runs/{model/p1.npy", "the braces of 'runs/{model/p1.npy' do not match"),
        ("runs/model}/p1.npy", "do not match"),
        ("runs/{a{b}}/p1.npy", "do not match"),
        ("runs/{}/p1.npy", "is no name of a field"),
        ("runs/{a b}/p1.npy", "is no name of a field"),
        ("runs/{a,b}/p1.npy", "is no name of a field"),
        ("runs/{1a}/p1.npy", "is no name of a field"),
        ("runs/{ä}/p1.npy", "is no name of a field"),
        ("runs/{m}/{m}.npy", "names the field m twice"),
        ("runs/{rank}/p1.npy", "the field rank has the name of another column; call it rank_name"),
        ("", "a pattern is empty"),
        ("-", "not stdin"),
        ("a\0b", "cannot be the name of a file"),
    ],
)
def test_what_is_no_pattern(pattern: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_files([pattern], ["rank"])
    assert said in str(caught.value)


@pytest.mark.parametrize("pattern", ["zz*.npy", "runs/{model}/zz.npy", "runs/[z]/*", "nope/{a}/{b}"])
def test_no_file_is_an_error_of_the_data(pattern: str) -> None:
    with pytest.raises(DataError, match="no file matches"):
        find_files([pattern], [])


@pytest.mark.parametrize(
    "patterns",
    [
        ("runs/b2/p1.npy", "runs/b2/p1.npy"),
        ("runs/b2/p1.npy", "./runs//b2/p1.npy"),
        ("runs/*/p1.npy", "runs/{model}/p1.npy"),
    ],
)
def test_a_path_is_named_once(patterns: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="is named twice, by "):
        find_files(patterns, [])


def test_a_link_to_another_file_is_said_and_kept() -> None:
    os.symlink("b10", "runs/latest")
    files, warnings = find_files(["runs/{model}/p1.npy"], [])
    assert [file.fields["model"] for file in files] == ["a-x-1", "b2", "b10", "latest"]
    assert warnings == ["runs/latest/p1.npy is the same file as runs/b10/p1.npy"]


def test_fields_of_several_patterns_and_short_names() -> None:
    files, _ = find_files(["runs/{model}/p1.npy"], [])
    assert fields_of(files) == ("model",)
    assert short_names(files) == ["a-x-1", "b2", "b10"]
    assert short_names(files[:1]) == ["runs/a-x-1/p1.npy"]
    Path("base.npy").touch()
    files, _ = find_files(["runs/{model}/p1.npy", "{name}.npy"], [])
    assert fields_of(files) == ("model", "name")
    assert len(set(short_names(files))) == 4
