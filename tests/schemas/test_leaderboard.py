"""The schema of a leaderboard: what `batch` prints holds it, and what must not be in it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from lossctl.schemas import schema
from tests.cli.commands import SAMPLES, call
from tests.schemas.test_result import closed

LABELS = SAMPLES / "binary" / "labels.npy"

Document = dict[str, Any]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    predictions = np.load(SAMPLES / "binary" / "preds.npy")
    for name, shrink in (("a", 1.0), ("b", 0.9)):
        np.save(f"{name}.npy", predictions * shrink)
    np.save("short.npy", predictions[:3])
    np.save("nan.npy", predictions * np.nan)


def printed(*arguments: str | Path, code: int) -> Document:
    outcome = call("batch", *arguments, "--targets", LABELS, "--format", "json")
    assert outcome.code == code, outcome.err
    document: Document = json.loads(outcome.out, parse_constant=pytest.fail)
    Draft202012Validator(closed(schema("lossctl.leaderboard/1"))).validate(document)
    return document


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["[ab].npy", "-l", "bce", "-l", "huber:delta=2"], 0, "ok"),
        (["{name}.npy", "-l", "bce"], 3, "partial"),
        (["{name}.npy", "-l", "bce", "--nonfinite", "propagate", "-k", "--stats", "--confidence", "0.9"], 0, "partial"),
        (["[ab].npy", "-l", "bce:eps=1e-3", "--fail-if", "bce > 0", "--warn-if", "bce > 0"], 1, "ok"),
        (["short.npy", "nan.npy", "-l", "bce"], 3, "failed"),
    ],
)
def test_leaderboards_hold_their_schema(arguments: list[str], code: int, status: str) -> None:
    assert printed(*arguments, code=code)["status"] == status


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "fine"},
        {"taken": -1},
        {"fields": ["1"]},
        {"files": [{}]},
        {"losses": [{"label": ""}]},
        {"schema": "lossctl.result/1"},
        {"request": {}},
    ],
)
def test_what_a_leaderboard_is_not(wrong: Document) -> None:
    document = printed("[ab].npy", "-l", "bce", code=0)
    assert Draft202012Validator(schema("leaderboard")).is_valid(document)
    assert not Draft202012Validator(schema("leaderboard")).is_valid({**document, **wrong})
