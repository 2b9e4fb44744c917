"""Statistics of the samples against NumPy's, on every road that losses come from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.results import LossResult, Statistics
from lossctl.rows.feed import Feed
from lossctl.sample_statistics import SampleStatistics, confidence_level
from lossctl.sources import memory_reader
from lossctl.student import student_quantile
from lossctl_kernels import order_statistics

Floats = NDArray[np.float64]
RANDOM = np.random.default_rng(11)
ROWS = 9001
PREDICTION, TARGET = RANDOM.normal(size=(2, ROWS))
WEIGHTS = RANDOM.uniform(0.0, 3.0, ROWS)
WEIGHTS[::9] = 0.0
CLASSES = RANDOM.dirichlet(np.ones(4), ROWS)
LABELS = RANDOM.integers(0, 4, ROWS)


def feed(**arrays: Any) -> Feed:
    return Feed([memory_reader({role: array}) for role, array in arrays.items()])


def results(
    prediction: Any, target: Any, *specs: str, weights: Any = None, confidence: float | None = 0.95, **more: Any
) -> list[LossResult]:
    arrays = {"prediction": prediction, "target": target}
    if weights is not None:
        arrays["weights"] = weights
    evaluation = Evaluation(feed(**arrays), Request([parse(spec) for spec in specs], **more))
    evaluation.observe(confidence)
    return list(evaluation.run().results)


def statistics(*arguments: Any, **more: Any) -> Statistics:
    found = results(*arguments, **more)[0].stats
    assert found is not None
    return found


def test_they_are_those_of_numpy() -> None:
    losses = (PREDICTION - TARGET) ** 2
    found = statistics(PREDICTION, TARGET, "mse")
    assert found.std_error == pytest.approx(losses.std(ddof=1) / math.sqrt(ROWS), rel=1e-13)
    assert (found.min, found.max, found.argmax) == (losses.min(), losses.max(), losses.argmax())
    assert [found.p50, found.p90, found.p95, found.p99] == np.quantile(losses, [0.5, 0.9, 0.95, 0.99]).tolist()
    half = student_quantile(0.975, ROWS - 1) * found.std_error
    assert found.confidence == 0.95
    assert (found.ci_low, found.ci_high) == (losses_mean() - half, losses_mean() + half)


def losses_mean() -> float:
    return float(lossctl.evaluate(PREDICTION, TARGET, "mse").value)


def test_there_is_no_interval_unless_asked_for() -> None:
    found = statistics(PREDICTION, TARGET, "mse", confidence=None)
    assert (found.confidence, found.ci_low, found.ci_high) == (None, None, None)
    assert "ci_low" not in found.to_document()


def ratio_error(a: Floats, b: Floats, counted: NDArray[np.bool_]) -> float:
    """The standard error of sum(a) / sum(b), as it is written in the books."""
    a, b, n = a[counted], b[counted], int(counted.sum())
    squares = math.fsum((a - a.sum() / b.sum() * b) ** 2)
    return math.sqrt(squares * n / (n - 1)) / math.fsum(b)


EVERY: NDArray[np.bool_] = np.ones(ROWS, np.bool_)
ONES: Floats = np.ones(ROWS)
DENOMS: dict[str, tuple[str, Callable[[Floats], tuple[Floats, Floats, NDArray[np.bool_]]]]] = {
    "weight": ("mae", lambda loss: (loss * WEIGHTS, WEIGHTS, WEIGHTS > 0.0)),
    "count": ("mae:denom=count", lambda loss: (loss * WEIGHTS, ONES, EVERY)),
    "nonzero": ("mae:denom=nonzero", lambda loss: (loss * WEIGHTS, np.where(loss > 0.0, 1.0, 0.0), EVERY)),
}


@pytest.mark.parametrize("denom", DENOMS)
def test_the_error_is_that_of_a_ratio(denom: str) -> None:
    spec, terms = DENOMS[denom]
    target = np.where(np.arange(ROWS) % 4, TARGET, PREDICTION)
    a, b, counted = terms(np.abs(PREDICTION - target))
    result = results(PREDICTION, target, spec, weights=WEIGHTS)[0]
    assert result.value == pytest.approx(a.sum() / b.sum(), rel=1e-13)
    assert result.stats is not None
    assert result.stats.std_error == pytest.approx(ratio_error(a, b, counted), rel=1e-10)


def test_the_error_of_a_sum_is_that_of_its_terms() -> None:
    terms = (PREDICTION - TARGET) ** 2 * WEIGHTS
    found = statistics(PREDICTION, TARGET, "mse", weights=WEIGHTS, reduction="sum")
    assert found.std_error == pytest.approx(math.sqrt(ROWS - 1001) * terms[WEIGHTS > 0].std(ddof=1), rel=1e-12)


def test_class_weights_and_ignored_classes() -> None:
    losses = -np.log(CLASSES[np.arange(ROWS), LABELS])
    by_class = np.array([1.0, 2.0, 0.5, 3.0])[LABELS]
    kept = LABELS != 1
    found = statistics(CLASSES, LABELS, "scce:ignore_index=1", weights=WEIGHTS)
    present = kept & (WEIGHTS > 0.0)
    assert found.max == pytest.approx(losses[present].max(), rel=1e-14)
    assert found.argmax == np.flatnonzero(present)[losses[present].argmax()]
    assert found.p95 == pytest.approx(np.quantile(losses[present], 0.95), rel=1e-14)
    assert found.std_error == pytest.approx(ratio_error(losses * WEIGHTS, WEIGHTS, present), rel=1e-11)
    weighted = Request([parse("scce")], {"class_weight": (1.0, 2.0, 0.5, 3.0)})
    evaluation = Evaluation(feed(prediction=CLASSES, target=LABELS), weighted)
    evaluation.observe()
    stats = evaluation.run().results[0].stats
    assert stats is not None
    assert stats.std_error == pytest.approx(ratio_error(losses * by_class, by_class, EVERY), rel=1e-11)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_neither_chunks_nor_backends_nor_passes_change_a_bit(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = statistics(PREDICTION, TARGET, "huber:delta=0.5", weights=WEIGHTS, backend=backend)
    monkeypatch.setattr(order_statistics, "MOST_KEPT", 100)
    found = results(PREDICTION, TARGET, "huber:delta=0.5", "mse", weights=WEIGHTS, backend=backend, chunk_rows=1)
    assert found[0].stats == expected
    plain = lossctl.evaluate(PREDICTION, TARGET, "huber:delta=0.5", weights=WEIGHTS, backend=backend)
    assert found[0].value == plain.value
    assert found[1].stats == statistics(PREDICTION, TARGET, "mse", weights=WEIGHTS, backend=backend)


MASKS = RANDOM.dirichlet(np.ones(3), (200, 4)).transpose(0, 2, 1)
ONE_HOT = np.eye(3)[RANDOM.integers(0, 3, (200, 4))].transpose(0, 2, 1)
ROADS: dict[str, tuple[str, Any, Any]] = {
    "values": ("bce", RANDOM.uniform(0.01, 0.99, 500), RANDOM.integers(0, 2, 500)),
    "rows of values": ("mse", RANDOM.normal(size=(500, 3)), RANDOM.normal(size=(500, 3))),
    "rows": ("scce", CLASSES[:500], LABELS[:500]),
    "directions": ("cosine_similarity", RANDOM.normal(size=(500, 3)), RANDOM.normal(size=(500, 3))),
    "row functions": ("sparsemax", RANDOM.normal(size=(500, 4)), LABELS[:500]),
    "masks": ("dice:scope=sample-class", MASKS, ONE_HOT),
}


@pytest.mark.parametrize("road", ROADS)
def test_they_are_of_the_losses_that_are_written_by_sample(road: str) -> None:
    spec, prediction, target = ROADS[road]
    losses = lossctl.per_sample(prediction, target, spec)
    found = statistics(prediction, target, spec)
    assert (found.min, found.max, found.argmax) == (losses.min(), losses.max(), int(losses.argmax()))
    assert found.p99 == np.quantile(losses, 0.99)
    assert found.std_error == pytest.approx(losses.std(ddof=1) / math.sqrt(losses.size), rel=1e-11)


def test_a_large_mean_hides_no_spread() -> None:
    target = 1e8 + PREDICTION
    losses = np.abs(target)
    found = statistics(np.zeros(ROWS), target, "mae")
    assert found.std_error == pytest.approx(float(np.std(losses, ddof=1)) / math.sqrt(ROWS), rel=1e-6)


def test_skipped_rows_are_no_samples_and_rows_are_those_of_the_file() -> None:
    holed = PREDICTION.copy()
    holed[:5000:3] = np.nan
    kept = ~np.isnan(holed)
    losses = (PREDICTION - TARGET) ** 2
    found = statistics(holed, TARGET, "mse", nonfinite="skip")
    assert found.argmax == np.flatnonzero(kept)[losses[kept].argmax()]
    assert found.p90 == np.quantile(losses[kept], 0.9)
    assert found.std_error == pytest.approx(losses[kept].std(ddof=1) / math.sqrt(kept.sum()), rel=1e-12)


def test_a_propagated_nan_is_told() -> None:
    holed = PREDICTION.copy()
    holed[7] = np.nan
    found = statistics(holed, TARGET, "mse", nonfinite="propagate")
    assert all(math.isnan(number) for number in (found.std_error, found.p50, found.max, found.ci_high or 0.0))
    assert found.argmax == 7
    absent = np.ones(ROWS)
    absent[7] = 0.0
    assert math.isfinite(statistics(holed, TARGET, "mse", nonfinite="propagate", weights=absent).p50)


def test_infinite_losses_have_quantiles_and_no_error() -> None:
    found = statistics(np.array([0.0, 0.5, 0.5, 0.5]), np.array([1, 1, 0, 1]), "bce")
    assert (found.max, found.argmax) == (math.inf, 0)
    assert found.p50 == pytest.approx(math.log(2))
    assert math.isnan(found.std_error)


def test_one_sample_has_no_error() -> None:
    found = statistics(np.array([1.0]), np.array([3.0]), "mse")
    assert (found.min, found.p95, found.argmax) == (4.0, 4.0, 0)
    assert math.isnan(found.std_error)
    assert found.to_document()["ci_low"] is None


def test_no_sample_has_no_statistics() -> None:
    (found,) = results(CLASSES[:3], np.zeros(3, int), "scce:ignore_index=0")
    assert math.isnan(found.value)
    assert found.stats is None


def test_losses_without_samples_are_named() -> None:
    evaluation = Evaluation(feed(prediction=PREDICTION, target=TARGET), Request([parse("rmse"), parse("mse")]))
    assert [run.settings.loss.name for run in evaluation.observe()] == ["rmse"]
    assert [result.stats is None for result in evaluation.run().results] == [True, False]


@pytest.mark.parametrize("rows", [1, 4095, 4096, 70_001, 200_000])
@pytest.mark.parametrize("odd", [1.0, math.inf, 1e200])
def test_to_say_that_all_rows_count_changes_no_bit(rows: int, odd: float) -> None:
    losses = RANDOM.exponential(size=rows)
    losses[rows // 2] = odd
    ones, every = np.ones(rows), np.ones(rows, np.bool_)
    given = [SampleStatistics(0.95) for _ in range(3)]
    given[0].add(losses)
    given[1].add(losses, None, ones, every, every)
    given[2].add(losses, ones, ones)
    for each in given:
        each.end_pass()
    with np.errstate(over="ignore"):
        first, second, third = (repr(each.result(float(losses.mean()), float(rows), "mean")) for each in given)
    assert first == second == third


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    inside = 0
    for _ in range(400):
        losses, weights = RANDOM.exponential(size=80), RANDOM.uniform(0.5, 1.5, 80)
        gathered = SampleStatistics(0.9)
        every = np.ones(80, np.bool_)
        gathered.add(losses, weights, weights, every, every)
        gathered.end_pass()
        found = gathered.result(float(losses @ weights / weights.sum()), float(weights.sum()), "mean")
        assert found is not None
        inside += (found.ci_low or 0.0) <= 1.0 <= (found.ci_high or 0.0)
    assert 0.85 < inside / 400 < 0.94


@pytest.mark.parametrize(("text", "level"), [("0.95", 0.95), ("95%", 0.95), (" 99.9 %", 0.999), (None, None)])
def test_levels(text: str | None, level: float | None) -> None:
    assert confidence_level(text) == pytest.approx(level)


@pytest.mark.parametrize("text", ["", "95", "1", "0", "-0.5", "nan", "x", "100%"])
def test_what_is_no_level(text: str) -> None:
    with pytest.raises(UsageError, match="is not between 0 and 1"):
        confidence_level(text)
