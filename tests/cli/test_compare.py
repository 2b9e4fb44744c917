"""`lossctl compare` as a shell sees it."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import SAMPLES, call, process, refused, scores

BINARY = SAMPLES / "binary"
LABELS = str(BINARY / "labels.npy")


@pytest.fixture
def systems(here: Path) -> Path:
    logits = np.load(BINARY / "logits.npy").astype(np.float64)
    for name, scale in (("a", 1.0), ("b", 0.8), ("c", 1.1)):
        np.save(here / f"{name}.npy", 1.0 / (1.0 + np.exp(-scale * logits)))
    np.save(here / "w.npy", np.ones(len(logits)))
    np.save(here / "wide.npy", np.stack([logits, logits], axis=1))
    return here


def test_values_are_those_of_eval(systems: Path) -> None:
    found = call("compare", "a.npy", "b.npy", "--targets", LABELS, "--loss", "bce", "--loss", "brier", "--quiet")
    assert (found.code, found.err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(found.out), delimiter="\t"))
    assert [row["loss"] for row in rows] == ["bce", "brier"]
    assert [row["first_value"] for row in rows] == scores("a.npy", LABELS, "--loss", "bce", "--loss", "brier")
    assert [row["second_value"] for row in rows] == scores("b.npy", LABELS, "--loss", "bce", "--loss", "brier")


def test_exit_code_is_0_whatever_is_found(systems: Path) -> None:
    found = process("compare", "a.npy", "b.npy", "c.npy", "-t", LABELS, "-l", "bce", "--format", "json", "--quiet")
    assert (found.returncode, found.stderr) == (0, "")
    pairs = json.loads(found.stdout)["comparisons"][0]["pairs"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert pairs[0]["verdict"] == "worse"


def test_two_runs_print_the_same(systems: Path) -> None:
    arguments = ("compare", "a.npy", "b.npy", "-t", LABELS, "-l", "bce", "--seed", "11", "--resamples", "200")
    assert call(*arguments).out == call(*arguments).out
    assert "resamples=200|seed=11" in call(*arguments).out


def test_outputs_go_to_files_by_extension(systems: Path) -> None:
    arguments = [word for name in ("r.json", "r.md", "r.csv", "r.tsv", "r.txt") for word in ("-o", name)]
    found = call("compare", "a.npy", "b.npy", "-t", LABELS, "-l", "bce", *arguments)
    assert found.code == 0
    assert json.loads(Path("r.json").read_text())["schema"] == "lossctl.comparison/1"
    assert Path("r.tsv").read_text() == found.out
    assert Path("r.md").read_text().startswith("| loss | system |")
    assert Path("r.txt").read_text().startswith("loss  system")
    assert Path("r.csv").read_text().startswith("loss,first,second,")


def test_options_are_those_of_eval(systems: Path) -> None:
    found = call(
        *("compare", "a.npy", "b.npy", "-t", LABELS, "-l", "bce", "--weights", "w.npy", "--preset", "keras"),
        *("--log-base", "2", "--reduction", "sum", "--test", "permutation", "--margin", "2%", "--format", "json"),
    )
    (comparison,) = json.loads(found.out)["comparisons"]
    assert comparison["signature"].startswith("bce|input=prob|eps=1e-07|")
    assert "log_base=2" in comparison["signature"]
    assert comparison["signature"].endswith("tests=permutation|confidence=0.95|resamples=1000|seed=0|margin=2%")
    assert (comparison["unit"], comparison["reduction"]) == ("bit", "sum")
    assert comparison["pairs"][0]["margin"]["size"] == pytest.approx(0.02 * comparison["systems"][0]["value"])


def test_targets_and_predictions_may_be_columns(systems: Path) -> None:
    table = str(BINARY / "table.csv")
    Path("other.csv").write_bytes(Path(table).read_bytes())
    columns = ("--pred-col", "prediction", "--target-col", "label")
    found = call("compare", table, "other.csv", "-t", table, *columns, "-l", "bce")
    assert found.code == 0, found.err
    assert "\tundecided\t" in found.out


def test_mistakes_name_no_inputs_that_nobody_has_named(systems: Path) -> None:
    table = str(BINARY / "table.csv")
    np.save("short.npy", np.zeros(5))
    np.save("flat.npy", np.zeros(569))
    assert refused(2, "compare", "a.npy", table, "-t", LABELS, "-l", "bce").endswith(
        "which is the prediction? name the columns with --pred-col"
    )
    columns = ("-t", LABELS, "-l", "bce", "--pred-col", "prediction")
    assert refused(2, "compare", table, "flat.npy", *columns).endswith("leave out --pred-col")
    assert refused(3, "compare", "a.npy", "b.npy", "short.npy", "-t", LABELS, "-l", "bce").endswith(
        "each row needs its own prediction"
    )
    Path("b.md").write_text("0.5\n")
    assert "--pred-format" in refused(2, "compare", "a.npy", "b.md", "-t", LABELS, "-l", "bce")


def test_a_level_may_be_in_hundredths(systems: Path) -> None:
    words = ("compare", "a.npy", "b.npy", "-t", LABELS, "-l", "bce", "--confidence")
    assert call(*words, "90%").out == call(*words, "0.9").out != call(*words, "0.8").out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.npy"], "from 2 to 26 files"),
        (["a.npy", "a.npy"], "is given twice"),
        (["a.npy", "b.npy", "--test", "student"], "no test 'student'; the tests are bootstrap, permutation, wilcoxon"),
        (["a.npy", "b.npy", "--test", "bootstrap,bootstrap"], "names bootstrap twice"),
        (["a.npy", "b.npy", "--test", ""], "no test ''"),
        (["a.npy", "b.npy", "--confidence", "95"], "--confidence must be from 0.5 to below 1, found 95"),
        (["a.npy", "b.npy", "--confidence", "100%"], "--confidence must be from 0.5 to below 1, found 1"),
        (["a.npy", "b.npy", "--confidence", "nan"], "--confidence must be"),
        (["a.npy", "b.npy", "--confidence", "high"], "--confidence is not a number: 'high'"),
        (["a.npy", "b.npy", "--resamples", "10"], "--resamples must be from 100"),
        (["a.npy", "b.npy", "--resamples", "1e3"], "--resamples is not a whole number"),
        (["a.npy", "b.npy", "--seed", "18446744073709551616"], "--seed must be from 0"),
        (["a.npy", "b.npy", "--margin", "0"], "--margin must be above 0"),
        (["a.npy", "b.npy", "--margin", "nan%"], "--margin must be above 0"),
        (["a.npy", "b.npy", "--margin", "1_0"], "--margin is not a number"),
        (["a.npy", "b.npy", "--format", "xml"], "there is no format 'xml' here"),
        (["a.npy", "b.npy", "-o", "result.xyz"], "cannot tell the format"),
        (["a.npy", "b.npy", "-o", "b.npy"], "cannot tell the format"),
        (["a.npy", "b.npy", "--preset", "keras,torch"], "one preset"),
        (["a.npy", "b.npy", "--loss", "rmse"], "no losses of rows"),
        (["a.npy", "b.npy", "--loss", "nonsense"], "nonsense"),
        (["a.npy", "b.npy", "--test", "wilcoxon", "--weights", "w.npy"], "no weights"),
    ],
)
def test_mistakes_of_the_command_are_2(systems: Path, arguments: list[str], said: str) -> None:
    message = refused(2, "compare", *arguments, "--targets", LABELS, *([] if "--loss" in arguments else ["-l", "bce"]))
    assert said in message


def test_targets_and_losses_must_be_named(systems: Path) -> None:
    assert "needs targets" in refused(2, "compare", "a.npy", "b.npy", "--loss", "bce")
    assert "no loss was asked for" in refused(2, "compare", "a.npy", "b.npy", "-t", LABELS)


def test_an_output_is_no_input(systems: Path) -> None:
    Path("b.json").write_bytes(Path("b.npy").read_bytes())
    arguments = ("a.npy", "b.json", "--pred-format", "npy", "-t", LABELS, "-l", "bce", "-o", "b.json")
    assert "is the same file as the input" in refused(2, "compare", *arguments)


def test_faults_of_the_data_are_3(systems: Path) -> None:
    assert "missing.npy" in refused(3, "compare", "a.npy", "missing.npy", "-t", LABELS, "-l", "bce")
    assert "wide.npy" in refused(3, "compare", "a.npy", "wide.npy", "-t", LABELS, "-l", "bce")


def test_rows_are_not_said_to_be_skipped(systems: Path) -> None:
    np.save("a.npy", np.full(569, np.nan))
    said = refused(3, "compare", "a.npy", "b.npy", "-t", LABELS, "-l", "bce")
    assert said.endswith("find out what made them, or leave out their rows in every file")


def test_a_full_disk_is_4(systems: Path) -> None:
    Path("full.json").symlink_to("/dev/full")
    found = process("compare", "a.npy", "b.npy", "-t", LABELS, "-l", "bce", "-o", "full.json")
    assert (found.returncode, found.stdout) == (4, "")
    assert "disk full" in found.stderr
