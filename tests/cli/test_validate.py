"""`lossctl validate`: all that is wrong with a suite, and nothing of its data."""

from __future__ import annotations

from pathlib import Path

from tests.cli.commands import call, refused

GOOD = '[defaults]\nloss = "bce"\n[[eval]]\nname = "a"\npredictions = "no.npy"\ntargets = "such.npy"\n'


def test_a_suite_that_makes_sense(here: Path) -> None:
    Path("lossctl.toml").write_text(GOOD)
    outcome = call("validate")
    assert (outcome.code, outcome.out, outcome.err) == (0, "lossctl.toml: 1 evaluation\n", "")
    assert call("validate", "-q").out == ""
    Path("s.toml").write_text(GOOD + '[[eval]]\nname = "b"\npredictions = "p.npy"\n')
    assert call("validate", "s.toml").out == "s.toml: 2 evaluations\n"


def test_every_problem_has_a_line(here: Path) -> None:
    Path("lossctl.toml").write_text(GOOD + 'threds = 2\nstats = 1\n[[eval]]\nname = "a b"\n')
    outcome = call("validate")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.splitlines() == [
        "lossctl: lossctl.toml: [[eval]] 'a': unknown key 'threds'; did you mean threads?",
        "lossctl: lossctl.toml: [[eval]] 'a': stats is true or false, found 1",
        "lossctl: lossctl.toml: [[eval]] 2: 'a b' is no name; letters, digits, '.', '-' and '_', such as digits",
        "lossctl: lossctl.toml: [[eval]] 'a b' has no predictions; name them there, or in [defaults]",
    ]


def test_losses_gates_and_files_are_looked_at(here: Path) -> None:
    text = GOOD.replace("bce", "bec") + '[[eval]]\nname = "b"\npredictions = "p.npy"\nloss = "mse"\nfail-if = "x > 1"\n'
    Path("lossctl.toml").write_text(text)
    outcome = call("validate")
    assert outcome.code == 2
    first, second = outcome.err.splitlines()
    assert first.startswith("lossctl: lossctl.toml: a: unknown loss 'bec'; did you mean bce?")
    assert second.startswith("lossctl: lossctl.toml: b: gate 'x > 1', character 1: ")


def test_what_is_not_there_yet_is_a_warning(here: Path) -> None:
    Path("lossctl.toml").write_text(GOOD + 'baseline = "main"\nfail-if = "bce > base"\n')
    outcome = call("validate")
    assert outcome.code == 0
    assert outcome.err.startswith("lossctl: warning: a: there is no baseline .lossctl/baselines/main.json")
    assert call("validate", "--quiet").err == ""


def test_a_suite_that_is_none(here: Path) -> None:
    assert "there is no lossctl.toml here" in refused(2, "validate")
    assert "there is no file 'no.toml'" in refused(2, "validate", "no.toml")
    Path("lossctl.toml").write_text("[[eval\n")
    assert "lossctl.toml, line 1, column 7: it is no TOML" in refused(2, "validate")
