"""`lossctl bench`: rows in every format, and what it refuses."""

from __future__ import annotations

import json

from tests.cli.commands import call, refused

FAST = ("--values", "500", "--backend", "python", "-q")


def test_a_row_for_each_loss() -> None:
    lines = call("bench", "--loss", "bce", "--loss", "zero_one", *FAST).out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["name", "bce", "zero_one"]
    rows = json.loads(call("bench", "--loss", "bce", "--loss", "scce:input=logit", *FAST, "--format", "json").out)
    assert [(row["spec"], row["values"], row["width"]) for row in rows] == [
        ("bce", 500, 1),
        ("scce:input=logit", 500, 10),
    ]
    assert all(row["seconds"] > 0.0 and row["gradient_seconds"] > 0.0 for row in rows)
    assert {row["backend"] for row in rows} == {"python"}


def test_what_it_refuses() -> None:
    assert refused(2, "bench", "--loss", "mze").startswith("unknown loss 'mze'")
    assert refused(2, "bench", "--loss", "mse", "--values", "0") == "--values must be from 1 to 268435456, found 0"
    assert refused(2, "bench", "--loss", "mse", "--dtype", "int8").startswith("--dtype")
    assert "no option" in refused(2, "bench", "--loss", "mse:delta=2", *FAST)
