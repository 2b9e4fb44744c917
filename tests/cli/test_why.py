"""`lossctl why` as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands import SAMPLES, call, process, refused

PREDS, LABELS = (str(SAMPLES / "binary" / name) for name in ("preds.npy", "labels.npy"))


def test_options_that_differ_are_named(here: Path) -> None:
    assert call("eval", PREDS, LABELS, "--loss", "bce", "-o", "a.json").code == 0
    assert call("eval", PREDS, LABELS, "--loss", "bce", "--preset", "keras", "-o", "b.json").code == 0
    found = process("why", "a.json", "b.json")
    assert (found.returncode, found.stderr) == (0, "")
    header, *lines = [line.split("\t") for line in found.stdout.splitlines()]
    assert header == ["loss", "what", "first", "second", "meaning"]
    assert [line[1] for line in lines] == [
        "verdict",
        "value",
        "function: option eps",
        "function: option denom",
        "function: option empty",
        "function: option preset",
        "count: clipped",
    ]
    assert lines[2][2:4] == ["0", "1e-07"]
    table = call("why", "a.json", "b.json", "--format", "table").out
    assert table.startswith("bce: different functions of data that look the same\n")
    document = json.loads(call("why", "a.json", "b.json", "--format", "json").out)
    assert document["schema"] == "lossctl.explanation/1"
    assert document["explanations"][0]["function"][0]["what"] == "option eps"


def test_losses_that_one_has_are_told(here: Path) -> None:
    assert call("eval", PREDS, LABELS, "--loss", "bce", "--loss", "mae", "-o", "a.json").code == 0
    assert call("eval", PREDS, LABELS, "--loss", "brier", "-o", "b.json").code == 0
    found = call("why", "a.json", "b.json", "--format", "table")
    assert found.out.splitlines() == [
        "only the first document has bce",
        "only the first document has mae",
        "only the second document has brier",
    ]


def test_what_is_no_document_is_3_and_other_formats_are_2(here: Path) -> None:
    Path("a.json").write_text("{}")
    assert "its schema is not given" in refused(3, "why", "a.json", "a.json")
    assert "no such file" in refused(3, "why", "b.json", "a.json")
    assert "there is no format" in refused(2, "why", "a.json", "a.json", "--format", "csv")


def test_one_document_may_come_from_stdin(here: Path) -> None:
    assert call("eval", PREDS, LABELS, "--loss", "bce", "-o", "a.json").code == 0
    for words in (("why", "-", "a.json"), ("why", "a.json", "-")):
        found = process(*words, input=Path("a.json").read_text())
        assert (found.returncode, found.stderr) == (0, "")
        assert "the values agree" in found.stdout
    assert "stdin can be read once" in refused(2, "why", "-", "-")


def test_a_baseline_may_come_from_stdin(here: Path) -> None:
    assert call("eval", PREDS, LABELS, "--loss", "bce", "-o", "a.json").code == 0
    assert process("baseline", "save", "main", "-", input=Path("a.json").read_text()).returncode == 0
    assert call("why", "a.json", ".lossctl/baselines/main.json").code == 0
