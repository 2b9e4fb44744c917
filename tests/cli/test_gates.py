"""Gates, statistics and baselines on the command line: exit codes as a shell sees them, and what is said last."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lossctl_kernels import order_statistics
from tests.cli.commands import call, command, process, refused

# -log 0.8, -log 0.8, -log 0.9: the mean is 0.183883
EVAL = ("eval", "p.npy", "y.npy", "--loss", "bce")


@pytest.fixture
def base(files: Path, tmp_path: Path) -> Path:
    path = tmp_path / "base.json"
    assert call(*EVAL, "--stats", "-o", path, "-q").code == 0
    return path


def last(err: str) -> str:
    return err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "verdict"),
    [
        (("--fail-if", "bce > 0.2"), 0, "lossctl: 1 of 1 gate passed"),
        (("--fail-if", "bce > 0.1"), 1, "lossctl: 1 of 1 gate failed: bce > 0.1"),
        (("--fail-if", "bce > 0.1", "--fail-if=bce > 1"), 1, "lossctl: 1 of 2 gates failed: bce > 0.1"),
        (("--warn-if", "bce > 0.1"), 0, "lossctl: no gate can fail, 1 warning"),
        (("--fail-if", "p95(bce) > 0.22"), 1, "lossctl: 1 of 1 gate failed: p95(bce) > 0.22"),
        (("--fail-if", "ci_low(bce) > 0.1"), 0, "lossctl: 1 of 1 gate passed"),
        (("--fail-if", "bce > 0.1", "--confidence", "0.95"), 0, "lossctl: 0 of 1 gate passed, 1 cannot be decided"),
        (("--fail-if", "bce > 0.1", "--confidence", "20%"), 1, "lossctl: 1 of 1 gate failed: bce > 0.1"),
        (
            ("--fail-if", "bce > 0.1", "--confidence", "0.95", "--strict-gates"),
            5,
            "lossctl: 1 of 1 gate cannot be decided: bce > 0.1",
        ),
    ],
)
def test_the_verdict_is_the_exit_code_and_the_last_line(
    files: Path, arguments: tuple[str, ...], code: int, verdict: str
) -> None:
    completed = process(*EVAL, *arguments)
    assert completed.returncode == code
    assert last(completed.stderr) == verdict
    assert completed.stdout.startswith("loss\tvalue")


def test_a_gate_that_fails_keeps_no_output_back(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    outcome = call(*EVAL, "--fail-if", "bce > 0.1", "-b", "-o", path)
    assert outcome.code == 1
    assert float(outcome.out) == pytest.approx(0.183883, rel=1e-5)
    (gate,) = json.loads(path.read_text())["gates"]
    assert gate["verdict"] == "fail"
    assert gate["limit"] == 0.1


def test_every_gate_is_told_before_the_verdict(files: Path) -> None:
    outcome = call(*EVAL, "--fail-if", "bce > 1", "--fail-if", "max(bce) > 0.2", "--warn-if", "samples < 5")
    *gates, verdict = outcome.err.splitlines()
    assert [line.split(" ", 1)[1] for line in gates] == [
        "bce > 1 (bce = 0.183883)",
        "max(bce) > 0.2 (max(bce) = 0.223144)",
        "samples < 5 (samples = 3)",
    ]
    assert verdict == "lossctl: 1 of 2 gates failed: max(bce) > 0.2; 1 warning"


def test_quiet_tells_only_what_does_not_pass(files: Path) -> None:
    assert call(*EVAL, "--fail-if", "bce > 1", "--quiet").err == ""
    outcome = call(*EVAL, "--fail-if", "bce > 1", "--fail-if", "bce > 0.1", "--quiet")
    assert (outcome.code, outcome.err.count("\n")) == (1, 2)


@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", "✗"), ("ascii", "FAIL"), ("latin-1", "FAIL")])
def test_marks_are_those_that_the_terminal_can_show(files: Path, encoding: str, mark: str) -> None:
    given = {**os.environ, "PYTHONIOENCODING": encoding}
    completed = subprocess.run(command(*EVAL, "--fail-if", "bce > 0.1"), env=given, capture_output=True, check=False)
    assert completed.returncode == 1
    assert completed.stderr.decode(encoding).startswith(f"{mark} bce > 0.1 (bce = ")


def test_a_closed_stdout_does_not_make_a_gate_pass(files: Path) -> None:
    for gate, code in (("bce > 0.1", 1), ("bce > 1", 0)):
        reader, writer = os.pipe()
        os.close(reader)
        completed = subprocess.run(
            command(*EVAL, "--fail-if", gate), stdout=writer, stderr=subprocess.PIPE, check=False
        )
        os.close(writer)
        assert completed.returncode == code, completed.stderr


def test_it_needs_no_terminal_and_no_home(files: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LOSSCTL_CACHE_DIR", "PYTHONPATH")}
    completed = process(*EVAL, "--fail-if", "bce > 0.1", env={**kept, "TERM": "dumb"}, stdin=subprocess.DEVNULL)
    assert completed.returncode == 1
    assert "\x1b" not in completed.stdout + completed.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fail-if", "bec > 1"), "unknown loss 'bec'; did you mean bce?"),
        (("--fail-if", "p59(bce) > 1"), "unknown function 'p59'"),
        (("--fail-if", "bce >"), "character 6: expected a number"),
        (("--fail-if", ""), "character 1: expected a number"),
        (("--fail-if", "bce > base"), "names base; say which with --baseline FILE"),
        (("--confidence", "95"), "--confidence '95' is not between 0 and 1"),
        (("--baseline", "base.json"), "--baseline is for gates that name base"),
        (("--baseline", "-", "--fail-if", "bce > base"), "--baseline cannot be stdin"),
    ],
)
def test_mistakes_are_told_before_any_file_is_opened(here: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(2, "eval", "no.npy", "such.npy", "--loss", "bce", *arguments)


def test_a_loss_without_samples_has_none_to_ask_for(files: Path) -> None:
    message = refused(2, "eval", "p.npy", "y.npy", "-l", "rmse", "--fail-if", "p95(rmse) > 1")
    assert "rmse has no losses of single samples, so there is no p95(rmse)" in message
    outcome = call("eval", "p.npy", "y.npy", "-l", "rmse", "-l", "mse", "--stats", "--fail-if", "rmse > 1")
    assert outcome.code == 0
    assert "warning: rmse has no losses of single samples: there are no statistics" in outcome.err


def test_a_value_that_is_not_finite_fails(files: Path) -> None:
    outcome = call("eval", "nan.npy", "y.npy", "-l", "bce", "--nonfinite", "propagate", "--fail-if", "bce < 0")
    assert outcome.code == 1
    assert "(bce = nan)" in outcome.err
    assert call("eval", "impossible.npy", "y.npy", "-l", "bce", "--fail-if", "nonfinite > 0").code == 1


# ---- statistics


def test_statistics_are_in_the_document_and_in_the_table(files: Path) -> None:
    document = json.loads(call(*EVAL, "--stats", "--confidence", "0.9", "--format", "json").out)
    stats = document["results"][0]["stats"]
    losses = -np.log([0.8, 0.8, 0.9])
    assert stats["std_error"] == pytest.approx(losses.std(ddof=1) / 3**0.5, rel=1e-12)
    assert stats["p95"] == pytest.approx(np.quantile(losses, 0.95), rel=1e-12)
    assert stats["confidence"] == 0.9
    assert stats["ci_low"] < document["results"][0]["value"] < stats["ci_high"]
    table = call(*EVAL, "--confidence", "0.9", "--format", "table").out
    assert "ci low" in table
    assert "ci low" not in call(*EVAL, "--stats", "--format", "table").out
    assert "stats" not in json.loads(call(*EVAL, "--format", "json").out)["results"][0]


@pytest.mark.parametrize("words", [("p.npy", "y.npy"), ("table.csv", "--pred-col", "p", "--target-col", "y")])
def test_files_are_read_again_for_quantiles_of_many_samples(
    files: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("eval", *words, "--loss", "bce", "--stats", "--format", "json")
    (expected,) = json.loads(call(*given).out)["results"]
    monkeypatch.setattr(order_statistics, "MOST_KEPT", 1)
    (found,) = json.loads(call(*given).out)["results"]
    assert found == expected


def test_statistics_and_per_sample_losses_go_together(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "l.npy"
    document = json.loads(call(*EVAL, "--stats", "--per-sample", path, "--format", "json").out)
    assert document["results"][0]["stats"]["max"] == np.load(path).max()


# ---- baselines


def test_a_gate_holds_the_run_against_a_baseline(files: Path, base: Path) -> None:
    same = ("--baseline", str(base), "--fail-if", "bce > base * 1.02 or p95(bce) > base")
    outcome = call(*EVAL, *same)
    assert outcome.code == 0, outcome.err
    assert "base * 1.02 = 0.18756" in outcome.err
    worse = call("eval", "pair.npy", "y_wide.npy", "-l", "bce", "--baseline", str(base), "--fail-if", "bce > base")
    assert worse.code == 3
    assert "its prediction has shape (3,), that of this run (3, 2)" in worse.err
    anyway = ("--baseline-any", "--fail-if", "bce > base - 0.1")
    assert call("eval", "pair.npy", "y_wide.npy", "-l", "bce", "--baseline", str(base), *anyway).code == 1


def test_another_signature_is_refused(files: Path, base: Path) -> None:
    given = ("eval", "p.npy", "y.npy", "-l", "bce:eps=1e-7", "--baseline", base, "--fail-if", "bce > base")
    assert "eps was 0, is 1e-07" in refused(3, *given)
    assert call(*given, "--baseline-any").code == 0


def test_a_baseline_that_is_not_there_is_told_before_the_data(here: Path) -> None:
    given = ("eval", "no.npy", "such.npy", "-l", "bce", "--baseline", "main", "--fail-if", "bce > base")
    assert "there is no baseline .lossctl/baselines/main.json" in refused(3, *given)


def test_no_output_overwrites_the_baseline(files: Path, base: Path) -> None:
    before = base.read_bytes()
    message = refused(2, *EVAL, "--baseline", base, "--fail-if", "bce > base", "-o", base)
    assert "is the same file as the input" in message
    assert base.read_bytes() == before


def test_baselines_are_kept_by_name(files: Path, base: Path, tmp_path: Path) -> None:
    folder = ("--baseline-folder", str(tmp_path / "kept"))
    empty = call("baseline", "list", *folder)
    assert (empty.code, empty.out, empty.err) == (0, "", f"lossctl: no baselines in {tmp_path / 'kept'}\n")
    saved = call("baseline", "save", "main", base, *folder, "--format", "json")
    assert saved.code == 0, saved.err
    assert json.loads(saved.out)[0]["loss"] == "bce"
    assert "main\tbce 0.183883\t3\t" in call("baseline", "list", *folder).out
    assert call(*EVAL, "--baseline", "main", *folder, "--fail-if", "bce > base").code == 0
    assert "there is a baseline 'main' already" in refused(2, "baseline", "save", "main", base, *folder)
    other = tmp_path / "other.json"
    assert call("eval", "p.npy", "y.npy", "-l", "bce", "--weights", "w.npy", "-o", other, "-q").code == 0
    (row,) = json.loads(call("baseline", "bless", "main", other, *folder, "--format", "json").out)
    assert row["before"] != row["value"]
    assert str(row["value"]) in call("baseline", "show", "main", *folder).out
    assert "there is no baseline 'next' to replace" in refused(2, "baseline", "bless", "next", other, *folder)
    assert refused(3, "baseline", "show", "mian", *folder).endswith("mian.json; kept here: main")
    assert "; `lossctl baseline save main RESULT.json` makes it" in refused(3, "baseline", "show", "main")


def test_a_baseline_is_saved_from_a_pipe(files: Path, tmp_path: Path) -> None:
    document = call(*EVAL, "--format", "json").out
    folder = ("--baseline-folder", str(tmp_path / "kept"))
    assert process("baseline", "save", "main", "-", *folder, input=document).returncode == 0
    assert json.loads((tmp_path / "kept" / "main.json").read_text()) == json.loads(document)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sav", "main"), "there is no action 'sav'; save, bless, show or list"),
        (("save", "main"), "baseline save takes NAME and RESULT, found 1 word after it"),
        (("show",), "baseline show takes NAME, found none"),
        (("list", "main"), "baseline list takes no name, found 1 word"),
        (("show", "a/b"), "'a/b' is no name of a baseline"),
    ],
)
def test_words_that_make_no_sense(here: Path, words: tuple[str, ...], said: str) -> None:
    assert said in refused(2, "baseline", *words)
