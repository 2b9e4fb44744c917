"""The schema of suites: what run writes holds it, and what it must not be does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from lossctl.schemas import schema
from tests.cli.commands import call
from tests.schemas.test_result import closed

Document = dict[str, Any]


def validator(change: Callable[[Any], Any]) -> Draft202012Validator:
    """Of suites, whose results are described by a schema of their own."""
    results = Resource.from_contents(change(schema("result")))
    registry: Registry[Any] = Registry().with_resource("urn:lossctl:result:1", results)
    return Draft202012Validator(change(schema("suite")), registry=registry)


OPEN, CLOSED = validator(lambda of: of), validator(closed)


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Document:
    """A suite with every kind of evaluation: one that is fine, one that is not finite, and one without data."""
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", [0.5, np.nan])
    np.save("y.npy", [1.0, 0.0])
    (tmp_path / "lossctl.toml").write_text(
        '[defaults]\npredictions = "y.npy"\ntargets = "y.npy"\nloss = "mse"\nfail-if = "mse > 1"\n'
        '[[eval]]\nname = "fine"\nstats = true\n'
        '[[eval]]\nname = "nan"\npredictions = "p.npy"\nnonfinite = "propagate"\n'
        '[[eval]]\nname = "lost"\npredictions = "no.npy"\nwarn-if = "mse > 2"\n'
    )
    outcome = call("run", "--format", "json")
    assert outcome.code == 3, outcome.err
    found: Document = json.loads(outcome.out, parse_constant=pytest.fail)
    return found


def test_what_run_prints_holds_it_and_has_nothing_that_it_does_not_describe(document: Document) -> None:
    OPEN.validate(document)
    CLOSED.validate(document)
    assert [each["status"] for each in document["evaluations"]] == ["ok", "nonfinite", "error"]
    assert [each["exit_code"] for each in document["evaluations"]] == [0, 1, 3]
    assert [gate["severity"] for gate in document["evaluations"][2]["never_asked"]] == ["fail", "warn"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(schema="lossctl.suite/2"),
        lambda d: d.update(exit_code=6),
        lambda d: d.update(evaluations=[]),
        lambda d: d.pop("path"),
        lambda d: d["evaluations"][0].pop("result"),
        lambda d: d["evaluations"][0].update(name="a/b"),
        lambda d: d["evaluations"][0].update(status="fine"),
        lambda d: d["evaluations"][0]["result"].pop("inputs"),
        lambda d: d["evaluations"][2]["error"].pop("message"),
        lambda d: d["evaluations"][2].pop("error"),
        lambda d: d["evaluations"][2].update(never_asked=[]),
    ],
)
def test_what_it_must_not_be(document: Document, spoil: Callable[[Document], object]) -> None:
    spoil(document)
    assert not OPEN.is_valid(document)
