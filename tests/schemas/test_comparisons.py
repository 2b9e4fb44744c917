"""The schemas of `compare`, `why` and `diff`: what they print holds them and is described by them."""

from __future__ import annotations

import json
from copy import deepcopy
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


def printed(*arguments: str | Path, code: int = 0) -> Document:
    """What a command line prints as JSON, held to the schema that it names and to nothing more."""
    outcome = call(*arguments, "--format", "json")
    assert outcome.code == code, outcome.err
    document: Document = json.loads(outcome.out, parse_constant=pytest.fail)
    Draft202012Validator(closed(schema(document["schema"]))).validate(document)
    return document


@pytest.fixture
def _systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    logits = np.load(SAMPLES / "binary" / "logits.npy").astype(np.float64)
    for name, scale in (("a", 1.0), ("b", 0.8), ("c", 1.1)):
        np.save(f"{name}.npy", 1.0 / (1.0 + np.exp(-scale * logits)))
    np.save("d.npy", np.stack([logits, -logits], axis=1))
    np.save("e.npy", np.where(np.arange(len(logits)) % 5, logits, np.nan))
    np.save("f.npy", np.where(np.arange(len(logits)) % 7, logits, np.inf))


@pytest.mark.usefixtures("_systems")
@pytest.mark.parametrize(
    "arguments",
    [
        ["a.npy", "b.npy"],
        ["a.npy", "b.npy", "c.npy", "--margin", "1%", "--test", "wilcoxon,bootstrap,permutation"],
        ["a.npy", "b.npy", "--reduction", "sum", "--loss", "brier"],
    ],
)
def test_comparisons_hold_their_schema(arguments: list[str]) -> None:
    document = printed("compare", *arguments, "--targets", LABELS, "--loss", "bce")
    assert document["schema"] == "lossctl.comparison/1"
    wrong = deepcopy(document)
    wrong["comparisons"][0]["pairs"][0]["p"]["bootstrap"] = 1.5
    assert not Draft202012Validator(schema("comparison")).is_valid(wrong)


@pytest.mark.usefixtures("_systems")
@pytest.mark.parametrize(
    ("first", "second", "code"), [("a", "b", 1), ("a", "a", 0), ("d", "d", 0), ("e", "f", 1), ("e", "e", 0)]
)
def test_differences_hold_their_schema(first: str, second: str, code: int) -> None:
    document = printed("diff", f"{first}.npy", f"{second}.npy", code=code)
    assert document["schema"] == "lossctl.difference/1"
    assert not Draft202012Validator(schema("difference")).is_valid({**document, "beyond": -1})


@pytest.mark.usefixtures("_systems")
def test_explanations_hold_their_schema() -> None:
    for name, options in {"1": ["--loss", "bce"], "2": ["--loss", "bce:eps=1e-3", "--loss", "mae"]}.items():
        assert call("eval", f"{'ab'[name == '2']}.npy", LABELS, *options, "-o", f"{name}.json").code == 0
    document = printed("why", "1.json", "2.json")
    assert document["unmatched"] == ["only the second document has mae"]
    assert not Draft202012Validator(schema("explanation")).is_valid({**document, "explanations": [{}]})
