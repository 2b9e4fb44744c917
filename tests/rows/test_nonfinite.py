"""Rows that are not finite: skipped as if they were not there, or propagated, on every backend and chunk size alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.evaluation import Evaluation
from lossctl.requests import Request
from lossctl.results import RunResult
from lossctl.rows.feed import Feed
from lossctl.rows.nonfinite import SkippingFeed, Spread, odd_rows, undefined_rows
from lossctl.sources import memory_reader
from lossctl_kernels.domains import TargetKind

ROWS = 9001
BACKENDS = ["python", "cpu"]
Arrays = dict[str, NDArray[Any]]


def evaluated(arrays: Arrays, *specs: str, **options: Any) -> tuple[RunResult, NDArray[np.float64]]:
    parts: list[NDArray[np.float64]] = []
    feed = Feed([memory_reader({role: array}) for role, array in arrays.items()])
    wanted = options.pop("per_sample", True)
    run = Evaluation(feed, Request([parse(spec) for spec in specs], **options)).run(parts.append if wanted else None)
    return run, np.concatenate(parts) if parts else np.empty(0)


def gradient(arrays: Arrays, spec: str, **options: Any) -> NDArray[Any]:
    parts: list[NDArray[Any]] = []
    feed = Feed([memory_reader({role: array}) for role, array in arrays.items()])
    evaluation = Evaluation(feed, Request([parse(spec)], gradients=("prediction",), **options))
    evaluation.run()
    evaluation.gradients({"prediction": parts.append})
    return np.concatenate(parts)


def probabilities(classes: int = 1) -> NDArray[np.float64]:
    generator = np.random.default_rng(5)
    if classes == 1:
        return generator.uniform(0.01, 0.99, ROWS)
    rows = generator.uniform(0.1, 1.0, (ROWS, classes))
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def arrays_of(spec: str) -> Arrays:
    generator = np.random.default_rng(7)
    if spec.startswith(("cce", "scce")):
        labels = generator.integers(0, 3, ROWS)
        found: Arrays = {"prediction": probabilities(3), "target": labels.astype(np.float64)}
        if spec.startswith("cce"):
            found["target"] = np.eye(3)[labels]
    else:
        found = {"prediction": probabilities(), "target": generator.integers(0, 2, ROWS).astype(np.float64)}
    return found | {"weights": generator.uniform(0.5, 2.0, ROWS)}


def spoiled(arrays: Arrays) -> tuple[Arrays, NDArray[np.bool_]]:
    """The arrays with some rows that are not finite, in each of the arrays others, and which rows those are."""
    odd = np.zeros(ROWS, np.bool_)
    found = {}
    for number, (role, array) in enumerate(arrays.items()):
        rows = np.array([0, 4095, 4096, 8999, 17 + number, 5000 + number])[number:]
        found[role] = array.copy()
        found[role].reshape(ROWS, -1)[rows, 0] = [np.nan, np.inf, np.nan, -np.inf, np.nan, np.nan][number:]
        odd[rows] = True
    return found, odd


SPECS = ["bce", "mse", "rmse", "cce", "scce", "cosine_global", "median_ae", "dice:scope=all", "bce:denom=count"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", SPECS)
def test_skipped_rows_are_as_if_they_were_not_there(spec: str, backend: str) -> None:
    arrays = arrays_of(spec)
    if spec == "median_ae":
        del arrays["weights"]
    wrong, odd = spoiled(arrays)
    right = {role: array[~odd] for role, array in arrays.items()}
    (expected,) = evaluated(right, spec, backend=backend, per_sample=False)[0].results
    for chunk_rows in (None, 4096):
        run, _ = evaluated(wrong, spec, backend=backend, chunk_rows=chunk_rows, nonfinite="skip", per_sample=False)
        (found,) = run.results
        assert found.value == expected.value
        assert (found.sum, found.weight) == (expected.sum, expected.weight) or np.isnan(expected.sum)
        assert (found.samples, found.skipped, found.nonfinite) == (ROWS - odd.sum(), odd.sum(), 0)
        assert run.inputs[0].shape[0] == ROWS
        assert f"{odd.sum()} of {ROWS} rows are skipped" in run.warnings[0]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chunk_rows", [None, 4096])
def test_skipped_rows_have_no_loss_and_no_gradient(backend: str, chunk_rows: int | None) -> None:
    wrong, odd = spoiled(arrays_of("bce"))
    right = {role: array[~odd] for role, array in arrays_of("bce").items()}
    options: dict[str, Any] = {"backend": backend, "chunk_rows": chunk_rows, "nonfinite": "skip"}
    losses = evaluated(wrong, "bce", **options)[1]
    assert np.array_equal(np.isnan(losses), odd)
    assert np.array_equal(losses[~odd], evaluated(right, "bce", backend=backend)[1])
    slopes = gradient(wrong, "bce", **options)
    assert (slopes[odd] == 0.0).all()
    assert np.array_equal(slopes[~odd], gradient(right, "bce", backend=backend))


def test_of_several_losses_all_skip_the_rows_that_one_cannot_take() -> None:
    logits = np.array([1.0, -np.inf, 2.0, np.nan])
    arrays = {"prediction": logits, "target": np.array([1.0, 0.0, 1.0, 1.0])}
    alone = evaluated(arrays, "bce:input=logit", nonfinite="skip")[0].results[0]
    assert (alone.samples, alone.skipped) == (3, 1)  # minus infinity is a logit
    both = evaluated(arrays, "bce:input=logit", "mse", nonfinite="skip")[0].results
    assert [each.samples for each in both] == [2, 2]


def test_an_error_names_the_row_of_the_file() -> None:
    arrays = {"prediction": np.array([np.nan, 0.5, 0.5, 7.0]), "target": np.ones(4)}
    with pytest.raises(DataError, match="row 3"):
        evaluated(arrays, "bce", nonfinite="skip")
    arrays = {"prediction": np.full(3, 0.5), "target": np.ones(3), "weights": np.array([np.nan, 1.0, -1.0])}
    with pytest.raises(DataError, match="row 2"):
        evaluated(arrays, "bce", nonfinite="skip")


def test_nothing_is_left() -> None:
    arrays = {"prediction": np.full(3, np.nan), "target": np.ones(3)}
    with pytest.raises(DataError, match="none of the 3 rows is finite"):
        evaluated(arrays, "bce", nonfinite="skip")


@pytest.mark.parametrize("spec", ["bce", "mse", "scce", "rmse"])
def test_finite_data_has_the_same_bits_under_each_policy(spec: str) -> None:
    arrays = arrays_of(spec)
    values = {evaluated(arrays, spec, nonfinite=each, per_sample=False)[0].results[0].value for each in POLICIES}
    assert len(values) == 1


POLICIES = ("error", "propagate", "skip")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spec", SPECS)
def test_what_is_propagated_reaches_the_value(spec: str, backend: str) -> None:
    arrays = arrays_of(spec)
    wrong, odd = spoiled(arrays)
    run, _ = evaluated(wrong, spec, backend=backend, chunk_rows=4096, nonfinite="propagate", per_sample=False)
    (found,) = run.results
    assert np.isnan(found.value)
    assert found.status == "nan"
    assert found.nonfinite >= odd.sum() - 1
    assert found.samples == ROWS
    assert found.skipped == 0
    assert run.status == "nonfinite"


@pytest.mark.parametrize("backend", BACKENDS)
def test_losses_and_gradients_of_other_rows_stay_what_they_are(backend: str) -> None:
    arrays = arrays_of("mse")
    del arrays["weights"]
    wrong, odd = spoiled(arrays)
    losses = evaluated(wrong, "mse", backend=backend, nonfinite="propagate")[1]
    assert np.array_equal(losses[~odd], evaluated(arrays, "mse", backend=backend)[1][~odd])
    with np.errstate(invalid="ignore"):
        assert np.array_equal(losses[odd], (wrong["prediction"] - wrong["target"])[odd] ** 2, equal_nan=True)
    slopes = gradient(wrong, "mse", backend=backend, nonfinite="propagate")
    assert np.array_equal(slopes[~odd], gradient(arrays, "mse", backend=backend)[~odd])
    assert not np.isfinite(slopes[odd]).any()


@pytest.mark.parametrize(
    ("spec", "prediction", "target", "value"),
    [
        ("mse", [np.inf, 1.0], [0.0, 1.0], np.inf),
        ("mae", [-np.inf], [0.0], np.inf),
        ("mse", [np.nan, 1.0], [0.0, 1.0], np.nan),
        ("hinge", [np.inf, 0.5], [1.0, 1.0], 0.25),
        ("scce", [[0.5, 0.5], [0.5, 0.5]], [np.nan, 1.0], np.nan),
        ("rmse", [np.nan], [1.0], np.nan),
        ("sparsemax", [[np.nan, 1.0], [2.0, 1.0]], [0, 1], np.nan),
    ],
)
def test_arithmetic_decides(spec: str, prediction: Any, target: Any, value: float) -> None:
    for backend in BACKENDS:
        found = lossctl.evaluate(np.array(prediction), np.array(target), spec, nonfinite="propagate", backend=backend)
        assert np.array_equal(found.value, value, equal_nan=True)
        assert ("nonfinite", "propagate") in found.options.items()
        assert "|nonfinite=propagate|" in found.signature


def test_a_row_without_weight_is_absent_and_a_weight_that_is_not_finite_is_not() -> None:
    prediction, target = np.array([np.nan, 1.0]), np.array([0.0, 2.0])
    options: dict[str, Any] = {"nonfinite": "propagate"}
    assert lossctl.evaluate(prediction, target, "mse", weights=np.array([0.0, 1.0]), **options).value == 1.0
    found = lossctl.gradient(prediction, target, "mse", weights=np.array([0.0, 1.0]), **options)
    assert found.tolist() == [0.0, -2.0]
    clean = np.array([1.0, 1.0])
    assert np.isnan(lossctl.evaluate(clean, target, "mse", weights=np.array([np.inf, 1.0]), **options).value)
    assert np.isnan(lossctl.gradient(clean, target, "mse", weights=np.array([np.nan, 1.0]), **options)).all()


def test_propagated_rows_do_not_hide_what_is_wrong() -> None:
    with pytest.raises(DataError, match=r"row 1.*outside"):
        lossctl.evaluate(np.array([np.nan, 7.0]), np.ones(2), "bce", nonfinite="propagate")
    with pytest.raises(DataError, match="row 1"):
        lossctl.evaluate(np.full((2, 2), 0.5), np.array([np.nan, 5.0]), "scce", nonfinite="propagate")


def test_further_inputs() -> None:
    mean, y = np.array([2.5, 0.0, 2.0]), np.array([3.0, -0.5, 2.0])
    variance = np.array([0.5, np.nan, 0.25])
    kept = [0, 2]
    expected = lossctl.evaluate(mean[kept], y[kept], "gaussian_nll", inputs={"var": variance[kept]})
    found = lossctl.evaluate(mean, y, "gaussian_nll", inputs={"var": variance}, nonfinite="skip")
    assert (found.value, found.skipped) == (expected.value, 1)
    found = lossctl.evaluate(mean, y, "gaussian_nll", inputs={"var": variance}, nonfinite="propagate")
    assert np.isnan(found.value)
    by_variance = lossctl.gradient(mean, y, "gaussian_nll", inputs={"var": variance}, of="var", nonfinite="skip")
    assert by_variance[1] == 0.0


def test_masked_elements_are_nothing() -> None:
    masked = np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False])
    assert lossctl.evaluate(masked, np.zeros(3), "mse", nonfinite="skip").value == 5.0
    with pytest.raises(DataError, match="masked"):
        lossctl.evaluate(masked, np.zeros(3), "mse")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="drop"):
        lossctl.evaluate([1.0], [1.0], "mse", nonfinite="drop")


def test_rows_of_labels_and_rows_with_nan_are_undefined() -> None:
    part = {"prediction": np.array([np.inf, np.nan, 0.0]), "target": np.array([np.inf, 0.0, 0.0])}
    assert undefined_rows(part, TargetKind.SAME).tolist() == [False, True, False]
    assert undefined_rows(part, TargetKind.INDEX).tolist() == [True, True, False]


def test_odd_rows() -> None:
    chunk = {"prediction": np.array([[1.0, -np.inf], [np.nan, 0.0], [1.0, 1.0]]), "target": np.array([1, 2, 3])}
    odd = odd_rows(chunk, chunk, ())
    assert odd is not None
    assert odd.tolist() == [True, True, False]
    taken = odd_rows(chunk, chunk, ("prediction",))
    assert taken is not None
    assert taken.tolist() == [False, True, False]
    assert odd_rows({"target": np.array([1, 2])}, ["target"], ()) is None


@pytest.mark.parametrize("positions", [[], [0], [3], [0, 1, 2, 3, 4, 5, 6], [2, 9], [11]])
def test_spread_puts_rows_where_they_stand(positions: list[int]) -> None:
    written: list[NDArray[Any]] = []
    spread = Spread(written.append, 4, np.nan)
    rows = np.array(positions, np.int64)
    for start in range(0, len(rows), 2):
        spread.put(rows[start : start + 2], rows[start : start + 2] * 10.0)
    spread.finish(12)
    expected = np.full(12, np.nan)
    expected[rows] = rows * 10.0
    assert [len(part) for part in written] == [4, 4, 4]
    assert np.array_equal(np.concatenate(written), expected, equal_nan=True)


def test_a_skipping_feed_starts_again() -> None:
    feed = SkippingFeed(Feed([memory_reader({"prediction": np.array([1.0, np.nan, 3.0, 4.0, 5.0])})]), ())
    for _ in range(2):
        chunks = list(feed.numbered(2))
        assert [positions.tolist() for positions, _ in chunks] == [[0, 2], [3, 4]]
        assert [len(chunk["prediction"]) for chunk in feed.chunks(2)] == [2, 2]
    assert (feed.skipped, feed.all_rows) == (1, 5)
    assert "row 4" in feed.place("prediction", 3)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_the_arrays_of_the_caller_stay_as_they_are(policy: str, backend: str) -> None:
    prediction, target, weights = np.linspace(0.0, 1.0, 50), np.zeros(50), np.arange(50.0)
    if policy != "error":
        prediction[3], weights[7] = np.nan, np.inf
    held = [array.copy() for array in (prediction, target, weights)]
    for array in (prediction, target, weights):
        array.flags.writeable = False
    found = lossctl.evaluate(prediction, target, "mse", weights=weights, nonfinite=policy, backend=backend)
    assert math.isnan(found.value) == (policy == "propagate")
    for array, before in zip((prediction, target, weights), held, strict=True):
        np.testing.assert_array_equal(array, before)
