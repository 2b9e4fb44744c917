"""`lossctl batch` as a shell sees it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import SAMPLES, call, command, process, refused, scores
from tests.cli.leaderboards import BCE, LABELS, MODELS, models, records

# ---- values and ranks


def test_values_are_those_of_eval(runs: Path) -> None:
    found = call("batch", "runs/*/preds.npy", *BCE, "--loss", "brier")
    assert (found.code, found.err) == (0, "")
    for name in MODELS:
        own = [each["value"] for each in records(found) if each["file"] == f"runs/{name}/preds.npy"]
        assert own == scores(f"runs/{name}/preds.npy", LABELS, "--loss", "bce", "--loss", "brier")


def test_the_best_is_first_and_fields_are_columns(runs: Path) -> None:
    found = process("batch", "runs/{model}/preds.npy", *BCE)
    assert (found.returncode, found.stderr) == (0, "")
    assert [(each["model"], each["rank"]) for each in records(found)] == [("a", "1"), ("c", "2"), ("b", "3")]


def test_another_loss_may_rank(here: Path) -> None:
    np.save("y.npy", [[1.0, 0.0], [0.0, 1.0]])
    np.save("near.npy", [[0.9, 0.5], [0.5, 0.9]])
    np.save("aligned.npy", [[9.0, 0.0], [0.0, 9.0]])
    cosine = "cosine_similarity:sign=1"  # which is better when it is larger
    for sort, first in ((None, "near"), ("mse", "near"), ("cosine_similarity", "aligned"), (cosine, "aligned")):
        asked = ("--targets", "y.npy", "-l", "mse", "-l", cosine, *(() if sort is None else ("--sort", sort)))
        found = call("batch", "near.npy", "aligned.npy", *asked)
        assert (found.code, records(found)[0]["file"]) == (0, f"{first}.npy")
    assert "--sort 'mae' is not one of the losses; they are mse" in refused(
        2, "batch", "near.npy", "-t", "y.npy", "-l", "mse", "--sort", "mae"
    )


def test_jobs_and_threads_change_nothing(runs: Path) -> None:
    found = [call("batch", "runs/{model}/preds.npy", *BCE, "--jobs", jobs).out for jobs in ("1", "2", "3")]
    found.append(call("batch", "runs/{model}/preds.npy", *BCE, "--threads", "1", "--chunk-rows", "1").out)
    assert len(set(found)) == 1


def test_options_are_those_of_eval(runs: Path) -> None:
    options = ("--preset", "torch,keras", "--log-base", "2", "--reduction", "sum")
    found = call("batch", "runs/a/preds.npy", *BCE, *options)
    assert [each["loss"] for each in records(found)] == ["bce:preset=torch", "bce:preset=keras"]
    assert [each["value"] for each in records(found)] == scores("runs/a/preds.npy", LABELS, "-l", "bce", *options)


def test_tables_may_have_targets_of_their_own(here: Path) -> None:
    table = (SAMPLES / "binary" / "table.csv").read_text()
    for name in ("x", "y"):
        (here / f"{name}.csv").write_text(table)
    columns = ("--pred-col", "prediction", "--target-col", "label", "-l", "bce")
    found = call("batch", "{name}.csv", *columns)
    assert [(each["name"], each["rank"]) for each in records(found)] == [("x", "1"), ("y", "1")]
    assert {each["value"] for each in records(found)} == {*scores("x.csv", *columns)}
    assert call("batch", "{name}.csv", *columns, "-t", str(SAMPLES / "binary" / "table.csv")).out == found.out


def test_hostile_names(runs: Path) -> None:
    whole = Path("runs/a/preds.npy").read_bytes()
    names = ["new\nline.npy", "::error::x\x1b[31m.npy", os.fsdecode(b"caf\xe9.npy"), "a|b`c.npy", "-d.npy", "{m}.npy"]
    for name in names:
        Path(name).write_bytes(whole)
    Path("x[1].npy").write_bytes(b"no")
    found = process("batch", "./{n}.npy", *BCE, "--format", "table", errors="surrogateescape")
    assert found.returncode == 3
    assert all(line.isprintable() for line in (found.stdout + found.stderr).splitlines())
    assert "new\\nline" in found.stdout
    assert not any(line.startswith("::") for line in found.stdout.splitlines())
    found = process("batch", "x[1].npy", "{m}.npy", *BCE, "-k")
    assert [each["file"] for each in records(found)] == ["{m}.npy", "x[1].npy"]


def test_targets_that_a_glob_takes_for_predictions_are_said(here: Path) -> None:
    np.save("y.npy", [1.0, 0.0])
    np.save("p.npy", [0.5, 0.5])
    found = call("batch", "*.npy", "-t", "./y.npy", "-l", "mse")
    assert found.code == 0
    assert found.err == "lossctl: warning: y.npy is the file of targets: it is compared with itself\n"
    assert [each["file"] for each in records(found)] == ["y.npy", "p.npy"]


# ---- failures


def test_a_file_that_fails_is_a_row_and_others_go_on(runs: Path) -> None:
    np.save("runs/b/preds.npy", np.ones(3))
    found = process("batch", "runs/{model}/preds.npy", "runs/d/preds.npy", *BCE)
    assert found.returncode == 3
    rows = records(found)
    assert [(each["file"][5], each["rank"], each["status"]) for each in rows] == [
        ("a", "1", "ok"), ("c", "2", "ok"), ("b", "", "failed"), ("d", "", "failed"),
    ]  # fmt: skip
    assert "numbers of rows differ" in rows[2]["error"]
    assert rows[3]["error"].startswith("no such file: runs/d/preds.npy")
    lines = found.stderr.splitlines()
    assert lines[0].startswith("lossctl: the numbers of rows differ: runs/b/preds.npy has 3 rows")
    assert lines[-1] == (
        "lossctl: 2 of 4 files failed: runs/b/preds.npy, runs/d/preds.npy; --keep-going lets the others count"
    )


def test_with_keep_going_failures_are_warnings(runs: Path) -> None:
    np.save("runs/b/preds.npy", np.full(569, np.nan))
    found = call("batch", "runs/{model}/preds.npy", *BCE, "--keep-going")
    assert found.code == 0
    assert models(found) == [("a", "1"), ("c", "2"), ("b", "")]
    assert found.err.startswith("lossctl: warning: runs/b/preds.npy, row 0")
    assert call("batch", "runs/{model}/preds.npy", *BCE, "--keep-going", "--quiet").err == ""
    assert call("batch", "runs/b/preds.npy", *BCE, "--keep-going").code == 3


def test_all_files_may_fail(runs: Path) -> None:
    for name in MODELS:
        Path("runs", name, "preds.npy").write_bytes(b"no")
    found = process("batch", "runs/{model}/preds.npy", *BCE)
    assert found.returncode == 3
    assert len(records(found)) == 3
    assert "3 of 3 files failed" in found.stderr
    assert process("batch", "runs/{model}/preds.npy", *BCE, "--pred-format", "parquet").returncode == 3


def test_many_failures_are_not_all_told(here: Path) -> None:
    for number in range(23):
        Path(f"p{number}.npy").touch()
    found = call("batch", "p*.npy", *BCE)
    assert found.code == 3
    assert len(records(found)) == 23
    lines = found.err.splitlines()
    assert len(lines) == 22
    assert lines[0].startswith("lossctl: p0.npy is empty (0 bytes)")
    assert lines[20] == "lossctl: 3 more failures are told by -o FILE.json"


def test_a_mistake_that_is_one_in_every_file_is_2(here: Path) -> None:
    for name in ("x", "y"):
        (here / f"{name}.csv").write_text("p,y\n0.5,1\n0.5,0\n")
    found = process("batch", "?.csv", "--pred-col", "q", "--target-col", "y", "-l", "bce")
    assert found.returncode == 2
    assert found.stderr.count("has no column 'q'") == 2


def test_values_that_are_not_finite_have_no_rank(runs: Path) -> None:
    np.save("runs/b/preds.npy", 1.0 - np.load(LABELS))
    found = call("batch", "runs/{model}/preds.npy", *BCE)
    assert found.code == 0
    assert models(found) == [("a", "1"), ("c", "2"), ("b", "")]
    assert records(found)[2]["value"] == "inf"


def test_another_meaning_of_a_loss_is_no_rank(here: Path) -> None:
    np.save("y.npy", np.array([0, 1, 1]))
    np.save("p.npy", np.array([0.2, 0.8, 0.7]))
    np.save("wide.npy", np.array([[0.8, 0.2], [0.2, 0.8], [0.3, 0.7]]))
    found = call("batch", "p.npy", "wide.npy", "-t", "y.npy", "-l", "log_loss")
    assert found.code == 3
    assert "its loss is another than that of p.npy" in found.err


# ---- mistakes


@pytest.mark.parametrize(
    ("code", "arguments", "said"),
    [
        (3, ["zz*.npy", *BCE], "no file matches 'zz*.npy'"),
        (3, ["runs/{model}/zz.npy", *BCE], "no file matches"),
        (3, ["runs/*/preds.npy", "-t", "nope.npy", "-l", "bce"], "no such file: nope.npy"),
        (2, ["runs/*/preds.npy", "-l", "bce"], "batch needs targets"),
        (2, ["runs/*/preds.npy", "-t", LABELS], "no loss was asked for"),
        (2, ["runs/*/preds.npy", "-t", LABELS, "-l", "nope"], "unknown loss 'nope'"),
        (2, ["runs/*/preds.npy", "-t", LABELS, "-l", "bce:nope=1"], "bce has no option 'nope'"),
        (2, ["runs/*/preds.npy", *BCE, "-l", "bce"], "the loss 'bce' is given twice"),
        (2, ["runs/*/preds.npy", *BCE, "--jobs", "0"], "--jobs must be from 1 to 64, found 0"),
        (2, ["runs/*/preds.npy", *BCE, "--jobs", "-1"], "found -1"),
        (2, ["runs/*/preds.npy", *BCE, "--jobs", "two"], "--jobs"),
        (2, ["runs/*/preds.npy", *BCE, "--threads", "0"], "threads must be a whole number from 1 up"),
        (2, ["runs/{m}/{m}.npy", *BCE], "names the field m twice"),
        (2, ["runs/{m/preds.npy", *BCE], "the braces of 'runs/{m/preds.npy' do not match"),
        (2, ["runs/{bce}/preds.npy", *BCE], "the field bce has the name of another column"),
        (2, ["runs/a/preds.npy", "runs/*/preds.npy", *BCE], "'runs/a/preds.npy' is named twice"),
        (2, ["runs/*/preds.npy", "-", *BCE], "not stdin"),
        (2, ["", *BCE], "a pattern is empty"),
        (2, ["runs/*/preds.npy", *BCE, "--format", "github"], "does not come as 'github'"),
        (2, ["runs/*/preds.npy", *BCE, "-o", "x.html"], "cannot tell the format"),
        (2, ["runs/*/preds.npy", *BCE, "-o", "nope/x.json"], "there is no folder"),
        (2, ["runs/*/preds.npy", *BCE, "-o", "x.json", "--resume", "x.json"], "is the same file as the output"),
        (2, ["runs/*/preds.npy", *BCE, "--resume", "runs/a/preds.npy"], "is the same file as the input"),
        (2, ["runs/*/preds.npy", *BCE, "--fail-if", "mae > 1"], "mae"),
    ],
)
def test_mistakes_are_found_before_the_work(runs: Path, code: int, arguments: list[str], said: str) -> None:
    assert said in refused(code, "batch", *arguments)


def test_a_full_disk_is_4(runs: Path) -> None:
    Path("full.json").symlink_to("/dev/full")
    found = process("batch", "runs/*/preds.npy", *BCE, "-o", "full.json")
    assert (found.returncode, found.stdout) == (4, "")
    assert "disk full" in found.stderr


# ---- gates


def test_a_gate_that_fails_is_1(runs: Path) -> None:
    found = process("batch", "runs/{model}/preds.npy", *BCE, "--fail-if", "bce > 0.1", "--warn-if", "bce > 0.09")
    assert found.returncode == 1
    assert [each["gates"] for each in records(found)] == ["pass", "warn", "fail"]
    assert found.stderr.splitlines()[-1] == "lossctl: 1 of 3 files fail their gates: runs/b/preds.npy"
    assert "lossctl: runs/b/preds.npy: fail: bce > 0.1: " in found.stderr
    found = process("batch", "runs/{model}/preds.npy", *BCE, "--fail-if", "bce > 1")
    assert (found.returncode, found.stderr) == (0, "lossctl: 3 of 3 files pass their gates\n")


def test_a_broken_file_is_told_from_a_worse_model(runs: Path) -> None:
    Path("runs/b/preds.npy").write_bytes(b"no")
    gate = ("--fail-if", "bce > 0")
    assert call("batch", "runs/{model}/preds.npy", *BCE, *gate).code == 3
    assert call("batch", "runs/{model}/preds.npy", *BCE, *gate, "--keep-going").code == 1


def test_gates_may_be_held_against_a_baseline(runs: Path) -> None:
    assert call("eval", "runs/c/preds.npy", LABELS, "-l", "bce", "-o", "base.json", "-q").code == 0
    found = call("batch", "runs/{model}/preds.npy", *BCE, "--baseline", "base.json", "--fail-if", "bce > base * 1.01")
    assert found.code == 1
    assert [each["gates"] for each in records(found)] == ["pass", "pass", "fail"]


def test_gates_that_are_open_are_5_where_asked(runs: Path) -> None:
    gate = ("--fail-if", "bce > 0.08", "--confidence", "0.99", "--strict-gates")
    found = call("batch", "runs/a/preds.npy", *BCE, *gate)
    assert found.code == 5
    assert "are open: runs/a/preds.npy" in found.err


# ---- outputs


def test_every_output_is_written(runs: Path) -> None:
    names = [f"r.{each}" for each in ("json", "jsonl", "csv", "tsv", "md", "txt", "tex", "parquet", "xml", "prom")]
    found = call("batch", "runs/{model}/preds.npy", *BCE, *(word for name in names for word in ("-o", name)))
    assert (found.code, found.err) == (0, "")
    assert Path("r.tsv").read_text() == found.out
    assert json.loads(Path("r.json").read_text())["schema"] == "lossctl.leaderboard/1"
    assert all(Path(name).stat().st_size for name in names)


def test_who_reads_stdout_has_no_part_in_the_exit_code(runs: Path) -> None:
    Path("runs/b/preds.npy").write_bytes(b"no")
    for arguments, code in ((["runs/*/preds.npy", *BCE], 3), (["runs/[ac]/preds.npy", *BCE], 0)):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            found = subprocess.run(
                command("batch", *arguments), check=False, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
            )
        finally:
            os.close(writer)
        assert found.returncode == code
        assert "Broken" not in found.stderr


def test_targets_that_are_not_there_are_told_to_a_ci_host(runs: Path) -> None:
    assert call("batch", "runs/*/preds.npy", "-t", "nope.npy", "-l", "bce", "-o", "r.xml").code == 3
    assert "no such file: nope.npy" in Path("r.xml").read_text()


def test_no_terminal_no_home_and_nothing_to_write_to(runs: Path) -> None:
    bare = {"TERM": "dumb", "PATH": os.defpath}
    before = sorted(str(path) for path in Path().rglob("*"))
    Path().chmod(0o555)
    try:
        found = process("batch", "runs/{model}/preds.npy", *BCE, env=bare, stdin=subprocess.DEVNULL)
    finally:
        Path().chmod(0o755)
    assert (found.returncode, found.stderr) == (0, "")
    assert len(records(found)) == 3
    assert sorted(str(path) for path in Path().rglob("*")) == before


def test_a_gate_about_slices_is_refused_before_anything_is_read(here: Path) -> None:
    found = refused(2, "batch", "*.npy", "--targets", "nothing.npy", "-l", "bce", "--fail-if", "bce[country=*] > 1")
    assert found.startswith("gate 'bce[country=*] > 1': batch has no slices")
