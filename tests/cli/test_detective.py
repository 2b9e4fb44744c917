"""Data that were meant otherwise: the line on stderr says what they look like, and which option says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.commands import call, refused, saved

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
        "index_from_below": index - 1,
        "nearly": index + 1e-7 * (index == 1),
        "ids": np.arange(12) + 1000,
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
    ("classes.npy index_from_below.npy -l scce", "index_from_below.npy", "if the labels count from -1: add 1"),
    ("ids.npy y.npy -l bce", "ids.npy", "they are whole numbers, such as ids: name the predictions"),
    ("classes.npy nearly.npy -l scce", "nearly.npy", "1.0000001 is not a class index"),
    ("index.npy classes.npy -l scce", "index.npy", "are the files swapped? the predictions come first"),
    ("index.npy classes.npy -l cce", "index.npy", "are the files swapped? the predictions come first"),
]


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(("line", "file", "remedy"), REFUSED, ids=lambda part: str(part)[:60])
def test_a_refusal_says_what_the_data_look_like(line: str, file: str, remedy: str) -> None:
    message = refused(DATA, "eval", *line.split())
    assert file in message
    assert remedy in message


RANDOM = np.random.default_rng(4)
SURE = RANDOM.dirichlet([0.1, 0.1, 0.1, 0.1], 400).clip(1e-9)
LABELS = np.array([RANDOM.choice(4, p=row) for row in SURE])
SIGNS = RANDOM.random(400) < SURE[:, 0]
ORDERS = [
    ({"p": SURE, "y": (LABELS + 1) % 4}, "scce", "most rows of class 0 have their largest value in column 3"),
    ({"p": SURE[:, ::-1], "y": np.eye(4)[LABELS]}, "cce", "most rows of class 0 have their largest value in column 3"),
    ({"p": np.log(SURE[:, [1, 0, 3, 2]] + 1e-9), "y": LABELS}, "scce:input=logit", "largest value in column 1"),
    ({"p": 1 - SURE[:, 0], "y": SIGNS}, "bce", "high where the targets are 0, and low where they are 1"),
    ({"p": 5 - 10 * SURE[:, 0], "y": SIGNS[:, None]}, "bce:input=logit", "high where the targets are 0"),
    ({"p": 1 / (1 + np.exp(-SURE[:, 0])), "y": SIGNS}, "bce", "all from 0.5 to 0.731, as if sigmoid had been taken"),
    ({"p": np.exp(SURE) / np.exp(SURE).sum(1, keepdims=True), "y": LABELS}, "scce", "softmax had been taken of prob"),
]


@pytest.mark.parametrize(("arrays", "loss", "says"), ORDERS, ids=[f"{loss} {says[-20:]}" for _, loss, says in ORDERS])
def test_what_is_surely_wrong_is_suspected(arrays: dict[str, np.ndarray], loss: str, says: str, here: Path) -> None:
    saved(here, **arrays)
    outcome = call("eval", "p.npy", "y.npy", "-l", loss, "-b")
    assert outcome.code == 0
    assert outcome.err.startswith("lossctl: warning: p.npy: the ")
    assert outcome.err.count("\n") == 1
    assert says in outcome.err


@pytest.mark.parametrize("spread", [0.0, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("rows", [1, 30, 3000])
def test_bad_models_are_not_suspected(rows: int, spread: float, here: Path) -> None:
    random = np.random.default_rng(rows)
    logits, odds = random.normal(0, spread, (rows, 3)), random.normal(0.5, spread, rows)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    saved(here, p=shares, q=1 / (1 + np.exp(-odds)), y=random.integers(0, 3, rows), t=random.random(rows) < 0.6)
    for line in ("p.npy y.npy -l scce", "q.npy t.npy -l bce"):
        outcome = call("eval", *line.split(), "-b")
        assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ("p_0,p_1,p_10,p_2,p_3,p_4,p_5,p_6,p_7,p_8,p_9", "p_0, p_1, p_10, p_2, … are not in the order of"),
        ("p_2,p_1,p_3", "with --pred-col p_1,p_2,p_3"),
        ("p_0,p_1,p_2", ""),
        ("p_7,p_5,p_6", ""),
        ("p_cat,p_dog,p_eel", ""),
    ],
)
def test_numbered_columns_in_another_order(columns: str, says: str, here: Path) -> None:
    width = columns.count(",") + 1
    (here / "p.csv").write_text(f"{columns}\n" + f"{','.join([repr(1 / width)] * width)}\n" * 3)
    (here / "t.csv").write_text(f"{columns.replace('p_', 't_')}\n" + f"1{',0' * (width - 1)}\n" * 3)
    saved(here, y=np.zeros(3, np.int64), t=np.eye(width)[[0, 0, 0]])
    for targets in ("y.npy -l scce", "t.npy -l cce"):
        outcome = call("eval", "p.csv", "--pred-col", "p_*", *targets.split(), "-b")
        assert outcome.code == 0
        assert (says in outcome.err) if says else outcome.err == ""
    outcome = call("eval", "t.npy", "t.csv", "--target-col", "t_*", "-l", "mse", "-b")
    assert outcome.err.startswith("lossctl: warning: t.csv: the target columns t_") if says else outcome.err == ""
    both = call("eval", "p.csv", "t.csv", "--pred-col", "p_*", "--target-col", "t_*", "-l", "cce", "-b")
    assert (both.code, both.err) == (0, "")


@pytest.mark.parametrize(
    ("p", "y", "loss", "says"),
    [
        ([0.5, 1.0, 0.2, 1.0], [1, 0, 0, 0], "bce", "give logits with --from-logits, or keep probabilities from 0"),
        ([[0.5, 0.5], [1, 0], [1, 0]], [0, 1, 1], "scce", "keep probabilities from 0 with scce:eps=1e-7"),
        ([[-0.5, -1], [0, -np.inf], [0, -np.inf]], [0, 1, 1], "nll", "the prediction rules out the target\n"),
    ],
)
def test_an_infinite_loss_says_where_it_is(p: list[Any], y: list[int], loss: str, says: str, here: Path) -> None:
    saved(here, p=np.array(p, np.float32), y=y, w=[1] + [0] * (len(y) - 1))
    outcome = call("eval", "p.npy", "y.npy", "-l", loss, "-b")
    assert (outcome.code, outcome.out) == (0, "inf\n")
    assert outcome.err.startswith("lossctl: warning: p.npy, row 1: the loss is infinite here and of 1 more rows: ")
    assert says in outcome.err
    unweighted = call("eval", "p.npy", "y.npy", "-l", loss, "--weights", "w.npy", "-b")
    assert (unweighted.code, unweighted.err) == (0, "")


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
    first, *others = outcome.err.splitlines()
    assert first.startswith(f"lossctl: warning: {says}")
    assert all(": the loss is infinite here" in other for other in others)  # as it is where 0 and 1 are predictions


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
