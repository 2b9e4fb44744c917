"""`lossctl run`: every evaluation as `lossctl eval` has it, whatever becomes of the others, and one exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossctl.cli import eval as evaluation
from tests.cli.commands import call, command, listing, process, refused, sparse_npy
from tests.cli.suites import (
    ADVICE,
    DEFAULTS,
    FAILS,
    FINE,
    NO_COLUMN,
    NO_DATA,
    NO_DISK,
    OPEN,
    STRICT,
    run,
    with_data,
    write,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, made the current one."""
    monkeypatch.chdir(tmp_path)
    return with_data(tmp_path)


# ---- what is run


def test_an_evaluation_is_what_eval_does_with_its_options(here: Path) -> None:
    words = ["p.npy", "y.npy", "--loss", "bce", "--loss", "huber:delta=0.1", "--stats", "--reduction", "sum"]
    words += ["--fail-if", "bce > 1", "--denom", "count", "--threads", "1", "--confidence", "0.9"]
    single = json.loads(call("eval", *words, "--format", "json", "-q").out)
    write(
        'loss = ["bce", "huber:delta=0.1"]\nstats = true\nreduction = "sum"\nfail-if = "bce > 1"\n'
        'denom = "count"\nthreads = 1\nconfidence = 0.9'
    )
    outcome = call("run", "--format", "json")
    (found,) = json.loads(outcome.out)["evaluations"]
    for document in (single, found["result"]):
        document.pop("seconds")
    assert found["result"] == single
    assert outcome.code == found["exit_code"] == 0


def test_each_loss_of_each_evaluation_is_a_record(here: Path) -> None:
    write('loss = ["bce", "mae"]', "stats = true")
    code, records, said = run()
    assert (code, said) == (0, [])
    assert [(each["evaluation"], each["loss"]) for each in records] == [("a", "bce"), ("a", "mae"), ("b", "bce")]
    assert [records[0]["value"], records[1]["value"]] == call(
        "eval", "p.npy", "y.npy", "--loss", "bce", "--loss", "mae", "-b"
    ).out.split()


def test_everything_that_eval_writes_is_written(here: Path) -> None:
    head = 'output = ["all.json", "report.xml", "summary.md"]'
    write(
        'output = ["{name}.json", "{name}.csv"]\nper-sample = "{name}.npy"\ngrad = "{name}-grad.npy"',
        'output = "{name}.json"',
        head=head,
    )
    assert run()[0] == 0
    assert {*listing()} >= {"a.json", "a.csv", "a.npy", "a-grad.npy", "b.json", "all.json", "report.xml", "summary.md"}
    assert np.load("a.npy") == pytest.approx(-np.log([0.8, 0.8, 0.9]), rel=1e-15)
    assert (
        json.loads(Path("a.json").read_text()) == json.loads(Path("all.json").read_text())["evaluations"][0]["result"]
    )


def test_paths_start_in_the_folder_of_the_suite(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write('predictions = "p*.npy"\noutput = "a.json"', head='output = "all.json"')
    (here / "away").mkdir()
    monkeypatch.chdir(here / "away")
    code, (record,), _ = run("../lossctl.toml", "-o", "mine.json")
    assert code == 0
    assert record["value"].startswith("0.18388253942874")
    assert [*listing()] == ["mine.json"]
    assert {"a.json", "all.json"} <= {*os.listdir(here)}
    assert Path.cwd() == here / "away"
    document = json.loads(Path("mine.json").read_text())
    assert document == json.loads((here / "all.json").read_text())
    assert document["path"] == "../lossctl.toml"


def test_a_path_of_the_command_line_goes_through_links_as_the_shell_does(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write('predictions = "p*.npy"')
    (here / "away" / "deep").mkdir(parents=True)
    (here / "work").mkdir()
    (here / "work" / "link").symlink_to(here / "away" / "deep")
    monkeypatch.chdir(here / "work")
    assert run("../lossctl.toml", "-o", "link/../mine.json")[0] == 0
    assert (here / "away" / "mine.json").exists()
    assert not (here / "work" / "mine.json").exists()


def test_stdin_is_a_suite_or_data_but_not_both(here: Path) -> None:
    write("")
    text = Path("lossctl.toml").read_text()
    assert process("run", "-", input=text).returncode == 0
    write('predictions = "-"')
    done = process("run", input=Path("p.npy").read_bytes(), text=False)
    assert done.returncode == 0, done.stderr
    done = process("run", "-", input=Path("lossctl.toml").read_text())
    assert (done.returncode, done.stderr) == (
        2,
        "lossctl: -: a reads stdin, and so does the suite; name a file for one of them\n",
    )
    write('predictions = "-"', 'targets = "-"')
    assert "stdin can be read once, not by a and by b" in refused(2, "run")


def test_a_named_pipe_is_a_suite_of_this_folder(here: Path) -> None:
    write("")
    Path("away").mkdir()
    os.mkfifo("away/pipe")
    text = Path("lossctl.toml").read_text()
    with subprocess.Popen(command("run", "away/pipe"), stdout=subprocess.PIPE, text=True) as running:
        Path("away/pipe").write_text(text)
        out, _ = running.communicate(timeout=60)
    assert (running.returncode, out.count("\n")) == (0, 2)


def test_only_some_are_run(here: Path) -> None:
    write("", 'loss = "mae"', 'predictions = "no.npy"')
    assert [each["evaluation"] for each in run("--only", "b")[1]] == ["b"]
    assert [each["evaluation"] for each in run("--only", "[ab]")[1]] == ["a", "b"]
    assert run("--only", "c", "--only", "a")[0] == 3
    assert "lossctl.toml has no evaluation 'd'; there are a, b, c" in refused(2, "run", "--only", "a", "--only", "d")


def test_a_suite_in_pyproject(here: Path) -> None:
    text = '[tool.lossctl]\noutput = "all.json"\n[tool.lossctl.defaults]\nloss = "bce"\ntargets = "y.npy"\n'
    text += '[[tool.lossctl.eval]]\nname = "shared"\npredictions = "p.npy"\n[tool.other]\nx = 1\n'
    Path("pyproject.toml").write_text(text)
    code, (record,), said = run()
    assert (code, record["evaluation"], said) == (0, "shared", [])
    write("")
    code, (record,), said = run()
    assert (code, record["evaluation"]) == (0, "a")
    assert said == ["lossctl: warning: lossctl.toml is read, [tool.lossctl] of pyproject.toml is not"]
    assert run("-q")[2] == []
    assert run("pyproject.toml")[1][0]["evaluation"] == "shared"
    Path("pyproject.toml").write_text("[tool.other]\n")
    assert run()[2] == []
    os.remove("lossctl.toml")
    assert "there is no lossctl.toml here" in refused(2, "run")


# ---- what it comes to


@pytest.mark.parametrize(
    ("evaluations", "code", "verdict"),
    [
        (("", ""), 0, None),
        ((FINE, FINE), 0, "2 of 2 gates passed"),
        ((FINE, ADVICE), 0, "1 of 1 gate passed, 1 warning"),
        ((FINE, OPEN), 0, "1 of 2 gates passed, 1 cannot be decided"),
        ((FINE, FAILS), 1, "1 of 2 gates failed: b: bce > 0.1"),
        ((STRICT, FINE), 5, "1 of 2 gates cannot be decided: a: bce > 0.1"),
        ((STRICT, FAILS), 1, "1 of 2 gates failed: b: bce > 0.1"),
        ((NO_COLUMN, FAILS), 2, "1 of 2 evaluations failed (a); 1 of 1 gate failed: b: bce > 0.1"),
        ((NO_DATA, FAILS, NO_COLUMN), 3, "2 of 3 evaluations failed (a, c); 1 of 1 gate failed: b: bce > 0.1"),
        ((NO_DATA + "\n" + FINE, FINE), 3, "1 of 2 evaluations failed (a); 1 of 2 gates failed: a: bce > 0.2"),
        ((NO_DISK, NO_DATA, FAILS), 4, "2 of 3 evaluations failed (a, b); 1 of 1 gate failed: c: bce > 0.1"),
    ],
)
def test_the_most_serious_code_is_that_of_the_whole(
    here: Path, evaluations: tuple[str, ...], code: int, verdict: str | None
) -> None:
    Path("full.json").symlink_to("/dev/full")
    write(*evaluations)
    done = process("run")
    assert done.returncode == code, done.stderr
    assert done.stdout.startswith("evaluation\tloss\tvalue")
    assert done.stderr.splitlines()[-1:] == ([] if verdict is None else [f"lossctl: {verdict}"])


def test_one_that_fails_does_not_stop_the_others(here: Path) -> None:
    write('predictions = "no.npy"', 'predictions = "nan.npy"', 'targets = "short.npy"', 'output = "{name}.json"')
    code, records, said = run()
    assert code == 3
    assert [(each["evaluation"], each["status"]) for each in records] == [
        ("a", "error"),
        ("b", "error"),
        ("c", "error"),
        ("d", "ok"),
    ]
    assert [line.split(": ")[1] for line in said] == ["a", "b", "c", "3 of 4 evaluations failed (a, b, c)"]
    assert "no such file: no.npy" in said[0]
    assert records[0]["error"] in said[0]
    assert Path("d.json").exists()


def test_every_gate_is_told_with_its_evaluation_before_the_verdict(here: Path) -> None:
    write(FINE + '\nwarn-if = "samples < 5"', NO_DATA + "\n" + FINE, FAILS)
    _, _, said = run()
    assert said == [
        "lossctl: b: no such file: no.npy; check the name and the folder",
        "ok a: bce > 0.2 (bce = 0.183883)",
        "WARN a: samples < 5 (samples = 3)",
        "FAIL c: bce > 0.1 (bce = 0.183883)",
        "lossctl: 1 of 3 evaluations failed (b); 2 of 3 gates failed: b: bce > 0.2; c: bce > 0.1; 1 warning",
    ]
    _, _, said = run("--quiet")
    assert [line[0] for line in said] == ["l", "W", "F", "l"]


def test_warnings_are_told_with_their_evaluation(here: Path) -> None:
    write('loss = "rmse"\nstats = true')
    assert run()[2] == ["lossctl: warning: a: rmse has no losses of single samples: there are no statistics"]
    assert run("-q")[2] == []
    (found,) = json.loads(call("run", "--format", "json", "-q").out)["evaluations"]
    assert len(found["result"]["warnings"]) == 1


def test_a_file_that_cannot_be_written_takes_no_other_away(here: Path) -> None:
    Path("full.md").symlink_to("/dev/full")
    write('output = "a.json"', head='output = ["full.md", "all.json"]')
    code, (record,), said = run()
    assert (code, record["value"][:6]) == (4, "0.1838")
    assert said == [
        "lossctl: cannot write 'full.md': disk full; free some space or write to another disk",
        "lossctl: 1 file could not be written",
    ]
    assert json.loads(Path("all.json").read_text())["exit_code"] == 0
    assert Path("a.json").exists()


def test_what_is_not_there_yet_is_an_error_of_its_evaluation(here: Path) -> None:
    write('baseline = "main"\nfail-if = "bce > base"', "")
    code, records, said = run()
    assert code == 3
    assert [each["status"] for each in records] == ["error", "ok"]
    assert "a: there is no baseline .lossctl/baselines/main.json" in said[0]
    assert said[-1] == "lossctl: 1 of 2 evaluations failed (a); 1 of 1 gate failed: a: bce > base"


def test_baselines_are_kept_beside_the_suite(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("eval", "p.npy", "y.npy", "-l", "bce", "-o", "r.json", "-q").code == 0
    assert call("baseline", "save", "main", "r.json").code == 0
    assert call("baseline", "save", "main", "r.json", "--baseline-folder", "mine").code == 0
    write('baseline = "main"\nfail-if = "bce > base * 1.02"')
    assert run()[0] == 0
    (here / "away").mkdir()
    monkeypatch.chdir(here / "away")
    assert run("../lossctl.toml")[0] == 0
    assert run("../lossctl.toml", "--baseline-folder", "../mine")[0] == 0
    assert run("../lossctl.toml", "--baseline-folder", "mine")[0] == 3


# ---- where it is run


def test_it_needs_no_terminal_no_home_and_no_folder_to_write_to(here: Path) -> None:
    write(FINE, 'predictions = "no.npy"')
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}
    here.chmod(0o555)
    try:
        done = process("run", env={**kept, "TERM": "dumb"}, stdin=subprocess.DEVNULL)
    finally:
        here.chmod(0o755)
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_takes_nothing_from_the_verdict(here: Path) -> None:
    for lines, code in ((FAILS, 1), (FINE, 0), (NO_DATA, 3)):
        write(lines)
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command("run"), stdout=writer, stderr=subprocess.PIPE, check=False)
        os.close(writer)
        assert done.returncode == code, done.stderr


def test_an_interrupt_ends_it_and_leaves_what_is_done(here: Path) -> None:
    sparse_npy(here / "large.npy", 300_000_000)
    large = 'predictions = "large.npy"\ntargets = "large.npy"\nloss = "mse"\nper-sample = "l.npy"\nchunk-rows = 65536'
    write('output = "a.json"', large)
    with subprocess.Popen(command("run"), stderr=subprocess.PIPE, text=True) as running:
        give_up = time.monotonic() + 60
        while not (Path("a.json").exists() and any(each.stat().st_size > 1 << 18 for each in here.glob(".lossctl-*"))):
            assert time.monotonic() < give_up
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, "lossctl: interrupted\n")
    assert sorted(set(os.listdir(here)) - {"p.npy", "y.npy", "nan.npy", "short.npy"}) == [
        "a.json",
        "large.npy",
        "lossctl.toml",
    ]


def test_ci_hosts_are_told(here: Path) -> None:
    write(FAILS, NO_DATA)
    for name in ("summary", "outputs"):
        Path(name).write_text("")
    environment = {**os.environ, "GITHUB_STEP_SUMMARY": str(here / "summary"), "GITHUB_OUTPUT": str(here / "outputs")}
    words = ("-o", str(here / "summary"), "-o", str(here / "outputs"), "--format", "github")
    done = process("run", *words, env=environment)
    assert done.returncode == 3
    assert done.stdout.startswith("::error file=lossctl.toml,title=lossctl%3A no result::b: no such file")
    assert Path("summary").read_text().startswith("### lossctl: 1 of 2 evaluations failed, 1 of 1 gate failed\n")
    assert Path("outputs").read_text().startswith("status=error\ngates=fail\na_bce=0.18388")


def test_a_fault_of_an_evaluation_is_told_in_its_own_report(here: Path) -> None:
    write('predictions = "no.npy"\noutput = ["{name}.xml", "{name}.json"]')
    assert run()[0] == 3
    assert 'message="no such file: no.npy"' in Path("a.xml").read_text()
    assert not Path("a.json").exists()


def test_out_of_memory_is_an_error_of_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Any = evaluation.PlannedEvaluation.run

    def fails(planned: Any) -> Any:
        if planned.files.predictions == "nan.npy":
            raise MemoryError
        return whole(planned)

    monkeypatch.setattr(evaluation.PlannedEvaluation, "run", fails)
    write('predictions = "nan.npy"', "")
    code, records, said = run()
    assert (code, [each["status"] for each in records]) == (4, ["error", "ok"])
    assert said[0] == "lossctl: a: out of memory; give chunk-rows a smaller number"


def test_many_evaluations(here: Path) -> None:
    tables = "".join(f'[[eval]]\nname = "e{number}"\n' for number in range(300))
    Path("lossctl.toml").write_text(DEFAULTS + tables)
    code, records, _ = run()
    assert (code, len(records)) == (0, 300)
    assert {each["value"] for each in records} == {records[0]["value"]}


def test_slices_stand_under_the_name_of_their_evaluation(here: Path) -> None:
    Path("t.csv").write_text("p,y,sex\n0.8,1,f\n0.8,1,m\n0.1,0,f\n")
    table = 'predictions = "t.csv"\ntargets = "t.csv"\npred-col = "p"\ntarget-col = "y"\n'
    write("", table + 'by = "sex"\nfail-if = "bce[sex=*] > 0.2"', "")
    outcome = call("run", "--format", "table")
    assert outcome.code == 1, outcome.err
    assert "\nb: bce by sex\n" in outcome.out
    assert outcome.err.startswith("FAIL b: bce[sex=*] > 0.2 (1 of 2 slices failed")
    assert "<summary>b: bce by sex</summary>" in call("run", "--format", "markdown").out
    assert r"% b: bce by sex" in call("run", "--format", "latex").out
    assert "<summary>b: bce by sex</summary>" in call("run", "--format", "github-summary").out
    records = run()[1]
    assert [each["evaluation"] for each in records] == ["a", "b", "b", "b", "c"]
    assert [each["by.sex"] for each in records] == ["", "", "m", "f", ""]
