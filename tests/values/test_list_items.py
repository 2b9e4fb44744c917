"""Items that a mask leaves out, and weights of items, against the same lists without those items."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossctl
from lossctl.errors import DataError

RANDOM = np.random.default_rng(23)
LOGITS, RELEVANCE = RANDOM.normal(0.0, 2.0, (6, 5)), RANDOM.integers(0, 4, (6, 5)).astype(float)
MASK = RANDOM.integers(0, 2, (6, 5))
MASK[2], MASK[4] = 0, 1
ITEM_WEIGHT = RANDOM.uniform(0.0, 2.0, (6, 5))
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 3.0, 1.0])
BACKENDS = pytest.mark.parametrize("backend", ["python", "cpu"])


def each_list(weigh: bool) -> tuple[list[float], list[Any]]:
    """The loss of each list and its gradient, of the items that count alone."""
    losses, gradients = [], []
    for logits, relevance, mask, weight in zip(LOGITS, RELEVANCE, MASK == 1, ITEM_WEIGHT, strict=True):
        z, y = logits[mask], (relevance * weight if weigh else relevance)[mask]
        slope = np.zeros(5)
        losses.append(float("nan"))
        if mask.any():
            shares = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            losses[-1] = float(-(y * np.log(shares)).sum())
            slope[mask] = y.sum() * shares - y
        gradients.append(slope)
    return losses, gradients


@BACKENDS
@pytest.mark.parametrize("weigh", [False, True])
def test_items_that_are_left_out_are_not_there(weigh: bool, backend: str) -> None:
    inputs: dict[str, Any] = {"mask": MASK} | ({"item_weight": ITEM_WEIGHT} if weigh else {})
    more: dict[str, Any] = {"inputs": inputs, "backend": backend}
    losses, gradients = each_list(weigh)
    np.testing.assert_allclose(lossctl.per_sample(LOGITS, RELEVANCE, "ranking_softmax", **more), losses, rtol=1e-13)
    counted = np.where(MASK.any(axis=1), WEIGHTS, 0.0)
    result = lossctl.evaluate(LOGITS, RELEVANCE, "ranking_softmax", weights=WEIGHTS, **more)
    assert result.value == pytest.approx(np.nansum(counted * losses) / counted.sum(), rel=1e-13)
    assert result.samples == 5
    found = lossctl.gradient(LOGITS, RELEVANCE, "ranking_softmax", weights=WEIGHTS, **more)
    exact = (counted / counted.sum())[:, None] * np.array(gradients)
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-16)


def test_weights_of_items_alone_weigh_their_relevance() -> None:
    found = lossctl.evaluate(LOGITS, RELEVANCE, "ranking_softmax", inputs={"item_weight": ITEM_WEIGHT})
    assert found.value == lossctl.evaluate(LOGITS, RELEVANCE * ITEM_WEIGHT, "ranking_softmax").value


def test_single_precision_is_not_rounded_by_a_weight() -> None:
    logits, relevance, weight = (array.astype(np.float32) for array in (LOGITS, RELEVANCE, ITEM_WEIGHT))
    found = lossctl.evaluate(logits, relevance, "ranking_softmax", inputs={"item_weight": weight}).value
    exact = relevance.astype(np.float64) * weight.astype(np.float64)
    assert found == lossctl.evaluate(logits.astype(np.float64), exact, "ranking_softmax").value
    slope = lossctl.gradient(logits, relevance, "ranking_softmax", inputs={"item_weight": weight})
    assert slope.dtype == np.float32


def test_a_mask_of_ones_changes_nothing() -> None:
    ones = np.ones_like(MASK)
    found = lossctl.evaluate(LOGITS, RELEVANCE, "ranking_softmax", inputs={"mask": ones})
    assert found.value == lossctl.evaluate(LOGITS, RELEVANCE, "ranking_softmax").value


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_mask_does_not_excuse_what_is_no_number(wrong: float) -> None:
    data = LOGITS.copy()
    data[2, 3] = wrong
    with pytest.raises(DataError, match=f"row 2, column 3: the prediction is {wrong}"):
        lossctl.evaluate(data, RELEVANCE, "ranking_softmax", inputs={"mask": MASK})
    relevance = RELEVANCE.copy()
    relevance[2, 1] = -1.0
    with pytest.raises(DataError, match="row 2, column 1: target -1 is outside"):
        lossctl.evaluate(LOGITS, relevance, "ranking_softmax", inputs={"mask": MASK})


@pytest.mark.parametrize(("name", "value"), [("mask", 0.5), ("mask", np.nan), ("item_weight", -1.0)])
def test_masks_and_weights_are_checked(name: str, value: float) -> None:
    array = np.ones((6, 5))
    array[1, 2] = value
    with pytest.raises(DataError, match="row 1, column 2"):
        lossctl.evaluate(LOGITS, RELEVANCE, "ranking_softmax", inputs={name: array})
