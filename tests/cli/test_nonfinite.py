"""`--nonfinite` of `eval` and `grad`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import call, refused, scores

TABLE = "p,y,w,cls\n0.9,1,1,cat\n,0,1,dog\nnan,1,1,cat\n0.2,0,2,dog\n0.5,1,,cat\n0.6,,1,\n"


@pytest.fixture
def table(here: Path) -> list[str]:
    """The words that name a table with gaps; rows 0 and 3 are whole."""
    (here / "t.csv").write_text(TABLE)
    np.save("p.npy", np.array([0.9, 0.2]))
    np.save("y.npy", np.array([1, 0]))
    np.save("w.npy", np.array([1, 2]))
    return ["t.csv", "--pred-col", "p", "--target-col", "y", "--weight-col", "w", "-l", "bce"]


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_skip(table: list[str], backend: str) -> None:
    given = ["--nonfinite", "skip", "--backend", backend]
    assert scores(*table, *given) == scores("p.npy", "y.npy", "--weights", "w.npy", "-l", "bce")
    names = ["--target-col", "cls", "--classes", "dog,cat"]
    assert scores(*table[:3], *names, *table[5:], *given) == scores(*table, *given)


def test_counts_are_told(table: list[str]) -> None:
    outcome = call("eval", *table, "--nonfinite", "skip", "--format", "json")
    document = json.loads(outcome.out)
    assert document["results"][0]["skipped"] == 4
    assert document["results"][0]["samples"] == 2
    assert "|nonfinite=skip|" in document["results"][0]["signature"]
    assert "4 of 6 rows are skipped" in outcome.err
    shown = call("eval", *table, "--nonfinite", "skip", "--format", "table").out
    assert "skipped" in shown
    assert "nonfinite=skip" in shown
    clean = call("eval", "p.npy", "y.npy", "-l", "bce", "--nonfinite", "skip", "--format", "table").out
    assert "skipped" not in clean


def test_losses_and_gradients_of_rows_stay_in_their_places(table: list[str]) -> None:
    given = ["--nonfinite", "skip", "--per-sample", "l.npy", "--grad", "g.npy"]
    assert call("eval", *table, *given).code == 0
    losses, slopes = np.load("l.npy"), np.load("g.npy")
    assert np.flatnonzero(np.isfinite(losses)).tolist() == [0, 3]
    assert np.flatnonzero(slopes).tolist() == [0, 3]
    assert call("grad", *table, "--nonfinite", "skip", "-o", "g2.npy").code == 0
    assert np.array_equal(np.load("g2.npy"), slopes)


def test_propagate(table: list[str]) -> None:
    outcome = call("eval", *table, "--nonfinite", "propagate", "--format", "json")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    assert document["status"] == "nonfinite"
    (result,) = document["results"]
    assert (result["value"], result["status"]) == (None, "nan")
    assert result["nonfinite"] >= 3
    assert scores(*table, "--nonfinite", "propagate") == ["nan"]


def test_error_is_the_default(table: list[str]) -> None:
    Path("t.csv").write_text("p,y\n0.9,1\n,0\nnan,1\n")
    message = refused(3, "eval", *table[:5], *table[7:])
    assert "t.csv, line 3, column 'p': '' is not a number" in message
    assert message == refused(3, "eval", *table[:5], *table[7:], "--nonfinite", "error")


def test_what_is_wrong_is_still_refused(table: list[str], here: Path) -> None:
    (here / "t.csv").write_text(TABLE.replace("0.2,0,2", "2.5,0,2"))
    assert "t.csv, line 5, column 'p'" in refused(3, "eval", *table, "--nonfinite", "skip")
    assert "t.csv, line 5, column 'p'" in refused(3, "eval", *table, "--nonfinite", "propagate")
    assert "not one of error, propagate, skip" in refused(2, "eval", *table, "--nonfinite", "ignore")
