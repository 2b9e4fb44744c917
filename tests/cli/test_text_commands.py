"""`list`, `explain`, `doctor` and `warmup`: text for people, TSV for pipes, JSON where asked."""

from __future__ import annotations

import json
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from lossctl.cli.commands import COMMANDS
from lossctl.cli.text import print_rows
from lossctl_kernels import LOSSES
from tests.cli.commands import call
from tests.own_files import ASYMMETRIC


def test_list_shows_every_loss_once() -> None:
    outcome = call("list")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split("\t")[:2] == ["name", "summary"]
    assert [line.split("\t")[0] for line in lines[1:]] == list(LOSSES)
    assert len({line.count("\t") for line in lines}) == 1
    assert call("list", "--format", "tsv") == outcome


def test_list_as_json_and_as_a_table() -> None:
    rows = json.loads(call("list", "--format", "json").out)
    assert [row["name"] for row in rows] == list(LOSSES)
    table = call("list", "--format", "table").out
    assert all(name in table for name in LOSSES)


@pytest.mark.parametrize("name", list(LOSSES))
def test_explain_says_everything_of_every_loss(name: str) -> None:
    text = call("explain", name)
    assert (text.code, text.err) == (0, "")
    loss = LOSSES[name]
    lines = text.out.splitlines()
    assert lines[0] == name
    assert f"loss      {loss.formula}" in lines
    assert f"gradient  {loss.gradient_formula}" in lines
    for option in (*loss.parameters, *loss.options):
        assert any(line.split()[:1] == [option] for line in lines)
    document = json.loads(call("explain", name, "--json").out)
    assert document["name"] == name
    assert [option["name"] for option in document["options"]] == [*loss.parameters, *loss.options]


def test_explain_shows_where_the_frameworks_differ() -> None:
    text = call("explain", "bce").out
    assert "the same rows under each preset, input=prob\n" in text
    lines = [line.split() for line in text.splitlines()]
    assert ["0", "1", "1", "inf", "16.1181", "100", "36.0437"] in lines
    assert ["scikit-learn", "eps=machine", "with", "input=prob,", "eps_mode=clip", "with", "input=prob"] in lines
    (table, _) = json.loads(call("explain", "bce", "--json").out)["side_by_side"]
    assert table["columns"][3:] == ["no preset", "Keras", "PyTorch", "scikit-learn"]
    assert len(table["rows"]) == 4


def test_explain_says_how_the_targets_may_be_spelled_and_forms_are_computed() -> None:
    text = call("explain", "hinge").out
    assert "targets\n  one number for each prediction, each a label in {-1, 1}\n" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "labels=01 one number for each prediction, each a label in {0, 1}" in lines
    assert "computed as\n  logit  ω y softplus(-z) + (1 - y) softplus(z)" in call("explain", "bce").out


def test_explain_of_a_misspelling_and_of_the_name_of_another_framework() -> None:
    wrong = call("explain", "hubr")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err == "lossctl: unknown loss 'hubr'; did you mean huber? `lossctl list` shows the losses\n"
    assert call("explain", "CrossEntropyLoss").out.startswith(
        "CrossEntropyLoss is decided by the shape of the data: cce, scce.\n"
    )
    assert call("explain", "MeanSquaredError").out == call("explain", "mse").out


@pytest.mark.parametrize("folder", [".", "sub", "with space"])
def test_a_loss_of_ones_own_is_called_as_it_was_asked_for(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(folder).mkdir(exist_ok=True)
    name = f"{folder}/mine.py:asymmetric"
    Path(folder, "mine.py").write_text(ASYMMETRIC)
    lines = call("explain", name).out.splitlines()
    assert lines[0] == name
    words = shlex.split(next(line for line in lines if line.startswith("example")))
    np.save("preds.npy", [1.0, 2.0])
    np.save("targets.npy", [0.0, 2.0])
    assert words[-1] == f"{name}:steepness=2"
    assert call(*words[2:], "-b").out == "1.0\n"
    assert json.loads(call("explain", f"{name}:steepness=3", "--json").out)["name"] == name


def test_explain_of_a_name_that_the_shape_decides() -> None:
    text = call("explain", "log_loss").out
    assert text.startswith("log_loss is decided by the shape of the data: ")
    documents = json.loads(call("explain", "log_loss", "--json").out)
    assert {document["name"] for document in documents} == {"bce", "cce", "scce"}


def test_explain_takes_aliases_and_specs() -> None:
    assert call("explain", "HuberLoss").out == call("explain", "huber").out
    assert call("explain", "bce:input=logit").out == call("explain", "bce").out


def test_doctor_finds_what_is_there() -> None:
    outcome = call("doctor", "--format", "json")
    assert (outcome.code, outcome.err) == (0, "")
    found = {row["name"]: row["found"] for row in json.loads(outcome.out)}
    assert found["backend python"] == "ready"
    assert found["backend cpu"].startswith("ready, for ")
    assert int(found["threads"]) >= 1


def test_warmup_compiles_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = call("warmup", "--loss", "mae")
    assert (first.code, first.err) == (0, "")
    again = call("warmup", "--loss", "mae")
    assert again.out.startswith("0 compiled, ")
    assert call("warmup", "--loss", "mae", "--quiet").out == ""


def test_rows_are_cleaned_of_line_ends_and_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"a": "x\ny\tz", "b": ""}], "tsv")
    assert capsys.readouterr().out == "a\tb\nx y z\t\n"


def test_the_help_says_what_each_command_does_whole() -> None:
    shown = call("--help").out
    for name, path in COMMANDS.items():
        first = import_module(path).HELP.partition("\n")[0]
        assert f"{name} {first}" in " ".join(shown.split())
