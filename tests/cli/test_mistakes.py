"""What is said of command lines that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import refused

EVAL = "see `lossctl eval --help`"
MISTAKES = [
    ("eval p y --lss bce", f"there is no option '--lss'; did you mean --loss? {EVAL}"),
    ("eval p y --hlep", f"there is no option '--hlep'; did you mean --help? {EVAL}"),
    ("--hlep", "there is no option '--hlep'; did you mean --help? see `lossctl --help`"),
    ("eval p y --key id", f"there is no option '--key'; here it is --on; {EVAL}"),
    ("eval p y --red mean", f"there is no option '--red'; did you mean --reduction? {EVAL}"),
    ("eval p y --zzz", f"there is no option '--zzz'; {EVAL}"),
    ("eval p y -l bce --json", f"there is no option '--json'; here it is --format json; {EVAL}"),
    ("eval p y --metric bce", f"there is no option '--metric'; here it is --loss; {EVAL}"),
    ("eval p y --no-color", f"there is no option '--no-color'; here it is NO_COLOR=1 in the environment; {EVAL}"),
    ("eval p y --gamma 2", f"there is no option '--gamma'; it is one of losses: --loss LOSS:gamma=VALUE; {EVAL}"),
    (
        "eval p y --label-smoothing 0.1",
        f"there is no option '--label-smoothing'; it is one of losses: --loss LOSS:label_smoothing=VALUE; {EVAL}",
    ),
    ("schema --gamma", "there is no option '--gamma'; see `lossctl schema --help`"),
    ("schema --json", "there is no option '--json'; see `lossctl schema --help`"),
    ("eval p y -loss bce", f"unexpected argument 'bce'; long options have two dashes: --loss; {EVAL}"),
    ("eval p y bce", f"unexpected argument 'bce'; a loss is given with --loss bce; {EVAL}"),
    (
        "eval p y -l huber delta=1",
        f"unexpected argument 'delta=1'; options of a loss follow its name, such as --loss huber:delta=2; {EVAL}",
    ),
    ("eval p y p", f"unexpected argument 'p'; if the shell expanded a glob, quote it; {EVAL}"),
    ("eval p y z w", f"unexpected argument 'z w'; {EVAL}"),
    (
        "list p",
        "unexpected argument 'p'; if the shell expanded a glob, quote it; see `lossctl list --help`",
    ),
    ("eval", f"missing argument 'PREDS'; {EVAL}"),
    ("eval p y -l", f"option '-l' requires an argument; {EVAL}"),
    ("eval p y --quiet=1", f"option '--quiet' does not take a value; {EVAL}"),
    ("eval p y --threads two", f"--threads 'two' is not a whole number; {EVAL}"),
    ("eval p y --threads=1.5", f"--threads '1.5' is not a whole number; {EVAL}"),
    ("eval p y --threads 1_0", f"--threads '1_0' is not a whole number; {EVAL}"),
    ("eval p y --chunk-rows 2.0", f"--chunk-rows '2.0' is not a whole number; {EVAL}"),
    ("eval p y --confidence 0.9_5", "--confidence '0.9_5' is not between 0 and 1; such as 0.95, or 95%"),
    ("run --threads 1_0", "--threads '1_0' is not a whole number; see `lossctl run --help`"),
    ("nope", "there is no command 'nope'; see `lossctl --help`"),
    ("--nope", "there is no option '--nope'; see `lossctl --help`"),
]


@pytest.mark.parametrize(("line", "said"), MISTAKES, ids=lambda part: part[:40])
def test_a_mistake_and_its_remedy(line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p").touch()
    assert refused(2, *line.split()) == said


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOSSCTL_THREADS", "two", "a whole number"),
        ("LOSSCTL_CHUNK_ROWS", "1_0", "a whole number"),
        ("LOSSCTL_QUIET", "perhaps", "1 or 0"),
    ],
)
def test_a_variable_is_named_where_it_is_wrong(
    variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    assert refused(2, "eval", "p", "y", "-l", "bce") == f"{variable} '{value}' is not {said}; {EVAL}"
