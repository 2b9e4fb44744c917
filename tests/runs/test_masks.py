"""Masks of (rows, places…, classes): overlaps of every scope against 60-digit formulas over whole arrays."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from numpy.typing import NDArray

import lossctl
from lossctl.errors import DataError, UsageError
from lossctl_kernels.log_odds import log_odds, logit_gradient

Array = NDArray[np.float64]
Numbers = NDArray[Any]  # of mpf
Options = dict[str, Any]

RANDOM = np.random.default_rng(17)
SHAPE = (4, 2, 3, 3)
LOGITS = RANDOM.normal(0.0, 2.0, SHAPE)
TARGETS = np.eye(3)[RANDOM.integers(0, 3, SHAPE[:-1])]
SOFT = RANDOM.uniform(size=SHAPE)
WEIGHTS = np.array([1.0, 0.25, 0.0, 3.0])
BACKENDS = pytest.mark.parametrize("backend", ["python", "cpu"])


@pytest.fixture(autouse=True)
def _digits() -> Any:
    with mpmath.workdps(60):
        yield


# ---- the formulas, on arrays of 60-digit numbers


def numbers(array: Array) -> Numbers:
    return np.asarray(np.vectorize(lambda x: mpf(float(x)), otypes=[object])(array))


def softmax(logits: Numbers) -> Numbers:
    powers = np.vectorize(mpmath.exp, otypes=[object])(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def tversky(p: Numbers, y: Numbers, options: Options) -> Numbers:
    """Over the last axis."""
    alpha, beta, smooth = (mpf(options.get(name, default)) for name, default in DEFAULTS.items())
    overlap = (p * y).sum(axis=-1)
    wrong = alpha * (p * (1 - y)).sum(axis=-1) + beta * (y * (1 - p)).sum(axis=-1)
    whole = overlap + wrong + smooth
    return np.asarray(wrong / np.where(whole == 0, mpf(1), whole))


DEFAULTS = {"alpha": 0.5, "beta": 0.5, "smooth": 0}


def as_masks(array: Numbers) -> Numbers:
    """(rows, classes, places)."""
    return np.moveaxis(array, -1, 1).reshape(len(array), array.shape[-1], -1)


def sample_class(p: Numbers, y: Numbers, w: Numbers, options: Options) -> Any:
    losses = tversky(as_masks(p), as_masks(y), options)
    return (losses.sum(axis=1) / p.shape[-1] * w).sum() / w.sum()


def by_class(p: Numbers, y: Numbers, w: Numbers, options: Options) -> Any:
    classes = p.shape[-1]
    spread = (w.reshape(-1, *[1] * (p.ndim - 1)) * np.ones_like(p)).reshape(-1, classes).T
    p, y = (array.reshape(-1, classes).T for array in (p, y))
    smooth = mpf(options.get("smooth", 0))
    overlap, both = (spread * p * y).sum(axis=1), (spread * (p + y)).sum(axis=1)
    return (1 - (2 * overlap + 2 * smooth) / (both + 2 * smooth)).sum() / classes


def generalized(p: Numbers, y: Numbers, w: Numbers, options: Options) -> Any:
    frequency = (as_masks(y).sum(axis=2) * w[:, None]).sum(axis=0)
    rarity = 1 / (frequency**2 + mpf("1e-7"))
    rarity = rarity / rarity.sum() * len(rarity)
    losses = tversky(as_masks(p), as_masks(y), {"smooth": 1, **options}) * rarity
    kept = losses[:, 1:] if options.get("ignore_background") == "true" else losses
    return (kept * w[:, None]).sum() / (w.sum() * kept.shape[1])


CASES: list[tuple[str, Callable[..., Any], Options]] = [
    ("tversky:scope=sample-class", sample_class, {}),
    ("tversky:scope=sample-class,alpha=0.9,beta=0.3,smooth=1", sample_class, {"alpha": 0.9, "beta": 0.3, "smooth": 1}),
    ("dice:scope=sample-class,smooth=2", sample_class, {"smooth": 1}),
    ("dice:scope=class", by_class, {}),
    ("tversky:scope=class,smooth=0.5", by_class, {"smooth": 0.5}),
    ("generalized_dice", generalized, {}),
    ("generalized_dice:smooth=0.25,ignore_background=true", generalized, {"smooth": 0.25, "ignore_background": "true"}),
]
cases = pytest.mark.parametrize(("spec", "formula", "options"), CASES, ids=[case[0] for case in CASES])


def with_input(spec: str, form: str) -> str:
    return f"{spec}{',' if ':' in spec else ':'}input={form}"


def expected(formula: Callable[..., Any], data: Array, y: Array, form: str, w: Array | None, options: Options) -> Any:
    p = softmax(numbers(data)) if form == "logit" else numbers(data)
    return formula(p, numbers(y), numbers(np.ones(len(y)) if w is None else w), options)


def close(got: Any, exact: Any, rtol: float = 1e-12, atol: float = 0.0) -> bool:
    return bool(abs(got - exact) <= rtol * abs(exact) + atol)


@BACKENDS
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "weighted"])
@pytest.mark.parametrize("form", ["prob", "logit"])
@cases
def test_values(
    spec: str, formula: Callable[..., Any], options: Options, form: str, weights: Array | None, backend: str
) -> None:
    data = LOGITS if form == "logit" else SOFT
    for y in (TARGETS, SOFT[::-1]):
        for flat in (False, True):  # (rows, classes) is one place a row
            shape = (len(data), -1) if flat else SHAPE
            p, t = data.reshape(shape), y.reshape(shape)
            got = lossctl.evaluate(p, t, with_input(spec, form), weights=weights, backend=backend)
            assert close(got.value, expected(formula, p, t, form, weights, options)), (flat, got.value)


@BACKENDS
@pytest.mark.parametrize("form", ["prob", "logit"])
@cases
def test_gradients(spec: str, formula: Callable[..., Any], options: Options, form: str, backend: str) -> None:
    data = (LOGITS if form == "logit" else SOFT)[:, 0]
    got = lossctl.gradient(data, TARGETS[:, 0], with_input(spec, form), weights=WEIGHTS, backend=backend)
    assert got.shape == data.shape
    assert not got[2].any()  # of weight 0
    step = mpf(10) ** -20
    for at in itertools.islice(np.ndindex(*data.shape), 0, None, 5):
        sides = []
        for sign in (1, -1):
            moved = numbers(data)
            moved[at] += sign * step
            p = softmax(moved) if form == "logit" else moved
            sides.append(formula(p, numbers(TARGETS[:, 0]), numbers(WEIGHTS), options))
        assert close(got[at], (sides[0] - sides[1]) / (2 * step), 1e-12, 1e-17), at


@pytest.mark.parametrize("gap", [1e-9, 1.0, 40.0, 300.0, 700.0])
def test_nearly_perfect_masks_keep_their_digits(gap: float) -> None:
    logits = np.where(TARGETS[:, 0] == 1.0, gap, np.array([0.0, -0.5, 0.25]))
    y = TARGETS[:, 0]
    with mpmath.workdps(700):
        for spec, formula in (("tversky:scope=sample-class", sample_class), ("generalized_dice", generalized)):
            got = lossctl.evaluate(logits, y, with_input(spec, "logit")).value
            assert close(got, expected(formula, logits, y, "logit", None, {}))
            slopes = lossctl.gradient(logits, y, with_input(spec, "logit"))
            for at in ((0, 0, 0), (1, 2, 1), (3, 1, 2)):
                moved = [numbers(logits), numbers(logits)]
                step = mpf(10) ** -100
                moved[0][at] += step
                moved[1][at] -= step
                ones = numbers(np.ones(len(y)))
                high, low = (formula(softmax(z), numbers(y), ones, {}) for z in moved)
                assert close(slopes[at], (high - low) / (2 * step), atol=1e-320), at


# ---- what a sample has, and what it has not


@BACKENDS
def test_a_sample_has_the_mean_over_its_classes(backend: str) -> None:
    spec = "tversky:scope=sample-class,input=logit,smooth=1"
    found = lossctl.per_sample(LOGITS, TARGETS, spec, backend=backend)
    each = [expected(sample_class, LOGITS[[i]], TARGETS[[i]], "logit", None, {"smooth": 1}) for i in range(4)]
    assert all(close(got, exact) for got, exact in zip(found, each, strict=True))
    whole = lossctl.evaluate(LOGITS, TARGETS, spec, weights=WEIGHTS, reduction="sum", backend=backend)
    assert whole.value == pytest.approx(float(found @ WEIGHTS), rel=1e-14)
    assert whole.weight == WEIGHTS.sum()


def test_one_class_weighs_as_much_as_all() -> None:
    with pytest.raises(UsageError, match="generalized_dice is one number for all the data"):
        lossctl.per_sample(LOGITS, TARGETS, "generalized_dice:input=logit")
    with pytest.raises(UsageError, match="has no sum"):
        lossctl.evaluate(LOGITS, TARGETS, "generalized_dice:input=logit", reduction="sum")


def test_rows_of_several_axes_are_samples() -> None:
    p, y = SOFT, TARGETS
    found = lossctl.per_sample(p, y, "dice:scope=sample")
    flat = lossctl.per_sample(p.reshape(4, -1), y.reshape(4, -1), "dice:scope=sample")
    assert found.tolist() == flat.tolist()


def test_a_single_class_goes_through_sigmoid() -> None:
    logits, y = LOGITS[..., :1], TARGETS[..., :1]
    p = 1.0 / (1.0 + np.exp(-logits))
    for spec in ("dice:scope=sample-class", "dice:scope=class", "generalized_dice"):
        by_logit = lossctl.evaluate(logits, y, with_input(spec, "logit")).value
        assert by_logit == pytest.approx(lossctl.evaluate(p, y, with_input(spec, "prob")).value, rel=1e-14)


def test_empty_masks_are_counted_by_row() -> None:
    p, y = np.zeros((5, 2, 2)), np.zeros((5, 2, 2))
    p[0, 0], y[1, 1] = 1.0, 1.0
    for spec in ("dice:scope=sample-class", "generalized_dice:smooth=0"):
        result = lossctl.evaluate(p, y, spec)
        assert result.degenerate == 3
    assert lossctl.evaluate(p, y, "dice:scope=sample-class").value == pytest.approx(2.0 / 5.0)


@pytest.mark.parametrize("backend", ["python", "cpu"])
@pytest.mark.parametrize(
    ("spec", "value", "says"),
    [
        ("tversky:scope=sample-class,input=logit", np.nan, "the prediction is nan"),
        ("dice:scope=class,input=logit", np.inf, "the prediction is inf"),
        ("generalized_dice:input=logit", np.nan, "the prediction is nan"),
        ("generalized_dice", 1.5, r"outside \[0, 1\]"),
        ("dice:scope=sample-class", -0.5, r"outside \[0, 1\]"),
    ],
)
def test_what_is_no_prediction_is_refused(spec: str, value: float, says: str, backend: str) -> None:
    data = SOFT.copy()
    data[2, 1, 0, 1] = value
    with pytest.raises(DataError, match=says) as caught:
        lossctl.evaluate(data, TARGETS, spec, backend=backend)
    assert "row 2" in str(caught.value)


@pytest.mark.parametrize("spec", ["tversky:scope=sample-class", "dice:scope=class", "generalized_dice"])
def test_one_class_must_be_possible(spec: str) -> None:
    data = LOGITS.copy()
    data[1, 1, 2, 0] = -np.inf
    assert lossctl.evaluate(data, TARGETS, with_input(spec, "logit")).value > 0.0
    data[1, 1, 2] = -np.inf
    with pytest.raises(DataError, match=r"row 1.*every class has a logit of minus infinity"):
        lossctl.evaluate(data, TARGETS, with_input(spec, "logit"))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ("tversky:scope=sample-class,input=logit", (5000, 2, 3)),
        ("dice:scope=class,input=logit", (700, 150, 11)),  # fewer rows a block than a column has
        ("generalized_dice:input=logit", (5000, 2, 3)),
    ],
)
def test_chunks_change_no_bit(spec: str, shape: tuple[int, ...]) -> None:
    from lossctl.catalogue.loss_spec import parse
    from lossctl.evaluation import Evaluation
    from lossctl.requests import Request
    from lossctl.rows.feed import Feed
    from lossctl.sources import memory_reader

    random = np.random.default_rng(3)
    prediction, target = random.normal(size=shape), random.uniform(size=shape)
    values = []
    for rows in (1, 300, 5000):
        feed = Feed([memory_reader({"prediction": prediction}), memory_reader({"target": target})])
        values.append(Evaluation(feed, Request([parse(spec)], chunk_rows=rows)).run().results[0].value)
    assert len(set(values)) == 1


# ---- log-odds


def test_sigmoid_of_log_odds_is_softmax() -> None:
    logits = np.array([[0.0, -np.inf, 5.0, 700.0, 1.0], [1.0, 2.0, 5.0, -50.0, 1e300], [2.0, -np.inf, 5.0, 0.0, 0.0]])
    odds = log_odds(logits)
    for place, column in enumerate(logits.T):
        shares = softmax(numbers(column))
        for got, share in zip(odds[:, place], shares, strict=True):
            exact = 1 / (1 + mpmath.exp(-mpf(float(got)))) if abs(got) < 1e5 else mpf(int(got > 0))
            assert close(float(exact), share, 1e-13, 1e-300)


def test_log_odds_of_nothing_possible_are_no_numbers() -> None:
    assert np.isnan(log_odds(np.full((3, 2), -np.inf))).all()
    assert np.isnan(log_odds(np.array([[np.inf], [0.0]]))).any()
    assert np.isnan(log_odds(np.array([[math.nan], [0.0]]))).all()


def test_gradients_of_logits_sum_to_0() -> None:
    odds = log_odds(np.random.default_rng(2).normal(size=(5, 40)))
    found = logit_gradient(np.random.default_rng(3).normal(size=(5, 40)), odds)
    np.testing.assert_allclose(found.sum(axis=0), 0.0, atol=1e-13)
