"""Suites on the command line before anything is read: mistakes, and who has the last word."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from lossctl.backends import usable_threads
from lossctl.cli import eval as evaluation
from tests.cli.commands import call, process, refused
from tests.cli.suites import DEFAULTS, FAILS, NO_DATA, run, with_data, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data, made the current one."""
    monkeypatch.chdir(tmp_path)
    return with_data(tmp_path)


# ---- mistakes, before any file is opened


@pytest.mark.parametrize(
    ("evaluations", "said"),
    [
        (('loss = "bec"',), "a: unknown loss 'bec'; did you mean bce?"),
        (("loss = []",), "a: no loss was asked for"),
        (("", 'fail-if = "p59(bce) > 1"'), "b: gate 'p59(bce) > 1', character 1: unknown function 'p59'"),
        (('fail-if = "bce > base"',), "a: gate 'bce > base' names base"),
        (('output = "x.foo"',), "a: cannot tell the format of output 'x.foo'"),
        (('output = "no/x.json"',), "a: cannot write 'no/x.json': there is no folder"),
        (('output = "x.json"\nper-sample = "p.npy"',), "a: the output 'p.npy' is the same file as the input 'p.npy'"),
        (('output = "r.json"', 'output = "./r.json"'), "the output './r.json' is the same file as the output 'r.json'"),
        (('per-sample = "l.npy"', 'targets = "l.npy"'), "the output 'l.npy' is the same file as the input 'l.npy'"),
        (('per-sample = "l.npy"', 'targets = "l*.npy"'), "the output 'l.npy' is the same file as the input 'l.npy'"),
        (('reduction = "median"',), "a: reduction must be mean or sum, found median"),
        (('input = "var"',), "a: --input 'var' is not NAME=VALUE"),
        (('loss = "gaussian_nll"',), "a: "),
    ],
)
def test_mistakes_are_told_before_any_file_is_opened(
    here: Path, evaluations: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation.PlannedEvaluation, "run", lambda _: pytest.fail("something was read"))
    if "l*.npy" in str(evaluations):
        np.save("l.npy", [1.0])
    write(*evaluations)
    message = refused(2, "run")
    assert message.startswith(f"lossctl.toml: {said}")
    assert said in refused(2, "validate")


def test_outputs_of_the_whole_are_checked_too(here: Path) -> None:
    write('output = "r.json"', head='output = ["r.json"]')
    assert "is the same file as the output 'r.json'" in refused(2, "run")
    write("", head='output = ["x.foo"]')
    assert "lossctl.toml: output: cannot tell the format of output 'x.foo'" in refused(2, "run")
    write("")
    Path("lossctl.toml").rename("s.json")
    assert "is the same file as the input 's.json'" in refused(2, "run", "s.json", "-o", "s.json")
    assert "there is no output format 'foo'" in refused(2, "run", "s.json", "--format", "foo")


def test_all_mistakes_are_counted(here: Path) -> None:
    write('loss = "bec"', 'fail-if = "x > 1"', NO_DATA)
    message = refused(2, "run")
    assert "a: unknown loss 'bec' (and 1 more: `lossctl validate` lists them); did you mean bce?" in message


# ---- the ladder, as a shell sees it


@pytest.mark.parametrize(
    ("words", "variable", "lines", "defaults", "printed"),
    [
        (("--threads", "5"), "4", "threads = 3", "threads = 2", "threads = 5  # --threads"),
        ((), "4", "threads = 3", "threads = 2", "threads = 4  # LOSSCTL_THREADS"),
        ((), None, "threads = 3", "threads = 2", "threads = 3  # [[eval]]"),
        ((), None, "", "threads = 2", "threads = 2  # [defaults]"),
        ((), None, "", "", 'backend = "auto"  # built in'),
        (("--backend", "auto"), None, 'backend = "cpu"', "", 'backend = "auto"  # --backend'),
        (("--strict-gates",), None, "strict-gates = false", "", "strict-gates = true  # --strict-gates"),
        (("--chunk-rows=7",), None, "chunk-rows = 9", "", "chunk-rows = 7  # --chunk-rows"),
        (("--baseline-folder", "x"), None, 'baseline-folder = "y"', "", 'baseline-folder = "x"  # --baseline-folder'),
    ],
)
def test_the_configuration_that_is_printed_says_who_had_the_last_word(
    here: Path, words: tuple[str, ...], variable: str | None, lines: str, defaults: str, printed: str
) -> None:
    write(lines + '\npredictions = "no.npy"', defaults=DEFAULTS + defaults)
    environment = {**os.environ, **({} if variable is None else {"LOSSCTL_THREADS": variable})}
    done = process("run", "--print-config", *words, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert printed in done.stdout.splitlines()


def test_what_is_printed_runs_as_what_it_was_printed_of(here: Path) -> None:
    write('loss = ["bce", "mae"]\n' + FAILS, 'stats = true\noutput = "{name}.json"', head='output = "all.json"')
    first = run("--threads", "1")
    printed = call("run", "--print-config", "--threads", "1").out
    Path("printed.toml").write_text(printed)
    assert run("printed.toml") == first
    assert run("--only", "b", "--print-config")[0] == 0
    assert '"a"' not in call("run", "--only", "b", "--print-config").out


def test_a_suite_with_more_threads_than_the_machine_has_says_how_many_there_were(here: Path) -> None:
    write("backend = 'cpu'\nthreads = 4096")
    (found,) = json.loads(call("run", "--format", "json").out)["evaluations"]
    assert found["result"]["threads"] == usable_threads()


def test_the_backend_that_was_asked_for_is_used(here: Path) -> None:
    write("", "backend = 'python'")
    found = json.loads(call("run", "--format", "json", "--backend", "cpu").out)["evaluations"]
    assert [each["result"]["backend"] for each in found] == ["cpu", "cpu"]
