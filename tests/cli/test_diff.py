"""`lossctl diff` as a shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import SAMPLES, call, process, refused, write_csv

MULTICLASS = SAMPLES / "multiclass"


@pytest.fixture
def pair(here: Path) -> Path:
    first = np.random.default_rng(0).normal(size=(50, 3))
    np.save(here / "a.npy", first)
    np.save(here / "b.npy", first + 0.001)
    np.save(here / "long.npy", np.zeros((51, 3)))
    return here


def found(text: str) -> dict[str, str]:
    return dict(line.split("\t") for line in text.splitlines())


def test_equal_files_are_0(pair: Path) -> None:
    outcome = process("diff", "a.npy", "a.npy")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert found(outcome.stdout)["different"] == "0"


def test_files_that_differ_are_1_and_are_described(pair: Path) -> None:
    outcome = process("diff", "a.npy", "b.npy")
    assert outcome.returncode == 1
    assert outcome.stderr == "lossctl: 150 of 150 values differ\n"
    rows = found(outcome.stdout)
    assert rows["A"] == "a.npy (50, 3) float64"
    assert rows["different"] == "150"
    assert rows["same argmax"] == "50 of 50 rows (100.00%)"


@pytest.mark.parametrize(
    ("tolerance", "code"), [(["--atol", "0.01"], 0), (["--atol", "0.0001"], 1), (["--rtol", "1e9"], 0)]
)
def test_tolerances_decide(pair: Path, tolerance: list[str], code: int) -> None:
    outcome = call("diff", "a.npy", "b.npy", *tolerance, "--format", "json")
    assert outcome.code == code
    document = json.loads(outcome.out)
    assert document["schema"] == "lossctl.difference/1"
    assert (document["beyond"] > 0) == (code == 1)
    assert document["largest"]["size"] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("tolerance", "said"),
    [
        (["--atol=1e-4"], "0.0001"),
        (["--rtol=1e-9"], "1e-09 * |A|"),
        (["--atol=1e-4", "--rtol=1e-9"], "0.0001 + 1e-09 * |A|"),
    ],
)
def test_the_verdict_names_the_tolerance_that_was_given(pair: Path, tolerance: list[str], said: str) -> None:
    assert call("diff", "a.npy", "b.npy", *tolerance).err == f"lossctl: 150 of 150 values differ by more than {said}\n"


def test_a_table_and_an_array(here: Path) -> None:
    table, array = str(MULTICLASS / "table.csv"), str(MULTICLASS / "preds.npy")
    assert call("diff", array, table, "--other-col", "p_*").code == 0
    assert call("diff", table, str(MULTICLASS / "table.parquet"), "--pred-col", "p_*").code == 0
    assert call("diff", table, array, "--pred-col", "p_*").code == 0


def test_mistakes_name_the_options_of_this_command(here: Path) -> None:
    table, array = str(MULTICLASS / "table.csv"), str(MULTICLASS / "preds.npy")
    assert "no column 'nope' (--other-col)" in refused(2, "diff", array, table, "--other-col", "nope")
    assert "leave out --other-col" in refused(2, "diff", array, array, "--other-col", "p")
    Path("b.md").write_text("0.5\n")
    assert "name the format with --other-format" in refused(2, "diff", array, "b.md")


def test_rows_are_matched_by_key(here: Path) -> None:
    write_csv(here / "a.csv", {"id": np.array([1, 2, 3]), "p": np.array([0.1, 0.2, 0.3])})
    write_csv(here / "b.csv", {"id": np.array([3, 1, 2]), "p": np.array([0.3, 0.1, 0.2])})
    assert call("diff", "a.csv", "b.csv", "--pred-col", "p").code == 1
    assert call("diff", "a.csv", "b.csv", "--pred-col", "p", "--on", "id").code == 0


def test_the_table_of_a_terminal(pair: Path) -> None:
    lines = call("diff", "a.npy", "b.npy", "--format", "table").out.splitlines()
    assert lines[0] == "A                 a.npy (50, 3) float64"
    assert len({len(line) - len(line[18:]) for line in lines}) == 1


@pytest.mark.parametrize("size", ["-1", "nan", "inf", "x", "1_0", ""])
@pytest.mark.parametrize("option", ["--atol", "--rtol"])
def test_tolerances_are_numbers_from_0_up(pair: Path, option: str, size: str) -> None:
    assert f"{option} is not a number from 0 up" in refused(2, "diff", "a.npy", "b.npy", f"{option}={size}")


def test_rows_are_not_said_to_be_skipped(here: Path) -> None:
    Path("a.csv").write_text("p\n0.5\nNA\n")
    said = refused(3, "diff", "a.csv", "a.csv")
    assert said.endswith("'NA' is not a number; leave the cell of a missing number empty")
    Path("a.csv").write_text('p\n0.5\n""\n')
    assert found(process("diff", "a.csv", "a.csv").stdout)["NaN"] == "1 in both, 0 in A only, 0 in B only"


def test_faults_of_the_data_are_3(pair: Path) -> None:
    assert "numbers of rows differ" in refused(3, "diff", "a.npy", "long.npy")
    assert "none.npy" in refused(3, "diff", "a.npy", "none.npy")
