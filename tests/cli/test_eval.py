"""`lossctl eval`: the worked examples, what is accepted, weights, and what the environment says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.cli.commands import SAMPLES, Outcome, call, document, refused, saved, score, scores, write_csv

# ---- worked examples


@pytest.mark.parametrize(
    ("label", "probability", "nats", "bits"), [(1, 0.8, "0.2231", "0.3219"), (0, 0.1, "0.1054", "0.1520")]
)
def test_binary_cross_entropy_of_one_prediction(
    here: Path, label: int, probability: float, nats: str, bits: str
) -> None:
    saved(here, p=[probability], y=[label])
    assert f"{score('p.npy', 'y.npy', '-l', 'bce'):.4f}" == nats
    assert f"{score('p.npy', 'y.npy', '-l', 'bce:log_base=2'):.4f}" == bits
    assert scores("p.npy", "y.npy", "-l", "bce", "--log-base", "2") == scores("p.npy", "y.npy", "-l", "bce:log_base=2")


def test_the_mean_of_three_predictions_is_the_mean_of_their_losses(here: Path) -> None:
    saved(here, p=[0.8, 0.8, 0.1], y=[1, 1, 0])
    expected = -(2 * math.log(0.8) + math.log(0.9)) / 3
    assert score("p.npy", "y.npy", "-l", "bce") == pytest.approx(expected, rel=1e-15)
    assert score("p.npy", "y.npy", "-l", "bce", "--log-base", "2") == pytest.approx(expected / math.log(2), rel=1e-15)
    assert score("p.npy", "y.npy", "-l", "bce", "--reduction", "sum") == pytest.approx(3 * expected, rel=1e-15)


def test_categorical_cross_entropy_of_a_row_and_of_its_class_index(here: Path) -> None:
    saved(here, p=[[0.7, 0.2, 0.1]], onehot=[[1, 0, 0]], index=[0])
    for base, shown in (("e", "0.3567"), ("2", "0.5146")):
        dense = scores("p.npy", "onehot.npy", "-l", "cce", "--log-base", base)
        assert f"{float(dense[0]):.4f}" == shown
        assert scores("p.npy", "index.npy", "-l", "scce", "--log-base", base) == dense


def test_squared_error_of_2_89_against_3_07(here: Path) -> None:
    saved(here, p=[2.89], y=[3.07])
    assert score("p.npy", "y.npy", "-l", "mse") == pytest.approx(0.0324, rel=1e-14)
    assert score("p.npy", "y.npy", "-l", "half_mse") == pytest.approx(0.0162, rel=1e-14)
    call("grad", "p.npy", "y.npy", "-l", "half_mse", "--reduction", "sum", "-o", "g.npy")
    assert np.load("g.npy") == pytest.approx([2.89 - 3.07], rel=1e-15)


def test_both_readings_of_cosine_proximity(here: Path) -> None:
    a, b = np.array([[1.0, 2.0], [3.0, -4.0]]), np.array([[2.0, 1.0], [3.0, 4.0]])
    saved(here, a=a, b=b)
    by_row = [math.fsum(x * y) / math.hypot(*x) / math.hypot(*y) for x, y in zip(a, b, strict=True)]
    whole = math.fsum((a * b).ravel()) / math.hypot(*a.ravel()) / math.hypot(*b.ravel())
    assert score("a.npy", "b.npy", "-l", "cosine_similarity") == pytest.approx(-math.fsum(by_row) / 2, rel=1e-14)
    assert score("a.npy", "b.npy", "-l", "cosine_proximity:sign=1") == pytest.approx(math.fsum(by_row) / 2, rel=1e-14)
    assert score("a.npy", "b.npy", "-l", "cosine_distance") == pytest.approx(1 - math.fsum(by_row) / 2, rel=1e-14)
    assert score("a.npy", "b.npy", "-l", "cosine_global") == pytest.approx(-whole, rel=1e-14)


@pytest.mark.parametrize(
    ("folder", "targets", "loss"),
    [("binary", "labels", "bce"), ("multiclass", "labels", "scce"), ("multiclass", "onehot", "cce")],
)
def test_logits_have_the_loss_of_their_probabilities(folder: str, targets: str, loss: str) -> None:
    target = SAMPLES / folder / f"{targets}.npy"
    from_probabilities = score(SAMPLES / folder / "preds.npy", target, "-l", loss)
    from_logits = score(SAMPLES / folder / "logits.npy", target, "-l", loss, "--from-logits")
    assert from_logits == pytest.approx(from_probabilities, rel=1e-5)  # the files hold float32
    assert scores(SAMPLES / folder / "logits.npy", target, "-l", f"{loss}:input=logit") == [repr(from_logits)]


def test_names_of_other_frameworks_mean_the_loss_that_fits_the_shapes(here: Path) -> None:
    saved(here, p=[0.8, 0.1], y=[1, 0], rows=[[0.7, 0.3], [0.4, 0.6]], onehot=[[1, 0], [0, 1]], index=[0, 1])
    assert scores("p.npy", "y.npy", "-l", "log_loss") == scores("p.npy", "y.npy", "-l", "bce")
    assert scores("rows.npy", "onehot.npy", "-l", "log_loss") == scores("rows.npy", "onehot.npy", "-l", "cce")
    assert scores("rows.npy", "index.npy", "-l", "log_loss") == scores("rows.npy", "index.npy", "-l", "scce")
    logits = scores("rows.npy", "index.npy", "-l", "scce:input=logit")
    assert scores("rows.npy", "index.npy", "-l", "CrossEntropyLoss") == logits


# ---- what is accepted


@pytest.mark.usefixtures("files")
def test_a_column_of_one_value_is_a_vector() -> None:
    flat = scores("p.npy", "y.npy", "-l", "bce", "-l", "rmse")
    assert scores("column.npy", "y.npy", "-l", "bce", "-l", "rmse") == flat
    assert scores("p.npy", "column.npy", "-l", "mse") == ["0.0"]


@pytest.mark.usefixtures("files")
def test_whole_floats_are_class_indices() -> None:
    expected = scores("classes.npy", "index.npy", "-l", "scce")
    assert scores("classes.npy", "index_whole.npy", "-l", "scce") == expected


@pytest.mark.usefixtures("files")
def test_an_ignored_class_leaves_sum_and_denominator() -> None:
    expected = -(math.log(0.7) + math.log(0.6)) / 2
    for spec in (["scce:ignore_index=-1"], ["scce", "--ignore-index", "-1"]):
        assert score("classes.npy", "index_minus_1.npy", "-l", *spec) == pytest.approx(expected, rel=1e-15)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("empty", "value", "status"), [("nan", None, "nan"), ("zero", 0.0, "ok")])
def test_a_mean_of_nothing(empty: str, value: float | None, status: str) -> None:
    found = document("classes.npy", "index_zeros.npy", "-l", f"scce:ignore_index=0,empty={empty}")
    (result,) = found["results"]
    assert (result["value"], result["status"], result["samples"], result["weight"]) == (value, status, 0, 0.0)
    assert "nothing is left to average" in found["warnings"][0]


@pytest.mark.usefixtures("files")
def test_an_impossible_event_has_an_infinite_loss() -> None:
    found = document("impossible.npy", "y.npy", "-l", "bce")
    (result,) = found["results"]
    assert found["status"] == "nonfinite"
    assert (result["value"], result["sum"], result["status"], result["nonfinite"]) == (None, None, "inf", 1)
    assert scores("impossible.npy", "y.npy", "-l", "bce") == ["inf"]
    clipped = document("impossible.npy", "y.npy", "-l", "bce:eps=1e-7")["results"][0]
    assert (clipped["status"], clipped["clipped"]) == ("ok", 1)


@pytest.mark.usefixtures("files")
def test_a_sample_of_weight_0_is_absent_whatever_its_loss(here: Path) -> None:
    saved(here, p=[0.0, 0.5], y=[1, 1], w=[0.0, 2.0])
    for backend in ("python", "cpu"):
        found = document("p.npy", "y.npy", "-l", "bce", "--weights", "w.npy", "--backend", backend, "--grad", "g.npy")
        assert found["results"][0]["value"] == pytest.approx(math.log(2), rel=1e-15)
        assert np.load("g.npy").tolist() == [0.0, -2.0]


@pytest.mark.usefixtures("files")
def test_logits_that_look_like_probabilities_are_warned_of() -> None:
    outcome = call("eval", "p.npy", "y.npy", "-l", "bce", "--from-logits")
    assert outcome.code == 0
    assert outcome.err.startswith("lossctl: warning: p.npy: the logits of bce all look like probabilities")
    assert outcome.err.count("\n") == 1
    assert call("eval", "p.npy", "y.npy", "-l", "bce", "--from-logits", "--quiet") == Outcome(0, outcome.out, "")


# ---- weights


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_weights_come_from_a_file_or_a_column(here: Path, backend: str) -> None:
    p, y, w = np.array([0.8, 0.7, 0.1]), np.array([1, 1, 0]), np.array([1.0, 0.25, 3.0])
    saved(here, p=p, y=y, w=w)
    write_csv(here / "all.csv", {"p": p, "y": y, "w": w})
    both: dict[str, Any] = {"w": w, "other": w + 1}
    parquet.write_table(pa.table(both), here / "w.parquet")
    losses = [-math.log(0.8), -math.log(0.7), -math.log1p(-0.1)]
    expected = math.fsum(w * losses) / math.fsum(w)
    from_file = scores("p.npy", "y.npy", "-l", "bce", "--weights", "w.npy", "--backend", backend)
    assert float(from_file[0]) == pytest.approx(expected, rel=1e-15)
    table = ("all.csv", "--pred-col", "p", "--target-col", "y", "-l", "bce", "--backend", backend)
    assert scores(*table, "--weight-col", "w") == from_file
    assert scores(*table, "--weights", "w.npy") == from_file
    assert scores(*table, "--weights", "w.parquet", "--weight-col", "w") == from_file


def test_denominators_of_a_weighted_mean(here: Path) -> None:
    saved(here, p=[1.0, 3.0, 2.0], y=[0.0, 1.0, 2.0], w=[1.0, 2.0, 5.0])
    for denominator, divisor in (("weight", 8.0), ("count", 3.0), ("nonzero", 2.0)):
        for backend in ("python", "cpu"):
            arguments = ("p.npy", "y.npy", "-l", "mse", "--weights", "w.npy", "--denom", denominator)
            assert score(*arguments, "--backend", backend) == 9.0 / divisor


def test_class_weights_come_from_a_file_or_the_spec(here: Path) -> None:
    saved(here, p=[[0.7, 0.3], [0.4, 0.6]], y=[0, 1], w=[1.0, 3.0])
    expected = (-math.log(0.7) - 3 * math.log(0.6)) / 4
    from_file = scores("p.npy", "y.npy", "-l", "scce", "--class-weights", "w.npy")
    assert float(from_file[0]) == pytest.approx(expected, rel=1e-15)
    assert scores("p.npy", "y.npy", "-l", "scce:class_weight=1|3") == from_file


# ---- defaults


@pytest.mark.usefixtures("files")
def test_a_forced_gpu_that_is_not_there_is_the_machines_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lossctl.backends.find_spec", lambda name: None)
    message = refused(4, "eval", "p.npy", "y.npy", "-l", "mse", "--backend", "cuda")
    assert "pip install 'lossctl[cuda]'" in message


@pytest.mark.usefixtures("files")
def test_environment_variables_are_defaults_and_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSCTL_REDUCTION", "sum")
    monkeypatch.setenv("LOSSCTL_LOG_BASE", "2")
    in_bits = scores("p.npy", "y.npy", "-l", "bce:log_base=2", "--reduction", "sum", "--log-base", "2")
    assert scores("p.npy", "y.npy", "-l", "bce") == in_bits
    monkeypatch.delenv("LOSSCTL_LOG_BASE")
    monkeypatch.delenv("LOSSCTL_REDUCTION")
    plain = scores("p.npy", "y.npy", "-l", "bce")
    monkeypatch.setenv("LOSSCTL_REDUCTION", "sum")
    assert scores("p.npy", "y.npy", "-l", "bce", "--reduction", "mean") == plain
