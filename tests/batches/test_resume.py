"""What is taken over of an earlier leaderboard: what has not changed, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lossctl.batches.results import Row, leaderboard
from lossctl.batches.resume import asked_of, read_earlier, state_of, states_of, write_leaderboard
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError
from lossctl.requests import Request
from lossctl.rows.inputs import InputFiles
from tests.batches.test_results import FACTS, failed, row

ASKED: dict[str, str | None] = {"command": "c", "inputs": "i"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "y"):
        Path(name).write_text(name)


def written(*rows: Row, asked: Any = ASKED) -> dict[str, Any]:
    board = leaderboard(rows, 0, **{**FACTS, "request": asked})
    write_leaderboard("board.json", board)
    document: dict[str, Any] = json.loads(Path("board.json").read_text())
    return document


def plain(path: str) -> Row:
    return Row(path=path, name=f"now {path}", fields={"m": path}, state=state_of(path))


# ---- states


def test_a_state_is_another_when_the_file_is() -> None:
    first = state_of("a")
    assert first is not None
    assert state_of("a") == first
    os.utime("a", ns=(1, 1))
    assert state_of("a") not in (first, None)
    Path("c").write_text("a")
    os.utime("c", ns=(1, 1))
    assert state_of("c") != state_of("a")  # of the same size and time, but another file


def test_the_state_of_many_is_that_of_each() -> None:
    Path("d").mkdir()
    for name in ("1", "2"):
        Path("d", name).write_text(name)
    first = state_of("d")
    assert first is not None
    assert state_of("d/*") is not None
    Path("d", "2").write_text("longer")
    assert state_of("d") not in (first, None)


@pytest.mark.parametrize("path", ["-", "s3://bucket/a", "nope", "nope*", "a\0", "/dev/null"])
def test_what_cannot_be_told(path: str) -> None:
    assert state_of(path) is None
    assert states_of(["a", path]) is None


def test_what_was_asked_is_told_from_all_else() -> None:
    def asked(*specs: str, files: InputFiles | None = None, paths: tuple[str, ...] = ("y",), **more: Any) -> Any:
        gates = more.pop("gates", {"fail_if": None})
        return asked_of(
            Request([parse(spec) for spec in specs or ("bce",)], **more), files or InputFiles("x", "y"), gates, paths
        )

    found = [
        asked(),
        asked("mae"),
        asked(reduction="sum"),
        asked(backend="cpu"),
        asked(nonfinite="skip"),
        asked(flags={"class_weight": (1.0, 2.0)}),
        asked(files=InputFiles("x", "y", ("p",))),
        asked(gates={"fail_if": ["bce > 1"]}),
    ]
    assert len({each["command"] for each in found}) == len(found)
    assert len({each["inputs"] for each in found}) == 1
    assert asked() == asked(files=InputFiles("other predictions", "y"), threads=2, chunk_rows=7)
    assert asked(paths=("a", "y"))["inputs"] != asked()["inputs"]
    Path("y").write_text("changed")
    assert asked()["command"] == found[0]["command"]
    assert asked()["inputs"] != found[0]["inputs"]


def test_a_loss_of_ones_own_is_an_input() -> None:
    asked = [parse("my.py:f")]
    Path("my.py").write_text("1")
    first = asked_of(Request(asked), InputFiles("x", "y"), {}, ["y"])
    Path("my.py").write_text("22")
    assert asked_of(Request(asked), InputFiles("x", "y"), {}, ["y"])["inputs"] != first["inputs"]


# ---- reading


def test_rows_of_unchanged_files_are_taken_over() -> None:
    written(row("a", 0.5, 1.0, state=state_of("a")), row("b", 0.25, float("inf"), state=state_of("b")), failed("y"))
    earlier = read_earlier("board.json", ASKED)
    assert earlier.why_not == ""
    taken = earlier.row(plain("b"))
    assert taken is not None
    assert (taken.name, taken.fields) == ("now b", {"m": "b"})
    assert taken.results == row("b", 0.25, float("inf")).results
    assert taken.inputs == row("b", 0.25).inputs
    Path("a").write_text("changed")
    assert earlier.row(plain("a")) is None
    assert earlier.row(plain("y")) is None  # which failed
    assert earlier.row(plain("c")) is None


def test_a_leaderboard_is_what_it_was_when_it_is_written_again() -> None:
    rows = [row("a", 0.5, state=state_of("a")), row("b", 0.25, state=state_of("b"))]
    document = written(*rows)
    earlier = read_earlier("board.json", ASKED)
    taken = [earlier.row(Row(path=each.path, name=each.path, state=each.state)) for each in rows]
    assert written(*(each for each in taken if each is not None)) == document


def test_a_state_that_is_not_known_is_no_state() -> None:
    written(row("a", 0.5))
    assert read_earlier("board.json", ASKED).row(Row(path="a", name="a")) is None


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        ({"command": "other", "inputs": "i"}, ASKED, "is of another command or version"),
        ({"command": "c", "inputs": "other"}, ASKED, "are not those of board.json"),
        ({"command": "c", "inputs": None}, ASKED, "are not those of board.json"),
        ({"command": "c", "inputs": None}, {"command": "c", "inputs": None}, "may have changed"),
    ],
)
def test_another_request_takes_nothing_over(theirs: Any, ours: Any, why: str) -> None:
    written(row("a", 0.5, state=state_of("a")), asked=theirs)
    earlier = read_earlier("board.json", ours)
    assert why in earlier.why_not
    assert earlier.row(plain("a")) is None


def test_no_file_is_a_first_run() -> None:
    earlier = read_earlier("nope.json", ASKED)
    assert (earlier.why_not, earlier.row(plain("a"))) == ("", None)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: [],
        lambda document: document | {"schema": "lossctl.result/1"},
        lambda document: document | {"files": None},
        lambda document: document | {"files": [3]},
        lambda document: document | {"files": [{}]},
        lambda document: with_file(document, results=[]),
        lambda document: with_file(document, results=[{}]),
        lambda document: with_file(document, results=[document["files"][0]["results"][0] | {"value": "1"}]),
        lambda document: with_file(document, results=[document["files"][0]["results"][0] | {"options": []}]),
        lambda document: with_file(document, results=[document["files"][0]["results"][0] | {"samples": None}]),
        lambda document: with_file(document, gates=[{"expression": "a"}]),
        lambda document: with_file(document, warnings=[1]),
        lambda document: with_file(document, seconds=None),
        lambda document: with_file(document, file=1),
    ],
)
def test_what_is_no_leaderboard_is_refused(change: Any) -> None:
    document = written(row("a", 0.5, state=state_of("a")))
    Path("board.json").write_text(json.dumps(change(document)))
    with pytest.raises(DataError, match=r"board\.json is no leaderboard to resume"):
        read_earlier("board.json", ASKED)


def with_file(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return document | {"files": [document["files"][0] | changes]}


@pytest.mark.parametrize("content", [b"", b"words", b"\xff\xfe\xfd", b'{"schema": NaN}', b"[" * 100_000])
def test_what_is_not_json_is_refused(content: bytes) -> None:
    Path("board.json").write_bytes(content)
    with pytest.raises(DataError, match="is no leaderboard to resume"):
        read_earlier("board.json", ASKED)


def test_what_is_no_file_is_refused() -> None:
    Path("d").mkdir()
    os.mkfifo("pipe")
    for path in ("d", "pipe", "/dev/null"):
        with pytest.raises(DataError, match="it is not a regular file"):
            read_earlier(path, ASKED)


def test_a_file_that_cannot_be_read_is_refused() -> None:
    os.symlink("loop.json", "loop.json")
    with pytest.raises(DataError, match=r"cannot read loop\.json: too many levels"):
        read_earlier("loop.json", ASKED)
