"""`check`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lossctl.schemas import schema
from tests.cli.commands import call, refused
from tests.own_files import ASYMMETRIC


@pytest.fixture(autouse=True)
def _mine(here: Path) -> None:
    Path("mine.py").write_text(ASYMMETRIC)


def test_a_loss_that_is_right() -> None:
    outcome = call("check", "mine.py:asymmetric")
    assert (outcome.code, outcome.err) == (0, "")
    rows = dict(line.split("\t") for line in outcome.out.splitlines()[1:])
    assert rows["loss"] == "mine.py:asymmetric"
    assert rows["points"].endswith(" settings of the parameters")
    assert rows["value"] == "finite everywhere"
    assert rows["backends"] == "python and cpu agree"
    assert rows["relative error"] == "below 1e-08"
    assert rows["verdict"] == "ok"
    assert "source" in rows


def test_a_gradient_that_is_wrong_fails_as_a_gate_does() -> None:
    outcome = call("check", "mine.py:wrong")
    assert outcome.code == 1
    assert outcome.err.startswith("lossctl: mine.py:wrong: the gradient is ")
    assert outcome.err.count("\n") == 1
    rows = dict(line.split("\t") for line in outcome.out.splitlines()[1:])
    assert rows["relative error"] == "5.0e-01"
    assert rows["verdict"].startswith("the gradient is ")
    assert float(rows["finite difference"]) == pytest.approx(2.0 * float(rows["gradient"]))
    assert rows["worst point"].startswith("prediction=")


def test_json_and_tables() -> None:
    failed = call("check", "mine.py:wrong", "--format", "json")
    document = json.loads(failed.out)
    assert (failed.code, document["schema"], document["status"]) == (1, "lossctl.check/1", "fail")
    assert document["gradient"]["finite_difference"] == pytest.approx(2.0 * document["gradient"]["gradient"])
    right = json.loads(call("check", "huber:delta=2", "--format", "json").out)
    assert (right["status"], right["faults"]) == ("ok", [])
    assert right["gradient"]["parameters"] == {"delta": 2.0}
    for found in (document, right, json.loads(call("check", "mine.py:plain", "--format", "json").out)):
        Draft202012Validator(schema("check")).validate(found)
    assert "verdict" in call("check", "mse", "--format", "table").out


def test_a_loss_without_a_gradient() -> None:
    outcome = call("check", "mine.py:plain")
    assert outcome.code == 0
    assert "gradient\tnone; add a function under @gradient_of(plain) to mine.py" in outcome.out


@pytest.mark.parametrize("spec", ["none.py:f", "mine.py:nothing", "huber:delta=-1", "log_loss", "mine.py"])
def test_usage(spec: str) -> None:
    refused(2, "check", spec)


def test_formats_that_are_not_there() -> None:
    refused(2, "check", "mse", "--format", "xml")


def test_other_commands_take_such_losses() -> None:
    Path("p.csv").write_text("p,y\n3,1\n0,1\n")
    files = ("p.csv", "--pred-col", "p", "--target-col", "y")
    assert call("eval", *files, "--loss", "mine.py:asymmetric:steepness=3", "-b").out == "6.5\n"
    assert call("grad", *files, "--loss", "mine.py:asymmetric", "-o", "g.npy", "-q").code == 0
    missing = refused(2, "grad", *files, "--loss", "mine.py:plain", "-o", "h.npy")
    assert "add a function under @gradient_of(plain) to mine.py" in missing
    explained = call("explain", "mine.py:asymmetric")
    assert (explained.code, explained.out.splitlines()[0]) == (0, "mine.py:asymmetric")
    assert "steepness" in explained.out
