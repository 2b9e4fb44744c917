"""`--on` and `--missing` of `eval` and `grad`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import call, refused, scores, write_csv

ROWS = 1000
GENERATOR = np.random.default_rng(11)
KEYS = GENERATOR.permutation(ROWS)
PREDICTIONS = GENERATOR.uniform(0.01, 0.99, ROWS)
TARGETS = GENERATOR.integers(0, 2, ROWS)
PLACES = GENERATOR.permutation(ROWS)


@pytest.fixture
def tables(here: Path) -> Path:
    """Predictions in one order, targets in another, and both in one order without keys."""
    write_csv(here / "p.csv", {"id": KEYS, "p": PREDICTIONS})
    write_csv(here / "y.csv", {"id": KEYS[PLACES], "y": TARGETS[PLACES]})
    write_csv(here / "part.csv", {"id": KEYS[PLACES][:700], "y": TARGETS[PLACES][:700]})
    np.save(here / "p.npy", PREDICTIONS)
    np.save(here / "y.npy", TARGETS)
    return here


@pytest.mark.parametrize("chunk_rows", [[], ["--chunk-rows", "100"]])
def test_the_bits_are_those_of_files_in_one_order(tables: Path, chunk_rows: list[str]) -> None:
    spec = ["--loss", "bce", "--loss", "rmse", *chunk_rows]
    assert scores("p.csv", "y.csv", "--on", "id", *spec) == scores("p.npy", "y.npy", *spec)


def test_gradients_and_losses_of_rows_are_in_the_order_of_the_predictions(tables: Path) -> None:
    assert call("grad", "p.csv", "y.csv", "--on", "id", "-l", "bce", "-o", "g.npy").code == 0
    assert call("grad", "p.npy", "y.npy", "-l", "bce", "-o", "expected.npy").code == 0
    assert np.array_equal(np.load("g.npy"), np.load("expected.npy"))
    assert call("eval", "p.csv", "y.csv", "--on", "id", "-l", "bce", "--per-sample", "l.npy").code == 0
    expected = -np.where(TARGETS == 1, np.log(PREDICTIONS), np.log1p(-PREDICTIONS))
    np.testing.assert_allclose(np.load("l.npy"), expected, rtol=1e-14)


def test_the_result_says_how_rows_were_matched(tables: Path) -> None:
    outcome = call("eval", "p.csv", "part.csv", "--on", "id", "--missing", "drop", "-l", "bce", "--format", "json")
    assert outcome.code == 0
    document = json.loads(outcome.out)
    (result,) = document["results"]
    assert (result["options"]["on"], result["options"]["missing"]) == ("id", "drop")
    assert "|on=id|missing=drop|" in result["signature"]
    assert result["samples"] == 700
    assert document["warnings"] == ["300 of 1000 rows of p.csv are left out: their keys have no partner"]
    assert document["warnings"][0] in outcome.err


def test_an_error_names_the_row_of_the_file_as_it_is(tables: Path) -> None:
    spoiled = TARGETS[PLACES].copy()
    spoiled[123] = 7
    write_csv(tables / "y.csv", {"id": KEYS[PLACES], "y": spoiled})
    message = refused(3, "eval", "p.csv", "y.csv", "--on", "id", "-l", "bce")
    assert message.startswith("y.csv, line 125, column 'y': target 7 is outside")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("p.csv part.csv --on id", 3, "300 keys of p.csv are not in part.csv"),
        ("part.csv p.csv --on id --pred-col y", 3, "300 keys of p.csv are not in part.csv"),
        ("p.csv y.csv --on key", 2, "p.csv has no column 'key' (--on); columns: id, p"),
        ("p.npy y.csv --on id", 2, "it has no key for --on"),
        ("p.csv --pred-col p --target-col p --on id", 2, "leave out --on"),
        ("p.csv y.csv --on id --missing ignore", 2, "--missing 'ignore' is not one of error, drop"),
        ("p.npy y.npy --missing drop", 2, "--missing is of keys, and there is none"),
        ("p.csv y.csv --on ,", 2, "is not a list of columns"),
    ],
)
def test_what_cannot_be_matched(tables: Path, arguments: str, code: int, says: str) -> None:
    assert says in refused(code, "eval", *arguments.split(), "-l", "bce")
