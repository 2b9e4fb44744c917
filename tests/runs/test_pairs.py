"""Losses of all pairs: gathered in parts, asked for once, the same from any source; what does not fit is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import EnvironmentFault, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.rows.feed import Feed
from lossctl.runs.pairs import FIRST_ROWS, Gathered
from lossctl.sources import memory_reader
from tests.cli.commands import refused, scores, write_csv

SPEC = "circle:gamma=6,margin=0.25"


@pytest.fixture(scope="module")
def data() -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Unit vectors, their labels, and weights; the last two labels have no positive."""
    rng = np.random.default_rng(21)
    vectors = rng.normal(0, 1, (60, 5))
    labels = rng.integers(0, 6, 60)
    labels[-2:] = 100, 101
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), labels, rng.uniform(0, 2, 60)


def circle_losses(vectors: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """As it is defined, pair by pair; NaN for anchors without a positive or without a negative."""
    found = []
    for i, anchor in enumerate(vectors):
        distance = 1 - vectors @ anchor
        alike = labels == labels[i]
        others = np.arange(len(labels)) != i
        d, e = distance[alike & others], distance[~alike]
        positives = np.exp(6.0 * (d + 0.25) * (d - 0.25)).sum()
        negatives = np.exp(6.0 * np.maximum(1.25 - e, 0) * (0.75 - e)).sum()
        found.append(math.log1p(positives * negatives) if d.size and e.size else math.nan)
    return np.array(found)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_the_mean_is_over_the_anchors_that_have_pairs(data: Any, backend: str) -> None:
    vectors, labels, weights = data
    losses = circle_losses(vectors, labels)
    has = ~np.isnan(losses)
    assert has.sum() == 58
    result = lossctl.evaluate(vectors, labels, SPEC, backend=backend)
    assert result.value == pytest.approx(losses[has].mean(), rel=1e-12)
    assert (result.weight, result.samples) == (58.0, 60)
    weighted = lossctl.evaluate(vectors, labels, SPEC, weights=weights, backend=backend)
    assert weighted.value == pytest.approx(np.average(losses[has], weights=weights[has]), rel=1e-12)
    assert weighted.weight == pytest.approx(weights[has].sum(), rel=1e-14)
    total = lossctl.evaluate(vectors, labels, SPEC, reduction="sum", backend=backend)
    assert total.value == pytest.approx(losses[has].sum(), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_the_value(data: Any, weighted: bool) -> None:
    vectors, labels, weights = data
    given = {"weights": weights} if weighted else {}
    gradient = lossctl.gradient(vectors, labels, SPEC, **given)
    assert gradient.shape == vectors.shape
    step = 1e-6
    for row, column in ((0, 0), (7, 3), (59, 1)):
        moved = [vectors.copy(), vectors.copy()]
        moved[0][row, column] += step
        moved[1][row, column] -= step
        up, down = (lossctl.evaluate(each, labels, SPEC, **given).value for each in moved)
        assert gradient[row, column] == pytest.approx((up - down) / (2 * step), rel=1e-6, abs=1e-9)


def test_a_row_of_weight_0_is_still_a_partner_of_others(data: Any) -> None:
    vectors, labels, _ = data
    weights = np.ones(60)
    weights[3] = 0.0
    assert np.abs(lossctl.gradient(vectors, labels, SPEC, weights=weights)[3]).max() > 0.0


def many(rows: int, width: int = 2) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors, few of them different, and labels."""
    angles = np.linspace(0, 3, 7)[np.arange(rows) % 7]
    vectors = np.zeros((rows, width), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    return vectors, np.arange(rows) % 3


def test_the_bits_do_not_depend_on_chunks(tmp_path: Path) -> None:
    vectors, labels = many(20, 1 << 16)  # a block has 16 rows
    np.save(tmp_path / "v.npy", vectors)
    np.save(tmp_path / "y.npy", labels)
    given = (tmp_path / "v.npy", tmp_path / "y.npy", "-l", SPEC, "--backend", "cpu")
    found = []
    for chunk in ("1", "1000"):
        value = scores(*given, "--chunk-rows", chunk, "--grad", tmp_path / "g.npy")
        found.append((value, (tmp_path / "g.npy").read_bytes()))
    assert found[0] == found[1]
    gradient = np.load(tmp_path / "g.npy")
    assert gradient.dtype == np.float32
    assert np.array_equal(gradient, lossctl.gradient(vectors, labels, SPEC, backend="cpu"))


def test_the_rows_may_come_from_a_table(tmp_path: Path) -> None:
    vectors, labels = many(70)
    wide = vectors.astype(np.float64)
    table = write_csv(tmp_path / "t.csv", {"a": wide[:, 0], "b": wide[:, 1], "y": labels})
    found = scores(table, "--pred-col", "a,b", "--target-col", "y", "-l", SPEC)
    assert found == [repr(lossctl.evaluate(vectors, labels, SPEC).value)]


def test_gradients_can_be_asked_for_again(data: Any) -> None:
    vectors, labels, _ = data
    feed = Feed([memory_reader({"prediction": vectors}), memory_reader({"target": labels})])
    evaluation = Evaluation(feed, Request([parse(SPEC)], gradients=("prediction",)))
    evaluation.run()
    found: list[list[Any]] = [[], []]
    for parts in found:
        evaluation.gradients({"prediction": parts.append})
    assert np.array_equal(np.concatenate(found[0]), np.concatenate(found[1]))


def test_a_reference_set_stands_in_for_the_rows_themselves(data: Any) -> None:
    vectors, labels, _ = data
    same: dict[str, Any] = {"inputs": {"reference": vectors, "reference_labels": labels}}
    assert lossctl.evaluate(vectors, labels, SPEC, **same).value == lossctl.evaluate(vectors, labels, SPEC).value
    some: dict[str, Any] = {"inputs": {"reference": vectors[:25].astype(np.float32), "reference_labels": labels[:25]}}
    found = lossctl.evaluate(vectors[30:], labels[30:], f"{SPEC},remove_diagonal=false", **some)
    distance = 1 - vectors[30:] @ vectors[:25].astype(np.float32).astype(np.float64).T
    alike = labels[30:, None] == labels[None, :25]
    positives = np.where(alike, np.exp(6 * (distance + 0.25) * (distance - 0.25)), 0).sum(axis=1)
    weight = np.maximum(1.25 - distance, 0)
    negatives = np.where(alike, 0, np.exp(6 * weight * (0.75 - distance))).sum(axis=1)
    has = alike.any(axis=1) & ~alike.all(axis=1)
    assert found.value == pytest.approx(np.log1p(positives * negatives)[has].mean(), rel=1e-12)


def test_what_does_not_fit_in_memory_is_refused_with_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, labels = many(5000)
    monkeypatch.setattr("lossctl.runs.pairs.available_bytes", lambda: 100_000)
    says = r"circle takes all rows at once, and 5000 rows need (\d+) bytes .* 100000 \(97.7 KiB\) are available"
    with pytest.raises(EnvironmentFault, match=says):
        lossctl.evaluate(vectors, labels, SPEC)
    wide = vectors.astype(np.float64)
    table = write_csv(tmp_path / "t.csv", {"a": wide[:, 0], "b": wide[:, 1], "y": labels})
    message = refused(4, "eval", table, "--pred-col", "a,b", "--target-col", "y", "-l", SPEC)
    assert "circle takes all rows at once, and " in message
    monkeypatch.setattr("lossctl.runs.pairs.available_bytes", lambda: None)
    assert lossctl.evaluate(vectors[:30], labels[:30], SPEC).samples == 30


def test_pairs_have_no_losses_of_single_rows(data: Any) -> None:
    with pytest.raises(UsageError, match="circle is of all pairs of rows: it has no per-sample losses"):
        lossctl.per_sample(data[0], data[1], SPEC)


# ---- gathering


@pytest.mark.parametrize("rows", [None, 10, 9000])
def test_parts_become_one_array(rows: int | None) -> None:
    rng = np.random.default_rng(2)
    whole = rng.normal(0, 1, (3 * FIRST_ROWS + 5, 2))
    gathered = Gathered(rows)
    for start in range(0, len(whole), 1000):
        gathered.add(whole[start : start + 1000])
    assert gathered.rows == len(whole)
    assert np.array_equal(gathered.array, whole)
    assert gathered.array.flags.c_contiguous


def test_a_part_of_more_digits_widens_what_is_there() -> None:
    gathered = Gathered(4)
    gathered.add(np.array([0.1, 0.2], np.float32))
    gathered.add(np.array([0.1, 0.2]))
    assert gathered.array.tolist() == [float(np.float32(0.1)), float(np.float32(0.2)), 0.1, 0.2]
