"""The shipped schema: real results of every kind hold it, and what they must not be does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from lossctl.errors import UsageError
from lossctl.outputs import render
from lossctl.results import GateResult, RunResult, Statistics
from lossctl.schemas import names, schema, text
from tests.cli.commands import BINARY, SAMPLES, call
from tests.outputs.conftest import loss_result, run_result

MULTICLASS = [SAMPLES / "multiclass" / "preds.npy", SAMPLES / "multiclass" / "labels.npy"]

Document = dict[str, Any]


def closed(of: Any) -> Any:
    """A schema that allows no property that it does not describe: an addition has to be described."""
    if isinstance(of, list):
        return [closed(each) for each in of]
    if not isinstance(of, dict):
        return of
    inner = {name: closed(each) for name, each in of.items()}
    is_object = inner.get("type") == "object" and "properties" in inner
    return {"additionalProperties": False, **inner} if is_object else inner


OPEN = Draft202012Validator(schema("result"))
CLOSED = Draft202012Validator(closed(schema("result")))


def holds(document: Document) -> bool:
    """Whether a document holds the schema; where it does, it describes every property of it."""
    errors = [*OPEN.iter_errors(document)]
    if not errors:
        CLOSED.validate(document)
    return not errors


def document(*arguments: str | Path) -> Document:
    """What a command line prints as JSON."""
    outcome = call(*arguments, "--format", "json", "--quiet")
    assert outcome.code == 0, outcome.err
    found: Document = json.loads(outcome.out, parse_constant=pytest.fail)
    return found


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {
        "p": [0.8, 0.3, 0.1],
        "y": [1, 1, 0],
        "w": [1.0, 2.0, 3.0],
        "var": [0.5, 1.0, 2.0],
        "impossible": [0.0, 0.5, 0.5],
        "hole": [0.8, np.nan, 0.1],
        "classes": [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]],
        "index": [0, 1, 2],
        "class_weights": [1.0, 2.0, 3.0],
    }
    for name, array in made.items():
        np.save(f"{name}.npy", array)
    Path("table.csv").write_text("p,y\n0.8,1\n0.1,0\n", encoding="utf-8")


@pytest.mark.usefixtures("arrays")
@pytest.mark.parametrize(
    "words",
    [
        "eval p.npy y.npy --loss bce",
        "eval p.npy y.npy --loss bce --loss mse --reduction sum",
        "eval p.npy y.npy --loss bce --preset torch,keras",
        "eval p.npy y.npy --loss bce:log_base=2 --weights w.npy --denom count",
        "eval impossible.npy y.npy --loss bce",
        "eval hole.npy y.npy --loss mse --nonfinite propagate",
        "eval hole.npy y.npy --loss mse --nonfinite skip",
        "eval p.npy y.npy --loss gaussian_nll --input var=var.npy",
        "eval table.csv --pred-col p --target-col y --loss bce",
        "eval table.csv --pred-col p --target-col y --loss bce --by y --top 1 --id-col p --confidence 0.9",
        "eval table.csv --pred-col p --target-col y --loss rmse --by y --by p:bins=0.5 --cross --min-slice 5",
        "eval p.npy y.npy --loss bce --by-file y.npy --warn-if bce[y=*]>0.1 --warn-if bce[y=5]>0 --top 2",
        "eval hole.npy y.npy --loss mse --nonfinite propagate --by-file y.npy --by y --top 1",
        "eval classes.npy index.npy --loss scce --class-weights class_weights.npy --ignore-index 1",
        "eval classes.npy index.npy --loss scce:eps=1e-7,eps_mode=clip",
        "eval p.npy y.npy --loss bce --per-sample losses.npy --grad gradient.npy",
        "eval p.npy y.npy --loss bce --stats --fail-if bce>10 --warn-if max(bce)>0",
        "eval p.npy y.npy --loss bce --loss mse --confidence 0.9 --fail-if ci_low(mse)>10",
        "grad p.npy y.npy --loss bce --output gradient.npy",
        "grad p.npy y.npy --loss gaussian_nll --input var=var.npy --output g.npy --grad-input var=gv.npy",
        "grad impossible.npy y.npy --loss bce --output gradient.npy",
    ],
)
def test_results_hold_the_schema(words: str) -> None:
    assert holds(document(*words.split()))


@pytest.mark.parametrize("files", [BINARY, MULTICLASS], ids=["binary", "multiclass"])
def test_results_of_the_sample_data_hold_the_schema(files: list[Path]) -> None:
    assert holds(document("eval", *files, "--loss", "log_loss"))


@pytest.mark.parametrize("name", ["plain_run", "hard_run", "gradient_run", "gated_run", "hostile_run"])
@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_made_up_results_hold_the_schema(name: str, format: str, request: pytest.FixtureRequest) -> None:
    run: RunResult = request.getfixturevalue(name)
    assert holds(json.loads(render(run, format)))


def test_intervals_hold_the_schema() -> None:
    statistics = Statistics(0.01, 0.0, 0.1, 0.2, 0.3, 4, 0.15, 0.25, 0.95, 0.07, float("inf"))
    assert holds(run_result(loss_result(stats=statistics)).to_document())


def _set(path: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        place: Any = document
        for part in way:
            place = place[part]
        place[last] = value

    return change


def _drop(path: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        *way, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
        place: Any = document
        for part in way:
            place = place[part]
        del place[last]

    return change


FAULTS = {
    "another schema": _set("schema", "lossctl.result/2"),
    "no version": _drop("version"),
    "a value in text": _set("results.0.value", "0.07"),
    "no value where the status is ok": _set("results.0.value", None),
    "a value where the status is nan": _set("results.0.status", "nan"),
    "an unknown status": _set("results.0.status", "bad"),
    "a negative count": _set("results.0.samples", -1),
    "a fraction of a sample": _set("results.0.samples", 1.5),
    "no signature": _drop("results.0.signature"),
    "a signature of two lines": _set("results.0.signature", "bce|a=1\n|lossctl=0.1.0"),
    "an option that is an object": _set("results.0.options.eps", {"a": 1}),
    "an unknown verdict": _set("gates.0.verdict", "maybe"),
    "a gate without a limit": _drop("gates.0.limit"),
    "a shape of text": _set("inputs.0.shape", ["569"]),
    "an empty list of gradients": _set("gradients", []),
    "no threads": _set("threads", 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_a_result_does_not_hold_the_schema(fault: str, plain_run: RunResult) -> None:
    gated = replace(plain_run, gates=(GateResult("bce > 1", 0.5, "pass", 1.0),))
    sound = gated.to_document()
    assert holds(sound)
    broken = deepcopy(sound)
    FAULTS[fault](broken)
    assert not holds(broken)


def test_an_addition_is_allowed_to_others_but_described_by_us(plain_run: RunResult) -> None:
    document = {**plain_run.to_document(), "more": 1}
    OPEN.validate(document)
    assert not CLOSED.is_valid(document)


def test_every_schema_is_one_and_has_its_name() -> None:
    assert names()["result"] == "lossctl.result/1"
    for name, title in names().items():
        Draft202012Validator.check_schema(schema(name))
        assert schema(title) == schema(name)
        assert schema(name)["properties"]["schema"]["const"] == title
        assert json.loads(text(name)) == schema(name)


def test_an_unknown_schema_lists_the_known() -> None:
    with pytest.raises(UsageError, match=r"no schema 'a\\x1b'.*the schemas are .*result"):
        schema("a\x1b")
