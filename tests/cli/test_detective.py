"""Data that were meant otherwise: the line on stderr says what they look like, and which option says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import call, refused

DATA = 3


@pytest.fixture(scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detective")
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 0.95, 12)
    y = np.array([1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 1])
    index = np.array([0, 1, 2, 2, 1, 0, 0, 1, 2, 1, 0, 2])
    classes = random.dirichlet([1.0, 1.0, 1.0], 12)
    onehot = np.eye(3)[index]
    arrays = {
        "p": p,
        "y": y,
        "logits": np.log(p / (1 - p)),
        "log_p": np.log(p),
        "percent": 100 * p,
        "small_percent": 10 * p,
        "y_from_1": y + 1,
        "signs": 2 * y - 1,
        "lying": p[None, :],
        "classes": classes,
        "class_logits": np.log(classes) + 1.3,
        "log_classes": np.log(classes),
        "class_percent": 100 * classes,
        "classes_lying": classes.T,
        "index": index,
        "index_from_1": index + 1,
        "onehot": onehot,
        "onehot_lying": onehot.T,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


@pytest.fixture
def _here(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(_folder)


REFUSED = [
    ("logits.npy y.npy -l bce", "logits.npy", "looks like logits: --from-logits"),
    ("logits.npy y.npy -l brier", "logits.npy", "looks like logits: --from-logits"),
    ("class_logits.npy index.npy -l scce", "class_logits.npy", "looks like logits: --from-logits"),
    ("percent.npy y.npy -l bce", "percent.npy", "percentages: divide them by 100"),
    ("small_percent.npy y.npy -l bce", "small_percent.npy", "divide them by 100, or --from-logits"),
    ("class_percent.npy index.npy -l scce", "class_percent.npy", "percentages: divide them by 100"),
    ("log_p.npy y.npy -l bce", "log_p.npy", "log-probabilities: take their exp() first; for logits use --from-logits"),
    ("log_classes.npy index.npy -l scce", "log_classes.npy", "log-probabilities: input=log_prob"),
    ("classes.npy index.npy -l nll", "classes.npy", "they look like probabilities: take their log() first"),
    ("classes.npy index.npy -l scce:input=log_prob", "classes.npy", "they look like probabilities: input=prob"),
    ("classes.npy onehot.npy -l scce", "onehot.npy", "for one-hot or soft targets use cce"),
    ("classes.npy index.npy -l cce", "index.npy", "the targets look like class indices: use scce"),
    ("p.npy index.npy -l bce", "index.npy", "class indices: give one prediction a class and use scce"),
    ("lying.npy y.npy -l bce", "lying.npy", "the predictions look transposed"),
    ("classes_lying.npy index.npy -l scce", "classes_lying.npy", "the predictions look transposed"),
    ("classes_lying.npy onehot.npy -l cce", "classes_lying.npy", "the predictions look transposed"),
    ("classes.npy onehot_lying.npy -l cce", "onehot_lying.npy", "the targets look transposed"),
    ("classes_lying.npy onehot_lying.npy -l cce", "classes_lying.npy", "each column sums to 1"),
    ("classes.npy index_from_1.npy -l scce", "index_from_1.npy", "count from 1: subtract 1"),
    ("p.npy y_from_1.npy -l bce", "y_from_1.npy", "count from 1: subtract 1"),
    ("p.npy signs.npy -l bce", "signs.npy", "look like -1 and 1: map them to 0 and 1"),
    ("logits.npy y.npy -l hinge", "y.npy", "labels=01"),
    ("logits.npy signs.npy -l hinge:labels=01", "signs.npy", "labels=pm1"),
    ("index.npy classes.npy -l scce", "index.npy", "are the files swapped? the predictions come first"),
    ("index.npy classes.npy -l cce", "index.npy", "are the files swapped? the predictions come first"),
]


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("line", "file", "remedy"), REFUSED, ids=lambda part: str(part)[:60])
def test_a_refusal_says_what_the_data_look_like(line: str, file: str, remedy: str) -> None:
    message = refused(DATA, "eval", *line.split())
    assert file in message
    assert remedy in message


WARNED = [
    ("p.npy y.npy -l bce --from-logits", "p.npy: the logits of bce all look like probabilities"),
    ("classes.npy index.npy -l scce --from-logits", "classes.npy: the logits of scce all look like probabilities"),
    ("log_p.npy y.npy -l bce --from-logits", "log_p.npy: the logits of bce are all negative, and most targets are not"),
    ("y.npy p.npy -l brier", "y.npy: the predictions of brier are all 0 or 1, and the targets are not"),
    ("onehot.npy classes.npy -l cce", "onehot.npy: the predictions of cce are all 0 or 1, and the targets are not"),
    (
        "onehot.npy classes.npy -l brier_multiclass",
        "onehot.npy: the predictions of brier_multiclass are all 0 or 1, and the targets are not",
    ),
]


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("line", "says"), WARNED, ids=lambda part: str(part)[:60])
def test_a_warning_says_what_the_data_look_like(line: str, says: str) -> None:
    outcome = call("eval", *line.split(), "-b")
    assert outcome.code == 0
    assert outcome.err.startswith(f"lossctl: warning: {says}")
    assert outcome.err.count("\n") == 1


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    "line",
    [
        "p.npy y.npy -l bce",
        "logits.npy y.npy -l bce --from-logits",
        "classes.npy index.npy -l scce",
        "class_logits.npy index.npy -l scce --from-logits",
        "log_classes.npy index.npy -l nll",
        "logits.npy signs.npy -l hinge",
        "classes.npy onehot.npy -l cce",
        "y.npy y.npy -l brier",
    ],
)
def test_what_is_as_it_should_be_is_not_suspected(line: str) -> None:
    outcome = call("eval", *line.split(), "-b")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_table_without_a_header(separator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "t.csv" if separator == "," else "t.tsv"
    Path(name).write_text(f"0.5{separator}1\n0.25{separator}0\n")
    message = refused(DATA, "eval", name, "--pred-col", "p", "--target-col", "y", "-l", "bce")
    assert f"{name}: header required: first row looks like data" in message
