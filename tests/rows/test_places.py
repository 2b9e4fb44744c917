"""Arrays of more than two axes: every place a sample, in the layouts of Keras and PyTorch, against flattened arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lossctl
from lossctl.catalogue.loss_spec import parse
from lossctl.errors import DataError, UsageError
from lossctl.rows.feed import Feed
from lossctl.rows.places import by_places
from lossctl.sources import memory_reader

ROWS, PLACES, CLASSES = 6, (4, 7), 5
LOGITS = np.random.default_rng(0).normal(size=(ROWS, *PLACES, CLASSES)) * 3.0
LABELS = np.random.default_rng(1).integers(0, CLASSES, (ROWS, *PLACES))
LABELS[0, 1, 2] = LABELS[3, 0] = -100
SPEC = "scce:input=logit,ignore_index=-100"


def _second(array: NDArray[Any]) -> NDArray[Any]:
    """The last axis as the second one: PyTorch's layout."""
    return np.ascontiguousarray(np.moveaxis(array, -1, 1))


def _expected(logits: NDArray[Any] = LOGITS, labels: NDArray[Any] = LABELS) -> NDArray[np.float64]:
    """The cross-entropy of each place by NumPy; NaN where the label is ignored."""
    logarithms = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    picked = -np.take_along_axis(logarithms, np.clip(labels, 0, None)[..., None], axis=-1)[..., 0]
    return np.where(labels == -100, np.nan, picked)


@pytest.mark.parametrize("backend", ["python", "cpu"])
def test_each_place_is_a_sample_in_either_layout(backend: str) -> None:
    last = lossctl.evaluate(LOGITS, LABELS, SPEC, backend=backend)
    second = lossctl.evaluate(_second(LOGITS), LABELS, SPEC, backend=backend, class_axis=1)
    assert last.value == pytest.approx(np.nanmean(_expected()), rel=1e-13)
    assert last.samples == np.count_nonzero(LABELS != -100)
    assert (second.value, second.samples) == (last.value, last.samples)
    assert "class_axis=1" in second.signature
    assert "class_axis" not in last.signature
    assert lossctl.evaluate(LOGITS, LABELS, SPEC, backend=backend, class_axis=-1) == last


def test_a_loss_of_each_place_in_the_shape_of_the_targets() -> None:
    found = lossctl.per_sample(_second(LOGITS), LABELS, SPEC, class_axis=1)
    assert found == pytest.approx(_expected(), rel=1e-12, nan_ok=True)


def test_gradients_are_laid_out_as_the_predictions() -> None:
    flat = lossctl.gradient(LOGITS.reshape(-1, CLASSES), LABELS.reshape(-1), SPEC).reshape(LOGITS.shape)
    assert np.array_equal(lossctl.gradient(LOGITS, LABELS, SPEC), flat)
    assert np.array_equal(lossctl.gradient(_second(LOGITS), LABELS, SPEC, class_axis=1), _second(flat))


def test_soft_targets_are_laid_out_as_the_predictions() -> None:
    targets = np.random.default_rng(2).dirichlet(np.ones(CLASSES), (ROWS, *PLACES))
    flat = lossctl.evaluate(LOGITS.reshape(-1, CLASSES), targets.reshape(-1, CLASSES), "cce:input=logit")
    found = lossctl.evaluate(_second(LOGITS), _second(targets), "cce:input=logit", class_axis=1)
    assert (found.value, found.samples) == (flat.value, flat.samples)


def test_class_indices_may_stand_on_an_axis_of_length_one() -> None:
    assert lossctl.evaluate(LOGITS, LABELS[..., None], SPEC) == lossctl.evaluate(LOGITS, LABELS, SPEC)


def test_a_weight_is_of_a_place_or_of_a_whole_row() -> None:
    random = np.random.default_rng(3)
    losses, kept = _expected(), LABELS != -100
    for weights in (random.random((ROWS, *PLACES)), random.random(ROWS)):
        each = np.broadcast_to(weights.reshape(ROWS, *weights.shape[1:], *[1] * (3 - weights.ndim)), LABELS.shape)
        expected = (losses[kept] * each[kept]).sum() / each[kept].sum()
        assert lossctl.evaluate(LOGITS, LABELS, SPEC, weights=weights).value == pytest.approx(expected, rel=1e-13)


def test_further_inputs_stand_at_the_places() -> None:
    random = np.random.default_rng(4)
    anchor, positive, negative = random.normal(size=(3, ROWS, *PLACES, CLASSES))
    found = lossctl.evaluate(anchor, positive, "triplet_margin", inputs={"negative": negative})
    flat, flat_positive, flat_negative = (array.reshape(-1, CLASSES) for array in (anchor, positive, negative))
    assert found == lossctl.evaluate(flat, flat_positive, "triplet_margin", inputs={"negative": flat_negative})
    signs = np.where(random.random((ROWS, *PLACES)) < 0.5, -1, 1)
    found = lossctl.evaluate(anchor, positive, "cosine_embedding", inputs={"sign": signs})
    assert found == lossctl.evaluate(flat, flat_positive, "cosine_embedding", inputs={"sign": signs.reshape(-1)})


def test_masks_have_their_classes_on_the_second_axis() -> None:
    random = np.random.default_rng(5)
    masks, targets = random.random(LOGITS.shape), (random.random(LOGITS.shape) < 0.5).astype(float)
    last = lossctl.evaluate(masks, targets, "dice:scope=class")
    assert lossctl.evaluate(_second(masks), _second(targets), "dice:scope=class", class_axis=1).value == last.value
    slopes = lossctl.gradient(_second(masks), _second(targets), "dice:scope=class", class_axis=1)
    assert np.array_equal(slopes, _second(lossctl.gradient(masks, targets, "dice:scope=class")))


def test_losses_of_values_see_the_rows_as_they_are() -> None:
    found = lossctl.per_sample(LOGITS, np.zeros_like(LOGITS), "mse")
    assert found == pytest.approx((LOGITS**2).reshape(ROWS, -1).mean(axis=1), rel=1e-14)


def test_rows_that_are_skipped_are_places() -> None:
    logits = _second(LOGITS)
    logits[2, 3, 1, 5] = np.nan
    labels = LABELS.copy()
    labels[2, 1, 5] = -100
    found = lossctl.evaluate(logits, LABELS, SPEC, class_axis=1, nonfinite="skip")
    assert found.value == lossctl.evaluate(LOGITS, labels, SPEC).value
    slopes = lossctl.gradient(logits, LABELS, SPEC, class_axis=1, nonfinite="skip")
    assert np.array_equal(slopes, _second(lossctl.gradient(LOGITS, labels, SPEC)))


@pytest.mark.parametrize(
    ("predictions", "targets", "spec", "axis", "error", "said"),
    [
        (LOGITS, LABELS[:, :3], SPEC, None, DataError, r"needs a target of shape \(rows, 4, 7\)"),
        (LOGITS, LABELS[:, 0, 0], SPEC, None, DataError, "save one for each place"),
        (_second(LOGITS), LABELS, SPEC, None, DataError, "class_axis=1"),
        (LOGITS, LABELS, SPEC, 0, DataError, "axis 0 is that of the rows"),
        (LOGITS, LABELS, SPEC, 4, DataError, "has no axis 4"),
        (LOGITS[:, 0, 0, 0], LABELS[:, 0, 0], SPEC, 1, DataError, "one value a row"),
        (LOGITS, LOGITS, "mse", 1, UsageError, "mse has no class axis"),
        (LOGITS, LABELS, [SPEC, "mse"], None, UsageError, "mse each row"),
    ],
)
def test_what_does_not_fit_is_refused(
    predictions: NDArray[Any], targets: NDArray[Any], spec: Any, axis: int | None, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        lossctl.evaluate(predictions, targets, spec, class_axis=axis)


@pytest.mark.parametrize("axis", [1.0, "1", True, (1,)])
def test_an_axis_is_a_whole_number(axis: Any) -> None:
    with pytest.raises(UsageError, match="the class axis is a whole number"):
        lossctl.evaluate(LOGITS, LABELS, SPEC, class_axis=axis)


def test_a_message_names_the_place_in_the_file() -> None:
    logits = _second(LOGITS)
    logits[2, 3, 1, 5] = np.nan
    with pytest.raises(DataError, match=r"row 2, index \(2, 3, 1, 5\): the prediction is nan"):
        lossctl.evaluate(logits, LABELS, SPEC, class_axis=1)
    labels = LABELS.copy()
    labels[4, 3, 6] = 9
    with pytest.raises(DataError, match=r"row 4, index \(4, 3, 6\): class index 9"):
        lossctl.evaluate(LOGITS, labels, SPEC)
    logits = LOGITS.copy()
    logits[5, 2, 0] = -np.inf
    with pytest.raises(DataError, match=r"row 5, place \(2, 0\): every class has a logit of minus infinity"):
        lossctl.evaluate(logits, LABELS, SPEC)


@pytest.mark.parametrize("rows", [1, 3, 28, 1 << 20])
def test_what_follows_in_memory_is_not_copied(rows: int) -> None:
    feed = Feed([memory_reader({"prediction": LOGITS}), memory_reader({"target": LABELS})])
    samples, _ = by_places(feed, [parse(SPEC)], None)
    chunks = list(samples.chunks(rows))
    assert all(np.shares_memory(chunk["prediction"], LOGITS) for chunk in chunks)
    assert np.array_equal(np.concatenate([chunk["target"] for chunk in chunks]), LABELS.reshape(-1))
    assert {len(chunk["target"]) for chunk in chunks[:-1]} <= {rows}


def test_what_is_not_in_order_is_copied() -> None:
    assert lossctl.evaluate(np.asfortranarray(LOGITS), LABELS, SPEC) == lossctl.evaluate(LOGITS, LABELS, SPEC)
