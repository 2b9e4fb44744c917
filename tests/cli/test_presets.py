"""`--preset a,b`: the conventions of several frameworks side by side, in one pass over the data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import BINARY, call, refused, scores


def test_each_preset_has_the_value_that_it_has_alone() -> None:
    together = scores(*BINARY, "-l", "bce", "-l", "brier:row=sum", "--preset", "torch,keras,sklearn")
    alone = [
        scores(*BINARY, "-l", loss, "--preset", preset)[0]
        for loss in ("bce", "brier:row=sum")
        for preset in ("torch", "keras", "sklearn")
    ]
    assert together == alone


def test_presets_differ_where_frameworks_do(here: Path) -> None:
    np.save("p.npy", [0.0, 0.5])
    np.save("y.npy", [1, 1])
    torch, keras = (float(score) for score in scores("p.npy", "y.npy", "-l", "bce", "--preset", "torch,keras"))
    assert torch == pytest.approx((100 + np.log(2)) / 2, rel=1e-14)
    assert keras == pytest.approx((-np.log(1e-7) + np.log(2)) / 2, rel=1e-14)


def test_each_result_is_marked() -> None:
    given = ("eval", *BINARY, "-l", "bce", "-l", "brier", "--preset", "torch, optax")
    wanted = ["torch", "optax"] * 2
    document = json.loads(call(*given, "--format", "json").out)
    assert [result["options"]["preset"] for result in document["results"]] == wanted
    assert [result["loss"] for result in document["results"]] == ["bce", "bce", "brier", "brier"]
    for preset, result in zip(wanted, document["results"], strict=True):
        assert f"|preset={preset}|" in result["signature"]
    rows = list(csv.DictReader(io.StringIO(call(*given, "--format", "tsv").out), delimiter="\t"))
    assert all(f"|preset={preset}|" in row["signature"] for preset, row in zip(wanted, rows, strict=True))
    table = call(*given, "--format", "table").out.splitlines()
    marked = [line for line in table if line.startswith(("| bce ", "| brier "))]
    assert all(f"preset={preset}" in line for preset, line in zip(wanted, marked, strict=True))


def test_one_preset_is_marked_too_and_none_is_not() -> None:
    alone = json.loads(call("eval", *BINARY, "-l", "bce", "--preset", "torch", "--format", "json").out)
    assert "|preset=torch|" in alone["results"][0]["signature"]
    none = json.loads(call("eval", *BINARY, "-l", "bce", "--format", "json").out)
    assert "preset" not in none["results"][0]["signature"]


def test_losses_of_each_row_are_named_by_their_preset(here: Path) -> None:
    scores(*BINARY, "-l", "bce:row=mean", "-l", "bce", "--preset", "torch,keras", "--per-sample", "l.csv")
    header = (here / "l.csv").read_text().splitlines()[0]
    assert header == '"bce:row=mean,preset=torch","bce:row=mean,preset=keras",bce:preset=torch,bce:preset=keras'


def test_presets_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scores(*BINARY, "-l", "bce:preset=torch", "-l", "bce:preset=keras")
    monkeypatch.setenv("LOSSCTL_PRESET", "torch,keras")
    assert scores(*BINARY, "-l", "bce") == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("-l bce --preset torch,torch", ("--preset names torch twice", "once")),
        ("-l bce --preset torch,", ("'torch,' is not a list of presets", "torch,keras")),
        ("-l bce --preset torch,jax", ("bce: preset cannot be 'jax'", "keras, torch, optax, sklearn")),
        ("-l bce -l ctc --preset torch,sklearn", ("ctc: preset cannot be 'sklearn'", "keras, torch, optax")),
        ("-l bce:preset=torch --preset torch,keras", ("says preset=torch", "preset=torch,keras", "leave out one")),
        ("-l bce --preset torch,keras --grad g.npy", ("--grad writes one gradient", "give one --preset")),
    ],
)
def test_what_is_wrong(here: Path, arguments: str, says: tuple[str, ...]) -> None:
    message = refused(2, "eval", *BINARY, *arguments.split())
    for part in says:
        assert part in message


def test_grad_takes_one(here: Path) -> None:
    message = refused(2, "grad", *BINARY, "-l", "bce", "--preset", "torch,keras", "-o", "g.npy")
    assert "grad takes one preset" in message
